// `node scripts/dictionary/measure.ts [--services N] [--elements N] [--json]`: what the dictionary costs. Decision and
// filter of one exchange with a record of 50 leaves; compiling, then loading and opening, N services with 200 leaves each;
// the catalogue's search over N elements. The figures in docs/performance.md come from here.
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { OWN_DICTIONARY } from '#cli/dictionary-folder.ts';
import { type Binding, openBinding, resolveFields } from '#policy/binding/binding.ts';
import { compileBinding } from '#policy/binding/compile.ts';
import { openCatalogue } from '#policy/catalogue.ts';
import { decide } from '#policy/decide.ts';
import type { DecisionInputs } from '#policy/decision-inputs.ts';
import { type Dictionary, openDictionary } from '#policy/dictionary/dictionary.ts';
import { overDelivered } from '#policy/release/over-delivery.ts';
import { releaseAnswer } from '#policy/release/release.ts';
import { PLAIN_TERMS } from '#schemas/access-right.ts';
import { BindingTable, bindingTableText } from '#schemas/binding-table.ts';
import { parseJson } from '#schemas/json.ts';
import { compile } from '#schemas/validate.ts';
import { randomFrom } from '#scripts/demo/random.ts';
import { madeCatalogue, madeQueries } from './made-catalogue.ts';
import { MADE_DAY, MADE_MEMBER, madeAnswer, madeDocument, madeEntries, madePath } from './made-services.ts';

const RECORD_LEAVES = 50;
const SERVICE_LEAVES = 200;
const NOW_MS = Date.parse(`${MADE_DAY}T09:00:00Z`);
const CLIENT = 'GX/GOV/1003/housing';
const SEED = 1;

