// What a program does once, while it starts, is not worth compiling well: V8 would take 10 to 30 MiB for it that stay, and
// as much time as it saves. Until the program is ready only what runs ten times as often as usual is compiled again (10,000
// members are still read as fast); from then on V8 does as it always does. Compiled code is kept under the flags of the
// moment and refused under others, so it is written down before they change back.
import { flushCompileCache } from 'node:module';
import { setFlagsFromString } from 'node:v8';

/** How often something is called, or goes round, before V8 compiles it again; its own values stand on the right. */
const FLAGS: readonly (readonly [flag: string, start: number, after: number])[] = [
  ['--invocation-count-for-maglev', 4_000, 400],
  ['--invocation-count-for-maglev-osr', 1_000, 100],
  ['--invocation-count-for-turbofan', 30_000, 3_000],
  ['--invocation-count-for-osr', 5_000, 500],
];

/** Before the program's first module is loaded; what is returned is called when the program is ready. */
export function beginLeanStart(): () => void {
  for (const [flag, start] of FLAGS) setFlagsFromString(`${flag}=${start}`);
  return () => {
    flushCompileCache();
    for (const [flag, , after] of FLAGS) setFlagsFromString(`${flag}=${after}`);
  };
}
