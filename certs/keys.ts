// Key pairs and the forms of a public key: JWK (RFC 7517, RFC 8037), SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) and
// PEM (RFC 7468), and its thumbprint (RFC 7638), which is a key's name in Accord. Public keys come from certificates,
// registrations and other people's key sets: each form is accepted in its one canonical encoding only.
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { fromBase64url } from '#schemas/base64url.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import {
  type AGREEMENT_CURVES,
  isSignatureAlgorithm,
  RSA_BITS,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
} from './algorithms.ts';
import { isWeakEd25519, isWeakRsa } from './weak-keys.ts';

export type KeyKind = 'P-256' | 'P-384' | 'Ed25519' | 'X25519' | 'RSA-2048' | 'ML-DSA-44';
export type PublicJwk = {
  kty: 'EC' | 'OKP' | 'RSA' | 'AKP';
  crv?: string;
  x?: string;
  y?: string;
  n?: string;
  e?: string;
  alg?: string;
  pub?: string;
};
export interface KeyPair {
  privateKey: KeyObject;
  publicKey: KeyObject;
}

/** Makes a new key pair. P-256 is the default of everything; RSA exists for tests of foreign tokens. */
export function generateKeys(kind: KeyKind = 'P-256'): KeyPair {
  if (kind === 'Ed25519') return generateKeyPairSync('ed25519');
  if (kind === 'X25519') return generateKeyPairSync('x25519');
  if (kind === 'ML-DSA-44') return generateKeyPairSync('ml-dsa-44');
  if (kind === 'RSA-2048') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return generateKeyPairSync('ec', { namedCurve: kind === 'P-384' ? 'secp384r1' : 'prime256v1' });
}

/** The public half; of a public key, itself. */
export function publicKeyOf(key: KeyObject): KeyObject {
  return key.type === 'private' ? createPublicKey(key) : key;
}

/** The one algorithm `key` signs with. @throws KEY_UNSUITABLE for keys that do not sign, and for RSA, which names none */
export function keyAlgorithm(key: KeyObject): SignatureAlgorithm {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA';
  if (key.asymmetricKeyType === 'ec' && curve === 'prime256v1') return 'ES256';
  if (key.asymmetricKeyType === 'ec' && curve === 'secp384r1') return 'ES384';
  throw new AccordError('KEY_UNSUITABLE', `${key.asymmetricKeyType ?? 'secret'} keys have no one signature algorithm`);
}

/** The JWK curve of a key that can receive tickets. @throws KEY_UNSUITABLE for any other key */
export function agreementCurve(key: KeyObject): keyof typeof AGREEMENT_CURVES {
  if (key.asymmetricKeyType === 'x25519') return 'X25519';
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'P-256';
  throw new AccordError('KEY_UNSUITABLE', `${key.asymmetricKeyType ?? 'secret'} keys do not receive tickets`);
}

/** The public members only, in RFC 7638 order; a private key gives its public half. */
export function exportPublicJwk(key: KeyObject): PublicJwk {
  const { kty, crv, x, y, n, e, alg, pub } = publicKeyOf(key).export({ format: 'jwk' });
  if (kty === 'EC' && crv && x && y) return { crv, kty, x, y };
  if (kty === 'OKP' && crv && x) return { crv, kty, x };
  if (kty === 'RSA' && n && e) return { e, kty, n };
  // Witnesses' second keys; nothing reads such a key from outside in this form.
  if (kty === 'AKP' && alg === 'ML-DSA-44' && typeof pub === 'string') return { alg, kty, pub };
  throw new AccordError('KEY_UNSUITABLE', 'the key has no JWK form here');
}

/** RFC 7638 thumbprint, base64url SHA-256: the `kid` of every key in Accord. */
export function thumbprint(key: KeyObject): string {
  return createHash('sha256')
    .update(JSON.stringify(exportPublicJwk(key)))
    .digest('base64url');
}

/** SubjectPublicKeyInfo, DER. */
export function exportSpki(key: KeyObject): Buffer {
  return publicKeyOf(key).export({ format: 'der', type: 'spki' });
}

/** Reads SubjectPublicKeyInfo in its canonical DER. @throws KEY_MALFORMED, KEY_UNSUITABLE */
export function importSpki(der: Uint8Array): KeyObject {
  const key = guarded(() => createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' }));
  // The key's numbers encoded anew must give the same bytes: this refuses trailing bytes, compressed points (which a key
  // remembers and exports again) and curves spelled out by their parameters.
  const canonical = guarded(() => createPublicKey({ key: exportPublicJwk(key), format: 'jwk' }));
  if (!exportSpki(canonical).equals(der)) throw new AccordError('KEY_MALFORMED', 'not the canonical DER of the key');
  return checked(key);
}

/** PEM of the SubjectPublicKeyInfo, ending in a line feed. */
export function exportPublicPem(key: KeyObject): string {
  return publicKeyOf(key).export({ format: 'pem', type: 'spki' }).toString();
}

/** Reads one PEM block of label PUBLIC KEY and nothing else. @throws KEY_MALFORMED, KEY_UNSUITABLE */
export function importPublicPem(pem: string): KeyObject {
  const body = /^-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/=\r\n]{1,4096})-----END PUBLIC KEY-----\r?\n?$/.exec(
    pem,
  )?.[1];
  if (body === undefined) throw new AccordError('KEY_MALFORMED', 'not one PEM block of label PUBLIC KEY');
  return importSpki(Buffer.from(body, 'base64'));
}

