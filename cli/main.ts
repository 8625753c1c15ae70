// The `accord` program's first line. Everything is in program.ts, which tests run in their own process.
import { run } from './program.ts';

// `accord log show | head` closes the pipe early; that is the reader's good right and no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

process.exitCode = await run(process.argv.slice(2));
