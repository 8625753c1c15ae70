// Bodies pass through a server as buffers that live for a moment. Their bytes lie outside V8's heap and are given back when
// the small objects that name them are collected, which happens when the young part of the heap is full: as long as that
// part stays small, few bytes wait. Too small, and what is under way is copied again and again: with the MiB that V8 begins
// with, an exchange costs a fifth more.
//
// The old part is collected when it has grown by a share of what survived the last time. V8 chooses that share by how fast
// it is just then: after an idle time it is so small that with bodies of 100 KiB, which outlive the young part, the whole
// heap is collected nine times a second, for as long as the work goes on. So the share is fixed: twice what survived.
//
// For programs that pass bodies on; nothing from outside is read here.
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

const MIB = 1024 * 1024;
/** Of each of the two halves that V8 keeps; left alone it goes on to 16 MiB. */
const GROWN_BYTES = 8 * MIB;
const BEGUN_BYTES = MIB;
const OLD_GROWTH_PERCENT = 100;
/** V8 makes it smaller in idle times; then it may grow once more. What is loaded at the start is no load. */
const LOOK_EVERY_MS = 500;
const BEGIN_AFTER_MS = 3_000;
/** So long it may grow: under load once, which takes as much that survives as it holds, and not twice. */
const GROWS_MS = 50;

const growBy = (factor: number): void => setFlagsFromString(`--semi-space-growth-factor=${factor}`);

/** Before the program's work begins: the young part of the heap grows under load, in one step and not beyond. */
export function setHeapSizes(): void {
  growBy(1);
  const look = () => {
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    if ((young?.space_size ?? 0) >= GROWN_BYTES) return;
    growBy(GROWN_BYTES / BEGUN_BYTES);
    setTimeout(growBy, GROWS_MS, 1).unref();
  };
  const begin = () => {
    setFlagsFromString(`--heap-growing-percent=${OLD_GROWTH_PERCENT}`);
    setInterval(look, LOOK_EVERY_MS).unref();
  };
  setTimeout(begin, BEGIN_AFTER_MS).unref();
}
