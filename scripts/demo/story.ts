// The demonstration's story, in the order it is told. Each step does what a department would do, through the typed
// client that a department would use, and says whether it did.
import { join } from 'node:path';
import { AccordClientError, type LookupAnswer, openAccord } from '#adapters/client.ts';
import { verifyLog } from '#core/log/audit.ts';
import { serviceOf, subsystemOf } from './departments.ts';
import type { Population, Resident } from './residents.ts';
import { DEPARTMENTS, type Department } from './tables.ts';
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

/** Asks as one department's own system, over its own security server. */
async function ask(
  world: World,
  from: Department,
  to: Department,
  path: string,
  why: { userId: string; issue: string; purpose: string; basis: 'law' },
): Promise<{ answer: LookupAnswer } | { refusal: AccordClientError }> {
  const accord = openAccord({ url: world.servers[from].urls.loopback ?? '', client: subsystemOf(from) });
  try {
    return { answer: await accord.lookup({ service: serviceOf(to), path, ...why }) };
  } catch (error) {
    if (error instanceof AccordClientError) return { refusal: error };
    throw error;
  } finally {
    // The client's connections end with it; the servers answer others meanwhile.
    await accord.close();
  }
}

/** Somebody who receives support, or, where nobody does (a file of personas), the first resident. */
function chooseResident(population: Population): { resident: Resident; receiving: boolean } {
  const supported = population.support.find((one) => one.receiving);
  const id = supported?.residentId ?? population.residents[0]?.id;
  const resident = population.residents.find((one) => one.id === id);
  if (resident === undefined) throw new Error('there are no residents');
  return { resident, receiving: supported !== undefined };
}

export async function tellStory(world: World, population: Population, tell: Transcript, folder: string): Promise<void> {
  const { resident, receiving } = chooseResident(population);
  const path = `/residents/${resident.id}/low-income-support`;
  tell.heading('A lookup');
  const first = await ask(world, 'medical-insurance', 'civil-affairs', path, CASE);
  const answer = 'answer' in first ? first.answer : null;
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
      body?.receiving === true
        ? `Answer: yes, ${body.monthlyAmount ?? '?'} yuan a month since ${body.since ?? '?'}. Nothing else was told.`
        : 'Answer: no.',
    ],
  );
  await tellLaw(world, tell, resident);
  tell.heading('A refusal');
  const second = await ask(world, 'housing', 'civil-affairs', path, CASE);
  const refusal = 'refusal' in second ? second.refusal : null;
  tell.step(
    'refused',
    refusal?.outcome === 'refused' && refusal.code === 'ACCESS_DENIED',
    { code: refusal?.code, outcome: refusal?.outcome, next: refusal?.next },
    [
      'Housing asks Civil Affairs the same. It has no access right.',
      `Refused by Civil Affairs’ own server, signed and logged on both sides: ${refusal?.code}.`,
      `What it is told to do: ${refusal?.next}`,
    ],
  );
  tell.heading('The logs');
  await tellLogs(world, tell);
  await tellTampering(world, tell, folder, answer?.id ?? '');
}

/** Civil Affairs asks the tax office, whose database is PostgreSQL when there is one. */
async function tellLaw(world: World, tell: Transcript, resident: Resident): Promise<void> {
  const path = `/residents/${resident.id}/annual-income`;
  const asked = await ask(world, 'civil-affairs', 'tax', path, REVIEW);
  const answer = 'answer' in asked ? asked.answer : null;
  const years = (answer?.body as { items?: { year: number; grossIncome: number }[] } | unknown[] | undefined) ?? [];
  const rows = (Array.isArray(years) ? years : (years.items ?? [])) as { year: number; grossIncome: number }[];
  const database = world.withoutPostgres === null ? 'PostgreSQL' : 'SQLite';
  tell.step(
    'law',
    answer?.outcome === 'ok',
    { outcome: answer?.outcome, id: answer?.id, database, rows: rows.length },
    [
      `Civil Affairs reviews the case (${REVIEW.issue}) and asks the Tax Office, whose database is ${database}.`,
      rows.length === 0
        ? 'Answer: no income was assessed.'
        : `Answer: ${rows.map((row) => `${row.year}: ${row.grossIncome}`).join(', ')} yuan a year.`,
    ],
  );
}

async function tellLogs(world: World, tell: Transcript): Promise<void> {
  const results = [];
  for (const department of DEPARTMENTS) {
    const { folder } = world.servers[department];
    const result = await verifyLog({ folder: join(folder, 'log'), checkpointFile: join(folder, 'checkpoint.txt') });
    results.push({ department, ok: result.ok, entries: result.entries, root: result.root });
  }
  tell.step(
    'log verify',
    results.every((result) => result.ok) && results.some((result) => result.entries >= 4),
    { logs: results },
    [
      'Every log is verified as a whole: each entry, each signature’s place, the tree and its signed checkpoints.',
      ...results.map(
        (one) => `${one.department.padEnd(18)} ${String(one.entries).padStart(3)} entries  root ${one.root}`,
      ),
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

/** An identifier as it may be shown over somebody's shoulder. */
function masked(id: string): string {
  return `${id.slice(0, 3)}${'*'.repeat(Math.max(0, id.length - 5))}${id.slice(-2)}`;
}
