// CMS SignedData (RFC 5652 section 5) in the one shape that time-stamp tokens have (RFC 3161 2.4.2): the content inside,
// exactly one signer, signed attributes. Structure only; signature and trust are judged in time-stamp.ts. Whoever made
// or carried the token controls every byte.
import { DerReader, type DerValue, derError, openDer, readInteger, readOid, readSmallInteger, TAG } from './der.ts';
import { derSetOf } from './der-write.ts';
import { MAX_INTERMEDIATES } from './path-limits.ts';
import { readDistinguishedName } from './x509-name.ts';

const ID_SIGNED_DATA = '1.2.840.113549.1.7.2';
const MAX_ATTRIBUTES = 16;
const MAX_LISTS = 8;

/** How a SignerInfo names the certificate of its key. */
type SignerIdentifier = { issuerKey: string; issuerDer: Buffer; serialHex: string } | { keyId: Buffer };

export interface SignedData {
  contentType: string;
  /** The octets that were signed (through message-digest). */
  content: Buffer;
  /** DER, in the order they came; none of them is trusted. */
  certificates: Buffer[];
  /** No signature covers these four, and nothing here is good because of them; the algorithms are AlgorithmIdentifiers as encoded. */
  version: number;
  digestAlgorithms: Buffer[];
  hasRevocationData: boolean;
  /** X.509 revocation lists among it (10.2.1), DER; what has another form is passed over. */
  crls: Buffer[];
  signer: {
    identifier: SignerIdentifier;
    /** AlgorithmIdentifiers as encoded. */
    digestAlgorithm: Buffer;
    signatureAlgorithm: Buffer;
    /** Object identifier → the one value, as encoded. */
    attributes: ReadonlyMap<string, Buffer>;
    /** What the signature is over: the attributes as a DER SET OF (5.4). */
    signedBytes: Buffer;
    signature: Buffer;
  };
}

/** @param der one ContentInfo in DER (BER is rewritten before). @throws DER_INVALID */
export function readSignedData(der: Uint8Array): SignedData {
  const info = openDer(der, TAG.SEQUENCE, 'content info');
  if (readOid(info.take(TAG.OID, 'content type')) !== ID_SIGNED_DATA) throw derError('not signed data');
  const wrapper = info.open(0xa0, 'content');
  info.end('content info');
  const data = wrapper.open(TAG.SEQUENCE, 'signed data');
  wrapper.end('content');
  // 3 in RFC 3161; 4 and 5 come with attribute certificates and foreign revocation data beside.
  const version = readSmallInteger(data.take(TAG.INTEGER, 'version'));
  if (version < 3 || version > 5) throw derError(`signed data of version ${version}`);
  const digestAlgorithms = readAll(data.open(TAG.SET, 'digest algorithms'));
  const { contentType, content } = readContent(data.open(TAG.SEQUENCE, 'encapsulated content'));
  const certificates = data.peek() === 0xa0 ? readCertificates(data.open(0xa0, 'certificates')) : [];
  const revocationData = data.maybe(0xa1);
  const hasRevocationData = revocationData !== undefined;
  const signers = data.open(TAG.SET, 'signers');
  data.end('signed data');
  const signer = readSigner(signers.open(TAG.SEQUENCE, 'signer'));
  signers.end('a second signer');
  const crls = revocationData === undefined ? [] : readLists(new DerReader(revocationData.body));
  return { contentType, content, certificates, version, digestAlgorithms, hasRevocationData, crls, signer };
}

function readAll(set: DerReader): Buffer[] {
  const found: Buffer[] = [];
  while (!set.done) {
    if (found.length >= MAX_ATTRIBUTES) throw derError('too many digest algorithms');
    found.push(set.next().raw);
  }
  return found;
}

function readContent(encapsulated: DerReader): { contentType: string; content: Buffer } {
  const contentType = readOid(encapsulated.take(TAG.OID, 'content type'));
  const wrapper = encapsulated.open(0xa0, 'content');
  encapsulated.end('encapsulated content');
  const content = wrapper.take(TAG.OCTET_STRING, 'content').body;
  wrapper.end('content');
  return { contentType, content };
}

function readCertificates(list: DerReader): Buffer[] {
  const certificates: Buffer[] = [];
  while (!list.done) {
    if (certificates.length >= MAX_INTERMEDIATES) throw derError('too many certificates');
    certificates.push(list.take(TAG.SEQUENCE, 'certificate').raw);
  }
  return certificates;
}

/** RevocationInfoChoices (10.2.1): a list is a SEQUENCE, everything else is tagged. */
function readLists(set: DerReader): Buffer[] {
  const found: Buffer[] = [];
  while (!set.done) {
    const value = set.next();
    if (value.tag === TAG.SEQUENCE && found.length < MAX_LISTS) found.push(value.raw);
  }
  return found;
}

function readSigner(signer: DerReader): SignedData['signer'] {
  const version = readSmallInteger(signer.take(TAG.INTEGER, 'signer version'));
  const identifier = readIdentifier(signer.next());
  if (version !== ('keyId' in identifier ? 3 : 1)) throw derError('a signer of another version');
  const digestAlgorithm = signer.take(TAG.SEQUENCE, 'digest algorithm').raw;
  const { attributes, signedBytes } = readAttributes(signer.open(0xa0, 'signed attributes'));
  const signatureAlgorithm = signer.take(TAG.SEQUENCE, 'signature algorithm').raw;
  const signature = signer.take(TAG.OCTET_STRING, 'signature').body;
  signer.maybe(0xa1); // unsigned attributes: nothing here rests on them
  signer.end('signer');
  return { identifier, digestAlgorithm, signatureAlgorithm, attributes, signedBytes, signature };
}

function readIdentifier(value: DerValue): SignerIdentifier {
  if (value.tag === 0x80) return { keyId: value.body };
  if (value.tag !== TAG.SEQUENCE) throw derError('a signer that names no certificate');
  const named = new DerReader(value.body);
  const issuer = readDistinguishedName(named.next());
  const serialHex = readInteger(named.take(TAG.INTEGER, 'serial number')).toString('hex');
  named.end('issuer and serial number');
  return { issuerKey: issuer.key, issuerDer: issuer.der, serialHex };
}

/** Each type once and with one value (5.3, 11): another would let two readers look at two different values. */
function readAttributes(list: DerReader): { attributes: Map<string, Buffer>; signedBytes: Buffer } {
  const attributes = new Map<string, Buffer>();
  const encoded: Buffer[] = [];
  while (!list.done) {
    const value = list.take(TAG.SEQUENCE, 'attribute');
    encoded.push(value.raw);
    const attribute = new DerReader(value.body);
    const type = readOid(attribute.take(TAG.OID, 'attribute type'));
    const values = attribute.open(TAG.SET, 'attribute values');
    attribute.end('attribute');
    const only = values.next().raw;
    values.end('a second value');
    if (attributes.has(type)) throw derError(`attribute ${type} twice`);
    if (attributes.size >= MAX_ATTRIBUTES) throw derError('too many attributes');
    attributes.set(type, only);
  }
  return { attributes, signedBytes: derSetOf(TAG.SET, encoded) };
}
