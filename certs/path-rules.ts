// What one certificate must be, apart from its place in a path: the rules for end-entity certificates, issuers and
// anchors of Accord's certificate profile (docs/certificates.md), which is RFC 5280 without its optional leniencies.
// Each function returns the first refusal, or undefined. The certificates come from peers, the purpose from the caller.
import { type PathRefusal, refuse } from './path-codes.ts';
import { signatureAlgorithmName } from './x509-algorithms.ts';
import { EXTENSION, type Extensions, KEY_USAGE, UNDERSTOOD } from './x509-extensions.ts';
import type { Certificate } from './x509-read.ts';

/**
 * What the end-entity key is used for: TLS `client` and `server`, `sign` statements, `encrypt` tickets, `timestamp`
 * tokens (RFC 3161), `ocsp` answers (RFC 6960 4.2.2.2), or `any`, which asks nothing about key usage and is for inspection
 * only.
 */
export type PathPurpose = 'client' | 'server' | 'sign' | 'encrypt' | 'timestamp' | 'ocsp' | 'any';

/**
 * How strict the rules are. `accord` is the profile of the exchange's own certificates. `rfc5280` is for certificates of
 * foreign authorities: what RFC 5280 leaves to the issuing CA is then not asked (key usage, extended key usage and key
 * identifiers may be absent, basic constraints not critical, anyExtendedKeyUsage stands for a purpose in an issuer).
 */
export type PathProfile = 'accord' | 'rfc5280';

interface PurposeRow {
  /** At least one of these key usage bits must be set. */
  usage: number;
  /** The key purpose that the leaf must name, and every issuer that names any. */
  keyPurpose?: string;
  /** The leaf names this purpose alone, in a critical extension (RFC 3161 2.3). */
  alone?: true;
  /** Keys for TLS or other services are not keys for documents: these key purposes are not on the leaf. */
  without?: readonly string[];
}

const KP = '1.3.6.1.5.5.7.3';
const ANY_KEY_PURPOSE = '2.5.29.37.0';
const SERVICE_PURPOSES = [`${KP}.1`, `${KP}.2`, `${KP}.8`, `${KP}.9`, ANY_KEY_PURPOSE];
/** What is not together with OCSP: a responder's key answers nothing else. */
const OTHER_SERVICES = SERVICE_PURPOSES.filter((purpose) => purpose !== `${KP}.9`);
const SIGNING = KEY_USAGE.digitalSignature | KEY_USAGE.nonRepudiation;

const PURPOSES: Record<PathPurpose, PurposeRow | null> = {
  server: { usage: KEY_USAGE.digitalSignature, keyPurpose: `${KP}.1` },
  client: { usage: KEY_USAGE.digitalSignature, keyPurpose: `${KP}.2` },
  timestamp: { usage: SIGNING, keyPurpose: `${KP}.8`, alone: true },
  ocsp: { usage: SIGNING, keyPurpose: `${KP}.9`, without: OTHER_SERVICES },
  sign: { usage: SIGNING, without: SERVICE_PURPOSES },
  encrypt: { usage: KEY_USAGE.keyAgreement | KEY_USAGE.keyEncipherment, without: SERVICE_PURPOSES },
  any: null,
};

export const PATH_PURPOSES = Object.keys(PURPOSES) as PathPurpose[];

// Policies are not processed (a path is valid for any policy), so what constrains them cannot be honoured and refuses;
// plain certificatePolicies say nothing that must be honoured unless critical. Netscape's type is a second, older key
// purpose that some verifiers still apply.
const REFUSED_EXTENSIONS = [
  EXTENSION.policyMappings,
  EXTENSION.policyConstraints,
  EXTENSION.inhibitAnyPolicy,
  EXTENSION.netscapeCertType,
];

/** Rules for the end-entity certificate. */
export function checkLeaf(leaf: Certificate, purpose: PathPurpose, profile: PathProfile): PathRefusal | undefined {
  const { basicConstraints, keyUsage = 0, nameConstraints } = leaf.extensions;
  const who = leaf.subject.text;
  if (basicConstraints?.ca === true) return refuse('LEAF_IS_CA', who);
  if ((keyUsage & KEY_USAGE.keyCertSign) !== 0) return refuse('KEY_USAGE', `${who}: keyCertSign without CA`);
  if (nameConstraints !== undefined) return refuse('EXTENSION_REFUSED', `${who}: name constraints without CA`);
  return checkLeafNames(leaf) ?? checkLeafPurpose(leaf, purpose, profile);
}

// RFC 5280 4.1.2.6: an empty subject needs a critical subjectAltName.
function checkLeafNames(leaf: Certificate): PathRefusal | undefined {
  const altNameCritical = leaf.extensions.critical.get(EXTENSION.subjectAltName) === true;
  if (leaf.subject.rdns.length === 0 && !altNameCritical) return refuse('NAME_EMPTY', 'subject of the leaf');
  return undefined;
}

function checkLeafPurpose(leaf: Certificate, purpose: PathPurpose, profile: PathProfile): PathRefusal | undefined {
  const row = PURPOSES[purpose];
  const strict = profile === 'accord';
  const { keyUsage, extendedKeyUsage: named, critical } = leaf.extensions;
  const who = leaf.subject.text;
  if (row === null) return undefined;
  if (keyUsage === undefined ? strict : (keyUsage & row.usage) === 0) return refuse('KEY_USAGE', who);
  if (row.keyPurpose !== undefined && (named === undefined ? strict : !named.includes(row.keyPurpose))) {
    return refuse('EXTENDED_KEY_USAGE', `${who}: does not name the purpose`);
  }
  if (row.alone === true && !(named?.length === 1 && critical.get(EXTENSION.extendedKeyUsage) === true)) {
    return refuse('EXTENDED_KEY_USAGE', `${who}: not critical or not alone`);
  }
  if (row.without?.some((other) => named?.includes(other) === true) === true) {
    return refuse('EXTENDED_KEY_USAGE', `${who}: a key of another kind`);
  }
  return undefined;
}

