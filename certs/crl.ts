// Certificate revocation lists (RFC 5280 sections 5 and 6.3) in one form: a complete, direct, version 2 list signed by
// the CA that issued the certificates. Indirect, partitioned and delta lists carry critical extensions and are refused,
// so `unknown` is the answer whenever the list does not speak for the whole CA at the time of the check. Whoever serves
// the list controls its bytes until the signature is verified; the issuer is a certificate that was already validated.
import { isAccordError } from '#schemas/problems.ts';
import {
  DerReader,
  type DerValue,
  derError,
  openDer,
  readInteger,
  readSmallInteger,
  readTime,
  readWholeBits,
  TAG,
} from './der.ts';
import { MAX_CRL_BYTES } from './path-limits.ts';
import { readCertificateKey, signatureAlgorithmName, verifyCertificateSignature } from './x509-algorithms.ts';
import { EXTENSION, extensionList, KEY_USAGE } from './x509-extensions.ts';
import { readDistinguishedName } from './x509-name.ts';
import { type Certificate, readCertificate } from './x509-read.ts';

export interface CrlRequest {
  /** DER of the list. */
  crl: Uint8Array;
  /** DER of the CA certificate whose path was validated. */
  issuer: Uint8Array;
  /** Serial number in hexadecimal, as certificates and openssl print it; case and leading zeros do not matter. */
  serial: string;
  /** The time to judge at, milliseconds since the Unix epoch. */
  atMs: number;
  /** Enables the RSA rows of the algorithm table. Default false. */
  allowRsa?: boolean;
}

/** CRLReason (RFC 5280 5.3.1), without removeFromCRL, which belongs to delta lists only. */
export const CRL_REASONS = {
  0: 'unspecified',
  1: 'keyCompromise',
  2: 'cACompromise',
  3: 'affiliationChanged',
  4: 'superseded',
  5: 'cessationOfOperation',
  6: 'certificateHold',
  9: 'privilegeWithdrawn',
  10: 'aACompromise',
} as const;

type CrlReason = (typeof CRL_REASONS)[keyof typeof CRL_REASONS];

/** Why a list says nothing. CRL_STALE: its next update is over. */
type CrlCode =
  | 'CRL_MALFORMED'
  | 'CRL_ISSUER_INVALID'
  | 'CRL_ISSUER_MISMATCH'
  | 'CRL_ALGORITHM_UNSUPPORTED'
  | 'CRL_SIGNATURE_INVALID'
  | 'CRL_UNSUPPORTED'
  | 'CRL_NOT_YET_VALID'
  | 'CRL_STALE';

/**
 * `revoked` holds also when `revokedAtMs` lies after the time of the check; the caller decides what an earlier act is worth.
 * `reasonGiven`: whether the list states the reason; `unspecified` also stands for none (5.3.1).
 */
export type CrlStatus =
  | { status: 'good' }
  | { status: 'revoked'; revokedAtMs: number; reason: CrlReason; reasonGiven: boolean }
  | { status: 'unknown'; code: CrlCode; detail: string };

/**
 * The times a list names, in milliseconds since the epoch; undefined when it cannot be read. They are the list's own
 * word: only `checkCrl` tells whether the issuer signed it.
 */
export function readCrlTimes(crl: Uint8Array): { thisUpdateMs: number; nextUpdateMs: number } | undefined {
  if (crl.length > MAX_CRL_BYTES) return undefined;
  try {
    const inner = new DerReader(readOuter(Buffer.from(crl)).tbs.body);
    for (const _ of ['version', 'signature algorithm', 'issuer']) inner.next();
    return { thisUpdateMs: readTime(inner.next()) * 1000, nextUpdateMs: readTime(inner.next()) * 1000 };
  } catch (error) {
    if (isAccordError(error, 'DER_INVALID')) return undefined;
    throw error;
  }
}

/**
 * The list number (5.2.3), which grows with every list of one CA; undefined when it cannot be read. The list's own word,
 * as above.
 */
