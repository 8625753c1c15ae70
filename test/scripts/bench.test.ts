// The benchmark in its shortest form: it runs, every answer is the right one, and its JSON says what others read from it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { nginxMissing } from '#scripts/bench/nginx.ts';
import { summarise } from '#scripts/bench/profile.ts';

t.setTimeout(120_000);

async function run(...args: string[]): Promise<{ code: number; out: string; errors: string }> {
  const child = spawn(process.execPath, ['scripts/bench/main.ts', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code: code as number, out, errors };
}

t.test('one short turn of each variant', async (t) => {
  const { code, out, errors } = await run(
    '--only',
    'at64',
    '--rounds',
    '1',
    '--seconds',
    '0.3',
    '--warm',
    '0.2',
    '--small',
    '--json',
  );
  t.equal(code, 0, errors);
  const said = JSON.parse(out.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
  const missing = nginxMissing();
  if (missing !== null) t.comment(`without nginx: ${missing}`);
  const positive = (name: string, value: unknown) => t.ok(Number(value) > 0, `${name}: ${JSON.stringify(value)}`);
  for (const name of ['ratioToNginxAt64', 'ratioStrictAt64']) {
    if (missing === null) positive(name, said[name]);
    else t.equal(said[name], null);
  }
  for (const name of ['ratioToPlainAt64', 'logBytesPerExchange', 'recordBytesPerExchange', 'signaturesPerExchange'])
    positive(name, said[name]);
  // Not measured here, but never absent.
  for (const name of ['ratioToNginxAt16', 'p50MillisAt1']) t.equal(said[name], null, name);
  const { consumer, provider } = said['cpuMicrosPerExchangeAt64'] as Record<string, number>;
  positive('processor time of the consumer', consumer);
  positive('processor time of the provider', provider);
  positive('memory', (said['rssMiB'] as Record<string, number>)['at64']);
  t.equal(said['failures'], 0);
});

t.test('a wrong call is told how to call', async (t) => {
  const { code, errors } = await run('--only', 'at63');
  t.equal(code, 2);
  t.match(errors, /there is no scenario at63\nnpm run -s bench/);
});

t.test('a profile is told by function, by purpose and by cause, without idle time', async (t) => {
  const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 6 });
  const ours = (file: string) => new URL(`../../${file}`, import.meta.url).href;
  const nodes = [
    { id: 1, callFrame: frame('(root)'), children: [2, 3] },
    { id: 2, callFrame: frame('(idle)') },
    { id: 3, callFrame: frame('decide', ours('policy/decide.ts')), children: [4] },
    { id: 4, callFrame: frame('digest') },
  ];
  const told = summarise({ nodes, samples: [2, 3, 4, 4], timeDeltas: [500, 100, 200, 200] });
  t.equal(told.busyMs, 0.5);
  t.equal(told.idlePercent, 50);
  t.same(told.functions, [
    { name: 'digest called by decide policy/decide.ts:7', percent: 80 },
    { name: 'decide policy/decide.ts:7', percent: 20 },
  ]);
  t.same(told.groups, [{ name: 'decision and filter', percent: 100 }]);
  t.same(told.ours, [{ name: 'decide policy/decide.ts:7', percent: 100 }]);
});
