// A small dictionary, a bound service over it, and one answer of that service, for tests of what is released.
import { openBinding, resolveFields } from '#policy/binding/binding.ts';
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import type { BackendAnswer } from '#policy/release/answer.ts';
import { releaseAnswer } from '#policy/release/release.ts';
import type { BindingLeaf, BindingTable } from '#schemas/binding-table.ts';
import type { DictionaryEntry, ValueDomain } from '#schemas/dictionary-entry.ts';

const CODE: ValueDomain = { type: 'string', enum: ['resident', 'page'] };
const STATUS: ValueDomain = { type: 'integer', minimum: 100, maximum: 599 };
const data = (path: string, element = 'gx.text@1', more: object = {}): BindingLeaf => {
  return { role: 'data', path, element, level: 2, ...more };
};
const structural = (path: string): BindingLeaf => ({ role: 'structural', path, domain: CODE });
const technical = (path: string): BindingLeaf => ({ role: 'technical', path, domain: STATUS });

const common = {
  version: '1.0.0',
  state: 'standard',
  labels: { zh: '试', en: 'test' },
  definition: { zh: '试', en: 'test' },
} as const;
const element = (id: string, domain: ValueDomain, more: object = {}): DictionaryEntry => {
  return { kind: 'element', id, ...common, domain, level: 2, authorities: [], tests: [], ...more };
};
const predicate = (id: string, inputs: Record<string, string>, expression: string): DictionaryEntry => {
  return {
    kind: 'predicate',
    id,
    ...common,
    level: 2,
    inputs,
    thresholds: { years: 18, low: 2000 },
    expression,
    tests: [],
  };
};
export const DICTIONARY = openDictionary('3.1.4', [
  element('gx.text', { type: 'string', maxLength: 20 }),
  element('gx.sex', { type: 'string' }, { codelist: 'gx.code.sex@1' }),
  element('gx.sex', { type: 'string', enum: ['male', 'female'] }, { version: '2.0.0' }),
  element('gx.birth', { type: 'string', format: 'date' }),
  element('gx.income', { type: 'number', minimum: 0 }, { maxAgeDays: 30 }),
  element('gx.year', { type: 'integer' }),
  element('gx.day', { type: 'string', format: 'date' }),
  {
    kind: 'codelist',
    id: 'gx.code.sex',
    ...common,
    source: { name: 'test', date: '2020-01-01' },
    codes: ['1', '2'].map((code) => ({ code, labels: { en: code } })),
    tests: [],
  },
  {
    kind: 'mapping',
    id: 'gx.map.sex_local',
    ...common,
    from: { value: 'local:sex' },
    to: { value: 'gx.sex@1' },
    fidelity: 'lossless',
    steps: [{ op: 'enumMap', at: 'value', table: { M: '1', F: '2', X: '9' } }],
    onUnmapped: 'fail',
    examples: [],
  },
  {
    kind: 'mapping',
    id: 'gx.map.sex_2',
    ...common,
    from: { value: 'gx.sex@1' },
    to: { value: 'gx.sex@2' },
    fidelity: 'lossless',
    steps: [{ op: 'enumMap', at: 'value', table: { '1': 'male', '2': 'female' } }],
    onUnmapped: 'fail',
    examples: [],
  },
  {
    kind: 'mapping',
    id: 'gx.map.day',
    ...common,
    from: { value: 'local:day' },
    to: { value: 'gx.day@1' },
    fidelity: 'lossless',
    steps: [{ op: 'dateFormat', at: 'value', from: 'YYYYMMDD', to: 'YYYY-MM-DD' }],
    onUnmapped: 'fail',
    examples: [],
  },
  predicate('gx.pred.adult', { birth: 'gx.birth@1' }, 'ageInYears(birth, today) >= thresholds.years'),
  predicate('gx.pred.low', { income: 'gx.income@1', year: 'gx.year@1' }, 'latest(income, year) < thresholds.low'),
]);

const PERSON: BindingLeaf[] = [
  ...[
    data('/name'),
    data('/sex', 'gx.sex@1', { map: 'gx.map.sex_local@1' }),
    data('/birth', 'gx.birth@1', { asOf: '/at' }),
  ],
  ...[data('/years/income', 'gx.income@1', { asOf: '/years/on' }), data('/years/year', 'gx.year@1')],
  ...[data('/years/on', 'gx.day@1', { map: 'gx.map.day@1' }), structural('/type')],
];
const PROBLEM: BindingLeaf[] = [
  technical('/status'),
  data('/name', 'gx.birth@1'),
  data('/sex', 'gx.sex@1'),
  data('/birth', 'gx.birth@1'),
];
const json = 'application/json';
const TABLE = {
  v: 1,
  service: 'GX/GOV/1001/registry/residents',
  jurisdiction: 'GX',
  level: 2,
  operations: [
    {
      method: 'GET',
      path: '/r/{id}',
      subject: null,
      asOf: null,
      purposes: [],
      responses: [
        { status: '200', mediaType: json, leaves: PERSON },
        { status: '200', mediaType: 'text/csv', leaves: [] },
        { status: '4XX', mediaType: 'application/problem+json', leaves: PROBLEM },
        { status: 'default', mediaType: json, leaves: [technical('/status')] },
      ],
    },
  ],
} as unknown as BindingTable;
export const BINDING = openBinding(TABLE, DICTIONARY);
const NOW = Date.parse('2026-11-20T10:00:00Z');

export type Over = Partial<Omit<BackendAnswer, 'body'>> & { fields?: string[]; body?: unknown };

/** An answer of `GET /r/1` in which these fields were asked for and permitted. */
export function release({ fields = [], body, ...over }: Over = {}) {
  const bound = BINDING.operation('GET', '/r/1')!;
  const { asked, unknown } = resolveFields(bound, BINDING, DICTIONARY, fields);
  if (unknown.length > 0) throw new Error(`unknown: ${unknown.join()}`);
  return releaseAnswer({
    binding: BINDING,
    bound,
    dictionary: DICTIONARY,
    decided: { asked, omitted: [] },
    status: 200,
    mediaType: json,
    body: Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body ?? {})),
    states: null,
    source: 'GX/GOV/1001',
    nowMs: NOW,
    doubted: () => false,
    ...over,
  });
}

export function passed(over: Over) {
  const released = release(over);
  if (!released.ok) throw new Error(released.detail);
  const { elements, predicates } = released.release;
  return {
    ...released,
    json: JSON.parse(released.body.toString('utf8') || 'null'),
    element: (path: string) => elements.find((one) => one.path === path),
    verdicts: predicates.map(({ predicate, result }) => `${predicate} ${result}`),
  };
}
