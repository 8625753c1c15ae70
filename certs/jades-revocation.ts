// Which revocation list speaks for a certificate of a path (RFC 5280 6.3), for the values beside a JAdES signature: the
// newest one that its issuer signed, of whatever time; how old it may be is the validator's rule (EN 319 102-1 5.2.5).
// The path was validated before; whoever hands in the lists controls their bytes.
import { checkCrl, readCrlTimes } from './crl.ts';
import { readCertificate } from './x509-read.ts';

export interface FoundList {
  der: Uint8Array;
  thisUpdateMs: number;
  /** Null when it does not name the certificate. */
  revokedAtMs: number | null;
}

/** @param issuer DER of the certificate above; RSA counts, because authorities of time-stamps have it */
export function newestList(
  certificate: Uint8Array,
  issuer: Uint8Array,
  crls: readonly Uint8Array[],
): FoundList | undefined {
  const serial = readCertificate(certificate).serialHex;
  let newest: FoundList | undefined;
  for (const der of crls) {
    const thisUpdateMs = readCrlTimes(der)?.thisUpdateMs;
    if (thisUpdateMs === undefined || (newest !== undefined && thisUpdateMs <= newest.thisUpdateMs)) continue;
    const said = checkCrl({ crl: der, issuer, serial, atMs: thisUpdateMs, allowRsa: true });
    if (said.status === 'unknown') continue;
    newest = { der, thisUpdateMs, revokedAtMs: said.status === 'revoked' ? said.revokedAtMs : null };
  }
  return newest;
}
