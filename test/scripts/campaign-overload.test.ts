// The short form of campaign `overload`, and once with servers that let everybody in.
import t from 'tap';
import { overload } from '#scripts/campaign/overload.ts';

t.setTimeout(180_000);
const SEED = 30;

t.test('overload: nothing collapses, nothing is lost, who is refused is told so', async (t) => {
  const { failures, found, ...numbers } = await overload.run({ size: 0.5, seed: SEED });
  t.equal(failures, 0, found.join('\n'));
  t.comment(JSON.stringify(numbers));
});

t.test('overload finds servers that let everybody in', async (t) => {
  // They work through all that is too much, ten times as long as they are asked.
  const { found } = await overload.run({ size: 0.1, seed: SEED, broken: { admitAll: true } });
  t.match(found.join('\n'), /nobody was refused of \d+ that were too many/);
});
