// Which provider a person who is signed in is sent to for a level.
import type { Level } from '#schemas/dictionary-entry.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Providers } from './providers.ts';
import type { LiveSession } from './sessions.ts';

/**
 * Issuer of the session's provider when it reaches the level, else of a linked account which does.
 * @throws STEP_UP_REQUIRED
 */
export function providerFor({ providers }: { providers: Providers }, { accounts }: LiveSession, level: Level): string {
  const able = accounts.find(({ issuer }) =>
    Object.values(providers.byIssuer(issuer)?.levels ?? {}).some((reached) => reached >= level),
  );
  if (able === undefined)
    throw new AccordError('STEP_UP_REQUIRED', 'your providers offer no sign-in that is strong enough');
  return able.issuer;
}
