// Reads an evidence pack as an auditor got it: the zip, or the folder it was unpacked to. Whoever handed it in controls
// names, sizes and links; only regular files are read, and no more than a pack may hold.
import { lstatSync, opendirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PackFinding } from './finding.ts';
import { MAX_PACK_BYTES, MAX_PACK_FILES } from './layout.ts';
import { readZip } from './zip.ts';

/** `destruction/answer/done` lies three folders down. */
const MAX_FOLDERS_DOWN = 4;

/** The files by name. @throws PackFinding PACK_NOT_CANONICAL, PACK_MALFORMED; errors of the file system */
export function readPackFiles(path: string): Map<string, Buffer> {
  const stat = lstatSync(path);
  if (stat.isDirectory()) return readFolder(path);
  if (!stat.isFile() || stat.size > MAX_PACK_BYTES) throw new PackFinding('PACK_NOT_CANONICAL', 'not a file of a pack');
  return readZip(readFileSync(path));
}

function readFolder(folder: string): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  let [bytes, seen] = [0, 0];
  const read = (below: string): void => {
    const listing = opendirSync(join(folder, below));
    try {
      for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) {
        const name = `${below}${entry.name}`;
        // Folders count too: most files of a pack share one.
        if (++seen > 2 * MAX_PACK_FILES) throw tooMuch();
        if (entry.isDirectory()) {
          if (name.split('/').length > MAX_FOLDERS_DOWN) throw tooMuch();
          read(`${name}/`);
          continue;
        }
        if (!entry.isFile()) throw new PackFinding('PACK_MALFORMED', `${JSON.stringify(name)} is no regular file`);
        bytes += lstatSync(join(folder, name)).size;
        if (files.size >= MAX_PACK_FILES || bytes > MAX_PACK_BYTES) throw tooMuch();
        files.set(name, readFileSync(join(folder, name)));
      }
    } finally {
      listing.closeSync();
    }
  };
  read('');
  return files;
}

function tooMuch(): PackFinding {
  return new PackFinding('PACK_MALFORMED', 'too much');
}
