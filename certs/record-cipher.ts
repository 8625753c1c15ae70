// AES-256-GCM (NIST SP 800-38D) for what a server keeps on its own disk: nonce (12 random bytes) ‖ ciphertext ‖ tag (16).
// Whoever can write to the disk controls what is opened; the associated data says where the bytes belong, so that one
// record's ciphertext cannot be moved to another.
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomFillSync } from 'node:crypto';

export const CIPHER_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** What enciphering adds. */
export const NONCE_AND_TAG_BYTES: number = NONCE_BYTES + TAG_BYTES;

/** A key from its 32 bytes. As a KeyObject it is expanded once; handing bytes to each call costs three times as much. */
export function cipherKey(bytes: Uint8Array): KeyObject {
  if (bytes.length !== CIPHER_KEY_BYTES) throw new TypeError(`a key has ${CIPHER_KEY_BYTES} bytes`);
  return createSecretKey(bytes);
}

// Random bytes are asked for a few hundred nonces at a time: each asking costs as much as the cipher itself.
const nonces = Buffer.alloc(512 * NONCE_BYTES);
let nextNonce = nonces.length;

/** Never given out twice; a copy, so that the pool can be filled anew. */
function freshNonce(): Buffer {
  if (nextNonce >= nonces.length) {
    randomFillSync(nonces);
    nextNonce = 0;
  }
  const nonce = Buffer.allocUnsafe(NONCE_BYTES);
  nonces.copy(nonce, 0, nextNonce, nextNonce + NONCE_BYTES);
  nextNonce += NONCE_BYTES;
  return nonce;
}

export function encipher(key: KeyObject, associatedData: Uint8Array, plaintext: Uint8Array): Buffer {
  return Buffer.concat(encipherInPieces(key, associatedData, plaintext));
}

/** What `encipher` makes, not joined, for whoever writes it away at once. */
export function encipherInPieces(key: KeyObject, associatedData: Uint8Array, plaintext: Uint8Array): Buffer[] {
  const nonce = freshNonce();
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associatedData);
  const body = cipher.update(plaintext);
  cipher.final(); // of this mode it is empty
  return [nonce, body, cipher.getAuthTag()];
}

/** The plaintext, or null when key, associated data or bytes are not the ones that were enciphered. */
export function decipher(key: KeyObject, associatedData: Uint8Array, sealed: Uint8Array): Buffer | null {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return null;
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const decipherer = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipherer.setAAD(associatedData);
  decipherer.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const body = decipherer.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES));
  try {
    decipherer.final(); // of this mode it is empty: all it does is judge
    return body;
  } catch {
    return null;
  }
}
