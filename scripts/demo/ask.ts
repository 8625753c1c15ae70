// One lookup of one department's own system, over its own security server, with the typed client that a department would
// use.
import { AccordClientError, type Lookup, type LookupAnswer, openAccord } from '#adapters/client.ts';
import { subsystemOf } from './departments.ts';
import type { Department } from './tables.ts';
import type { World } from './world.ts';

export type Asked =
  | { answer: LookupAnswer; refusal: null }
  /** Refused, or not answered, with a code. */
  | { answer: null; refusal: AccordClientError };

export async function ask(world: World, from: Department, lookup: Lookup): Promise<Asked> {
  const accord = openAccord({ url: world.servers[from].urls.loopback ?? '', client: subsystemOf(from) });
  try {
    return { answer: await accord.lookup(lookup), refusal: null };
  } catch (error) {
    if (error instanceof AccordClientError) return { answer: null, refusal: error };
    throw error;
  } finally {
    // The client's connections end with it; the servers answer others meanwhile.
    await accord.close();
  }
}
