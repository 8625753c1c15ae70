// What is read from a database file that somebody else may have written: SQLite holds to the kinds of a STRICT table when it
// writes, not when it reads, so that a changed byte gives a number where the tables say text.
import { AccordError } from '#schemas/problems.ts';

type Kind = 'text' | 'bytes' | 'number' | 'bytes or nothing' | 'number or nothing' | 'text or nothing';
type Kinds = Readonly<Record<string, Kind>>;

function isOfKind(value: unknown, kind: Kind): boolean {
  if (value === null) return kind.endsWith('nothing');
  if (kind.startsWith('text')) return typeof value === 'string';
  return kind.startsWith('bytes') ? Buffer.isBuffer(value) : Number.isSafeInteger(value);
}

/** The row, or undefined for none. @throws LOG_DATABASE_DAMAGED when a column is of another kind */
export function ofKinds<T>(row: unknown, kinds: Kinds): T | undefined {
  if (row === undefined) return undefined;
  const values = row as Record<string, unknown>;
  for (const column in kinds) {
    const kind = kinds[column];
    if (kind !== undefined && !isOfKind(values[column], kind)) {
      throw new AccordError('LOG_DATABASE_DAMAGED', `${column} is no ${kind}`);
    }
  }
  return row as T;
}

/** @throws LOG_DATABASE_DAMAGED */
export function allOfKinds<T>(rows: readonly unknown[], kinds: Kinds): T[] {
  for (const row of rows) ofKinds(row, kinds);
  return rows as T[];
}

/** Hashes of 32 bytes. @throws LOG_DATABASE_DAMAGED */
export function hashesOnly(values: readonly unknown[]): Buffer[] {
  const isOther = values.some((value) => !Buffer.isBuffer(value) || value.length !== 32);
  if (isOther) throw new AccordError('LOG_DATABASE_DAMAGED', 'a hash is no 32 bytes');
  return values as Buffer[];
}
