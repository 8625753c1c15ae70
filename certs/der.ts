// A strict reader of DER (X.690 sections 8, 10 and 11), just the types that certificates and CRLs use. One value has
// one encoding: indefinite or padded lengths, padded integers, lax booleans and trailing bytes are refused, because a
// second spelling of a certificate would have another hash and could hide what another reader sees.
//
// The bytes come from peers. Nothing here recurses: a schema decides what is opened, so nesting costs nothing.
import { AccordError } from '#schemas/problems.ts';

/** Tags in their one-octet identifier form, constructed bit included. */
export const TAG = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OID: 0x06,
  ENUMERATED: 0x0a,
  UTF8_STRING: 0x0c,
  SEQUENCE: 0x30,
  SET: 0x31,
  PRINTABLE_STRING: 0x13,
  IA5_STRING: 0x16,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
} as const;

/** One encoded value: `raw` is the whole encoding, `body` the contents. Both are views on the input. */
export interface DerValue {
  tag: number;
  raw: Buffer;
  body: Buffer;
}

export function derError(detail: string): AccordError {
  return new AccordError('DER_INVALID', detail);
}

/** Reads the values of one constructed encoding in order. Every method throws DER_INVALID. */
export class DerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The tag of the next value, or -1 at the end. */
  peek(): number {
    return this.#bytes[this.#at] ?? -1;
  }

  next(): DerValue {
    const start = this.#at;
    const tag = this.#octet();
    if ((tag & 0x1f) === 0x1f) throw derError('a tag number above 30');
    const length = this.#length();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw derError('a value ends after its container');
    const value = { tag, raw: this.#bytes.subarray(start, end), body: this.#bytes.subarray(this.#at, end) };
    this.#at = end;
    return value;
  }

  /** The next value, which must have this tag. `what` names it in the error. */
  take(tag: number, what: string): DerValue {
    const value = this.next();
    if (value.tag !== tag) throw derError(`${what}: tag 0x${value.tag.toString(16)}`);
    return value;
  }

  /** The next value when it has this tag. */
  maybe(tag: number): DerValue | undefined {
    return this.peek() === tag ? this.next() : undefined;
  }

  /** A reader of the contents of the next value, which must have this tag. */
  open(tag: number, what: string): DerReader {
    return new DerReader(this.take(tag, what).body);
  }

  end(what: string): void {
    if (!this.done) throw derError(`${what}: more than expected`);
  }

  #octet(): number {
    const octet = this.#bytes[this.#at];
    if (octet === undefined) throw derError('cut short');
    this.#at += 1;
    return octet;
  }

  // X.690 10.1: definite form, fewest octets. Four octets of length are more than any limit allows.
  #length(): number {
    const first = this.#octet();
    if (first < 0x80) return first;
    const octets = first & 0x7f;
    if (octets === 0 || octets > 4) throw derError('an indefinite or overlong length');
    let length = 0;
    for (let i = 0; i < octets; i += 1) length = length * 256 + this.#octet();
    if (length < 0x80 || length < 256 ** (octets - 1)) throw derError('a length in more octets than needed');
    return length;
  }
}

/** A reader of one whole encoding: exactly one value with this tag and nothing after it. */
export function openDer(bytes: Uint8Array, tag: number, what: string): DerReader {
  const outer = new DerReader(bytes);
  const inner = outer.open(tag, what);
  outer.end(what);
  return inner;
}

/** X.690 11.1: a boolean is 0x00 or 0xff. */
export function readBoolean(value: DerValue): boolean {
  const octet = value.body[0];
  if (value.body.length !== 1 || (octet !== 0 && octet !== 0xff)) throw derError('a boolean that is not 00 or ff');
  return octet === 0xff;
}

/** The content octets of an integer, two's complement, in the fewest octets (X.690 8.3.2). */
export function readInteger(value: DerValue): Buffer {
  const [first, second] = value.body;
  if (first === undefined) throw derError('an empty integer');
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw derError('an integer in more octets than needed');
  }
  return value.body;
}

/** A small integer from 0 to 2^31 - 1. */
export function readSmallInteger(value: DerValue): number {
  const octets = readInteger(value);
  if (octets.length > 4 || (octets[0] ?? 0) >= 0x80) throw derError('an integer out of range');
  return octets.readUIntBE(0, octets.length);
}

/** An object identifier as dotted decimals (X.690 8.19). */
export function readOid(value: DerValue): string {
  const { body } = value;
  if (body.length === 0 || body.length > 64) throw derError('an object identifier of this length');
  const arcs: bigint[] = [];
  let arc = 0n;
  let fresh = true;
  for (const octet of body) {
    if (fresh && octet === 0x80) throw derError('an arc in more octets than needed');
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    fresh = octet < 0x80;
    if (!fresh) continue;
    arcs.push(arc);
    arc = 0n;
  }
  if (!fresh) throw derError('an object identifier cut short');
  const [root = 0n, ...rest] = arcs;
  const top = root < 80n ? root / 40n : 2n;
  return [top, root - top * 40n, ...rest].join('.');
}

/** The octets of a bit string that must be whole octets (keys, signatures). */
export function readWholeBits(value: DerValue): Buffer {
  if (value.body[0] !== 0) throw derError('a bit string with unused bits');
  return value.body.subarray(1);
}

/** A named bit list of at most 16 bits (X.690 11.2.2: no trailing zero bits); bit n of the result is named bit n. */
export function readNamedBits(value: DerValue): number {
  const [unused, ...octets] = value.body;
  const last = octets.at(-1);
  if (unused === undefined || unused > 7 || octets.length > 2) throw derError('a named bit list of this length');
  if (last === undefined) {
    if (unused !== 0) throw derError('unused bits in an empty bit list');
    return 0;
  }
  if ((last & ((1 << unused) - 1)) !== 0 || ((last >> unused) & 1) === 0) throw derError('a bit list with spare bits');
  let bits = 0;
  octets.forEach((octet, at) => {
    for (let bit = 0; bit < 8; bit += 1) if ((octet & (0x80 >> bit)) !== 0) bits |= 1 << (at * 8 + bit);
  });
  return bits;
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

/**
 * A time in whole seconds since the Unix epoch (RFC 5280 4.1.2.5: Zulu, with seconds, without fractions). A
 * GeneralizedTime before 2050 is accepted, although writers should not make it: it has one meaning.
 */
export function readTime(value: DerValue): number {
  const text = value.body.toString('latin1');
  const utc = value.tag === TAG.UTC_TIME;
  if (!utc && value.tag !== TAG.GENERALIZED_TIME) throw derError('a time of another type');
  const found = (utc ? UTC_TIME : GENERALIZED_TIME).exec(text);
  if (found === null) throw derError('a time in another form than Zulu with seconds');
  const [, year = '', month, day, hour, minute, second] = found;
  // RFC 5280 4.1.2.5.1: two-digit years of 50 and more belong to the twentieth century.
  const fullYear = utc ? `${Number(year) >= 50 ? '19' : '20'}${year}` : year;
  const iso = `${fullYear}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const atMs = Date.parse(iso);
  // Date.parse carries 31 April over into May in some forms; only a time that prints as itself was one.
  if (!Number.isFinite(atMs) || new Date(atMs).toISOString() !== iso) throw derError('a time that does not exist');
  return atMs / 1000;
}
