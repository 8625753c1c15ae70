// The short form of the campaign `power`, and that it finds a child that acknowledges before it writes. Where no disk can be
// mounted, or strace is missing, it says so.
import t from 'tap';
import { power } from '#scripts/campaign/power.ts';

t.setTimeout(120_000);

t.test('power: nothing acknowledged is lost', async (t) => {
  const said: string[] = [];
  const { size, failures, found, skipped, faults } = await power.run({
    size: 1,
    seed: 5,
    say: (line) => said.push(line),
  });
  t.same(found, []);
  t.equal(failures, 0);
  for (const reason of skipped as string[]) {
    t.ok(said.some((line) => line.startsWith('SKIPPED') && line.includes(reason)));
    t.comment(`SKIPPED: ${reason}`);
  }
  if ((skipped as string[]).length === 0) t.ok(size === 1 && faults === 2);
});

t.test('power finds acknowledgements that come too early', async (t) => {
  const { size, failures, found, skipped } = await power.run({ size: 1, seed: 5, broken: { early: true } });
  if (size === 0) {
    t.comment(`SKIPPED: ${(skipped as string[]).join(', ')}`);
    return;
  }
  t.ok(failures > 0);
  t.ok(found.some((line) => line.includes('is lost')));
});
