// Campaign `consent`: pairs of a consent and a request, most of them wrong in one to three ways, judged by the provider's own
// steps and, every fiftieth, over both servers. Nothing leaves that an independent oracle (consent-oracle.ts) would not let
// go, everything that it would does, and a receipt that is foreign, forged or for something else is answered exactly as a
// text of no meaning is.
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '#core/clock.ts';
import { STATUS_FETCH_TIMEOUT_MS } from '#schemas/limits.ts';
import { randomFrom, type Source } from '#scripts/demo/random.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import { askHere, askThere, type BrokenConsent, type Carried, type Told } from './consent-ask.ts';
import { type ConsentCase, type ConsentTerms, DAY_MS, MOMENTS, makeCase } from './consent-cases.ts';
import { emergencyTokens } from './consent-emergencies.ts';
import { ISSUERS, RIGHTS, type Right } from './consent-facts.ts';
import { mayLeave, type Verdict } from './consent-oracle.ts';
import { mintReceipt } from './consent-receipts.ts';
import { accessRightOf } from './consent-registrations.ts';
import { type ConsentSetting, openConsentSetting } from './consent-setting.ts';

/** One of so many goes over both servers. */
const OVER_SERVERS = 50;
/** After so many cases a right is taken away or given back. */
const RIGHTS_CHANGE = 400;
const MAX_FOUND = 20;
/** Every way in which a consent does not count (policy/check-consent.ts); a run that never sees one has tried nothing. */
export const CONSENT_CODES = [
  ...['CONSENT_REQUIRED', 'CLOCK_DOUBTED', 'RECEIPT_REFUSED', 'CONSENT_EXPIRED', 'STATUS_STALE'],
  ...['CONSENT_SUSPENDED', 'CONSENT_WITHDRAWN', 'CONSENT_USES_SPENT', 'CONSENT_TOO_OFTEN'],
] as const;
/** Each at least once in so many cases, of which there are always more. */
const CASES_PER_CODE = 400;

interface Counts {
  released: number;
  refused: number;
  foreign: number;
  overServers: number;
  wronglyReleased: number;
  wronglyRefused: number;
  toldApart: number;
  /** Asked again or not judged, because the machine was too slow to fetch a list. */
  slow: number;
  codes: Record<string, number>;
  wrong: Record<string, number>;
}

/** What is wrong with the answers, for people. */
function judgeAnswers(told: readonly Told[], verdict: Verdict, counts: Counts): string[] {
  const found: string[] = [];
  const isEmpty = ({ body, predicates }: Told) => Object.keys(body).length === 0 && predicates.length === 0;
  const answers = told.filter((each) => !isEmpty(each));
  const isRight = (each: Told) =>
    isDeepStrictEqual(each.body, verdict.body) && isDeepStrictEqual(each.predicates, verdict.predicates);
  const shown = ({ body, predicates }: Pick<Told, 'body' | 'predicates'>) => JSON.stringify({ ...body, predicates });
  if (answers.length > verdict.answered) {
    counts.wronglyReleased += 1;
    found.push(`released ${answers.length} times, not ${verdict.answered}: ${answers.slice(0, 1).map(shown).join()}`);
  } else if (answers.length < verdict.answered) {
    counts.wronglyRefused += 1;
    const codes = told.map(({ code, detail }) => `${code} ${detail}`).join();
    found.push(`released ${answers.length} times, not ${verdict.answered}: ${codes}`);
  }
  const other = answers.find((each) => !isRight(each));
  if (other !== undefined && verdict.answered > 0) {
    counts.wronglyReleased += 1;
    found.push(`released ${shown(other)}, not ${shown(verdict)}`);
  }
  counts.released += answers.length;
  counts.refused += told.length - answers.length;
  return found;
}

/** The same request with a text of no meaning: who asks learns nothing more from a foreign receipt. */
async function toldApart(
  setting: ConsentSetting,
  one: ConsentCase,
  carried: Carried,
  [told]: readonly Told[],
  broken: BrokenConsent,
): Promise<string | null> {
  // Its letters give it away before anybody has read it.
  if (told?.code === 'CONTEXT_MALFORMED' && !/^[A-Za-z0-9_.-]+$/.test(carried.receipt ?? '')) return null;
  const plain = await askHere(setting, one, { ...carried, receipt: 'no.receipt.at-all' }, broken);
  if (plain.code === told?.code && plain.detail === told.detail) return null;
  return `told apart: ${told?.code} ${told?.detail}, a text of no meaning ${plain.code} ${plain.detail}`;
}

/** Nothing with other letters gets into a message; a receipt on another basis does not get past the consumer's own server. */
function isStoppedBefore({ request }: ConsentCase, { receipt }: Carried, isOverServers: boolean): boolean {
  if (receipt === null) return false;
  return !/^[A-Za-z0-9_.-]+$/.test(receipt) || (isOverServers && request.basis !== 'consent');
}

/**
 * On a slow machine the young list may have been away when it was to be fetched, and then the provider is right to refuse.
 * Has it fetched now, whatever pause it had planned. False where the case is about another list.
 */
async function fetchYoung({ pair, statusUrlOf }: ConsentSetting, { receipt, nowMs }: ConsentCase): Promise<boolean> {
  const { status } = pair.provider.parts;
  if (receipt?.list.is !== 'young') return false;
  const uri = `${statusUrlOf(receipt.listOf)}/young`;
  for (let tries = 0; (status.statusOf(uri, 0)?.listIatMs ?? 0) < nowMs - 1_000 && tries < 50; tries += 1) {
    status.hint(uri);
    await delay(100);
  }
  return true;
}

