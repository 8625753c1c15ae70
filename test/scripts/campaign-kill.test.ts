// The short form of campaign `kill`, and then a provider whose log acknowledges before it writes.
import t from 'tap';
import { kill } from '#scripts/campaign/kill.ts';

t.setTimeout(120_000);

t.test('kill: nothing acknowledged is lost, nothing runs twice', async (t) => {
  const result = await kill.run({ size: 2, seed: 20, thenBroken: { earlyAnswersMs: 2_000 } });
  t.equal(result.size, 2);
  t.strictSame(result['killed'], { provider: 1, consumer: 1 });
  t.equal(result.failures, 0, result.found.join('\n'));
  const told = result['told'] as Record<string, number>;
  t.ok((told['ok'] ?? 0) > 0, 'some lookups were answered');
  t.ok((result['foundBroken'] as string[]).length > 0, 'an answer that the provider forgot');
});
