// What a row of a log looks like beside its numbers, ids and hashes: its form. Another row has it when every byte between
// those is the same, which is seen word by word, and each of them is of its own alphabet. What they have to be (hashes of
// what stands beside them, numbers in their order) is for who asks (audit-plain.ts). Whoever held the disk controls all
// bytes; only rows that were judged as a whole make forms.
import { LEAF_LABEL } from '#certs/batch.ts';
import { HASH_BYTES } from '#certs/merkle.ts';
import { readPlainEntry } from '#schemas/log-entry.ts';
import { readPlainStatement, type Statement } from '#schemas/statement.ts';

export const UUID_BYTES = 36;
export const HASH_TEXT_BYTES = 43;
/** Where the exchange's id, and the zero byte before the line, stand in a row (stored-page.ts). */
export const ID_AT: number = HASH_BYTES;
const ZERO_AT = ID_AT + UUID_BYTES;
/** What a form with a line and a statement of no length would have. */
export const ROW_BYTES: number = ZERO_AT + 1 + LEAF_LABEL.length;
/** Longer rows have no form. */
const MAX_ROW_BYTES = 8 * 1024;
/** More digits may be no safe integer. */
const MAX_DIGITS = 15;

const KIND = { hash: 1, hexadecimal: 2, variant: 4, digit: 8, firstDigit: 16 } as const;
/** Which of these a byte can be. */
const KINDS = Uint8Array.from({ length: 256 }, (_, code) => {
  const text = String.fromCharCode(code);
  const is = (pattern: RegExp, kind: number) => (pattern.test(text) ? kind : 0);
  return (
    is(/[A-Za-z0-9_-]/, KIND.hash) |
    is(/[0-9a-f]/, KIND.hexadecimal) |
    is(/[89ab]/, KIND.variant) |
    is(/[0-9]/, KIND.digit) |
    is(/[1-9]/, KIND.firstDigit)
  );
});

interface Span {
  at: number;
  length: number;
}

/** Places count from the beginning of the row. */
export interface Form {
  bytes: number;
  /** What stands between the fields: words, of which those in `runs` (from, to) have no byte of a field. */
  same: Int32Array;
  runs: Int32Array;
  /** Words with other bytes too: place, mask, and what is left behind it. */
  parts: Int32Array;
  /** What stands in the fields: a bit of KINDS, from, to. */
  fields: Int32Array;
  seq: Span;
  t: Span;
  /** In the line. */
  id: number;
  statementHash: number;
  signature: number;
  statementId: number;
  /** Where an answer names its request; -1 in other statements. */
  request: number;
  /** The statement's id is the exchange's. */
  isRequest: boolean;
  /** Parts of the row that is looked at: the line with its zero byte, the statement, the statement with its label. */
  line: Uint8Array;
  statement: Uint8Array;
  labelled: Uint8Array;
}

/** One row at a time, in memory of its own: it is compared as words, and hashed without a view made for it. */
export class RowInHand {
  readonly bytes: Buffer = Buffer.from(new ArrayBuffer(MAX_ROW_BYTES));
  readonly #words = new Int32Array(this.bytes.buffer);

  /** @param from bytes that hold a row at `at`; no longer than one that has a form */
  take(from: Buffer, at: number, length: number): void {
    from.copy(this.bytes, 0, at, at + length);
  }

  /** The time of the row when it has this form and number, -1 when it has not. */
  timeIn(form: Form, seq: number): number {
    const { bytes } = this;
    const words = this.#words;
    const { same, runs, parts, fields } = form;
    for (let run = 0; run < runs.length; run += 2) {
      for (let at = runs[run] as number, end = runs[run + 1] as number; at < end; at++) {
        if (words[at] !== same[at]) return -1;
      }
    }
    for (let i = 0; i < parts.length; i += 3) {
      if (((words[parts[i] as number] as number) & (parts[i + 1] as number)) !== parts[i + 2]) return -1;
    }
    for (let i = 0, id = form.id; i < UUID_BYTES; i++) if (bytes[ID_AT + i] !== bytes[id + i]) return -1;
    if (form.isRequest) {
      for (let i = 0, id = form.statementId; i < UUID_BYTES; i++) if (bytes[ID_AT + i] !== bytes[id + i]) return -1;
    }
    for (let i = 0; i < fields.length; i += 3) {
      let kinds = fields[i] as number;
      for (let at = fields[i + 1] as number, end = fields[i + 2] as number; at < end; at++) {
        kinds &= KINDS[bytes[at] as number] as number;
      }
      if (kinds === 0) return -1;
    }
    return numberIn(bytes, form.seq) === seq ? numberIn(bytes, form.t) : -1;
  }

  /** The form of the row in hand; null for what is not plain. */
  form(lineLength: number, statementLength: number): Form | null {
    return formOf(this.bytes, lineLength, statementLength);
  }

  /** Whether a row so long can have a form. */
  static fits(length: number): boolean {
    return length <= MAX_ROW_BYTES;
  }
}

/** Of digits. */
function numberIn(bytes: Buffer, { at, length }: Span): number {
  let value = 0;
  for (let i = at; i < at + length; i++) value = value * 10 + (bytes[i] as number) - 48;
  return value;
}

/** Plain texts hold no quotes, so that a member's name in quotes is the member. */
function spansOf(text: string, from: number, names: readonly string[]): Map<string, Span[]> {
  const spans = new Map<string, Span[]>();
  const parts = new RegExp(`"(${names.join('|')})":"?([^",}]+)"?`, 'g');
  for (const { 0: all, 1: name = '', 2: value = '', index } of text.matchAll(parts)) {
    const at = from + index + all.lastIndexOf(value);
    spans.set(name, [...(spans.get(name) ?? []), { at, length: value.length }]);
  }
  return spans;
}

