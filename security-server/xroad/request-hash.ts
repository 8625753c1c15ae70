// X-Road-Request-Hash (PR-REST 4.4): what a caller compares to know that the answer belongs to what it sent. SHA-512 over the
// head as it was received, combined with the body's when there is one. Context, not evidence: what is signed is the
// statement. Header values are hashed as the bytes that came: who wrote UTF-8 into them hashes UTF-8.
import { createHash } from 'node:crypto';

/** Name and value as they came, in their order; each character is one byte (latin1). */
export type RawHeaders = readonly (readonly [string, string])[];

export interface HashedRequest {
  method: string;
  /** Path and query as they came, beginning with /r1/. */
  target: string;
  /** What is left after the drops of the protocol; then `x-road-request-id`, and `x-road-id` if the server made it. */
  headers: RawHeaders;
  /** SHA-512 of the body; null when there is none. */
  bodyHash: Buffer | null;
}

/** Base64 of SHA-512. */
export function requestHash({ method, target, headers, bodyHash }: HashedRequest): string {
  const lines = [method, target, ...headers.map(([name, value]) => `${name}:${value}`)];
  const head = createHash('sha512')
    .update(lines.map((line) => `${line}\r\n`).join(''), 'latin1')
    .digest();
  if (bodyHash === null) return head.toString('base64');
  return createHash('sha512').update(head).update(bodyHash).digest('base64');
}
