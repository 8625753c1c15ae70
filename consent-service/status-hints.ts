// Hints: after a status list has changed, its provider is told to fetch it now. A hint is an ordinary exchange through the
// consent service's own security server and carries only the address of the list, so that it cannot say anything false;
// one that is lost costs time up to the published bound and nothing else.
import { AccordError } from '#schemas/problems.ts';
import { STATUS_HINT_PATH } from '#schemas/service-path.ts';
import type { OwnServer } from './own-server.ts';

/** Tells the provider of this service that the list at `uri` has changed. */
export type SendHint = (provider: string, service: string, uri: string) => Promise<void>;

const MAX_AT_ONCE = 8;
const MAX_WAITING = 10_000;
const TIMEOUT_MS = 5_000;

export function hintThroughServer(server: OwnServer): SendHint {
  return async (_provider, service, uri) => {
    const answer = await server.ask(service, STATUS_HINT_PATH, { uri }, TIMEOUT_MS);
    if (answer.kind === 'refused') throw new AccordError('OUTCOME_UNKNOWN', answer.code);
  };
}

export interface Hints {
  /** Sends one hint for each list; a list whose hint is still waiting is not told twice. */
  tell(lists: readonly { uri: string; provider: string; service: string }[]): void;
  /** When everything that waits was tried. */
  idle(): Promise<void>;
}

export function openHints(send: SendHint, onFailure: (error: unknown) => void): Hints {
  const waiting = new Map<string, { provider: string; service: string }>();
  const running = new Set<Promise<void>>();
  const next = () => {
    for (const [uri, { provider, service }] of waiting) {
      if (running.size >= MAX_AT_ONCE) return;
      waiting.delete(uri);
      const one = send(provider, service, uri)
        .catch(onFailure)
        .finally(() => {
          running.delete(one);
          next();
        });
      running.add(one);
    }
  };
  return {
    tell(lists) {
      for (const { uri, provider, service } of lists) {
        if (waiting.size < MAX_WAITING) waiting.set(uri, { provider, service });
      }
      next();
    },
    async idle() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
