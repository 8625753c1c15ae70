// V8's own function to collect what nobody holds any more. It is there only for those who ask for it when the program
// begins; a context of its own is the way to come by it later. Nothing from outside is read here.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (how: { type: 'minor' | 'major'; execution: 'sync'; flavor?: 'last-resort' }) => void;

let found: Collect | undefined;

function collect(): Collect {
  if (found !== undefined) return found;
  setFlagsFromString('--expose-gc');
  found = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return found;
}

/**
 * The whole heap, and what could be made again; its pages are given back. Some 60 milliseconds.
 * @param withCode also the code of what is not running: V8 keeps it until it was not used in several collections
 */
export function collectEverything(withCode: boolean): void {
  const run = collect();
  if (withCode) setFlagsFromString('--stress-flush-code');
  run({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  if (withCode) setFlagsFromString('--no-stress-flush-code');
}

/** What was made since the last times; a millisecond or two. */
export function collectYoung(): void {
  collect()({ type: 'minor', execution: 'sync' });
}
