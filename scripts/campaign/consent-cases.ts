// Random cases of campaign `consent`, described in the words of whoever judges them: what is asked, what was consented to,
// what became of it, what time it is. A case begins as one in which everything is right; then none to three things go wrong.

import type { Basis } from '#schemas/statement.ts';
import type { Source } from '#scripts/demo/random.ts';
import { EMERGENCIES } from './consent-emergencies.ts';
import {
  ALL_FIELDS,
  CLIENTS,
  type Client,
  FIELDS,
  type Field,
  ISSUERS,
  PURPOSES,
  type PurposeName,
  type Right,
  SERVICES,
  type Service,
  TOGETHER,
} from './consent-facts.ts';
import { SPOILS, type Spoil } from './consent-forgeries.ts';

type Issuer = (typeof ISSUERS)[number];

export interface ConsentTerms {
  issuer: Issuer;
  /** Whose key signed it; `stranger` is a key that nobody registered, under the name of the issuer's. */
  signedBy: Issuer | 'stranger';
  /** The consent service under whose address the status list stands. */
  listOf: Issuer;
  client: Client;
  service: Service;
  /** Provider's subsystem. */
  provider: string;
  purpose: PurposeName;
  /** Of the purpose's words. */
  version: number;
  fields: Field[];
  subject: string;
  scheme: 'gx.id@1' | 'gx.name@1';
  fromS: number;
  untilS: number;
  uses: number | null;
  usedBefore: number;
  /** So many within any so many days, and when it was used before. */
  frequency: { uses: number; days: number; usedAtMs: number[] } | null;
  /** What was done to the text, or to what was signed; null when nothing was. */
  spoiled: Spoil | null;
  /** `young`: made when it is fetched; `dated`: signed at that time; the others cannot be used by anybody. */
  list: { is: ListIs; signedMs: number | null; says: 'valid' | 'withdrawn' | 'suspended' | 'reserved' | 'nothing' };
}

export type ListIs = 'young' | 'dated' | (typeof USELESS_LISTS)[number];
const USELESS_LISTS = ['away', 'by another key', 'for another address', 'from tomorrow', 'past its end'] as const;

export interface ConsentCase {
  nowMs: number;
  /** How far the provider's clock is from the truth. */
  aheadMs: number;
  /** The newest time in the provider's log: no days of a frequency end before it. */
  seenMs: number;
  rights: readonly Right[];
  request: {
    client: Client;
    service: Service;
    basis: Basis;
    purpose: PurposeName;
    /** Identifier in the request; null where the placeholder stands. */
    literal: string | null;
    fields: Field[];
    partial: boolean;
    /** Names an official and a case number. */
    official: boolean;
    /** How many such requests are sent side by side. */
    atOnce: number;
  };
  receipt: ConsentTerms | null;
  /** Tokens of officials that the request carries; only `opened` are two people's for exactly this. */
  emergency: (typeof EMERGENCIES)[number] | null;
  /** What went wrong, for people. */
  wrong: string[];
}

/** Milliseconds within the second at which a case happens: 0 and its neighbours are where times of whole seconds end. */
export const MOMENTS = [0, 0, 1, 999, 999, 500] as const;
export const DAY_MS = 86_400_000;
const AGES_S = [19, 20, 59, 60, 119, 120, 121] as const;
const AHEAD_MS = [1, 999, 5_000, 5_001, 20_000, 60_000, 120_001] as const;

type Mutation = (one: ConsentCase, terms: ConsentTerms, chance: Source) => unknown;

