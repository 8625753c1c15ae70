// What the revocation lists at hand say about one certificate (RFC 5280 section 6.3), when several lists of one issuer
// may lie side by side. The lists are those of the approved configuration; what each says is judged in crl.ts.
//
// The newest readable list of the issuer decides, also one whose next update is over or whose first second has not come:
// what it names stays revoked. How old a list may be for what it does not name is the caller's rule.
import { checkCrl, readCrlTimes } from './crl.ts';
import { readCertificate } from './x509-read.ts';

export type RevocationVerdict =
  | { status: 'revoked'; reason: string; reasonGiven: boolean; revokedAtMs: number }
  /** Not on the list; the list speaks until `nextUpdateMs`. */
  | { status: 'good'; nextUpdateMs: number }
  /** No list of this issuer; `problems` are the codes of lists of that name that do not count. */
  | { status: 'no-list'; problems: readonly string[] };

/**
 * @param certificate DER, part of a valid path
 * @param issuer DER of the certificate above it in that path
 * @param crls DER of all lists at hand, in any order
 * @param allowRsa enables the RSA rows of the algorithm table
 */
export function judgeRevocation(
  certificate: Uint8Array,
  issuer: Uint8Array,
  crls: readonly Uint8Array[],
  nowMs: number,
  allowRsa = false,
): RevocationVerdict {
  const serial = readCertificate(certificate).serialHex;
  const problems: string[] = [];
  let newest: { thisUpdateMs: number; verdict: RevocationVerdict } | undefined;
  for (const crl of crls) {
    const times = readCrlTimes(crl);
    if (times === undefined || (newest !== undefined && times.thisUpdateMs <= newest.thisUpdateMs)) continue;
    const { thisUpdateMs, nextUpdateMs } = times;
    const atMs = Math.max(thisUpdateMs, Math.min(nowMs, nextUpdateMs));
    const said = checkCrl({ crl, issuer, serial, atMs, allowRsa });
    if (said.status === 'unknown') {
      // Two authorities may have one name and different keys: the other one's list is nothing to worry about.
      if (said.code !== 'CRL_ISSUER_MISMATCH') problems.push(said.code);
      continue;
    }
    newest = { thisUpdateMs, verdict: said.status === 'good' ? { status: 'good', nextUpdateMs } : said };
  }
  return newest?.verdict ?? { status: 'no-list', problems };
}
