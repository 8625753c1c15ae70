// The erasable part of a record: what a statement only commits to. Framing: five parts in fixed order, each a 32-bit
// big-endian length + 1 (0: absent) and its bytes; then AES-256-GCM under the record's own key, with the log's origin and
// the entry's leaf hash as associated data, so that it opens only beside the entry it was written with.
import type { KeyObject } from 'node:crypto';
import { HASH_BYTES } from '#certs/merkle.ts';
import { decipher, encipher } from '#certs/record-cipher.ts';
import { AccordError } from '#schemas/problems.ts';

export interface SealedParts {
  context?: Buffer;
  contextSalt?: Buffer;
  body?: Buffer;
  bodySalt?: Buffer;
  decisionInputs?: Buffer;
}

const LENGTH_BYTES = 4;
const PARTS = ['context', 'contextSalt', 'body', 'bodySalt', 'decisionInputs'] as const;

export function sealRecord(parts: SealedParts, key: KeyObject, origin: string, leaf: Buffer): Buffer {
  let size = 0;
  for (const name of PARTS) size += LENGTH_BYTES + (parts[name]?.length ?? 0);
  const plain = Buffer.allocUnsafe(size);
  let at = 0;
  for (const name of PARTS) {
    const part = parts[name];
    at = plain.writeUInt32BE(part === undefined ? 0 : part.length + 1, at);
    if (part === undefined) continue;
    plain.set(part, at);
    at += part.length;
  }
  return encipher(key, label(origin, leaf), plain);
}

/** @throws RECORD_UNREADABLE when bytes, key, origin or leaf are not the ones it was sealed with */
export function openRecord(sealed: Buffer, key: KeyObject, origin: string, leaf: Buffer): SealedParts {
  const plain = decipher(key, label(origin, leaf), sealed);
  if (plain === null) throw new AccordError('RECORD_UNREADABLE');
  const parts: SealedParts = {};
  let at = 0;
  for (const name of PARTS) {
    const length = plain.readUInt32BE(at) - 1;
    at += LENGTH_BYTES;
    if (length >= 0) parts[name] = plain.subarray(at, at + length);
    at += Math.max(length, 0);
  }
  return parts;
}

// A server has one origin; what it seals is labelled with it every time.
let ofOrigin = { origin: '', label: Buffer.alloc(0) };

/** Filled anew by every call for the same origin; enciphering is synchronous. */
function label(origin: string, leaf: Buffer): Buffer {
  const words = `accord-record/1\0${origin}\0`;
  if (ofOrigin.origin !== origin) ofOrigin = { origin, label: Buffer.from(words + '\0'.repeat(HASH_BYTES), 'utf8') };
  const { label } = ofOrigin;
  if (leaf.length !== HASH_BYTES) return Buffer.concat([Buffer.from(words), leaf]);
  label.set(leaf, label.length - HASH_BYTES);
  return label;
}
