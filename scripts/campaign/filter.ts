// Campaign `filter`: random answer schemas, answers and decisions. Nothing outside the decision ever leaves, everything
// inside it that the backend returned does, filtering twice changes nothing, the consumer's check passes what was
// filtered and finds a planted leak, and what is said of each place agrees with what is there.
import { isDeepStrictEqual } from 'node:util';
import { overDelivered } from '#policy/release/over-delivery.ts';
import { releaseAnswer } from '#policy/release/release.ts';
import { select } from '#policy/release/select.ts';
import type { BindingLeaf } from '#schemas/binding-table.ts';
import type { Scalar } from '#schemas/dictionary-entry.ts';
import type { JsonValue } from '#schemas/json.ts';
import { randomFrom, type Source } from '#scripts/demo/random.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import { asBackendAnswer, type FilterCase, makeCase, plantLeak } from './filter-cases.ts';
import { expected, leafAt, scalarsIn } from './filter-oracle.ts';

/** Filters that are worse than the real ones. */
export interface BrokenFilter {
  select?: typeof select;
  overDelivered?: typeof overDelivered;
  releaseAnswer?: typeof releaseAnswer;
}

interface Counts {
  kept: number;
  cut: number;
  planted: number;
  released: number;
  unreadable: number;
}

/** What is wrong with the filter in this case, for people; no entry when nothing is. */
function judge(one: FilterCase, chance: Source, counts: Counts, broken: BrokenFilter): string[] {
  const { leaves, paths, answer } = one;
  const filter = broken.select ?? select;
  const check = broken.overDelivered ?? overDelivered;
  const wrong: string[] = [];
  const before = JSON.stringify(answer);
  const keep = (leaf: BindingLeaf, value: Scalar) => (paths.has(leaf.path) ? value : undefined);
  const wanted = expected(answer, leaves, keep);
  const left = filter(answer, leaves, paths);
  if (!isDeepStrictEqual(left, wanted)) wrong.push(difference(left, wanted));
  if (JSON.stringify(answer) !== before) wrong.push('the answer itself was changed');
  counts.cut += scalarsIn(answer).length;
  if (left === undefined) return wrong;
  counts.kept += scalarsIn(left).length;
  counts.cut -= scalarsIn(left).length;
  for (const { names } of scalarsIn(left)) {
    const leaf = leafAt(leaves, names);
    if (leaf === undefined || (leaf.role === 'data' && !paths.has(leaf.path)))
      wrong.push(`leak at /${names.join('/')}`);
  }
  if (!isDeepStrictEqual(filter(left, leaves, paths), left)) wrong.push('filtering twice is not filtering once');
  const over = check(left, leaves, paths);
  if (over.length > 0) wrong.push(`called over-delivery: ${over.join()}`);
  const leak = plantLeak(chance, one, left);
  if (leak !== null) {
    counts.planted += 1;
    if (check(leak, leaves, paths).length === 0) wrong.push('a planted leak was not found');
  }
  return wrong;
}

/** The form in which the cases' elements leave; null for what a mapping does not know, undefined for what does not fit. */
function formed(leaf: BindingLeaf, value: Scalar): Scalar | undefined {
  if (leaf.role !== 'data' || value === null) return value;
  if (leaf.element === 'gx.number@1') return typeof value === 'number' && value >= 0 ? value : undefined;
  if (leaf.element === 'gx.text@1') return typeof value === 'string' && value.length <= 20 ? value : undefined;
  return value === 'M' ? '1' : value === 'F' ? '2' : null;
}

/** The same case with the forms of the dictionary, and what is said about each place. */
function judgeRelease(one: FilterCase, counts: Counts, broken: BrokenFilter): string[] {
  const { leaves, paths, answer } = one;
  const released = (broken.releaseAnswer ?? releaseAnswer)(asBackendAnswer(one));
  if (!released.ok) {
    counts.unreadable += 1;
    // The strict reader takes no such name.
    return JSON.stringify(answer).includes('"__proto__":') ? [] : [`refused: ${released.detail}`];
  }
  counts.released += 1;
  const keep = (leaf: BindingLeaf, value: Scalar) => (paths.has(leaf.path) ? formed(leaf, value) : undefined);
  const wanted = expected(answer, leaves, keep) ?? (Array.isArray(answer) ? [] : {});
  const body: JsonValue = JSON.parse(released.body.toString('utf8'));
  const wrong = isDeepStrictEqual(body, wanted) ? [] : [`released: ${difference(body, wanted)}`];
  const there = new Set(
    scalarsIn(body)
      .filter(({ value }) => value !== null)
      .map(({ names }) => leafAt(leaves, names)?.path),
  );
  const said = released.release.elements;
  if (!isDeepStrictEqual(new Set(said.map(({ path }) => path)), paths)) wrong.push('not every decided place is told');
  for (const { path, state } of said) {
    if (state !== (there.has(path) ? 'present' : 'unknown')) wrong.push(`${path} is called ${state}`);
  }
  return wrong;
}

function difference(left: JsonValue | undefined, wanted: JsonValue | undefined): string {
  const spelled = (value: JsonValue | undefined) => new Set(scalarsIn(value ?? {}).map((one) => JSON.stringify(one)));
  const [got, due] = [spelled(left), spelled(wanted)];
  const leaks = [...got].filter((place) => !due.has(place)).slice(0, 3);
  const losses = [...due].filter((place) => !got.has(place)).slice(0, 3);
  return `leaks ${leaks.join()} losses ${losses.join()}`;
}

async function run({ size, seed, broken = {}, say }: CampaignRun<BrokenFilter>): Promise<CampaignResult> {
  const counts: Counts = { kept: 0, cut: 0, planted: 0, released: 0, unreadable: 0 };
  const found: string[] = [];
  let failures = 0;
  for (let done = 0; done < size; done += 1) {
    if (done % 20_000 === 0 && done > 0) say?.(`${done} cases, ${failures} failures so far`);
    // Each case has a seed of its own, so that one can be run alone.
    const chance = randomFrom(seed + done);
    const one = makeCase(chance);
    const wrong = [...judge(one, chance, counts, broken), ...judgeRelease(one, counts, broken)];
    if (wrong.length === 0) continue;
    failures += 1;
    if (found.length < 20) found.push(`seed ${seed + done}: ${wrong.join('; ')}`);
  }
  return { size, failures, found, ...counts };
}

export const filter: Campaign<BrokenFilter> = {
  name: 'filter',
  title: 'random answers of bound services: what was decided leaves, and nothing else',
  defaultSize: 50_000,
  run,
};
