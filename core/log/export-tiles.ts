// Copies a log's tree and entries into a folder in the layout of C2SP tlog-tiles (https://c2sp.org/tlog-tiles), which any
// web server can serve: `checkpoint`, `tile/<L>/<N>[.p/<W>]` and entry bundles `tile/entries/<N>[.p/<W>]`. No personal data:
// entries hold none. Run again, it adds what is new; broken off anywhere, it goes on, because the checkpoint is written last
// and a file that is there is compared, not trusted. What is read was written by this server, or by whoever held its disk:
// every line is hashed, and the root has to be that of a signed checkpoint before one is written.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Frontier, leafHash, TILE_HEIGHT, TILE_WIDTH } from '#certs/merkle.ts';
import { AccordError } from '#schemas/problems.ts';
import { syncFolder, writeCheckpointFile } from './checkpoint-file.ts';
import { KeyChain } from './key-chain.ts';
import { type Checkpoint, openCheckpoint, parseCheckpointText, parseNote } from './signed-note.ts';
import type { LogReader } from './store.ts';
import { openLogAuditSqlite } from './store-sqlite.ts';

const CHECKPOINT = 'checkpoint';
/** Larger than any entry's line (schemas/log-entry.ts), and the most that two bytes of length can say. */
const MAX_BUNDLED_BYTES = 65_535;

export interface ExportedTiles {
  origin: string;
  /** Entries that the folder holds now, and held before. */
  size: number;
  sizeBefore: number;
  /** Files that were written, without the checkpoint. */
  written: number;
}

/**
 * @param onProgress told after each 256 entries how far it is
 * @throws LOG_MISSING, LOG_UNREADABLE, LOG_CHECKPOINT_MISSING, LOG_CHECKPOINT_WRONG (the folder holds another history),
 *   LOG_GAP, LOG_TAMPERED, NOTE_*
 */
export function exportTiles(
  folder: string,
  out: string,
  onProgress: (entries: number, of: number) => void = () => {},
): ExportedTiles {
  const log = openLogAuditSqlite(folder);
  try {
    const newest = log.lastCheckpoint();
    const identity = log.identity();
    if (newest === null || identity === null) throw new AccordError('LOG_CHECKPOINT_MISSING', 'the log holds none');
    const chain = KeyChain.of(log, identity.verifierKey);
    const checkpoint = openCheckpoint(newest.note, chain.at(newest.size));
    const sizeBefore = requireOwnFolder(out, log, chain);
    const files = new TileFolder(out);
    const base = Math.floor(sizeBefore / TILE_WIDTH) * TILE_WIDTH;
    const frontier = Frontier.at(base, log.subtree);
    while (frontier.size < checkpoint.size) {
      writeBundle(log, frontier, checkpoint.size, files);
      onProgress(frontier.size, checkpoint.size);
    }
    if (!frontier.root().equals(checkpoint.root)) {
      throw new AccordError('LOG_TAMPERED', `the entries are not those of the checkpoint of ${checkpoint.size}`);
    }
    writeUpperTiles(log, sizeBefore, checkpoint.size, files);
    files.sync();
    writeCheckpointFile(join(out, CHECKPOINT), newest.note);
    files.dropPartial(sizeBefore, checkpoint.size);
    return { origin: checkpoint.origin, size: checkpoint.size, sizeBefore, written: files.written };
  } finally {
    log.close();
  }
}

/** What the folder holds already. @throws LOG_CHECKPOINT_WRONG when that is no earlier state of this log */
function requireOwnFolder(out: string, log: LogReader, chain: KeyChain): number {
  const file = join(out, CHECKPOINT);
  if (!existsSync(file)) return 0;
  const note = readFileSync(file);
  let held: Checkpoint;
  try {
    const { size } = parseCheckpointText(parseNote(note).text);
    held = openCheckpoint(note, chain.at(size));
  } catch (cause) {
    throw new AccordError('LOG_CHECKPOINT_WRONG', `${file} is no checkpoint of this log`, { cause });
  }
  const isEarlier = held.size <= log.size() && Frontier.at(held.size, log.subtree).root().equals(held.root);
  if (!isEarlier) throw new AccordError('LOG_CHECKPOINT_WRONG', `${file} is of another history of this log`);
  return held.size;
}

