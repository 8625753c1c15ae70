// `npm run demo`. Compiles once and keeps the compiled code before any other process starts, so that the eight processes
// of the demonstration need not each compile the same files.
import { enableCompileCache, flushCompileCache } from 'node:module';
import { join } from 'node:path';

enableCompileCache(join(import.meta.dirname, '../../node_modules/.cache/accord'));
const { runDemo } = await import('./run.ts');
// The adapters' processes load these; this one does not need them.
await import('#cli/adapter.ts');
flushCompileCache();
await runDemo();
