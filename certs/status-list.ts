// Token Status List (draft-ietf-oauth-status-list, sections 4 and 5.1): what became of each receipt, two bits per entry,
// signed by the consent service and served as a static file. Entry i of a list with b bits stands in byte ⌊i·b/8⌋, the
// first entry of a byte in its lowest bits; the bytes are compressed with ZLIB (RFC 1950) and written in base64url.
//
// Anybody between the consent service and the reader controls the text until its signature is verified, and the signature
// comes before anything is inflated; still nothing is inflated beyond the size of the longest list.
import { deflateSync, inflateSync } from 'node:zlib';
import { base64url, fromBase64url } from '#schemas/base64url.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_STATUS_ENTRIES, MAX_STATUS_LIST_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import { parseCompact, signCompact } from './jws.ts';
import { type NamedKey, type RegisteredKey, verifiedBy } from './registered-key.ts';

/** Bits of one entry. Accord's own lists have 2; the draft knows the others. */
export type StatusBits = 1 | 2 | 4 | 8;

const STATUS_LIST_TYP = 'statuslist+jwt';
const BITS = 2;
const closed = { additionalProperties: false };
const Seconds = Type.Integer({ minimum: 0, maximum: 99_999_999_999 });

/** Section 5.1. `exp` and `ttl`, optional there, are demanded here; so are their absence of company. */
const StatusListClaims = Type.Object(
  {
    /** The URI of this very list. */
    sub: Type.String({ minLength: 1, maxLength: 512 }),
    iat: Seconds,
    exp: Seconds,
    /** Seconds after which a reader should ask again. */
    ttl: Type.Integer({ minimum: 1, maximum: 86_400 }),
    status_list: Type.Object({ bits: Type.Literal(BITS), lst: Type.String({ minLength: 1 }) }, closed),
  },
  closed,
);
const check: (value: unknown) => Static<typeof StatusListClaims> = compile(StatusListClaims, 'STATUS_LIST_REFUSED');

/**
 * @param values one status per byte, each below 2^bits; the last byte of the list is filled up with zeros
 * @returns the `lst` member: base64url of the compressed list
 * @throws TypeError for a value that does not fit, for no entry and for more than 4,194,304
 */
export function packStatuses(bits: StatusBits, values: Uint8Array): string {
  if (values.length === 0 || values.length > MAX_STATUS_ENTRIES)
    throw new TypeError('a status list has 1 to 2^22 entries');
  const perByte = 8 / bits;
  const packed = Buffer.alloc(Math.ceil(values.length / perByte));
  for (let idx = 0; idx < values.length; idx++) {
    const value = values[idx] ?? 0;
    if (value >= 2 ** bits) throw new TypeError(`the status at ${idx} does not fit ${bits} bits`);
    if (value === 0) continue;
    const at = Math.floor(idx / perByte);
    packed[at] = (packed[at] ?? 0) | (value << ((idx % perByte) * bits));
  }
  return base64url(deflateSync(packed, { level: 9 }));
}

/**
 * @param maxEntries never more than the bytes of so many entries are inflated
 * @returns one status per byte; as many as the list's bytes hold, so up to 8/bits - 1 more than were packed
 * @throws STATUS_LIST_REFUSED for another encoding, a broken or too long list, or bytes behind it
 */
export function unpackStatuses(bits: StatusBits, lst: string, maxEntries: number): Uint8Array {
  const packed = inflate(lst, Math.ceil((maxEntries * bits) / 8));
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  const values = new Uint8Array(packed.length * perByte);
  for (let at = 0; at < packed.length; at++) {
    const byte = packed[at] ?? 0;
    if (byte === 0) continue;
    for (let place = 0; place < perByte; place++) values[at * perByte + place] = (byte >> (place * bits)) & mask;
  }
  return values;
}

/** The status of one entry. @throws STATUS_LIST_REFUSED when the list does not reach so far (section 8.3) */
export function statusAt(list: Uint8Array, idx: number): number {
  const status = list[idx];
  if (status === undefined) throw new AccordError('STATUS_LIST_REFUSED', 'the list has no such entry');
  return status;
}

