// Retention of sealed records (DESIGN: the message log): classes, holds, and what is written down when record keys are
// destroyed. The notes are the statements of four kinds of log entries, in canonical JSON (RFC 8785), and stay for ever:
// they hold no personal data beside the names of those who decided. Written by the security server; an auditor who reads
// them trusts nothing about them.
import { canonicalJson } from './canonical-json.ts';
import type { JsonValue } from './json.ts';
import { MAX_DESTROYED_RECORDS, MAX_HELD_EXCHANGES, MAX_KEPT_RECORDS, MAX_RETENTION_NOTE_BYTES } from './limits.ts';
import { readSpelled } from './one-spelling.ts';
import { AccordError, isAccordError, type ProblemCode } from './problems.ts';
import { Sha256 } from './registrations.ts';
import { type Static, type TSchema, Type } from './schema-builder.ts';
import { compile } from './validate.ts';

const closed = { additionalProperties: false };
const Uuid = Type.String({ pattern: '^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$' });
const Time = Type.Integer({ minimum: 0, maximum: 8_640_000_000_000_000 });
const Seq = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
/** Days since the epoch, UTC. */
export const Day = Type.Integer({ minimum: 0, maximum: 100_000_000 });
const Origin = Type.String({ minLength: 1, maxLength: 255 });
/** Of an exchange, as log entries carry it. */
const ExchangeId = Type.String({ minLength: 1, maxLength: 128 });
/** Why, in words of the department; no personal data. */
export const Reason = Type.String({ minLength: 1, maxLength: 500 });
/** The law, or the order of a court, with its number. */
export const LegalBasis = Type.String({ minLength: 1, maxLength: 300 });

/** As access rights name it (access-right.ts). */
const RETENTION_PATTERN = '^[a-z][a-z0-9-]{0,31}$';
export const RetentionName = Type.String({ pattern: RETENTION_PATTERN });
/** The class of everything that no right and no rule gives another. */
export const DEFAULT_RETENTION = 'standard';
export const DEFAULT_RETENTION_DAYS = 3_653;

export const RetentionClass = Type.Object(
  {
    name: RetentionName,
    title: Type.String({ minLength: 1, maxLength: 200 }),
    /** The longest time records of this class are kept, in days. */
    days: Type.Integer({ minimum: 1, maximum: 36_525 }),
    legalBasis: LegalBasis,
    /** Destroyed when due without a request for each time: two persons approved the class itself. */
    automatic: Type.Boolean(),
  },
  closed,
);
export type RetentionClass = Static<typeof RetentionClass>;

/** Who decided: a key of the admin API. */
export const Person = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100 }),
    role: Type.Union([Type.Literal('administrator'), Type.Literal('auditor')]),
    /** SHA-256 of the API key's text. */
    key: Sha256,
    atMs: Time,
  },
  closed,
);
export type Person = Static<typeof Person>;

/** Two keys of one person, or one key twice, are one person. */
export function areTwoPersons(one: Pick<Person, 'name' | 'key'>, other: Pick<Person, 'name' | 'key'>): boolean {
  const spelled = (name: string) => name.normalize('NFKC').trim().replace(/\s+/gu, ' ').toLowerCase();
  return one.key !== other.key && spelled(one.name) !== spelled(other.name);
}

export const DestroyedDays = Type.Object(
  {
    retention: RetentionName,
    /** Both belong to it; of a record, floor(t / 86,400,000). */
    firstDay: Day,
    lastDay: Day,
    /** Entries with sealed parts, and keys made ahead count where the process died before they were used. */
    records: Seq,
    keys: Seq,
  },
  closed,
);
export type DestroyedDays = Static<typeof DestroyedDays>;

/** Entries of one log. */
const Seqs = Type.Object(
  { origin: Origin, seqs: Type.Array(Seq, { minItems: 1, maxItems: MAX_KEPT_RECORDS, uniqueItems: true }) },
  closed,
);
/** One entry, by its place and its leaf hash. */
const DestroyedRecord = Type.Object({ origin: Origin, seq: Seq, leaf: Sha256 }, closed);

