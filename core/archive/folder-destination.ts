// An archive in a folder of this machine, or one that is mounted: each file is written beside its place, synced and renamed,
// so that after a crash there is the whole file or none. Whoever can write to the folder controls what is read back.
import { chmodSync, constants, existsSync, mkdirSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { syncFolder } from '#core/log/checkpoint-file.ts';
import { replaceFileMeanwhile } from '#core/replace-file.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ArchiveDestination } from './destination.ts';

const MODE = 0o400;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** @param given is made when there is none */
export function folderDestination(given: string): ArchiveDestination {
  const folder = resolve(given);
  return {
    name: folder,
    isLocked: false,
    put: (name, bytes) =>
      reaching(name, async () => {
        const file = join(folder, name);
        makeFolder(dirname(file));
        await replaceFileMeanwhile(file, bytes, 0o600);
        chmodSync(file, MODE);
      }),
    get: (name, maxBytes) =>
      reaching(name, async () => {
        const file = await open(join(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((error: unknown) => {
          if (isCode(error, 'ENOENT') || isCode(error, 'ENOTDIR')) return null;
          if (isCode(error, 'ELOOP')) throw new AccordError('ARCHIVE_DAMAGED', `${name} is a link`);
          throw error;
        });
        if (file === null) return null;
        try {
          const stat = await file.stat();
          // A pipe or a device says no size, and gives bytes without end, or none for ever.
          if (!stat.isFile()) throw new AccordError('ARCHIVE_DAMAGED', `${name} is no file`);
          const { size } = stat;
          if (size > maxBytes) throw new AccordError('ARCHIVE_DAMAGED', `${name} has ${size} bytes`);
          return await file.readFile();
        } finally {
          await file.close();
        }
      }),
    list: (prefix) =>
      reaching(prefix, async () => {
        if (!existsSync(folder)) return [];
        const found = await readdir(folder, { recursive: true, withFileTypes: true });
        const names = found
          .filter((one) => one.isFile() && !one.name.endsWith('.tmp'))
          .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1));
        return names.filter((name) => name.startsWith(prefix)).sort();
      }),
    close: async () => {},
  };
}

/** New folders are durable before anything is in them. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  syncFolder(dirname(folder));
}

async function reaching<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    if (cause instanceof AccordError) throw cause;
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new AccordError('ARCHIVE_UNREACHABLE', `${name}: ${detail}`, { cause });
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
