// Laws of the plan: what is due is old enough and not held, and nothing that is old enough is forgotten.
import fc from 'fast-check';
import t from 'tap';
import { holdsDays } from '#core/retention/entries.ts';
import type { HeldScope, HoldNote, RetentionClass } from '#schemas/retention.ts';
import { openRetentionClasses } from '#security-server/retention/classes.ts';
import { planDestruction, withoutHeld } from '#security-server/retention/plan.ts';
import { openRetentionStoreSqlite } from '#security-server/retention/retention-sqlite.ts';
import { person } from './destroyer.ts';

const CLASSES = new Map<string, RetentionClass>(
  [
    ['a', 3],
    ['b', 20],
  ].map(([name, days]) => [
    String(name),
    { name: String(name), title: 'x', days: Number(days), legalBasis: 'x', automatic: false },
  ]),
);
const retention = fc.constantFrom('a', 'b', 'c');
const day = fc.nat({ max: 40 });
const scope: fc.Arbitrary<HeldScope> = fc.oneof(
  retention.map((name) => ({ kind: 'class' as const, retention: name })),
  fc
    .tuple(day, fc.nat({ max: 5 }))
    .map(([firstDay, more]) => ({ kind: 'period' as const, firstDay, lastDay: firstDay + more })),
  fc.constant<HeldScope>({ kind: 'exchanges', ids: ['x'] }),
);
const holds = fc.array(scope, { maxLength: 3 }).map((scopes) =>
  scopes.map((scope, i): HoldNote => {
    return { v: 1, hold: `hold-${i}`, placed: person('Zhao'), scope, legalBasis: 'x', reason: 'x' };
  }),
);
const keyDays = fc
  .uniqueArray(fc.record({ retention, day, keys: fc.integer({ min: 1, max: 9 }) }), {
    selector: ({ retention, day }) => `${retention} ${day}`,
  })
  .map((all) =>
    all.toSorted((x, y) => (x.retention < y.retention ? -1 : x.retention > y.retention ? 1 : x.day - y.day)),
  );

t.test('due, held, kept, undefined: each day is exactly one of them', async () => {
  const within = (
    row: { retention: string; firstDay: number; lastDay: number },
    one: { retention: string; day: number },
  ) => row.retention === one.retention && row.firstDay <= one.day && one.day <= row.lastDay;
  fc.assert(
    fc.property(keyDays, holds, fc.integer({ min: 20, max: 45 }), (all, holds, today) => {
      const plan = planDestruction(all, CLASSES, holds, today);
      const rows = withoutHeld(plan.due, all, holds);
      const isHeldAt = (retention: string, at: number) =>
        holds.some((hold) => holdsDays(hold, { retention, firstDay: at, lastDay: at, records: 0, keys: 0 }));
      const isRight = all.every((one) => {
        const [due, held, unknown] = [plan.due, plan.held, plan.undefined].map((some) =>
          some.some((row) => within(row, one)),
        );
        const own = CLASSES.get(one.retention);
        const isOld = own !== undefined && one.day + own.days < today;
        const isHeld = isHeldAt(one.retention, one.day);
        const goes = rows.some((row) => within(row, one));
        return (
          due === (isOld && !isHeld) && held === (isOld && isHeld) && unknown === (own === undefined) && goes === due
        );
      });
      const noHeldDay = rows.every((row) => {
        const days = Array.from({ length: row.lastDay - row.firstDay + 1 }, (_, i) => row.firstDay + i);
        return !days.some((at) => isHeldAt(row.retention, at));
      });
      const sum = (some: readonly { keys: number }[]) => some.reduce((all, { keys }) => all + keys, 0);
      return isRight && noHeldDay && sum(rows) === sum(plan.due);
    }),
    { numRuns: 500 },
  );
});

t.test('of several classes the longest; one that nobody defined is longer than all', async (t) => {
  const classes = openRetentionClasses(openRetentionStoreSqlite(':memory:'));
  const wanted = { name: 'a', title: 'x', days: 3, legalBasis: 'x', automatic: false };
  classes.ask(wanted, person('Zhao'));
  classes.approve('a', person('Sun'), wanted);
  t.same(
    [[], ['a'], ['a', 'a'], ['a', 'standard'], ['standard', 'a', 'c'], ['c']].map((names) => classes.longest(names)),
    ['standard', 'a', 'a', 'standard', 'c', 'c'],
  );
});
