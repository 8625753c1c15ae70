// The `accord` program's first line. Everything is in program.ts, which tests run in their own process. Compiled code is
// kept beside the installed packages (never in a folder that others can write: what lies there is executed), so that a
// command starts in half the time from its second run on.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/accord'));
const { run } = await import('./program.ts');

// `accord log show | head` closes the pipe early; that is the reader's good right and no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

process.exitCode = await run(process.argv.slice(2));
