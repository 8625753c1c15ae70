// One `accord` command line in this process: what it printed and how it ended. To start a process for each would cost more than
// most of them do.
import { run } from '#cli/program.ts';

export interface Ended {
  /** Exit status. */
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `accord WORDS…`. One after another: what anything else prints meanwhile is taken for its output. */
export async function accordHere(words: readonly string[]): Promise<Ended> {
  const ended = { code: -1, stdout: '', stderr: '' };
  const writes = { stdout: process.stdout.write, stderr: process.stderr.write };
  const taking = (name: 'stdout' | 'stderr') =>
    ((chunk: string | Uint8Array) => {
      ended[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
      return true;
    }) as typeof process.stdout.write;
  process.stdout.write = taking('stdout');
  process.stderr.write = taking('stderr');
  try {
    ended.code = await run(words);
  } finally {
    process.stdout.write = writes.stdout;
    process.stderr.write = writes.stderr;
  }
  return ended;
}
