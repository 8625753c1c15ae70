// The time by which consent is judged (DESIGN: consent): the wall clock, but never before the newest time that a verified
// signature proved and what the monotonic clock counted since. Whoever sets this server's clock back cannot make an old
// status list young, nor an ended receipt valid. The clock's own first word counts like a proof: or somebody who holds all
// lists back for a while could set it back by as much later, and nobody would see it.
//
// What is left: a clock that is behind when the server starts, while somebody holds back both lists and configuration.
import type { Clock } from '#core/clock.ts';

export interface TrustedNow {
  nowMs: number;
  /** How far the wall clock is behind what is proved; a clock ahead only makes lists look older. */
  deviationMs: number;
}

export interface TrustedTime {
  /** `atMs` was not later than the moment of this call. */
  prove(atMs: number): void;
  now(): TrustedNow;
}

/** @param elsewhereMs a time that others proved to be past, of this moment: what the signed configuration says */
export function openTrustedTime(clock: Clock, elsewhereMs: () => number = () => 0): TrustedTime {
  let proved = { atMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
  const ownMs = () => proved.atMs + Math.max(0, clock.monotonicMs() - proved.monotonicMs);
  const leastMs = () => Math.floor(Math.max(ownMs(), elsewhereMs()));
  return {
    prove(atMs) {
      proved = { atMs: Math.max(atMs, leastMs()), monotonicMs: clock.monotonicMs() };
    },
    now() {
      const [wallMs, least] = [clock.nowMs(), leastMs()];
      return { nowMs: Math.max(wallMs, least), deviationMs: Math.max(0, least - wallMs) };
    },
  };
}
