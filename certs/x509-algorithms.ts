// The closed table of signature algorithms and public keys for certificates and CRLs (RFC 5758, 8410, 4055, 5480). A row
// is matched on the whole DER of the AlgorithmIdentifier, so parameters have exactly one spelling and nothing outside
// the table can be negotiated. RSA rows exist for foreign authorities (time-stamping, sign-in) and must be enabled by
// the caller. Signatures and keys come from peers.
import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { isAccordError } from '#schemas/problems.ts';
import { DerReader, openDer, readInteger, readWholeBits, TAG } from './der.ts';
import { MAX_RSA_BITS, MIN_RSA_BITS } from './path-limits.ts';

type KeyKind = 'ec' | 'ed25519' | 'rsa';

interface SignatureRow {
  name: string;
  key: KeyKind;
  hash: 'sha256' | 'sha384' | 'sha512' | null;
  padding?: 'pkcs1' | 'pss';
}

// RSASSA-PSS-params with the same hash twice and a salt as long as the hash; `hash` is the last octet of the SHA-2
// identifier (RFC 4055 3.1). The trailer field has its default and is not written.
function pss(hash: string, saltOctets: string): string {
  const digest = `300d0609608648016503040${hash}0500`;
  const parameters = `a00f${digest}a11c301a06092a864886f70d010108${digest}a203${`0201${saltOctets}`}`;
  return `304106092a864886f70d01010a3034${parameters}`;
}

/** AlgorithmIdentifier DER in hexadecimal → what to check it with. */
const SIGNATURES = new Map<string, SignatureRow>([
  ['300a06082a8648ce3d040302', { name: 'ecdsa-with-SHA256', key: 'ec', hash: 'sha256' }],
  ['300a06082a8648ce3d040303', { name: 'ecdsa-with-SHA384', key: 'ec', hash: 'sha384' }],
  ['300506032b6570', { name: 'Ed25519', key: 'ed25519', hash: null }],
  ['300d06092a864886f70d01010b0500', { name: 'RSA PKCS#1 SHA-256', key: 'rsa', hash: 'sha256', padding: 'pkcs1' }],
  ['300d06092a864886f70d01010c0500', { name: 'RSA PKCS#1 SHA-384', key: 'rsa', hash: 'sha384', padding: 'pkcs1' }],
  ['300d06092a864886f70d01010d0500', { name: 'RSA PKCS#1 SHA-512', key: 'rsa', hash: 'sha512', padding: 'pkcs1' }],
  [pss('201', '20'), { name: 'RSA-PSS SHA-256', key: 'rsa', hash: 'sha256', padding: 'pss' }],
  [pss('202', '30'), { name: 'RSA-PSS SHA-384', key: 'rsa', hash: 'sha384', padding: 'pss' }],
  [pss('203', '40'), { name: 'RSA-PSS SHA-512', key: 'rsa', hash: 'sha512', padding: 'pss' }],
]);

interface KeyRow {
  kind: KeyKind;
  /** Octets of the key: an uncompressed point, or a raw Ed25519 key. */
  octets?: number;
  /** Octets of r and s at most. */
  scalarOctets?: number;
}

const KEYS = new Map<string, KeyRow>([
  ['301306072a8648ce3d020106082a8648ce3d030107', { kind: 'ec', octets: 65, scalarOctets: 32 }],
  ['301006072a8648ce3d020106052b81040022', { kind: 'ec', octets: 97, scalarOctets: 48 }],
  ['300506032b6570', { kind: 'ed25519', octets: 32 }],
  ['300d06092a864886f70d0101010500', { kind: 'rsa' }],
]);

export interface CertificateKey {
  key: KeyObject;
  row: KeyRow;
}

/** The row name of a signature algorithm, or undefined when it is outside the table or RSA is not enabled. */
export function signatureAlgorithmName(algorithm: Uint8Array, allowRsa: boolean): string | undefined {
  const row = signatureRow(algorithm);
  return row === undefined || (row.key === 'rsa' && !allowRsa) ? undefined : row.name;
}

