// What a purpose must satisfy before it is registered, and which purposes a release of the dictionary may not leave without
// their elements. Pure; days are the instance's legal days (YYYY-MM-DD). The administrator's client controls the purpose,
// and two approvers see every version before it counts.

import { isInUse } from '#policy/binding/leaf.ts';
import { dayOf } from '#policy/calendar.ts';
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Purpose, purposeText } from '#schemas/purpose.ts';
import { summary } from './service-binding.ts';

/** Where a version stands on a day. */
export type PurposeState = 'in-force' | 'not-begun' | 'superseded' | 'ended';

/**
 * The next version of a purpose: its number, its days, its elements.
 * @param versions those registered before, ascending
 * @returns 'same' when that very version is registered already
 * @throws REGISTRATION_EXISTS when the version is registered in other words, PURPOSE_REFUSED, DICTIONARY_MISSING
 */
export function judgePurpose(
  purpose: Purpose,
  versions: readonly Purpose[],
  dictionary: Dictionary | null,
): 'new' | 'same' {
  const name = `${purpose.id}@${purpose.version}`;
  const known = versions.find(({ version }) => version === purpose.version);
  if (known) {
    if (purposeText(known) === purposeText(purpose)) return 'same';
    throw new AccordError('REGISTRATION_EXISTS', `${name}: a version never changes, add version ${nextOf(versions)}`);
  }
  if (purpose.version !== nextOf(versions)) {
    throw new AccordError('PURPOSE_REFUSED', `${name}: the next version is ${nextOf(versions)}`);
  }
  judgeDays(purpose);
  if (dictionary === null) throw new AccordError('DICTIONARY_MISSING', name);
  const unknown = purpose.elements.filter((ref) => !canBeAsked(ref, dictionary));
  if (unknown.length > 0) {
    throw new AccordError('PURPOSE_REFUSED', `${name}: not in use in ${dictionary.release}: ${summary(unknown)}`);
  }
  return 'new';
}

/**
 * The version that ends a purpose on a day: the newest one's words with no day of their own. Until then the versions
 * before it count as they are, so nobody's consent and no access right changes earlier; from then on the purpose is over.
 * @throws PURPOSE_REFUSED when the day is past, or the purpose ends by then anyway
 */
export function endingOf(newest: Purpose, until: string, today: string): Purpose {
  const ending = { ...newest, version: newest.version + 1, from: until, until };
  judgeDays(ending);
  if (until < today) throw new AccordError('PURPOSE_REFUSED', `${until} is past`);
  if (newest.until !== null && newest.until <= until) {
    throw new AccordError('PURPOSE_REFUSED', `${newest.id} ends on ${newest.until} anyway`);
  }
  return ending;
}

/** Of all versions of one purpose, ascending: where each stands on the day. What will never count is superseded already. */
export function statesOf(versions: readonly Purpose[], today: string): PurposeState[] {
  return versions.map(({ from, until }, at) => {
    const begins = from > today ? from : today;
    if (versions.slice(at + 1).some((later) => later.from <= begins)) return 'superseded';
    if (from > today) return 'not-begun';
    return until !== null && until <= today ? 'ended' : 'in-force';
  });
}

/**
 * What a release would take away from purposes that are in force or will be.
 * @param purposes every version, ascending by id, then version
 * @returns one line for each purpose that could not be asked for any more
 */
export function purposesWithout(purposes: readonly Purpose[], next: Dictionary, today: string): string[] {
  const lines: string[] = [];
  for (const versions of Map.groupBy(purposes, ({ id }) => id).values()) {
    const states = statesOf(versions, today);
    for (const [at, { id, version, from, until, elements }] of versions.entries()) {
      const counts = (states[at] === 'in-force' || states[at] === 'not-begun') && (until === null || from < until);
      const lost = counts ? elements.filter((ref) => !canBeAsked(ref, next)) : [];
      if (lost.length > 0) lines.push(`purpose ${id}@${version} needs ${lost.slice(0, 5).join(', ')}`);
    }
  }
  return lines;
}

function nextOf(versions: readonly Purpose[]): number {
  return (versions.at(-1)?.version ?? 0) + 1;
}

function judgeDays({ id, from, until }: Purpose): void {
  for (const day of [from, until]) {
    if (day !== null && !dayOf(day)) throw new AccordError('PURPOSE_REFUSED', `${id}: ${day} is no day`);
  }
  if (until !== null && until < from) throw new AccordError('PURPOSE_REFUSED', `${id}: ends before it begins`);
}

/** An element or a predicate that is in use. */
function canBeAsked(ref: string, dictionary: Dictionary): boolean {
  const entry = dictionary.element(ref) ?? dictionary.predicate(ref);
  return entry !== undefined && isInUse(entry);
}
