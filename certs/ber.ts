// From BER to DER (X.690 sections 8 and 10), as far as time-stamp authorities need it: their software writes CMS with
// indefinite lengths, padded lengths and octet strings in pieces (RFC 5652 allows BER everywhere but in what is signed).
// What is rewritten has the same meaning; all other readers here then see one spelling. Whoever answers controls the
// bytes: the caller caps their number, the depth is capped here.
import { derError, TAG } from './der.ts';
import { derOf } from './der-write.ts';

const CONSTRUCTED = 0x20;
const CONSTRUCTED_OCTETS = TAG.OCTET_STRING | CONSTRUCTED;
/** A time-stamp token is 12 values deep, the certificates in it 7 more. */
const MAX_DEPTH = 32;

/**
 * The same value with definite lengths in the fewest octets and whole octet strings. DER comes back as it was, save that
 * what stands inside primitive values is not looked at.
 * @throws DER_INVALID when it is not exactly one value, or nested too deep
 */
export function derOfBer(bytes: Uint8Array): Buffer {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { der, end } = rewrite(source, 0, 0);
  if (end !== source.length) throw derError('bytes behind the value');
  return der;
}

interface Rewritten {
  der: Buffer;
  /** Where the next value begins. */
  end: number;
}

function rewrite(source: Buffer, start: number, depth: number): Rewritten {
  if (depth > MAX_DEPTH) throw derError('nested too deep');
  const tag = octetAt(source, start);
  if ((tag & 0x1f) === 0x1f) throw derError('a tag number above 30');
  if (tag === 0) throw derError('an end of contents where nothing was open');
  const { length, begin } = lengthAt(source, start + 1);
  if ((tag & CONSTRUCTED) === 0) {
    if (length === undefined) throw derError('a primitive value of indefinite length');
    const end = within(source, begin, length);
    return { der: derOf(tag, source.subarray(begin, end)), end };
  }
  const { parts, end } = contents(source, begin, length, depth);
  if (tag === CONSTRUCTED_OCTETS) return { der: derOf(TAG.OCTET_STRING, ...parts.map(piece)), end };
  return { der: derOf(tag, ...parts), end };
}

/** The values in a constructed one; of indefinite length until the two octets of its end (X.690 8.1.5). */
function contents(source: Buffer, begin: number, length: number | undefined, depth: number) {
  const limit = length === undefined ? source.length : within(source, begin, length);
  const parts: Buffer[] = [];
  let at = begin;
  for (;;) {
    if (length === undefined && octetAt(source, at) === 0) {
      if (octetAt(source, at + 1) !== 0) throw derError('an end of contents with a length');
      return { parts, end: at + 2 };
    }
    if (length !== undefined && at === limit) return { parts, end: at };
    const { der, end } = rewrite(source, at, depth + 1);
    if (end > limit) throw derError('a value ends after its container');
    parts.push(der);
    at = end;
  }
}

/** X.690 8.7.3: the pieces of an octet string are octet strings, here rewritten already. */
function piece(der: Buffer): Buffer {
  if (der[0] !== TAG.OCTET_STRING) throw derError('an octet string of other pieces');
  return der.subarray(lengthAt(der, 1).begin);
}

function lengthAt(source: Buffer, at: number): { length: number | undefined; begin: number } {
  const first = octetAt(source, at);
  if (first < 0x80) return { length: first, begin: at + 1 };
  if (first === 0x80) return { length: undefined, begin: at + 1 };
  const octets = first & 0x7f;
  if (octets > 8) throw derError('an overlong length');
  let length = 0;
  for (let i = 1; i <= octets; i += 1) length = length * 256 + octetAt(source, at + i);
  return { length, begin: at + 1 + octets };
}

function within(source: Buffer, begin: number, length: number): number {
  if (begin + length > source.length) throw derError('cut short');
  return begin + length;
}

function octetAt(source: Buffer, at: number): number {
  const octet = source[at];
  if (octet === undefined) throw derError('cut short');
  return octet;
}
