// What may become of a mandate, who may cause it, and how far a mandate reaches: pure rules that the service asks before
// it writes a record and again for every record it reads back (DESIGN: who may ask for what, Consent).
//
//   citizen's:   OFFERED → ACTIVE → ENDED   (declined by the other, lapsed unanswered, withdrawn at any time, resigned)
//   register's:  ACTIVE → ENDED             (revoked by the register, at majority, at its end)
//
// What a register filed is not the two persons' to end; what the representative does with it, the represented person can
// undo at any time.
import { dayAt } from '#policy/calendar.ts';
import type { GivenConsent, MandateRecord } from '#schemas/consent.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { MAX_CITIZEN_MANDATE_DAYS, MAX_CITIZEN_MANDATE_LEVEL, MAX_REGISTER_MANDATE_DAYS } from '#schemas/limits.ts';
import type { MandateEnd, MandateState, MandateTerms } from '#schemas/mandate.ts';
import { AccordError, type ProblemCode } from '#schemas/problems.ts';

type Actor = MandateRecord['by'];
type AskedItems = {
  services: readonly { service: string; items: readonly { element: string; level: Level }[] }[];
};

const DAY_MS = 86_400_000;

/** For a citizen's mandate and a register's: from each state (and reason, at the end) to the one who may cause it. */
const STEPS: Readonly<Record<'citizen' | 'register', Readonly<Record<string, Actor>>>> = {
  citizen: {
    'none OFFERED': 'represented',
    'OFFERED ACTIVE': 'representative',
    'OFFERED ENDED withdrawn': 'represented',
    'OFFERED ENDED declined': 'representative',
    'OFFERED ENDED lapsed': 'service',
    'ACTIVE ENDED withdrawn': 'represented',
    'ACTIVE ENDED resigned': 'representative',
    'ACTIVE ENDED expired': 'service',
  },
  register: {
    'none ACTIVE': 'register',
    'ACTIVE ENDED revoked': 'register',
    'ACTIVE ENDED expired': 'service',
    'ACTIVE ENDED majority': 'service',
  },
};

export type MandateStep = Pick<MandateRecord, 'state' | 'by' | 'atMs' | 'terms' | 'reason'> & { signIn?: unknown };

/** Whether `record` may follow; null when it may. @param last state before, with the terms; null for the first */
export function mandateMayFollow(
  last: { state: MandateState; terms: MandateTerms } | null,
  record: MandateStep,
): ProblemCode | null {
  const terms = last?.terms ?? record.terms;
  if ((record.terms !== undefined) !== (last === null) || terms === undefined) return 'CONSENT_RECORDS_DAMAGED';
  if ((record.reason !== undefined) !== (record.state === 'ENDED')) return 'CONSENT_RECORDS_DAMAGED';
  const agrees = terms.kind === 'citizen' && record.state !== 'ENDED';
  if ((record.signIn !== undefined) !== agrees) return 'CONSENT_RECORDS_DAMAGED';
  if (last === null && termsFault(terms, record.atMs) !== null) return 'MANDATE_OUT_OF_BOUNDS';
  const step = [last?.state ?? 'none', record.state, ...(record.reason === undefined ? [] : [record.reason])].join(' ');
  const machine = STEPS[terms.kind === 'citizen' ? 'citizen' : 'register'];
  const actor = Object.hasOwn(machine, step) ? machine[step] : undefined;
  if (actor !== record.by) return 'MANDATE_TRANSITION_REFUSED';
  return record.reason === 'majority' && terms.majorityOn === null ? 'MANDATE_TRANSITION_REFUSED' : null;
}

