// Entries of an archive's segment in the form that an audit reads (core/log/stored-page.ts), put together from the bytes of
// the segment: nothing is parsed here, and what an entry is called by is looked up where its one spelling has it. Whoever
// holds the archive controls every byte; the audit judges them.
import { LEAF_LABEL } from '#certs/batch.ts';
import { HASH_BYTES, sha256Text } from '#certs/merkle.ts';
import { PLACE, PLACE_IN_BATCH, PLACES, type StoredPage } from '#core/log/stored-page.ts';
import type { ArchivedRow } from './rows.ts';

const [ID, KIND] = [Buffer.from('"id":"'), Buffer.from('"kind":"')];
const QUOTE = 0x22;

/** The id of an entry as its line has it; empty where it has none. */
export function idIn(line: Buffer): string {
  return memberIn(line, ID);
}

/** Likewise its kind. */
export function kindIn(line: Buffer): string {
  return memberIn(line, KIND);
}

// Within a text a quote has a backslash before it, so that a member's name in quotes is the member.
function memberIn(line: Buffer, name: Buffer): string {
  const at = line.indexOf(name);
  const end = at < 0 ? -1 : line.indexOf(QUOTE, at + name.length);
  return end < 0 ? '' : line.toString('utf8', at + name.length, end);
}

/**
 * @param first seq of the first of the rows
 * @param keyOf what the segment's number of a signature is called
 */
export function pageOf(rows: readonly ArchivedRow[], first: number, keyOf: (signature: number) => number): StoredPage {
  const fixed = HASH_BYTES + 1 + LEAF_LABEL.length;
  const ids = rows.map(({ line }) => Buffer.from(idIn(line), 'utf8'));
  const length = rows.reduce(
    (sum, { line, statement, path }, i) =>
      sum + fixed + (ids[i]?.length ?? 0) + line.length + (statement?.length ?? 0) + (path?.length ?? 0),
    0,
  );
  const bytes = Buffer.allocUnsafeSlow(length);
  const places = new Float64Array(rows.length * PLACES);
  let at = 0;
  const put = (part: Uint8Array | null) => {
    if (part === null) return;
    bytes.set(part, at);
    at += part.length;
  };
  for (const [i, { line, statement, path, index, size }] of rows.entries()) {
    const [id, base, leafAt] = [ids[i] ?? Buffer.alloc(0), i * PLACES, at];
    at += HASH_BYTES;
    put(id);
    const leafFrom = at;
    bytes[at++] = 0;
    places[base + PLACE.line] = at;
    put(line);
    bytes.write(sha256Text(bytes.subarray(leafFrom, at)), leafAt, 'latin1');
    put(LEAF_LABEL);
    places[base + PLACE.seq] = first + i;
    places[base + PLACE.leaf] = leafAt;
    places[base + PLACE.idLength] = id.length;
    places[base + PLACE.lineLength] = line.length;
    places[base + PLACE.statement] = at;
    places[base + PLACE.statementLength] = statement?.length ?? -1;
    places[base + PLACE_IN_BATCH.index] = index;
    places[base + PLACE_IN_BATCH.size] = size;
    places[base + PLACE_IN_BATCH.pathLength] = path?.length ?? -1;
    put(statement);
    put(path);
  }
  const signatures = rows.map(({ signature }) => (signature < 0 ? null : keyOf(signature)));
  return { bytes, count: rows.length, places, signatures };
}
