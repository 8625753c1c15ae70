// Every value that the demonstration's departments answer fits the element that their adapter binds it to, for the made
// population and for the public personas: a bound value that does not fit would be withheld.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { type Dictionary, openDictionary } from '#policy/dictionary/dictionary.ts';
import { domainMisfit } from '#policy/dictionary/value-domain.ts';
import { applyToValue } from '#policy/mapping/apply.ts';
import type { DictionaryEntry, Scalar } from '#schemas/dictionary-entry.ts';
import { readPersonas } from '#scripts/demo/personas.ts';
import { generatePopulation, type Population } from '#scripts/demo/residents.ts';
import { DEPARTMENTS, type Table, tablesOf } from '#scripts/demo/tables.ts';

const PERSONAS = '../shared/data/personas/myinfo-v3.json';
const DAY = '2026-11-22';

interface Resource {
  table: string;
  joins?: Record<string, { table: string }>;
  properties?: Record<string, { column: string; nullable?: boolean; element?: string; map?: string }>;
  children?: Record<string, Resource>;
}

const dictionary: Dictionary = openDictionary(
  '1.0.0',
  ['elements', 'codelists', 'mappings'].flatMap((folder) =>
    readdirSync(`schemas/dictionary/${folder}`).map(
      (file) => JSON.parse(readFileSync(`schemas/dictionary/${folder}/${file}`, 'utf8')) as DictionaryEntry,
    ),
  ),
);

/** @returns how many values were looked at */
function checkResource(t: Test, resource: Resource, tables: readonly Table[]): number {
  let seen = 0;
  for (const [name, { column, nullable, element, map }] of Object.entries(resource.properties ?? {})) {
    const [join, joined] = column.split('.');
    const tableName = joined === undefined ? resource.table : resource.joins?.[join ?? '']?.table;
    const table = tables.find((one) => one.name === tableName);
    const place = Object.keys(table?.columns ?? {}).indexOf(joined ?? column);
    const entry = element === undefined ? undefined : dictionary.element(element);
    if (table === undefined || place < 0 || entry === undefined) {
      t.fail(`${resource.table}.${name}: column ${column}, element ${element}`);
      continue;
    }
    const wrong = new Map<string, number>();
    for (const row of table.rows) {
      const value = row[place] ?? null;
      if (value === null && nullable === true) continue;
      const misfit = domainMisfit(map === undefined ? value : mapped(map, value), entry, dictionary);
      if (misfit !== null) wrong.set(misfit, (wrong.get(misfit) ?? 0) + 1);
      seen += 1;
    }
    if (wrong.size > 0) t.fail(`${tableName}.${column} as ${element}: ${JSON.stringify([...wrong])}`);
  }
  const children = Object.values(resource.children ?? {});
  return children.reduce((sum, child) => sum + checkResource(t, child, tables), seen);
}

function mapped(ref: string, value: Scalar): Scalar | undefined {
  const mapping = dictionary.mapping(ref);
  const done = mapping === undefined ? undefined : applyToValue([mapping], value, DAY);
  return done?.ok === true ? Object.values(done.record)[0] : undefined;
}

function checkPopulation(t: Test, population: Population): void {
  const tables = tablesOf(population);
  for (const department of DEPARTMENTS) {
    const adapter = parse(readFileSync(`scripts/demo/adapters/${department}.yaml`, 'utf8')) as {
      resources: Resource[];
    };
    const seen = adapter.resources.reduce((sum, one) => sum + checkResource(t, one, tables[department]), 0);
    t.ok(seen > 0, `${department}: ${seen} values`);
  }
}

t.test('the made population', async (t) => checkPopulation(t, generatePopulation(7, 2_000)));

t.test('the public personas', { skip: existsSync(PERSONAS) ? false : `${PERSONAS} is not there` }, async (t) =>
  checkPopulation(t, readPersonas(readFileSync(PERSONAS))),
);
