// Examines a certificate before it is signed for real: what the strict reader sees must be, field by field, what the
// profile says. The reader and node:crypto did not make the certificate, so that a fault of the library that did, or of
// the profile's use, does not end in a signature. Findings are data; none means that it may be signed.
import { X509Certificate } from 'node:crypto';
import { isAccordError } from '#schemas/problems.ts';
import { type ExpectedCertificate, keyIdentifier, OID_NO_CHECK } from './authority-contents.ts';
import { type HolderNames, holderUri, readHolderNames } from './holder-names.ts';
import { BACKDATE_MS, DAY_MS, PROFILES } from './profiles.ts';
import { readCertificateKey, signatureAlgorithmName } from './x509-algorithms.ts';
import { EXTENSION } from './x509-extensions.ts';
import { curveOf } from './x509-library.ts';
import type { GeneralName } from './x509-name.ts';
import { type Certificate, readCertificate } from './x509-read.ts';

const OID_CRL_DISTRIBUTION_POINTS = '2.5.29.31';

/** Everything that is not as it must be. @param der the certificate, signed with a throw-away key */
export function lintCertificate(der: Buffer, expected: ExpectedCertificate): string[] {
  let certificate: Certificate;
  try {
    new X509Certificate(der);
    certificate = readCertificate(der);
  } catch (error) {
    return [`unreadable: ${isAccordError(error) ? error.detail : 'node:crypto refuses it'}`];
  }
  const checks: [string, boolean][] = [
    ...checkFrame(certificate, expected),
    ...checkKeys(certificate, expected),
    ...checkUse(certificate, expected),
  ];
  return checks.filter(([, fine]) => !fine).map(([what]) => what);
}

function checkFrame(certificate: Certificate, expected: ExpectedCertificate): [string, boolean][] {
  const { serialHex, notBeforeSeconds, notAfterSeconds, subject, issuer } = certificate;
  const above = expected.issuer;
  const lifetimeMs = (notAfterSeconds - notBeforeSeconds) * 1000;
  const shown = expected.subject.map(([type, value]) => `${type}=${value}`).join(', ');
  return [
    ['serial number', serialHex === expected.serial && /^[4-7][0-9a-f]{31,39}$/.test(serialHex)],
    ['notBefore', notBeforeSeconds * 1000 === expected.notBeforeMs],
    ['notAfter', notAfterSeconds * 1000 === expected.notAfterMs],
    ['lifetime', lifetimeMs > 0 && lifetimeMs <= PROFILES[expected.profile].maxDays * DAY_MS + BACKDATE_MS + 1000],
    ['subject', subject.text === shown && expected.subject.every(([, value]) => [...value].length <= 64)],
    ['issuer', issuer.der.equals(above ? above.subject.der : subject.der)],
    ['within its issuer', above === undefined || within(certificate, above)],
  ];
}

/** Validity nests, and the issuer may have something of this kind below it. */
function within(certificate: Certificate, issuer: Certificate): boolean {
  const { basicConstraints } = issuer.extensions;
  const authority = certificate.extensions.basicConstraints?.ca === true;
  return (
    certificate.notBeforeSeconds >= issuer.notBeforeSeconds &&
    certificate.notAfterSeconds <= issuer.notAfterSeconds &&
    basicConstraints?.ca === true &&
    !(authority && basicConstraints.pathLength === 0) &&
    !certificate.publicKeyInfo.equals(issuer.publicKeyInfo)
  );
}

function checkKeys(certificate: Certificate, expected: ExpectedCertificate): [string, boolean][] {
  const found = readCertificateKey(certificate.publicKeyInfo, false);
  const curve = found === undefined ? undefined : curveOf(found.key);
  const algorithm = expected.signatureCurve === 'P-256' ? 'ecdsa-with-SHA256' : 'ecdsa-with-SHA384';
  const { subjectKeyId, authorityKeyId } = certificate.extensions;
  const issuerKeyId = expected.issuer?.extensions.subjectKeyId;
  return [
    ['public key', certificate.publicKeyInfo.equals(expected.publicKeyInfo)],
    ['curve', curve !== undefined && PROFILES[expected.profile].curves.includes(curve)],
    ['signature algorithm', signatureAlgorithmName(certificate.signatureAlgorithm, false) === algorithm],
    ['subject key identifier', subjectKeyId?.equals(keyIdentifier(expected.publicKeyInfo)) === true],
    [
      'authority key identifier',
      expected.issuer === undefined
        ? authorityKeyId === undefined
        : issuerKeyId !== undefined && authorityKeyId?.keyId?.equals(issuerKeyId) === true,
    ],
  ];
}

function checkUse(certificate: Certificate, expected: ExpectedCertificate): [string, boolean][] {
  const row = PROFILES[expected.profile];
  const { critical, basicConstraints, keyUsage, extendedKeyUsage = [], subjectAltNames = [] } = certificate.extensions;
  const extensions = new Map<string, boolean>([
    [EXTENSION.basicConstraints, true],
    [EXTENSION.keyUsage, true],
    [EXTENSION.subjectKeyId, false],
  ]);
  if (row.keyPurposes.length > 0) extensions.set(EXTENSION.extendedKeyUsage, false);
  if (expected.issuer) extensions.set(EXTENSION.authorityKeyId, false);
  if (expected.names) extensions.set(EXTENSION.subjectAltName, false);
  if (row.noCheck) extensions.set(OID_NO_CHECK, false);
  if (expected.crlUrl !== undefined) extensions.set(OID_CRL_DISTRIBUTION_POINTS, false);
  const sameExtensions = [...extensions].every(([oid, flag]) => critical.get(oid) === flag);
  return [
    ['extensions', sameExtensions && critical.size === extensions.size],
    ['basic constraints', basicConstraints?.ca === (row.pathLength !== undefined)],
    ['path length', basicConstraints?.pathLength === row.pathLength],
    ['key usage', keyUsage === row.keyUsage],
    ['key purposes', extendedKeyUsage.join() === row.keyPurposes.join()],
    ['names', sameNames(subjectAltNames, expected.names)],
    ['revocation list', certificate.der.includes(expected.crlUrl ?? '')],
  ];
}

function sameNames(found: readonly GeneralName[], expected: HolderNames | undefined): boolean {
  if (expected === undefined) return found.length === 0;
  const { dnsNames, ipAddresses, ...holder } = readHolderNames(found);
  return (
    holderUri(holder) === holderUri(expected) &&
    dnsNames.join() === expected.dnsNames.join() &&
    ipAddresses.join() === expected.ipAddresses.join()
  );
}