/** What is wrong with the terms of a mandate that is made now; null when nothing is. */
export function termsFault(terms: MandateTerms, nowMs: number): string | null {
  const { kind, represented, representative, notBeforeMs, validUntilMs, majorityOn, maxLevel } = terms;
  const isCitizens = kind === 'citizen';
  if (represented === representative) return 'nobody represents themself';
  if (validUntilMs <= notBeforeMs || validUntilMs <= nowMs) return 'validUntilMs: it would have ended';
  const days = isCitizens ? MAX_CITIZEN_MANDATE_DAYS : MAX_REGISTER_MANDATE_DAYS;
  if (validUntilMs > Math.max(nowMs, notBeforeMs) + days * DAY_MS) return `validUntilMs: at most ${days} days`;
  if (notBeforeMs > nowMs + MAX_CITIZEN_MANDATE_DAYS * DAY_MS) return 'notBeforeMs: at most a year ahead';
  if (isCitizens && maxLevel > MAX_CITIZEN_MANDATE_LEVEL) return `maxLevel: at most ${MAX_CITIZEN_MANDATE_LEVEL}`;
  if ((kind === 'guardian') !== (majorityOn !== null)) return 'majorityOn: for guardians, and for nobody else';
  if (majorityOn !== null && isMajor(majorityOn, nowMs, LATEST_ZONE)) return 'majorityOn: that day has come';
  if (isCitizens !== (terms.answerUntilMs !== null) || isCitizens !== (terms.register === null)) return 'kind';
  return null;
}

/** Minutes: no legal day begins later. Where it has come, it has come everywhere. */
const LATEST_ZONE = -720;

function isMajor(majorityOn: string, nowMs: number, utcOffsetMinutes: number): boolean {
  return dayAt(nowMs, utcOffsetMinutes) >= majorityOn;
}

/** Why time has ended it, or null: majority first, because other things follow from it. */
export function endOf(
  {
    state,
    validUntilMs,
    majorityOn,
    answerUntilMs,
  }: Pick<MandateTerms, 'validUntilMs' | 'majorityOn' | 'answerUntilMs'> & {
    state: MandateState;
  },
  nowMs: number,
  utcOffsetMinutes: number,
): MandateEnd | null {
  if (state === 'ENDED') return null;
  if (majorityOn !== null && isMajor(majorityOn, nowMs, utcOffsetMinutes)) return 'majority';
  if (state === 'OFFERED') return (answerUntilMs ?? 0) <= nowMs || validUntilMs <= nowMs ? 'lapsed' : null;
  return validUntilMs <= nowMs ? 'expired' : null;
}

type Standing = MandateTerms & { state: MandateState };

/** Accepted or filed, begun, and not ended; a record of its end need not be there yet. */
export function isActive(mandate: Standing, nowMs: number, utcOffsetMinutes: number): boolean {
  return mandate.state === 'ACTIVE' && mandate.notBeforeMs <= nowMs && endOf(mandate, nowMs, utcOffsetMinutes) === null;
}

export function reachesPurpose({ purposes }: Pick<MandateTerms, 'purposes'>, purpose: string): boolean {
  return purposes === null || purposes.includes(purpose);
}

/** The items (`service element`) that lie above its level. @param given null for everything that was asked */
export function itemsAbove(
  { maxLevel }: Pick<MandateTerms, 'maxLevel'>,
  asked: AskedItems,
  given: GivenConsent['given'] | null,
): string[] {
  const chosen = given?.flatMap(({ service, elements }) => elements.map((element) => `${service} ${element}`));
  return asked.services.flatMap(({ service, items }) =>
    items
      .filter(({ level }) => level > maxLevel)
      .map(({ element }) => `${service} ${element}`)
      .filter((item) => chosen === undefined || chosen.includes(item)),
  );
}

/**
 * Whether a decided consent is within the mandate. A citizen's helper touches what was decided under this very mandate;
 * a guardian or a person a court named stands in for the person altogether.
 */
export function reachesDecided(
  { kind, id }: { kind: MandateTerms['kind']; id: string },
  decidedUnder: string | null,
): boolean {
  return kind !== 'citizen' || decidedUnder === id;
}

/** @throws MANDATE_EXCEEDED naming the items */
export function requireWithin(
  mandate: Pick<MandateTerms, 'maxLevel'>,
  asked: AskedItems,
  given: GivenConsent['given'] | null,
): void {
  const above = itemsAbove(mandate, asked, given);
  if (above.length > 0) throw new AccordError('MANDATE_EXCEEDED', `above level ${mandate.maxLevel}: ${above[0]}`);
}
