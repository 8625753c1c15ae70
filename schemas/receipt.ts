// A receipt (DESIGN: who may ask for what, Consent): what one citizen allowed one subsystem to learn from one service for
// one purpose, as a JWS of the consent service that the provider's server checks without asking anybody. The consent
// service writes it; the asking department carries it, and may not be able to change a byte of it.
import { EntryRef, Level } from './dictionary-entry.ts';
import { Frequency } from './frequency.ts';
import { SERVICE_ID_PATTERN, SUBSYSTEM_ID_PATTERN } from './identifiers.ts';
import { parseJson } from './json.ts';
import { MAX_FIELDS, MAX_RECEIPT_BYTES } from './limits.ts';
import { Purpose } from './purpose.ts';
import { Sha256 } from './registrations.ts';
import { type Static, Type } from './schema-builder.ts';
import { MESSAGE_ID_PATTERN } from './statement.ts';
import { compile } from './validate.ts';

const closed = { additionalProperties: false };
const Seconds = Type.Integer({ minimum: 0, maximum: 99_999_999_999 });

export const RECEIPT_TYP = 'accord-receipt+jwt';

export const Receipt = Type.Object(
  {
    v: Type.Literal(1),
    /** Subsystem of the consent service. */
    iss: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    /** UUIDv7. */
    jti: Type.String({ pattern: MESSAGE_ID_PATTERN }),
    iat: Seconds,
    nbf: Seconds,
    exp: Seconds,
    /** The subsystem that may ask; bound to the signing keys it is registered with when it asks. */
    client: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    /** The provider's subsystem. */
    aud: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    service: Type.String({ pattern: SERVICE_ID_PATTERN }),
    /** `hash` pins the words the citizen read (purpose.ts). */
    purpose: Type.Object({ id: Purpose.properties.id, version: Purpose.properties.version, hash: Sha256 }, closed),
    elements: Type.Array(EntryRef, { minItems: 1, maxItems: MAX_FIELDS, uniqueItems: true }),
    /** Pairwise pseudonym of the citizen at the client: two clients' receipts cannot be joined by it. */
    sub: Sha256,
    /** The same of whoever acted for the citizen under a mandate; null when nobody did. Absent in receipts of before. */
    actor: Type.Optional(Type.Union([Sha256, Type.Null()])),
    /** The provider's own identifier of the citizen, sealed to each of the provider's subject keys (compact JWE). */
    subject: Type.Array(Type.String({ pattern: '^[A-Za-z0-9_-]+(?:\\.[A-Za-z0-9_-]*){4}$', maxLength: 2_000 }), {
      minItems: 1,
      maxItems: 4,
    }),
    /** Requests it may be used for; null for as many as the validity lasts. */
    uses: Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000 }), Type.Null()]),
    /** And within any so many days. Absent without such a limit: a provider that does not know it must refuse the others. */
    frequency: Type.Optional(Frequency),
    retentionDays: Type.Integer({ minimum: 0, maximum: 36_500 }),
    /** SHA-256 of the notice that was shown, and its language. */
    notice: Type.Object({ hash: Sha256, language: Type.Union([Type.Literal('zh'), Type.Literal('en')]) }, closed),
    /** How the citizen was known: hash of `jti`, a space and the salted hash of the ID token (which only the record holds), that record in the consent service's log, the level. */
    signIn: Type.Object({ hash: Sha256, record: Type.Integer({ minimum: 0 }), level: Level }, closed),
    /** Token Status List: where, and which entry. */
    status: Type.Object(
      {
        uri: Type.String({ pattern: '^https?://[^?#\\s]{1,500}$' }),
        idx: Type.Integer({ minimum: 0, maximum: 4_194_303 }),
      },
      closed,
    ),
  },
  closed,
);
export type Receipt = Static<typeof Receipt>;

const check = compile(Receipt, 'RECEIPT_MALFORMED');

/** Reads the payload of a receipt. @throws RECEIPT_MALFORMED, JSON_* */
export function parseReceipt(payload: Uint8Array): Receipt {
  return check(parseJson(payload, { maxBytes: MAX_RECEIPT_BYTES, maxDepth: 4, maxValues: 400 }));
}

/** What a sealed subject holds; bound to its receipt so that it cannot be moved into another. */
export const SealedSubject = Type.Object(
  {
    jti: Type.String({ pattern: MESSAGE_ID_PATTERN }),
    scheme: EntryRef,
    value: Type.String({ minLength: 1, maxLength: 256 }),
  },
  closed,
);
export type SealedSubject = Static<typeof SealedSubject>;

/** Token Status List values (2 bits). */
export const STATUS = { valid: 0, invalid: 1, suspended: 2 } as const;
