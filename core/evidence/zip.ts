// The zip of an evidence pack (APPNOTE.TXT 6.3, docs/evidence.md): one encoding for one set of files, so that two exports
// of one exchange are the same bytes. Entries are stored, not compressed; names ascend; there are no times, no modes, no
// extra fields, no comments. A reader of such a zip encodes what it found once more and compares: whatever another tool
// could have hidden in a zip (a second name, bytes between entries, a comment) is refused. Anyone may hand in a zip.
import { crc32 } from 'node:zlib';
import { PackFinding } from './finding.ts';
import { MAX_PACK_BYTES, MAX_PACK_FILES } from './layout.ts';

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END_OF_DIRECTORY = 0x06054b50;
const LOCAL_BYTES = 30;
/** What extracting needs: the version of directories and stored files. */
const VERSION = 20;
/** The first day that the format knows, 1980-01-01 at midnight. */
const FIRST_DAY = 0x0021;

/** The one encoding of these files, by name; names are ASCII. */
export function writeZip(files: ReadonlyMap<string, Buffer>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const name of [...files.keys()].sort()) {
    const bytes = files.get(name) ?? Buffer.alloc(0);
    const common = commonFields(name, bytes);
    const nameBytes = Buffer.from(name, 'latin1');
    const local = Buffer.concat([u32(LOCAL_HEADER), common, nameBytes]);
    // version made by; comment, disk, attributes inside and outside: none
    directory.push(Buffer.concat([u32(CENTRAL_HEADER), u16(VERSION), common, Buffer.alloc(10), u32(at), nameBytes]));
    parts.push(local, bytes);
    at += local.length + bytes.length;
  }
  const central = Buffer.concat(directory);
  const count = u16(files.size);
  const end = [u32(END_OF_DIRECTORY), u32(0), count, count, u32(central.length), u32(at), u16(0)];
  return Buffer.concat([...parts, central, ...end]);
}

/**
 * The files of a zip that `writeZip` could have made.
 * @throws PackFinding PACK_NOT_CANONICAL for every other file
 */
export function readZip(zip: Buffer): Map<string, Buffer> {
  if (zip.length > MAX_PACK_BYTES) throw notCanonical('larger than a pack may be');
  const files = new Map<string, Buffer>();
  let at = 0;
  while (at + LOCAL_BYTES <= zip.length && zip.readUInt32LE(at) === LOCAL_HEADER) {
    const size = zip.readUInt32LE(at + 22);
    const nameEnd = at + LOCAL_BYTES + zip.readUInt16LE(at + 26);
    const name = zip.toString('latin1', at + LOCAL_BYTES, nameEnd);
    if (nameEnd + size > zip.length || files.has(name)) throw notCanonical(`entry ${files.size + 1}`);
    if (files.size >= MAX_PACK_FILES) throw notCanonical('more files than a pack may have');
    files.set(name, zip.subarray(nameEnd, nameEnd + size));
    at = nameEnd + size;
  }
  if (files.size === 0) throw notCanonical('not a zip');
  if (!writeZip(files).equals(zip)) throw notCanonical('it is not the encoding of its own files');
  return files;
}

/** What the header before a file and the one in the directory share, from "version needed" to "extra field length". */
function commonFields(name: string, bytes: Buffer): Buffer {
  const flagsAndMethod = Buffer.alloc(4);
  return Buffer.concat([
    u16(VERSION),
    flagsAndMethod,
    u16(0),
    u16(FIRST_DAY),
    u32(crc32(bytes)),
    u32(bytes.length),
    u32(bytes.length),
    u16(name.length),
    u16(0),
  ]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function notCanonical(detail: string): PackFinding {
  return new PackFinding('PACK_NOT_CANONICAL', detail);
}
