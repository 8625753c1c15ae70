// Where an archive lies: a folder, or a bucket of an S3-compatible store (folder-destination.ts, s3-destination.ts). A
// destination keeps objects under names; it knows nothing of what they hold. Names are a log's folder, a segment's folder and
// a file, with `/` between them.
//
// What a destination promises: `put` is durable, and whole or not at all, when it resolves; what is put again over itself
// is the same object. `get` gives back bytes that are verified by whoever asked, or null where there is none. `list` gives
// all names with a beginning and an ending, in order, and stops where there are more than an archive has. Everything else is
// ARCHIVE_UNREACHABLE, or ARCHIVE_LOCK_REFUSED.
import { createHash } from 'node:crypto';
import { MAX_ARCHIVE_NAME_CHARS, MAX_ARCHIVE_SEGMENTS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

export interface ArchiveDestination {
  /** For people: where it is. */
  readonly name: string;
  /** Whether what is put is locked against deletion for some time. */
  readonly isLocked: boolean;
  /** @throws ARCHIVE_UNREACHABLE, ARCHIVE_LOCK_REFUSED */
  put(name: string, bytes: Buffer): Promise<void>;
  /** @throws ARCHIVE_UNREACHABLE */
  get(name: string, maxBytes: number): Promise<Buffer | null>;
  /** @param ending every name without it @throws ARCHIVE_MALFORMED when there is too much, ARCHIVE_UNREACHABLE */
  list(prefix: string, ending?: string): Promise<string[]>;
  close(): Promise<void>;
}

export const MANIFEST = 'manifest.json';
const DIGITS = 16;

/** The folder of a log: its origin in letters that every store takes, and a hash that tells two apart that look the same. */
export function logFolderName(origin: string): string {
  const hash = createHash('sha256').update(origin).digest('hex').slice(0, 8);
  return `${origin.replace(/[^A-Za-z0-9.-]/g, '_').slice(0, 200)}-${hash}`;
}

/** Sorts by its first entry. */
export function segmentName(origin: string, from: number, to: number): string {
  return `${logFolderName(origin)}/${String(from).padStart(DIGITS, '0')}-${String(to).padStart(DIGITS, '0')}`;
}

/** Keeps a name of a list, whoever made it. @throws ARCHIVE_MALFORMED */
export function keepName(names: string[], name: string): void {
  if (names.length >= MAX_ARCHIVE_SEGMENTS) throw new AccordError('ARCHIVE_MALFORMED', 'too many segments');
  if (name.length > MAX_ARCHIVE_NAME_CHARS) throw new AccordError('ARCHIVE_MALFORMED', 'a name too long');
  // A copy: what is cut out of a page would hold the page.
  names.push(Buffer.from(name).toString());
}

/** What stands in the way of its name: bound into the ciphertext of each file. */
export function placeOfFile(origin: string, from: number, to: number, file: string): string {
  return `${origin} ${from}-${to} ${file}`;
}
