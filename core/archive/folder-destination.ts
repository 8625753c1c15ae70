// An archive in a folder of this machine, or one that is mounted: each file is written beside its place, synced and renamed,
// so that after a crash there is the whole file or none. Whoever can write to the folder controls what is read back.
import { chmodSync, constants, existsSync, mkdirSync } from 'node:fs';
import { open, opendir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { syncFolder } from '#core/log/checkpoint-file.ts';
import { replaceFileMeanwhile } from '#core/replace-file.ts';
import { MAX_ARCHIVE_LISTED } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { type ArchiveDestination, keepName } from './destination.ts';

const MODE = 0o400;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** Folders of a log, of a segment; nothing of an archive lies deeper. */
const MOST_FOLDERS_DOWN = 2;

/** @param given is made when there is none @param mostListed names that a list looks at */
export function folderDestination(given: string, mostListed = MAX_ARCHIVE_LISTED): ArchiveDestination {
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
    list: (prefix, ending = '') =>
      reaching(prefix, async () => {
        if (!existsSync(folder)) return [];
        const names: string[] = [];
        let looked = 0;
        for await (const name of filesBelow(folder, prefix, () => ++looked > mostListed)) {
          if (name.endsWith(ending)) keepName(names, name);
        }
        return names.sort();
      }),
    close: async () => {},
  };
}

/** Names of files with this beginning; no link is followed. @throws ARCHIVE_MALFORMED */
async function* filesBelow(
  folder: string,
  prefix: string,
  isTooMuch: () => boolean,
  below = '',
  down = 0,
): AsyncGenerator<string> {
  for await (const entry of await opendir(join(folder, below), { bufferSize: 256 })) {
    if (isTooMuch()) throw new AccordError('ARCHIVE_MALFORMED', 'too many files');
    const name = `${below}${entry.name}`;
    const leadsThere = `${name}/`.startsWith(prefix) || prefix.startsWith(`${name}/`);
    if (entry.isFile() && name.startsWith(prefix) && !name.endsWith('.tmp')) yield name;
    else if (entry.isDirectory() && leadsThere && down < MOST_FOLDERS_DOWN) {
      yield* filesBelow(folder, prefix, isTooMuch, `${name}/`, down + 1);
    }
  }
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