/** Not `ocsp`: rows that name another OCSP answer are another form, so that the first of each is judged as a whole. */
const ENTRY_FIELDS = ['seq', 't', 'id', 'decisionHash', 'statement', 'signature'] as const;
const STATEMENT_FIELDS = ['id', 'at', 'commitment', 'request', 'index', 'decisionHash'] as const;
const IS_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function formOf(row: Buffer, lineLength: number, statementLength: number): Form | null {
  const lineAt = ZERO_AT + 1;
  const statementAt = lineAt + lineLength + LEAF_LABEL.length;
  const bytes = statementAt + statementLength;
  const lineText = row.toString('latin1', lineAt, lineAt + lineLength);
  const statementText = row.toString('latin1', statementAt, bytes);
  const entry = readPlainEntry(lineText);
  const said = readPlainStatement(row.subarray(statementAt, bytes));
  if (entry === null || said === null || !IS_UUID.test(entry.id)) return null;
  if (entry.statement === null || entry.signature === null) return null;
  const inLine = spansOf(
    lineText,
    lineAt,
    ENTRY_FIELDS.filter((name) => entry[name] !== null),
  );
  const inStatement = spansOf(
    statementText,
    statementAt,
    STATEMENT_FIELDS.filter((name) => isThere(name, said)),
  );
  const one = (spans: Map<string, Span[]>, name: string) => spans.get(name)?.[0] ?? { at: -1, length: 0 };
  const numbers = [one(inStatement, 'at'), ...(inStatement.get('index') ?? [])];
  const [seq, t] = [one(inLine, 'seq'), one(inLine, 't')];
  if ([seq, t, ...numbers].some(({ at, length }) => at < 0 || length > MAX_DIGITS)) return null;
  const hashesOf = (spans: Map<string, Span[]>, names: string[]) =>
    names.flatMap((name) => spans.get(name) ?? []).map(({ at }) => at);
  const hashes = [
    ...hashesOf(inLine, ['decisionHash']),
    ...hashesOf(inStatement, ['commitment', 'request', 'decisionHash']),
  ];
  const [id, statementId] = [one(inLine, 'id').at, one(inStatement, 'id').at];
  const [statementHash, signature] = [one(inLine, 'statement').at, one(inLine, 'signature').at];
  const isRequest = said.kind === 'request' || said.id === entry.id;
  const fields = [
    ...(isRequest ? [id] : [id, statementId]).flatMap(uuidFields),
    ...[seq, t, ...numbers].flatMap(numberFields),
    ...hashes.map((at): Field => [KIND.hash, at, at + HASH_TEXT_BYTES]),
  ];
  // Compared with what they have to be.
  const others: Field[] = [
    [0, 0, ZERO_AT],
    ...[statementHash, signature].map((at): Field => [0, at, at + HASH_TEXT_BYTES]),
  ];
  if (isRequest) others.push([0, statementId, statementId + UUID_BYTES]);
  const memory = row.buffer;
  return {
    ...{ bytes, seq, t, id, statementHash, signature, statementId, isRequest },
    ...wordsOf(row, bytes, [...fields, ...others]),
    fields: Int32Array.from(fields.flat()),
    // An answer under the id of the exchange itself names no other request than its own, or none that is asked for.
    request: said.kind === 'response' && said.id !== entry.id ? one(inStatement, 'request').at : -1,
    line: new Uint8Array(memory, ZERO_AT, lineLength + 1),
    statement: new Uint8Array(memory, statementAt, statementLength),
    labelled: new Uint8Array(memory, statementAt - LEAF_LABEL.length, LEAF_LABEL.length + statementLength),
  };
}

type Field = [kind: number, from: number, to: number];

/** What is no digit of its own stands where it stood: hyphens and the version. */
function uuidFields(at: number): Field[] {
  const digits = (from: number, to: number): Field => [KIND.hexadecimal, at + from, at + to];
  const variant: Field = [KIND.variant, at + 19, at + 20];
  return [digits(0, 8), digits(9, 13), digits(15, 18), variant, digits(20, 23), digits(24, UUID_BYTES)];
}

/** Without a leading zero. */
function numberFields({ at, length }: Span): Field[] {
  if (length === 1) return [[KIND.digit, at, at + 1]];
  return [
    [KIND.firstDigit, at, at + 1],
    [KIND.digit, at + 1, at + length],
  ];
}

/** The row as words, without what stands in the fields. */
function wordsOf(row: Buffer, length: number, fields: readonly Field[]): Pick<Form, 'same' | 'runs' | 'parts'> {
  const same = new Int32Array(Math.ceil(length / 4));
  const masks = new Int32Array(same.length);
  row.copy(new Uint8Array(same.buffer), 0, 0, length);
  const mask = new Uint8Array(masks.buffer).fill(0xff, 0, length);
  for (const [, from, to] of fields) mask.fill(0, from, to);
  const [runs, parts]: [number[], number[]] = [[], []];
  for (const [at, bits] of masks.entries()) {
    const isNext = runs.at(-1) === at;
    if (bits === -1 && isNext) runs[runs.length - 1] = at + 1;
    else if (bits === -1) runs.push(at, at + 1);
    else if (bits !== 0) parts.push(at, bits, (same[at] ?? 0) & bits);
  }
  return { same, runs: Int32Array.from(runs), parts: Int32Array.from(parts) };
}

function isThere(name: (typeof STATEMENT_FIELDS)[number], said: Statement): boolean {
  return name === 'decisionHash' ? said.decisionHash != null : true;
}
