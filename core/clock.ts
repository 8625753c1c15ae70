// The only place that reads a clock. Every other file is handed a `Clock`, so that a test or a seeded simulation can
// hold time still, move it, or set it back.

export interface Clock {
  /** Wall-clock time, integer milliseconds since the Unix epoch. May step backwards; never use it to measure. */
  nowMs(): number;
  /** Monotonic time in milliseconds since an arbitrary start; only differences mean anything. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** Runs `run` every `ms` milliseconds without keeping the process alive; returns how to stop. */
export function everyUnref(ms: number, run: () => void): () => void {
  const timer = setInterval(run, ms);
  timer.unref();
  return () => clearInterval(timer);
}
