// A small dictionary, and OpenAPI documents around one response schema, for the tests of binding.
import assert from 'node:assert/strict';
import { type CompileOptions, compileBinding } from '#policy/binding/compile.ts';
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import { BindingTable } from '#schemas/binding-table.ts';
import type { DictionaryEntry } from '#schemas/dictionary-entry.ts';
import type { JsonObject } from '#schemas/json.ts';
import { compile } from '#schemas/validate.ts';
import { element, mapping, predicate } from './entries.ts';

const text = { zh: '一', en: 'one' };
const OWNER = 'GX/GOV/1001';
export const SERVICE = `${OWNER}/civil/residents`;
const DAY = '2026-06-15';

/** An element of which the service's member is the authority in GX since 2020. */
function own(id: string, over: Record<string, unknown> = {}): DictionaryEntry {
  return element(id, { authorities: [authority(OWNER)], ...over });
}

function authority(member: string, over: Record<string, unknown> = {}) {
  return { jurisdiction: 'GX', member, from: '2020-01-01', until: null, ...over };
}

function group(id: string, members: string[]): DictionaryEntry {
  const base = { kind: 'group', id, version: '1.0.0', state: 'standard', labels: text, definition: text } as const;
  return { ...base, members, atomic: true };
}

const codes = ['1', '2', '9'].map((code) => ({ code, labels: { en: code } }));
const date = { type: 'string', format: 'date' };

const ENTRIES: DictionaryEntry[] = [
  own('gx.id'),
  own('gx.name', { level: 2 }),
  own('gx.alias', { level: 2 }),
  own('gx.family', { level: 2 }),
  own('gx.given', { level: 2 }),
  own('gx.born', { level: 3, domain: date }),
  own('gx.born', { version: '2.1.0', level: 4, domain: date }),
  own('gx.income', { level: 3, domain: { type: 'number' } }),
  own('gx.count', { domain: { type: 'integer' } }),
  own('gx.alive', { domain: { type: 'boolean' } }),
  own('gx.sex', { domain: { type: 'string' }, codelist: 'gx.code.sex@1' }),
  own('gx.kind', { domain: { type: 'string', enum: ['a', 'b'] } }),
  own('gx.draft', { state: 'draft' }),
  own('gx.retired', { state: 'retired' }),
  own('gx.old', { state: 'deprecated' }),
  element('gx.foreign', { authorities: [authority('GX/GOV/1002')] }),
  element('gx.nobody'),
  element('gx.past', { authorities: [authority(OWNER, { until: DAY }), authority('GX/GOV/1002', { from: DAY })] }),
  element('gx.local', { authorities: [authority(OWNER, { jurisdiction: 'GX-45' })] }),
  group('gx.group.name', ['gx.family@1', 'gx.given@1']),
  {
    kind: 'codelist',
    id: 'gx.code.sex',
    version: '1.0.0',
    state: 'standard',
    labels: text,
    definition: text,
    source: { name: 'test', date: '2020-01-01' },
    codes,
    tests: [],
  },
  mapping({ id: 'gx.map.sex', from: { value: 'local:mf' }, to: { value: 'gx.sex@1' } }),
  mapping({ id: 'gx.map.pair', from: { a: 'local:a', b: 'local:b' }, to: { value: 'gx.sex@1' } }),
  mapping({ id: 'gx.map.income', from: { value: 'gx.count@1' }, to: { value: 'gx.income@1' } }),
  mapping({ id: 'gx.map.draft', state: 'draft', from: { value: 'local:mf' }, to: { value: 'gx.sex@1' } }),
  mapping({ id: 'gx.map.born', from: { value: 'gx.born@1' }, to: { value: 'gx.born@2' } }),
  predicate({ id: 'gx.pred.adult', inputs: { born: 'gx.born@1' } }),
  predicate({ id: 'gx.pred.rich', inputs: { income: 'gx.income@1', born: 'gx.born@1' } }),
  predicate({ id: 'gx.pred.draft', state: 'draft', inputs: { born: 'gx.born@1' } }),
];
export const DICTIONARY = openDictionary('1.0.0', ENTRIES);

/** A leaf that is bound to an element in its own form. */
export const name = { type: 'string', 'x-accord-element': 'gx.name@1' };
export const born = { type: 'string', format: 'date', 'x-accord-element': 'gx.born@1' };
export const income = { type: 'number', 'x-accord-element': 'gx.income@1' };
export const kind = { type: 'string', enum: ['a', 'b'], 'x-accord-role': 'structural' };

export function closed(properties: object, more: object = {}): JsonObject {
  return { type: 'object', additionalProperties: false, properties, ...more } as JsonObject;
}

/** Closed around what composition adds. */
export function sealed(more: object): JsonObject {
  return { type: 'object', unevaluatedProperties: false, ...more } as JsonObject;
}

/** Where `around` puts the schema. */
export const AT = '/paths/~1people~1{id}/get/responses/200/content/application~1json/schema';

/** A document with one operation whose 200 answer is the schema. */
export function around(schema: unknown, more: Record<string, unknown> = {}): JsonObject {
  const { components = {}, info = {}, operation = {}, ...rest } = more as Record<string, JsonObject>;
  const responses = { 200: { description: 'x', content: { 'application/json': { schema } } } };
  const get = { responses, ...operation };
  const document = {
    openapi: '3.1.0',
    info: { title: 'x', version: '1', ...info },
    paths: { '/people/{id}': { get } },
    components,
    ...rest,
  };
  return JSON.parse(JSON.stringify(document));
}

export function compiled(document: JsonObject, over: Partial<CompileOptions> = {}) {
  const options = { service: SERVICE, instance: 'GX', dictionary: DICTIONARY, day: DAY, previousLevel: null };
  return compileBinding(document, { ...options, ...over });
}

const checkTable = compile(BindingTable, 'SCHEMA_MISMATCH');
export const bare = { type: 'string' };
export const pointing = (path: string) => ({ $ref: `#/components/schemas/${path}` });
export const alias = { type: 'string', 'x-accord-element': 'gx.alias@1' };
export const technical = (more: object) => ({ 'x-accord-role': 'technical', ...more });

/** A condition, spelled so that no linter takes it for a promise. */
export function when(condition: object, yes: object, no?: object): object {
  return { if: condition, ...Object.fromEntries([['then', yes]]), ...(no && { else: no }) };
}

/** Code and place of each fault; `AT` is left out at the start of a place. */
export function faultsOf(document: JsonObject, over: Partial<CompileOptions> = {}): string[] {
  const { table, faults } = compiled(document, over);
  if (table !== null) checkTable(table);
  assert.equal(table === null, faults.length > 0);
  return faults.map(({ code, pointer }) => `${code} ${pointer.startsWith(AT) ? pointer.slice(AT.length) : pointer}`);
}

/** Paths of the only answer and what is bound there. */
export function leavesOf(document: JsonObject): Record<string, string> | string[] {
  const { table } = compiled(document);
  if (table === null) return faultsOf(document);
  const leaves = table.operations[0]?.responses[0]?.leaves ?? [];
  return Object.fromEntries(leaves.map((leaf) => [leaf.path, leaf.role === 'data' ? leaf.element : leaf.role]));
}