export function readCrlNumber(crl: Uint8Array): bigint | undefined {
  if (crl.length > MAX_CRL_BYTES) return undefined;
  try {
    const inner = new DerReader(readOuter(Buffer.from(crl)).tbs.body);
    for (const _ of ['version', 'signature algorithm', 'issuer', 'this update', 'next update']) inner.next();
    inner.maybe(TAG.SEQUENCE);
    const extensions = extensionList(inner.open(0xa0, 'list extensions').open(TAG.SEQUENCE, 'list extensions'));
    const number = extensions.find(({ oid }) => oid === EXTENSION.cRLNumber);
    if (number === undefined) return undefined;
    const digits = readInteger(new DerReader(number.value).take(TAG.INTEGER, 'list number')).toString('hex');
    return BigInt(`0x${digits}`);
  } catch (error) {
    if (isAccordError(error, 'DER_INVALID')) return undefined;
    throw error;
  }
}

/**
 * What `crl` says about one certificate of `issuer`. Nothing that is in the bytes makes it throw.
 * @throws TypeError when the serial is not hexadecimal or the time is no time
 */
export function checkCrl(request: CrlRequest): CrlStatus {
  if (!/^[0-9a-f]{1,64}$/i.test(request.serial)) throw new TypeError('serial is not hexadecimal');
  if (!Number.isFinite(request.atMs)) throw new TypeError('atMs is not a time');
  if (request.crl.length > MAX_CRL_BYTES) return unknown('CRL_MALFORMED', 'larger than the limit');
  try {
    const list = readOuter(Buffer.from(request.crl));
    const refusal = checkIssuer(list, request);
    return refusal ?? readList(list.tbs, request);
  } catch (error) {
    if (isAccordError(error, 'CERTIFICATE_MALFORMED')) return unknown('CRL_ISSUER_INVALID', error.detail);
    if (isAccordError(error, 'DER_INVALID')) return unknown('CRL_MALFORMED', error.detail);
    throw error;
  }
}

function unknown(code: CrlCode, detail: string): CrlStatus {
  return { status: 'unknown', code, detail };
}

interface OuterList {
  tbs: DerValue;
  signatureAlgorithm: Buffer;
  signature: Buffer;
}

function readOuter(crl: Buffer): OuterList {
  const outer = openDer(crl, TAG.SEQUENCE, 'list');
  const tbs = outer.take(TAG.SEQUENCE, 'to-be-signed part');
  const signatureAlgorithm = outer.take(TAG.SEQUENCE, 'signature algorithm').raw;
  const signature = readWholeBits(outer.take(TAG.BIT_STRING, 'signature'));
  outer.end('list');
  return { tbs, signatureAlgorithm, signature };
}

// The signature comes before anything inside is believed (6.3.3 f, g). The issuer must be allowed to sign lists.
function checkIssuer(list: OuterList, request: CrlRequest): CrlStatus | undefined {
  const allowRsa = request.allowRsa ?? false;
  const issuer = readCertificate(request.issuer);
  const { keyUsage = 0, basicConstraints } = issuer.extensions;
  const key = readCertificateKey(issuer.publicKeyInfo, allowRsa);
  if (basicConstraints?.ca !== true || (keyUsage & KEY_USAGE.cRLSign) === 0) {
    return unknown('CRL_ISSUER_INVALID', 'the issuer is not a CA that may sign lists');
  }
  if (key === undefined || signatureAlgorithmName(list.signatureAlgorithm, allowRsa) === undefined) {
    return unknown('CRL_ALGORITHM_UNSUPPORTED', 'outside the closed table');
  }
  if (!namesIssuer(list.tbs, issuer)) return unknown('CRL_ISSUER_MISMATCH', issuer.subject.text);
  if (!verifyCertificateSignature(list.signatureAlgorithm, key, list.tbs.raw, list.signature)) {
    return unknown('CRL_SIGNATURE_INVALID', issuer.subject.text);
  }
  const inner = new DerReader(list.tbs.body);
  inner.next();
  if (!inner.next().raw.equals(list.signatureAlgorithm)) throw derError('two different signature algorithms');
  return undefined;
}

function namesIssuer(tbs: DerValue, issuer: Certificate): boolean {
  const inner = new DerReader(tbs.body);
  inner.next();
  inner.next();
  return readDistinguishedName(inner.next()).key === issuer.subject.key;
}

