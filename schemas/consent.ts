// What a department asks of a citizen, and the records of what became of it (DESIGN: who may ask for what, Consent). A
// request is written by a department's backend; records by the consent service alone, one canonical JSON line each, never
// changed: every line carries the hash of the line before, so that a changed or missing one shows.
import { canonicalJson } from './canonical-json.ts';
import { EntryRef, Level } from './dictionary-entry.ts';
import { Frequency } from './frequency.ts';
import { SERVICE_ID_PATTERN, SUBSYSTEM_ID_PATTERN } from './identifiers.ts';
import { isJsonObject, type JsonValue, parseJson } from './json.ts';
import { MAX_CONSENT_DAYS, MAX_CONSENT_RECORD_BYTES, MAX_CONSENT_SERVICES, MAX_FIELDS } from './limits.ts';
import { mandateRecordMembers } from './mandate.ts';
import { Purpose } from './purpose.ts';
import { Sha256 } from './registrations.ts';
import { type Static, Type } from './schema-builder.ts';
import { MESSAGE_ID_PATTERN } from './statement.ts';
import { compile } from './validate.ts';

const closed = { additionalProperties: false };
const Text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
const Bilingual = (maxLength: number) => Type.Object({ zh: Text(maxLength), en: Text(maxLength) }, closed);
const TimeMs = Type.Integer({ minimum: 0 });
const Service = Type.String({ pattern: SERVICE_ID_PATTERN });
const Elements = Type.Array(EntryRef, { minItems: 1, maxItems: MAX_FIELDS, uniqueItems: true });
const Terms = {
  /** Requests each receipt may be used for; null for as many as the validity lasts. */
  uses: Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000 }), Type.Null()]),
  /** And how many of them within any so many days; null, or absent as in records of before, for no such limit. */
  frequency: Type.Optional(Type.Union([Frequency, Type.Null()])),
  validDays: Type.Integer({ minimum: 1, maximum: MAX_CONSENT_DAYS }),
  retentionDays: Type.Integer({ minimum: 0, maximum: 36_500 }),
  /** The department's own words about this case, beside the purpose's text. */
  reason: Type.Union([Bilingual(1000), Type.Null()]),
};

export const ConsentRequest = Type.Object(
  {
    v: Type.Literal(1),
    subject: Type.Object({ scheme: EntryRef, value: Text(256) }, closed),
    /** Id of the purpose; its version in force is pinned when the request is filed. */
    purpose: Purpose.properties.id,
    /** Elements and predicates (`id@major`), service by service. */
    items: Type.Array(Type.Object({ service: Service, elements: Elements }, closed), {
      minItems: 1,
      maxItems: MAX_CONSENT_SERVICES,
    }),
    ...Terms,
  },
  closed,
);
export type ConsentRequest = Static<typeof ConsentRequest>;

export const CONSENT_STATES = [
  'REQUESTED',
  'GIVEN',
  'REFUSED',
  'LAPSED',
  'SUSPENDED',
  'WITHDRAWN',
  'REVOKED',
  'EXPIRED',
  'INVALIDATED',
  'SUPERSEDED',
] as const;
export type ConsentState = (typeof CONSENT_STATES)[number];

const AskedItem = Type.Object(
  {
    element: EntryRef,
    kind: Type.Union([Type.Literal('element'), Type.Literal('predicate')]),
    labels: Bilingual(200),
    definition: Bilingual(2000),
    level: Level,
    /** Number of the choice it belongs to with others of its service; absent for one that is a choice by itself. */
    together: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_FIELDS })),
  },
  closed,
);
export type AskedItem = Static<typeof AskedItem>;

