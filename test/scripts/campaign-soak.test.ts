// The short form of campaign `soak`, and then the same servers when they keep a file open with every record.
import t from 'tap';
import { growth, soak } from '#scripts/campaign/soak.ts';

t.setTimeout(180_000);
const SEED = 40;
const MINUTES = 0.02;

t.test('soak: every request ends as it should, nothing grows', async (t) => {
  const thenBroken = { leaks: true };
  const { failures, found, foundBroken, ...numbers } = await soak.run({ size: MINUTES, seed: SEED, thenBroken });
  t.equal(failures, 0, found.join('\n'));
  t.comment(JSON.stringify(numbers));
  t.match((foundBroken as string[]).join('\n'), /more open files in the second half/, 'servers that leak');
});

t.test('growth is that of the line of best fit through the second half', async (t) => {
  t.equal(growth([9, 1, 50, 3, 10, 12, 14, 16]), 6, 'what came before does not count');
  t.equal(growth([0, 0, 0, 0, 5, 5, 5, 5]), 0);
  t.ok(growth([0, 0, 0, 0, 10, 30, 10, 10]) < 0, 'one high look is no growth');
  t.equal(growth([7]), 0);
});
