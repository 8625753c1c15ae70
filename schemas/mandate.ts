// Acting for another (DESIGN: who may ask for what, Consent): a mandate says that one person may decide about consents
// of another, how far and how long. A citizen offers one and the other accepts, or a register of guardians or a court
// files it; both control what they write. Its records stand in the chain of the consents (consent.ts). Identifiers and
// names of the two persons are in no record: they lie sealed beside them, and records hold keyed tags.
import { EntryRef, Level } from './dictionary-entry.ts';
import { SUBSYSTEM_ID_PATTERN } from './identifiers.ts';
import { MAX_MANDATE_NAME_CHARS, MAX_MANDATE_PURPOSES } from './limits.ts';
import { Purpose } from './purpose.ts';
import { Sha256 } from './registrations.ts';
import { type Static, Type } from './schema-builder.ts';
import { MESSAGE_ID_PATTERN } from './statement.ts';

const closed = { additionalProperties: false };
const TimeMs = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Day = Purpose.properties.from;
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);

/** Visible text on one line, without what turns its direction (UAX 9): it stands in the middle of notices. */
const PersonName = Type.String({
  pattern: `^(?! )[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060\\u2066-\\u2069\\ufeff]{1,${MAX_MANDATE_NAME_CHARS}}(?<! )$`,
});

const PersonOfMandate = Type.Object(
  { scheme: EntryRef, value: Type.String({ minLength: 1, maxLength: 256 }), name: PersonName },
  closed,
);
/** Who somebody is, and the name that the citizen or the register wrote down. */
export type PersonOfMandate = Static<typeof PersonOfMandate>;

const terms = {
  /** Ids of purposes; null for all. */
  purposes: orNull(
    Type.Array(Purpose.properties.id, { minItems: 1, maxItems: MAX_MANDATE_PURPOSES, uniqueItems: true }),
  ),
  /** Items above it stay with the person who is represented. */
  maxLevel: Level,
  notBeforeMs: TimeMs,
  /** Exclusive. */
  validUntilMs: TimeMs,
};

/** What a citizen types; the representative has to accept it. */
export const MandateOffer = Type.Object(
  {
    representative: PersonOfMandate,
    /** How the citizen is called in it. */
    name: PersonName,
    ...terms,
  },
  closed,
);
export type MandateOffer = Static<typeof MandateOffer>;

/** What a register files. */
export const MandateFiling = Type.Object(
  {
    v: Type.Literal(1),
    kind: Type.Union([Type.Literal('guardian'), Type.Literal('court')]),
    represented: PersonOfMandate,
    representative: PersonOfMandate,
    ...terms,
    /** Of a guardian's mandate, else null: it ends when this legal day begins. */
    majorityOn: orNull(Day),
  },
  closed,
);
export type MandateFiling = Static<typeof MandateFiling>;

export const MandateKind = Type.Union([Type.Literal('citizen'), Type.Literal('guardian'), Type.Literal('court')]);
export type MandateKind = Static<typeof MandateKind>;

/** Fixed by the first record. */
export const MandateTerms = Type.Object(
  {
    kind: MandateKind,
    /** Subsystem of the register that filed it; null for a citizen's. */
    register: orNull(Type.String({ pattern: SUBSYSTEM_ID_PATTERN })),
    /** Keyed tags. */
    represented: Sha256,
    representative: Sha256,
    ...terms,
    majorityOn: orNull(Day),
    /** A citizen's offer lapses unanswered then; null for a register's. */
    answerUntilMs: orNull(TimeMs),
  },
  closed,
);
export type MandateTerms = Static<typeof MandateTerms>;

export type MandateState = 'OFFERED' | 'ACTIVE' | 'ENDED';

const END_REASONS = ['withdrawn', 'declined', 'resigned', 'revoked', 'lapsed', 'expired', 'majority'] as const;
export type MandateEnd = (typeof END_REASONS)[number];

/** What a record about a mandate says, beside its place in the chain. */
export const mandateRecordMembers = {
  mandate: Type.String({ pattern: MESSAGE_ID_PATTERN }),
  state: Type.Union([Type.Literal('OFFERED'), Type.Literal('ACTIVE'), Type.Literal('ENDED')]),
  by: Type.Union([
    Type.Literal('represented'),
    Type.Literal('representative'),
    Type.Literal('register'),
    Type.Literal('service'),
  ]),
  terms: Type.Optional(MandateTerms),
  reason: Type.Optional(Type.Union(END_REASONS.map((reason) => Type.Literal(reason)))),
  /** How the person who offered or accepted was known. */
  signIn: Type.Optional(
    Type.Object({ issuer: Type.String({ minLength: 1, maxLength: 500 }), hash: Sha256, level: Level }, closed),
  ),
};
