// Reads certificates and revocation lists from PEM text (RFC 7468), strictly: no other blocks, canonical base64.
// Text between blocks is allowed, because openssl writes it. An administrator's file or a configuration; capped anyway.
import { AccordError } from '#schemas/problems.ts';
import { MAX_PEM_CERTIFICATES, MAX_PEM_CHARACTERS } from './path-limits.ts';

const KINDS = ['CERTIFICATE', 'X509 CRL'] as const;
type Kind = (typeof KINDS)[number];

/**
 * The DER of every certificate in `text`, in order; at least one.
 * @throws PEM_INVALID when there is none, a block of another kind (a private key, say), or anything malformed
 */
export function pemCertificates(text: string): Buffer[] {
  return pemBlocks(text, ['CERTIFICATE'])['CERTIFICATE'];
}

/** Certificates, at least one, and revocation lists, in any order. @throws PEM_INVALID as above */
export function pemCertificatesAndLists(text: string): { certificates: Buffer[]; crls: Buffer[] } {
  const found = pemBlocks(text, KINDS);
  return { certificates: found['CERTIFICATE'], crls: found['X509 CRL'] };
}

function pemBlocks(text: string, allowed: readonly Kind[]): Record<Kind, Buffer[]> {
  if (text.length > MAX_PEM_CHARACTERS) throw new AccordError('PEM_INVALID', 'the text is larger than the limit');
  const found: Record<Kind, Buffer[]> = { CERTIFICATE: [], 'X509 CRL': [] };
  let block: { kind: Kind; lines: string[] } | undefined;
  for (const line of text.split(/\r?\n/)) {
    if (block === undefined) {
      const kind = allowed.find((one) => line === `-----BEGIN ${one}-----`);
      if (kind !== undefined) block = { kind, lines: [] };
      else if (line.startsWith('-----')) {
        throw new AccordError('PEM_INVALID', `only ${allowed.map((one) => `BEGIN ${one}`).join(' and ')} is expected`);
      }
    } else if (line === `-----END ${block.kind}-----`) {
      if (found[block.kind].length >= MAX_PEM_CERTIFICATES) throw new AccordError('PEM_INVALID', 'too many blocks');
      found[block.kind].push(decodeBlock(block.lines));
      block = undefined;
    } else block.lines.push(line);
  }
  if (block !== undefined) throw new AccordError('PEM_INVALID', 'a block without its end');
  if (found['CERTIFICATE'].length === 0) throw new AccordError('PEM_INVALID', 'no certificate');
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
