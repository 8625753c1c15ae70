// One entry of the message log (DESIGN: the message log): one JSON line with a fixed order of members and exactly one
// spelling, because the leaf of the Merkle tree is the hash of these bytes. It holds no personal data and stays for
// ever; whatever must be erasable lies beside it. Written by the security server itself; read back by auditors, who
// trust nothing about it.
import { AccordError } from './problems.ts';
import { Sha256 } from './registrations.ts';
import { type Static, Type } from './schema-builder.ts';
import { compile } from './validate.ts';

/** What an entry records, and which kind of statement its evidence then has to be (null: any, or none). */
export const ENTRY_KINDS = {
  'request-sent': 'request',
  'request-received': 'request',
  'response-sent': 'response',
  'response-received': 'response',
  'refusal-sent': 'refusal',
  'refusal-received': 'refusal',
  'settlement-sent': 'settlement',
  'settlement-received': 'settlement',
  void: null,
  summary: null,
  'origin-opened': null,
  'key-rotated': null,
  /** A checkpoint of this log as others vouch for it: cosignatures, the aggregate log, time-stamps. */
  anchored: null,
  /** An OCSP answer (RFC 6960, DER) that later entries name in `ocsp`; its id is `ocsp:` and its hash. */
  'certificate-status': null,
  'destruction-intended': null,
  'destruction-done': null,
  'hold-placed': null,
  'hold-lifted': null,
  /** Entries up to a place were copied to an archive and read back. */
  archived: null,
} as const;

export type EntryKind = keyof typeof ENTRY_KINDS;

const kinds = Object.keys(ENTRY_KINDS) as EntryKind[];
const text = (maxLength: number) => Type.Union([Type.String({ minLength: 1, maxLength }), Type.Null()]);
const hash = Type.Union([Sha256, Type.Null()]);
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const LogEntry = Type.Object(
  {
    /** Place in the log, from 0: the leaf's index. */
    seq: count,
    /** When it was written, ms since the epoch; never less than in the entry before. */
    t: count,
    kind: Type.Union(kinds.map((kind) => Type.Literal(kind))),
    /** The exchange's id: the id of its request. */
    id: Type.String({ minLength: 1, maxLength: 128 }),
    /** The other security server. */
    peer: text(512),
    client: text(512),
    service: text(512),
    purpose: text(128),
    basis: text(32),
    /** Outcome or decision code. */
    code: text(64),
    decisionHash: hash,
    /** SHA-256 of the statement's exact bytes, of the batch JWS, and of the OCSP answer it was judged with. */
    statement: hash,
    signature: hash,
    ocsp: hash,
    /** Version of the global configuration it was judged under. */
    configuration: count,
    /** Retention class: which day keys its sealed part lies under. */
    retention: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
  },
  { additionalProperties: false },
);

export type LogEntry = Static<typeof LogEntry>;

/** Longest line `parseLogEntry` reads, in UTF-16 units; the bounds above stay below it. */
const MAX_ENTRY_LENGTH = 16 * 1024;

const MEMBERS = Object.keys(LogEntry.properties).length;

const check = compile(LogEntry, 'LOG_ENTRY_MALFORMED');

/** The one spelling of an entry. @throws LOG_ENTRY_MALFORMED when a member is out of bounds */
export function encodeLogEntry(entry: LogEntry): string {
  return spellPlain(entry) ?? spellAny(entry);
}

/** The whole judgement of an entry to be written. @throws LOG_ENTRY_MALFORMED */
export function spellAny(entry: LogEntry): string {
  return spell(check(entry));
}

/** Reads an entry that must be in its one spelling. @throws LOG_ENTRY_MALFORMED */
export function parseLogEntry(line: string): LogEntry {
  return readPlainEntry(line) ?? readAnyEntry(line);
}

/** The whole judgement: JSON, schema, spelling. @throws LOG_ENTRY_MALFORMED */
export function readAnyEntry(line: string): LogEntry {
  if (line.length > MAX_ENTRY_LENGTH) throw new AccordError('LOG_ENTRY_MALFORMED', 'too long');
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new AccordError('LOG_ENTRY_MALFORMED', 'not JSON');
  }
  const entry = check(value);
  if (spell(entry) !== line) throw new AccordError('LOG_ENTRY_MALFORMED', 'not its one spelling');
  return entry;
}

// The one spelling as one pattern, for lines whose texts are printable ASCII without escapes: an audit reads millions.
// What it does not match is not judged by it. A test holds it against the schema.
const PLAIN = '[ !#-\\[\\]-~]+';
const DIGITS = '(0|[1-9][0-9]{0,15})';
const textOr = (pattern: string) => `(?:"(${pattern})"|null)`;
const HASH = textOr('[A-Za-z0-9_-]{43}');
const PLAIN_ENTRY = new RegExp(
  `^\\{"seq":${DIGITS},"t":${DIGITS},"kind":"([a-z-]+)","id":"(${PLAIN})","peer":${textOr(PLAIN)},` +
    `"client":${textOr(PLAIN)},"service":${textOr(PLAIN)},"purpose":${textOr(PLAIN)},"basis":${textOr(PLAIN)},` +
    `"code":${textOr(PLAIN)},"decisionHash":${HASH},"statement":${HASH},"signature":${HASH},"ocsp":${HASH},` +
    `"configuration":${DIGITS},"retention":"([a-z0-9-]{1,32})"\\}$`,
);

