// Files of an archive at rest: AES-256-GCM (NIST SP 800-38D) in records of 64 KiB, deterministic, so that the same file is
// enciphered to the same bytes and a copy that was broken off can be made again over itself. A file's key is derived from
// the archive key, the place of the file and a keyed hash over its plaintext; two different plaintexts so never share a key,
// and the nonce is the record's counter with a final-record flag. Layout: label ‖ keyed hash (32) ‖ records, each with its
// tag (16); an empty file is one final record. Whoever holds the archive controls every byte; without the archive key nothing
// but lengths, and which files are equal, is told.
//
// The archive key lives in a key file like every other key: an X25519 private key nobody ever agrees with.
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { AccordError } from '#schemas/problems.ts';
import { thumbprint } from './keys.ts';

const LABEL = Buffer.from('accord-archive/1\n');
const HASH_BYTES = 32;
const TAG_BYTES = 16;
const RECORD_BYTES = 64 * 1024;
const HEAD_BYTES = LABEL.length + HASH_BYTES;

export interface ArchiveKey {
  /** RFC 7638 thumbprint of the key file's public key: says which key an archive needs. */
  kid: string;
  encipher: KeyObject;
  authenticate: KeyObject;
}

/** @throws TypeError for a key that is not an X25519 private key */
export function archiveKeyOf(privateKey: KeyObject): ArchiveKey {
  if (privateKey.asymmetricKeyType !== 'x25519') throw new TypeError('an archive key is an X25519 private key');
  const secret = Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url');
  const derive = (use: string) =>
    createSecretKey(Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), `accord-archive/1 ${use}`, 32)));
  return { kid: thumbprint(privateKey), encipher: derive('encipher'), authenticate: derive('authenticate') };
}

/** Bytes that a file takes once enciphered. */
function encipheredLength(plainBytes: number): number {
  return HEAD_BYTES + plainBytes + Math.max(1, Math.ceil(plainBytes / RECORD_BYTES)) * TAG_BYTES;
}

/** @param place where the file belongs, in words that no other file has */
export function encipherFile(key: ArchiveKey, place: string, plain: Buffer): Buffer {
  const hash = keyedHash(key, place, plain);
  const fileKey = keyOfFile(key, place, hash);
  const pieces: Buffer[] = [LABEL, hash];
  for (let record = 0, at = 0; record === 0 || at < plain.length; record++, at += RECORD_BYTES) {
    const isFinal = at + RECORD_BYTES >= plain.length;
    const cipher = createCipheriv('aes-256-gcm', fileKey, nonce(record, isFinal));
    pieces.push(cipher.update(plain.subarray(at, at + RECORD_BYTES)), cipher.final(), cipher.getAuthTag());
  }
  return Buffer.concat(pieces, encipheredLength(plain.length));
}

/** @throws ARCHIVE_DAMAGED when key, place or bytes are not the ones it was enciphered with */
export function decipherFile(key: ArchiveKey, place: string, bytes: Buffer): Buffer {
  const isLabelled = bytes.length >= HEAD_BYTES + TAG_BYTES && bytes.subarray(0, LABEL.length).equals(LABEL);
  if (!isLabelled) throw damaged(place);
  const hash = bytes.subarray(LABEL.length, HEAD_BYTES);
  const fileKey = keyOfFile(key, place, hash);
  const pieces: Buffer[] = [];
  const step = RECORD_BYTES + TAG_BYTES;
  for (let record = 0, at = HEAD_BYTES; at < bytes.length; record++, at += step) {
    const isFinal = at + step >= bytes.length;
    const end = Math.min(bytes.length, at + step) - TAG_BYTES;
    if (end < at) throw damaged(place);
    const decipher = createDecipheriv('aes-256-gcm', fileKey, nonce(record, isFinal), { authTagLength: TAG_BYTES });
    decipher.setAuthTag(bytes.subarray(end, end + TAG_BYTES));
    pieces.push(decipher.update(bytes.subarray(at, end)));
    try {
      decipher.final(); // of this mode it is empty: all it does is judge
    } catch (cause) {
      throw damaged(place, cause);
    }
  }
  const plain = Buffer.concat(pieces);
  if (!timingSafeEqual(keyedHash(key, place, plain), hash)) throw damaged(place);
  return plain;
}

function keyedHash(key: ArchiveKey, place: string, plain: Buffer): Buffer {
  return createHmac('sha256', key.authenticate).update(`${place}\0`).update(plain).digest();
}

function keyOfFile(key: ArchiveKey, place: string, hash: Buffer): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', key.encipher, hash, `accord-archive/1 file\0${place}`, 32)));
}

function nonce(record: number, isFinal: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt8(isFinal ? 1 : 0, 0);
  bytes.writeUInt32BE(record, 8);
  return bytes;
}

function damaged(place: string, cause?: unknown): AccordError {
  return new AccordError('ARCHIVE_DAMAGED', `${place} does not open`, { cause });
}
