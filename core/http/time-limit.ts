// How long an answer may take, and how much longer while its sender says that it is still coming. Who sends decides when it says
// so; how long that counts in all is not its choice.

export interface TimeLimit {
  /** It was said: `eachMs` from now on at least. */
  prolong(): void;
  clear(): void;
}

/**
 * @param ms until `end` is called
 * @param eachMs how long one word that it goes on counts
 * @param mostMs how much longer than `ms` it may take in all; asked once, and only when that was said
 */
export function openTimeLimit(ms: number, end: () => void, eachMs: number, mostMs: () => number = () => 0): TimeLimit {
  let prolonged: NodeJS.Timeout | undefined;
  let last: NodeJS.Timeout | undefined;
  let isOver = false;
  const first = setTimeout(() => {
    isOver = true;
    if (prolonged === undefined) end();
  }, ms);
  const clear = () => {
    for (const timer of [first, prolonged, last]) clearTimeout(timer);
  };
  return {
    prolong() {
      if (last === undefined) {
        const longestMs = mostMs();
        if (longestMs <= 0) return;
        last = setTimeout(() => {
          clear();
          end();
        }, ms + longestMs);
      }
      clearTimeout(prolonged);
      prolonged = setTimeout(() => {
        prolonged = undefined;
        if (isOver) end();
      }, eachMs);
    },
    clear,
  };
}
