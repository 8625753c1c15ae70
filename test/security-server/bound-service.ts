// A service with a binding, for tests of the exchange: a small dictionary, an OpenAPI document, its table.
import { compileBinding } from '#policy/binding/compile.ts';
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import type { DictionaryEntry, ElementEntry, PredicateEntry } from '#schemas/dictionary-entry.ts';
import type { JsonObject } from '#schemas/json.ts';
import { SERVICE } from '#scripts/campaign/pair.ts';

const text = (en: string) => ({ zh: `词条 ${en}`, en });

function element(id: string, domain: ElementEntry['domain'], over: Partial<ElementEntry> = {}): ElementEntry {
  const string = domain.type === 'string';
  const [good, bad] = string
    ? [domain.format === 'date' ? '2000-02-29' : 'x', domain.format === 'date' ? '2001-02-29' : 7]
    : [domain.type === 'boolean' ? true : 1, 'x'];
  return {
    kind: 'element',
    id,
    version: '1.0.0',
    state: 'standard',
    labels: text(`label of ${id}`),
    definition: text(`What ${id} means`),
    domain,
    level: 2,
    authorities: [{ jurisdiction: 'DEV', member: 'DEV/GOV/2002', from: '2020-01-01', until: null }],
    tests: [
      { value: good as string, valid: true },
      { value: bad as string, valid: false },
    ],
    ...over,
  };
}

function predicate(
  id: string,
  inputs: PredicateEntry['inputs'],
  thresholds: object,
  expression: string,
  rows: unknown[][],
) {
  return {
    kind: 'predicate',
    id,
    version: '1.0.0',
    state: 'standard',
    labels: text(`label of ${id}`),
    definition: text(`What ${id} means`),
    level: 2,
    inputs,
    thresholds,
    expression,
    tests: rows.map(([given, result]) => ({ inputs: given, today: '2026-01-01', result })),
  } as PredicateEntry;
}

const age = (years: number) =>
  predicate(
    `gx.pred.age_ge_${years}`,
    { birthDate: 'gx.birth_date@1' },
    { years },
    'ageInYears(birthDate, today) >= thresholds.years',
    [
      [{ birthDate: '1900-01-01' }, 'true'],
      [{ birthDate: '2025-12-31' }, 'false'],
      [{ birthDate: null }, 'unknown'],
    ],
  );

export const ENTRIES: DictionaryEntry[] = [
  element('gx.id', { type: 'string', maxLength: 40 }),
  element('gx.name', { type: 'string', maxLength: 100 }),
  element('gx.birth_date', { type: 'string', format: 'date' }),
  element('gx.income', { type: 'integer', minimum: 0 }, { level: 3, maxAgeDays: 400 }),
  element('gx.currency', { type: 'string', maxLength: 3 }),
  {
    kind: 'group',
    id: 'gx.group.amount',
    version: '1.0.0',
    state: 'standard',
    labels: text('amount'),
    definition: text('An amount without its currency misleads'),
    members: ['gx.income@1', 'gx.currency@1'],
    atomic: true,
  },
  ...[18, 60, 65, 70, 75].map(age),
];

const leaf = (type: string, ref: string, over: object = {}) => ({
  type: [type, 'null'],
  ...over,
  'x-accord-element': ref,
});
const closed = (properties: object) => ({ type: 'object', additionalProperties: false, properties });

export const DOCUMENT = {
  openapi: '3.1.0',
  info: { title: 'Residents', version: '1.0.0' },
  paths: {
    '/residents/{id}': {
      get: {
        parameters: [
          { name: 'id', in: 'path', required: true, schema: { type: 'string' }, 'x-accord-subject': 'gx.id@1' },
          { name: 'on', in: 'query', schema: { type: 'string' }, 'x-accord-role': 'as-of' },
        ],
        responses: {
          200: {
            description: 'Found',
            content: {
              'application/json': {
                schema: closed({
                  name: leaf('string', 'gx.name@1'),
                  birthDate: leaf('string', 'gx.birth_date@1', { format: 'date' }),
                  years: {
                    type: 'array',
                    items: closed({
                      income: leaf('integer', 'gx.income@1', { 'x-accord-as-of': 'assessed' }),
                      currency: leaf('string', 'gx.currency@1'),
                      assessed: { type: 'string', format: 'date', 'x-accord-role': 'technical' },
                    }),
                  },
                }),
              },
            },
          },
          404: {
            description: 'Not found',
            content: {
              'application/problem+json': {
                schema: closed({
                  code: { type: 'string', enum: ['NO_SUCH_RESIDENT'], 'x-accord-role': 'technical' },
                  status: { type: 'integer', 'x-accord-role': 'technical' },
                }),
              },
            },
          },
        },
      },
    },
  },
};

/** @throws TypeError naming the faults */
export function tableOf(document: object = DOCUMENT, entries: DictionaryEntry[] = ENTRIES): BindingTable {
  const dictionary = openDictionary('1.0.0', entries);
  const options = { service: SERVICE, instance: 'DEV', dictionary, day: '2026-11-22', previousLevel: null };
  const { table, faults } = compileBinding(document as JsonObject, options);
  if (table === null) throw new TypeError(JSON.stringify(faults));
  return table;
}
