// The demonstration's story, in the order it is told. Each step does what a department would do, through the typed
// client that a department would use, and says whether it did.
import { join } from 'node:path';
import { verifyLog } from '#core/log/audit.ts';
import { MAX_SHOWN, showLog } from '#core/log/show.ts';
import { ENTRY_KINDS } from '#schemas/log-entry.ts';
import type { AnchoringState } from '#security-server/anchoring/anchoring.ts';
import { ask } from './ask.ts';
import { MEMBERS, serviceOf } from './departments.ts';
import { chooseResident, masked } from './people.ts';
import type { Population, Resident } from './residents.ts';
import { DEPARTMENTS } from './tables.ts';
import { tamperWithCopy } from './tamper-sqlite.ts';
import type { Transcript } from './transcript.ts';
import type { World } from './world.ts';

const CASE = {
  userId: '王芳, 医保局 window 12',
  issue: 'YB-2026-000417',
  purpose: 'medical-assistance',
  basis: 'law',
} as const;
const REVIEW = {
  userId: '陈静, 民政局 review',
  issue: 'MZ-2026-001203',
  purpose: 'low-income-review',
  basis: 'law',
} as const;
const SUPPORT = ['gx.assistance.receiving_low_income_support', 'gx.assistance.monthly_amount', 'gx.assistance.since'];

/** @returns the id of the first lookup; null when it got no answer */
export async function tellStory(
  world: World,
  population: Population,
  tell: Transcript,
  folder: string,
): Promise<string | null> {
  const { resident, receiving } = chooseResident(population);
  tell.heading('A lookup');
  const answer = await tellSupport(world, tell, resident, receiving);
  await tellLaw(world, tell, resident);
  tell.heading('Yes or no, and nothing else');
  await tellPredicates(world, tell, resident);
  await tellElements(world, tell, resident);
  tell.heading('Refusals');
  await tellForbiddenField(world, tell, resident);
  await tellNoRight(world, tell, resident);
  tell.heading('The logs');
  await tellLogs(world, tell);
  await tellAnchoring(world, tell);
  await tellTampering(world, tell, folder, answer?.id ?? '');
  return answer?.id ?? null;
}

async function tellSupport(world: World, tell: Transcript, resident: Resident, receiving: boolean) {
  const { answer } = await ask(world, 'medical-insurance', {
    service: serviceOf('civil-affairs'),
    path: `/residents/${resident.id}/low-income-support`,
    fields: SUPPORT,
    ...CASE,
  });
  const body = answer?.body as
    | { receiving?: boolean; monthlyAmount?: number | null; since?: string | null }
    | undefined;
  tell.step(
    'lookup',
    answer?.outcome === 'ok' && body?.receiving === receiving,
    { outcome: answer?.outcome, id: answer?.id, answer: body, resident: resident.id },
    [
      `Medical Insurance asks Civil Affairs: does ${resident.name} (${masked(resident.id)}) receive low-income support?`,
      `Case ${CASE.issue}, official ${CASE.userId}, on the basis of law, for ${CASE.purpose}.`,
      `It names what it wants by the dictionary’s elements: ${SUPPORT.join(', ')}.`,
      body?.receiving === true
        ? `Answer: yes, ${body.monthlyAmount ?? '?'} yuan a month since ${body.since ?? '?'}. Nothing else was told.`
        : 'Answer: no.',
    ],
  );
  return answer;
}

/** Civil Affairs asks the tax office, whose database is PostgreSQL when there is one. */
async function tellLaw(world: World, tell: Transcript, resident: Resident): Promise<void> {
  const { answer } = await ask(world, 'civil-affairs', {
    service: serviceOf('tax'),
    path: `/residents/${resident.id}/annual-income`,
    fields: ['/items/year', '/items/grossIncome'],
    ...REVIEW,
  });
  const { items: rows = [] } = (answer?.body ?? {}) as { items?: { year: number; grossIncome: number }[] };
  const database = world.withoutPostgres === null ? 'PostgreSQL' : 'SQLite';
  tell.step(
    'law',
    answer?.outcome === 'ok',
    { outcome: answer?.outcome, id: answer?.id, database, rows: rows.length, first: rows[0] },
    [
      `Civil Affairs reviews the case (${REVIEW.issue}) and asks the Tax Office, whose database is ${database}.`,
      rows.length === 0
        ? 'Answer: no income was assessed.'
        : `Answer: ${rows.map((row) => `${row.year}: ${row.grossIncome}`).join(', ')} yuan a year.`,
    ],
  );
}

