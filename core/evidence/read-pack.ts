// Reads an evidence pack as an auditor got it: the zip, or the folder it was unpacked to. Whoever handed it in controls
// names, sizes and links; only regular files are read, and no more than a pack may hold.
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { PackFinding } from './finding.ts';
import { MAX_PACK_BYTES, MAX_PACK_FILES } from './layout.ts';
import { readZip } from './zip.ts';

/** The files by name. @throws PackFinding PACK_NOT_CANONICAL, PACK_MALFORMED; errors of the file system */
export function readPackFiles(path: string): Map<string, Buffer> {
  const stat = lstatSync(path);
  if (stat.isDirectory()) return readFolder(path);
  if (!stat.isFile() || stat.size > MAX_PACK_BYTES) throw new PackFinding('PACK_NOT_CANONICAL', 'not a file of a pack');
  return readZip(readFileSync(path));
}

function readFolder(folder: string): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path);
    if (!entry.isFile()) throw new PackFinding('PACK_MALFORMED', `${JSON.stringify(name)} is no regular file`);
    bytes += lstatSync(path).size;
    if (files.size >= MAX_PACK_FILES || bytes > MAX_PACK_BYTES) throw new PackFinding('PACK_MALFORMED', 'too much');
    files.set(name, readFileSync(path));
  }
  return files;
}