/** The next 256 entries, or those that are left, with their hashes. */
function writeBundle(log: LogReader, frontier: Frontier, size: number, files: TileFolder): void {
  const from = frontier.size;
  const width = Math.min(TILE_WIDTH, size - from);
  const rows = log.lines(from, width);
  const entries: Buffer[] = [];
  const leaves: Buffer[] = [];
  for (const [at, { seq, line, leaf }] of rows.entries()) {
    if (seq !== from + at) throw new AccordError('LOG_GAP', `seq ${from + at}`);
    if (!leafHash(line).equals(leaf)) throw new AccordError('LOG_TAMPERED', `seq ${seq}`);
    const bytes = Buffer.from(line, 'utf8');
    if (bytes.length > MAX_BUNDLED_BYTES) throw new AccordError('LOG_ENTRY_MALFORMED', `seq ${seq} is too long`);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    entries.push(length, bytes);
    leaves.push(leaf);
    frontier.push(leaf);
  }
  if (rows.length !== width) throw new AccordError('LOG_GAP', `seq ${from + rows.length}`);
  files.put('entries', from / TILE_WIDTH, width, Buffer.concat(entries));
  files.put(0, from / TILE_WIDTH, width, Buffer.concat(leaves));
}

/** Levels above the leaves: each hash is the root of a full tile below. */
function writeUpperTiles(log: LogReader, sizeBefore: number, size: number, files: TileFolder): void {
  for (let level = 1; size >= TILE_WIDTH ** level; level++) {
    const hashes = Math.floor(size / TILE_WIDTH ** level);
    const first = Math.floor(Math.floor(sizeBefore / TILE_WIDTH ** level) / TILE_WIDTH);
    for (let tile = first; tile * TILE_WIDTH < hashes; tile++) {
      const width = Math.min(TILE_WIDTH, hashes - tile * TILE_WIDTH);
      const roots = Array.from({ length: width }, (_, at) => log.subtree(level * TILE_HEIGHT, tile * TILE_WIDTH + at));
      files.put(level, tile, width, Buffer.concat(roots));
    }
  }
}

class TileFolder {
  readonly #out: string;
  readonly #folders = new Set<string>();
  written = 0;

  constructor(out: string) {
    this.#out = out;
  }

  /** A file that says the same is left alone. */
  put(level: number | 'entries', index: number, width: number, bytes: Buffer): void {
    const file = join(this.#out, tilePath(level, index, width));
    if (existsSync(file) && readFileSync(file).equals(bytes)) return;
    const folder = dirname(file);
    mkdirSync(folder, { recursive: true });
    const next = `${file}.new`;
    writeFileSync(next, bytes, { flush: true });
    renameSync(next, file);
    this.#folders.add(folder);
    this.written++;
  }

  /** Before a checkpoint promises them. */
  sync(): void {
    for (const folder of this.#folders) syncFolder(folder);
  }

  /** Partial tiles of the size before, which fuller ones have taken the place of. */
  dropPartial(sizeBefore: number, size: number): void {
    for (const level of ['entries', ...levelsOf(sizeBefore)] as const) {
      const [before, now] = [sizeBefore, size].map((entries) =>
        level === 'entries' ? entries : Math.floor(entries / TILE_WIDTH ** level),
      ) as [number, number];
      if (before === now || before % TILE_WIDTH === 0) continue;
      const file = join(this.#out, tilePath(level, Math.floor(before / TILE_WIDTH), before % TILE_WIDTH));
      rmSync(file, { force: true });
      if (existsSync(dirname(file)) && readdirSync(dirname(file)).length === 0) rmdirSync(dirname(file));
    }
  }
}

function levelsOf(size: number): number[] {
  const levels: number[] = [];
  for (let level = 0; size >= TILE_WIDTH ** level; level++) levels.push(level);
  return levels;
}

/** `tile/<L>/<N>[.p/<W>]`: 1234067 is x001/x234/067. */
export function tilePath(level: number | 'entries', index: number, width: number): string {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g) ?? [];
  const name = groups.map((group, at) => (at === groups.length - 1 ? group : `x${group}`)).join('/');
  return `tile/${level}/${name}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}
