// What of the sealed records is due for destruction, and what is held (docs/evidence.md, Retention and erasure). Pure: days
// with keys, classes and holds go in, a plan comes out; the same rule is asked by who looks, who requests and who approves.
import type { KeyDay } from '#core/log/record-keys.ts';
import { holdsDays } from '#core/retention/entries.ts';
import type { HoldNote, RetentionClass } from '#schemas/retention.ts';

/** A row of days of one class that lie side by side or have nothing between them. */
export interface PlannedDays {
  retention: string;
  firstDay: number;
  lastDay: number;
  keys: number;
}

interface DueDays extends PlannedDays {
  legalBasis: string;
  automatic: boolean;
  /** Days since the first of them should have been gone. */
  overdueDays: number;
}

interface HeldDays extends PlannedDays {
  holds: string[];
}

export interface RetentionPlan {
  /** Days since the epoch, UTC. */
  today: number;
  due: DueDays[];
  held: HeldDays[];
  /** Days of classes that nobody defined: they are never due. */
  undefined: PlannedDays[];
}

/** The last day whose records have been kept for the whole longest time, at the beginning of `today`. */
function lastDueDay({ days }: Pick<RetentionClass, 'days'>, today: number): number {
  return today - days - 1;
}

export function planDestruction(
  keyDays: readonly KeyDay[],
  classes: ReadonlyMap<string, RetentionClass>,
  holds: readonly HoldNote[],
  today: number,
): RetentionPlan {
  const plan: RetentionPlan = { today, due: [], held: [], undefined: [] };
  const alike = new Map<string, PlannedDays>();
  let before = '';
  for (const { retention, day, keys } of keyDays) {
    const own = classes.get(retention);
    const last = own === undefined ? Number.NEGATIVE_INFINITY : lastDueDay(own, today);
    const one = { retention, firstDay: day, lastDay: day, records: 0, keys };
    const holding = holds.filter((hold) => holdsDays(hold, one)).map(({ hold }) => hold);
    const isDue = day <= last;
    // Days that differ in what becomes of them end a row.
    const kind = own === undefined ? 'undefined' : isDue ? `due ${holding.join(' ')}` : 'kept';
    const key = `${retention} ${kind}`;
    const row = key === before ? alike.get(key) : undefined;
    before = key;
    if (row !== undefined) {
      row.lastDay = day;
      row.keys += keys;
      continue;
    }
    const planned: PlannedDays = { retention, firstDay: day, lastDay: day, keys };
    if (own === undefined) alike.set(key, pushed(plan.undefined, planned));
    else if (isDue && holding.length > 0) alike.set(key, pushed(plan.held, { ...planned, holds: holding }));
    else if (isDue) {
      const { legalBasis, automatic } = own;
      alike.set(key, pushed(plan.due, { ...planned, legalBasis, automatic, overdueDays: last - day }));
    }
  }
  return plan;
}

function pushed<T extends PlannedDays>(rows: T[], row: T): T {
  rows.push(row);
  return row;
}

/** Those of the days asked for that no hold of a class or a period keeps, cut where one does. */
export function withoutHeld(
  asked: readonly { retention: string; firstDay: number; lastDay: number }[],
  keyDays: readonly KeyDay[],
  holds: readonly HoldNote[],
): PlannedDays[] {
  const rows: PlannedDays[] = [];
  for (const { retention, firstDay, lastDay } of asked) {
    let row: PlannedDays | undefined;
    for (const { day, keys } of keyDays.filter((one) => one.retention === retention)) {
      if (day < firstDay || day > lastDay) continue;
      const isHeld = (from: number) =>
        holds.some((hold) => holdsDays(hold, { retention, firstDay: from, lastDay: day, records: 0, keys }));
      if (isHeld(day)) {
        row = undefined;
        continue;
      }
      // Nor may a row go over a held day on which there is nothing.
      if (row !== undefined && isHeld(row.lastDay + 1)) row = undefined;
      if (row === undefined) row = pushed(rows, { retention, firstDay: day, lastDay: day, keys });
      else {
        row.lastDay = day;
        row.keys += keys;
      }
    }
  }
  return rows.sort((a, b) =>
    a.retention < b.retention ? -1 : a.retention > b.retention ? 1 : a.firstDay - b.firstDay,
  );
}