/** Rules for a certificate that issued another one of the path; for an anchor only when its constraints are honoured. */
export function checkIssuer(issuer: Certificate, profile: PathProfile): PathRefusal | undefined {
  const strict = profile === 'accord';
  const { basicConstraints, keyUsage, subjectKeyId, critical } = issuer.extensions;
  const who = issuer.subject.text;
  if (basicConstraints?.ca !== true) return refuse('NOT_A_CA', who);
  if (strict && critical.get(EXTENSION.basicConstraints) !== true) return refuse('BASIC_CONSTRAINTS_NOT_CRITICAL', who);
  if (keyUsage === undefined ? strict : (keyUsage & KEY_USAGE.keyCertSign) === 0) return refuse('KEY_USAGE', who);
  if (issuer.subject.rdns.length === 0) return refuse('NAME_EMPTY', 'subject of a CA');
  if (strict && subjectKeyId === undefined) return refuse('KEY_IDENTIFIER', `${who}: no subject key identifier`);
  return undefined;
}

/**
 * Key purposes nest (as in practice everywhere, beyond RFC 5280): an issuer that names any must name what the leaf is
 * used for; in our profile anyExtendedKeyUsage does not stand for it. Without a purpose of its own, the leaf's whole list must fit.
 */
export function checkIssuerPurpose(
  issuer: Certificate,
  leaf: Certificate,
  purpose: PathPurpose,
  profile: PathProfile,
): PathRefusal | undefined {
  const row = PURPOSES[purpose];
  const named = issuer.extensions.extendedKeyUsage;
  if (row === null || named === undefined) return undefined;
  if (profile === 'rfc5280' && named.includes(ANY_KEY_PURPOSE)) return undefined;
  const wanted = row.keyPurpose === undefined ? (leaf.extensions.extendedKeyUsage ?? []) : [row.keyPurpose];
  if (wanted.length > 0 && wanted.every((one) => named.includes(one))) return undefined;
  return refuse('EXTENDED_KEY_USAGE', `${issuer.subject.text}: does not name the purpose`);
}

/** Rules for every certificate below the anchor. */
export function checkSigned(
  certificate: Certificate,
  judged: { atSeconds: number; allowRsa: boolean; profile: PathProfile },
): PathRefusal | undefined {
  const { atSeconds, allowRsa, profile } = judged;
  const { extensions, issuer, subject } = certificate;
  const who = subject.text;
  if (signatureAlgorithmName(certificate.signatureAlgorithm, allowRsa) === undefined) {
    return refuse('ALGORITHM_UNSUPPORTED', who);
  }
  if (issuer.rdns.length === 0) return refuse('NAME_EMPTY', `issuer of ${who}`);
  const noAuthorityKey = extensions.authorityKeyId?.keyId === undefined;
  if (profile === 'accord' && noAuthorityKey) return refuse('KEY_IDENTIFIER', `${who}: no authority key`);
  return checkValidity(certificate, atSeconds) ?? checkExtensions(extensions, who);
}

/**
 * Validity in whole seconds (RFC 5280 4.1.2.5). RFC 5280 includes both ends; the second of notAfter is refused here,
 * because openssl already takes it for expired, and two servers should change their minds at one time.
 */
export function checkValidity(certificate: Certificate, atSeconds: number): PathRefusal | undefined {
  if (atSeconds < certificate.notBeforeSeconds) return refuse('NOT_YET_VALID', certificate.subject.text);
  if (atSeconds >= certificate.notAfterSeconds) return refuse('EXPIRED', certificate.subject.text);
  return undefined;
}

/** Unknown critical extensions, extensions that are refused, and identifiers that must not be critical. */
export function checkExtensions(extensions: Extensions, who: string): PathRefusal | undefined {
  const { critical } = extensions;
  const refused = REFUSED_EXTENSIONS.find((oid) => critical.has(oid));
  if (refused !== undefined) return refuse('EXTENSION_REFUSED', `${who}: ${refused}`);
  for (const [oid, isCritical] of critical) {
    if (isCritical && !UNDERSTOOD.has(oid)) return refuse('EXTENSION_UNKNOWN_CRITICAL', `${who}: ${oid}`);
  }
  if (critical.get(EXTENSION.subjectKeyId) === true || critical.get(EXTENSION.authorityKeyId) === true) {
    return refuse('KEY_IDENTIFIER', `${who}: a critical key identifier`);
  }
  return undefined;
}

/** True when `issuer` is what `certificate` names as its issuer: by name and by key identifier (RFC 5280 4.2.1.1). */
export function isNamedIssuer(issuer: Certificate, certificate: Certificate): boolean {
  if (issuer.subject.key !== certificate.issuer.key) return false;
  const { keyId, issuer: names, serialHex } = certificate.extensions.authorityKeyId ?? {};
  const own = issuer.extensions.subjectKeyId;
  if (keyId !== undefined && own !== undefined && !keyId.equals(own)) return false;
  if (serialHex !== undefined && serialHex !== issuer.serialHex) return false;
  const named = names?.filter((name) => name.kind === 'directory');
  return named === undefined || named.every((name) => name.value.key === issuer.issuer.key);
}

/** Self-issued: one name, often two keys (key rollover); exempt from path length and name constraints (RFC 5280 6.1). */
export function isSelfIssued(certificate: Certificate): boolean {
  return certificate.subject.key === certificate.issuer.key;
}
