// Reports of doubt: a department that received a value says that it may be wrong, and the department it came from answers
// (DESIGN: the dictionary; after the Dutch BRP's "terugmelding"). The reporting department controls a report, the
// providing one its answers; both travel as ordinary exchanges, so they are signed, sealed and logged like all others.
import { BindingPath } from './binding-path.ts';
import { EntryRef } from './dictionary-entry.ts';
import { SERVICE_ID_PATTERN } from './identifiers.ts';
import { Sha256 } from './registrations.ts';
import { type Static, Type } from './schema-builder.ts';
import { MESSAGE_ID_PATTERN } from './statement.ts';
import { compile } from './validate.ts';

const closed = { additionalProperties: false };
const Text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);
/** What an element's value may be; `null` where nothing was known. */
const Value = Type.Union([Type.String({ maxLength: 1000 }), Type.Number(), Type.Boolean(), Type.Null()]);
const MessageId = Type.String({ pattern: MESSAGE_ID_PATTERN });
export const DoubtNote = Text(2000);

/** Reserved path behind every service, answered by the provider's own server. */
export const DOUBTS_PATH = '/.accord/doubts';

/**
 * `open`: waits for the provider; `needs-info`: waits for who reported it; both mark the element. `accepted`: the provider
 * corrected its data; `rejected`: it stands by them. These two are final.
 */
export const DoubtState = Type.Union([
  Type.Literal('open'),
  Type.Literal('needs-info'),
  Type.Literal('accepted'),
  Type.Literal('rejected'),
]);

/** What is doubted and why. */
export const doubtMembers = {
  element: EntryRef,
  /** Where in the answer it stood, when the element stands there more than once. */
  path: orNull(BindingPath),
  subject: Type.Object({ scheme: EntryRef, value: Text(256) }, closed),
  /** The value as it was received. */
  doubted: Value,
  /** What the reporter holds to be true; null when it cannot say. */
  proposed: Value,
  /** SHA-256 of a document the reporter holds. */
  evidenceHash: orNull(Sha256),
  /** Message id of the exchange in which the value was received. */
  exchange: MessageId,
  note: orNull(DoubtNote),
};

/** The body of POST /.accord/doubts. */
export const DoubtReport = Type.Object({ v: Type.Literal(1), ...doubtMembers }, closed);

/** What the provider tells the reporter; it repeats no value and no identifier of a person. */
export const DoubtStatus = Type.Object(
  {
    id: MessageId,
    service: Type.String({ pattern: SERVICE_ID_PATTERN }),
    element: EntryRef,
    exchange: MessageId,
    state: DoubtState,
    /** The provider's last word on it. */
    note: orNull(DoubtNote),
    createdAtMs: Type.Integer({ minimum: 0 }),
    changedAtMs: Type.Integer({ minimum: 0 }),
  },
  closed,
);

export type DoubtState = Static<typeof DoubtState>;
export type DoubtReport = Static<typeof DoubtReport>;
export type DoubtStatus = Static<typeof DoubtStatus>;

/** @throws SCHEMA_MISMATCH */
export const checkDoubtReport = compile(DoubtReport, 'SCHEMA_MISMATCH');
/** @throws SCHEMA_MISMATCH */
export const checkDoubtStatus = compile(DoubtStatus, 'SCHEMA_MISMATCH');
