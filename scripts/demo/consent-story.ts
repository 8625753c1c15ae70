// The second half of the story: a citizen decides. Refused without consent, asked for, given in part, used, withdrawn,
// refused again, and decided once more by an auditor. Departments use the typed client and the command line, the citizen
// real pages and forms.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { LookupAnswer } from '#adapters/client.ts';
import { systemClock } from '#core/clock.ts';
import { STATUS_MAX_AGE_MS, STATUS_MAX_DEVIATION_MS } from '#schemas/limits.ts';
import { accordHere } from '#scripts/accord-here.ts';
import { typed } from './accord-command.ts';
import { type Asked, ask } from './ask.ts';
import { CITIZEN_SCHEME } from './consent-office.ts';
import { CONSENT_REQUESTS, serviceOf, subsystemOf } from './departments.ts';
import { masked } from './people.ts';
import type { Resident } from './residents.ts';
import type { Department } from './tables.ts';
import type { Transcript } from './transcript.ts';
import type { Visitor } from './visitor.ts';
import type { World } from './world.ts';

const CASE = { userId: '李强, 住房局 counter 3', issue: 'ZF-2026-000058' } as const;
const PURPOSE = 'rent-subsidy';

/** What Housing would like to know: from whom, under which name on the citizen's page, and whether the citizen ticks it. */
const ITEMS = [
  { from: 'civil-affairs', element: 'gx.address.full@1', label: 'Full address', isGiven: true },
  { from: 'civil-affairs', element: 'gx.person.birth_date@1', label: 'Date of birth', isGiven: false },
  {
    from: 'tax',
    element: 'gx.pred.is_low_income@1',
    label: 'Annual income at or below the low-income line',
    isGiven: true,
  },
] as const;
const SOURCES = ['civil-affairs', 'tax'] as const;
/** The most sensitive of them is of level 3. */
const BOUND_MS = STATUS_MAX_AGE_MS[3] + STATUS_MAX_DEVIATION_MS;
const HINT_WITHIN_MS = 3_000;
const READY_WITHIN_MS = 10_000;

export interface Told {
  world: World;
  tell: Transcript;
  resident: Resident;
  visitor: Visitor;
  folder: string;
}

export async function tellConsent(story: Told): Promise<void> {
  const { world, tell } = story;
  tell.heading('Consent');
  await consentServiceReady(world);
  await tellRequired(story);
  const request = await tellRequest(story);
  if (request === null) return;
  await tellGrant(story, request);
  const { receipts, exchange } = await tellAnswer(story, request);
  await tellWhoLooked(story, exchange);
  const refused = await tellWithdrawal(story, request, receipts);
  if (refused !== null) await tellReplay(story, refused);
}

async function consentServiceReady({ consentOffice }: World): Promise<void> {
  const untilMs = systemClock.monotonicMs() + READY_WITHIN_MS;
  while ((await fetch(`${consentOffice.urls.filing}/readyz`)).status !== 200) {
    if (systemClock.monotonicMs() > untilMs) throw new Error('the consent service did not get ready in time');
    await wait(100);
  }
}

function elementsFrom(source: (typeof SOURCES)[number]): string[] {
  return ITEMS.filter(({ from }) => from === source).map(({ element }) => element);
}

/** Without a receipt nobody looks anything up. */
async function tellRequired({ world, tell, resident }: Told): Promise<void> {
  const refusals = [];
  for (const source of SOURCES) {
    const { refusal } = await ask(world, 'housing', {
      service: serviceOf(source),
      elements: elementsFrom(source),
      subject: { scheme: CITIZEN_SCHEME, value: resident.id },
      ...{ ...CASE, purpose: PURPOSE, basis: 'consent' as const },
    });
    refusals.push({ from: serviceOf(source), code: refusal?.code, outcome: refusal?.outcome, next: refusal?.next });
  }
  tell.step(
    'consent required',
    refusals.every(({ code, outcome }) => code === 'CONSENT_REQUIRED' && outcome === 'refused'),
    { refusals },
    [
      `${resident.name} (${masked(resident.id)}) asks Housing for a rent subsidy. Housing asks Civil Affairs for the address and the`,
      'birth date, and the Tax Office whether the income is low. No law allows that; the resident can.',
      `Refused by both: ${refusals.map(({ code }) => code).join(', ')}. What it is told to do:`,
      `${refusals[0]?.next}`,
    ],
  );
}

interface Filed {
  id: string;
  link: string;
}

/** Where Housing's own commands go. */
export function asHousing(world: World): string[] {
  const server = world.servers.housing.urls.loopback ?? '';
  return ['--server', server, '--client', subsystemOf('housing'), '--service', CONSENT_REQUESTS];
}

/** The command that files a request; it can be typed again while the demonstration stays. */
export function requestCommand(world: World, folder: string): string[] {
  const items = SOURCES.flatMap((source) => ['--item', `${serviceOf(source)}=${elementsFrom(source).join(',')}`]);
  return [
    ...['consent', 'request', ...asHousing(world)],
    ...['--subject', `${CITIZEN_SCHEME}=@${join(folder, 'resident')}`, '--purpose', PURPOSE, ...items],
    ...[
      '--retention-days',
      '90',
      '--frequency',
      '20/30',
      '--reason-zh',
      '您申请了租房补贴。',
      '--reason-en',
      'You applied for a rent subsidy.',
    ],
    '--json',
  ];
}

