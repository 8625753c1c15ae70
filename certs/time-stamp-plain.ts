// A time-stamp token with nothing in it that no signature covers (RFC 5652 leaves room for it: versions, the list of digest
// algorithms, unsigned attributes, certificates and lists beside, several spellings of the signer's name). Two copies of
// a token in this form differ in nothing that anybody could have changed afterwards. Whoever carried it controls the bytes.
import type { SignedData } from './cms.ts';
import { checkCrl, readCrlTimes } from './crl.ts';
import { TAG } from './der.ts';
import { derInteger, derOf, derOid, derSequence, derSetOf } from './der-write.ts';
import { HASH_OIDS, hashOf, plainSignatureAlgorithm } from './time-stamp-algorithms.ts';
import { readCertificate } from './x509-read.ts';

const ID_SIGNED_DATA = '1.2.840.113549.1.7.2';

/**
 * The token again, of what the signature covers, the certificates that lead to the trusted one, and the lists that these
 * signed; in DER, version 3.
 * @param path DER, from the signing certificate to the trusted one, which is not carried
 */
export function plainToken(
  { content, contentType, certificates, crls, signer }: SignedData,
  path: readonly Uint8Array[],
) {
  const below = path.slice(0, -1);
  const carried = below.filter((der) => certificates.some((one) => one.equals(der)));
  const lists = crls.filter((crl, at) => crls.findIndex((one) => one.equals(crl)) === at && isListOf(crl, path));
  const { issuer, serialHex } = readCertificate(path[0] ?? Buffer.alloc(0));
  const hash = hashOf(signer.digestAlgorithm);
  const digest = hash === undefined ? signer.digestAlgorithm : derSequence(derOid(HASH_OIDS[hash]));
  const isNamedByKey = 'keyId' in signer.identifier;
  const signerInfo = derSequence(
    derInteger(isNamedByKey ? 3 : 1),
    'keyId' in signer.identifier
      ? derOf(0x80, signer.identifier.keyId)
      : derSequence(issuer.der, derOf(TAG.INTEGER, Buffer.from(serialHex, 'hex'))),
    digest,
    derOf(0xa0, bodyOf(signer.signedBytes)),
    plainSignatureAlgorithm(signer),
    derOf(TAG.OCTET_STRING, signer.signature),
  );
  const signedData = derSequence(
    derInteger(3),
    derOf(TAG.SET, digest),
    derSequence(derOid(contentType), derOf(0xa0, derOf(TAG.OCTET_STRING, content))),
    ...(carried.length > 0 ? [derSetOf(0xa0, carried)] : []),
    ...(lists.length > 0 ? [derSetOf(0xa1, lists)] : []),
    derOf(TAG.SET, signerInfo),
  );
  return derSequence(derOid(ID_SIGNED_DATA), derOf(0xa0, signedData));
}

/** The attributes as they were encoded, without their common tag and length. */
function bodyOf(set: Buffer): Buffer {
  return set.subarray((set[1] ?? 0) < 0x80 ? 2 : 2 + ((set[1] ?? 0) & 0x7f));
}

/** Whether a certificate of the path signed the list; what it says does not matter here. */
function isListOf(crl: Buffer, path: readonly Uint8Array[]): boolean {
  const atMs = readCrlTimes(crl)?.thisUpdateMs;
  if (atMs === undefined) return false;
  return path.some((issuer) => checkCrl({ crl, issuer, serial: '01', atMs, allowRsa: true }).status !== 'unknown');
}
