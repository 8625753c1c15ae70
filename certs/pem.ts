// Reads certificates from PEM text (RFC 7468), strictly: only CERTIFICATE blocks, canonical base64.
// Text between blocks is allowed, because openssl writes it. An administrator's file or a configuration; capped anyway.
import { AccordError } from '#schemas/problems.ts';
import { MAX_PEM_CERTIFICATES, MAX_PEM_CHARACTERS } from './path-limits.ts';

const BEGIN = '-----BEGIN CERTIFICATE-----';
const END = '-----END CERTIFICATE-----';

/**
 * The DER of every certificate in `text`, in order; at least one.
 * @throws PEM_INVALID when there is none, a block of another kind (a private key, say), or anything malformed
 */
export function pemCertificates(text: string): Buffer[] {
  if (text.length > MAX_PEM_CHARACTERS) throw new AccordError('PEM_INVALID', 'the text is larger than the limit');
  const found: Buffer[] = [];
  let block: string[] | undefined;
  for (const line of text.split(/\r?\n/)) {
    if (block === undefined) {
      if (line === BEGIN) block = [];
      else if (line.startsWith('-----')) throw new AccordError('PEM_INVALID', `only ${BEGIN} is expected`);
    } else if (line === END) {
      if (found.length >= MAX_PEM_CERTIFICATES) throw new AccordError('PEM_INVALID', 'too many certificates');
      found.push(decodeBlock(block));
      block = undefined;
    } else block.push(line);
  }
  if (block !== undefined) throw new AccordError('PEM_INVALID', 'a block without its end');
  if (found.length === 0) throw new AccordError('PEM_INVALID', 'no certificate');
  return found;
}

// Lines may have any length up to 76 (RFC 7468 section 3 makes 64, older tools others); what they spell together has one
// form. Re-encoding refuses white space, spare bits and odd padding.
function decodeBlock(lines: string[]): Buffer {
  const text = lines.join('');
  const der = Buffer.from(text, 'base64');
  if (lines.some((line) => line.length > 76) || der.length === 0 || der.toString('base64') !== text) {
    throw new AccordError('PEM_INVALID', 'a block that is not base64 in lines of at most 76 characters');
  }
  return der;
}
