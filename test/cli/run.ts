// One `accord` command line in this process: what it printed and how it ended. Starting a process for each would cost
// more than all that is tested.
import { run } from '#cli/program.ts';

// Nobody is asked at the terminal from which the tests were started.
process.stdin.isTTY = false;

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

export async function accord(...argv: string[]): Promise<Ended> {
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
    ended.code = await run(argv);
  } finally {
    process.stdout.write = writes.stdout;
    process.stderr.write = writes.stderr;
  }
  return ended;
}
