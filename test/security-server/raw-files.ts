// What lies on the disk of a server, byte for byte: for tests that something is not there any more.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { foldersOf } from '#security-server/data-folder.ts';

/** Every byte of every file below a folder. */
export function rawFiles(folder: string): Buffer {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  return Buffer.concat(files.map((one) => readFileSync(join(one.parentPath, one.name))));
}

function blobs(file: string, sql: string, ...values: string[]): Buffer[] {
  const db = new Database(file, { readonly: true });
  const found = db.prepare(sql).pluck().all(values) as Buffer[];
  db.close();
  return found;
}

/** Wrapped keys as they lie on the disk: groups, then day keys; of a class, or all. */
export function wrappedKeys(dataFolder: string, retention = '%'): Buffer[] {
  const file = join(foldersOf(dataFolder).recordKeys, 'record-keys.db');
  return [
    ...blobs(
      file,
      'SELECT key_groups.wrapped FROM key_groups JOIN day_keys ON number = day_key WHERE retention LIKE ?',
      retention,
    ),
    ...blobs(file, 'SELECT wrapped FROM day_keys WHERE retention LIKE ?', retention),
  ];
}

/** What is sealed of the rows of who looked. */
export function sealedRows(dataFolder: string): Buffer[] {
  return blobs(foldersOf(dataFolder).accesses, 'SELECT sealed FROM access');
}
