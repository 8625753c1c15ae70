// Entries of an archive's segment in the form that an audit reads (core/log/stored-page.ts), put together from the bytes of
// the segment: nothing is parsed here, and what an entry is called by is looked up where its one spelling has it. Whoever
// holds the archive controls every byte; the audit judges them.
import { LEAF_LABEL } from '#certs/batch.ts';
import { HASH_BYTES } from '#certs/merkle.ts';
import { PLACE, PLACE_IN_BATCH, PLACES, type StoredPage } from '#core/log/stored-page.ts';
import type { ArchivedRow } from './rows.ts';

const [ID, KIND] = [Buffer.from('"id":"'), Buffer.from('"kind":"')];
const [SEQ, TIME, BEFORE_KIND, BEFORE_ID] = ['{"seq":', ',"t":', ',"kind":"', '","id":"'].map((text) =>
  Buffer.from(text),
);
const QUOTE = 0x22;

interface Head {
  kindAt: number;
  kindEnd: number;
  idAt: number;
  idEnd: number;
}

// Filled anew by every call.
const head: Head = { kindAt: 0, kindEnd: 0, idAt: 0, idEnd: 0 };

/** Where kind and id stand in a line that begins as all do; null for another. */
function headOf(line: Buffer): Head | null {
  const kindAt = behind(line, digitsEnd(line, behind(line, digitsEnd(line, behind(line, 0, SEQ)), TIME)), BEFORE_KIND);
  const kindEnd = kindAt < 0 ? -1 : quoteAt(line, kindAt);
  const idAt = behind(line, kindEnd, BEFORE_ID);
  const idEnd = idAt < 0 ? -1 : quoteAt(line, idAt);
  if (idEnd < 0) return null;
  [head.kindAt, head.kindEnd, head.idAt, head.idEnd] = [kindAt, kindEnd, idAt, idEnd];
  return head;
}

function behind(line: Buffer, at: number, text: Buffer | undefined): number {
  if (at < 0 || text === undefined) return -1;
  for (let i = 0; i < text.length; i++) if (line[at + i] !== text[i]) return -1;
  return at + text.length;
}

function digitsEnd(line: Buffer, from: number): number {
  if (from < 0) return -1;
  let at = from;
  for (let code = line[at] ?? 0; code >= 48 && code <= 57; code = line[++at] ?? 0);
  return at;
}

function quoteAt(line: Buffer, from: number): number {
  for (let at = from; at < line.length; at++) if (line[at] === QUOTE) return at;
  return -1;
}

/** The id of an entry as its line has it; empty where it has none. */
export function idIn(line: Buffer): string {
  const known = headOf(line);
  return known === null ? memberIn(line, ID) : line.toString('utf8', known.idAt, known.idEnd);
}

/** Likewise its kind. */
export function kindIn(line: Buffer): string {
  const known = headOf(line);
  return known === null ? memberIn(line, KIND) : line.toString('utf8', known.kindAt, known.kindEnd);
}

const [REQUEST, RESPONSE] = [Buffer.from('request-'), Buffer.from('response-')];

/** Whether an entry is of a request, or of an answer. */
export function isRequestOrAnswer(line: Buffer): 'request' | 'answer' | null {
  const known = headOf(line);
  if (known !== null && behind(line, known.kindAt, REQUEST) >= 0) return 'request';
  if (known !== null && behind(line, known.kindAt, RESPONSE) >= 0) return 'answer';
  const kind = known === null ? memberIn(line, KIND) : '';
  return kind.startsWith('request-') ? 'request' : kind.startsWith('response-') ? 'answer' : null;
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
  let length = 0;
  // An id is a part of its line.
  for (const { line, statement, path } of rows) {
    length += fixed + 2 * line.length + (statement?.length ?? 0) + (path?.length ?? 0);
  }
  const bytes = Buffer.allocUnsafeSlow(length);
  const places = new Float64Array(rows.length * PLACES);
  let at = 0;
  const put = (part: Buffer | null) => {
    if (part === null) return;
    part.copy(bytes, at);
    at += part.length;
  };
  for (const [i, { line, statement, path, index, size }] of rows.entries()) {
    const [base, leafAt] = [i * PLACES, at];
    at += HASH_BYTES;
    const known = headOf(line);
    if (known === null) put(Buffer.from(memberIn(line, ID), 'utf8'));
    else at += line.copy(bytes, at, known.idAt, known.idEnd);
    places[base + PLACE.idLength] = at - leafAt - HASH_BYTES;
    bytes[at++] = 0;
    places[base + PLACE.line] = at;
    put(line);
    put(LEAF_LABEL);
    places[base + PLACE.seq] = first + i;
    places[base + PLACE.leaf] = leafAt;
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
  return { bytes, count: rows.length, places, signatures, isWithoutLeaves: true };
}