/** An entry that is plainly right, or null when the whole judgement has to say. */
export function readPlainEntry(line: string): LogEntry | null {
  const m = PLAIN_ENTRY.exec(line);
  if (m === null) return null;
  const [seq, t, kind, id = '', configuration] = [Number(m[1]), Number(m[2]), m[3] ?? '', m[4], Number(m[15])];
  const fits =
    Number.isSafeInteger(seq) &&
    Number.isSafeInteger(t) &&
    Number.isSafeInteger(configuration) &&
    Object.hasOwn(ENTRY_KINDS, kind) &&
    id.length <= 128 &&
    (m[5]?.length ?? 0) <= 512 &&
    (m[6]?.length ?? 0) <= 512 &&
    (m[7]?.length ?? 0) <= 512 &&
    (m[8]?.length ?? 0) <= 128 &&
    (m[9]?.length ?? 0) <= 32 &&
    (m[10]?.length ?? 0) <= 64;
  if (!fits) return null;
  return {
    seq,
    t,
    kind: kind as EntryKind,
    id,
    peer: m[5] ?? null,
    client: m[6] ?? null,
    service: m[7] ?? null,
    purpose: m[8] ?? null,
    basis: m[9] ?? null,
    code: m[10] ?? null,
    decisionHash: m[11] ?? null,
    statement: m[12] ?? null,
    signature: m[13] ?? null,
    ocsp: m[14] ?? null,
    configuration,
    retention: m[16] ?? '',
  };
}

const IS_PLAIN = new RegExp(`^${PLAIN}$`);
const IS_HASH = /^[A-Za-z0-9_-]{43}$/;
const IS_RETENTION = /^[a-z0-9-]{1,32}$/;
const MAX_QUOTED = 1_024;

/** Quotes printable ASCII without escapes; what is written again and again is judged once. */
function quoter(maxLength: number): (text: string | null) => string | null {
  const quoted = new Map<string, string>();
  return (text) => {
    if (text === null) return 'null';
    const known = quoted.get(text);
    if (known !== undefined) return known;
    if (typeof text !== 'string' || text.length > maxLength || !IS_PLAIN.test(text)) return null;
    if (quoted.size >= MAX_QUOTED) quoted.clear();
    quoted.set(text, `"${text}"`);
    return `"${text}"`;
  };
}

const [quoteName, quotePurpose, quoteBasis, quoteCode] = [quoter(512), quoter(128), quoter(32), quoter(64)];
const isCount = (n: number) => Number.isSafeInteger(n) && n >= 0 && !Object.is(n, -0);
const quoteHash = (text: string | null) =>
  text === null ? 'null' : typeof text === 'string' && IS_HASH.test(text) ? `"${text}"` : null;

/** The spelling of an entry that is plainly right, or null when the schema has to say. A test holds the two together. */
export function spellPlain(e: LogEntry): string | null {
  const [peer, client, service] = [quoteName(e.peer), quoteName(e.client), quoteName(e.service)];
  const [purpose, basis, code] = [quotePurpose(e.purpose), quoteBasis(e.basis), quoteCode(e.code)];
  const [decision, statement] = [quoteHash(e.decisionHash), quoteHash(e.statement)];
  const [signature, ocsp] = [quoteHash(e.signature), quoteHash(e.ocsp)];
  const fits =
    isCount(e.seq) &&
    isCount(e.t) &&
    isCount(e.configuration) &&
    typeof e.kind === 'string' &&
    Object.hasOwn(ENTRY_KINDS, e.kind) &&
    typeof e.id === 'string' &&
    e.id.length <= 128 &&
    IS_PLAIN.test(e.id) &&
    typeof e.retention === 'string' &&
    IS_RETENTION.test(e.retention) &&
    peer !== null &&
    client !== null &&
    service !== null &&
    purpose !== null &&
    basis !== null &&
    code !== null &&
    decision !== null &&
    statement !== null &&
    signature !== null &&
    ocsp !== null;
  if (!fits || Object.keys(e).length !== MEMBERS) return null;
  return (
    `{"seq":${e.seq},"t":${e.t},"kind":"${e.kind}","id":"${e.id}","peer":${peer},"client":${client},` +
    `"service":${service},"purpose":${purpose},"basis":${basis},"code":${code},"decisionHash":${decision},` +
    `"statement":${statement},"signature":${signature},"ocsp":${ocsp},"configuration":${e.configuration},` +
    `"retention":"${e.retention}"}`
  );
}

/** JSON.stringify writes members in the order they were made in: this order is the format. */
function spell(e: LogEntry): string {
  return JSON.stringify({
    seq: e.seq,
    t: e.t,
    kind: e.kind,
    id: e.id,
    peer: e.peer,
    client: e.client,
    service: e.service,
    purpose: e.purpose,
    basis: e.basis,
    code: e.code,
    decisionHash: e.decisionHash,
    statement: e.statement,
    signature: e.signature,
    ocsp: e.ocsp,
    configuration: e.configuration,
    retention: e.retention,
  });
}
