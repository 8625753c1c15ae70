// The two encodings of an ECDSA signature: r‖s as JWS carries it (RFC 7518 section 3.4), and the DER sequence that
// node:crypto makes and checks for a bare KeyObject (asking it for r‖s takes a slow path, three to four times the time).
//
// Whoever holds a signature (r, s) can write a second valid one, (r, n - s), without the key. A hash of a signature is
// an identity only if one of them does not exist: we make and accept only the low one, s ≤ (n - 1) / 2. Signers outside
// Accord do not keep this rule, so a reader of foreign tokens may lift it for them, and only for them.

interface CurveOrder {
  /** Bytes of r and of s. */
  size: number;
  /** The order n of the group, and (n - 1) / 2; big-endian. */
  order: Buffer;
  half: Buffer;
}

const ORDERS: Readonly<Record<'prime256v1' | 'secp384r1', CurveOrder>> = {
  prime256v1: curve('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'),
  secp384r1: curve('ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973'),
};

export type EcdsaCurve = keyof typeof ORDERS;

/** True when r and s are in range and s is low (any s < n when `allowHighS`); `raw` must have its exact length. */
export function isCanonicalRaw(raw: Uint8Array, curveName: EcdsaCurve, allowHighS = false): boolean {
  const { size, order, half } = ORDERS[curveName];
  if (raw.length !== 2 * size) return false;
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  const r = bytes.subarray(0, size);
  const s = bytes.subarray(size);
  if (isZero(r) || isZero(s) || r.compare(order) >= 0) return false;
  return allowHighS ? s.compare(order) < 0 : s.compare(half) <= 0;
}

/** DER for node:crypto, from r‖s of the exact length. @throws TypeError on another length */
export function rawToDer(raw: Uint8Array, curveName: EcdsaCurve): Buffer {
  const { size } = ORDERS[curveName];
  if (raw.length !== 2 * size) throw new TypeError(`a raw ${curveName} signature has ${2 * size} bytes`);
  const r = integer(raw.subarray(0, size));
  const s = integer(raw.subarray(size));
  // At most 2 + 49 bytes each: the sequence's length fits the short form on both curves.
  return Buffer.concat([Buffer.from([0x30, r.length + s.length]), r, s]);
}

/**
 * r‖s with low s, from strict DER.
 * @throws TypeError when `der` is not the one DER encoding of two positive integers: our own library made it, so that
 *   anything else is a defect and not input
 */
export function derToLowRaw(der: Uint8Array, curveName: EcdsaCurve): Buffer {
  const { size, order, half } = ORDERS[curveName];
  const raw = Buffer.alloc(2 * size);
  if (der[0] !== 0x30 || der[1] !== der.length - 2 || der.length > 0x7f) throw notDer();
  const afterR = readInteger(der, 2, raw.subarray(0, size));
  const afterS = readInteger(der, afterR, raw.subarray(size));
  if (afterS !== der.length) throw notDer();
  const s = raw.subarray(size);
  if (s.compare(half) > 0) subtractFrom(order, s);
  return raw;
}

/** Copies the INTEGER at `at` right-aligned into `into`; returns the index after it. */
function readInteger(der: Uint8Array, at: number, into: Buffer): number {
  const length = der[at + 1] ?? 0;
  const end = at + 2 + length;
  if (der[at] !== 0x02 || length === 0 || end > der.length) throw notDer();
  const content = der.subarray(at + 2, end);
  const first = content[0] ?? 0;
  if (first >= 0x80) throw notDer(); // negative
  if (first === 0 && (content[1] ?? 0) < 0x80) throw notDer(); // a zero that is not needed, or the value 0
  const digits = first === 0 ? content.subarray(1) : content;
  if (digits.length > into.length) throw notDer();
  into.set(digits, into.length - digits.length);
  return end;
}

function integer(digits: Uint8Array): Buffer {
  let from = 0;
  while (from < digits.length - 1 && digits[from] === 0) from++;
  const content = digits.subarray(from);
  const sign = (content[0] ?? 0) >= 0x80 ? [0] : [];
  return Buffer.concat([Buffer.from([0x02, content.length + sign.length, ...sign]), content]);
}

/** value := order - value, big-endian, in place; value < order. */
function subtractFrom(order: Buffer, value: Buffer): void {
  let borrow = 0;
  for (let i = value.length - 1; i >= 0; i--) {
    const difference = (order[i] ?? 0) - (value[i] ?? 0) - borrow;
    value[i] = difference & 0xff;
    borrow = difference < 0 ? 1 : 0;
  }
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

function curve(orderHex: string): CurveOrder {
  const order = Buffer.from(orderHex, 'hex');
  const half = Buffer.from(((BigInt(`0x${orderHex}`) - 1n) / 2n).toString(16).padStart(orderHex.length, '0'), 'hex');
  return { size: order.length, order, half };
}

function notDer(): TypeError {
  return new TypeError('not a DER-encoded ECDSA signature');
}