async function tellRequest({ world, tell, resident, folder }: Told): Promise<Filed | null> {
  const words = requestCommand(world, folder);
  writeFileSync(join(folder, 'resident'), `${resident.id}\n`, { mode: 0o600 });
  const { code: status, stdout, stderr } = await accordHere(words);
  const filed = status === 0 ? (JSON.parse(stdout) as Filed) : null;
  const isLink = filed?.link.startsWith(`${world.consentOffice.urls.citizen}/link/`) === true;
  tell.step('consent request', isLink, { status, ...filed, command: ['accord', ...words], stderr }, [
    'So Housing files a request at the consent service, through its own security server (accord is bin/accord.js):',
    ...typed(words),
    `It hands the resident the one-time link: ${filed?.link}`,
  ]);
  return isLink ? filed : null;
}

async function tellGrant({ tell, resident, visitor }: Told, { link }: Filed): Promise<void> {
  await visitor.open(link);
  await visitor.press('Development identity provider');
  await visitor.picture('sign-in');
  await visitor.press(resident.id);
  const beforehand = await visitor.ticked();
  await visitor.picture('request');
  for (const { label } of ITEMS.filter(({ isGiven }) => isGiven)) await visitor.tick(label);
  await visitor.picture('request-ticked');
  await visitor.press('Agree to the ticked items');
  await visitor.picture('given');
  const text = await visitor.text();
  const [, allowed = '', left = ''] = /What you allowed (.*?) What you did not allow (.*?) Receipts/.exec(text) ?? [];
  const held = ITEMS.every(
    ({ label, isGiven }) => allowed.includes(label) === isGiven && left.includes(label) !== isGiven,
  );
  const granted = ITEMS.filter(({ isGiven }) => isGiven).map(({ label }) => label);
  tell.step('consent given', beforehand === 0 && held, { by: visitor.by, beforehand, allowed, left }, [
    `The resident opens it (over ${visitor.by}), signs in at the development identity provider, and reads who asks, what for, from whom,`,
    `how long it is kept and how to withdraw. Of ${ITEMS.length} items none is ticked beforehand; the resident ticks ${granted.length}:`,
    `${granted.join('; ')}. Not: ${ITEMS.filter(({ isGiven }) => !isGiven)
      .map(({ label }) => label)
      .join('; ')}.`,
  ]);
}

type Receipts = Partial<Record<Department, string>>;

/** As a department's system does it: fetches its receipts, and asks with each. */
async function tellAnswer(
  { world, tell }: Told,
  { id }: Filed,
): Promise<{ receipts: Receipts; exchange: string | undefined }> {
  const receipts = await receiptsOf(world, id);
  const civil = await askWith(world, receipts, 'civil-affairs');
  const tax = await askWith(world, receipts, 'tax');
  const released = [civil, tax].flatMap((answer) => answer?.release?.elements.map(({ element }) => element) ?? []);
  const predicates = [civil, tax].flatMap((answer) => answer?.release?.predicates ?? []);
  const omitted = [civil, tax].flatMap((answer) => answer?.release?.omitted.map(({ element }) => element) ?? []);
  const told = [...released, ...predicates.map(({ predicate }) => predicate)].sort();
  const expected = (isGiven: boolean) =>
    ITEMS.filter((one) => one.isGiven === isGiven)
      .map(({ element }) => element)
      .sort();
  const { address } = (civil?.body ?? {}) as { address?: string };
  tell.step(
    'consent lookup',
    String(told) === String(expected(true)) &&
      String(omitted) === String(expected(false)) &&
      String(Object.keys((civil?.body as object | null) ?? {})) === 'address',
    { ids: [civil?.id, tax?.id], answer: civil?.body, released, predicates, omitted },
    [
      'Housing asks again for all three, now with the receipts. Each provider checks its own, and asks nobody else:',
      `Civil Affairs: ${address}. Named as missing: ${omitted.join(', ')}.`,
      `Tax Office: ${predicates.map(({ predicate, result }) => `${predicate} ${result}`).join(', ')}.`,
    ],
  );
  return { receipts, exchange: civil?.id };
}

