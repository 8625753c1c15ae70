// TSTInfo, what a time-stamp authority says and signs (RFC 3161 2.4.2). Strict DER as the RFC demands, one leniency: some
// authorities write the default of `ordering`. The authority, or whoever forged the token, controls the bytes.
import { type DerReader, derError, openDer, readBoolean, readInteger, readOid, readSmallInteger, TAG } from './der.ts';
import { HASH_OCTETS, hashOf, type TimeStampHash } from './time-stamp-algorithms.ts';
import { extensionList } from './x509-extensions.ts';

export interface TimeStampInfo {
  /** When the authority saw the imprint, milliseconds since the Unix epoch, rounded down. */
  genTimeMs: number;
  /** How far off that may be, rounded up; null where the authority leaves it to its policy. */
  accuracyMs: number | null;
  imprint: { hash: TimeStampHash; digest: Buffer };
  /** The authority's policy, an object identifier. */
  policy: string;
  /** Content octets in lower-case hexadecimal, sign octet included. */
  serialHex: string;
  /** As above; null when it answers a request without one. */
  nonceHex: string | null;
}

const MAX_SERIAL_OCTETS = 21;
const MAX_NONCE_OCTETS = 33;

/** @throws DER_INVALID */
export function readTimeStampInfo(der: Uint8Array): TimeStampInfo {
  const info = openDer(der, TAG.SEQUENCE, 'time-stamp info');
  if (readSmallInteger(info.take(TAG.INTEGER, 'version')) !== 1) throw derError('time-stamp info of another version');
  const policy = readOid(info.take(TAG.OID, 'policy'));
  const imprint = readImprint(info.open(TAG.SEQUENCE, 'imprint'));
  const serialHex = readBoundedInteger(info, MAX_SERIAL_OCTETS, 'serial number');
  const { atMs, more } = readGenTime(info.take(TAG.GENERALIZED_TIME, 'time').body.toString('latin1'));
  const accuracy = info.peek() === TAG.SEQUENCE ? readAccuracyMs(info.open(TAG.SEQUENCE, 'accuracy')) : null;
  const ordering = info.maybe(TAG.BOOLEAN);
  if (ordering !== undefined) readBoolean(ordering);
  const nonceHex = info.peek() === TAG.INTEGER ? readBoundedInteger(info, MAX_NONCE_OCTETS, 'nonce') : null;
  info.maybe(0xa0); // the authority's name: the certificate says it
  if (info.peek() === 0xa1) refuseCritical(info.open(0xa1, 'extensions'));
  info.end('time-stamp info');
  const accuracyMs = accuracy === null ? null : accuracy + (more ? 1 : 0);
  return { genTimeMs: atMs, accuracyMs, imprint, policy, serialHex, nonceHex };
}

/** MessageImprint. @throws DER_INVALID */
export function readImprint(imprint: DerReader): TimeStampInfo['imprint'] {
  const hash = hashOf(imprint.take(TAG.SEQUENCE, 'hash algorithm').raw);
  const digest = imprint.take(TAG.OCTET_STRING, 'hashed message').body;
  imprint.end('imprint');
  if (hash === undefined) throw derError('an imprint by another hash than SHA-2');
  if (digest.length !== HASH_OCTETS[hash]) throw derError('an imprint of another length than its hash');
  return { hash, digest };
}

export function readBoundedInteger(from: DerReader, maxOctets: number, what: string): string {
  const octets = readInteger(from.take(TAG.INTEGER, what));
  if (octets.length > maxOctets) throw derError(`${what}: too long`);
  return octets.toString('hex');
}

const GEN_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{0,8}[1-9]))?Z$/;

/** Zulu with seconds, a fraction without trailing zeros (RFC 3161 2.4.2). `more`: there is something below the ms. */
function readGenTime(text: string): { atMs: number; more: boolean } {
  const found = GEN_TIME.exec(text);
  if (found === null) throw derError('a time in another form than Zulu with seconds');
  const [, year, month, day, hour, minute, second, fraction = ''] = found;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const atMs = Date.parse(iso);
  if (!Number.isFinite(atMs) || new Date(atMs).toISOString() !== iso) throw derError('a time that does not exist');
  return { atMs: atMs + Number(fraction.slice(0, 3).padEnd(3, '0')), more: fraction.length > 3 };
}

function readAccuracyMs(accuracy: DerReader): number {
  const seconds = accuracy.maybe(TAG.INTEGER);
  const millis = accuracy.maybe(0x80);
  const micros = accuracy.maybe(0x81);
  accuracy.end('accuracy');
  const below = [millis, micros].map((part) => (part === undefined ? 0 : readSmallInteger(part)));
  if (below.some((part) => part > 999)) throw derError('an accuracy out of range');
  return (seconds === undefined ? 0 : readSmallInteger(seconds) * 1000) + (below[0] ?? 0) + (below[1] ? 1 : 0);
}

function refuseCritical(list: DerReader): void {
  const critical = extensionList(list).find((one) => one.critical);
  if (critical !== undefined) throw derError(`critical extension ${critical.oid}`);
}
