// A new origin (DESIGN: the message log): a log that cannot go on, because it was restored from a backup or damaged, is
// closed as it is, and another one is opened that begins by citing the last checkpoint the old one signed. Whoever holds
// that checkpoint can show what the old log was; the new one does not pretend to go on with it. Done by an operator's
// command, never by a start, and not while a server runs.
//
// In the data folder: `log` becomes `log-1` (`log-2`, ...) with its last checkpoint in it and is made read-only; `log.new`
// becomes `log`. A crash between the two renames leaves a folder that no server starts in; run again, it is completed.
import type { KeyObject } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { rawEd25519PublicKey } from '#certs/ed25519.ts';
import type { Clock } from '#core/clock.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { readCheckpointFile, syncFolder, writeCheckpointFile } from './checkpoint-file.ts';
import { Checkpointer } from './checkpointer.ts';
import { numberedOrigin, originNumber } from './origin.ts';
import { appendOwnEntry } from './own-entry.ts';
import { type Checkpoint, noteVerifier, openCheckpoint, parseCheckpointText, parseNote } from './signed-note.ts';
import { recoverLog } from './start.ts';
import type { LogStore } from './store.ts';
import { isLogFolder, openLogAuditSqlite, openLogStoreSqlite } from './store-sqlite.ts';

const KEPT = 'checkpoint.txt';

export interface NewOriginOptions {
  /** The log's folder; closed logs lie beside it. */
  folder: string;
  checkpointFile: string;
  /** The origin to close. */
  origin: string;
  /** Ed25519, private: the key of the last checkpoint, and of the new log. */
  checkpointKey: KeyObject;
  clock: Clock;
  /** A checkpoint of the log that others hold; cited when its key signed it and nothing held here is newer. */
  witnessed?: string;
}

export interface NewOrigin {
  origin: string;
  closed: { origin: string; folder: string };
  /** What the first entry cites. */
  cited: Checkpoint;
}

/** Where a closed log lies. */
export function closedLogFolder(folder: string, number: number): string {
  return `${folder}-${number}`;
}

/** The newest signed checkpoint that is held here, for whoever asks others for a newer one; null when there is none. */
export function newestHeld(
  options: Pick<NewOriginOptions, 'folder' | 'checkpointFile' | 'origin' | 'checkpointKey'>,
): ({ note: string } & Checkpoint) | null {
  const verifier = noteVerifier(options.origin, rawEd25519PublicKey(options.checkpointKey));
  const notes = [readCheckpointFile(options.checkpointFile)?.toString('utf8')];
  try {
    const log = openLogAuditSqlite(options.folder);
    notes.push(log.lastCheckpoint()?.note);
    log.close();
  } catch (error) {
    // A damaged database is closed as it is.
    if (!isAccordError(error)) throw error;
  }
  const good = notes.flatMap((note) =>
    note !== undefined && isOf(note, () => openCheckpoint(note, verifier)) ? [note] : [],
  );
  const newest = good.sort((a, b) => sizeOf(b) - sizeOf(a))[0];
  return newest === undefined ? null : { note: newest, ...openCheckpoint(newest, verifier) };
}

/** @throws LOG_IN_USE, LOG_CHECKPOINT_MISSING (nothing to cite), LOG_CHECKPOINT_WRONG, StoreError */
export function openNewOrigin(options: NewOriginOptions): NewOrigin {
  const { folder, origin } = options;
  const { base, number } = originNumber(origin);
  const next = { origin: numberedOrigin(base, number + 1), folder: `${folder}.new` };
  const closed = { origin, folder: closedLogFolder(folder, number) };
  if (!existsSync(closed.folder)) {
    const note = closeLog(options);
    rmSync(next.folder, { recursive: true, force: true });
    writeCheckpointFile(join(folder, KEPT), note);
    makeLog(next, note, options);
    renameSync(folder, closed.folder);
    syncFolder(dirname(folder));
  }
  if (existsSync(next.folder)) {
    dropEmptyLog(folder);
    renameSync(next.folder, folder);
    syncFolder(dirname(folder));
  }
  const opened = readCheckpointFile(join(folder, KEPT));
  if (opened === null) throw new AccordError('LOG_CHECKPOINT_WRONG', `${closed.folder} is in the way`);
  openCheckpoint(opened, verifierOf(next.origin, options));
  writeCheckpointFile(options.checkpointFile, opened.toString('utf8'));
  rmSync(join(folder, KEPT));
  for (const name of readdirSync(closed.folder)) chmodSync(join(closed.folder, name), 0o400);
  const note = readCheckpointFile(join(closed.folder, KEPT)) ?? '';
  return { origin: next.origin, closed, cited: openCheckpoint(note, verifierOf(origin, options)) };
}

