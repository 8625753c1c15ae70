// Pieces of bodies that nobody can give back (give-back.ts), since they are views of what a connection read, wait for V8's
// collector. That looks at its own heap, where they are next to nothing, until their bytes are so many that it collects
// everything. Whoever moves such pieces counts them here, and every few MiB the young part alone is collected, in which
// nearly all of them are (docs/performance.md has what it saves). Nothing from outside is read here.
import { collectYoung } from './collect.ts';

const COLLECT_EVERY_BYTES = 16 * 1024 * 1024;

let moved = 0;

/** So many bytes came, or went, in pieces of their own. */
export function countMovedBytes(bytes: number): void {
  moved += bytes;
  if (moved < COLLECT_EVERY_BYTES) return;
  moved = 0;
  collectYoung();
}
