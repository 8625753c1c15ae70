// API keys as bearer tokens (RFC 6750): only SHA-256 hashes are kept, compared in constant time. Whoever reaches the
// port controls the header.
import { createHash, timingSafeEqual } from 'node:crypto';
import { AccordError } from '#schemas/problems.ts';

export interface HashedKey<R extends string> {
  /** SHA-256 of the key's text, base64url. */
  hash: string;
  role: R;
  name: string;
}

/** The key that `authorization` shows. @throws API_KEY_REQUIRED */
export function keyOfBearer<R extends string>(
  authorization: string | undefined,
  keys: readonly HashedKey<R>[],
): HashedKey<R> {
  const token = /^Bearer ([A-Za-z0-9_-]{20,200})$/.exec(authorization ?? '')?.[1];
  if (token === undefined) throw new AccordError('API_KEY_REQUIRED');
  const shown = createHash('sha256').update(token).digest();
  const found = keys.find((key) => {
    const known = Buffer.from(key.hash, 'base64url');
    return known.length === shown.length && timingSafeEqual(known, shown);
  });
  if (found === undefined) throw new AccordError('API_KEY_REQUIRED', 'the key is not known here');
  return found;
}
