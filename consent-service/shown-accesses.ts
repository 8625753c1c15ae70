// What departments answered to a citizen, while it is looked at: in memory alone, under the session that asked, for a quarter
// of an hour. It is never written anywhere, so that the consent service does not become the place that knows everything.
import type { Clock } from '#core/clock.ts';
import type { DoubtStatus } from '#schemas/doubt.ts';
import { ACCESSES_SHOWN_MS, MAX_ACCESSES_HELD, MAX_ACCESSES_SHOWN } from '#schemas/limits.ts';
import type { AccessesAnswer } from './departments.ts';

export interface ShownAnswer extends AccessesAnswer {
  /** More came than are shown. */
  isCut: boolean;
}

export interface ShownAccesses {
  /** @param session name that stays the same from sign-in to sign-out */
  keep(session: string, answer: AccessesAnswer): void;
  find(session: string): ShownAnswer | null;
  addDoubt(session: string, doubt: DoubtStatus): void;
  /** Drops what is too old. */
  sweep(): void;
}

export function openShownAccesses(clock: Clock): ShownAccesses {
  /** The oldest first. */
  const held = new Map<string, { answer: ShownAnswer; untilMs: number }>();
  const sizeOf = ({ accesses, departments, doubts }: AccessesAnswer) =>
    accesses.length + departments.length + doubts.length;
  let size = 0;
  const drop = (session: string) => {
    const found = held.get(session);
    if (found === undefined) return;
    held.delete(session);
    size -= sizeOf(found.answer);
  };
  const sweep = () => {
    const nowMs = clock.monotonicMs();
    for (const [session, { untilMs }] of held) if (untilMs <= nowMs || size > MAX_ACCESSES_HELD) drop(session);
  };
  const keep = (session: string, answer: ShownAnswer, untilMs: number) => {
    drop(session);
    held.set(session, { answer, untilMs });
    size += sizeOf(answer);
    sweep();
  };
  return {
    keep(session, { accesses, ...answer }) {
      const shown = accesses.slice(0, MAX_ACCESSES_SHOWN);
      const isCut = shown.length < accesses.length;
      keep(session, { ...answer, accesses: shown, isCut }, clock.monotonicMs() + ACCESSES_SHOWN_MS);
    },
    find(session) {
      sweep();
      return held.get(session)?.answer ?? null;
    },
    addDoubt(session, doubt) {
      const found = held.get(session);
      if (found === undefined) return;
      const doubts = [doubt, ...found.answer.doubts.filter(({ id }) => id !== doubt.id)];
      keep(session, { ...found.answer, doubts }, found.untilMs);
    },
    sweep,
  };
}
