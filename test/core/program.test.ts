// How the three servers' programs find their passphrase, and how a signal and an error end them.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { keyPassphrase } from '#core/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-program-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

t.test('the passphrase of the keys', async (t) => {
  const file = (text: string) => {
    writeFileSync(join(folder, 'passphrase'), text);
    return { ACCORD_KEY_PASSPHRASE_FILE: join(folder, 'passphrase'), ACCORD_KEY_PASSPHRASE: 'not this' };
  };
  t.equal(keyPassphrase({}), '', 'which no key opens with');
  t.equal(keyPassphrase({ ACCORD_KEY_PASSPHRASE: ' in the environment ' }), ' in the environment ');
  t.equal(keyPassphrase(file('first line\r\nsecond\n')), 'first line');
  t.equal(keyPassphrase(file('')), '', 'an empty file hides no variable');
  t.throws(() => keyPassphrase({ ACCORD_KEY_PASSPHRASE_FILE: join(folder, 'none') }), { code: 'ENOENT' });
});

t.test('an error is told and ends with 1', async (t) => {
  for (const [program, option] of [
    ['central-registry/main.ts', '--folder'],
    ['consent-service/main.ts', '--dir'],
    ['security-server/main.ts', '--dir'],
  ] as const) {
    const { status, stdout, stderr } = run([program]);
    t.same([status, stdout, stderr], [1, '', `${option} ${option === '--dir' ? 'FOLDER' : 'DIR'} is needed\n`]);
  }
  const missing = run(['central-registry/main.ts', '--folder', join(folder, 'none')]);
  t.match([missing.status, missing.stderr], [1, /^ENOENT: .*\n$/]);
  const thrown = run(['--input-type=module', '--eval', script("endOnError(new AccordError('KEY_FILE_MODE', 'why'))")]);
  t.equal(thrown.status, 1);
  t.match(thrown.stderr, /why.*\nNext: [A-Z].*\n$/, 'a coded error says what to do next');
});

t.test('a signal drains, and a second one does not hurry it', async (t) => {
  const close = 'async () => { process.stdout.write("closing"); await once(process.stdin, "data"); }';
  const child = evaluated(`drainOnSignal(${close}); process.stdout.write("ready");`);
  const next = async () => String((await once(child.stdout, 'data'))[0]);
  t.equal(await next(), 'ready');
  child.kill('SIGTERM');
  t.equal(await next(), 'closing');
  child.kill('SIGINT');
  child.stdin.write('go on');
  t.same(await once(child, 'close'), [0, null]);
  t.equal(child.stdout.read(), null, 'it was closed once');
});

t.test('a command waits for a signal', async (t) => {
  const child = evaluated('untilSignal().then(() => process.exit(7)); process.stdout.write("ready");');
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  t.same(await once(child, 'close'), [7, null]);
});

function script(text: string): string {
  const imports = "import { drainOnSignal, endOnError, untilSignal } from '#core/program.ts';";
  return `${imports} import { once } from 'node:events'; import { AccordError } from '#schemas/problems.ts'; ${text}`;
}

function evaluated(text: string) {
  return spawn(process.execPath, ['--input-type=module', '--eval', script(`process.stdin.resume(); ${text}`)]);
}

function run(argv: string[]): { status: number | null; stdout: string; stderr: string } {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  // A security server compiles with other flags: in one folder either throws away what the other left.
  const own = argv[0]?.startsWith('security-server') && NODE_COMPILE_CACHE ? '-server' : '';
  const env = { PATH, ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE: `${NODE_COMPILE_CACHE}${own}` }) };
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8', env });
  return { status, stdout, stderr };
}
