// Message ids: UUIDv7 (RFC 9562 section 5.7). Time-ordered, so that an index over them stays local however many there
// are; 74 random bits, so that nobody guesses one.
import { randomPiece } from './random.ts';

/** A fresh id, lower case. @param nowMs wall-clock milliseconds */
export function newMessageId(nowMs: number): string {
  const bytes = randomPiece(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** When a UUIDv7 was made, as its maker says, in milliseconds since the epoch; 0 for anything else. */
export function messageIdTimeMs(id: string): number {
  const [, high, low] = /^([0-9a-f]{8})-([0-9a-f]{4})-7/.exec(id) ?? [];
  return high === undefined ? 0 : Number.parseInt(`${high}${low}`, 16);
}