/** What was asked, with the words that the citizen is shown; fixed when the request is filed. */
export const AskedConsent = Type.Object(
  {
    client: Type.Object({ id: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }), name: Text(200) }, closed),
    /** Keyed tag of the person: the records name nobody. */
    subject: Sha256,
    purpose: Type.Object(
      {
        id: Purpose.properties.id,
        version: Purpose.properties.version,
        hash: Sha256,
        title: Purpose.properties.title,
        text: Purpose.properties.text,
      },
      closed,
    ),
    services: Type.Array(
      Type.Object(
        { service: Service, title: Text(200), provider: Text(200), items: Type.Array(AskedItem, { minItems: 1 }) },
        closed,
      ),
      { minItems: 1, maxItems: MAX_CONSENT_SERVICES },
    ),
    ...Terms,
    expiresAtMs: TimeMs,
    revocationBoundS: Type.Integer({ minimum: 1 }),
    /** The exact notices; what was shown is one of them, and its SHA-256 stands in the receipts. */
    notice: Bilingual(60_000),
  },
  closed,
);
export type AskedConsent = Static<typeof AskedConsent>;

/** What the citizen gave: always a part of what was asked. */
const GivenConsent = Type.Object(
  {
    given: Type.Array(Type.Object({ service: Service, elements: Elements }, closed), {
      minItems: 1,
      maxItems: MAX_CONSENT_SERVICES,
    }),
    validUntilMs: TimeMs,
    notice: Type.Object({ hash: Sha256, language: Type.Union([Type.Literal('zh'), Type.Literal('en')]) }, closed),
    /** `hash`: of salt and ID token; `nonce`: in it, the hash of what was agreed to (consent-service/agreement.ts). */
    signIn: Type.Object({ issuer: Text(500), hash: Sha256, nonce: Type.Optional(Sha256), level: Level }, closed),
    /** SHA-256 of each receipt's exact text. */
    receipts: Type.Array(
      Type.Object({ service: Service, jti: Type.String({ pattern: MESSAGE_ID_PATTERN }), hash: Sha256 }, closed),
      {
        minItems: 1,
        maxItems: MAX_CONSENT_SERVICES,
      },
    ),
  },
  closed,
);
export type GivenConsent = Static<typeof GivenConsent>;

const place = {
  v: Type.Literal(1),
  seq: Type.Integer({ minimum: 0 }),
  /** SHA-256 (base64url) of the line before; of no bytes for the first. */
  previous: Sha256,
  atMs: TimeMs,
};

const ConsentRecord = Type.Object(
  {
    ...place,
    consent: Type.String({ pattern: MESSAGE_ID_PATTERN }),
    state: Type.Union(CONSENT_STATES.map((state) => Type.Literal(state))),
    by: Type.Union([
      Type.Literal('citizen'),
      Type.Literal('representative'),
      Type.Literal('client'),
      Type.Literal('service'),
    ]),
    asked: Type.Optional(AskedConsent),
    given: Type.Optional(GivenConsent),
    /** Who acted for the person, with keyed tag; exactly when `by` is the representative. */
    acting: Type.Optional(
      Type.Object({ mandate: Type.String({ pattern: MESSAGE_ID_PATTERN }), representative: Sha256 }, closed),
    ),
  },
  closed,
);
export type ConsentRecord = Static<typeof ConsentRecord>;

/** One chain holds both, so that nobody can say later which came first: a decision, or the right to make it. */
const MandateRecord = Type.Object({ ...place, ...mandateRecordMembers }, closed);
export type MandateRecord = Static<typeof MandateRecord>;

export type ChainRecord = ConsentRecord | MandateRecord;

const checkConsent = compile(ConsentRecord, 'CONSENT_RECORDS_DAMAGED');
const checkMandate = compile(MandateRecord, 'CONSENT_RECORDS_DAMAGED');

/** The one spelling of a record; it is what is hashed and stored. */
export function chainRecordLine(record: ChainRecord): string {
  return canonicalJson(record as unknown as JsonValue);
}

/** @throws CONSENT_RECORDS_DAMAGED, JSON_* */
export function parseChainRecord(line: string): ChainRecord {
  const value = parseLine(line);
  return isJsonObject(value) && value['mandate'] !== undefined ? checkMandate(value) : checkConsent(value);
}

/** @throws CONSENT_RECORDS_DAMAGED, JSON_* */
export function parseConsentRecord(line: string): ConsentRecord {
  return checkConsent(parseLine(line));
}

function parseLine(line: string): JsonValue {
  return parseJson(line, { maxBytes: MAX_CONSENT_RECORD_BYTES, maxDepth: 10, maxValues: 50_000 });
}
