// The short form of campaign `overload`, and then the same servers once more when they let everybody in.
import t from 'tap';
import { overload } from '#scripts/campaign/overload.ts';

t.setTimeout(180_000);
const SEED = 30;

t.test('overload: nothing collapses, nothing is lost, who is refused is told so', async (t) => {
  const thenBroken = { admitAll: true };
  const { failures, found, foundBroken, ...numbers } = await overload.run({ size: 0.1, seed: SEED, thenBroken });
  t.equal(failures, 0, found.join('\n'));
  t.comment(JSON.stringify(numbers));
  // They work through all that is too much, ten times as long as they are asked.
  t.match((foundBroken as string[]).join('\n'), /nobody was refused of \d+ that were too many/);
});
