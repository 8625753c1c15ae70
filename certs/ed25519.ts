// Ed25519 (RFC 8032) over raw 32-byte public keys, as signed notes carry them. Signatures are 64 bytes. The notes and
// the verifier keys may come from anyone.
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

export const ED25519_KEY_BYTES = 32;
export const ED25519_SIGNATURE_BYTES = 64;

// SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410 section 4).
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** The raw 32 bytes of the public half of `key`, which may be private or public. @throws TypeError for other keys */
export function rawEd25519PublicKey(key: KeyObject): Buffer {
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('not an Ed25519 key');
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
}

export function signEd25519(privateKey: KeyObject, message: Uint8Array): Buffer {
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new TypeError('not an Ed25519 key');
  return sign(null, message, privateKey);
}

/** False for every malformed key or signature, too. */
export function verifyEd25519(rawPublicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (rawPublicKey.length !== ED25519_KEY_BYTES || signature.length !== ED25519_SIGNATURE_BYTES) return false;
  try {
    const der = Buffer.concat([SPKI_PREFIX, rawPublicKey]);
    return verify(null, message, createPublicKey({ key: der, format: 'der', type: 'spki' }), signature);
  } catch {
    return false;
  }
}
