// PKCS#12 files (RFC 7292): a private key with its certificate chain, to and from other software. node-forge knows the
// container; it cannot read EC keys and certificates, so keys and certificates pass through as DER and node:crypto reads
// them. The file is an administrator's, from wherever they got it; it decides nothing about trust.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import forge from 'node-forge';
import { AccordError } from '#schemas/problems.ts';

const { asn1, pki } = forge;
const { Class, Type } = asn1;

export interface Pkcs12 {
  privateKey: KeyObject;
  /** The key's own certificate first, then its issuers in order, then any others; may be empty. */
  certificates: X509Certificate[];
}

export const MAX_PKCS12_BYTES = 128 * 1024;
/** node-forge derives keys in JavaScript: this many rounds are seconds. Every INTEGER of a file is bounded by it. */
const MAX_ROUNDS = 1_000_000;
/** Rounds for a file that we write. The format's own integrity key cannot be made dear enough: prefer key files. */
const ROUNDS = 20_000;
const SALT_BYTES = 16;
const MIN_PASSPHRASE_CHARACTERS = 8;
const PASSPHRASE = /^[\x20-\x7e]{1,256}$/;

/**
 * Reads a PKCS#12 file with exactly one private key and a MAC; unencrypted, AES and older ciphers alike.
 * @param passphrase printable ASCII: implementations disagree about the encoding of anything else
 * @throws PKCS12_MALFORMED, PKCS12_PASSPHRASE_WRONG, PASSPHRASE_REFUSED
 */
export function importPkcs12(bytes: Uint8Array, passphrase: string): Pkcs12 {
  checkPassphrase(passphrase);
  if (bytes.length > MAX_PKCS12_BYTES) throw new AccordError('PKCS12_MALFORMED', 'too large');
  const bags = readBags(bytes, passphrase);
  const keys = bags.flatMap((bag) => privateKeyOf(bag) ?? []);
  const [privateKey] = keys;
  if (privateKey === undefined || keys.length > 1)
    throw new AccordError('PKCS12_MALFORMED', 'not exactly one private key');
  try {
    const certificates = bags.flatMap((bag) => certificateDer(bag) ?? []).map((der) => new X509Certificate(der));
    return { privateKey, certificates: inOrder(privateKey, certificates) };
  } catch (error) {
    throw new AccordError('PKCS12_MALFORMED', 'a certificate cannot be read', { cause: error });
  }
}

/**
 * Writes a PKCS#12 file: the key under PBES2 (PBKDF2-HMAC-SHA-256, AES-256-CBC), the certificates in clear, all of it
 * under an HMAC-SHA-256.
 * @param certificates the key's own first
 * @param name shown by other software (`friendlyName`)
 * @throws PASSPHRASE_REFUSED; KEY_UNSUITABLE when the first certificate is not the key's
 */
export function exportPkcs12({ privateKey, certificates }: Pkcs12, passphrase: string, name: string): Buffer {
  checkPassphrase(passphrase);
  if (passphrase.length < MIN_PASSPHRASE_CHARACTERS) {
    throw new AccordError('PASSPHRASE_REFUSED', `of a PKCS#12 file: ${MIN_PASSPHRASE_CHARACTERS} characters or more`);
  }
  const [own] = certificates;
  if (own !== undefined && !own.checkPrivateKey(privateKey)) {
    throw new AccordError('KEY_UNSUITABLE', 'the first certificate is not for this key');
  }
  const pkcs8 = asn1.fromDer(binary(privateKey.export({ format: 'der', type: 'pkcs8' })));
  const shrouded = pki.encryptPrivateKeyInfo(pkcs8, passphrase, {
    algorithm: 'aes256',
    count: ROUNDS,
    saltSize: SALT_BYTES,
    prfAlgorithm: 'sha256',
  });
  const id = forge.random.getBytesSync(20); // localKeyId, by which readers find the key's certificate
  const certBags = certificates.map(({ raw }, i) =>
    safeBag('certBag', certBag(raw), i === 0 ? attributes(id, name) : []),
  );
  const keyBag = safeBag('pkcs8ShroudedKeyBag', shrouded, attributes(id, name));
  const safes = [certBags, [keyBag]].filter((bags) => bags.length > 0).map((bags) => dataInfo(der(sequence(...bags))));
  const authSafe = der(sequence(...safes));
  const pfx = sequence(integer(3), dataInfo(authSafe), macData(authSafe, passphrase));
  return Buffer.from(der(pfx), 'latin1');
}

function readBags(bytes: Uint8Array, passphrase: string): forge.pkcs12.Bag[] {
  let pfx: forge.asn1.Asn1;
  try {
    pfx = asn1.fromDer(binary(bytes));
    boundIntegers(pfx, 0);
    // Without a MAC nothing says that the passphrase is right or the file whole.
    if (!Array.isArray(pfx.value) || pfx.value.length !== 3) throw new Error('no MAC');
  } catch (error) {
    throw new AccordError('PKCS12_MALFORMED', '', { cause: error });
  }
  try {
    return forge.pkcs12.pkcs12FromAsn1(pfx, passphrase).safeContents.flatMap(({ safeBags }) => safeBags);
  } catch (error) {
    const wrong = error instanceof Error && /password/.test(error.message);
    throw new AccordError(wrong ? 'PKCS12_PASSPHRASE_WRONG' : 'PKCS12_MALFORMED', '', { cause: error });
  }
}

