// Loaded before anything of tap, in tap itself and in each process of test files (package.json, script `test`). There tap
// hooks into the loading of every module, to tell which were loaded and to replace some: coverage is off, and nothing here is
// replaced. Each of the twenty processes would look for the source maps of hundreds of modules again and again. Compiled
// code is found from the first module on; see preload.ts, which comes behind what tap loads.
import module, { enableCompileCache, syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '../node_modules/.cache/accord');
enableCompileCache(folder);
process.env['NODE_COMPILE_CACHE'] = folder;

module.registerHooks = () => ({ deregister() {} });
syncBuiltinESMExports();
