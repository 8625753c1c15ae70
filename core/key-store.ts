// The folder of a server's encrypted key files. A file is written beside its place and moved there when it is on the
// disk: after a crash there is the whole file or none. Whoever can read a file can guess at its passphrase for ever, so
// a file that others may read is not used at all until somebody has seen that.

import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdir, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_KEY_FILE_BYTES } from '#certs/key-file.ts';
import { AccordError } from '#schemas/problems.ts';

const SUFFIX = '.key.json';
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

/**
 * Writes a sealed key under a new name, mode 0600, durably; makes the folder (0700) if there is none.
 * @param name lower-case letters, digits and hyphens, at most 64
 * @throws KEY_FILE_EXISTS, IDENTIFIER_INVALID, KEY_FILE_MODE
 */
export async function writeKeyFile(folder: string, name: string, text: string): Promise<void> {
  const path = pathOf(folder, name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await refuseOpenFolder(folder);
  const temporary = join(folder, `.${name}-${randomBytes(8).toString('hex')}.tmp`);
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    // link, not rename: it fails when the name is taken, so that two writers cannot replace each other's key.
    await link(temporary, path);
  } catch (error) {
    if (isCode(error, 'EEXIST')) throw new AccordError('KEY_FILE_EXISTS', name);
    throw error;
  } finally {
    await unlink(temporary); // a crash before this line leaves a sealed copy whose name no reader looks at
  }
  await syncFolder(folder);
}

/** @throws KEY_FILE_NOT_FOUND, KEY_FILE_MODE, KEY_FILE_MALFORMED (size, not a regular file), IDENTIFIER_INVALID */
export async function readKeyFile(folder: string, name: string): Promise<Buffer> {
  const file = await open(pathOf(folder, name), constants.O_RDONLY | constants.O_NOFOLLOW).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) throw new AccordError('KEY_FILE_NOT_FOUND', name, { cause: error });
    if (isCode(error, 'ELOOP')) throw new AccordError('KEY_FILE_MALFORMED', `${name} is a symbolic link`);
    throw error;
  });
  try {
    const stat = await file.stat();
    if ((stat.mode & 0o077) !== 0) throw new AccordError('KEY_FILE_MODE', name);
    if (!stat.isFile() || stat.size > MAX_KEY_FILE_BYTES) throw new AccordError('KEY_FILE_MALFORMED', name);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** Names of the keys in the folder, sorted; none if there is no folder. */
export async function listKeyFiles(folder: string): Promise<string[]> {
  const files = await readdir(folder).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  });
  const names = files.filter((file) => file.endsWith(SUFFIX)).map((file) => file.slice(0, -SUFFIX.length));
  return names.filter((name) => NAME.test(name)).sort();
}

/** Removes a key for ever, durably: so the private parts of old encryption keys are destroyed. @throws KEY_FILE_NOT_FOUND */
export async function destroyKeyFile(folder: string, name: string): Promise<void> {
  await unlink(pathOf(folder, name)).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) throw new AccordError('KEY_FILE_NOT_FOUND', name);
    throw error;
  });
  await syncFolder(folder);
}

function pathOf(folder: string, name: string): string {
  if (!NAME.test(name))
    throw new AccordError('IDENTIFIER_INVALID', 'a key name is lower-case letters, digits, hyphens');
  return join(folder, `${name}${SUFFIX}`);
}

/** Others who may write to the folder could put their key in the place of ours. */
async function refuseOpenFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    if (((await handle.stat()).mode & 0o022) !== 0) throw new AccordError('KEY_FILE_MODE', folder);
  } finally {
    await handle.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
