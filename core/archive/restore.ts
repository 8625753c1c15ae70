// Puts a log back from its archive, on a machine that has nothing of it: `log/messages.db` and `checkpoint.txt` as in a data
// folder, with all entries up to where the archive ends, their evidence, notes, sealed parts and checkpoints. It is made
// beside its place and moved there when the audit of the whole log found nothing. Keys are in no archive: what is sealed opens
// only beside the server's own record keys, as long as they were not destroyed.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { ArchiveKey } from '#certs/archive-cipher.ts';
import { Frontier, HASH_BYTES, leafHash, sha256Of, TILE_HEIGHT } from '#certs/merkle.ts';
import { type LogAudit, verifyLog } from '#core/log/audit.ts';
import { syncFolder, writeCheckpointFile } from '#core/log/checkpoint-file.ts';
import type { LogStore, StoredEvidence, StoredRecord, StoredTile } from '#core/log/store.ts';
import { openLogStoreSqlite } from '#core/log/store-sqlite.ts';
import { AccordError } from '#schemas/problems.ts';
import { idIn } from './archived-page.ts';
import type { ArchiveChain } from './chain.ts';
import type { ArchiveDestination } from './destination.ts';
import { readSegment, type Segment } from './read-segment.ts';
import type { ArchivedRow } from './rows.ts';

/** Entries appended in one transaction. */
const AT_ONCE = 1_024;
const NO_PATH = Buffer.alloc(0);

export interface RestoreOptions {
  destination: ArchiveDestination;
  key: ArchiveKey;
  chain: ArchiveChain;
  /** A folder to be made, or one without a log. */
  folder: string;
  /** C2SP verifier key of the log, where it is known from elsewhere. */
  verifierKey?: string;
  /** How many entries are there so far. */
  onProgress?: (entries: number) => void;
}

/** @returns what the audit of the restored log says: it is in place only when that is ok. @throws FOLDER_IN_USE, ARCHIVE_* */
export async function restoreArchive(options: RestoreOptions): Promise<LogAudit> {
  const { chain, folder, verifierKey } = options;
  const [place, checkpointFile] = [join(folder, 'log'), join(folder, 'checkpoint.txt')];
  if (existsSync(place) || existsSync(checkpointFile)) throw new AccordError('FOLDER_IN_USE', folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const next = join(folder, 'log.restored');
  rmSync(next, { recursive: true, force: true });
  const last = await fill(next, options);
  const note = last.checkpoints.at(-1)?.note ?? '';
  const nextCheckpoint = join(next, 'checkpoint.txt');
  writeCheckpointFile(nextCheckpoint, note);
  const given = verifierKey === undefined ? {} : { verifierKey };
  const audit = await verifyLog({ folder: next, checkpointFile: nextCheckpoint, ...given });
  if (!audit.ok) return audit;
  if (audit.entries !== chain.segments.at(-1)?.manifest.to)
    throw new AccordError('ARCHIVE_INCOMPLETE', `entry ${audit.entries}`);
  if (last.anchoring !== null) writeFileSync(join(folder, 'anchoring.json'), last.anchoring, { mode: 0o600 });
  renameSync(nextCheckpoint, checkpointFile);
  renameSync(next, place);
  syncFolder(folder);
  return audit;
}

async function fill(place: string, { destination, key, chain, onProgress }: RestoreOptions): Promise<Segment> {
  const store = openLogStoreSqlite(place);
  let last: Segment | null = null;
  try {
    const frontier = new Frontier();
    for (const { manifest } of chain.segments) {
      const segment = await readSegment(destination, key, manifest);
      if (last === null) store.setIdentity({ origin: manifest.origin, verifierKey: manifest.verifierKey });
      if (frontier.size !== manifest.from) throw new AccordError('ARCHIVE_INCOMPLETE', `entry ${frontier.size}`);
      await append(store, segment, frontier, onProgress ?? (() => {}));
      for (const checkpoint of segment.checkpoints) store.addCheckpoint(checkpoint);
      last = segment;
    }
  } finally {
    store.retire();
  }
  if (last === null) throw new AccordError('ARCHIVE_INCOMPLETE', 'nothing is there');
  return last;
}

async function append(
  store: LogStore,
  segment: Segment,
  frontier: Frontier,
  onProgress: (entries: number) => void,
): Promise<void> {
  const { from, to } = segment.manifest;
  const hashes = new Map<number, Buffer>();
  for (let at = from; at < to; ) {
    const end = endOfBatches(segment, at, Math.min(to, at + AT_ONCE));
    const rows = segment.rows.slice(at - from, end - from);
    requireWholeBatches(rows, at);
    const tiles: StoredTile[] = [];
    const records = rows.map((row, i): StoredRecord => {
      const line = row.line.toString('utf8');
      const leaf = leafHash(line);
      frontier.push(leaf, (height, index, hash) => tiles.push({ level: height / TILE_HEIGHT, index, hash }));
      const sealed = row.keyId === null ? null : { keyId: row.keyId, bytes: row.sealed ?? NO_PATH };
      const evidence = evidenceOf(segment, row, at + i, hashes);
      return { seq: at + i, line, leaf, exchangeId: idIn(row.line), evidence, sealed, claim: null };
    });
    store.append(records, tiles);
    at = end;
    onProgress(frontier.size);
    await setImmediate();
  }
}

function evidenceOf(
  { signatures }: Segment,
  { statement, signature, index, size, path }: ArchivedRow,
  seq: number,
  hashes: Map<number, Buffer>,
): StoredEvidence | null {
  if (statement === null) return null;
  if (signature < 0) return { statement, jws: '', jwsHash: Buffer.alloc(HASH_BYTES), index: 0, size: 0, path: NO_PATH };
  const jws = signatures[signature]?.jws;
  if (jws === undefined) throw new AccordError('ARCHIVE_MALFORMED', `entry ${seq} names no signature`);
  const jwsHash = hashes.get(signature) ?? sha256Of(jws);
  hashes.set(signature, jwsHash);
  return { statement, jws, jwsHash, index, size, path: path ?? NO_PATH };
}

/** Statements without a path stand in a batch that is stored whole, which needs none when it is appended at once. */
function endOfBatches({ manifest, rows, signatures }: Segment, at: number, asked: number): number {
  let end = asked;
  for (let seq = at; seq < end; seq++) {
    const { signature = -1, path = null } = rows[seq - manifest.from] ?? {};
    const last = signature < 0 || path !== null ? null : signatures[signature]?.last;
    if (last != null && last < manifest.to) end = Math.max(end, last + 1);
  }
  return end;
}

/** @throws ARCHIVE_MALFORMED */
function requireWholeBatches(rows: readonly ArchivedRow[], from: number): void {
  const batches = new Map<number, { places: Set<number>; size: number; seq: number }>();
  for (const [i, { signature, statement, path, index, size }] of rows.entries()) {
    if (signature < 0 || statement === null || path !== null) continue;
    const batch = batches.get(signature) ?? { places: new Set(), size, seq: from + i };
    if (batch.places.has(index) || index >= size || size !== batch.size) batch.size = -1;
    batch.places.add(index);
    batches.set(signature, batch);
  }
  for (const { places, size, seq } of batches.values()) {
    if (places.size !== size) throw new AccordError('ARCHIVE_MALFORMED', `the batch of entry ${seq} is not whole`);
  }
}
