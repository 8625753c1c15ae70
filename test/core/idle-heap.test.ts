import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { getHeapCodeStatistics } from 'node:v8';
import t from 'tap';
import { collectWhenIdle } from '#core/idle-heap.ts';

const MIB = 1024 * 1024;

t.test('a program with nothing to do gives back what its start took, once', async (t) => {
  let left: unknown[] | null = Array.from({ length: 400_000 }, (_, at) => ({ at, text: `${at} ${at}` }));
  t.equal(left.length, 400_000);
  left = null;
  // Functions that only a start calls.
  const texts = Array.from({ length: 4_000 }, (_, at) => `() => 'f${at}' + ${at}`);
  const functions = new Function(`return [${texts}]`)() as (() => string)[];
  for (const each of functions) each();
  const codeBytes = () => getHeapCodeStatistics().bytecode_and_metadata_size;
  const [codeBefore, collected]: [number, [before: number, after: number][]] = [codeBytes(), []];
  const first = new Promise<void>((resolve) => {
    const stop = collectWhenIdle((before, after) => {
      collected.push([before, after]);
      resolve();
    }, 40);
    t.teardown(stop);
  });
  // What is watched does not keep a program alive; to wait for a processor is no work.
  const word = new Int32Array(new SharedArrayBuffer(4));
  const alive = setInterval(() => Atomics.wait(word, 0, 0, 5), 10);
  await first;
  await new Promise((resolve) => setTimeout(resolve, 400));
  clearInterval(alive);
  t.equal(collected.length, 1);
  const [[before, after] = [0, 0]] = collected;
  t.ok(before - after > 15 * MIB, `${before} to ${after} bytes`);
  t.ok(codeBefore - codeBytes() > 800_000, `${codeBefore} to ${codeBytes()} bytes of code`);
  t.equal(functions[7]?.(), 'f77');
});

/**
 * A program that starts leanly, with V8's own words for what is optimized: after how many calls a function is while it
 * starts, how many files of compiled code lie there when it is ready, and after how many calls another function is then.
 */
const PROGRAM = `
const { readdirSync } = await import('node:fs');
const { beginLeanStart } = await import('#core/lean-start.ts');
const isReady = beginLeanStart();
const MOST = 4_000;
async function callsUntilOptimized(name) {
  const hot = new Function('x', 'let sum = ' + name + '; for (let i = 0; i < 4; i += 1) sum += x * i; return sum;');
  for (let calls = 0; calls < MOST; calls += 1) {
    hot(calls);
    if (calls % 20 > 0) continue;
    // What is optimized is made by another thread.
    await new Promise((resolve) => setTimeout(resolve, 1));
    if ((%GetOptimizationStatus(hot) & 16) !== 0) return calls;
  }
  return MOST;
}
const starting = await callsUntilOptimized(1);
isReady();
const kept = readdirSync(process.env.NODE_COMPILE_CACHE, { recursive: true }).length;
console.log(JSON.stringify({ starting, kept, ready: await callsUntilOptimized(2) }));
`;

t.test('a lean start optimizes late what is hot, and at once when the program is ready', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-lean-start-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const flags = ['--allow-natives-syntax', '--input-type=module', '--eval', PROGRAM];
  const { stdout } = await promisify(execFile)(process.execPath, flags, {
    env: { ...process.env, NODE_COMPILE_CACHE: folder },
  });
  const { starting, kept, ready } = JSON.parse(stdout) as Record<string, number>;
  t.ok(starting! > 600, `${starting} calls while it starts`);
  t.ok(ready! < 400, `${ready} calls when it is ready`);
  t.ok(kept! > 1, 'compiled code is written down under the flags that it was compiled with');
});
