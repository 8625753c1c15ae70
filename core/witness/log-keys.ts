// Which key a security server's logs are signed with: the configuration registers one origin and one Ed25519 key for each
// server, and a server whose log had to be opened anew goes on under the same key and the next number (core/log/origin.ts).

import { originNumber } from '#core/log/origin.ts';
import { type NoteVerifier, noteVerifier } from '#core/log/signed-note.ts';
import { fromBase64url } from '#schemas/base64url.ts';

/** Origins of one server that may be ahead of what is registered. */
const ORIGINS_AHEAD = 8;

/**
 * @param log what is registered: an origin, and the raw 32-byte key in base64url
 * @returns the key of `origin`; undefined when that is no log of this server
 */
export function logVerifier(log: { origin: string; key: string }, origin: string): NoteVerifier | undefined {
  const [registered, asked] = [originNumber(log.origin), originNumber(origin)];
  if (asked.base !== registered.base || asked.number > registered.number + ORIGINS_AHEAD) return undefined;
  return noteVerifier(origin, fromBase64url(log.key));
}
