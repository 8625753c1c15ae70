// Certificate requests (PKCS#10, RFC 2986). A server makes one for each of its keys; the certification authority reads it
// strictly: whoever sends it controls every byte, and what it proves is only possession of the private key. Of its
// contents, the authority takes the public key and, checked against a template, the subject alternative names.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { DerReader, derError, openDer, readOid, readSmallInteger, readWholeBits, TAG } from './der.ts';
import { checkHolderNames, type HolderNames, holderSubject, holderUri, readHolderNames } from './holder-names.ts';
import { readCertificateKey, signatureAlgorithmName, verifyCertificateSignature } from './x509-algorithms.ts';
import { EXTENSION, extensionList } from './x509-extensions.ts';
import { curveOf, loadX509, signingKeyOf, toPem } from './x509-library.ts';
import { readDistinguishedName, readGeneralNamesDer } from './x509-name.ts';

/** A request whose signature was verified; only `readCsr` makes one. */
export interface CertificateRequest {
  readonly publicKey: KeyObject;
  /** SubjectPublicKeyInfo as encoded. */
  readonly publicKeyInfo: Buffer;
  readonly names: HolderNames;
}

const MAX_CSR_BYTES = 8 * 1024;
const OID_EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const PEM = /^-----BEGIN CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE REQUEST-----\r?\n?$/;

/**
 * Makes a request in PEM, signed with the key that it is for.
 * @param privateKey EC P-256 or P-384, also for keys that will only agree on secrets: this proof is all they ever sign
 * @throws KEY_UNSUITABLE, CSR_REFUSED for names no authority would certify
 */
export async function createCsr(privateKey: KeyObject, names: HolderNames): Promise<string> {
  const checked = checkHolderNames(names);
  const signing = signingKeyOf(privateKey);
  const x509 = await loadX509();
  const { namedCurve } = signing.signingKey.algorithm as unknown as { namedCurve: string };
  const publicKey = createPublicKey(privateKey).toCryptoKey({ name: 'ECDSA', namedCurve }, true, ['verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: new x509.Name(holderSubject(checked.id).map(([type, value]) => ({ [type]: [{ utf8String: value }] }))),
    keys: { privateKey: signing.signingKey, publicKey },
    signingAlgorithm: signing.signingAlgorithm,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: holderUri(checked) },
        ...checked.dnsNames.map((value) => ({ type: 'dns' as const, value })),
        ...checked.ipAddresses.map((value) => ({ type: 'ip' as const, value })),
      ]),
    ],
  });
  return toPem('CERTIFICATE REQUEST', new Uint8Array(request.rawData));
}

/**
 * Reads one request, PEM or DER, and verifies its proof of possession. The subject is not used: the profile writes it.
 * @throws CSR_MALFORMED when it is not exactly one strictly encoded request with a correct signature
 * @throws CSR_REFUSED for keys other than P-256 and P-384, names that are not certified, any other extension or attribute
 */
export function readCsr(input: Uint8Array): CertificateRequest {
  if (input.length > MAX_CSR_BYTES) throw new AccordError('CSR_MALFORMED', 'larger than the limit');
  try {
    return read(derOf(Buffer.from(input)));
  } catch (error) {
    if (!isAccordError(error, 'DER_INVALID')) throw error;
    throw new AccordError('CSR_MALFORMED', error.detail, { cause: error });
  }
}

function derOf(bytes: Buffer): Buffer {
  if (bytes[0] === TAG.SEQUENCE) return bytes;
  const body = PEM.exec(bytes.toString('latin1'))?.[1]?.replace(/\r?\n/g, '');
  const der = Buffer.from(body ?? '', 'base64');
  if (body === undefined || der.toString('base64') !== body) {
    throw new AccordError('CSR_MALFORMED', 'not one PEM block of label CERTIFICATE REQUEST');
  }
  return der;
}

function read(der: Buffer): CertificateRequest {
  const request = openDer(der, TAG.SEQUENCE, 'request');
  const info = request.take(TAG.SEQUENCE, 'request information');
  const algorithm = request.take(TAG.SEQUENCE, 'signature algorithm').raw;
  const signature = readWholeBits(request.take(TAG.BIT_STRING, 'signature'));
  request.end('request');

  const inner = new DerReader(info.body);
  if (readSmallInteger(inner.take(TAG.INTEGER, 'version')) !== 0) throw derError('a version other than 1');
  readDistinguishedName(inner.next());
  const publicKeyInfo = inner.take(TAG.SEQUENCE, 'public key').raw;
  const attributes = inner.open(0xa0, 'attributes');
  inner.end('request information');

  const found = readCertificateKey(publicKeyInfo, false);
  if (found === undefined || curveOf(found.key) === undefined) {
    throw new AccordError('CSR_REFUSED', 'the key is not on P-256 or P-384');
  }
  const algorithmName = signatureAlgorithmName(algorithm, false);
  if (algorithmName === undefined) throw new AccordError('CSR_REFUSED', 'signed with another algorithm than ECDSA');
  if (!verifyCertificateSignature(algorithm, found, info.raw, signature)) {
    throw new AccordError('CSR_MALFORMED', 'the signature does not verify with the key in the request');
  }
  return { publicKey: found.key, publicKeyInfo, names: readNames(attributes) };
}

// What a profile decides is not asked for: dropping such a wish silently would leave its author with another certificate
// than expected, and a challengePassword (RFC 2985 5.4.1) is a secret that has no business here.
function readNames(attributes: DerReader): HolderNames {
  const attribute = attributes.open(TAG.SEQUENCE, 'attribute');
  const type = readOid(attribute.take(TAG.OID, 'attribute type'));
  const values = attribute.open(TAG.SET, 'attribute values');
  attribute.end('attribute');
  if (type !== OID_EXTENSION_REQUEST || !attributes.done) {
    throw new AccordError('CSR_REFUSED', 'attributes other than one extensionRequest');
  }
  const extensions = extensionList(values.open(TAG.SEQUENCE, 'extensions'));
  values.end('attribute values');
  const names = extensions.find(({ oid }) => oid === EXTENSION.subjectAltName);
  if (names === undefined || extensions.length > 1) {
    throw new AccordError('CSR_REFUSED', 'extensions other than subjectAltName; the profile decides them');
  }
  return readHolderNames(readGeneralNamesDer(names.value));
}