/** `weight` says how often. Those that set a clock come with a list of a known age. */
const MUTATIONS: readonly (readonly [name: string, weight: number, apply: Mutation])[] = [
  ['literal', 4, ({ request }, { subject }) => Object.assign(request, { literal: subject })],
  ['other subject', 4, ({ request }, _, chance) => Object.assign(request, { literal: newSubject(chance) })],
  ['scheme', 1, (_, terms) => Object.assign(terms, { scheme: 'gx.name@1' })],
  [
    'purpose asked',
    4,
    ({ request }, _, chance) => Object.assign(request, { purpose: otherPurpose(chance, request.purpose) }),
  ],
  ['purpose consented', 4, (_, terms, chance) => Object.assign(terms, wordsOf(otherPurpose(chance, terms.purpose)))],
  ['both purposes', 2, bothPurposes],
  ['words', 3, (_, terms, chance) => Object.assign(terms, { version: terms.version + chance.pick([-1, 1]) })],
  ['client asked', 3, ({ request }) => Object.assign(request, { client: otherClient(request.client) })],
  ['client consented', 3, (_, terms) => Object.assign(terms, { client: otherClient(terms.client) })],
  ['both clients', 2, bothClients],
  ['service asked', 3, ({ request }, _, chance) => Object.assign(request, { service: chance.pick(SERVICES) })],
  ['service consented', 3, (_, terms, chance) => Object.assign(terms, { service: chance.pick(SERVICES) })],
  ['service with provider', 2, otherService],
  ['provider', 2, (_, terms) => Object.assign(terms, { provider: 'DEV/GOV/2002/clinic2' })],
  ['more fields', 9, moreFields],
  ['fewer fields consented', 9, fewerFields],
  ['uses', 9, usesOf],
  ['frequency', 9, frequencyOf],
  ['side by side', 2, ({ request }, _, chance) => Object.assign(request, { atOnce: chance.integer(2, 4) })],
  [
    'begins',
    4,
    (one, terms, chance) => Object.assign(terms, { fromS: second(one.nowMs) + chance.pick([0, 0, 1, 2, 60]) }),
  ],
  [
    'ends',
    6,
    (one, terms, chance) => Object.assign(terms, { untilS: second(one.nowMs) + chance.pick([-60, -1, 0, 0, 1, 1]) }),
  ],
  ['clock ahead', 5, clockAhead],
  [
    'clock behind',
    5,
    (one, _, chance) => Object.assign(one, { aheadMs: -chance.pick([1, 999, 4_999, 5_000, 5_001, 70_000]) }),
  ],
  ['age of the list', 12, agedList],
  ['list of no use', 6, uselessList],
  ['status', 12, (_, { list }, chance) => Object.assign(list, { says: chance.pick(ENDED_STATUSES) })],
  ['list elsewhere', 3, (_, terms, chance) => Object.assign(terms, { listOf: chance.pick(ISSUERS) })],
  ['signature', 4, (_, terms, chance) => Object.assign(terms, { signedBy: chance.pick([...ISSUERS, 'stranger']) })],
  ['issuer', 3, (_, terms, chance) => Object.assign(terms, { issuer: chance.pick(ISSUERS) })],
  ['consent service', 3, otherConsentService],
  ['forgery', 14, (_, terms, chance) => Object.assign(terms, { spoiled: chance.pick(SPOILS) })],
  ['basis', 9, otherBasis],
  ['no receipt', 3, (one) => Object.assign(one, { receipt: null })],
];
const ENDED_STATUSES = ['withdrawn', 'withdrawn', 'suspended', 'suspended', 'reserved', 'nothing'] as const;
const SUM = MUTATIONS.reduce((sum, [, weight]) => sum + weight, 0);
const WEIGHTS = MUTATIONS.map(([, weight]) => weight / SUM);

/** @param nowMs the true time at which it happens @param rights those granted now */
export function makeCase(chance: Source, nowMs: number, rights: readonly Right[], seenMs: number): ConsentCase {
  const one = rightCase(chance, nowMs, rights, seenMs);
  for (let left = chance.weighted([0.2, 0.45, 0.22, 0.13]); left > 0; left -= 1) {
    const mutation = MUTATIONS[chance.weighted(WEIGHTS)];
    if (mutation === undefined || one.receipt === null) continue;
    const [name, , apply] = mutation;
    apply(one, one.receipt, chance);
    one.wrong.push(name);
  }
  // A list made while it is fetched has no age that could be told beforehand.
  const list = one.receipt?.list;
  if (list?.is === 'young' && one.aheadMs > 0) Object.assign(list, { is: 'dated', signedMs: second(nowMs) * 1000 });
  return one;
}

function rightCase(chance: Source, nowMs: number, rights: readonly Right[], seenMs: number): ConsentCase {
  const usable = rights.filter(
    ({ bases, ended, pinned }) => bases.includes('consent') && !ended && pinned === undefined,
  );
  const { client, service, purposes, fields } = chance.pick(usable);
  const purpose = chance.pick(purposes.filter((name) => name !== 'old'));
  const possible = fields.filter((field) => (PURPOSES[purpose].fields as readonly Field[]).includes(field));
  const wanted = some(chance, possible, 3);
  const asked =
    wanted.some((field) => TOGETHER.includes(field)) && chance.chance(0.9) ? [...wanted, ...TOGETHER] : wanted;
  const subject = newSubject(chance);
  const issuer = chance.pick(ISSUERS.slice(0, 2));
  const nowS = second(nowMs);
  return {
    nowMs,
    aheadMs: 0,
    seenMs,
    rights,
    request: {
      ...{ client, service, basis: 'consent', purpose, literal: null, fields: [...new Set(asked)] },
      ...{ partial: chance.chance(0.3), official: false, atOnce: 1 },
    },
    receipt: {
      ...{ issuer, signedBy: issuer, listOf: issuer, client, service, provider: service.replace(/\/[^/]+$/, '') },
      ...wordsOf(purpose),
      ...{ fields: [...new Set([...asked, ...some(chance, ALL_FIELDS, 2)])], subject, scheme: 'gx.id@1' },
      ...{
        fromS: nowS - chance.integer(0, 1_000),
        untilS: nowS + chance.integer(2, 100_000),
        uses: null,
        usedBefore: 0,
        frequency: null,
      },
      spoiled: null,
      list: { is: 'young', signedMs: nowMs, says: 'valid' },
    },
    emergency: null,
    wrong: [],
  };
}

