// Which of a provider's servers a request goes to (several share the load of one subsystem, or stand by for each other):
// the one that is registered first of those that were reached lately, then those that were not, longest ago first, and
// last those for which the configuration announces maintenance. What is known of reaching a peer is this process's own
// experience; it is forgotten with the process.
import type { Clock } from '#core/clock.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import { AccordError } from '#schemas/problems.ts';

/** A server that was not reached, or said that it is in maintenance, is asked after the others for this long. */
const AVOIDED_MS = 30_000;
const MAX_REMEMBERED = 10_000;

export interface ServerChoice {
  /**
   * In the order in which they are tried; at least one.
   * @param wanted the only one that may be asked; null for any
   * @throws XROAD_SERVER_INVALID
   */
  order(providers: readonly ServerEntry[], wanted: string | null): ServerEntry[];
  /** What became of an attempt: whether the server took it, reached and not in maintenance. */
  note(server: string, tookIt: boolean): void;
}

export function openServerChoice(clock: Clock): ServerChoice {
  const missedAtMs = new Map<string, number>();
  return {
    order(providers, wanted) {
      if (wanted !== null) {
        const found = providers.find(({ id }) => id === wanted);
        if (found === undefined) throw new AccordError('XROAD_SERVER_INVALID', wanted);
        return [found];
      }
      const nowMs = clock.monotonicMs();
      const missed = ({ id }: ServerEntry) => {
        const atMs = missedAtMs.get(id);
        return atMs === undefined || nowMs - atMs > AVOIDED_MS ? -Infinity : atMs;
      };
      const wallMs = clock.nowMs();
      const announced = ({ maintenance }: ServerEntry) =>
        maintenance != null && (maintenance.untilMs === null || maintenance.untilMs > wallMs) ? 1 : 0;
      return providers.toSorted(
        (a, b) => announced(a) - announced(b) || (missed(a) === missed(b) ? 0 : missed(a) - missed(b)),
      );
    },
    note(server, tookIt) {
      if (tookIt) missedAtMs.delete(server);
      else if (missedAtMs.size < MAX_REMEMBERED || missedAtMs.has(server)) missedAtMs.set(server, clock.monotonicMs());
    },
  };
}
