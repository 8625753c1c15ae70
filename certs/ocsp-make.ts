// Makes answers of the Online Certificate Status Protocol (RFC 6960 section 4.2): what a certification authority's
// responder says about the certificates of its ledger. What it is asked comes from strangers, what it says from the ledger.
import { type KeyObject, sign } from 'node:crypto';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { TAG } from './der.ts';
import { derOf, derOid, derSequence } from './der-write.ts';
import type { Ledger } from './ledger.ts';
import { type CertId, keyHash, namesIssuer, readOcspRequest } from './ocsp-request.ts';
import { REVOCATION_REASONS } from './profiles.ts';
import { curveOf } from './x509-library.ts';
import { readCertificate } from './x509-read.ts';

/** What the authority knows of one serial number (lower-case hexadecimal, no leading zeros). */
export type KnownStatus = 'good' | 'unknown' | { revokedAtMs: number; reason: number };

export interface OcspResponder {
  /** DER: the issuing CA's certificate, and the certificate whose key signs: the same, or one that the CA appointed. */
  issuer: Uint8Array;
  certificate: Uint8Array;
  privateKey: KeyObject;
  statusOf: (serial: string) => KnownStatus;
  /** How long an answer holds: its nextUpdate. */
  validityMs: number;
}

/** What an authority's ledger says of the certificates of one of its two authorities. */
export function ledgerStatus(ledger: Pick<Ledger, 'get'>, role: 'root' | 'issuing'): (serial: string) => KnownStatus {
  return (serial) => {
    const entry = ledger.get(serial);
    if (entry === undefined || entry.certificate.issuer !== role) return 'unknown';
    const { revocation } = entry;
    if (revocation === undefined) return 'good';
    return { revokedAtMs: revocation.atMs, reason: REVOCATION_REASONS[revocation.reason] };
  };
}

/**
 * The DER of the answer to a request; a refusal (RFC 6960 4.2.1) when it cannot be read (`malformedRequest`) or asks
 * about another authority's certificates (`unauthorized`, RFC 5019 2.2.3), or when the responder's certificate is over (`tryLater`). Never throws for what stands in the request.
 * @throws KEY_UNSUITABLE
 */
export function answerOcsp(request: Uint8Array, responder: OcspResponder, nowMs: number): Buffer {
  let asked: CertId[];
  try {
    asked = readOcspRequest(request);
  } catch (error) {
    if (isAccordError(error, 'DER_INVALID')) return refusal(1);
    throw error;
  }
  const issuer = readCertificate(responder.issuer);
  if (!asked.every((one) => namesIssuer(one, issuer))) return refusal(6);
  // An answer that outlives the certificate below it counts nowhere: better none, and somebody looks.
  if (endOf(responder) <= nowMs) return refusal(3);
  return signedAnswer(asked, responder, nowMs);
}

/** No answer lasts longer than the certificate that it is signed with. */
function endOf({ certificate }: OcspResponder): number {
  return readCertificate(certificate).notAfterSeconds * 1000;
}

function refusal(status: number): Buffer {
  return derSequence(derOf(TAG.ENUMERATED, Buffer.of(status)));
}

function signedAnswer(asked: readonly CertId[], responder: OcspResponder, nowMs: number): Buffer {
  const certificate = readCertificate(responder.certificate);
  const isDelegated = !certificate.der.equals(responder.issuer);
  const now = generalized(nowMs);
  const next = generalized(Math.min(nowMs + responder.validityMs, endOf(responder)));
  const answers = asked.map((one) =>
    derSequence(one.der, statusValue(responder.statusOf(one.serial)), now, derOf(0xa0, next)),
  );
  const byKey = derOf(0xa2, derOf(TAG.OCTET_STRING, keyHash('sha1', certificate.publicKeyInfo)));
  const tbs = derSequence(byKey, now, derSequence(...answers));
  const { algorithm, hash } = algorithmOf(responder.privateKey);
  const signature = derOf(TAG.BIT_STRING, Buffer.of(0), sign(hash, tbs, responder.privateKey));
  const basic = derSequence(
    tbs,
    derSequence(derOid(algorithm)),
    signature,
    ...(isDelegated ? [derOf(0xa0, derSequence(certificate.der))] : []),
  );
  const bytes = derSequence(derOid('1.3.6.1.5.5.7.48.1.1'), derOf(TAG.OCTET_STRING, basic));
  return derSequence(derOf(TAG.ENUMERATED, Buffer.of(0)), derOf(0xa0, bytes));
}

function statusValue(status: KnownStatus): Buffer {
  if (status === 'good') return derOf(0x80);
  if (status === 'unknown') return derOf(0x82);
  const reason = derOf(0xa0, derOf(TAG.ENUMERATED, Buffer.of(status.reason)));
  return derOf(0xa1, generalized(status.revokedAtMs), reason);
}

/** Whole seconds: fractions break the readers of many. */
function generalized(atMs: number): Buffer {
  const text = new Date(Math.floor(atMs / 1000) * 1000).toISOString().replace(/[-:T]|\.000/g, '');
  return derOf(TAG.GENERALIZED_TIME, Buffer.from(text, 'latin1'));
}

function algorithmOf(key: KeyObject): { algorithm: string; hash: string } {
  const curve = curveOf(key);
  if (curve === undefined) throw new AccordError('KEY_UNSUITABLE', 'OCSP answers are signed with P-256 or P-384');
  return curve === 'P-256'
    ? { algorithm: '1.2.840.10045.4.3.2', hash: 'sha256' }
    : { algorithm: '1.2.840.10045.4.3.3', hash: 'sha384' };
}
