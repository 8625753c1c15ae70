// Replaces a file so that a crash at any moment leaves the old bytes or the new ones, never a mixture: write beside it,
// sync, rename, sync the folder.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** @throws what the file system said; then the old file is as it was */
export function replaceFile(path: string, bytes: Uint8Array, mode = 0o644): void {
  const beside = `${path}.${process.pid}.tmp`;
  try {
    // A leftover of an earlier crash, or a link that somebody laid there: never written through.
    rmSync(beside, { force: true });
    const file = openSync(beside, 'wx', mode);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