function second(ms: number): number {
  return Math.floor(ms / 1000);
}

/** Nobody is asked about twice, so that nothing is counted from one case to the next. */
function newSubject(chance: Source): string {
  return `${chance.integer(1, 9)}${String(chance.integer(0, 999_999_999)).padStart(9, '0')}`;
}

function some<T>(chance: Source, list: readonly T[], most: number): T[] {
  return Array.from({ length: chance.integer(1, most) }, () => chance.pick(list));
}

function wordsOf(purpose: PurposeName): { purpose: PurposeName; version: number } {
  return { purpose, version: PURPOSES[purpose].version };
}

function otherPurpose(chance: Source, than: PurposeName): PurposeName {
  return chance.pick((Object.keys(PURPOSES) as PurposeName[]).filter((name) => name !== than));
}

function otherClient(than: Client): Client {
  return CLIENTS.find((client) => client !== than) ?? than;
}

function bothPurposes({ request }: ConsentCase, terms: ConsentTerms, chance: Source): void {
  request.purpose = otherPurpose(chance, request.purpose);
  Object.assign(terms, wordsOf(request.purpose));
}

function bothClients({ request }: ConsentCase, terms: ConsentTerms): void {
  request.client = otherClient(request.client);
  terms.client = request.client;
}

function otherService(_: ConsentCase, terms: ConsentTerms, chance: Source): void {
  terms.service = chance.pick(SERVICES);
  terms.provider = terms.service.replace(/\/[^/]+$/, '');
}

function moreFields({ request }: ConsentCase, _: ConsentTerms, chance: Source): void {
  request.fields = [...new Set([...request.fields, ...some(chance, ALL_FIELDS, 3)])];
}

function fewerFields(_: ConsentCase, terms: ConsentTerms, chance: Source): void {
  const gone = chance.pick(terms.fields);
  terms.fields = terms.fields.length > 1 ? terms.fields.filter((field) => field !== gone) : [chance.pick(ALL_FIELDS)];
}

function usesOf({ request }: ConsentCase, terms: ConsentTerms, chance: Source): void {
  terms.uses = chance.integer(1, 3);
  terms.usedBefore = chance.integer(0, 3);
  request.atOnce = chance.integer(1, 4);
}

function frequencyOf(one: ConsentCase, terms: ConsentTerms, chance: Source): void {
  const { uses, days } = { uses: chance.integer(1, 3), days: chance.pick([1, 30]) };
  const windowMs = days * DAY_MS;
  const beginsMs = Math.max(one.nowMs + Math.max(0, one.aheadMs), one.seenMs) - windowMs;
  const usedAtMs = Array.from(
    { length: chance.integer(0, 4) },
    () => beginsMs + chance.pick([-windowMs, -1, 0, 0, 1, 1, 60_000, windowMs - 1]),
  );
  terms.frequency = { uses, days, usedAtMs };
  one.request.atOnce = chance.integer(1, 4);
}

function clockAhead(one: ConsentCase, { list }: ConsentTerms, chance: Source): void {
  one.aheadMs = chance.pick(AHEAD_MS);
  if (list.is === 'young') Object.assign(list, { is: 'dated', signedMs: second(one.nowMs) * 1000 });
}

function agedList(one: ConsentCase, { list }: ConsentTerms, chance: Source): void {
  // The bound of what is asked, exactly, as often as any other.
  const level = Math.max(...one.request.fields.map((field) => FIELDS[field].level));
  const own = [120, 120, 120, 60, 20][level] ?? 20;
  const ageS = chance.chance(0.5) ? own : chance.pick(AGES_S);
  Object.assign(list, { is: 'dated', signedMs: (second(one.nowMs) - ageS) * 1000 });
}

function uselessList(_: ConsentCase, { list }: ConsentTerms, chance: Source): void {
  Object.assign(list, { is: chance.pick(USELESS_LISTS), signedMs: null });
}

function otherConsentService(_: ConsentCase, terms: ConsentTerms, chance: Source): void {
  const issuer = chance.pick(ISSUERS);
  Object.assign(terms, { issuer, signedBy: issuer, listOf: issuer });
}

/** The receipt is sent along on another basis, where it is worth nothing. */
function otherBasis(one: ConsentCase, { subject }: ConsentTerms, chance: Source): void {
  const { request } = one;
  request.basis = chance.pick(['law', 'law', 'emergency', 'emergency', 'open'] as const);
  request.official = chance.chance(0.8);
  request.literal = chance.pick([null, subject, newSubject(chance)]);
  const tokens = chance.pick([null, 'opened', 'opened', 'opened', ...EMERGENCIES] as const);
  one.emergency = request.basis === 'emergency' ? tokens : null;
}
