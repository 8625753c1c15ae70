// What the public port of the registry does in a minute for whoever asks: so much for one address, so much in all. Nobody
// who asks is known there; an address is what the connection says, and of IPv6 its /64 counts (core/http/source-of.ts).
import type { Clock } from '#core/clock.ts';
import { sourceOf } from '#core/http/source-of.ts';

const MINUTE_MS = 60_000;

/** @returns takes from the budget: 0 when it was within it, else in how many ms there is a new one */
export function minuteBudget(
  clock: Clock,
  limits: { ofAddress: number; all: number },
): (address: string, cost?: number) => number {
  let minute = -1;
  let all = 0;
  let byAddress = new Map<string, number>();
  return (address, cost = 1) => {
    const nowMs = clock.monotonicMs();
    const now = Math.floor(nowMs / MINUTE_MS);
    if (now !== minute) [minute, all, byAddress] = [now, 0, new Map()];
    const source = sourceOf(address);
    const taken = byAddress.get(source) ?? 0;
    if (all + cost > limits.all || taken + cost > limits.ofAddress) return (now + 1) * MINUTE_MS - nowMs;
    all += cost;
    byAddress.set(source, taken + cost);
    return 0;
  };
}
