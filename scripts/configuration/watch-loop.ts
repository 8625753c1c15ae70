// How long the event loop of this process stood still: the longest wall-clock time between two of its turns, and the longest
// turn in processor time of its own thread, which other programs on the machine do not lengthen.

interface LoopWatch {
  /** Ends the watch. Milliseconds. */
  stop(): { longestMs: number; longestTurnMs: number };
}

/** Keeps the loop turning, so that every turn is seen. */
export function watchLoop(): LoopWatch {
  let [longestMs, longestTurnMs] = [0, 0];
  let running = true;
  let lastMs = performance.now();
  let last = process.threadCpuUsage();
  const look = () => {
    const nowMs = performance.now();
    const used = process.threadCpuUsage(last);
    longestMs = Math.max(longestMs, nowMs - lastMs);
    longestTurnMs = Math.max(longestTurnMs, (used.user + used.system) / 1_000);
    [lastMs, last] = [nowMs, process.threadCpuUsage()];
    if (running) setImmediate(look);
  };
  setImmediate(look);
  return {
    stop() {
      look();
      running = false;
      return { longestMs: round(longestMs), longestTurnMs: round(longestTurnMs) };
    },
  };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
