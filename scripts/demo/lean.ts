// How the demonstration's other programs in Node are started, so that all of it fits into a small machine: with the memory
// settings of its servers, and with the code that this process compiled before any of them starts (main.ts). Compiled code
// counts only under the flags it was compiled with: they get this process's own, as package.json says.
import { join } from 'node:path';
import { LEAN_MEMORY } from '#cli/dev/network.ts';

/** The place is named before a program's first file is read: else Node loads a compiler of TypeScript, which stays (15 MiB). */
export const LEAN_ENVIRONMENT = {
  ...LEAN_MEMORY,
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/accord'),
} as const;
