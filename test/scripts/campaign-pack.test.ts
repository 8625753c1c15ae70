// The short form of the campaign `pack`, and that it finds a library that overlooks what is damaged.
import t from 'tap';
import { pack } from '#scripts/campaign/pack.ts';

t.setTimeout(120_000);

t.test('single bytes of a pack and of its files, a few also for the script', async (t) => {
  const { failures, found, flips } = await pack.run({ size: 2, seed: 7 });
  t.same(found, []);
  t.equal(failures, 0);
  t.ok(Number(flips) > 500, `${flips} bytes`);
});

t.test('a library that believes everything', async (t) => {
  const { failures, found } = await pack.run({ size: 1, seed: 7, broken: () => 'VALID' });
  t.ok(failures > 100, `${failures} failures`);
  t.ok(found.some((line) => line.includes('script INVALID')));
});
