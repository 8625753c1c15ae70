import t from 'tap';
import { collectWhenIdle } from '#core/idle-heap.ts';

const MIB = 1024 * 1024;

t.test('a program with nothing to do gives back what its start took, once', async (t) => {
  let left: unknown[] | null = Array.from({ length: 400_000 }, (_, at) => ({ at, text: `${at} ${at}` }));
  t.equal(left.length, 400_000);
  left = null;
  const collected: [before: number, after: number][] = [];
  const first = new Promise<void>((resolve) => {
    const stop = collectWhenIdle((before, after) => {
      collected.push([before, after]);
      resolve();
    }, 40);
    t.teardown(stop);
  });
  // What is watched does not keep a program alive.
  const alive = setInterval(() => {}, 1_000);
  await first;
  await new Promise((resolve) => setTimeout(resolve, 400));
  clearInterval(alive);
  t.equal(collected.length, 1);
  const [[before, after] = [0, 0]] = collected;
  t.ok(before - after > 15 * MIB, `${before} to ${after} bytes`);
});
