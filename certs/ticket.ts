// Tickets: a channel secret wrapped to the receiver's encryption key (DESIGN: what is sealed). One ticket serves all
// messages of one sending process to one receiver for ten minutes; it is sent with each of them, so a receiver keeps no
// state it could lose. The sender controls the JWE; its header has exactly the members compared here.
import { type KeyObject, randomBytes } from 'node:crypto';
import { MAX_TICKET_BYTES, TICKET_LIFETIME_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { sha256 } from './commitment.ts';
import { decryptCompact, encryptCompact } from './jwe.ts';

const TICKET_TYP = 'accord-ticket+jwe';
const SECRET_BYTES = 32;

export interface Ticket {
  /** The compact JWE as it is sent. */
  jwe: string;
  /** SHA-256 of the exact JWE, base64url. */
  hash: string;
  /** 32 bytes; never stored. */
  secret: Buffer;
  from: string;
  to: string;
  expiresAtMs: number;
}

/** Makes a ticket from `from` to the holder of `recipient`, whose key id is `kid`. */
export async function makeTicket(
  from: string,
  to: string,
  recipient: { kid: string; key: KeyObject },
  nowMs: number,
): Promise<Ticket> {
  const secret = randomBytes(SECRET_BYTES);
  const expSeconds = Math.floor((nowMs + TICKET_LIFETIME_MS) / 1000);
  const header = { typ: TICKET_TYP, kid: recipient.kid, apu: Buffer.from(from), apv: Buffer.from(to), expSeconds };
  const jwe = await encryptCompact(secret, header, recipient.key);
  return { jwe, hash: sha256(jwe), secret, from, to, expiresAtMs: expSeconds * 1000 };
}

/**
 * Opens a ticket that `from` sent to `to`.
 * @throws TICKET_REFUSED when it is malformed, for somebody else, for an unknown key, expired or too long-lived
 */
export async function openTicket(
  jwe: string,
  from: string,
  to: string,
  keyFor: (kid: string) => KeyObject | undefined,
  nowMs: number,
): Promise<Ticket> {
  if (jwe.length > MAX_TICKET_BYTES) throw new AccordError('TICKET_REFUSED', 'too large');
  const kid = kidOf(jwe);
  const key = keyFor(kid);
  if (key === undefined) throw new AccordError('TICKET_REFUSED', 'wrapped to a key this server does not hold');
  const expected = { typ: TICKET_TYP, kid, apu: Buffer.from(from), apv: Buffer.from(to) };
  const { plaintext, header } = await decryptCompact(jwe, key, expected).catch((cause: unknown) => {
    throw new AccordError('TICKET_REFUSED', 'cannot be opened', { cause });
  });
  const expiresAtMs = Number(header.exp) * 1000;
  if (!Number.isSafeInteger(expiresAtMs) || expiresAtMs <= nowMs || expiresAtMs > nowMs + 2 * TICKET_LIFETIME_MS) {
    throw new AccordError('TICKET_REFUSED', 'expired or too long-lived');
  }
  if (plaintext.length !== SECRET_BYTES) throw new AccordError('TICKET_REFUSED', 'secret of a wrong size');
  return { jwe, hash: sha256(jwe), secret: plaintext, from, to, expiresAtMs };
}

/** The key id a ticket names, read without trust: it only selects which of our keys is tried. */
function kidOf(jwe: string): string {
  try {
    const header: unknown = JSON.parse(Buffer.from(jwe.slice(0, jwe.indexOf('.')), 'base64url').toString('utf8'));
    if (typeof header === 'object' && header !== null && 'kid' in header && typeof header.kid === 'string') {
      return header.kid;
    }
  } catch {
    // falls through: rubbish names no key
  }
  throw new AccordError('TICKET_REFUSED', 'no key id');
}
