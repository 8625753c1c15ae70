// The short form of campaign `clocks`, and once with a provider that believes its clock.
import t from 'tap';
import { type BrokenClocks, clocks } from '#scripts/campaign/clocks.ts';

const SEED = 20;

t.test('clocks: no consent is honoured later than its bound', async (t) => {
  const { failures, found, codes } = await clocks.run({ size: 60, seed: SEED });
  t.equal(failures, 0, found.join('\n'));
  for (const code of ['OK', 'CLOCK_DOUBTED', 'STATUS_STALE', 'CONSENT_WITHDRAWN']) {
    t.ok(((codes as Record<string, number>)[code] ?? 0) > 30, code);
  }
});

t.test('clocks finds who believes a clock', async (t) => {
  const broken: BrokenClocks = { trustedNow: (clock) => ({ nowMs: clock.nowMs(), deviationMs: 0 }) };
  t.ok((await clocks.run({ size: 60, seed: SEED, broken })).failures > 0);
});
