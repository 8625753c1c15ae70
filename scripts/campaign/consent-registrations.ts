// The facts of campaign `consent` as a configuration says them: dictionary, binding tables, purposes, access rights.
import { createHash } from 'node:crypto';
import { compileBinding } from '#policy/binding/compile.ts';
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import type { AccessRight } from '#schemas/access-right.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import type { DictionaryEntry, ElementEntry, Level, ValueDomain } from '#schemas/dictionary-entry.ts';
import type { JsonObject } from '#schemas/json.ts';
import { type Purpose, purposeText } from '#schemas/purpose.ts';
import {
  ENDED,
  FIELDS,
  type Field,
  PURPOSES,
  type PurposeName,
  type Right,
  type Service,
  TOGETHER,
} from './consent-facts.ts';
import { accessRight } from './pair.ts';

const text = (en: string) => ({ zh: `词 ${en}`, en });
const elementOf = (field: Field) => FIELDS[field].element;
const common = { version: '1.0.0', state: 'standard' } as const;
const NAMES = Object.keys(PURPOSES) as PurposeName[];

function element(
  ref: string,
  domain: ValueDomain,
  level: Level,
  [good, bad]: [string | number, string | number],
): ElementEntry {
  const id = ref.replace('@1', '');
  return {
    kind: 'element',
    id,
    ...common,
    labels: text(id),
    definition: text(`what ${id} means`),
    domain,
    level,
    authorities: [{ jurisdiction: 'DEV', member: 'DEV/GOV/2002', from: '2020-01-01', until: null }],
    tests: [
      { value: good, valid: true },
      { value: bad, valid: false },
    ],
  };
}

function textElement(field: Field): ElementEntry {
  return element(elementOf(field), { type: 'string', maxLength: 60 }, FIELDS[field].level, ['x', 7]);
}

export const ENTRIES: DictionaryEntry[] = [
  element('gx.id@1', { type: 'string', maxLength: 40 }, 2, ['x', 7]),
  textElement('phone'),
  textElement('name'),
  element('gx.birth_date@1', { type: 'string', format: 'date' }, 2, ['2000-02-29', '2001-02-29']),
  element('gx.income@1', { type: 'integer', minimum: 0 }, 3, [1, 'x']),
  textElement('currency'),
  textElement('diagnosis'),
  {
    kind: 'group',
    id: 'gx.group.amount',
    ...common,
    labels: text('amount'),
    definition: text('an amount without its currency misleads'),
    members: TOGETHER.map(elementOf),
    atomic: true,
  },
  {
    kind: 'predicate',
    id: 'gx.pred.age_ge_18',
    ...common,
    labels: text('adult'),
    definition: text('18 years or more'),
    level: 2,
    inputs: { birthDate: elementOf('birthDate') },
    thresholds: { years: 18 },
    expression: 'ageInYears(birthDate, today) >= thresholds.years',
    tests: [
      { inputs: { birthDate: '1900-01-01' }, today: '2026-01-01', result: 'true' },
      { inputs: { birthDate: '2025-12-31' }, today: '2026-01-01', result: 'false' },
      { inputs: { birthDate: null }, today: '2026-01-01', result: 'unknown' },
    ],
  },
];

const closed = (properties: object) => ({ type: 'object', additionalProperties: false, properties });
const leaf = (field: Field, type = 'string', over: object = {}) => ({
  [field]: { type: [type, 'null'], ...over, 'x-accord-element': elementOf(field) },
});
const answer = (schema: object, type: string) => ({ description: 'answer', content: { [type]: { schema } } });

const DOCUMENT = {
  openapi: '3.1.0',
  info: { title: 'Residents', version: '1.0.0' },
  paths: {
    '/residents/{id}': {
      get: {
        parameters: [
          { name: 'id', in: 'path', required: true, schema: { type: 'string' }, 'x-accord-subject': 'gx.id@1' },
        ],
        responses: {
          200: answer(
            closed({
              ...leaf('phone'),
              ...leaf('name'),
              ...leaf('birthDate', 'string', { format: 'date' }),
              ...leaf('income', 'integer'),
              ...leaf('currency'),
              ...leaf('diagnosis'),
            }),
            'application/json',
          ),
          404: answer(
            closed({ status: { type: 'integer', 'x-accord-role': 'technical' } }),
            'application/problem+json',
          ),
        },
      },
    },
  },
};

/** @throws TypeError naming the faults */
export function tableOf(service: Service): BindingTable {
  const dictionary = openDictionary('1.0.0', ENTRIES);
  const options = { service, instance: 'DEV', dictionary, day: '2026-01-01', previousLevel: null };
  const { table, faults } = compileBinding(DOCUMENT as JsonObject, options);
  if (table === null) throw new TypeError(JSON.stringify(faults));
  return table;
}

/** As a request writes it: data by their paths, a predicate by its name. */
export function asAsked(field: Field): string {
  return field === 'adult' ? elementOf(field) : `/${field}`;
}

function purpose(id: PurposeName, version: number): Purpose {
  const { bases, fields } = PURPOSES[id];
  return {
    id,
    version,
    title: text(id),
    text: text(`words number ${version}`),
    bases: [...bases],
    elements: fields.map(elementOf),
    retentionDays: 90,
    quotaPerDay: null,
    from: '2020-01-01',
    until: id === ENDED ? '2020-01-02' : null,
  };
}

/** Every version there ever was. */
export const ALL_PURPOSES: Purpose[] = NAMES.flatMap((id) =>
  Array.from({ length: PURPOSES[id].version }, (_, at) => purpose(id, at + 1)),
);

export function purposeHash(id: PurposeName, version: number): string {
  return createHash('sha256')
    .update(purposeText(purpose(id, version)))
    .digest('base64url');
}

/** @param at number of the right, which becomes its id */
export function accessRightOf(
  { client, service, purposes, pinned, bases, fields, ended }: Right,
  at: number,
): AccessRight {
  return accessRight({
    id: `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`,
    ...{ client, service, bases: [...bases], purposes: [...purposes], elements: fields.map(elementOf) },
    pins: Object.fromEntries(purposes.map((id) => [id, purposeHash(id, pinned ?? PURPOSES[id].version)])),
    statute: 'Test Act',
    ...(ended ? { notAfterMs: 1 } : {}),
  });
}
