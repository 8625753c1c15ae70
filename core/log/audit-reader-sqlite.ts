// What an audit reads of a message log in SQLite (contract: store.ts). Entries come some hundred at a time as one BLOB, put
// together in SQL: the driver makes objects for every value of every row, which costs more than all hashing of them.
// Whoever can write to the folder controls what is read here; the audit verifies it.
import type Database from 'better-sqlite3';
import { LEAF_LABEL } from '#certs/batch.ts';
import { MAX_BATCH_STATEMENTS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { allOfKinds, hashesOnly, ofKinds } from './kinds-sqlite.ts';
import type {
  LogAuditReader,
  LogReader,
  SealedRow,
  SignatureKey,
  StoredCheckpoint,
  StoredMember,
  StoredRow,
  StoredSignature,
} from './store.ts';
import { BATCH_RADIX, packRows, RADIX, readPage, type StoredPage } from './stored-page.ts';

type Connection = InstanceType<typeof Database>;

export const CHECKPOINT_KINDS = { number: 'number', size: 'number', atMs: 'number', note: 'text' } as const;
const MEMBER = { seq: 'number', line: 'text', index: 'number', statement: 'bytes' } as const;
const SEALED = { seq: 'number', line: 'text', statement: 'bytes or nothing', keyId: 'bytes', bytes: 'bytes' } as const;
const SIGNATURE = { jws: 'text', first: 'number or nothing', last: 'number or nothing' } as const;

export function membersReader(db: Connection): LogAuditReader['members'] {
  const rows = db.prepare(
    `SELECT seq, line, batch_index AS "index", CAST(statement AS BLOB) AS statement FROM entries
     WHERE seq BETWEEN ? AND ? AND signature = ? LIMIT ${MAX_BATCH_STATEMENTS + 1}`,
  );
  return (signature, first, last) => allOfKinds<StoredMember>(rows.all(first, last, signature), MEMBER);
}

// The numbers before each row and the order of its parts are those of `readPage`. Rows are asked for by their range: with a
// limit SQLite copies every value once more. In what order they come is seen by their numbers.
const NUMBERS = [
  `(octet_length(line) * ${RADIX} + min(octet_length(exchange_id), ${RADIX - 1})) * ${RADIX}
    + min(ifnull(octet_length(path), -1) + 1, ${RADIX - 1})`,
  'ifnull(octet_length(statement), -1)',
  'ifnull(signature, -1)',
  `(seq * ${BATCH_RADIX} + CASE WHEN batch_index BETWEEN 0 AND ${BATCH_RADIX - 1} THEN batch_index ELSE 0 END) * ${BATCH_RADIX}
    + CASE WHEN batch_index BETWEEN 0 AND ${BATCH_RADIX - 1} AND batch_size BETWEEN 0 AND ${BATCH_RADIX - 1} THEN batch_size
      ELSE ${BATCH_RADIX - 1} END`,
];
const LABEL = `x'${LEAF_LABEL.toString('hex')}'`;
const ROW = `${NUMBERS.map((number) => `(${number})`).join(` || ',' || `)} || ';' || leaf || exchange_id || x'00' || line || ${LABEL}
  || ifnull(statement, '') || ifnull(path, '')`;
const PAGE = `SELECT count(*), CAST(group_concat(${ROW}, '') AS BLOB) FROM entries WHERE seq >= ? AND seq < ?`;
const NO_BYTES = Buffer.alloc(0);

function pageReader(db: Connection): LogAuditReader['page'] {
  const page = db.prepare(PAGE).raw();
  return (fromSeq, limit) => {
    const [count, bytes] = page.get(fromSeq, fromSeq + limit) as [number, Buffer | null];
    return readPage(bytes ?? NO_BYTES, count);
  };
}

interface Row {
  seq: number;
  line: string;
  leaf: Buffer;
  exchange_id: string;
  statement: Buffer | null;
  signature: SignatureKey | null;
  batch_index: number;
  batch_size: number;
  path: Buffer | null;
}

/** Of the first format, whose signatures are named by their hash. */
function rowsReader(db: Connection): (fromSeq: number, limit: number) => StoredPage {
  const rows = db.prepare(
    `SELECT seq, line, leaf, exchange_id, CAST(statement AS BLOB) AS statement, signature, batch_index, batch_size, path
     FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq`,
  );
  return (fromSeq, limit) =>
    packRows(
      (rows.all(fromSeq, fromSeq + limit) as Row[]).map((row): StoredRow => {
        const { seq, line, leaf, exchange_id: exchangeId, statement, signature, path } = row;
        // The tables may not be the ones this program made.
        if (typeof line !== 'string') throw new AccordError('LOG_DATABASE_DAMAGED', `a row ${seq} of another kind`);
        const place = { signature, index: row.batch_index, size: row.batch_size, path };
        return { seq, line, leaf, exchangeId, evidence: statement === null ? null : { statement, ...place } };
      }),
    );
}

export function auditReader(db: Connection, reader: LogReader, isOfFirstFormat: boolean): LogAuditReader {
  const tile = db.prepare('SELECT hash FROM tiles WHERE level = ? AND number = ?').pluck();
  const from = db.prepare(
    'SELECT number, size, at_ms AS atMs, note FROM checkpoints WHERE number >= ? ORDER BY number LIMIT 1',
  );
  const stray = db.prepare('SELECT min(seq) FROM claims WHERE seq NOT IN (SELECT seq FROM entries)').pluck();
  const anyClaim = db.prepare('SELECT 1 FROM claims LIMIT 1').pluck();
  const claimed = db.prepare('SELECT seq FROM claims WHERE seq >= ?').pluck();
  const integrity = db.prepare('PRAGMA integrity_check(1)').pluck();
  const sealed = db.prepare(
    `SELECT seq, line, CAST(statement AS BLOB) AS statement, key_id AS keyId, sealed AS bytes FROM entries
     WHERE seq >= ? AND seq < ? AND key_id IS NOT NULL AND sealed IS NOT NULL ORDER BY seq`,
  );
  const signature = db.prepare('SELECT jws, first, last FROM signatures WHERE number = ?');
  return {
    ...reader,
    page: isOfFirstFormat ? rowsReader(db) : pageReader(db),
    sealedRows: (from, to) => allOfKinds<SealedRow>(sealed.all(from, to), SEALED),
    signature: (key) => ofKinds<StoredSignature>(signature.get(key), SIGNATURE) ?? null,
    members: membersReader(db),
    renew: () => void db.exec('COMMIT; BEGIN'),
    tile: (level, index) => hashesOnly(tile.all(level, index))[0] ?? null,
    checkpointFrom: (number) => ofKinds<StoredCheckpoint>(from.get(number), CHECKPOINT_KINDS) ?? null,
    straySeq: () => (stray.get() as number | null | undefined) ?? null,
    claimed: (fromSeq) => (anyClaim.get() === undefined ? null : (claimed.all(fromSeq) as number[])),
    damage: () => {
      const said = integrity.get() as string;
      return said === 'ok' ? null : said.slice(0, 200);
    },
  };
}