function verifierOf(origin: string, { checkpointKey }: NewOriginOptions) {
  return noteVerifier(origin, rawEd25519PublicKey(checkpointKey));
}

/** Closes the old log as well as it can be. @returns the newest checkpoint it signed */
function closeLog(options: NewOriginOptions): string {
  const { folder, checkpointFile } = options;
  const verifier = verifierOf(options.origin, options);
  const notes: (string | undefined)[] = [];
  let store: LogStore | null = null;
  try {
    if (isLogFolder(folder)) {
      store = openLogStoreSqlite(folder);
      publishRest(store, options);
      notes.push(store.lastCheckpoint()?.note);
    }
  } catch (error) {
    // A damaged database is closed as it is.
    if (!isAccordError(error) || error.code === 'LOG_IN_USE') throw error;
  } finally {
    store?.retire();
  }
  notes.push(readCheckpointFile(checkpointFile)?.toString('utf8'), options.witnessed);
  const good = notes
    .filter((note) => note !== undefined)
    .filter((note) => isOf(note, () => openCheckpoint(note, verifier)));
  const newest = good.sort((a, b) => sizeOf(b) - sizeOf(a))[0];
  if (newest === undefined) throw new AccordError('LOG_CHECKPOINT_MISSING', 'there is none to cite');
  return newest;
}

/** A log that is in order is signed to its end before it is closed. */
function publishRest(store: LogStore, options: NewOriginOptions): void {
  const verifier = verifierOf(options.origin, options);
  try {
    const { frontier, published } = recoverLog(store, options.checkpointFile, verifier);
    const checkpointer = new Checkpointer({ ...options, store, verifier }, published);
    if (checkpointer.hasGrown(frontier)) checkpointer.publish(frontier);
  } catch (error) {
    if (!isAccordError(error)) throw error;
  }
}

function isOf(note: string, open: () => Checkpoint): boolean {
  try {
    return open() !== null && note !== '';
  } catch (error) {
    if (isAccordError(error)) return false;
    throw error;
  }
}

function sizeOf(note: string): number {
  return parseCheckpointText(parseNote(note).text).size;
}

function makeLog(
  { origin, folder }: { origin: string; folder: string },
  note: string,
  options: NewOriginOptions,
): void {
  const { clock, checkpointKey } = options;
  const store = openLogStoreSqlite(folder);
  try {
    const verifier = verifierOf(origin, options);
    const checkpointFile = join(folder, KEPT);
    const { frontier } = recoverLog(store, checkpointFile, verifier);
    appendOwnEntry(store, frontier, 'origin-opened', note, clock.nowMs());
    new Checkpointer({ store, checkpointFile, verifier, checkpointKey, clock }, null).publish(frontier);
  } finally {
    store.close();
  }
}

/** A server that was started between the two renames made a log without entries, and stopped. */
function dropEmptyLog(folder: string): void {
  if (!existsSync(folder)) return;
  const store = openLogStoreSqlite(folder);
  try {
    if (store.size() > 0) throw new AccordError('LOG_CHECKPOINT_WRONG', `${folder} is in the way`);
  } finally {
    store.close();
  }
  rmSync(folder, { recursive: true });
}
