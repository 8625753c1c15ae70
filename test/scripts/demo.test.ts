// The demonstration as a newcomer and as a machine run it: every step must do what it says, and the exit status too.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { readPersonas } from '#scripts/demo/personas.ts';
import { tellStory } from '#scripts/demo/story.ts';
import { openTranscript } from '#scripts/demo/transcript.ts';
import { openWorld } from '#scripts/demo/world.ts';

interface Step {
  step: string;
  ok: boolean;
  [fact: string]: unknown;
}

function runDemo(...args: string[]): { status: number | null; steps: Map<string, Step>; output: string } {
  const { demo } = JSON.parse(readFileSync('package.json', 'utf8')).scripts as { demo: string };
  const program = [...demo.split(' ').slice(1), '--json', ...args];
  const done = spawnSync(process.execPath, program, { encoding: 'utf8', timeout: 60_000 });
  return { status: done.status, steps: stepsOf(done.stdout), output: `${done.stdout}${done.stderr}` };
}

function stepsOf(lines: string): Map<string, Step> {
  const steps = lines.split('\n').filter((line) => line !== '');
  return new Map(steps.map((line): [string, Step] => [(JSON.parse(line) as Step).step, JSON.parse(line)]));
}

t.test('made-up residents', async (t) => {
  const { status, steps, output } = runDemo();
  t.equal(status, 0, output);
  t.ok(steps.size >= 6);
  for (const step of steps.values()) t.ok(step.ok, `step ${step.step}`);
  t.equal(steps.get('departments')?.['residents'], 10_000);
  t.match(steps.get('servers'), { servers: { length: 4 } });
  const { element = 0 } = (steps.get('dictionary')?.['entries'] ?? {}) as { element?: number };
  t.ok(element >= 120, `${element} elements`);
  t.match(steps.get('lookup'), { outcome: 'ok', answer: { receiving: true } });
  const law = steps.get('law');
  t.match(law, { outcome: 'ok', rows: 3 });
  // An amount is not released without its currency; nobody asked for the tax that was paid.
  const newest = law?.['first'] as { year: number; grossIncome: number; currency: string };
  t.strictSame(Object.keys(newest).sort(), ['currency', 'grossIncome', 'year']);
  const isLow = String(newest.grossIncome <= 14_400);
  const predicates = { 'low income': ['gx.pred.is_low_income@1', isLow], adult: ['gx.pred.age_ge_18@1', 'true'] };
  for (const [name, [predicate, result]] of Object.entries(predicates)) {
    const step = steps.get(name);
    t.strictSame(step?.['predicates'], [{ predicate, result }], name);
    t.strictSame(step?.['elements'], [], `${name}: no element was released`);
    t.strictSame(step?.['answer'], {}, `${name}: nothing is in the body`);
  }
  t.match(steps.get('elements'), { source: 'GX/GOV/1004', answer: { scheme: String, status: 'active' } });
  t.match(steps.get('not permitted'), { code: 'FIELDS_NOT_PERMITTED', outcome: 'refused', detail: /grossIncome/ });
  t.match(steps.get('refused'), { code: 'ACCESS_DENIED', outcome: 'refused' });
  t.match(steps.get('tamper'), { code: 'LOG_ENTRY_CHANGED', changed: 0, firstBadSeq: 0 });
  // Two entries for each exchange and server, and no more.
  t.match(steps.get('log verify'), { logs: [10, 6, 2, 10].map((entries) => ({ ok: true, entries })) });
  t.ok(Number(steps.get('resources')?.['memoryMiB']) <= 800);
});

const PERSONAS = '../shared/data/personas/myinfo-v3.json';
t.test('a file of personas', { skip: existsSync(PERSONAS) ? false : `SKIPPED: ${PERSONAS} is not here` }, async (t) => {
  // The same story with the security servers in this process, which is half the work.
  const folder = mkdtempSync(join(tmpdir(), 'accord-demo-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const population = readPersonas(readFileSync(PERSONAS));
  t.equal(population.residents.length, 31);
  const world = await openWorld(folder, population, false);
  t.teardown(() => world.close());
  let told = '';
  const tell = openTranscript(true, (text) => {
    told += text;
  });
  await tellStory(world, population, tell, folder);
  t.equal(tell.failed, false, 'every step', { told });
  const steps = stepsOf(told);
  t.match(steps.get('lookup'), { outcome: 'ok', answer: { receiving: false } });
  t.match(
    steps.get('low income'),
    { predicates: [{ result: 'unknown' }], answer: {} },
    'the line is in another currency',
  );
});

t.test('a file that holds no personas ends it before it begins', async (t) => {
  const { status, steps, output } = runDemo('--data', 'package.json');
  t.equal(status, 1);
  t.equal(steps.size, 0);
  t.match(output, /SCHEMA_MISMATCH/);
});

t.test('a step that failed fails the run, in both forms', async (t) => {
  for (const json of [true, false]) {
    const written: string[] = [];
    const tell = openTranscript(json, (text) => written.push(text));
    tell.step('one', true, {}, ['went well']);
    t.equal(tell.failed, false);
    tell.step('two', false, { why: 'broken' }, ['did not']);
    tell.step('three', true, {}, ['went well']);
    t.equal(tell.failed, true);
    t.match(written.join(''), /broken/);
  }
});
