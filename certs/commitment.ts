// Commitments and hashes of a message's parts. A part is never hashed bare: with a fresh salt a short value cannot be
// guessed from the statement, and once part and salt are destroyed the statement still verifies and says nothing.
import { createHash, hash, timingSafeEqual } from 'node:crypto';
import { base64url } from '#schemas/base64url.ts';

export const COMMITMENT_SALT_BYTES = 32;

/** SHA-256 in base64url. */
export function sha256(bytes: Uint8Array | string): string {
  return hash('sha256', bytes, 'base64url');
}

/** SHA-256(salt ‖ bytes) in base64url; `salt` is 32 bytes used for this part only. */
export function commit(salt: Uint8Array, bytes: Uint8Array): string {
  if (salt.length !== COMMITMENT_SALT_BYTES) throw new TypeError('a commitment salt has 32 bytes');
  return digest(salt, bytes);
}

// Short parts, which are nearly all, are laid behind their salt and hashed in one call: half the cost of an object for it.
const together = Buffer.alloc(COMMITMENT_SALT_BYTES + 4096);

function digest(salt: Uint8Array, bytes: Uint8Array): string {
  const length = salt.length + bytes.length;
  if (length > together.length) return base64url(createHash('sha256').update(salt).update(bytes).digest());
  together.set(salt, 0);
  together.set(bytes, salt.length);
  const digested = hash('sha256', together.subarray(0, length), 'base64url');
  together.fill(0, 0, length); // it may be read by nobody, and not later either
  return digested;
}

/** True when `commitment` (base64url) opens to exactly these bytes. */
export function opens(commitment: string, salt: Uint8Array, bytes: Uint8Array): boolean {
  const actual = Buffer.from(digest(salt, bytes), 'utf8');
  const expected = Buffer.from(commitment, 'utf8');
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}
