// A process beside the first one of a security server (first-process.ts starts it; nobody else can): it serves information
// systems until the first process says that it shall end, or is gone. Signals are for the first process to hear.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { setHeapSizes } from '#core/heap-sizes.ts';
import { beginLeanStart } from '#core/lean-start.ts';

setHeapSizes();
const isReady = beginLeanStart();
enableCompileCache(join(import.meta.dirname, '../../node_modules/.cache/accord'));
const { runConsumerProcess } = await import('./program.ts');
const { endOnError } = await import('#core/program.ts');

await runConsumerProcess(process.env).catch((error: unknown) => {
  endOnError(error);
  process.exit();
});
isReady();