/** The resident's own question, signed by the identity provider, to every department's server. */
async function tellWhoLooked({ world, tell, visitor }: Told, exchange: string | undefined): Promise<void> {
  await visitor.open(`${world.consentOffice.urls.citizen}/accesses`);
  await visitor.press('Ask all departments now');
  await visitor.picture('who-looked');
  const text = await visitor.text();
  const [, answered, departments] = /(\d+) of (\d+) departments answered/.exec(text) ?? [];
  const cards = text.split(/ (?=When \d)/).slice(1);
  const refused = cards.filter((card) => card.includes('refused: nothing was told')).length;
  const own = cards.find((card) => card.includes(`Number of the access ${exchange}`)) ?? '';
  const [, told = '', asked = ''] = /What was told (.*?) What was asked for (.*?) The permission/.exec(own) ?? [];
  const ofCivil = ITEMS.filter(({ from }) => from === 'civil-affairs');
  const isTold = ofCivil.every(({ label, isGiven }) => told.includes(label) === isGiven && asked.includes(label));
  const named = (text: string) => ofCivil.flatMap(({ label }) => (text.includes(label) ? [label] : [])).join(', ');
  tell.step(
    'who looked',
    answered !== undefined && answered === departments && isTold && own.includes(CASE.issue) && refused > 0,
    { answered, departments, accesses: cards.length, refused, told, asked },
    [
      `The resident asks who looked at the data: ${answered} of ${departments} departments answered, each from its own server, to a question that`,
      `the identity provider signed for this resident alone. ${cards.length} accesses, on every basis, ${refused} of them refused. Among them:`,
      `Housing, Rent subsidy, case ${CASE.issue}. Asked for: ${named(asked)}. Told: ${named(told)}.`,
    ],
  );
}

async function receiptsOf(world: World, id: string): Promise<Receipts> {
  const { answer } = await ask(world, 'housing', { service: CONSENT_REQUESTS, path: `/requests/${id}`, basis: 'open' });
  const { receipts = [] } = (answer?.body ?? {}) as { receipts?: { service: string; jws: string }[] };
  const of = (source: Department) => receipts.find(({ service }) => service === serviceOf(source))?.jws;
  return Object.fromEntries(SOURCES.map((source) => [source, of(source)]));
}

async function askWith(
  world: World,
  receipts: Receipts,
  source: (typeof SOURCES)[number],
): Promise<LookupAnswer | null> {
  return (await tryWith(world, receipts, source)).answer;
}

/** All that Housing would like to know; what is not consented to may be left out. */
function tryWith(world: World, receipts: Receipts, source: (typeof SOURCES)[number]): Promise<Asked> {
  const receipt = receipts[source] ?? '';
  return ask(world, 'housing', { receipt, elements: elementsFrom(source), partial: true, ...CASE });
}

/** @returns the id of the refused exchange */
async function tellWithdrawal(
  { world, tell, visitor }: Told,
  { id }: Filed,
  receipts: Receipts,
): Promise<string | null> {
  await visitor.open(`${world.consentOffice.urls.citizen}/permissions/${id}`);
  const bound = /counts everywhere within (\d+) seconds/.exec(await visitor.text())?.[1];
  const clickedAtMs = systemClock.monotonicMs();
  await visitor.press('Withdraw');
  let answered = 0;
  let { refusal } = await tryWith(world, receipts, 'civil-affairs');
  while (refusal === null && systemClock.monotonicMs() - clickedAtMs < HINT_WITHIN_MS) {
    answered += 1;
    ({ refusal } = await tryWith(world, receipts, 'civil-affairs'));
  }
  const afterMs = Math.round(systemClock.monotonicMs() - clickedAtMs);
  await visitor.picture('withdrawn');
  const isRefused = refusal?.outcome === 'refused' && refusal.code === 'CONSENT_WITHDRAWN';
  tell.step(
    'consent withdrawn',
    isRefused && afterMs < HINT_WITHIN_MS && bound === String(BOUND_MS / 1000),
    { code: refusal?.code, afterMs, answered, boundMs: BOUND_MS },
    [
      'The resident withdraws with one click, and Housing asks Civil Affairs the same again and again:',
      `${refusal?.code} ${afterMs} ms after the click. The consent service had sent a hint.`,
      `Guaranteed, though every hint is lost: ${BOUND_MS / 1000} s (a status list of ${STATUS_MAX_AGE_MS[3] / 1000} s at the oldest, and ${STATUS_MAX_DEVIATION_MS / 1000} s between clocks).`,
    ],
  );
  return isRefused ? exchangeOf(refusal?.problem) : null;
}

function exchangeOf(problem: Record<string, unknown> | undefined): string {
  return String(problem?.['id'] ?? problem?.['instance'] ?? '').replace('urn:uuid:', '');
}

async function tellReplay({ world, tell }: Told, exchange: string): Promise<void> {
  const { folder } = world.servers['civil-affairs'];
  const words = [
    'audit',
    'replay',
    exchange,
    '--dir',
    folder,
    '--passphrase-file',
    world.network.passphraseFile,
    '--json',
  ];
  const { code: status, stdout, stderr } = await accordHere(words);
  const { verdict, code, hash, recomputedHash } = (status === 0 ? JSON.parse(stdout) : {}) as Record<string, string>;
  const isSame = verdict === 'SAME' && code === 'CONSENT_WITHDRAWN' && hash !== undefined && hash === recomputedHash;
  tell.step('audit replay', isSame, { status, verdict, code, hash, recomputedHash, exchange, stderr }, [
    'An auditor of Civil Affairs makes that decision again, from what its log has kept:',
    ...typed(words),
    `${verdict}: ${code}, with the hash that both logs carry, ${hash}.`,
  ]);
}
