// A mandate as its faces see it: as it stands now, also when no record of its end is written yet.
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { dayAt } from '#policy/calendar.ts';
import { memberOf } from '#schemas/identifiers.ts';
import type { Person } from './consents.ts';
import { knownWords } from './known-words.ts';
import { endOf, isActive } from './mandate-state.ts';
import type { Mandates, MandateView } from './mandates.ts';
import type { Persons } from './people.ts';
import type { MandateRow } from './store.ts';

export function mandateView(
  row: MandateRow,
  { represented, representative }: Persons,
  snapshot: ConfigurationSnapshot,
  nowMs: number,
): MandateView {
  const ended = endOf(row, nowMs, snapshot.utcOffsetMinutes);
  const today = dayAt(nowMs, snapshot.utcOffsetMinutes);
  const titleOf = (purpose: string) => snapshot.purpose(purpose, today)?.purpose.title ?? null;
  const { id, kind, register, maxLevel, notBeforeMs, validUntilMs, majorityOn, answerUntilMs, filedAtMs } = row;
  return {
    ...{ id, kind, maxLevel, notBeforeMs, validUntilMs, majorityOn, answerUntilMs, filedAtMs },
    state: ended === null ? row.state : 'ENDED',
    reason: row.reason ?? ended,
    register: register === null ? null : { id: register, name: snapshot.memberName(memberOf(register)) ?? register },
    represented: represented.name,
    representative: representative.name,
    purposes: row.purposes?.map((purpose) => ({ id: purpose, title: titleOf(purpose) })) ?? null,
    endedAtMs: row.endedAtMs,
    isActive: isActive(row, nowMs, snapshot.utcOffsetMinutes),
  };
}

/** The newest version of each purpose that is in force and rests on consent. */
export function choicesOf(
  snapshot: ConfigurationSnapshot,
  { subjects }: Person,
  nowMs: number,
): ReturnType<Mandates['choices']> {
  const words = knownWords(snapshot);
  const today = dayAt(nowMs, snapshot.utcOffsetMinutes);
  const schemes = [...subjects, ...snapshot.identityProviders()].map(({ scheme }) => scheme);
  const ids = [...new Set(snapshot.purposes().map(({ id }) => id))];
  return {
    schemes: [...new Set(schemes)].map((ref) => ({ ref, label: words.item(ref) })),
    purposes: ids.flatMap((id) => {
      const purpose = snapshot.purpose(id, today)?.purpose;
      return purpose?.bases.includes('consent') === true ? [{ id, title: purpose.title }] : [];
    }),
  };
}
