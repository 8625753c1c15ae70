// Bodies pass through a server as buffers that live for a moment. Their bytes lie outside V8's heap and are given back when
// the small objects that name them are collected, which happens when the young part of the heap is full: as long as that
// part stays small, few bytes wait. For programs that pass bodies on; nothing from outside is read here.
import { setFlagsFromString } from 'node:v8';

/** Before the program's work begins: the young part of the heap stays at the MiB it begins with, in place of up to 16. */
export function keepYoungHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
