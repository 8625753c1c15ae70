// The short form of campaign `witness`, and once with a registry that forgets.
import t from 'tap';
import { witness } from '#scripts/campaign/witness.ts';

t.setTimeout(120_000);

t.test('witness: every log is cosigned, and no second history after a kill', async (t) => {
  const { failures, found, forksTried, cpuSecondsPerMinute } = await witness.run({ size: 60, seed: 20 });
  t.equal(failures, 0, found.join('\n'));
  t.ok(Number(forksTried) > 10, `${forksTried} forks`);
  t.ok(Number(cpuSecondsPerMinute) > 0);
});

t.test('witness finds a registry that forgets', async (t) => {
  t.ok((await witness.run({ size: 30, seed: 20, broken: { forgets: true } })).failures > 0);
});
