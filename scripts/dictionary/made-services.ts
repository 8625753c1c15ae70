// Made services for measurements: a dictionary of plain elements, OpenAPI documents whose answers have as many leaves as
// asked for, and answers that follow them.

import type { DictionaryEntry, ElementEntry, ValueDomain } from '#schemas/dictionary-entry.ts';
import type { JsonObject, JsonValue } from '#schemas/json.ts';

export const MADE_MEMBER = 'GX/GOV/1001';
export const MADE_DAY = '2026-06-15';
/** Leaves in each object of an answer. */
const MEMBERS = 10;
const SOURCE = { name: 'made', date: MADE_DAY };

const common = {
  version: '1.0.0',
  state: 'standard',
  labels: { zh: '量', en: 'made' },
  definition: { zh: '量', en: 'made' },
} as const;

interface Kind {
  domain: ValueDomain;
  more?: Partial<ElementEntry>;
  /** As the backend writes it. */
  schema: JsonObject;
  value: JsonValue;
}

// As in a real record: mostly texts, some days and numbers, a code of a list, a value in the provider's own form.
const KINDS: readonly [Kind, ...Kind[]] = [
  {
    domain: { type: 'string', maxLength: 200 },
    schema: { type: 'string' },
    value:
      '中山路 12 号 3 单元 401 室, Zhongshan Road No. 12, Unit 3, Flat 401, Tianxin District, Changsha City, Hunan Province',
  },
  { domain: { type: 'string', pattern: '^[0-9]{17}[0-9X]$' }, schema: { type: 'string' }, value: '43010219900101123X' },
  { domain: { type: 'string', format: 'date' }, schema: { type: 'string', format: 'date' }, value: '1990-01-01' },
  { domain: { type: 'number', minimum: 0 }, schema: { type: 'number' }, value: 123_456.78 },
  { domain: { type: 'string' }, more: { codelist: 'gx.code.made@1' }, schema: { type: 'string' }, value: '042' },
  {
    domain: { type: 'string', maxLength: 500 },
    schema: { type: 'string' },
    value:
      'one line of free text as clerks write it, neither short nor long, about one matter and what became of it; then a second one that says who was told, when, and by whom it was signed; and a third that nobody reads, although it is kept with the others and sent along with them every time the record is asked for, as records are',
  },
  {
    domain: { type: 'string', enum: ['yes', 'no'] },
    schema: { type: 'string', 'x-accord-map': 'gx.map.made@1' },
    value: 'Y',
  },
  { domain: { type: 'boolean' }, schema: { type: 'boolean' }, value: true },
  {
    domain: { type: 'string', maxLength: 100 },
    schema: { type: 'string' },
    value: '李小明, 长沙市天心区居民, 户籍所在地湖南省长沙市天心区中山路十二号',
  },
  { domain: { type: 'integer', minimum: 0 }, schema: { type: 'integer' }, value: 17 },
];

const kindOf = (index: number): Kind => KINDS[index % KINDS.length] ?? KINDS[0];
const elementId = (index: number) => `gx.made.e${index}`;
/** Path of the n-th leaf: objects of ten members, side by side. */
export const madePath = (index: number): string => `/${partName(index)}/${memberName(index)}`;
const partName = (index: number) => `partOfRecord${Math.floor(index / MEMBERS)}`;
const memberName = (index: number) => `memberOfRecord${index}`;

export function madeEntries(elements: number): DictionaryEntry[] {
  const made = Array.from({ length: elements }, (_, index): ElementEntry => {
    const { domain, more } = kindOf(index);
    const authorities = [{ jurisdiction: 'GX', member: MADE_MEMBER, from: '2020-01-01', until: null }];
    return { kind: 'element', id: elementId(index), ...common, domain, level: 2, authorities, tests: [], ...more };
  });
  const codes = Array.from({ length: 200 }, (_, index) => {
    return { code: String(index).padStart(3, '0'), labels: { en: String(index) } };
  });
  return [
    ...made,
    { kind: 'codelist', id: 'gx.code.made', ...common, source: SOURCE, codes, tests: [] },
    {
      ...{ kind: 'mapping', id: 'gx.map.made', ...common, fidelity: 'lossless', onUnmapped: 'fail', examples: [] },
      from: { value: 'local:yes' },
      to: { value: `${elementId(6)}@1` },
      steps: [{ op: 'enumMap', at: 'value', table: { Y: 'yes', N: 'no' } }],
    },
  ];
}

/** An OpenAPI document with one operation `GET /people/{id}`, whose answer has that many leaves. */
export function madeDocument(leaves: number): JsonObject {
  const parts: Record<string, JsonObject> = {};
  for (let index = 0; index < leaves; index += 1) {
    const part = partName(index);
    parts[part] ??= { type: 'object', additionalProperties: false, properties: {} };
    const leaf: JsonObject = { ...kindOf(index).schema, 'x-accord-element': `${elementId(index)}@1` };
    if (index >= MEMBERS) delete leaf['x-accord-map'];
    (parts[part]['properties'] as JsonObject)[memberName(index)] = leaf;
  }
  const schema = { type: 'object', additionalProperties: false, properties: parts };
  return {
    openapi: '3.1.0',
    info: { title: 'made', version: '1' },
    paths: {
      '/people/{id}': {
        get: { responses: { '200': { description: 'x', content: { 'application/json': { schema } } } } },
      },
    },
  };
}

/** An answer that follows it. */
export function madeAnswer(leaves: number): Buffer {
  const parts: Record<string, JsonObject> = {};
  for (let index = 0; index < leaves; index += 1) {
    const part = partName(index);
    parts[part] ??= {};
    const { value } = kindOf(index);
    parts[part][memberName(index)] = value === 'Y' && index >= MEMBERS ? 'yes' : value;
  }
  return Buffer.from(JSON.stringify(parts), 'utf8');
}
