// What a segment of an archive holds, as bytes. Entries stand one behind the other, each with a head of eight numbers
// (big-endian: lengths of line, statement, path, key id and sealed parts, the number of its signature in this segment, its
// place in the batch; -1 for what is not there) and then those parts themselves. Signatures, checkpoints and tiles are lines
// of canonical JSON. A statement without a path stands in a batch of which every statement is in the segment. Sealed parts
// are ciphertext under keys that never come here. Whoever holds the archive controls what is read: every number is held
// against the bytes that are there.
import { setImmediate } from 'node:timers/promises';
import { canonicalJson } from '#schemas/canonical-json.ts';
import { type JsonValue, parseJson } from '#schemas/json.ts';
import { MAX_SIGNATURE_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { Sha256 } from '#schemas/registrations.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';

export interface ArchivedRow {
  line: Buffer;
  /** Null for an entry without evidence; a note has one and no signature. */
  statement: Buffer | null;
  /** Of the segment; -1 for none. */
  signature: number;
  index: number;
  size: number;
  /** Null where it follows from the other statements of the batch. */
  path: Buffer | null;
  keyId: Buffer | null;
  sealed: Buffer | null;
}

const HEAD_BYTES = 28;
const closed = { additionalProperties: false };
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const orNull = Type.Union([count, Type.Null()]);

const ArchivedSignature = Type.Object(
  { jws: Type.String({ minLength: 1, maxLength: MAX_SIGNATURE_BYTES }), first: orNull, last: orNull },
  closed,
);
const ArchivedCheckpoint = Type.Object(
  { size: count, atMs: count, note: Type.String({ minLength: 1, maxLength: 4 * 1024 }) },
  closed,
);
const ArchivedTile = Type.Object(
  { level: Type.Integer({ minimum: 1, maximum: 8 }), index: count, hash: Sha256 },
  closed,
);
export type ArchivedSignature = Static<typeof ArchivedSignature>;
export type ArchivedCheckpoint = Static<typeof ArchivedCheckpoint>;
export type ArchivedTile = Static<typeof ArchivedTile>;

export function encodeRow(row: ArchivedRow): Buffer[] {
  const { line, statement, signature, index, size, path, keyId, sealed } = row;
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(line.length, 0);
  head.writeInt32BE(statement?.length ?? -1, 4);
  head.writeInt32BE(signature, 8);
  head.writeUInt16BE(index, 12);
  head.writeUInt16BE(size, 14);
  head.writeInt32BE(path?.length ?? -1, 16);
  head.writeInt32BE(keyId?.length ?? -1, 20);
  head.writeInt32BE(sealed?.length ?? -1, 24);
  return [head, line, ...[statement, path, keyId, sealed].filter((part) => part !== null)];
}

/** Reads the rows of a file; parts are views of its memory. @throws ARCHIVE_MALFORMED */
export function decodeRows(bytes: Buffer): ArchivedRow[] {
  const rows: ArchivedRow[] = [];
  let at = 0;
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw new AccordError('ARCHIVE_MALFORMED', 'an entry ends beyond its file');
    at += length;
    return bytes.subarray(at - length, at);
  };
  const optional = (length: number) => {
    if (length < -1) throw new AccordError('ARCHIVE_MALFORMED', 'a part of an entry with a negative length');
    return length < 0 ? null : take(length);
  };
  while (at < bytes.length) {
    const head = at;
    at += HEAD_BYTES;
    if (at > bytes.length) throw new AccordError('ARCHIVE_MALFORMED', 'an entry ends beyond its file');
    rows.push({
      line: take(bytes.readUInt32BE(head)),
      statement: optional(bytes.readInt32BE(head + 4)),
      signature: bytes.readInt32BE(head + 8),
      index: bytes.readUInt16BE(head + 12),
      size: bytes.readUInt16BE(head + 14),
      path: optional(bytes.readInt32BE(head + 16)),
      keyId: optional(bytes.readInt32BE(head + 20)),
      sealed: optional(bytes.readInt32BE(head + 24)),
    });
  }
  return rows;
}

/** Lines encoded or read before others may run: some milliseconds. */
const LINES_AT_ONCE = 256;

export async function encodeLines(values: Iterable<JsonValue>): Promise<Buffer> {
  const lines: string[] = [];
  for (const value of values) {
    lines.push(`${canonicalJson(value)}\n`);
    if (lines.length % LINES_AT_ONCE === 0) await setImmediate();
  }
  return Buffer.from(lines.join(''), 'utf8');
}

const readSignature = compile(ArchivedSignature, 'ARCHIVE_MALFORMED');
const readCheckpoint = compile(ArchivedCheckpoint, 'ARCHIVE_MALFORMED');
const readTile = compile(ArchivedTile, 'ARCHIVE_MALFORMED');

/** @throws ARCHIVE_MALFORMED, JSON_* */
export const decodeSignatures = (bytes: Buffer): Promise<ArchivedSignature[]> => decodeLines(bytes, readSignature);
/** @throws ARCHIVE_MALFORMED, JSON_* */
export const decodeCheckpoints = (bytes: Buffer): Promise<ArchivedCheckpoint[]> => decodeLines(bytes, readCheckpoint);
/** @throws ARCHIVE_MALFORMED, JSON_* */
export const decodeTiles = (bytes: Buffer): Promise<ArchivedTile[]> => decodeLines(bytes, readTile);

async function decodeLines<T>(bytes: Buffer, check: (value: unknown) => T): Promise<T[]> {
  const lines = bytes.toString('utf8').split('\n');
  if (lines.pop() !== '') throw new AccordError('ARCHIVE_MALFORMED', 'a line without its end');
  const values: T[] = [];
  for (const line of lines) {
    const value = parseJson(line);
    if (canonicalJson(value) !== line)
      throw new AccordError('ARCHIVE_MALFORMED', 'a line that is not its one spelling');
    values.push(check(value));
    if (values.length % LINES_AT_ONCE === 0) await setImmediate();
  }
  return values;
}
