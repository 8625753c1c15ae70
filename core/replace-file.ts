// Replaces a file so that a crash at any moment leaves the old bytes or the new ones, never a mixture: write beside it,
// sync, rename, sync the folder.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

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

/** As `replaceFile`, while others go on: a disk takes longer to sync than an exchange may wait. */
export async function replaceFileMeanwhile(path: string, bytes: Uint8Array, mode = 0o644): Promise<void> {
  await putInPlace(path, bytes, mode);
  await syncFolder(dirname(path));
}

const FILES_AT_ONCE = 8;

/** Each file of the folder as above; all of them are durable when it resolves, and any number before. */
export async function replaceFilesMeanwhile(
  folder: string,
  files: readonly (readonly [name: string, bytes: Uint8Array])[],
  mode = 0o644,
): Promise<void> {
  if (files.length === 0) return;
  const waiting = files.values();
  const worker = async () => {
    for (const [name, bytes] of waiting) await putInPlace(join(folder, name), bytes, mode);
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, worker));
  await syncFolder(folder);
}

async function putInPlace(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const beside = `${path}.${process.pid}.tmp`;
  try {
    await rm(beside, { force: true });
    const file = await open(beside, 'wx', mode);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
