// Who looked at my data (DESIGN: who may ask for what): a citizen's own questions to a provider's server, carried by the
// consent service as ordinary exchanges on reserved paths. Each question brings the citizen's ID token, made for this one
// question: its nonce is the hash of it. So neither the consent service nor anybody else can ask in a citizen's name. The
// consent service controls the form, the identity provider's signature decides.
import { BindingPath } from './binding-path.ts';
import { canonicalJson } from './canonical-json.ts';
import { EntryRef } from './dictionary-entry.ts';
import { DoubtStatus, doubtMembers } from './doubt.ts';
import { SERVICE_ID_PATTERN, SUBSYSTEM_ID_PATTERN } from './identifiers.ts';
import type { JsonValue } from './json.ts';
import {
  MAX_ACCESSES,
  MAX_DOUBTS_SHOWN,
  MAX_ID_TOKEN_CHARS,
  MAX_RECEIPTS_ASKED,
  MAX_RELEASED_PATHS,
} from './limits.ts';
import { Sha256 } from './registrations.ts';
import { type Static, Type } from './schema-builder.ts';
import { Basis, MESSAGE_ID_PATTERN, PURPOSE_PATTERN } from './statement.ts';
import { compile } from './validate.ts';

const closed = { additionalProperties: false };
const TimeMs = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Id = Type.String({ pattern: MESSAGE_ID_PATTERN });
const Service = Type.String({ pattern: SERVICE_ID_PATTERN });
const Subsystem = Type.String({ pattern: SUBSYSTEM_ID_PATTERN });
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);
const IdToken = Type.String({ pattern: '^[A-Za-z0-9_.-]+$', maxLength: MAX_ID_TOKEN_CHARS });

/** Where a citizen's consent service asks in the citizen's name who looked, and reports an error. */
export const ACCESSES_PATH = '/.accord/accesses';
export const CITIZEN_DOUBTS_PATH = '/.accord/citizen-doubts';

/** Where a consent service asks how often its receipts were used. */
export const RECEIPT_USES_PATH = '/.accord/receipt-uses';

/** What every question begins with. */
const asking = {
  v: Type.Literal(1),
  /** Consent service that carries it: the client of the exchange. */
  asker: Subsystem,
  /** When it was made; a provider takes it for five minutes. */
  atMs: TimeMs,
  /** 32 random bytes. */
  random: Sha256,
};

/** Asked of many providers with one token; each takes it once. */
export const AccessesQuestion = Type.Object(
  { ...asking, kind: Type.Literal('accesses'), fromMs: TimeMs, untilMs: TimeMs },
  closed,
);

/** A citizen doubts a value that somebody was given. */
export const DoubtQuestion = Type.Object(
  {
    ...asking,
    kind: Type.Literal('doubt'),
    service: Service,
    exchange: Id,
    element: EntryRef,
    path: orNull(BindingPath),
    proposed: doubtMembers.proposed,
    note: doubtMembers.note,
  },
  closed,
);

/** Bodies of POST /.accord/accesses and POST /.accord/citizen-doubts. */
const AskedAccesses = Type.Object({ question: AccessesQuestion, idToken: IdToken }, closed);
const AskedDoubt = Type.Object({ question: DoubtQuestion, idToken: IdToken }, closed);

export type AccessesQuestion = Static<typeof AccessesQuestion>;
export type DoubtQuestion = Static<typeof DoubtQuestion>;

/** The one spelling of a question; the ID token's nonce is its SHA-256 (base64url). */
export function questionText(question: AccessesQuestion | DoubtQuestion): string {
  return canonicalJson(question as unknown as JsonValue);
}

