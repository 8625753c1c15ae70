// What the exchanges of a benchmark left in one server's message log: how many of each kind, and how many bytes. Reads
// beside the server that writes; nothing but tests' own folders is read here.
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { LOG_PLACES } from '#security-server/log-origin.ts';

export interface LogSize {
  /** Entries by kind and service code, like `request-sent assistance`. */
  entries: Record<string, number>;
  size: number;
  /** Bytes of the entries' lines. */
  entryBytes: number;
  /** Bytes of statements, their places in the batch, and the signatures, each once. */
  recordBytes: number;
  signatures: number;
  /** Statements with a signature, and sealed parts; a note of the log itself has none. */
  evidence: number;
  sealed: number;
  claims: number;
  /** Pages of the database, those in its write-ahead log included. */
  fileBytes: number;
}

/** @param folder of a security server */
export function logSize(folder: string): LogSize {
  const file = join(folder, LOG_PLACES.log, 'messages.db');
  const db = new Database(file, { readonly: true, fileMustExist: true, timeout: 5_000 });
  try {
    db.exec('BEGIN');
    const number = (sql: string) => Number(db.prepare(sql).pluck().get() ?? 0);
    const kinds = db
      .prepare(
        "SELECT json_extract(line, '$.kind') AS kind, json_extract(line, '$.service') AS service, count(*) AS count FROM entries GROUP BY 1, 2",
      )
      .all() as { kind: string; service: string | null; count: number }[];
    return {
      entries: Object.fromEntries(
        kinds.map(({ kind, service, count }) => [`${kind} ${service?.split('/').at(-1) ?? ''}`.trim(), count]),
      ),
      size: number('SELECT count(*) FROM entries'),
      entryBytes: number('SELECT sum(length(CAST(line AS BLOB))) FROM entries'),
      recordBytes:
        number('SELECT sum(length(statement) + coalesce(length(path), 0)) FROM entries') +
        number('SELECT sum(length(jws)) FROM signatures'),
      signatures: number('SELECT count(*) FROM signatures'),
      evidence: number('SELECT count(signature) FROM entries'),
      sealed: number('SELECT count(sealed) FROM entries'),
      claims: number('SELECT count(*) FROM claims'),
      fileBytes: Number(db.pragma('page_count', { simple: true })) * Number(db.pragma('page_size', { simple: true })),
    };
  } finally {
    db.close();
  }
}
