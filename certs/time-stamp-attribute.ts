// The signed attributes that name the signing certificate by its hash (RFC 5035 signing-certificate-v2, RFC 2634 5.4
// signing-certificate), so that no other certificate of the same key can be put in its place. The token's maker chose
// them; the signature is verified elsewhere.
import { createHash } from 'node:crypto';
import { DerReader, openDer, readInteger, TAG } from './der.ts';
import { hashOf } from './time-stamp-algorithms.ts';
import { readGeneralNames } from './x509-name.ts';
import type { Certificate } from './x509-read.ts';

const SIGNING_CERTIFICATE = '1.2.840.113549.1.9.16.2.12';
const SIGNING_CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47';

/** True when at least one of the attributes is there and each that is there names `certificate`. @throws DER_INVALID */
export function namesSigner(attributes: ReadonlyMap<string, Buffer>, certificate: Certificate): boolean {
  const first = attributes.get(SIGNING_CERTIFICATE);
  const second = attributes.get(SIGNING_CERTIFICATE_V2);
  if (first === undefined && second === undefined) return false;
  return (
    (first === undefined || isNamed(firstIdentifier(first), 'sha1', certificate)) &&
    (second === undefined || isNamedV2(firstIdentifier(second), certificate))
  );
}

/** The first of the identifiers is the signer's; policies behind them say nothing here. */
function firstIdentifier(value: Buffer): DerReader {
  const attribute = openDer(value, TAG.SEQUENCE, 'signing certificate');
  const list = attribute.open(TAG.SEQUENCE, 'certificate identifiers');
  attribute.maybe(TAG.SEQUENCE);
  attribute.end('signing certificate');
  return list.open(TAG.SEQUENCE, 'certificate identifier');
}

function isNamedV2(identifier: DerReader, certificate: Certificate): boolean {
  const algorithm = identifier.maybe(TAG.SEQUENCE);
  // SHA-256 is the default (RFC 5035 4).
  const hash = algorithm === undefined ? 'sha256' : hashOf(algorithm.raw);
  return hash !== undefined && isNamed(identifier, hash, certificate);
}

function isNamed(identifier: DerReader, hash: string, certificate: Certificate): boolean {
  const stated = identifier.take(TAG.OCTET_STRING, 'certificate hash').body;
  const issuer = identifier.maybe(TAG.SEQUENCE);
  identifier.end('certificate identifier');
  if (!stated.equals(createHash(hash).update(certificate.der).digest())) return false;
  return issuer === undefined || isIssuedSo(new DerReader(issuer.body), certificate);
}

function isIssuedSo(issuer: DerReader, certificate: Certificate): boolean {
  const names = readGeneralNames(issuer.open(TAG.SEQUENCE, 'issuer names'));
  const serialHex = readInteger(issuer.take(TAG.INTEGER, 'serial number')).toString('hex');
  issuer.end('issuer and serial number');
  const named = names.some((name) => name.kind === 'directory' && name.value.key === certificate.issuer.key);
  return named && serialHex === certificate.serialHex;
}
