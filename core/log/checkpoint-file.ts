// The last signed checkpoint in a small file of its own, kept apart from the log and never restored from a backup: it is
// how a start notices that the log is older than what was already published. Written atomically and durably.
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** The note's bytes, or null when there is no such file. */
export function readCheckpointFile(file: string): Buffer | null {
  try {
    return readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** A crash at any line leaves the old file or the new one, whole. */
export function writeCheckpointFile(file: string, note: string): void {
  const folder = dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const next = `${file}.new`;
  synced(next, 'w', (fd) => {
    const bytes = Buffer.from(note, 'utf8');
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
  });
  renameSync(next, file);
  syncFolder(folder);
}

/**
 * Makes renames and new names in a folder durable. SQLite does it as well for a database and its write-ahead log that it
 * makes, but says nothing when it fails (unixSync in os_unix.c): so whoever opens one for writing calls this behind it.
 * @throws what the file system said
 */
export function syncFolder(folder: string): void {
  synced(folder, 'r', () => undefined);
}

function synced(path: string, flags: string, write: (fd: number) => void): void {
  const fd = openSync(path, flags, 0o600);
  try {
    write(fd);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
