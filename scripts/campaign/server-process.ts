// The first lines of a server's process in the campaigns, in the order of security-server/main.ts: the heap is told how to
// grow before anything is loaded, and only then where compiled code is kept, because it depends on that. The rest is
// kill-server.ts.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { setHeapSizes } from '#core/heap-sizes.ts';

setHeapSizes();
enableCompileCache(join(import.meta.dirname, '../../node_modules/.cache/accord'));
await import('./kill-server.ts');
