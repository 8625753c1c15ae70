// The erasable part of a record: what a statement only commits to. Framing: five parts in fixed order, each a 32-bit
// big-endian length + 1 (0: absent) and its bytes; then AES-256-GCM under the record's own key, with the log's origin and
// the entry's leaf hash as associated data, so that it opens only beside the entry it was written with.
import type { KeyObject } from 'node:crypto';
import { decipher, encipher } from '#certs/record-cipher.ts';
import { AccordError } from '#schemas/problems.ts';

export interface SealedParts {
  context?: Buffer;
  contextSalt?: Buffer;
  body?: Buffer;
  bodySalt?: Buffer;
  decisionInputs?: Buffer;
}

const PARTS = ['context', 'contextSalt', 'body', 'bodySalt', 'decisionInputs'] as const;

export function sealRecord(parts: SealedParts, key: KeyObject, origin: string, leaf: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (const name of PARTS) {
    const part = parts[name];
    const head = Buffer.alloc(4);
    head.writeUInt32BE(part === undefined ? 0 : part.length + 1);
    pieces.push(head, part ?? Buffer.alloc(0));
  }
  return encipher(key, label(origin, leaf), Buffer.concat(pieces));
}

/** @throws RECORD_UNREADABLE when bytes, key, origin or leaf are not the ones it was sealed with */
export function openRecord(sealed: Buffer, key: KeyObject, origin: string, leaf: Buffer): SealedParts {
  const plain = decipher(key, label(origin, leaf), sealed);
  if (plain === null) throw new AccordError('RECORD_UNREADABLE');
  const parts: SealedParts = {};
  let at = 0;
  for (const name of PARTS) {
    const length = plain.readUInt32BE(at) - 1;
    at += 4;
    if (length >= 0) parts[name] = plain.subarray(at, at + length);
    at += Math.max(length, 0);
  }
  return parts;
}

function label(origin: string, leaf: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`accord-record/1\0${origin}\0`), leaf]);
}