/**
 * Reads a public JWK. Members besides the key itself are ignored, except those that forbid the use: `use`, `key_ops`,
 * an `alg` that does not fit the key, and any private member.
 * @throws KEY_MALFORMED, KEY_UNSUITABLE
 */
export function importPublicJwk(jwk: JsonValue, use: 'sig' | 'enc'): KeyObject {
  if (!isJsonObject(jwk)) throw new AccordError('KEY_MALFORMED', 'a JWK is an object');
  if (['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'].some((name) => Object.hasOwn(jwk, name))) {
    throw new AccordError('KEY_UNSUITABLE', 'a JWK with private or symmetric members');
  }
  refuseOtherUse(jwk, use);
  const members = publicMembers(jwk);
  const key = guarded(() => createPublicKey({ key: members as never, format: 'jwk' }));
  const made = exportPublicJwk(key) as JsonObject;
  if (Object.keys(members).some((name) => made[name] !== members[name])) {
    throw new AccordError('KEY_MALFORMED', 'a JWK member is not in its canonical encoding');
  }
  refuseOtherAlgorithm(jwk, key, use);
  return checked(key);
}

/**
 * Reads a JWK to verify with, and keeps the algorithm it was declared for: an RSA key of another's key set must not be
 * used with whatever algorithm a token names. @throws as importPublicJwk
 */
export function importVerificationJwk(jwk: JsonValue): { key: KeyObject; alg: SignatureAlgorithm | null } {
  const key = importPublicJwk(jwk, 'sig');
  const alg = isJsonObject(jwk) ? jwk['alg'] : null;
  return { key, alg: isSignatureAlgorithm(alg) ? alg : null };
}

function publicMembers(jwk: JsonObject): JsonObject {
  const names = { EC: ['crv', 'x', 'y'], OKP: ['crv', 'x'], RSA: ['n', 'e'] }[String(jwk['kty'])];
  if (names === undefined) throw new AccordError('KEY_UNSUITABLE', 'kty is not EC, OKP or RSA');
  const members: JsonObject = { kty: jwk['kty'] ?? null };
  for (const name of names) {
    const value = jwk[name];
    if (typeof value !== 'string') throw new AccordError('KEY_MALFORMED', `JWK member ${name} is missing`);
    members[name] = value;
  }
  return members;
}

function refuseOtherUse(jwk: JsonObject, use: 'sig' | 'enc'): void {
  if (jwk['use'] !== undefined && jwk['use'] !== use) throw new AccordError('KEY_UNSUITABLE', `use is not ${use}`);
  const operations = jwk['key_ops'];
  if (operations === undefined) return;
  const wanted = use === 'sig' ? ['verify'] : ['deriveKey', 'deriveBits'];
  // A public key for ECDH has an empty key_ops in the Web Cryptography API.
  const fine =
    Array.isArray(operations) &&
    (operations.length === 0 ? use === 'enc' : operations.some((o) => wanted.includes(String(o))));
  if (!fine) throw new AccordError('KEY_UNSUITABLE', 'key_ops forbids this use');
}

function refuseOtherAlgorithm(jwk: JsonObject, key: KeyObject, use: 'sig' | 'enc'): void {
  const { alg } = jwk;
  if (alg === undefined) return;
  const row = isSignatureAlgorithm(alg) ? SIGNATURE_ALGORITHMS[alg] : undefined;
  const curve = key.asymmetricKeyDetails?.namedCurve ?? null;
  const fine =
    use === 'enc' ? alg === 'ECDH-ES+A256KW' : row?.keyType === key.asymmetricKeyType && row?.namedCurve === curve;
  if (!fine) throw new AccordError('KEY_UNSUITABLE', 'alg does not fit the key');
}

/** Refuses keys of no row in the table and keys that are known to be worthless. */
function checked(key: KeyObject): KeyObject {
  const { namedCurve, modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa') {
    const bits = modulusLength ?? 0;
    if (bits < RSA_BITS.min || bits > RSA_BITS.max) throw new AccordError('KEY_UNSUITABLE', `RSA of ${bits} bits`);
    const { n } = exportPublicJwk(key);
    if (isWeakRsa(BigInt(`0x${fromBase64url(n ?? '').toString('hex')}`), publicExponent ?? 0n)) {
      throw new AccordError('KEY_UNSUITABLE', 'the RSA key is weak');
    }
    return key;
  }
  if (key.asymmetricKeyType === 'ed25519' && isWeakEd25519(fromBase64url(exportPublicJwk(key).x ?? ''))) {
    throw new AccordError('KEY_UNSUITABLE', 'the Ed25519 key has a small order');
  }
  const known =
    ['ed25519', 'x25519'].includes(key.asymmetricKeyType ?? '') ||
    ['prime256v1', 'secp384r1'].includes(namedCurve ?? '');
  if (!known) throw new AccordError('KEY_UNSUITABLE', `${key.asymmetricKeyType} ${namedCurve ?? ''}`);
  return key;
}

function guarded(read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch (error) {
    if (error instanceof AccordError) throw error;
    throw new AccordError('KEY_MALFORMED', '', { cause: error });
  }
}
