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
  /** `batch`: several messages at once, of which `id` is none's own. */
  part: 'head' | 'body' | 'batch';
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

// A channel's secret is used for minutes: made a KeyObject once, a key from it costs half.
const channelKeys = new WeakMap<Uint8Array, KeyObject>();

function sealingKey(secret: Uint8Array, salt: Uint8Array, binding: SealBinding): KeyObject {
  let channelKey = channelKeys.get(secret);
  if (channelKey === undefined) {
    channelKey = createSecretKey(secret);
    channelKeys.set(secret, channelKey);
  }
  return createSecretKey(Buffer.from(hkdfSync('sha256', channelKey, salt, info(binding), 32)));
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

/** Seals one record after the other: 64 KiB each, only the final one may be shorter. */
export type RecordSealer = (plaintext: Uint8Array, isFinal: boolean) => Buffer[];

/**
 * @param secret the channel secret, 32 bytes
 * @param salt 32 fresh random bytes, never used before
 */
export function recordSealer(secret: Uint8Array, salt: Uint8Array, binding: SealBinding): RecordSealer {
  const key = sealingKey(secret, salt, binding);
  let counter = 0;
  return (plaintext, isFinal) => {
    const cipher = createCipheriv('aes-256-gcm', key, nonce(counter, isFinal));
    counter += 1;
    return [cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
  };
}

/** Opens one record after the other. @throws SEAL_BROKEN when a record, its place or its being the last is not what was sealed */
export type RecordOpener = (record: Uint8Array, isFinal: boolean) => Buffer;

export function recordOpener(secret: Uint8Array, salt: Uint8Array, binding: SealBinding): RecordOpener {
  const key = sealingKey(secret, salt, binding);
  let counter = 0;
  return (record, isFinal) => {
    if (record.length < TAG_BYTES) throw new AccordError('SEAL_BROKEN', 'truncated record');
    const decipher = createDecipheriv('aes-256-gcm', key, nonce(counter, isFinal), { authTagLength: TAG_BYTES });
    counter += 1;
    decipher.setAuthTag(record.subarray(record.length - TAG_BYTES));
    try {
      const plaintext = decipher.update(record.subarray(0, record.length - TAG_BYTES));
      decipher.final();
      return plaintext;
    } catch (cause) {
      throw new AccordError('SEAL_BROKEN', '', { cause });
    }
  };
}

/** A whole record on the wire. */
export const SEALED_RECORD_BYTES: number = SEAL_RECORD_BYTES + TAG_BYTES;

/** Seals `plaintext` as a whole. */
export function seal(plaintext: Uint8Array, secret: Uint8Array, salt: Uint8Array, binding: SealBinding): Buffer {
  const sealNext = recordSealer(secret, salt, binding);
  const records = Math.max(1, Math.ceil(plaintext.length / SEAL_RECORD_BYTES));
  const out: Buffer[] = [];
  for (let at = 0; at < records; at += 1) {
    const slice = plaintext.subarray(at * SEAL_RECORD_BYTES, (at + 1) * SEAL_RECORD_BYTES);
    out.push(...sealNext(slice, at === records - 1));
  }
  return Buffer.concat(out);
}

/** Opens what `seal` made. @throws SEAL_BROKEN when any record, its order or its end is not what was sealed */
export function unseal(sealed: Uint8Array, secret: Uint8Array, salt: Uint8Array, binding: SealBinding): Buffer {
  if (sealed.length < TAG_BYTES) throw new AccordError('SEAL_BROKEN', 'shorter than one record');
  const openNext = recordOpener(secret, salt, binding);
  const records = Math.ceil(sealed.length / SEALED_RECORD_BYTES);
  const out: Buffer[] = [];
  for (let at = 0; at < records; at += 1) {
    const record = sealed.subarray(at * SEALED_RECORD_BYTES, (at + 1) * SEALED_RECORD_BYTES);
    out.push(openNext(record, at === records - 1));
  }
  return Buffer.concat(out);
}
