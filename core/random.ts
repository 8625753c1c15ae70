// Random bytes for what is needed at every message: a call into the system's generator for each salt and each id costs more
// than the bytes. A piece is given out once and to one caller only.
import { randomBytes } from 'node:crypto';

const POOL_BYTES = 4_096;

let pool = Buffer.alloc(0);

/** @param length at most 64 */
export function randomPiece(length: number): Buffer {
  if (length > 64) throw new TypeError('longer secrets are made by themselves');
  if (pool.length < length) pool = randomBytes(POOL_BYTES);
  const piece = pool.subarray(0, length);
  pool = pool.subarray(length);
  return piece;
}