/** One request about the citizen, refused ones too. */
export const Access = Type.Object(
  {
    /** Message id of the exchange. */
    exchange: Id,
    atMs: TimeMs,
    client: Subsystem,
    service: Service,
    /** `GET /residents/{id}`; null where the service is not bound. */
    operation: orNull(Type.String({ maxLength: 600 })),
    purpose: orNull(Type.String({ pattern: PURPOSE_PATTERN })),
    basis: Basis,
    /** `under-way`: no answer was recorded yet, or ever. */
    outcome: Type.Union([
      Type.Literal('answered'),
      Type.Literal('refused'),
      Type.Literal('failed'),
      Type.Literal('under-way'),
    ]),
    /** `OK`, or the code of the refusal or failure; null while it is under way. */
    code: orNull(Type.String({ pattern: '^[A-Z][A-Z0-9_]{1,63}$' })),
    /** Elements and predicates that were asked for, and of them what was released. */
    asked: Type.Array(EntryRef, { maxItems: MAX_RELEASED_PATHS }),
    items: Type.Array(EntryRef, { maxItems: MAX_RELEASED_PATHS }),
    /** Case number as the asking department wrote it. */
    issue: orNull(Type.String({ minLength: 1, maxLength: 256 })),
    /** The official's unit, where a token of evidence names it; their name stays with the department. */
    unit: orNull(Type.String({ minLength: 1, maxLength: 200 })),
    /** Id of the emergency and its reason, where that is the basis. */
    emergency: orNull(Type.Object({ id: Id, reason: Type.String({ minLength: 1, maxLength: 1000 }) }, closed)),
    /** Number of the receipt it was asked on. */
    receipt: orNull(Id),
    /** The citizen's own question, carried by a consent service. */
    isOwn: Type.Boolean(),
  },
  closed,
);
export type Access = Static<typeof Access>;

/** Newest first. Nothing in it depends on whether the person is known to the department's backend. */
export const Accesses = Type.Object(
  {
    v: Type.Literal(1),
    accesses: Type.Array(Access, { maxItems: MAX_ACCESSES }),
    /** There are older ones within the times asked for. */
    hasMore: Type.Boolean(),
    /** What the citizen reported here as wrong, and what came of it; newest first, whatever times were asked for. */
    doubts: Type.Array(DoubtStatus, { maxItems: MAX_DOUBTS_SHOWN }),
  },
  closed,
);
export type Accesses = Static<typeof Accesses>;

/** Body of POST /.accord/receipt-uses: only whoever issued the receipts is told of them. */
const AskedReceiptUses = Type.Object(
  { v: Type.Literal(1), receipts: Type.Array(Id, { minItems: 1, maxItems: MAX_RECEIPTS_ASKED, uniqueItems: true }) },
  closed,
);
export const ReceiptUses = Type.Object(
  {
    v: Type.Literal(1),
    /** Those of them that were ever used. */
    uses: Type.Array(
      Type.Object(
        {
          receipt: Id,
          /** Answered requests, and when the last one was; 0 and null only beside `usedInWindow`. */
          used: Type.Integer({ minimum: 0 }),
          lastUsedAtMs: orNull(TimeMs),
          /** Of a receipt with a frequency: requests that count within its days now, also those that failed; absent for none. */
          usedInWindow: Type.Optional(Type.Integer({ minimum: 1 })),
        },
        closed,
      ),
      { maxItems: MAX_RECEIPTS_ASKED },
    ),
  },
  closed,
);
export type ReceiptUses = Static<typeof ReceiptUses>;

/** @throws SCHEMA_MISMATCH */
export const checkAskedAccesses = compile(AskedAccesses, 'SCHEMA_MISMATCH');
/** @throws SCHEMA_MISMATCH */
export const checkAskedDoubt = compile(AskedDoubt, 'SCHEMA_MISMATCH');
/** @throws SCHEMA_MISMATCH */
export const checkAccesses = compile(Accesses, 'SCHEMA_MISMATCH');
/** @throws SCHEMA_MISMATCH */
export const checkAskedReceiptUses = compile(AskedReceiptUses, 'SCHEMA_MISMATCH');
/** @throws SCHEMA_MISMATCH */
export const checkReceiptUses = compile(ReceiptUses, 'SCHEMA_MISMATCH');
