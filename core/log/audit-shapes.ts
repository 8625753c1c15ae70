// Reading entries and statements that are spelled like ones that were read before. In a log nearly all of them differ in
// their numbers, ids and hashes only: what lies between is compared, not read again, which costs an audit a quarter of the
// pattern's time. Whoever held the disk controls the text; what is taken here is exactly what the schema takes, and a test
// holds the two together. What is unlike everything before goes to the schema (schemas/log-entry.ts, statement.ts).
import { type LogEntry, readAnyEntry, readPlainEntry } from '#schemas/log-entry.ts';
import { readAnyStatement, readPlainStatement, type Statement } from '#schemas/statement.ts';

/** Shapes that are known at a time: to look through more costs as much as the pattern. */
const MAX_SHAPES = 16;
/** Texts that are read before the first shape is made: for a short log it is not worth it. */
const UNSHAPED = 64;
/** A log with more shapes than that takes no new ones while most texts are unlike all that are known. */
const TRIAL = 64;
const MAX_ID_LENGTH = 128;
const HASH_LENGTH = 43;
const UUID_LENGTH = 36;
/** More digits may be no safe integer. */
const MAX_DIGITS = 15;

/** Letters, digits, - and _ (1), lower-case hexadecimal digits too (2), printable ASCII without " and \ (4). */
const CHARACTERS = Uint8Array.from({ length: 128 }, (_, code) => {
  const text = String.fromCharCode(code);
  return (/[A-Za-z0-9_-]/.test(text) ? 1 : 0) | (/[0-9a-f]/.test(text) ? 2 : 0) | (/[ !#-[\]-~]/.test(text) ? 4 : 0);
});

type Field = 'number' | 'hash' | 'uuid' | 'text';

interface Shape<T> {
  /** What stands before each field, and behind the last. */
  between: string[];
  fields: Field[];
  like: T;
}

function areAll(text: string, from: number, to: number, kind: number): boolean {
  if (to > text.length) return false;
  for (let at = from; at < to; at++) if (((CHARACTERS[text.charCodeAt(at)] ?? 0) & kind) === 0) return false;
  return true;
}

/** RFC 9562 version 7 in lower case, as MESSAGE_ID_PATTERN. */
function isUuid(text: string, at: number): boolean {
  return (
    text[at + 8] === '-' &&
    text[at + 13] === '-' &&
    text[at + 14] === '7' &&
    text[at + 18] === '-' &&
    '89ab'.includes(text[at + 19] ?? 'x') &&
    text[at + 23] === '-' &&
    areAll(text, at, at + 8, 2) &&
    areAll(text, at + 9, at + 13, 2) &&
    areAll(text, at + 15, at + 18, 2) &&
    areAll(text, at + 20, at + 23, 2) &&
    areAll(text, at + 24, at + UUID_LENGTH, 2)
  );
}

/** Where the field that begins at `at` ends; -1 when there is none of this kind. */
function endOf(field: Field, text: string, at: number): number {
  if (field === 'hash') return areAll(text, at, at + HASH_LENGTH, 1) ? at + HASH_LENGTH : -1;
  if (field === 'uuid') return isUuid(text, at) ? at + UUID_LENGTH : -1;
  if (field === 'text') {
    const end = text.indexOf('"', at);
    return end > at && end - at <= MAX_ID_LENGTH && areAll(text, at, end, 4) ? end : -1;
  }
  let end = at;
  for (let code = text.charCodeAt(end); code >= 48 && code <= 57; code = text.charCodeAt(++end));
  const isOne = end - at === 1;
  return isOne || (end - at > 1 && end - at <= MAX_DIGITS && text[at] !== '0') ? end : -1;
}

/** The texts of the fields, or null when the text has another shape. */
function fieldsOf(text: string, { between, fields }: Shape<unknown>): string[] | null {
  const found: string[] = [];
  let at = 0;
  for (const [i, before] of between.entries()) {
    if (text.slice(at, at + before.length) !== before) return null;
    at += before.length;
    const field = fields[i];
    if (field === undefined) break;
    const end = endOf(field, text, at);
    if (end < 0) return null;
    found.push(text.slice(at, end));
    at = end;
  }
  return at === text.length ? found : null;
}

/** @param parts finds the fields of a text that was read: pairs of what stands before one, up to its quote, and the field */
function shapeOf<T>(text: string, like: T, parts: RegExp, kinds: Record<string, Field>): Shape<T> {
  const shape: Shape<T> = { between: [], fields: [], like };
  let at = 0;
  for (const { 0: all, 1: name = '', 2: value = '', index } of text.matchAll(parts)) {
    const from = index + all.lastIndexOf(value);
    shape.between.push(text.slice(at, from));
    shape.fields.push(kinds[name] ?? 'number');
    at = from + value.length;
  }
  shape.between.push(text.slice(at));
  return shape;
}

/** The one that matched last comes first. */
class Shapes<T> {
  #known: Shape<T>[] = [];
  #added = 0;
  #met = 0;
  #missed = 0;
  readonly #unshaped: number;

  constructor(unshaped: number) {
    this.#unshaped = unshaped;
  }

  find(text: string): { like: T; fields: string[] } | null {
    for (const [i, shape] of this.#known.entries()) {
      const fields = fieldsOf(text, shape);
      if (fields === null) continue;
      this.#met++;
      if (i > 0) this.#known.unshift(...this.#known.splice(i, 1));
      return { like: shape.like, fields };
    }
    return null;
  }

  takesMore(): boolean {
    return ++this.#missed > this.#unshaped && (this.#added < TRIAL || this.#met > 4 * this.#added);
  }

  add(shape: Shape<T>): void {
    this.#added++;
    this.#known.unshift(shape);
    if (this.#known.length > MAX_SHAPES) this.#known.pop();
  }
}

const ENTRY_KINDS = { id: 'text', decisionHash: 'hash', statement: 'hash', signature: 'hash', ocsp: 'hash' } as const;
const ENTRY_HASHES = ['decisionHash', 'statement', 'signature', 'ocsp'] as const;
const STATEMENT_KINDS = { id: 'uuid', commitment: 'hash', request: 'hash', decisionHash: 'hash' } as const;

/** Plain texts hold no quotes, so that a member's name in quotes is the member. */
function partsNamed(names: readonly string[]): RegExp {
  return new RegExp(`"(${names.join('|')})":"?([^",}]+)"?`, 'g');
}

/** What is null stays null in a shape, so that its fields are known by their order. */
function entryParts(entry: LogEntry): RegExp {
  return partsNamed(['seq', 't', 'id', ...ENTRY_HASHES.filter((name) => entry[name] !== null)]);
}

function statementNames({ decisionHash }: Statement): string[] {
  return ['id', 'at', 'commitment', 'request', 'index', ...(decisionHash == null ? [] : ['decisionHash'])];
}

/** Reads entries as `parseLogEntry` does. @throws LOG_ENTRY_MALFORMED */
export function entryReader(unshaped: number = UNSHAPED): (line: string) => LogEntry {
  const shapes = new Shapes<LogEntry>(unshaped);
  return (line) => {
    const found = shapes.find(line);
    if (found === null) {
      const plain = readPlainEntry(line);
      if (plain !== null && shapes.takesMore()) shapes.add(shapeOf(line, plain, entryParts(plain), ENTRY_KINDS));
      return plain ?? readAnyEntry(line);
    }
    const { like, fields } = found;
    let next = 3;
    const take = (was: string | null) => (was === null ? null : (fields[next++] ?? null));
    return {
      ...like,
      seq: Number(fields[0]),
      t: Number(fields[1]),
      id: fields[2] ?? '',
      decisionHash: take(like.decisionHash),
      statement: take(like.statement),
      signature: take(like.signature),
      ocsp: take(like.ocsp),
    };
  };
}

/** What an audit compares of a statement with its entry. */
export type StatementFacts = Pick<Statement, 'kind' | 'id' | 'client' | 'service' | 'purpose' | 'request'>;

/** Reads statements as `parseStatement` does. @throws STATEMENT_MALFORMED, JSON_* */
export function statementReader(unshaped: number = UNSHAPED): (bytes: Buffer) => StatementFacts {
  const shapes = new Shapes<StatementFacts>(unshaped);
  return (bytes) => {
    // Only ASCII matches, and there Latin-1 and UTF-8 are the same bytes.
    const text = bytes.toString('latin1');
    const found = shapes.find(text);
    if (found === null) {
      const plain = readPlainStatement(bytes);
      if (plain !== null && shapes.takesMore()) {
        shapes.add(shapeOf(text, plain, partsNamed(statementNames(plain)), STATEMENT_KINDS));
      }
      return plain ?? readAnyStatement(bytes);
    }
    const { like, fields } = found;
    const { kind, client, service, purpose } = like;
    const facts: StatementFacts = { kind, id: fields[0] ?? '', client, service, purpose };
    if (like.request !== undefined) facts.request = fields[4] ?? '';
    return facts;
  };
}
