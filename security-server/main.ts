// The security server as a program: `node security-server/main.ts --dir FOLDER [--port-peer N …]`, usually started by
// `accord server start`. Compiled code is kept beside the installed packages, never in a folder that others can write:
// what lies there is executed.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { setHeapSizes } from '#core/heap-sizes.ts';
import { beginLeanStart } from '#core/lean-start.ts';

setHeapSizes();
const isReady = beginLeanStart();
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/accord'));
const { runProgram } = await import('./program.ts');
const { endOnError } = await import('#core/program.ts');

await runProgram(process.argv.slice(2), process.env).catch(endOnError);
isReady();
