// Whether a time-stamp still counts when a certificate below it was revoked (RFC 3161 section 4, items 1 and 2; RFC 5280
// 5.3.1), and how a revocation list travels inside a token. Lists and answers come from whoever handed them in, often
// with the token itself: each counts only by the signature of the certificate's own issuer, and can only take away.
import { AccordError } from '#schemas/problems.ts';
import { sha256 } from './commitment.ts';
import { readCrlTimes } from './crl.ts';
import { openDer, TAG } from './der.ts';
import { derOf, derSequence, derSetOf } from './der-write.ts';
import { verifyOcsp } from './ocsp.ts';
import { certificateHash } from './path.ts';
import { judgeRevocation } from './revocation.ts';
import { readCertificate } from './x509-read.ts';

/** What is known of the certificates of time-stamp authorities. */
export interface TimeStampStatus {
  /** Revocation lists, DER. */
  crls?: readonly Uint8Array[];
  /** OCSP answers, DER. */
  answers?: readonly Uint8Array[];
  /** True for SHA-256 (base64url) of a certificate, or of its SubjectPublicKeyInfo, that is not trusted any more. */
  isDistrusted?: (hash: string) => boolean;
}

/** What RFC 3161 asks about one token: the moment it claims, and who signed. */
export interface StampedPath {
  genTimeMs: number;
  accuracyMs: number | null;
  /** DER from the signing certificate to the trusted one. */
  path: readonly Uint8Array[];
}

/** With one of these, or without a reason, whoever holds the key may have made tokens of any time. */
const COMPROMISED = ['keyCompromise', 'cACompromise', 'aACompromise'];

/**
 * Looks at every certificate of the path but the trusted one. A revocation that names no reason, or a compromise, ends
 * all tokens; any other ends those that were made after it. Distrust ends all.
 * @param nowMs the verifier's time
 * @throws TIME_STAMP_REVOKED
 */
export function requireNotRevoked(stamp: StampedPath, status: TimeStampStatus, nowMs: number): void {
  const { path, genTimeMs, accuracyMs } = stamp;
  const distrusted = status.isDistrusted;
  for (const der of distrusted === undefined ? [] : path) {
    if (distrusted?.(certificateHash(der)) || distrusted?.(sha256(readCertificate(der).publicKeyInfo))) {
      throw new AccordError('TIME_STAMP_REVOKED', `distrusted: ${readCertificate(der).subject.text}`);
    }
  }
  path.slice(0, -1).forEach((der, at) => {
    for (const { revokedAtMs, reason, reasonGiven } of revocations(path.slice(at), status, nowMs)) {
      const isAfter = genTimeMs + (accuracyMs ?? 0) >= revokedAtMs;
      if (reasonGiven && !COMPROMISED.includes(reason) && !isAfter) continue;
      const when = new Date(revokedAtMs).toISOString();
      throw new AccordError(
        'TIME_STAMP_REVOKED',
        `${readCertificate(der).subject.text}: ${reasonGiven ? reason : 'without a reason'}, ${when}`,
      );
    }
  });
}

interface Revocation {
  revokedAtMs: number;
  reason: string;
  reasonGiven: boolean;
}

/** By the newest list of its issuer, and by any answer. */
function revocations(path: readonly Uint8Array[], status: TimeStampStatus, nowMs: number): Revocation[] {
  const [certificate, issuer] = path;
  if (certificate === undefined || issuer === undefined) return [];
  const { crls = [], answers = [] } = status;
  const listed = judgeRevocation(certificate, issuer, crls, nowMs, true);
  const said = answers.map((response) => verifyOcsp({ response, path, crls, ...rulesAt(nowMs) }));
  return [listed, ...said].filter((one) => one.status === 'revoked');
}

function rulesAt(atMs: number): { atMs: number; allowRsa: true; profile: 'rfc5280' } {
  return { atMs, allowRsa: true, profile: 'rfc5280' };
}

/** Whether this list, by the signature of its issuer, revokes a certificate of the path. */
export function revokesIn(crl: Uint8Array, path: readonly Uint8Array[]): boolean {
  const atMs = readCrlTimes(crl)?.thisUpdateMs;
  if (atMs === undefined) return false;
  return path.slice(0, -1).some((certificate, at) => {
    const issuer = path[at + 1] ?? certificate;
    return judgeRevocation(certificate, issuer, [crl], atMs, true).status === 'revoked';
  });
}

/**
 * Until when a list or an answer says that the signing certificate, the first of the path, is not revoked; null where
 * none says so. Whether one says that it is revoked is asked above.
 */
export function knownGoodUntilMs(path: readonly Uint8Array[], status: TimeStampStatus, nowMs: number): number | null {
  const [certificate, issuer] = path;
  if (certificate === undefined || issuer === undefined) return null;
  const { crls = [], answers = [] } = status;
  const listed = judgeRevocation(certificate, issuer, crls, nowMs, true);
  const ends = answers.flatMap((response) => {
    const said = verifyOcsp({ response, path, crls, graceMs: Number.MAX_SAFE_INTEGER, ...rulesAt(nowMs) });
    return said.status === 'good' ? said.endsMs : [];
  });
  if (listed.status === 'good') ends.push(listed.nextUpdateMs);
  return ends.length === 0 ? null : Math.max(...ends);
}

/**
 * The same token with revocation lists beside its certificates (RFC 5652 5.1, `crls`): nothing that is signed changes.
 * @param token in DER. @param crls DER; they replace what was there
 * @throws DER_INVALID
 */
export function withRevocationLists(token: Uint8Array, crls: readonly Uint8Array[]): Buffer {
  const info = openDer(Buffer.from(token), TAG.SEQUENCE, 'content info');
  const type = info.take(TAG.OID, 'content type').raw;
  const data = info.open(0xa0, 'content').open(TAG.SEQUENCE, 'signed data');
  const parts: Buffer[] = [];
  while (!data.done) {
    const value = data.next();
    if (value.tag !== 0xa1) parts.push(value.raw);
  }
  const signers = parts.pop() ?? Buffer.alloc(0);
  const lists = crls.length === 0 ? [] : [derSetOf(0xa1, crls)];
  return derSequence(type, derOf(0xa0, derSequence(...parts, ...lists, signers)));
}