const scope = {
  destruction: Uuid,
  requested: Person,
  approved: Person,
  /** The class whose approved rule asked for it; null for a request. */
  rule: Type.Union([RetentionName, Type.Null()]),
  legalBasis: LegalBasis,
  reason: Reason,
  days: Type.Array(DestroyedDays, { maxItems: 64 }),
  /** Entries of these days whose keys stay, because they are held. */
  except: Type.Array(Seqs, { maxItems: 64 }),
  /** Single records, by order of a court. */
  records: Type.Array(DestroyedRecord, { maxItems: MAX_DESTROYED_RECORDS }),
};

/** What is going to be destroyed; durable before the first key goes. */
export const IntentNote = Type.Object({ v: Type.Literal(1), ...scope }, closed);
export type IntentNote = Static<typeof IntentNote>;

/** What the server signs when the keys are gone. */
export const DestructionCertificate = Type.Object(
  {
    v: Type.Literal(1),
    kind: Type.Literal('destruction'),
    /** INSTANCE/CLASS/MEMBER/SERVER, and the log that holds the intent. */
    server: Type.String({ minLength: 1, maxLength: 255 }),
    origin: Origin,
    /** The entry `destruction-intended`. */
    intent: Type.Object({ seq: Seq, leaf: Sha256 }, closed),
    destroyedAtMs: Time,
    ...scope,
  },
  closed,
);
export type DestructionCertificate = Static<typeof DestructionCertificate>;

/** `certificate`: a compact JWS (core/retention/certificate.ts). */
export const DoneNote = Type.Object(
  {
    v: Type.Literal(1),
    destruction: Uuid,
    certificate: Type.String({ pattern: '^[A-Za-z0-9_.-]+$', minLength: 1, maxLength: 2 * MAX_RETENTION_NOTE_BYTES }),
  },
  closed,
);
export type DoneNote = Static<typeof DoneNote>;

/** What a hold keeps. */
export const HeldScope = Type.Union([
  Type.Object(
    {
      kind: Type.Literal('exchanges'),
      ids: Type.Array(ExchangeId, { minItems: 1, maxItems: MAX_HELD_EXCHANGES, uniqueItems: true }),
    },
    closed,
  ),
  /** A salted hash of the person's tag: the tag itself is erasable and lies beside the log. */
  Type.Object({ kind: Type.Literal('subject'), commitment: Sha256 }, closed),
  /** Every class. */
  Type.Object({ kind: Type.Literal('period'), firstDay: Day, lastDay: Day }, closed),
  Type.Object({ kind: Type.Literal('class'), retention: RetentionName }, closed),
]);
export type HeldScope = Static<typeof HeldScope>;

export const HoldNote = Type.Object(
  { v: Type.Literal(1), hold: Uuid, placed: Person, scope: HeldScope, legalBasis: LegalBasis, reason: Reason },
  closed,
);
export type HoldNote = Static<typeof HoldNote>;

export const LiftNote = Type.Object(
  { v: Type.Literal(1), hold: Uuid, requested: Person, approved: Person, reason: Reason },
  closed,
);
export type LiftNote = Static<typeof LiftNote>;

/** The one spelling of a note. @throws TypeError when it does not fit: then it is the program's mistake */
export function encodeNote(note: IntentNote | DoneNote | HoldNote | LiftNote): string {
  const text = canonicalJson(note as unknown as JsonValue);
  if (Buffer.byteLength(text) > 2 * MAX_RETENTION_NOTE_BYTES) throw new TypeError('a note of retention is too long');
  return text;
}

function reader<T extends TSchema>(schema: T): (bytes: Uint8Array) => Static<T> {
  const check = compile(schema, 'RETENTION_NOTE_MALFORMED');
  return (bytes) => canonical(bytes, check, 'RETENTION_NOTE_MALFORMED');
}

/** @throws `code` unless the bytes are canonical JSON of this shape */
export function canonical<T>(bytes: Uint8Array, check: (value: unknown) => T, code: ProblemCode): T {
  const limits = { maxBytes: 2 * MAX_RETENTION_NOTE_BYTES, maxDepth: 8, maxValues: 20_000 };
  try {
    return readSpelled(bytes, check, limits, code);
  } catch (cause) {
    if (!isAccordError(cause) || cause.code === code) throw cause;
    throw new AccordError(code, cause.code, { cause });
  }
}

/** Each reads exact bytes. @throws RETENTION_NOTE_MALFORMED */
export const readIntent = reader(IntentNote);
export const readDone = reader(DoneNote);
export const readHold = reader(HoldNote);
export const readLift = reader(LiftNote);