/** Refuses round counts that would keep us busy for minutes, also inside octet strings that hold further DER. */
function boundIntegers(node: forge.asn1.Asn1, depth: number): void {
  if (depth > 32) throw new Error('nested too deeply');
  if (Array.isArray(node.value)) {
    for (const child of node.value) boundIntegers(child, depth + 1);
  } else if (node.type === Type.INTEGER && node.tagClass === Class.UNIVERSAL) {
    if (node.value.length > 4 || asn1.derToInteger(node.value) > MAX_ROUNDS) throw new Error('an INTEGER is too large');
  } else if (node.type === Type.OCTETSTRING && node.value.startsWith('\x30')) {
    // An unencrypted private key or a certificate has large integers of its own; only bags lead to further rounds.
    const inner = parsedOrNull(node.value);
    if (inner !== null && holdsBags(inner)) boundIntegers(inner, depth + 1);
  }
}

/** AuthenticatedSafe and SafeContents: a sequence of sequences that each begin with an object identifier. */
function holdsBags({ value }: forge.asn1.Asn1): boolean {
  return (
    Array.isArray(value) && value.every((child) => Array.isArray(child.value) && child.value[0]?.type === Type.OID)
  );
}

function parsedOrNull(value: string): forge.asn1.Asn1 | null {
  try {
    return asn1.fromDer(value);
  } catch {
    return null; // a digest or ciphertext that happens to begin like a sequence
  }
}

function privateKeyOf(bag: forge.pkcs12.Bag): KeyObject | null {
  if (bag.type !== pki.oids['keyBag'] && bag.type !== pki.oids['pkcs8ShroudedKeyBag']) return null;
  // node-forge understands RSA keys and keeps no DER of them; of any other key it keeps only the DER.
  const info = bag.key ? pki.wrapRsaPrivateKey(pki.privateKeyToAsn1(bag.key)) : bag.asn1;
  try {
    return createPrivateKey({ key: Buffer.from(der(info), 'latin1'), format: 'der', type: 'pkcs8' });
  } catch (error) {
    throw new AccordError('PKCS12_MALFORMED', 'the private key cannot be read', { cause: error });
  }
}

function certificateDer(bag: forge.pkcs12.Bag): Buffer | null {
  if (bag.type !== pki.oids['certBag']) return null;
  return Buffer.from(der(bag.cert ? pki.certificateToAsn1(bag.cert) : bag.asn1), 'latin1');
}

/** The key's certificate, its issuer, and so on; what is not on that way comes last. */
function inOrder(privateKey: KeyObject, certificates: X509Certificate[]): X509Certificate[] {
  const rest = [...certificates];
  const ordered: X509Certificate[] = [];
  let next = rest.findIndex((certificate) => certificate.checkPrivateKey(privateKey));
  while (next !== -1) {
    const [taken] = rest.splice(next, 1);
    if (taken === undefined) break;
    ordered.push(taken);
    next = rest.findIndex((issuer) => taken.checkIssued(issuer));
  }
  return [...ordered, ...rest];
}

function checkPassphrase(passphrase: string): void {
  if (!PASSPHRASE.test(passphrase)) {
    throw new AccordError('PASSPHRASE_REFUSED', 'of a PKCS#12 file: 1 to 256 printable ASCII characters');
  }
}

function macData(authSafe: string, passphrase: string): forge.asn1.Asn1 {
  const salt = forge.random.getBytesSync(SALT_BYTES);
  const sha256 = forge.md.sha256.create();
  const key = forge.pkcs12.generateKey(passphrase, forge.util.createBuffer(salt), 3, ROUNDS, 32, sha256);
  const mac = forge.hmac.create();
  mac.start(sha256, key);
  mac.update(authSafe);
  const digestInfo = sequence(sequence(oid('sha256'), primitive(Type.NULL, '')), octets(mac.getMac().getBytes()));
  return sequence(digestInfo, octets(salt), integer(ROUNDS));
}

function safeBag(type: string, value: forge.asn1.Asn1, attributeList: forge.asn1.Asn1[]): forge.asn1.Asn1 {
  const attributeSet = attributeList.length === 0 ? [] : [asn1.create(Class.UNIVERSAL, Type.SET, true, attributeList)];
  return sequence(oid(type), explicit0(value), ...attributeSet);
}

function certBag(certificate: Buffer): forge.asn1.Asn1 {
  return sequence(oid('x509Certificate'), explicit0(octets(binary(certificate))));
}

function attributes(id: string, name: string): forge.asn1.Asn1[] {
  const set = (value: forge.asn1.Asn1) => asn1.create(Class.UNIVERSAL, Type.SET, true, [value]);
  const bmp = Buffer.from(name, 'utf16le').swap16().toString('latin1');
  return [
    sequence(oid('localKeyId'), set(octets(id))),
    sequence(oid('friendlyName'), set(primitive(Type.BMPSTRING, bmp))),
  ];
}

function dataInfo(content: string): forge.asn1.Asn1 {
  return sequence(oid('data'), explicit0(octets(content)));
}

function sequence(...items: forge.asn1.Asn1[]): forge.asn1.Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, items);
}

function explicit0(value: forge.asn1.Asn1): forge.asn1.Asn1 {
  return asn1.create(Class.CONTEXT_SPECIFIC, 0 as forge.asn1.Type, true, [value]);
}

function primitive(type: forge.asn1.Type, value: string): forge.asn1.Asn1 {
  return asn1.create(Class.UNIVERSAL, type, false, value);
}

function octets(value: string): forge.asn1.Asn1 {
  return primitive(Type.OCTETSTRING, value);
}

function integer(value: number): forge.asn1.Asn1 {
  return primitive(Type.INTEGER, asn1.integerToDer(value).getBytes());
}

function oid(name: string): forge.asn1.Asn1 {
  return primitive(Type.OID, asn1.oidToDer(pki.oids[name] ?? '').getBytes());
}

function der(node: forge.asn1.Asn1): string {
  return asn1.toDer(node).getBytes();
}

function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
