// The campaign program and the short form of campaign `flip`, and once with a broken part put in: a campaign that finds nothing must be known
// to be able to find something.
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { flip } from '#scripts/campaign/flip.ts';

t.setTimeout(120_000);
const SEED = 20;

function campaign(...args: string[]) {
  return spawnSync(process.execPath, ['scripts/campaign/main.ts', ...args], { encoding: 'utf8' });
}

t.test('campaign names its campaigns and refuses wrong calls', async (t) => {
  const list = campaign('list');
  t.equal(list.status, 0);
  t.strictSame(list.stdout.trim().split('\n'), [
    'clocks',
    'consent',
    'filter',
    'flip',
    'kill',
    'log-damage',
    'overload',
    'pack',
    'paths',
    'power',
    'revocation',
    'soak',
    'stream',
    'tamper',
    'witness',
  ]);
  t.equal(campaign('flip', '--size', '1e3').status, 2);
});

t.test('campaign ends with one line of JSON', async (t) => {
  const { status, stdout } = campaign('flip', '--size', '14', '--seed', '7', '--json');
  t.equal(status, 0);
  const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  t.match(last, { name: 'flip', size: 14, failures: 0, seed: 7, seconds: Number });
});

t.test('flip: no changed byte passes', async (t) => {
  const { size, failures, found } = await flip.run({ size: 336, seed: SEED });
  t.equal(size, 336);
  t.equal(failures, 0, found.join('\n'));
});

t.test('flip finds a verifier that trusts its sender', async (t) => {
  const trusting = { verifier: () => ({ verify: (message: unknown) => message as never, verifyHead: () => {} }) };
  const { size, failures } = await flip.run({ size: 42, seed: SEED, broken: trusting });
  t.ok(size > 0 && failures > 0);
});
