// The time by which consent is judged (DESIGN: consent): the wall clock, but never before the newest time that a verified
// signature proved and what the monotonic clock counted since. Whoever sets this server's clock back cannot make an old
// status list young, nor an ended receipt valid.
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

export function openTrustedTime(clock: Clock): TrustedTime {
  let proved: { atMs: number; monotonicMs: number } | null = null;
  const leastMs = () =>
    proved === null ? 0 : Math.floor(proved.atMs + Math.max(0, clock.monotonicMs() - proved.monotonicMs));
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
