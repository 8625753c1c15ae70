// Entries of a log as an audit reads them, a few hundred at a time in one piece of memory: an object for each of their parts
// would cost more than all hashing. A store that has rows only packs them (`packRows`); an archive does too. Whoever
// held the disk controls every byte and every number here; lengths that do not fit are refused where a page is made.
import { LEAF_LABEL } from '#certs/batch.ts';
import { HASH_BYTES, sha256Text } from '#certs/merkle.ts';
import { AccordError } from '#schemas/problems.ts';
import type { SignatureKey, StoredRow } from './store.ts';

/** What `places` says of a row, in this order; lengths are -1 for what is null. */
export const PLACE = {
  seq: 0,
  leaf: 1,
  idLength: 2,
  line: 3,
  lineLength: 4,
  statement: 5,
  statementLength: 6,
} as const;
export const PLACE_IN_BATCH = { index: 7, size: 8, pathLength: 9 } as const;
export const PLACES = 10;

/**
 * In `bytes` a row is: leaf hash, exchange id, a zero byte, line, the label of a statement's leaf, statement, path; so that
 * a line and a statement are hashed as leaves where they stand.
 */
export interface StoredPage {
  bytes: Buffer;
  count: number;
  places: Float64Array;
  signatures: (SignatureKey | null)[];
  /** Nothing stands where leaf hashes do: they follow from the lines, and are written there by whoever hashes those. */
  isWithoutLeaves?: true;
}

const SEPARATOR = Buffer.from([0]);
const [COMMA, SEMICOLON, ZERO, NINE, MINUS] = [0x2c, 0x3b, 0x30, 0x39, 0x2d];

/** Rows as one page, in their order. */
export function packRows(rows: readonly StoredRow[]): StoredPage {
  const parts: Uint8Array[] = [];
  const places = new Float64Array(rows.length * PLACES);
  let at = 0;
  for (const [row, { seq, line, leaf, exchangeId, evidence }] of rows.entries()) {
    const [id, text] = [Buffer.from(exchangeId, 'utf8'), Buffer.from(line, 'utf8')];
    // A leaf of another length is nobody's hash.
    const hash = leaf.length === HASH_BYTES ? leaf : Buffer.alloc(HASH_BYTES);
    const statement = evidence?.statement ?? null;
    const path = evidence?.path ?? null;
    const { index = 0, size = 0 } = evidence ?? {};
    const lineAt = at + HASH_BYTES + id.length + 1;
    const statementAt = lineAt + text.length + LEAF_LABEL.length;
    const lengths = [statement?.length ?? -1, index, size, path?.length ?? -1];
    places.set([seq, at, id.length, lineAt, text.length, statementAt, ...lengths], row * PLACES);
    parts.push(hash, id, SEPARATOR, text, LEAF_LABEL);
    if (statement !== null) parts.push(statement);
    if (path !== null) parts.push(path);
    at = statementAt + (statement?.length ?? 0) + (path?.length ?? 0);
  }
  const signatures = rows.map(({ evidence }) => evidence?.signature ?? null);
  return { bytes: Buffer.concat(parts), count: rows.length, places, signatures };
}

/** What lengths of an id and a path are below, and an index and a size of a batch: several go into one number. */
export const RADIX = 1_024;
export const BATCH_RADIX = 512;

/**
 * Reads a page in which before each row its numbers stand as text: (length of line, of id, of path + 1) as one, length of
 * statement (-1), signature (-1), (seq, index, size) as one, and a semicolon. What did not fit its radix was cut off by the
 * reader, so that it fits nothing else either. A page ends before a row of another form.
 * @throws LOG_DATABASE_DAMAGED where its first row is one
 */
export function readPage(bytes: Buffer, count: number): StoredPage {
  const places = new Float64Array(count * PLACES);
  const signatures: (SignatureKey | null)[] = [];
  let at = 0;
  const number = (end: number): number => {
    const isNegative = bytes[at] === MINUS;
    if (isNegative) at++;
    let value = 0;
    const from = at;
    for (let code = bytes[at] ?? 0; code >= ZERO && code <= NINE; code = bytes[++at] ?? 0)
      value = value * 10 + code - ZERO;
    if (at === from || bytes[at] !== end) return Number.NaN;
    at++;
    return isNegative ? -value : value;
  };
  let row = 0;
  for (; row < count; row++) {
    const [lengths, statementLength, signature, place] = [
      number(COMMA),
      number(COMMA),
      number(COMMA),
      number(SEMICOLON),
    ];
    const pathLength = (lengths % RADIX) - 1;
    const idLength = Math.floor(lengths / RADIX) % RADIX;
    const lineLength = Math.floor(lengths / RADIX ** 2);
    const base = row * PLACES;
    places[base + PLACE.seq] = Math.floor(place / BATCH_RADIX ** 2);
    places[base + PLACE.leaf] = at;
    places[base + PLACE.idLength] = idLength;
    places[base + PLACE.line] = at += HASH_BYTES + idLength + 1;
    places[base + PLACE.lineLength] = lineLength;
    places[base + PLACE.statement] = at += lineLength + LEAF_LABEL.length;
    places[base + PLACE.statementLength] = statementLength;
    places[base + PLACE_IN_BATCH.index] = Math.floor(place / BATCH_RADIX) % BATCH_RADIX;
    places[base + PLACE_IN_BATCH.size] = place % BATCH_RADIX;
    places[base + PLACE_IN_BATCH.pathLength] = pathLength;
    at += Math.max(0, statementLength) + Math.max(0, pathLength);
    if (!(at <= bytes.length && place >= 0)) break;
    signatures.push(signature < 0 ? null : signature);
  }
  if (row === 0 && count > 0) throw new AccordError('LOG_DATABASE_DAMAGED', 'rows of another form');
  return { bytes, count: row, places, signatures };
}

/** Hashes a line where no leaf was stored beside it. */
export function hashLine({ bytes, places, isWithoutLeaves }: StoredPage, row: number): void {
  if (isWithoutLeaves === undefined) return;
  const [base, place] = [row * PLACES, (field: number) => places[base + field] ?? 0];
  const line = bytes.subarray(place(PLACE.line) - 1, place(PLACE.line) + place(PLACE.lineLength));
  bytes.write(sha256Text(line), place(PLACE.leaf), HASH_BYTES, 'latin1');
}

/** One row of a page, with memory of the page. */
export function rowOfPage({ bytes, places, signatures }: StoredPage, row: number): StoredRow {
  const base = row * PLACES;
  const place = (field: number) => places[base + field] ?? 0;
  const part = (from: number, length: number) => Buffer.from(bytes.buffer, bytes.byteOffset + from, length);
  const [leafAt, idLength, statementAt] = [place(PLACE.leaf), place(PLACE.idLength), place(PLACE.statement)];
  const [statementLength, pathLength] = [place(PLACE.statementLength), place(PLACE_IN_BATCH.pathLength)];
  const evidence =
    statementLength < 0
      ? null
      : {
          statement: part(statementAt, statementLength),
          signature: signatures[row] ?? null,
          index: place(PLACE_IN_BATCH.index),
          size: place(PLACE_IN_BATCH.size),
          path: pathLength < 0 ? null : part(statementAt + statementLength, pathLength),
        };
  return {
    seq: place(PLACE.seq),
    line: part(place(PLACE.line), place(PLACE.lineLength)).toString('utf8'),
    leaf: part(leafAt, HASH_BYTES),
    exchangeId: part(leafAt + HASH_BYTES, idLength).toString('utf8'),
    evidence,
  };
}
