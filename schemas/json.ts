// The strict JSON reader (RFC 8259, narrowed to I-JSON, RFC 7493) for everything that comes from outside: whoever sent
// the text controls all of it. JSON.parse keeps the last of two equal names, takes lone surrogates and turns 1e999 into
// Infinity; two readers of one signed text could then disagree about what it says. Here such a text is refused.
//
// One pass over the text counts depth, values and names before anything is built; JSON.parse then judges the syntax, and
// a walk over its result checks names, strings and numbers. A document in which the object members built are fewer than
// the names written has a name twice, whatever escapes it was spelled with.
import { MAX_JSON_BYTES, MAX_JSON_DEPTH, MAX_JSON_VALUES } from './limits.ts';
import { AccordError } from './problems.ts';

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export type JsonObject = { [name: string]: JsonValue };

export interface JsonLimits {
  /** Largest text, in bytes of UTF-8. Default 1 MiB. */
  maxBytes?: number;
  /** Deepest nesting of arrays and objects; `[]` is 1 deep. Default 32. */
  maxDepth?: number;
  /** Most values in the document, counting every scalar, array and object. Default 100,000. */
  maxValues?: number;
  /** Refuse numbers written as integers outside ±(2^53 - 1), which would be rounded silently. Default true. */
  safeIntegers?: boolean;
}

// ignoreBOM keeps a byte order mark in the text, where JSON.parse refuses it; without it the mark vanishes silently.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads one JSON document.
 * @param input UTF-8 bytes, or text
 * @throws BODY_TOO_LARGE, JSON_INVALID, JSON_TOO_DEEP, JSON_TOO_MANY, JSON_DUPLICATE_NAME, JSON_FORBIDDEN_NAME
 */
export function parseJson(input: Uint8Array | string, limits: JsonLimits = {}): JsonValue {
  const text = textOf(input, limits.maxBytes ?? MAX_JSON_BYTES);
  const scanned = scan(text, limits.maxDepth ?? MAX_JSON_DEPTH, limits.maxValues ?? MAX_JSON_VALUES);
  const value = parse(text);
  // Bytes were decoded strictly, so that only an escape can spell half of a pair.
  const areWellFormed = !scanned.escapedUnits && (typeof input !== 'string' || text.isWellFormed());
  const seen = { names: 0, unsafeIntegers: false };
  inspect(value, seen, areWellFormed);
  if (seen.names !== scanned.names) throw new AccordError('JSON_DUPLICATE_NAME');
  if (seen.unsafeIntegers && (limits.safeIntegers ?? true)) refuseUnsafeIntegers(text);
  return value;
}

/** Like `parseJson`, for a document that has to be an object. @throws JSON_INVALID for any other value, and as above */
export function parseJsonObject(input: Uint8Array | string, limits: JsonLimits = {}): JsonObject {
  const value = parseJson(input, limits);
  if (!isJsonObject(value)) throw new AccordError('JSON_INVALID', 'the document is not an object');
  return value;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(input: Uint8Array | string, maxBytes: number): string {
  if (typeof input === 'string') {
    if (input.length > maxBytes || Buffer.byteLength(input) > maxBytes) throw tooLarge(maxBytes);
    return input;
  }
  if (input.byteLength > maxBytes) throw tooLarge(maxBytes);
  try {
    return utf8.decode(input);
  } catch {
    throw new AccordError('JSON_INVALID', 'not UTF-8');
  }
}

function tooLarge(maxBytes: number): AccordError {
  return new AccordError('BODY_TOO_LARGE', `over ${maxBytes} bytes`);
}

/**
 * Counts the object names written in `text` and enforces depth and number of values. The text need not be JSON: what
 * this pass makes of rubbish does not matter, because JSON.parse refuses it next; it only has to stay linear.
 */
function scan(text: string, maxDepth: number, maxValues: number): { names: number; escapedUnits: boolean } {
  const { length } = text;
  let depth = 0;
  let names = 0;
  let values = 1;
  let previous = 0;
  let escapedUnits = false;
  let slash = -1; // the next backslash, once it was looked for
  for (let i = 0; i < length; i++) {
    const char = text.charCodeAt(i);
    if (char <= 0x20) continue;
    if (char === 0x22) {
      // Most strings are shorter than what it costs to ask for their end.
      const near = i + SHORT_STRING;
      for (i++; i < length; i++) {
        const inner = text.charCodeAt(i);
        if (inner === 0x22) break;
        if (inner === 0x5c) {
          i++;
          escapedUnits ||= text.charCodeAt(i) === 0x75;
        } else if (i > near) {
          if (slash < i) slash = indexFrom(text, '\\', i);
          i = Math.min(slash, indexFrom(text, '"', i)) - 1;
        }
      }
    } else if (char === 0x7b || char === 0x5b) {
      if (++depth > maxDepth) throw new AccordError('JSON_TOO_DEEP', `over ${maxDepth} levels`);
      values++; // its first child; taken back below when it has none
    } else if (char === 0x7d || char === 0x5d) {
      depth--;
      if (previous === 0x7b || previous === 0x5b) values--;
    } else if (char === 0x2c) {
      values++;
      if (values > maxValues) break;
    } else if (char === 0x3a) {
      names++;
    }
    previous = char;
  }
  if (values > maxValues) throw new AccordError('JSON_TOO_MANY', `over ${maxValues} values`);
  return { names, escapedUnits };
}

const SHORT_STRING = 64;

/** The end of the text where it does not occur any more. */
function indexFrom(text: string, char: string, from: number): number {
  const at = text.indexOf(char, from);
  return at === -1 ? text.length : at;
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text);
  } catch {
    // V8's message quotes the text; what somebody sent does not belong into an answer or a log line.
    throw new AccordError('JSON_INVALID', 'syntax');
  }
}

/** Recursion is bounded by maxDepth, which was enforced before. */
function inspect(value: JsonValue, seen: { names: number; unsafeIntegers: boolean }, areWellFormed: boolean): void {
  if (typeof value === 'string') {
    if (!areWellFormed && !value.isWellFormed()) throw new AccordError('JSON_INVALID', 'a string has a lone surrogate');
  } else if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return;
    if (!Number.isFinite(value)) throw new AccordError('JSON_INVALID', 'a number is too large');
    if (Number.isInteger(value)) seen.unsafeIntegers = true;
  } else if (Array.isArray(value)) {
    for (const item of value) inspect(item, seen, areWellFormed);
  } else if (value !== null && typeof value === 'object') {
    // What was parsed has no members but its own.
    for (const name in value) {
      seen.names++;
      if (name === '__proto__') throw new AccordError('JSON_FORBIDDEN_NAME', '__proto__');
      if (!areWellFormed && !name.isWellFormed()) throw new AccordError('JSON_INVALID', 'a name has a lone surrogate');
      const member = value[name];
      if (member !== undefined) inspect(member, seen, areWellFormed);
    }
  }
}

/** The slow path, taken only when a whole number of 2^53 or more occurs: 1e22 is a real, 10000000000000000 is not safe. */
function refuseUnsafeIntegers(text: string): void {
  const reviver = (_name: string, value: unknown, context?: { source?: string }): unknown => {
    const unsafe = typeof value === 'number' && !Number.isSafeInteger(value);
    if (unsafe && /^-?[0-9]+$/.test(context?.source ?? '')) {
      throw new AccordError('JSON_INVALID', 'an integer is outside ±(2^53 - 1)');
    }
    return value;
  };
  JSON.parse(text, reviver);
}
