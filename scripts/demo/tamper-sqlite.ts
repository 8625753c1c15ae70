// Changes one byte in a copy of a message log, as somebody with write access to the disk would: under the database,
// past its triggers.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

/**
 * Copies the log folder and flips one bit of the first entry of an exchange in the copy.
 * @param text what stands in the entry's line where the bit is flipped
 * @returns the entry's place in the log, from 0
 */
export function tamperWithCopy(logFolder: string, copyFolder: string, exchangeId: string, text: string): number {
  cpSync(logFolder, copyFolder, { recursive: true });
  const file = join(copyFolder, 'messages.db');
  const db = new Database(file);
  const seq = db.prepare('SELECT min(seq) FROM entries WHERE exchange_id = ?').pluck().get(exchangeId);
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
  const bytes = readFileSync(file);
  // Rows move from page to page as the log grows, and what they leave behind is still in the file: every trace is hit.
  let hits = 0;
  for (let line = bytes.indexOf(`{"seq":${seq},`); line >= 0; line = bytes.indexOf(`{"seq":${seq},`, line + 1)) {
    const at = bytes.indexOf(text, line);
    if (at < 0 || at > bytes.indexOf('}', line)) continue;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    hits += 1;
  }
  if (hits === 0 || typeof seq !== 'number') throw new Error('the copy holds no such entry');
  writeFileSync(file, bytes);
  return seq;
}
