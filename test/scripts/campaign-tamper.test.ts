// The short form of the campaign `tamper`, and that it finds judges who overlook something, or look in the wrong place.
import t from 'tap';
import { verifyLog } from '#core/log/audit.ts';
import { tamper } from '#scripts/campaign/tamper.ts';
import { readArchive } from '#scripts/campaign/tamper-archive-target.ts';

t.setTimeout(120_000);
const SEED = 3;

t.test('tamper: every edit is found, in its place', async (t) => {
  const { size, failures, found, edits } = await tamper.run({ size: 72, seed: SEED });
  t.equal(size, 72);
  t.same(found, []);
  t.equal(failures, 0);
  for (const [what, count] of Object.entries(edits as Record<string, number>)) t.ok(count > 10, `${count} of ${what}`);
});

t.test('tamper finds judges that overlook something', async (t) => {
  const late: typeof verifyLog = async (options) => {
    const audit = await verifyLog(options);
    return { ...audit, firstBadSeq: audit.firstBadSeq === null ? null : audit.firstBadSeq + 1 };
  };
  const { found } = await tamper.run({
    size: 40,
    seed: SEED,
    broken: {
      verify: late,
      readArchive: async (target, objects, newest) => ({ ...(await readArchive(target, objects, newest)), code: null }),
      judgePack: () => 'VALID',
    },
  });
  for (const what of ['log', 'archive', 'pack'])
    t.ok(
      found.some((one) => one.includes(`, ${what}: `)),
      what,
    );
});
