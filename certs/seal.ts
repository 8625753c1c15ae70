// The seal: end-to-end authenticated encryption of one part (head or body) of one peer message under a channel secret
// (DESIGN: what is sealed). Each sealing has a fresh salt, so a key is used for one part of one message only; each
// record's nonce is its counter with a final-record flag, so records cannot be reordered, dropped or appended.
// The peer controls every sealed byte; nothing is released before the last record of a part has been verified.
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { SEAL_RECORD_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

export const SEAL_SALT_BYTES = 32;
const TAG_BYTES = 16;
const INFO_LABEL = 'accord-seal/1';

/** What a sealing key is bound to; a key derived for one place opens nothing anywhere else. */
export interface SealBinding {
  kind: 'request' | 'answer';
  /** SHA-256 of the ticket's exact JWE, base64url. */
  ticketHash: string;
  from: string;
  to: string;
  id: string;
  part: 'head' | 'body';
}

/** 32-bit length before each value, so that no two bindings share an encoding. */
function info(binding: SealBinding): Buffer {
  const { kind, ticketHash, from, to, id, part } = binding;
  const pieces: Buffer[] = [Buffer.from(INFO_LABEL)];
  for (const value of [kind, ticketHash, from, to, id, part]) {
    const bytes = Buffer.from(value, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    pieces.push(length, bytes);
  }
  return Buffer.concat(pieces);
}

function sealingKey(secret: Uint8Array, salt: Uint8Array, binding: SealBinding): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, salt, info(binding), 32)));
}

function nonce(counter: number, isFinal: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt8(isFinal ? 1 : 0, 0);
  bytes.writeUInt32BE(counter, 8);
  return bytes;
}

/** Bytes that `plaintextBytes` take once sealed; an empty part is one final record. */
export function sealedLength(plaintextBytes: number): number {
  return plaintextBytes + Math.max(1, Math.ceil(plaintextBytes / SEAL_RECORD_BYTES)) * TAG_BYTES;
}

/**
 * Seals `plaintext` in records of 64 KiB.
 * @param secret the channel secret, 32 bytes
 * @param salt 32 fresh random bytes, never used before
 */
export function seal(plaintext: Uint8Array, secret: Uint8Array, salt: Uint8Array, binding: SealBinding): Buffer {
  const key = sealingKey(secret, salt, binding);
  const records = Math.max(1, Math.ceil(plaintext.length / SEAL_RECORD_BYTES));
  const out: Buffer[] = [];
  for (let counter = 0; counter < records; counter += 1) {
    const slice = plaintext.subarray(counter * SEAL_RECORD_BYTES, (counter + 1) * SEAL_RECORD_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, nonce(counter, counter === records - 1));
    out.push(cipher.update(slice), cipher.final(), cipher.getAuthTag());
  }
  return Buffer.concat(out);
}

/** Opens what `seal` made. @throws SEAL_BROKEN when any record, its order or its end is not what was sealed */
export function unseal(sealed: Uint8Array, secret: Uint8Array, salt: Uint8Array, binding: SealBinding): Buffer {
  if (sealed.length < TAG_BYTES) throw new AccordError('SEAL_BROKEN', 'shorter than one record');
  const key = sealingKey(secret, salt, binding);
  const step = SEAL_RECORD_BYTES + TAG_BYTES;
  const records = Math.ceil(sealed.length / step);
  const out: Buffer[] = [];
  for (let counter = 0; counter < records; counter += 1) {
    const record = sealed.subarray(counter * step, (counter + 1) * step);
    if (record.length < TAG_BYTES) throw new AccordError('SEAL_BROKEN', 'truncated record');
    const decipher = createDecipheriv('aes-256-gcm', key, nonce(counter, counter === records - 1), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAuthTag(record.subarray(record.length - TAG_BYTES));
    try {
      out.push(decipher.update(record.subarray(0, record.length - TAG_BYTES)), decipher.final());
    } catch (cause) {
      throw new AccordError('SEAL_BROKEN', '', { cause });
    }
  }
  return Buffer.concat(out);
}
