// Entries that differ from one judged before in nothing but their numbers, ids and hashes, as nearly all of a log do: such a
// row is compared in bytes, never read. It is taken only where the whole judgement (audit-entries.ts) would find nothing:
// the same lengths, every byte between the fields the same, each field of its own alphabet, both hashes of the statement,
// the leaf, the place in the signed batch, and for an answer its request among the last ones. Whatever else there is goes to
// the whole judgement, which also says what is wrong. Whoever held the disk controls all bytes.
import { LEAF_LABEL } from '#certs/batch.ts';
import { sha256 } from '#certs/commitment.ts';
import { HASH_BYTES, sha256Text } from '#certs/merkle.ts';
import { readPlainEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import { readPlainStatement, type Statement } from '#schemas/statement.ts';
import type { Batches } from './audit-batches.ts';
import type { RecentStatements } from './audit-recent.ts';
import { PLACE, PLACE_IN_BATCH, PLACES, type StoredPage } from './stored-page.ts';

/** Forms that are known at a time; numbers of another length make another form. */
const MAX_FORMS = 32;
/** A log in which most rows are unlike all that are known takes no more new ones than this. */
const TRIAL = 128;
const UUID_BYTES = 36;
const HASH_TEXT_BYTES = 43;
/** More digits may be no safe integer. */
const MAX_DIGITS = 15;

/** Letters, digits, - and _ (1), lower-case hexadecimal digits (2). */
const CHARACTERS = Uint8Array.from({ length: 256 }, (_, code) => {
  const text = String.fromCharCode(code);
  return (/[A-Za-z0-9_-]/.test(text) ? 1 : 0) | (/[0-9a-f]/.test(text) ? 2 : 0);
});

interface Span {
  at: number;
  length: number;
}

/** A row that was judged. Its own fields are overwritten by those of the row it is compared with. */
interface Form {
  /** A zero byte, then the line; places in it count from the zero byte. */
  line: Buffer;
  statement: Buffer;
  seq: Span;
  t: Span;
  id: number;
  statementHash: number;
  signature: number;
  /** Other hashes of the line. */
  lineHashes: number[];
  statementId: number;
  numbers: Span[];
  hashes: number[];
  /** Where an answer names its request; -1 in other statements. */
  request: number;
  /** The statement's id is the exchange's. */
  isRequest: boolean;
}

export class PlainRows {
  readonly #batches: Batches;
  readonly #recent: RecentStatements;
  #forms: Form[] = [];
  #added = 0;
  #met = 0;

  constructor(batches: Batches, recent: RecentStatements) {
    this.#batches = batches;
    this.#recent = recent;
  }

  /** Its time when the row is plainly right, -1 when the whole judgement has to say. @throws Finding: who signed */
  judge(page: StoredPage, row: number, seq: number, notBeforeMs: number): number {
    for (let i = 0; i < this.#forms.length; i++) {
      const form = this.#forms[i] as Form;
      const t = isOfForm(page, row, seq, form);
      if (t < 0) continue;
      if (i > 0) this.#forms.unshift(...this.#forms.splice(i, 1));
      if (t < notBeforeMs || !this.#isRight(page, row, form, seq)) return -1;
      this.#met++;
      return t;
    }
    return -1;
  }

  #isRight(page: StoredPage, row: number, form: Form, seq: number): boolean {
    const { bytes, places } = page;
    const base = row * PLACES;
    const [leafAt, lineAt] = [places[base + PLACE.leaf] as number, places[base + PLACE.line] as number];
    const leaf = sha256Text(view(bytes, lineAt - 1, form.line.length));
    for (let i = 0; i < HASH_BYTES; i++) if (bytes[leafAt + i] !== leaf.charCodeAt(i)) return false;
    const at = places[base + PLACE.statement] as number;
    const hash = sha256(view(bytes, at, form.statement.length));
    for (let i = 0, named = lineAt - 1 + form.statementHash; i < HASH_TEXT_BYTES; i++, named++) {
      if (bytes[named] !== hash.charCodeAt(i)) return false;
    }
    const idAt = leafAt + HASH_BYTES;
    if (form.request >= 0 && !this.#recent.has(bytes, idAt, UUID_BYTES, bytes, at + form.request)) return false;
    const labelled = view(bytes, at - LEAF_LABEL.length, LEAF_LABEL.length + form.statement.length);
    if (!this.#standsInBatch(page, row, form, seq, sha256Text(labelled))) return false;
    this.#recent.add(bytes, idAt, UUID_BYTES, hash);
    return true;
  }

  #standsInBatch(
    { bytes, places, signatures }: StoredPage,
    row: number,
    form: Form,
    seq: number,
    leaf: string,
  ): boolean {
    const base = row * PLACES;
    const key = signatures[row];
    if (key === null || key === undefined) return false;
    const pathLength = places[base + PLACE_IN_BATCH.pathLength] as number;
    const pathAt = (places[base + PLACE.statement] as number) + form.statement.length;
    const place = {
      seq,
      index: places[base + PLACE_IN_BATCH.index] as number,
      size: places[base + PLACE_IN_BATCH.size] as number,
      path: pathLength < 0 ? null : Buffer.from(bytes.buffer, bytes.byteOffset + pathAt, pathLength),
    };
    try {
      return this.#batches.stands(key, bytes, (places[base + PLACE.line] as number) - 1 + form.signature, place, leaf);
    } catch (error) {
      if (isAccordError(error)) return false;
      throw error;
    }
  }

  /** Takes the form of a row of which the whole judgement found nothing. */
  learn({ bytes, places }: StoredPage, row: number): void {
    if (this.#added >= TRIAL && this.#met < 4 * this.#added) return;
    const base = row * PLACES;
    const statementLength = places[base + PLACE.statementLength] as number;
    if (statementLength < 0 || places[base + PLACE.idLength] !== UUID_BYTES) return;
    const line = Buffer.from(view(bytes, (places[base + PLACE.line] as number) - 1, lineLength(places, base) + 1));
    const statement = Buffer.from(view(bytes, places[base + PLACE.statement] as number, statementLength));
    const form = formOf(line, statement);
    if (form === null) return;
    this.#added++;
    this.#forms.unshift(form);
    if (this.#forms.length > MAX_FORMS) this.#forms.pop();
  }
}

function lineLength(places: Float64Array, base: number): number {
  return places[base + PLACE.lineLength] as number;
}

function view(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + at, length);
}

/** The time of a row that has this form, -1 when it has not. */
function isOfForm({ bytes, places }: StoredPage, row: number, seq: number, form: Form): number {
  const base = row * PLACES;
  const { line, statement } = form;
  const isAsLong =
    lineLength(places, base) === line.length - 1 &&
    places[base + PLACE.statementLength] === statement.length &&
    places[base + PLACE.idLength] === UUID_BYTES &&
    places[base + PLACE.seq] === seq;
  if (!isAsLong) return -1;
  const lineAt = (places[base + PLACE.line] as number) - 1;
  const at = places[base + PLACE.statement] as number;
  const idAt = (places[base + PLACE.leaf] as number) + HASH_BYTES;
  if (takeNumber(bytes, lineAt, line, form.seq) !== seq) return -1;
  const t = takeNumber(bytes, lineAt, line, form.t);
  if (t < 0 || !takeUuid(bytes, lineAt, line, form.id)) return -1;
  for (let i = 0; i < UUID_BYTES; i++) if (bytes[idAt + i] !== line[form.id + i]) return -1;
  // Compared with what they have to be, later on.
  take(bytes, lineAt, line, form.statementHash, HASH_TEXT_BYTES);
  take(bytes, lineAt, line, form.signature, HASH_TEXT_BYTES);
  for (const hash of form.lineHashes) if (!takeHash(bytes, lineAt, line, hash)) return -1;
  if (!isSame(bytes, lineAt, line)) return -1;
  if (!takeUuid(bytes, at, statement, form.statementId)) return -1;
  for (const span of form.numbers) if (takeNumber(bytes, at, statement, span) < 0) return -1;
  for (const hash of form.hashes) if (!takeHash(bytes, at, statement, hash)) return -1;
  if (!isSame(bytes, at, statement)) return -1;
  if (form.isRequest) {
    for (let i = 0; i < UUID_BYTES; i++) if (statement[form.statementId + i] !== line[form.id + i]) return -1;
  }
  return t;
}

function isSame(bytes: Uint8Array, at: number, form: Buffer): boolean {
  return form.compare(bytes, at, at + form.length) === 0;
}

function take(bytes: Uint8Array, from: number, form: Buffer, at: number, length: number): void {
  for (let i = at; i < at + length; i++) form[i] = bytes[from + i] as number;
}

/** A number without a leading zero; -1 when it is none. */
function takeNumber(bytes: Uint8Array, from: number, form: Buffer, { at, length }: Span): number {
  let value = 0;
  for (let i = at; i < at + length; i++) {
    const code = bytes[from + i] as number;
    if (code < 48 || code > 57) return -1;
    form[i] = code;
    value = value * 10 + code - 48;
  }
  return length > 1 && bytes[from + at] === 48 ? -1 : value;
}

function takeHash(bytes: Uint8Array, from: number, form: Buffer, at: number): boolean {
  for (let i = at; i < at + HASH_TEXT_BYTES; i++) {
    const code = bytes[from + i] as number;
    if (((CHARACTERS[code] as number) & 1) === 0) return false;
    form[i] = code;
  }
  return true;
}

/** RFC 9562 version 7 in lower case: what is no digit stands where it stood in the form. */
function takeUuid(bytes: Uint8Array, from: number, form: Buffer, at: number): boolean {
  const variant = bytes[from + at + 19];
  if (variant !== 56 && variant !== 57 && variant !== 97 && variant !== 98) return false;
  for (let i = 0; i < UUID_BYTES; i++) {
    if (i === 8 || i === 13 || i === 14 || i === 18 || i === 23) continue;
    const code = bytes[from + at + i] as number;
    if (((CHARACTERS[code] as number) & 2) === 0) return false;
    form[at + i] = code;
  }
  return true;
}

/** Plain texts hold no quotes, so that a member's name in quotes is the member. */
function spansOf(text: string, names: readonly string[]): Map<string, Span[]> {
  const spans = new Map<string, Span[]>();
  const parts = new RegExp(`"(${names.join('|')})":"?([^",}]+)"?`, 'g');
  for (const { 0: all, 1: name = '', 2: value = '', index } of text.matchAll(parts)) {
    const at = index + all.lastIndexOf(value);
    spans.set(name, [...(spans.get(name) ?? []), { at, length: value.length }]);
  }
  return spans;
}

/** Not `ocsp`: rows that name another OCSP answer are another form, so that the first of each is judged as a whole. */
const ENTRY_FIELDS = ['seq', 't', 'id', 'decisionHash', 'statement', 'signature'] as const;
const STATEMENT_FIELDS = ['id', 'at', 'commitment', 'request', 'index', 'decisionHash'] as const;
const IS_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** @param line a zero byte and the line. Null for what is not plain */
function formOf(line: Buffer, statement: Buffer): Form | null {
  const [lineText, statementText] = [line.toString('latin1'), statement.toString('latin1')];
  const entry = readPlainEntry(lineText.slice(1));
  const said = readPlainStatement(statement);
  if (entry === null || said === null || !IS_UUID.test(entry.id)) return null;
  if (entry.statement === null || entry.signature === null) return null;
  const inLine = spansOf(
    lineText,
    ENTRY_FIELDS.filter((name) => entry[name] !== null),
  );
  const inStatement = spansOf(
    statementText,
    STATEMENT_FIELDS.filter((name) => isThere(name, said)),
  );
  const one = (spans: Map<string, Span[]>, name: string) => spans.get(name)?.[0] ?? { at: -1, length: 0 };
  const numbers = [one(inStatement, 'at'), ...(inStatement.get('index') ?? [])];
  const [seq, t] = [one(inLine, 'seq'), one(inLine, 't')];
  if ([seq, t, ...numbers].some(({ at, length }) => at < 0 || length > MAX_DIGITS)) return null;
  const hashesOf = (spans: Map<string, Span[]>, names: string[]) =>
    names.flatMap((name) => spans.get(name) ?? []).map(({ at }) => at);
  return {
    line,
    statement,
    seq,
    t,
    id: one(inLine, 'id').at,
    statementHash: one(inLine, 'statement').at,
    signature: one(inLine, 'signature').at,
    lineHashes: hashesOf(inLine, ['decisionHash']),
    statementId: one(inStatement, 'id').at,
    numbers,
    hashes: hashesOf(inStatement, ['commitment', 'request', 'decisionHash']),
    // An answer under the id of the exchange itself names no other request than its own, or none that is asked for.
    request: said.kind === 'response' && said.id !== entry.id ? one(inStatement, 'request').at : -1,
    isRequest: said.kind === 'request' || said.id === entry.id,
  };
}

function isThere(name: (typeof STATEMENT_FIELDS)[number], said: Statement): boolean {
  return name === 'decisionHash' ? said.decisionHash != null : true;
}
