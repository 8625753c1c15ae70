// The certificate of destruction (docs/evidence.md, Retention and erasure): a compact JWS (RFC 7515) of type
// `accord-destruction+jws` over canonical JSON, under the signing certificate that the server is registered with. Whoever
// holds the entry of a record sees from it whether exactly this record's key was destroyed, when, on what law and by whom.
// An auditor gets it from the server it is about, and believes nothing of it before the signature verified.
import type { KeyObject } from 'node:crypto';
import type { SignatureAlgorithm } from '#certs/algorithms.ts';
import { parseCompact, signCompact, verifyParsed } from '#certs/jws.ts';
import { base64url } from '#schemas/base64url.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import type { JsonValue } from '#schemas/json.ts';
import { MAX_RETENTION_NOTE_BYTES } from '#schemas/limits.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { canonical, DestructionCertificate, type IntentNote } from '#schemas/retention.ts';
import { compile } from '#schemas/validate.ts';

const TYP = 'accord-destruction+jws';
const POLICY = {
  algorithms: ['ES256', 'EdDSA'] as readonly SignatureAlgorithm[],
  typ: TYP,
  headers: ['alg', 'typ', 'x5t#S256'],
  maxBytes: 2 * MAX_RETENTION_NOTE_BYTES,
};
const MS_PER_DAY = 86_400_000;
const check = compile(DestructionCertificate, 'DESTRUCTION_MALFORMED');

/** @returns the compact JWS @throws TypeError when the certificate is out of bounds or the key is not for `alg` */
export function signCertificate(
  certificate: DestructionCertificate,
  { alg, key, certificateHash }: { alg: SignatureAlgorithm; key: KeyObject; certificateHash: string },
): string {
  const payload = Buffer.from(canonicalJson(certificate as unknown as JsonValue), 'utf8');
  return signCompact(payload, { typ: TYP, 'x5t#S256': certificateHash }, { alg, key });
}

export interface ReadCertificate {
  certificate: DestructionCertificate;
  /** SHA-256 of the signing certificate, base64url. */
  certificateHash: string;
  /** True when it was signed with the private half of this key. */
  isSignedBy(key: KeyObject): boolean;
}

/** Reads the form; proves nothing about who signed. @throws DESTRUCTION_MALFORMED */
export function readCertificate(jws: string): ReadCertificate {
  const parsed = malformed(() => parseCompact(jws, POLICY));
  const certificateHash = parsed.header['x5t#S256'];
  if (typeof certificateHash !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(certificateHash)) {
    throw new AccordError('DESTRUCTION_MALFORMED', 'it names no signing certificate');
  }
  const certificate = canonical(parsed.payload, check, 'DESTRUCTION_MALFORMED');
  const isSignedBy = (key: KeyObject) => malformed(() => verifyParsed(parsed, key));
  return { certificate, certificateHash, isSignedBy };
}

/** @throws DESTRUCTION_MALFORMED, JWS_SIGNATURE_WRONG */
export function verifyCertificate(jws: string, key: KeyObject): DestructionCertificate {
  const read = readCertificate(jws);
  if (!read.isSignedBy(key)) throw new AccordError('JWS_SIGNATURE_WRONG', 'the certificate of destruction');
  return read.certificate;
}

function malformed<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!isAccordError(cause)) throw cause;
    throw new AccordError('DESTRUCTION_MALFORMED', `${cause.code} ${cause.detail}`.trim(), { cause });
  }
}

/** What a destruction is about: as it was intended, and where the intent stands. */
export type Destroyed = Pick<DestructionCertificate, 'origin' | 'intent'> &
  Pick<IntentNote, 'days' | 'except' | 'records'>;

/**
 * Whether the key of exactly this record was destroyed.
 * @param origin of the log that holds the entry
 * @param leaf its leaf hash
 */
export function coversEntry(
  { origin: ofIntent, intent, days, except, records }: Destroyed,
  origin: string,
  { seq, t, retention }: Pick<LogEntry, 'seq' | 't' | 'retention'>,
  leaf: Uint8Array,
): boolean {
  const hash = base64url(leaf);
  if (records.some((one) => one.origin === origin && one.seq === seq && one.leaf === hash)) return true;
  const day = Math.floor(t / MS_PER_DAY);
  const isOfDays = days.some((one) => one.retention === retention && one.firstDay <= day && day <= one.lastDay);
  const isKept = except.some((one) => one.origin === origin && one.seqs.includes(seq));
  return isOfDays && !isKept && (origin !== ofIntent || seq < intent.seq);
}

/** Whether a certificate says what had been intended, in the same words. */
export function isCertificateOf(certificate: DestructionCertificate, note: IntentNote): boolean {
  const {
    v: _v,
    kind: _kind,
    server: _server,
    origin: _origin,
    intent: _intent,
    destroyedAtMs: _at,
    ...scope
  } = certificate;
  return spelled(scope) === spelled(scopeOf(note));
}

function spelled(value: object): string {
  return canonicalJson(value as JsonValue);
}

/** What an intent asks for and its certificate repeats. */
export function scopeOf(note: IntentNote): Omit<IntentNote, 'v'> {
  const { destruction, requested, approved, rule, legalBasis, reason, days, except, records } = note;
  return { destruction, requested, approved, rule, legalBasis, reason, days, except, records };
}
