// ML-DSA-44 (FIPS 204, pure mode, empty context) over raw 1,312-byte public keys, as C2SP cosignatures carry them.
// Signatures are 2,420 bytes. The keys and the signatures may come from anyone.
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

export const ML_DSA_44_KEY_BYTES = 1_312;
const ML_DSA_44_SIGNATURE_BYTES = 2_420;

// SubjectPublicKeyInfo of an ML-DSA-44 key up to the key itself (RFC 9881 section 4).
const SPKI_PREFIX = Buffer.from('30820532300b06096086480165030403110382052100', 'hex');

/** The raw public half of `key`, which may be private or public. @throws TypeError for other keys */
export function rawMlDsa44PublicKey(key: KeyObject): Buffer {
  if ((key.asymmetricKeyType as string) !== 'ml-dsa-44') throw new TypeError('not an ML-DSA-44 key');
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
}

export function signMlDsa44(privateKey: KeyObject, message: Uint8Array): Buffer {
  if ((privateKey.asymmetricKeyType as string) !== 'ml-dsa-44') throw new TypeError('not an ML-DSA-44 key');
  return sign(null, message, privateKey);
}

/** False for every malformed key or signature, too. */
export function verifyMlDsa44(rawPublicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (rawPublicKey.length !== ML_DSA_44_KEY_BYTES || signature.length !== ML_DSA_44_SIGNATURE_BYTES) return false;
  try {
    const der = Buffer.concat([SPKI_PREFIX, rawPublicKey]);
    return verify(null, message, createPublicKey({ key: der, format: 'der', type: 'spki' }), signature);
  } catch {
    return false;
  }
}