/** Counts what the receipt was used for before. */
function usedBefore(
  { pair }: ConsentSetting,
  { issuer, uses, untilS, frequency, ...terms }: ConsentTerms,
  jti: string,
) {
  const { state } = pair.provider.parts;
  for (let used = 0; uses !== null && used < terms.usedBefore; used += 1) state.countReceiptUse(jti, untilS);
  for (const atMs of frequency?.usedAtMs ?? []) {
    state.countInWindow({ jti, issuer }, atMs + (frequency?.days ?? 0) * DAY_MS);
  }
}

async function runCase(
  setting: ConsentSetting,
  one: ConsentCase,
  counts: Counts,
  isOverServers: boolean,
  broken: BrokenConsent,
): Promise<string[]> {
  const { clock } = setting;
  const minted = one.receipt && mintReceipt(setting, one, one.receipt);
  const carried: Carried = { receipt: minted?.text ?? null, evidence: emergencyTokens(one, setting.officials) };
  if (one.receipt !== null && minted !== null) usedBefore(setting, one.receipt, minted.jti);
  clock.aheadMs = one.aheadMs;
  try {
    const startedMs = systemClock.monotonicMs();
    const ask = () => (isOverServers ? askThere(setting, one, carried) : askHere(setting, one, carried, broken));
    const verdict = mayLeave(one);
    if (isStoppedBefore(one, carried, isOverServers)) verdict.answered = 0;
    const askAll = () => Promise.all(Array.from({ length: one.request.atOnce }, ask));
    let told = await askAll();
    const isStale = verdict.answered > 0 && told.every(({ code }) => code === 'STATUS_STALE');
    if (isStale && (await fetchYoung(setting, one))) {
      counts.slow += 1;
      told = await askAll();
    }
    for (const { code } of told) counts.codes[code] = (counts.codes[code] ?? 0) + 1;
    // The list was away for as long as a request waits for one: the machine is slow, the provider is right.
    const isSlow = systemClock.monotonicMs() - startedMs >= STATUS_FETCH_TIMEOUT_MS;
    if (isSlow && told.every(({ code }) => code === 'STATUS_STALE')) {
      counts.slow += 1;
      return [];
    }
    const found = judgeAnswers(told, verdict, counts);
    if (verdict.isForeign && !isOverServers) {
      counts.foreign += 1;
      const apart = await toldApart(setting, one, carried, told, broken);
      if (apart !== null) {
        counts.toldApart += 1;
        found.push(apart);
      }
    }
    return found;
  } finally {
    clock.aheadMs = 0;
  }
}

/** Takes a right away, or gives it back; returns those granted now. */
function changeRights(setting: ConsentSetting, chance: Source, granted: readonly Right[]): readonly Right[] {
  const { state } = setting.pair.provider.parts;
  const right = chance.pick(RIGHTS);
  const access = accessRightOf(right, RIGHTS.indexOf(right));
  if (granted.includes(right) && granted.length > 4) {
    state.removeRight(access.id);
    return granted.filter((each) => each !== right);
  }
  state.putRight(access);
  return RIGHTS.filter((each) => each === right || granted.includes(each));
}

/** The next moment, so many milliseconds after a full second. */
function moveOn(setting: ConsentSetting, chance: Source): void {
  const { clock } = setting;
  const wanted = chance.pick(MOMENTS);
  clock.trueMs += 1 + ((1_000 + wanted - ((clock.trueMs + 1) % 1_000)) % 1_000);
}

async function run({ size, seed, broken = {}, say }: CampaignRun<BrokenConsent>): Promise<CampaignResult> {
  const none = {
    released: 0,
    refused: 0,
    foreign: 0,
    overServers: 0,
    wronglyReleased: 0,
    wronglyRefused: 0,
    toldApart: 0,
    slow: 0,
  };
  const counts: Counts = { ...none, codes: {}, wrong: {} };
  const found: string[] = [];
  let failures = 0;
  const setting = await openConsentSetting();
  try {
    for (const issuer of ISSUERS.slice(0, 2)) {
      const uri = `${setting.statusUrlOf(issuer)}/young`;
      setting.serve(uri, { is: 'young', signedMs: null });
      await setting.pair.provider.parts.status.refresh(uri);
    }
    let rights: readonly Right[] = RIGHTS;
    for (let done = 0; done < size; done += 1) {
      if (done % 10_000 === 0 && done > 0) say?.(`${done} cases, ${failures} failures so far`);
      const chance = randomFrom(seed + done);
      if (done % RIGHTS_CHANGE === RIGHTS_CHANGE - 1) rights = changeRights(setting, chance, rights);
      moveOn(setting, chance);
      const one = makeCase(chance, setting.clock.trueMs, rights, setting.pair.provider.parts.log.newestMs());
      for (const name of one.wrong) counts.wrong[name] = (counts.wrong[name] ?? 0) + 1;
      const isOverServers = done % OVER_SERVERS === OVER_SERVERS - 1;
      if (isOverServers) counts.overServers += 1;
      const wrong = await runCase(setting, one, counts, isOverServers, broken);
      if (wrong.length === 0) continue;
      failures += 1;
      if (found.length < MAX_FOUND) found.push(`case ${done}: ${one.wrong.join(', ')}: ${wrong.join('; ')}`);
    }
  } finally {
    await setting.close();
  }
  for (const code of CONSENT_CODES) {
    const times = counts.codes[code] ?? 0;
    if (times >= Math.floor(size / CASES_PER_CODE)) continue;
    failures += 1;
    found.push(`${code} was told ${times} times only`);
  }
  return { size, failures, found, ...counts };
}

export const consent: Campaign<BrokenConsent> = {
  name: 'consent',
  title: 'consents and requests, most of them wrong: what was consented to leaves, and nothing else',
  defaultSize: 100_000,
  run,
};
