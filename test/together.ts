// Several test files in one process: to start one costs more than most of them take. Each is loaded when the cases of the
// one before are over, as if it ran alone; run one alone with `npx tap test/<folder>/<name>.test.ts`.
import { globSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';

const ALL_MS = 600_000;

/** @param patterns of files, from this folder on */
export function together(t: Test, ...patterns: string[]): void {
  const files = globSync(patterns, { cwd: import.meta.dirname }).sort();
  if (files.length === 0) throw new TypeError(`no test file is called ${patterns.join(' or ')}`);
  load(t, files.values());
}

/** A case that loads the next file, whose cases then stand behind it; and behind those the one that loads the next. */
function load(t: Test, files: Iterator<string>): void {
  const { value: file, done } = files.next();
  if (done) return;
  t.test(file, async () => {
    try {
      await import(join(import.meta.dirname, file));
    } finally {
      t.setTimeout(ALL_MS); // whatever it asked for itself
      load(t, files);
    }
  });
}
