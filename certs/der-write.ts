// Writes DER (X.690 sections 8 and 10): the few types that time-stamp requests and tokens are made of. Its inputs are our
// own values; what comes from others is read with der.ts.
import { TAG } from './der.ts';

/** One value: tag in its one-octet form, contents in parts. */
export function derOf(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body]);
  const length = octetsOf(BigInt(body.length));
  return Buffer.concat([Buffer.of(tag, 0x80 | length.length), length, body]);
}

export function derSequence(...parts: readonly Uint8Array[]): Buffer {
  return derOf(TAG.SEQUENCE, ...parts);
}

/** A SET OF: ascending by encoding (X.690 11.6). */
export function derSetOf(tag: number, parts: readonly Uint8Array[]): Buffer {
  return derOf(tag, ...parts.toSorted(Buffer.compare));
}

/** An integer that is not negative: a number, or its magnitude in octets, big-endian. */
export function derInteger(value: number | Uint8Array): Buffer {
  const magnitude =
    typeof value === 'number' ? BigInt(value) : BigInt(`0x${Buffer.from(value).toString('hex') || '0'}`);
  if (magnitude < 0n) throw new TypeError('a negative integer');
  const octets = octetsOf(magnitude);
  return derOf(TAG.INTEGER, (octets[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), octets]) : octets);
}

/** An object identifier in dotted decimals. */
export function derOid(dotted: string): Buffer {
  const [root = 0n, branch = 0n, ...rest] = dotted.split('.').map(BigInt);
  const octets = [root * 40n + branch, ...rest].flatMap((arc) => {
    const out = [Number(arc % 128n)];
    for (let left = arc / 128n; left > 0n; left /= 128n) out.unshift(Number(left % 128n) | 0x80);
    return out;
  });
  return derOf(TAG.OID, Buffer.from(octets));
}

function octetsOf(magnitude: bigint): Buffer {
  const hex = magnitude.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}
