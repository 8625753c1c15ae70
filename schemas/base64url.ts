// base64url (RFC 4648 section 5) in its one canonical form: no padding, no white space, spare bits zero. Decoders that
// forgive give one value several spellings, and a hash of a spelling is then no identity.
import { AccordError } from './problems.ts';

const ALPHABET = /^[A-Za-z0-9_-]*$/;

/** Encodes bytes as unpadded base64url. */
export function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/** Decodes canonical base64url. @throws ENCODING_NOT_CANONICAL when `text` (whoever sent it) has another spelling. */
export function fromBase64url(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') === text) return bytes;
  const detail = ALPHABET.test(text) ? 'spare bits or length' : 'not the base64url alphabet';
  throw new AccordError('ENCODING_NOT_CANONICAL', detail);
}
