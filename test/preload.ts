// Loaded by tap before each test file (.taprc). Compiled code is kept beside the installed packages, where the programs
// keep theirs, so that a hundred test files and the processes that they start need not each compile the same modules. And
// what tap puts into every process to tell which line ran is left out of those that tests start: coverage is off. Databases
// of tests lie in memory where there is room: what is proven of crashes are processes that die, and disks only make it slow.
import asyncHooks from 'node:async_hooks';
import { statfsSync } from 'node:fs';
import { enableCompileCache, syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '../node_modules/.cache/accord');
enableCompileCache(folder);
process.env['NODE_COMPILE_CACHE'] = folder;
process.setSourceMapsEnabled(false);

process.env['NODE_OPTIONS'] = (process.env['NODE_OPTIONS'] ?? '')
  .replace(/"?--import=\S*(?:@tapjs|before-tap)\S*/g, '')
  .trim();
const watch = Reflect.get(globalThis, Symbol.for('process-on-spawn@*:singletonId')) as { listeners: [] } | undefined;
if (watch !== undefined) watch.listeners = [];

// To tell whose error it is that nobody caught, tap has a hook at every promise, a twelfth of what the tests take. Without it
// such an error ends the process, and the test that was under way, and all behind it, are said to have failed.
const { createHook } = asyncHooks;
asyncHooks.createHook = () => createHook({});
syncBuiltinESMExports();

const MEMORY = '/dev/shm';
const ROOM_BYTES = 2 * 1024 ** 3;
try {
  const { bavail, bsize } = statfsSync(MEMORY);
  if (bavail * bsize >= ROOM_BYTES) process.env['TMPDIR'] ??= MEMORY;
} catch {
  // There is none here.
}
