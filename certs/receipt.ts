// Receipts as compact JWS (DESIGN: who may ask for what, Consent; RFC 7515): made by the consent service, read by the
// provider's server on the way of each request under consent. The asking department carries the text and may have written
// all of it; nothing in it is believed before `verifyReceipt` said that a registered key of the consent service signed it.
//
// One receipt has one text: the form is checked before anything else (jws.ts), so that its hash is its identity.
import type { JsonValue } from '#schemas/json.ts';
import { MAX_RECEIPT_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { parseReceipt, RECEIPT_TYP, type Receipt } from '#schemas/receipt.ts';
import { jwsHash, type ParsedJws, parseCompact, signCompact } from './jws.ts';
import { type NamedKey, type RegisteredKey, verifiedBy } from './registered-key.ts';

/** Exactly these, in this order. */
const HEADERS: readonly string[] = ['alg', 'typ', 'kid'];

/**
 * Signs a receipt with a P-256 key of the consent service.
 * @returns compact JWS, at most 24 KiB; its header is exactly `alg`, `typ`, `kid`
 * @throws RECEIPT_MALFORMED when the receipt is not one, or too large: nothing is signed that nobody could read
 */
export function signReceipt(receipt: Receipt, { kid, privateKey }: NamedKey): string {
  const payload = Buffer.from(JSON.stringify(receipt));
  readPayload(payload);
  const text = signCompact(payload, { typ: RECEIPT_TYP, kid }, { alg: 'ES256', key: privateKey });
  if (text.length > MAX_RECEIPT_BYTES) throw new AccordError('RECEIPT_MALFORMED', 'too large');
  return text;
}

/**
 * What a text says that claims to be a receipt; says nothing about who made it.
 * @returns `hash` is SHA-256 of the exact text, base64url
 * @throws RECEIPT_MALFORMED, JWS_MALFORMED, JWS_HEADER_REFUSED, JWS_ALGORITHM_REFUSED
 */
export function readReceipt(text: string): { receipt: Receipt; kid: string; hash: string } {
  const { kid, parsed } = readForm(text);
  return { receipt: readPayload(parsed.payload), kid, hash: jwsHash(text) };
}

/**
 * True when one of `keys`, the consent service's keys in the global configuration, signed exactly this text.
 * @throws JWS_MALFORMED, JWS_HEADER_REFUSED, JWS_ALGORITHM_REFUSED
 */
export function verifyReceipt(text: string, keys: readonly RegisteredKey[]): boolean {
  const { kid, parsed } = readForm(text);
  return verifiedBy(parsed, kid, keys);
}

function readForm(text: string): { parsed: ParsedJws; kid: string } {
  const parsed = parseCompact(text, {
    algorithms: ['ES256'],
    typ: RECEIPT_TYP,
    headers: HEADERS,
    maxBytes: MAX_RECEIPT_BYTES,
  });
  const kid: JsonValue | undefined = parsed.header['kid'];
  if (typeof kid !== 'string') throw new AccordError('JWS_HEADER_REFUSED', 'no key id');
  return { parsed, kid };
}

function readPayload(payload: Uint8Array): Receipt {
  try {
    return parseReceipt(payload);
  } catch (error) {
    throw new AccordError('RECEIPT_MALFORMED', '', { cause: error });
  }
}