// TBSCertList (5.1): version 2, next update present, entries, extensions.
function readList(tbs: DerValue, request: CrlRequest): CrlStatus {
  const inner = new DerReader(tbs.body);
  if (readSmallInteger(inner.take(TAG.INTEGER, 'version')) !== 1) throw derError('not version 2');
  inner.next();
  inner.next();
  const thisUpdateSeconds = readTime(inner.next());
  const nextUpdateSeconds = readTime(inner.next());
  const entries = inner.maybe(TAG.SEQUENCE);
  const wrapper = inner.open(0xa0, 'list extensions');
  const unsupported = checkListExtensions(
    wrapper.open(TAG.SEQUENCE, 'list extensions'),
    readCertificate(request.issuer),
  );
  wrapper.end('list extensions');
  inner.end('to-be-signed part');
  if (unsupported !== undefined) return unknown('CRL_UNSUPPORTED', unsupported);
  const atSeconds = Math.floor(request.atMs / 1000);
  if (atSeconds < thisUpdateSeconds) return unknown('CRL_NOT_YET_VALID', 'this update lies in the future');
  if (atSeconds > nextUpdateSeconds) return unknown('CRL_STALE', 'the next update is over');
  return findEntry(entries, request.serial.toLowerCase().replace(/^0+/, ''));
}

// A number and the CA's key are demanded (5.2.1, 5.2.3). An issuing distribution point restricts what the list speaks
// for, a delta indicator makes it a difference: both are critical, and critical means refused here.
function checkListExtensions(list: DerReader, issuer: Certificate): string | undefined {
  const found = extensionList(list);
  const critical = found.find(
    (extension) => extension.critical || extension.oid === EXTENSION.issuingDistributionPoint,
  );
  if (critical !== undefined) return `extension ${critical.oid}`;
  const number = found.find((extension) => extension.oid === EXTENSION.cRLNumber);
  const authority = found.find((extension) => extension.oid === EXTENSION.authorityKeyId);
  if (number === undefined || authority === undefined) return 'no list number or no authority key identifier';
  const numberReader = new DerReader(number.value);
  readInteger(numberReader.take(TAG.INTEGER, 'list number'));
  numberReader.end('list number');
  const keyId = openDer(authority.value, TAG.SEQUENCE, 'authority key identifier').maybe(0x80);
  const own = issuer.extensions.subjectKeyId;
  if (keyId === undefined || own === undefined || !keyId.body.equals(own)) return 'another key of the CA';
  return undefined;
}

// Every entry is read, also after the one that was looked for: a list with one bad entry is a bad list.
function findEntry(entries: DerValue | undefined, wanted: string): CrlStatus {
  let found: CrlStatus = { status: 'good' };
  if (entries === undefined) return found;
  const list = new DerReader(entries.body);
  if (list.done) throw derError('an empty list of entries');
  while (!list.done) {
    const entry = list.open(TAG.SEQUENCE, 'entry');
    const serial = readInteger(entry.take(TAG.INTEGER, 'serial number')).toString('hex').replace(/^0+/, '');
    const revokedAtMs = readTime(entry.next()) * 1000;
    const said = entry.done ? NO_REASON : readEntryExtensions(entry.open(TAG.SEQUENCE, 'entry extensions'));
    entry.end('entry');
    if (said === undefined) return unknown('CRL_UNSUPPORTED', 'an entry extension');
    if (serial === wanted && found.status === 'good') found = { status: 'revoked', revokedAtMs, ...said };
  }
  return found;
}

interface StatedReason {
  reason: CrlReason;
  reasonGiven: boolean;
}
const NO_REASON: StatedReason = { reason: 'unspecified', reasonGiven: false };

// The certificate issuer of an indirect list is a critical entry extension (5.3.3), so it is refused with all others.
function readEntryExtensions(list: DerReader): StatedReason | undefined {
  let stated: StatedReason = NO_REASON;
  for (const { oid, critical, value } of extensionList(list)) {
    if (critical) return undefined;
    if (oid !== EXTENSION.reasonCode) continue;
    const reader = new DerReader(value);
    const code = readSmallInteger(reader.take(TAG.ENUMERATED, 'reason'));
    reader.end('reason');
    if (!isReason(code)) throw derError('an unknown reason');
    stated = { reason: CRL_REASONS[code], reasonGiven: true };
  }
  return stated;
}

function isReason(code: number): code is keyof typeof CRL_REASONS {
  return Object.hasOwn(CRL_REASONS, code);
}
