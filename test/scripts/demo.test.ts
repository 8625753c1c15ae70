// The demonstration as a newcomer and as a machine run it: every step must do what it says, and the exit status too.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { tellConsent } from '#scripts/demo/consent-story.ts';
import { tellEmergency } from '#scripts/demo/emergency-story.ts';
import { chooseResident } from '#scripts/demo/people.ts';
import { readPersonas } from '#scripts/demo/personas.ts';
import { tellStory } from '#scripts/demo/story.ts';
import { openTranscript } from '#scripts/demo/transcript.ts';
import { openHttpVisitor, type Visitor } from '#scripts/demo/visitor.ts';
import { openWorld } from '#scripts/demo/world.ts';

interface Step {
  step: string;
  ok: boolean;
  [fact: string]: unknown;
}

function programOf(...args: string[]): string[] {
  const { demo } = JSON.parse(readFileSync('package.json', 'utf8')).scripts as { demo: string };
  return [...demo.split(' ').slice(1), '--json', ...args];
}

function runDemo(...args: string[]): { status: number | null; steps: Map<string, Step>; output: string } {
  const done = spawnSync(process.execPath, programOf(...args), { encoding: 'utf8', timeout: 60_000 });
  return { status: done.status, steps: stepsOf(done.stdout), output: `${done.stdout}${done.stderr}` };
}

/** Runs it with `--stay`; `whenThere` works while everything is running, then it is ended as by Ctrl-C. */
async function stayDemo(whenThere: (stay: Step) => Promise<void>) {
  const child = spawn(process.execPath, programOf('--stay'), { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  process.once('exit', () => child.kill('SIGINT')); // a test that ran out of time leaves nothing running
  let output = '';
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      output += `${line}\n`;
      const step = JSON.parse(line) as Step;
      if (step.step === 'stay') {
        await whenThere(step);
        child.kill('SIGINT');
      }
    }
  } finally {
    child.kill('SIGINT');
  }
  return { status: await ended, steps: stepsOf(output), output };
}

function stepsOf(lines: string): Map<string, Step> {
  const steps = lines.split('\n').filter((line) => line !== '');
  return new Map(steps.map((line): [string, Step] => [(JSON.parse(line) as Step).step, JSON.parse(line)]));
}

t.test('made-up residents', async (t) => {
  const { status, steps, output } = await stayDemo((stay) => tryCommands(t, stay));
  t.equal(status, 0, output);
  t.ok(steps.size >= 6);
  for (const step of steps.values()) t.ok(step.ok, `step ${step.step}`);
  t.equal(steps.get('departments')?.['residents'], 10_000);
  t.match(steps.get('servers'), { servers: { length: 5 } });
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
  const changed = steps.get('tamper')?.['changed'];
  t.type(changed, 'number');
  t.match(steps.get('tamper'), { code: 'LOG_ENTRY_CHANGED', changed, firstBadSeq: changed });
  // Two entries for each exchange and server, and no more.
  t.match(steps.get('log verify'), { logs: [10, 6, 2, 10].map((ofExchanges) => ({ ok: true, ofExchanges })) });
  t.ok(Number(steps.get('resources')?.['memoryMiB']) <= 1024);
  checkConsent(t, steps);
  const valid = { script: 'VALID', command: 'VALID' };
  t.match(steps.get('evidence'), {
    exchange: steps.get('lookup')?.['id'],
    packs: [
      { party: 'medical-insurance', ...valid },
      { party: 'civil-affairs', ...valid },
    ],
  });
  const refused = 'INVALID(PACK_FILE_CHANGED)';
  t.match(steps.get('evidence changed'), { file: 'answer/body', script: refused, command: refused });
});

