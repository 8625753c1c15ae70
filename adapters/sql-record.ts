// The cells of a row as the JSON values that the adapter's file promises. The department's own database controls the
// cells; one that does not fit is a fault of the department, never passed on.

import { AccordError } from '#schemas/problems.ts';
import type { Property, SqlLimits } from './sql-config.ts';
import type { Cell, Row } from './sql-database.ts';

type Scalar = string | number | boolean | null;
export type JsonRecord = { [name: string]: Scalar | JsonRecord[] };

/** The row's cells stand in the order of `properties`. @throws DATABASE_VALUE_MISMATCH */
export function recordOf(
  properties: readonly { name: string; property: Property }[],
  row: Row,
  limits: SqlLimits,
): JsonRecord {
  return Object.fromEntries(
    properties.map(({ name, property }, place) => [name, scalarOf(name, property, row[place] ?? null, limits)]),
  );
}

/** The cell as the property's JSON type; a value that does not fit is a fault of the department, never passed on. */
function scalarOf(name: string, property: Property, cell: Cell, { maxFieldLength }: SqlLimits): Scalar {
  const wrong = (what: string) => new AccordError('DATABASE_VALUE_MISMATCH', `property ${name} ${what}`);
  if (cell === null) {
    return null; // whether the property may be null, the response schema says
  }
  if (property.type === 'string') {
    const text = String(cell);
    if ([...text.slice(0, 2 * maxFieldLength + 2)].length > maxFieldLength) {
      throw wrong(`is longer than ${maxFieldLength} characters`);
    }
    return property.format === 'date-time' ? rfc3339(text) : text;
  }
  if (property.type === 'boolean') {
    const read = { t: true, f: false, '1': true, '0': false }[String(cell)];
    if (read === undefined) {
      throw wrong('is not true or false');
    }
    return read;
  }
  const number = cell instanceof Buffer || cell === '' ? Number.NaN : Number(cell);
  if (!Number.isFinite(number) || (property.type === 'integer' && !Number.isSafeInteger(number))) {
    throw wrong(`is not of type ${property.type}`);
  }
  return number;
}

/** PostgreSQL's ISO style `2026-01-31 08:00:00+00` in RFC 3339's. */
function rfc3339(text: string): string {
  return text.replace(/^(\d{4}-\d\d-\d\d) /, '$1T').replace(/[+]00(?::?00)?$/, 'Z');
}
