// The first lines of a server's process in the campaigns, in the order of security-server/main.ts: the heap is told how to
// grow before anything is loaded. The rest is kill-server.ts.
import { keepYoungHeapSmall } from '#core/young-heap.ts';

keepYoungHeapSmall();
await import('./kill-server.ts');
