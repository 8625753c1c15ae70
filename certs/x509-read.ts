// Reads one X.509 certificate (RFC 5280 section 4.1) from strict DER into a plain record. Structure only: whether the
// certificate is trusted, current or fit for a purpose is judged in path-rules.ts and path.ts. The bytes are a peer's.
import { hash } from 'node:crypto';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { DerReader, derError, openDer, readInteger, readSmallInteger, readTime, readWholeBits, TAG } from './der.ts';
import { MAX_CERTIFICATE_BYTES } from './path-limits.ts';
import { type Extensions, readExtensions } from './x509-extensions.ts';
import { type DistinguishedName, readDistinguishedName } from './x509-name.ts';

export interface Certificate {
  /** A copy of the bytes that were read; the fields below are views on it. */
  der: Buffer;
  /** TBSCertificate as encoded: what the issuer signed. */
  tbs: Buffer;
  /** Content octets of the serial number in lower-case hexadecimal, sign octet included. */
  serialHex: string;
  /** AlgorithmIdentifier as encoded; the signed and the outer one are equal. */
  signatureAlgorithm: Buffer;
  signature: Buffer;
  issuer: DistinguishedName;
  subject: DistinguishedName;
  /** Validity in whole seconds since the Unix epoch. */
  notBeforeSeconds: number;
  notAfterSeconds: number;
  /** SubjectPublicKeyInfo as encoded. */
  publicKeyInfo: Buffer;
  extensions: Extensions;
}

/**
 * Reads a certificate. Only version 3 exists here, with extensions and without unique identifiers.
 * @throws CERTIFICATE_MALFORMED when `der` is not exactly one strictly encoded certificate within the limits
 */
export function readCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) throw new AccordError('CERTIFICATE_MALFORMED', 'larger than the limit');
  try {
    return read(Buffer.from(der));
  } catch (error) {
    if (!isAccordError(error, 'DER_INVALID')) throw error;
    throw new AccordError('CERTIFICATE_MALFORMED', error.detail, { cause: error });
  }
}

function read(der: Buffer): Certificate {
  const certificate = openDer(der, TAG.SEQUENCE, 'certificate');
  const tbs = certificate.take(TAG.SEQUENCE, 'to-be-signed part');
  const signatureAlgorithm = certificate.take(TAG.SEQUENCE, 'signature algorithm').raw;
  const signature = readWholeBits(certificate.take(TAG.BIT_STRING, 'signature'));
  certificate.end('certificate');

  const inner = new DerReader(tbs.body);
  readVersion(inner);
  const serial = readInteger(inner.take(TAG.INTEGER, 'serial number'));
  // RFC 5280 4.1.2.2: positive, at most 20 octets.
  if ((serial[0] ?? 0) >= 0x80 || serial.length > 20 || serial.every((octet) => octet === 0)) {
    throw derError('a serial number that is not positive or too long');
  }
  if (!inner.take(TAG.SEQUENCE, 'signed algorithm').raw.equals(signatureAlgorithm)) {
    throw derError('two different signature algorithms');
  }
  const issuer = readDistinguishedName(inner.next());
  const validity = inner.open(TAG.SEQUENCE, 'validity');
  const notBeforeSeconds = readTime(validity.next());
  const notAfterSeconds = readTime(validity.next());
  validity.end('validity');
  const subject = readDistinguishedName(inner.next());
  const publicKeyInfo = inner.take(TAG.SEQUENCE, 'public key').raw;
  const wrapper = inner.open(0xa3, 'extensions');
  const extensions = readExtensions(wrapper.open(TAG.SEQUENCE, 'extensions'));
  wrapper.end('extensions');
  inner.end('to-be-signed part');
  return {
    der,
    tbs: tbs.raw,
    serialHex: serial.toString('hex'),
    signatureAlgorithm,
    signature,
    issuer,
    subject,
    notBeforeSeconds,
    notAfterSeconds,
    publicKeyInfo,
    extensions,
  };
}

function readVersion(inner: DerReader): void {
  const wrapper = inner.open(0xa0, 'version');
  const version = readSmallInteger(wrapper.take(TAG.INTEGER, 'version'));
  wrapper.end('version');
  if (version !== 2) throw derError(`version ${version + 1}`);
}

/** SHA-256 of a certificate's DER in base64url: the identity by which certificates are pinned, and x5t#S256. */
export function certificateHash(der: Uint8Array): string {
  return hash('sha256', der, 'base64url');
}