function checkConsent(t: Test, steps: Map<string, Step>): void {
  const required = steps.get('consent required')?.['refusals'];
  t.match(required, { length: 2, 0: { code: 'CONSENT_REQUIRED' }, 1: { code: 'CONSENT_REQUIRED' } });
  t.match(steps.get('consent given'), {
    beforehand: 0,
    allowed: /Full address.*low-income line/,
    left: /^Date of birth/,
  });
  const lookup = steps.get('consent lookup');
  t.match(lookup, { predicates: [{ predicate: 'gx.pred.is_low_income@1', result: /^(?:true|false)$/ }] });
  t.strictSame(Object.keys(lookup?.['answer'] as object), ['address']);
  t.strictSame(lookup?.['released'], ['gx.address.full@1']);
  t.strictSame(lookup?.['omitted'], ['gx.person.birth_date@1']);
  // Seven that were answered; refused were a field, a right, and both of Housing's before there was a receipt.
  const looked = { answered: '4', departments: '4', accesses: 11, refused: 4, told: 'Full address' };
  t.match(steps.get('who looked'), looked);
  const withdrawn = steps.get('consent withdrawn');
  t.match(withdrawn, { code: 'CONSENT_WITHDRAWN', boundMs: 65_000 });
  // By a hint: some hundred milliseconds, where nothing else runs. Lists are asked for every five seconds.
  t.ok(Number(withdrawn?.['afterMs']) < 5_000, `after ${withdrawn?.['afterMs']} ms`);
  t.match(steps.get('audit replay'), { verdict: 'SAME', code: 'CONSENT_WITHDRAWN' });
  t.match(steps.get('emergency'), { alone: 'EVIDENCE_REFUSED', outcome: 'ok' });
  t.match(steps.get('emergency told'), { text: /Brought in unconscious/ });
  t.match(steps.get('emergency seen'), { first: /Their reason: Brought in unconscious/ });
}

/** What `--stay` prints can be typed, the command of the story is among it, and its new link works for the citizen. */
async function tryCommands(t: Test, stay: Step): Promise<void> {
  const { commands, citizen } = stay as unknown as { commands: string[]; citizen: { signInAs: { id: string }[] } };
  const typed = commands.map((command) => {
    t.match(command, /^accord /);
    const words = command.replace(/^accord/, `"${process.execPath}" cli/main.ts`);
    return execFileSync('sh', ['-c', words], { encoding: 'utf8' });
  });
  const { id, link } = JSON.parse(typed[0] ?? '{}') as { id: string; link: string };
  t.match(typed[1], new RegExp(`${id}.*REQUESTED`));
  t.match(typed[2], /CONSENT_WITHDRAWN/);
  const [person, other] = citizen.signInAs;
  for (const { id = '' } of [other, person].filter((one) => one !== undefined)) {
    const visitor = openHttpVisitor();
    await visitor.open(`${new URL(link).origin}/sign-in?to=/waiting`);
    await visitor.press('Development identity provider');
    await visitor.press(id);
    const text = await visitor.text();
    if (id === person?.id) t.match(text, /Read and decide/);
    else t.match(text, /No department asks you/, 'others see nothing of it');
  }
}

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
  const { resident } = chooseResident(population);
  const story = { world, tell, folder, resident, visitor: openHttpVisitor() };
  await tellConsent(story);
  await tellEmergency(story);
  t.equal(tell.failed, false, 'every step', { told });
  const steps = stepsOf(told);
  t.match(steps.get('consent lookup'), { predicates: [{ result: 'unknown' }] });
  t.match(steps.get('lookup'), { outcome: 'ok', answer: { receiving: false } });
  t.match(
    steps.get('low income'),
    { predicates: [{ result: 'unknown' }], answer: {} },
    'the line is in another currency',
  );

  // A citizen who does something else than the story says: no step of it may pass.
  told = '';
  const honest = openHttpVisitor();
  const other: Visitor = {
    ...honest,
    press: async (words) => (words === 'Withdraw' ? undefined : await honest.press(words)),
    tick: async (label) => {
      await honest.tick(label);
      if (label === 'Full address') await honest.tick('Date of birth');
    },
  };
  await tellConsent({ world, tell, folder, resident, visitor: other });
  t.equal(tell.failed, true);
  const failed = [...stepsOf(told).values()].filter(({ ok }) => !ok).map(({ step }) => step);
  t.strictSame(failed, ['consent given', 'consent lookup', 'who looked', 'consent withdrawn']);
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
