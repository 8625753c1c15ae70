// A part's one list, read a few entries at a time, so that exchanges go on while thousands of members are read. Only a
// spelling as the registry writes it (canonical-json.ts) is taken apart; two approvers signed the hash of the bytes, and yet
// nothing is believed of them here.
//
// The outcome is that of reading the text whole. What is cut away is `{"NAME":[`, single commas and `]}`, so if every piece
// is one JSON value, the text is JSON with these values in this order. Whenever a piece is not, or is refused (a cut that
// fell into something deeper leaves halves), the text is read whole, for what that says.
import { type JsonValue, parseJson } from '#schemas/json.ts';
import { MAX_JSON_DEPTH } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';

/** Bytes that are read in one step. */
const STEP_LENGTH = 32 * 1024;
/** A value takes two characters at least, with what parts it from the next: below it no limit of values is met. */
const MAX_LENGTH = 4_000_000;
/** No list of a part may be longer than its schema says; those that may be longer than this are read whole. */
const MAX_ENTRIES = 10_000;
const END = ']}\n';

/**
 * Pauses between steps; the caller lets others have their turn then.
 * @param list the name of the list, the document's only member
 * @param readEntry judges one entry
 * @param readWhole reads and judges all of the bytes
 */
export function* readEntries<T>(
  bytes: Uint8Array,
  list: string,
  readEntry: (value: JsonValue) => T,
  readWhole: () => readonly T[],
): Generator<undefined, readonly T[]> {
  const texts = entryTexts(bytes, list);
  if (texts === undefined || texts.length > MAX_ENTRIES) return readWhole();
  const entries: T[] = [];
  let length = 0;
  try {
    for (const text of texts) {
      entries.push(readEntry(parseJson(text, { maxDepth: MAX_JSON_DEPTH - 2, maxBytes: MAX_LENGTH })));
      length += text.length;
      if (length < STEP_LENGTH) continue;
      length = 0;
      yield;
    }
    return entries;
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return readWhole();
  }
}

/** Cut before every object that begins as the first one does; undefined for another spelling. */
function entryTexts(bytes: Uint8Array, list: string): Buffer[] | undefined {
  if (bytes.length > MAX_LENGTH) return undefined;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head = `{"${list}":[`;
  const first = /^\{"[A-Za-z]{1,32}":/.exec(text.toString('latin1', head.length, head.length + 40))?.[0];
  const last = text.length - END.length;
  if (first === undefined || text.toString('latin1', 0, head.length) !== head) return undefined;
  if (text.toString('latin1', Math.max(0, last - 1)) !== `}${END}`) return undefined;
  const texts: Buffer[] = [];
  const cut = Buffer.from(`},${first}`, 'latin1');
  let from = head.length;
  for (let next = text.indexOf(cut, from); next !== -1; next = text.indexOf(cut, from)) {
    texts.push(text.subarray(from, next + 1));
    from = next + 2;
  }
  texts.push(text.subarray(from, last));
  return texts;
}