/**
 * Reads a SubjectPublicKeyInfo: P-256 or P-384 as a named curve with an uncompressed point, Ed25519, or RSA from 2048
 * bits with an odd exponent from 65537. Undefined when it is anything else, not on its curve, or RSA is not enabled.
 */
export function readCertificateKey(publicKeyInfo: Uint8Array, allowRsa: boolean): CertificateKey | undefined {
  try {
    const info = openDer(publicKeyInfo, TAG.SEQUENCE, 'public key');
    const row = KEYS.get(info.take(TAG.SEQUENCE, 'key algorithm').raw.toString('hex'));
    const bits = readWholeBits(info.take(TAG.BIT_STRING, 'key'));
    info.end('public key');
    if (row === undefined || (row.kind === 'rsa' && !(allowRsa && isFitRsaKey(bits)))) return undefined;
    if (row.octets !== undefined && bits.length !== row.octets) return undefined;
    if (row.kind === 'ec' && bits[0] !== 4) return undefined;
    const key = loadKey(publicKeyInfo);
    return key === undefined ? undefined : { key, row };
  } catch (error) {
    if (isAccordError(error, 'DER_INVALID')) return undefined;
    throw error;
  }
}

// OpenSSL's own refusal of a key, a point off its curve for one, comes as an error of no one class.
function loadKey(publicKeyInfo: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(publicKeyInfo), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

/** True when `signature` by `key` over `bytes` verifies under `algorithm`, an AlgorithmIdentifier in DER. */
export function verifyCertificateSignature(
  algorithm: Uint8Array,
  key: CertificateKey,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  const row = signatureRow(algorithm);
  if (row === undefined || row.key !== key.row.kind) return false;
  if (row.key === 'ec' && !isStrictEcdsa(signature, key.row.scalarOctets ?? 0)) return false;
  const options =
    row.padding === 'pss'
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : row.padding === 'pkcs1'
        ? { padding: constants.RSA_PKCS1_PADDING }
        : { dsaEncoding: 'der' as const };
  return verify(row.hash, bytes, { key: key.key, ...options }, signature);
}

function signatureRow(algorithm: Uint8Array): SignatureRow | undefined {
  return algorithm.length > 80 ? undefined : SIGNATURES.get(Buffer.from(algorithm).toString('hex'));
}

// Ecdsa-Sig-Value in strict DER with positive r and s (RFC 3279 2.2.3). Both values of s are accepted, because public
// authorities make both: a certificate's identity is the hash of all its bytes, never its signature alone.
function isStrictEcdsa(signature: Uint8Array, scalarOctets: number): boolean {
  try {
    const pair = openDer(signature, TAG.SEQUENCE, 'signature');
    const fits = [pair.take(TAG.INTEGER, 'r'), pair.take(TAG.INTEGER, 's')].map(readInteger).every((octets) => {
      const positive = (octets[0] ?? 0x80) < 0x80 && octets.some((octet) => octet !== 0);
      return positive && octets.length <= scalarOctets + 1;
    });
    pair.end('signature');
    return fits;
  } catch (error) {
    if (isAccordError(error, 'DER_INVALID')) return false;
    throw error;
  }
}

// Very large keys are refused because checking them is work that a stranger can ask for.
function isFitRsaKey(bits: Buffer): boolean {
  const outer = new DerReader(bits);
  const pair = outer.open(TAG.SEQUENCE, 'RSA key');
  outer.end('RSA key');
  const modulus = readInteger(pair.take(TAG.INTEGER, 'modulus'));
  const exponent = readInteger(pair.take(TAG.INTEGER, 'exponent'));
  pair.end('RSA key');
  if ((modulus[0] ?? 0x80) >= 0x80 || (exponent[0] ?? 0x80) >= 0x80 || exponent.length > 5) return false;
  const magnitude = modulus[0] === 0 ? modulus.subarray(1) : modulus;
  const bitLength = magnitude.length * 8 - Math.clz32(magnitude[0] ?? 0) + 24;
  const e = exponent.readUIntBE(0, exponent.length);
  return bitLength >= MIN_RSA_BITS && bitLength <= MAX_RSA_BITS && e >= 65537 && e % 2 === 1;
}
