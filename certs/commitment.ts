// Commitments and hashes of a message's parts. A part is never hashed bare: with a fresh salt a short value cannot be
// guessed from the statement, and once part and salt are destroyed the statement still verifies and says nothing.
import { createHash, hash, timingSafeEqual } from 'node:crypto';
import { base64url, fromBase64url } from '#schemas/base64url.ts';

export const COMMITMENT_SALT_BYTES = 32;

/** SHA-256 in base64url. */
export function sha256(bytes: Uint8Array | string): string {
  return hash('sha256', bytes, 'base64url');
}

/** SHA-256(salt ‖ bytes) in base64url; `salt` is 32 bytes used for this part only. */
export function commit(salt: Uint8Array, bytes: Uint8Array): string {
  if (salt.length !== COMMITMENT_SALT_BYTES) throw new TypeError('a commitment salt has 32 bytes');
  return base64url(createHash('sha256').update(salt).update(bytes).digest());
}

/** True when `commitment` (base64url) opens to exactly these bytes. */
export function opens(commitment: string, salt: Uint8Array, bytes: Uint8Array): boolean {
  const expected = fromBase64url(commitment);
  const actual = createHash('sha256').update(salt).update(bytes).digest();
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}