/** Two questions whose answer is a word: the threshold is the dictionary's, the values stay where they are. */
async function tellPredicates(world: World, tell: Transcript, resident: Resident): Promise<void> {
  const questions = [
    {
      step: 'low income',
      to: 'tax',
      path: '/annual-income',
      predicate: 'gx.pred.is_low_income@1',
      hidden: 'an income',
    },
    { step: 'adult', to: 'civil-affairs', path: '', predicate: 'gx.pred.age_ge_18@1', hidden: 'a birth date' },
  ] as const;
  for (const { step, to, path, predicate, hidden } of questions) {
    const { answer } = await ask(world, 'medical-insurance', {
      service: serviceOf(to),
      path: `/residents/${resident.id}${path}`,
      fields: [predicate],
      ...CASE,
    });
    const predicates = answer?.release?.predicates ?? [];
    const nothing = answer?.release?.elements.length === 0 && isEmpty(answer.body);
    tell.step(
      step,
      predicates.length === 1 && predicates[0]?.predicate === predicate && nothing,
      {
        outcome: answer?.outcome,
        id: answer?.id,
        predicates,
        elements: answer?.release?.elements,
        answer: answer?.body,
      },
      [
        `Medical Insurance asks ${MEMBERS[to].title} only ${predicate}: ${predicates[0]?.result}.`,
        `The answer’s body is empty: ${JSON.stringify(answer?.body)}. It never sees ${hidden}.`,
      ],
    );
  }
}

/** Whoever asks need not know who answers: the dictionary's authority is found in the configuration. */
async function tellElements(world: World, tell: Transcript, resident: Resident): Promise<void> {
  const elements = ['gx.medical.status@1', 'gx.medical.scheme@1'];
  const { answer } = await ask(world, 'civil-affairs', {
    elements,
    subject: { scheme: 'gx.person.resident_id@1', value: resident.id },
    ...REVIEW,
  });
  const released = answer?.release?.elements ?? [];
  const [source] = new Set(released.map((one) => one.source));
  tell.step(
    'elements',
    answer?.outcome === 'ok' && released.length === elements.length && source === MEMBERS['medical-insurance'].id,
    { outcome: answer?.outcome, id: answer?.id, source, answer: answer?.body },
    [
      `Civil Affairs asks for ${elements.join(' and ')} of this resident, and names no service.`,
      `Its server finds the authority, ${source}, and asks it: ${JSON.stringify(answer?.body)}.`,
    ],
  );
}

/** The same question as a minute ago, for the number itself. */
async function tellForbiddenField(world: World, tell: Transcript, resident: Resident): Promise<void> {
  const { refusal } = await ask(world, 'medical-insurance', {
    service: serviceOf('tax'),
    path: `/residents/${resident.id}/annual-income`,
    fields: ['/items/grossIncome'],
    ...CASE,
  });
  tell.step(
    'not permitted',
    refusal?.outcome === 'refused' && refusal.code === 'FIELDS_NOT_PERMITTED',
    { code: refusal?.code, outcome: refusal?.outcome, detail: refusal?.message },
    [
      'Medical Insurance asks the Tax Office for the income itself.',
      `Refused by the Tax Office’s own server: ${refusal?.message}.`,
    ],
  );
}

