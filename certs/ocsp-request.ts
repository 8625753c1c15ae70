// Requests of the Online Certificate Status Protocol (RFC 6960 section 4.1, RFC 5019 section 2.1): what asks about one
// certificate, and what a responder reads. There is no nonce: an answer is kept and shown to others, so that its age is
// judged by its times. Whoever asks a responder controls the request's bytes.
import { createHash } from 'node:crypto';
import { isAccordError } from '#schemas/problems.ts';
import { DerReader, type DerValue, derError, openDer, readInteger, readOid, readWholeBits, TAG } from './der.ts';
import { derOf, derSequence } from './der-write.ts';
import { extensionList } from './x509-extensions.ts';
import { type Certificate, readCertificate } from './x509-read.ts';

/** SHA-1 names a certificate here and protects nothing: many responders know no other. */
export type CertIdHash = 'sha-256' | 'sha-1';

interface CertIdRow {
  name: CertIdHash;
  digest: 'sha256' | 'sha1';
  /** AlgorithmIdentifier in DER; the second spelling, without parameters, is read (RFC 5754 section 2, RFC 3370 2.1). */
  spellings: readonly [Buffer, Buffer];
}

const CERT_ID_ROWS: readonly CertIdRow[] = [
  {
    name: 'sha-256',
    digest: 'sha256',
    spellings: [Buffer.from('300d06096086480165030402010500', 'hex'), Buffer.from('300b0609608648016503040201', 'hex')],
  },
  {
    name: 'sha-1',
    digest: 'sha1',
    spellings: [Buffer.from('300906052b0e03021a0500', 'hex'), Buffer.from('300706052b0e03021a', 'hex')],
  },
];

/** CertID (RFC 6960 4.1.1), which names a certificate by its issuer and serial number. */
export interface CertId {
  hash: CertIdHash;
  issuerNameHash: Buffer;
  issuerKeyHash: Buffer;
  /** Lower-case hexadecimal without leading zeros. */
  serial: string;
  /** As it stood in the request; an answer repeats it. */
  der: Buffer;
}

/** A request about several certificates is read, up to this number; more are work that strangers can ask for. */
const MAX_ASKED = 32;
export const MAX_OCSP_REQUEST_BYTES: number = 8 * 1024;

/**
 * The DER of a request about `certificate`.
 * @param certificate DER @param issuer DER of the CA certificate that issued it
 * @throws CERTIFICATE_MALFORMED
 */
export function makeOcspRequest(certificate: Uint8Array, issuer: Uint8Array, hash: CertIdHash): Buffer {
  const certId = certIdOf(readCertificate(certificate), readCertificate(issuer), hash);
  return derSequence(derSequence(derSequence(derSequence(certId))));
}

/** Reads a request; signatures and extensions of it are passed over, critical ones refused. @throws DER_INVALID */
export function readOcspRequest(bytes: Uint8Array): CertId[] {
  if (bytes.length > MAX_OCSP_REQUEST_BYTES) throw derError('a request larger than the limit');
  const outer = openDer(Buffer.from(bytes), TAG.SEQUENCE, 'request');
  const tbs = outer.open(TAG.SEQUENCE, 'to-be-signed part');
  outer.maybe(0xa0);
  outer.end('request');
  tbs.maybe(0xa1);
  const list = tbs.open(TAG.SEQUENCE, 'list of requests');
  readExtensionsOf(tbs.maybe(0xa2));
  tbs.end('to-be-signed part');
  const asked: CertId[] = [];
  while (!list.done) {
    if (asked.length >= MAX_ASKED) throw derError('too many certificates in one request');
    const one = list.open(TAG.SEQUENCE, 'request');
    asked.push(readCertId(one.take(TAG.SEQUENCE, 'certificate identifier')));
    readExtensionsOf(one.maybe(0xa0));
    one.end('request');
  }
  if (asked.length === 0) throw derError('a request about nothing');
  return asked;
}

function readExtensionsOf(wrapper: DerValue | undefined): void {
  if (wrapper === undefined) return;
  const list = openDer(wrapper.body, TAG.SEQUENCE, 'extensions');
  if (extensionList(list).some(({ critical }) => critical)) throw derError('a critical extension');
}

