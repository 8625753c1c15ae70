// Pairwise pseudonyms (DESIGN: who may ask for what, Consent): the name under which one client subsystem knows a citizen.
// The same citizen has another one at every client, and only who holds the consent service's secret can tell that two of
// them belong together, or whom one belongs to. An HMAC (RFC 2104) because identity numbers can be guessed: a bare hash
// of one is found again by trying them all.
import { createHmac } from 'node:crypto';

const DOMAIN = 'accord-pseudonym/1';
const SECRET_BYTES = 32;

/**
 * @param secret at least 32 random bytes of the consent service; whoever has it can undo every pseudonym
 * @param scope the client subsystem
 * @param subject the identifier in the one spelling its dictionary element gives it
 * @returns HMAC-SHA-256, base64url
 * @throws TypeError for a shorter secret
 */
export function pseudonymOf(
  secret: Buffer,
  scope: string,
  { scheme, value }: { scheme: string; value: string },
): string {
  if (secret.length < SECRET_BYTES) throw new TypeError(`the secret has ${SECRET_BYTES} bytes or more`);
  // As JSON the parts cannot run into each other.
  return createHmac('sha256', secret)
    .update(JSON.stringify([DOMAIN, scope, scheme, value]))
    .digest('base64url');
}