const { values } = parseArgs({
  options: { services: { type: 'string' }, elements: { type: 'string' }, json: { type: 'boolean' } },
});
const services = Number(values.services ?? 1_000);
const elements = Number(values.elements ?? 20_000);
if (!(services >= 1 && services <= 100_000 && elements >= 100 && elements <= 200_000)) {
  console.error('--services 1 to 100000, --elements 100 to 200000');
  process.exit(2);
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapMiB(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

const rounded = (value: number) => Math.round(value * 10) / 10;

function tookMs(work: () => unknown): number {
  const fromMs = performance.now();
  work();
  return rounded(performance.now() - fromMs);
}

/** The middle and the hundredth slowest, sorting in place. */
function spread(samples: number[]): { median: number; p99: number } {
  samples.sort((a, b) => a - b);
  const at = (share: number) => rounded(samples[Math.floor(samples.length * share)] ?? 0);
  return { median: at(0.5), p99: at(0.99) };
}

/** Microseconds of one turn, after the compiler has seen enough of them. */
function microsecondsOf(work: () => unknown, turns = 4_000): { median: number; p99: number } {
  for (let turn = 0; turn < turns; turn += 1) work();
  const samples = Array.from({ length: turns }, () => {
    const fromMs = performance.now();
    work();
    return (performance.now() - fromMs) * 1e3;
  });
  return spread(samples);
}

function compiledTable(leaves: number, service: string, dictionary: Dictionary): BindingTable {
  const options = { service, instance: 'GX', dictionary, day: MADE_DAY, previousLevel: null };
  const { table, faults } = compileBinding(madeDocument(leaves), options);
  if (table === null) throw new Error(`${faults[0]?.code} ${faults[0]?.detail}`);
  return table;
}

/** What `decide` is given for a request of this client at a bound service under one right. */
function inputsOf(binding: Binding, asked: readonly { path: string | null; element: string }[], fields: string[]) {
  const { service } = binding.table;
  const right = {
    ...PLAIN_TERMS,
    ...{ id: '00000000-0000-4000-8000-000000000001', client: CLIENT, service, statute: 'made', casePattern: '' },
    ...{ endpoints: [{ method: '*', path: '/**' }], bases: ['law'], notAfterMs: NOW_MS * 2 },
    elements: [...new Set(asked.map(({ element }) => element))],
  };
  const request = {
    client: CLIENT,
    service,
    method: 'GET',
    path: '/people/1',
    purpose: null,
    basis: 'law',
    userId: 'u',
  };
  return {
    ...{ v: 1, nowMs: NOW_MS, clientRegistered: true, groups: [], rights: [{ right, usedToday: 0 }], predicateUse: [] },
    request: { ...request, issue: '1', subject: null, fields, partial: false },
    service: { enabled: true, notice: null, personalData: true },
    binding: {
      ...{ table: binding.hash, operation: 'GET /people/{id}', needsSubject: false, purposes: [] },
      ...{ asked: asked.map((one) => ({ ...one, level: 2, inputs: [], group: null })), unknown: [], tooMany: false },
    },
  } as unknown as DecisionInputs;
}

function measureExchange(fieldCount: number) {
  const dictionary = openDictionary('1.0.0', madeEntries(RECORD_LEAVES));
  const binding = openBinding(compiledTable(RECORD_LEAVES, `${MADE_MEMBER}/civil/people`, dictionary), dictionary);
  const fields = Array.from({ length: fieldCount }, (_, at) => madePath(Math.floor((at * RECORD_LEAVES) / fieldCount)));
  const body = madeAnswer(RECORD_LEAVES);
  const resolved = () => {
    const bound = binding.operation('GET', '/people/1');
    if (bound === null) throw new Error('the operation is not bound');
    return { bound, asked: resolveFields(bound, binding, dictionary, fields).asked };
  };
  const judged = () => {
    const { bound, asked } = resolved();
    const decision = decide(inputsOf(binding, asked, fields));
    if (decision.release === null) throw new Error(decision.code);
    return { bound, asked, omitted: decision.release.omitted };
  };
  const released = ({ bound, asked, omitted }: ReturnType<typeof judged>) => {
    const about = { binding, bound, dictionary, decided: { asked, omitted }, states: null, source: MADE_MEMBER };
    const answer = { status: 200, mediaType: 'application/json', body, nowMs: NOW_MS, doubted: () => false };
    const made = releaseAnswer({ ...about, ...answer });
    if (!made.ok || made.faults.length > 0) throw new Error('the answer does not fit');
    return made;
  };
  const once = judged();
  const paths = new Set(fields);
  const leaves = once.bound.leaves;
  const sent = released(once).body;
  return {
    fields: fieldCount,
    answerBytes: body.length,
    sentBytes: sent.length,
    decideMicroseconds: microsecondsOf(judged),
    releaseMicroseconds: microsecondsOf(() => released(once)),
    consumerCheckMicroseconds: microsecondsOf(() => overDelivered(parseJson(sent), leaves, paths)),
    bothMicroseconds: microsecondsOf(() => released(judged())),
  };
}

function measureServices() {
  const dictionary = openDictionary('1.0.0', madeEntries(SERVICE_LEAVES));
  const check = compile(BindingTable, 'SCHEMA_MISMATCH');
  const names = Array.from({ length: services }, (_, index) => `${MADE_MEMBER}/civil/people${index}`);
  const texts: string[] = [];
  const compileMs = tookMs(() => {
    for (const name of names) texts.push(bindingTableText(compiledTable(SERVICE_LEAVES, name, dictionary)));
  });
  const before = heapMiB();
  const opened: Binding[] = [];
  const loadMs = tookMs(() => {
    for (const text of texts) opened.push(openBinding(check(parseJson(text)), dictionary));
  });
  const loadedMiB = rounded(heapMiB() - before);
  const firstUseMs = tookMs(() => {
    for (const binding of opened) {
      const bound = binding.operation('GET', '/people/1');
      if (bound === null || binding.hash === '') throw new Error('the operation is not bound');
      resolveFields(bound, binding, dictionary, [madePath(0)]);
      overDelivered({}, bound.operation.responses[0]?.leaves ?? [], new Set());
    }
  });
  const usedMiB = rounded(heapMiB() - before);
  const tableBytes = Math.round(texts.reduce((sum, text) => sum + text.length, 0) / texts.length);
  return { services, leaves: SERVICE_LEAVES, compileMs, loadMs, loadedMiB, firstUseMs, usedMiB, tableBytes };
}

function measureSearch() {
  const chance = randomFrom(SEED);
  const entries = madeCatalogue(OWN_DICTIONARY, elements, chance);
  const queries = madeQueries(entries, 1_000, chance);
  const before = heapMiB();
  const openMs = performance.now();
  const catalogue = openCatalogue(openDictionary('1.0.0', entries), []);
  catalogue.search('index', { limit: 20 }); // the index is built with the first search
  const indexMs = rounded(performance.now() - openMs);
  const indexMiB = rounded(heapMiB() - before);
  let found = 0;
  const samples = queries.map((text) => {
    const fromMs = performance.now();
    found += catalogue.search(text, { limit: 20 }).length > 0 ? 1 : 0;
    return (performance.now() - fromMs) * 1e3;
  });
  return { elements, indexMs, indexMiB, queries: queries.length, found, queryMicroseconds: spread(samples) };
}

const exchanges = [10, RECORD_LEAVES].map(measureExchange);
const result = { exchanges, services: measureServices(), search: measureSearch() };
console.log(JSON.stringify(result, null, values.json ? 0 : 2));