/** @throws DER_INVALID also for a hash outside the closed table */
export function readCertId(value: DerValue): CertId {
  const inner = new DerReader(value.body);
  const algorithm = inner.take(TAG.SEQUENCE, 'hash algorithm').raw;
  const row = CERT_ID_ROWS.find(({ spellings }) => spellings.some((one) => one.equals(algorithm)));
  if (row === undefined) throw derError('a hash outside the closed table');
  const issuerNameHash = inner.take(TAG.OCTET_STRING, 'hash of the name').body;
  const issuerKeyHash = inner.take(TAG.OCTET_STRING, 'hash of the key').body;
  const octets = readInteger(inner.take(TAG.INTEGER, 'serial number'));
  inner.end('certificate identifier');
  if ((octets[0] ?? 0) >= 0x80 || octets.length > 20) throw derError('a serial number of this form');
  const serial = octets.toString('hex').replace(/^0+/, '');
  return { hash: row.name, issuerNameHash, issuerKeyHash, serial, der: value.raw };
}

/** Whether `id` names the certificate with this serial (hexadecimal) of `issuer`. */
export function namesCertificate(id: CertId, serial: string, issuer: Certificate): boolean {
  return id.serial === serial.toLowerCase().replace(/^0+/, '') && namesIssuer(id, issuer);
}

/** Whether `id` names a certificate of `issuer`. */
export function namesIssuer(id: CertId, issuer: Certificate): boolean {
  const digest = id.hash === 'sha-256' ? 'sha256' : 'sha1';
  return (
    id.issuerNameHash.equals(createHash(digest).update(issuer.subject.der).digest()) &&
    id.issuerKeyHash.equals(keyHash(digest, issuer.publicKeyInfo))
  );
}

/** Of the bits of the key, without tag, length and unused bits. */
export function keyHash(digest: 'sha256' | 'sha1', publicKeyInfo: Uint8Array): Buffer {
  const info = openDer(publicKeyInfo, TAG.SEQUENCE, 'public key');
  info.next();
  return createHash(digest)
    .update(readWholeBits(info.take(TAG.BIT_STRING, 'key')))
    .digest();
}

function certIdOf(certificate: Certificate, issuer: Certificate, hash: CertIdHash): Buffer {
  const row = CERT_ID_ROWS.find(({ name }) => name === hash);
  if (row === undefined) throw new TypeError(`unknown hash ${hash}`);
  return derSequence(
    row.spellings[0],
    // The issuer's name as the certificate writes it: responders compare bytes.
    derOf(TAG.OCTET_STRING, createHash(row.digest).update(certificate.issuer.der).digest()),
    derOf(TAG.OCTET_STRING, keyHash(row.digest, issuer.publicKeyInfo)),
    derOf(TAG.INTEGER, Buffer.from(certificate.serialHex, 'hex')),
  );
}

const AUTHORITY_INFORMATION = '1.3.6.1.5.5.7.1.1';
const OID_OCSP = '2b06010505073001';
const MAX_URLS = 4;
const MAX_URL_LENGTH = 1024;

/**
 * The http addresses of responders that the certificate names (authority information access, RFC 5280 4.2.2.1), at most
 * four; none when it names none or the extension cannot be read. The issuer wrote them.
 * @throws CERTIFICATE_MALFORMED
 */
export function ocspUrlsOf(certificate: Uint8Array): string[] {
  const { tbs } = readCertificate(certificate);
  const inner = openDer(tbs, TAG.SEQUENCE, 'to-be-signed part');
  while (!inner.done && inner.peek() !== 0xa3) inner.next();
  if (inner.done) return [];
  const list = extensionList(inner.open(0xa3, 'extensions').open(TAG.SEQUENCE, 'extensions'));
  const found = list.find(({ oid }) => oid === AUTHORITY_INFORMATION);
  try {
    return found === undefined ? [] : readAccess(found.value);
  } catch (error) {
    if (isAccordError(error, 'DER_INVALID')) return [];
    throw error;
  }
}

function readAccess(value: Buffer): string[] {
  const list = openDer(value, TAG.SEQUENCE, 'authority information');
  const urls: string[] = [];
  while (!list.done) {
    const description = list.open(TAG.SEQUENCE, 'access description');
    const method = description.take(TAG.OID, 'method');
    readOid(method);
    const { tag, body } = description.next();
    description.end('access description');
    const url = body.toString('latin1');
    const fits = tag === 0x86 && body.length <= MAX_URL_LENGTH && /^https?:\/\/[!-~]+$/.test(url);
    if (fits && method.body.toString('hex') === OID_OCSP && urls.length < MAX_URLS) urls.push(url);
  }
  return urls;
}