async function tellNoRight(world: World, tell: Transcript, resident: Resident): Promise<void> {
  const { refusal } = await ask(world, 'housing', {
    service: serviceOf('civil-affairs'),
    path: `/residents/${resident.id}/low-income-support`,
    fields: SUPPORT,
    ...CASE,
  });
  tell.step(
    'refused',
    refusal?.outcome === 'refused' && refusal.code === 'ACCESS_DENIED',
    { code: refusal?.code, outcome: refusal?.outcome, next: refusal?.next },
    [
      'Housing asks Civil Affairs what Medical Insurance asked first. It has no access right.',
      `Refused by Civil Affairs’ own server, signed and logged on both sides: ${refusal?.code}.`,
      `What it is told to do: ${refusal?.next}`,
    ],
  );
}

async function tellLogs(world: World, tell: Transcript): Promise<void> {
  const results = [];
  for (const department of DEPARTMENTS) {
    const { folder } = world.servers[department];
    const log = join(folder, 'log');
    const result = await verifyLog({ folder: log, checkpointFile: join(folder, 'checkpoint.txt') });
    // The others are about the log itself: answers on the state of certificates, what witnesses said.
    const ofExchanges = showLog(log, { fromSeq: 0 }, MAX_SHOWN).filter(({ entry }) => ENTRY_KINDS[entry.kind] !== null);
    results.push({ department, ...result, ofExchanges: ofExchanges.length });
  }
  tell.step(
    'log verify',
    results.every((result) => result.ok) && results.some((result) => result.entries >= 4),
    {
      logs: results.map(({ department, ok, entries, ofExchanges, root }) => ({
        department,
        ok,
        entries,
        ofExchanges,
        root,
      })),
    },
    [
      'Every log is verified as a whole: each entry, each signature’s place, the tree and its signed checkpoints.',
      ...results.map(
        (one) =>
          `${one.department.padEnd(18)} ${String(one.entries).padStart(3)} entries, ${one.ofExchanges} of exchanges  root ${one.root}`,
      ),
    ],
  );
}

/** Both sides of the first lookup; the first is told of. */
const ANCHORED = ['civil-affairs', 'medical-insurance'] as const;

/** What happens by itself every minute, now. */
async function tellAnchoring({ servers, network }: World, tell: Transcript): Promise<void> {
  const anchored = () =>
    Promise.all(ANCHORED.map(async (name) => (await servers[name].call('POST', '/anchoring')) as AnchoringState));
  await anchored();
  await network.registry.witness?.aggregate.tick();
  const states = await anchored();
  const [{ newest, quorum } = { newest: null, quorum: 0 }] = states;
  const cosignedBy = network.registry.witness?.aggregate.state().cosignedBy ?? [];
  tell.step(
    'anchored',
    states.every((state) => state.newest?.hasToken === true && !state.newest.isDirect) &&
      cosignedBy.length >= quorum &&
      quorum > 0,
    { newest, quorum, cosignedBy },
    [
      'Others vouch for Civil Affairs’ log: the registry’s witness saw that it only grew, the Tax Office’s server cosigned',
      `the log of all servers’ logs, an authority set the time. Who rewrites one of its ${newest?.size} entries is found out by them.`,
    ],
  );
}

async function tellTampering(world: World, tell: Transcript, folder: string, exchangeId: string): Promise<void> {
  const { folder: data } = world.servers['civil-affairs'];
  const copy = join(folder, 'tampered-log');
  const changed = tamperWithCopy(join(data, 'log'), copy, exchangeId, 'medical-insurance');
  const result = await verifyLog({ folder: copy, checkpointFile: join(data, 'checkpoint.txt') });
  tell.step(
    'tamper',
    !result.ok && result.firstBadSeq === changed,
    { code: result.code, changed, firstBadSeq: result.firstBadSeq },
    [
      'Somebody with access to the disk changes one bit in a copy of Civil Affairs’ log: who asked.',
      `The verifier names it: ${result.code} at entry ${result.firstBadSeq}.`,
    ],
  );
}

function isEmpty(body: unknown): boolean {
  return (
    body === undefined || body === null || body === '' || (typeof body === 'object' && Object.keys(body).length === 0)
  );
}
