// The contents of a certificate before it is signed, built from the profile alone (RFC 5280 section 4.2). Nothing here
// looks at a request: names arrive checked, everything else is a row of certs/profiles.ts.
import { createHash } from 'node:crypto';
import type { Extension } from '@peculiar/x509';
import { openDer, readWholeBits, TAG } from './der.ts';
import { type HolderNames, holderUri } from './holder-names.ts';
import { PROFILES, type ProfileName } from './profiles.ts';
import type { AuthorityCurve, X509Library } from './x509-library.ts';
import type { Certificate } from './x509-read.ts';

/** What a certificate is meant to say; it is built from this and examined against it. */
export interface ExpectedCertificate {
  profile: ProfileName;
  serial: string;
  subject: readonly (readonly [string, string])[];
  publicKeyInfo: Buffer;
  notBeforeMs: number;
  notAfterMs: number;
  /** Holders only. */
  names?: HolderNames;
  /** Absent on a root. */
  issuer?: Certificate;
  crlUrl?: string;
  signatureCurve: AuthorityCurve;
}

/** id-pkix-ocsp-nocheck, whose value is NULL (RFC 6960 4.2.2.2.1). */
export const OID_NO_CHECK = '1.3.6.1.5.5.7.48.1.5';

/** A key identifier after RFC 7093 section 2 method 1: 160 bits of SHA-256 over the key's bits. */
export function keyIdentifier(publicKeyInfo: Uint8Array): Buffer {
  const info = openDer(publicKeyInfo, TAG.SEQUENCE, 'public key');
  info.take(TAG.SEQUENCE, 'key algorithm');
  const bits = readWholeBits(info.take(TAG.BIT_STRING, 'key'));
  return createHash('sha256').update(bits).digest().subarray(0, 20);
}

/** Everything but the signature, in the form the library's generator takes. */
export function toBeSigned(x509: X509Library, expected: ExpectedCertificate) {
  const subject = new x509.Name(expected.subject.map(([type, value]) => ({ [type]: [{ utf8String: value }] })));
  return {
    serialNumber: expected.serial,
    subject,
    // The issuer's name as its own certificate encodes it: verifiers compare bytes.
    issuer: expected.issuer ? new x509.Name(expected.issuer.subject.der) : subject,
    notBefore: new Date(expected.notBeforeMs),
    notAfter: new Date(expected.notAfterMs),
    publicKey: expected.publicKeyInfo,
    extensions: extensionsOf(x509, expected),
  };
}

function extensionsOf(x509: X509Library, { profile, names, issuer, publicKeyInfo, crlUrl }: ExpectedCertificate) {
  const row = PROFILES[profile];
  const extensions: Extension[] = [
    new x509.BasicConstraintsExtension(row.pathLength !== undefined, row.pathLength, true),
    new x509.KeyUsagesExtension(row.keyUsage, true),
    new x509.SubjectKeyIdentifierExtension(keyIdentifier(publicKeyInfo).toString('hex')),
  ];
  if (row.keyPurposes.length > 0) extensions.push(new x509.ExtendedKeyUsageExtension([...row.keyPurposes]));
  if (issuer?.extensions.subjectKeyId) {
    extensions.push(new x509.AuthorityKeyIdentifierExtension(issuer.extensions.subjectKeyId.toString('hex')));
  }
  if (names) {
    extensions.push(
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: holderUri(names) },
        ...names.dnsNames.map((value) => ({ type: 'dns' as const, value })),
        ...names.ipAddresses.map((value) => ({ type: 'ip' as const, value })),
      ]),
    );
  }
  if (row.noCheck) extensions.push(new x509.Extension(OID_NO_CHECK, false, Buffer.of(TAG.NULL, 0)));
  if (crlUrl !== undefined) extensions.push(new x509.CRLDistributionPointsExtension([crlUrl]));
  return extensions;
}
