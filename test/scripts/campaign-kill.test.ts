// The short form of campaign `kill`, and once with a broken part put in.
import t from 'tap';
import { kill } from '#scripts/campaign/kill.ts';

t.setTimeout(120_000);
const SEED = 20;

t.test('kill: nothing acknowledged is lost, nothing runs twice', async (t) => {
  const result = await kill.run({ size: 3, seed: SEED });
  t.equal(result.size, 3);
  t.strictSame(result['killed'], { provider: 1, consumer: 1, 'consumer and provider': 1 });
  t.equal(result.failures, 0, result.found.join('\n'));
  const told = result['told'] as Record<string, number>;
  t.ok((told['ok'] ?? 0) > 0, 'some lookups were answered');
});

t.test('kill finds a log that acknowledges before it writes', async (t) => {
  // It shows only where a provider dies that had answered just before: mostly with the first, which is the provider's.
  let failures = 0;
  for (let seed = SEED; failures === 0 && seed < SEED + 4; seed += 1) {
    ({ failures } = await kill.run({ size: 1, seed, broken: { earlyAnswersMs: 2_000 } }));
  }
  t.ok(failures > 0);
});