/** What a status list token says besides its statuses. */
export interface StatusListOrder {
  /** Where the list is served; receipts name it, and readers compare it. */
  uri: string;
  /** Written in whole seconds, cut off: the list never looks younger than it is. */
  iatMs: number;
  expMs: number;
  ttlS: number;
  /** Of `packStatuses(2, …)`. */
  lst: string;
}

/**
 * Signs a list with a P-256 key of the consent service.
 * @returns compact JWS of type `statuslist+jwt`
 * @throws STATUS_LIST_REFUSED when the claims are out of bounds or the token too large for its readers
 */
export function signStatusList(
  { uri, iatMs, expMs, ttlS, lst }: StatusListOrder,
  { kid, privateKey }: NamedKey,
): string {
  const [iat, exp] = [Math.floor(iatMs / 1000), Math.floor(expMs / 1000)];
  const claims = check({ sub: uri, iat, exp, ttl: ttlS, status_list: { bits: BITS, lst } });
  const payload = Buffer.from(JSON.stringify(claims));
  const text = signCompact(payload, { typ: STATUS_LIST_TYP, kid }, { alg: 'ES256', key: privateKey });
  if (text.length > MAX_STATUS_LIST_BYTES) throw new AccordError('STATUS_LIST_REFUSED', 'too large');
  return text;
}

/** A verified list. */
export interface StatusList {
  iatMs: number;
  expMs: number;
  /** After this long a reader should ask again. */
  ttlMs: number;
  /** The key that signed it. */
  kid: string;
  /** One status per byte. */
  statuses: Uint8Array;
}

/**
 * Verifies a list and unpacks it (section 8.3, without the steps that need a clock: whether it is young enough is the
 * caller's judgement).
 * @param keys of the one consent service that this list must come from
 * @param uri where it was fetched, and what receipts call it
 * @throws STATUS_LIST_REFUSED
 */
export function readStatusList(text: string, keys: readonly RegisteredKey[], uri: string): StatusList {
  try {
    const { kid, payload } = verifiedPayload(text, keys);
    const limits = { maxBytes: MAX_STATUS_LIST_BYTES, maxDepth: 2, maxValues: 16 };
    const { sub, iat, exp, ttl, status_list: list } = check(parseJson(payload, limits));
    if (sub !== uri) throw new AccordError('STATUS_LIST_REFUSED', 'the list is another one');
    if (exp <= iat) throw new AccordError('STATUS_LIST_REFUSED', 'the list ends before it begins');
    const statuses = unpackStatuses(list.bits, list.lst, MAX_STATUS_ENTRIES);
    return { iatMs: iat * 1000, expMs: exp * 1000, ttlMs: ttl * 1000, kid, statuses };
  } catch (error) {
    if (!isAccordError(error) || error.code === 'STATUS_LIST_REFUSED') throw error;
    throw new AccordError('STATUS_LIST_REFUSED', error.code, { cause: error });
  }
}

function verifiedPayload(text: string, keys: readonly RegisteredKey[]): { kid: string; payload: Buffer } {
  const parsed = parseCompact(text, {
    algorithms: ['ES256'],
    typ: STATUS_LIST_TYP,
    headers: ['alg', 'typ', 'kid'],
    maxBytes: MAX_STATUS_LIST_BYTES,
  });
  const kid = parsed.header['kid'];
  if (typeof kid !== 'string' || !verifiedBy(parsed, kid, keys)) {
    throw new AccordError('STATUS_LIST_REFUSED', 'no registered key of the consent service signed it');
  }
  return { kid, payload: parsed.payload };
}

/** Never more than `maxBytes`; and the stream is the whole of the text. */
function inflate(lst: string, maxBytes: number): Buffer {
  try {
    const compressed = fromBase64url(lst);
    // With `info` Node returns the engine as well, which its types do not say.
    const { buffer, engine } = inflateSync(compressed, { maxOutputLength: maxBytes, info: true }) as unknown as {
      buffer: Buffer;
      engine: { bytesWritten: number };
    };
    if (engine.bytesWritten !== compressed.length)
      throw new AccordError('STATUS_LIST_REFUSED', 'bytes behind the list');
    return buffer;
  } catch (error) {
    if (isAccordError(error, 'STATUS_LIST_REFUSED')) throw error;
    throw new AccordError('STATUS_LIST_REFUSED', 'cannot be unpacked', { cause: error });
  }
}
