// Publishing a service compiles its OpenAPI 3.1 document into the binding table (DESIGN: the dictionary): which element
// stands at which place of which answer. The registry, the author's own command line and the adapters' tests call the
// same function. Whatever is wrong is told at once, each with its place in the document; only a document without fault
// has a table. The service's author controls the document.
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import { BindingTable } from '#schemas/binding-table.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { memberOf, subsystemOfService } from '#schemas/identifiers.ts';
import { isJsonObject, type JsonObject } from '#schemas/json.ts';
import { MAX_JSON_BYTES } from '#schemas/limits.ts';
import { compile } from '#schemas/validate.ts';
import { highest } from './binding.ts';
import { type BindingFault, FaultList } from './binding-fault.ts';
import { MAX_LEAVES } from './collect-leaves.ts';
import type { Located } from './document.ts';
import { operationsOf } from './operations.ts';
import { refusedOverlaps } from './path-overlap.ts';
import { TooLarge } from './shape.ts';

export interface CompileOptions {
  /** Service identifier; its first three segments are the member that publishes. */
  service: string;
  /** Code of the instance: the jurisdiction, unless the document names another. */
  instance: string;
  dictionary: Dictionary;
  /** YYYY-MM-DD on which authorities are asked for. */
  day: string;
  /** Level of the table that is in force, if there is one. */
  previousLevel: Level | null;
}

export interface Compiled {
  /** Null when there are faults. */
  table: BindingTable | null;
  /** Ascending by place. */
  faults: BindingFault[];
}

/** Schemas, merges and places that one document may take; a large real one takes some thousands. */
const MAX_STEPS = 200_000;
const MAX_OPERATIONS = 500;

const checkTable = compile(BindingTable, 'SCHEMA_MISMATCH');

/** Pure. @param document a parsed JSON document */
export function compileBinding(document: JsonObject, options: CompileOptions): Compiled {
  const faults = new FaultList();
  const table = compiled(document, options, faults);
  const list = faults.list();
  return { table: list.length === 0 ? table : null, faults: list };
}

function compiled(document: JsonObject, options: CompileOptions, faults: FaultList): BindingTable | null {
  const { service, dictionary, day } = options;
  if (!/^3\.1\.\d+$/.test(String(document['openapi'])) || tooLong(document)) {
    faults.add('BIND_OPEN_SCHEMA', '/openapi', `an OpenAPI 3.1 document of up to ${MAX_JSON_BYTES} bytes is needed`);
    return null;
  }
  const jurisdiction = jurisdictionOf(document, options.instance, faults);
  const rules = { dictionary, member: memberOf(subsystemOfService(service)), jurisdiction, day, faults };
  const reader = { document, budget: { steps: MAX_STEPS }, known: new Map(), fault: faults.add };
  try {
    const found = operationsOf({ ...rules, ...reader });
    return tableOf(found, document, options, jurisdiction, faults);
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    faults.add('BIND_OPEN_SCHEMA', '', `too large: over ${MAX_LEAVES} values in an answer, or ${MAX_STEPS} steps`);
    return null;
  }
}

function tooLong(document: JsonObject): boolean {
  return Buffer.byteLength(JSON.stringify(document)) > MAX_JSON_BYTES;
}

function jurisdictionOf({ info }: JsonObject, instance: string, faults: FaultList): string {
  const said = isJsonObject(info) ? info['x-accord-jurisdiction'] : undefined;
  if (said === undefined) return instance;
  if (typeof said === 'string' && /^[A-Za-z0-9-]{1,32}$/.test(said)) return said;
  faults.add('BIND_NOT_AUTHORITY', '/info/x-accord-jurisdiction', 'not the code of a jurisdiction');
  return instance;
}

function tableOf(
  found: readonly Located<BindingTable['operations'][number]>[],
  document: JsonObject,
  { service, previousLevel }: CompileOptions,
  jurisdiction: string,
  faults: FaultList,
): BindingTable | null {
  for (const { pointer, detail } of refusedOverlaps(found)) faults.add('BIND_AMBIGUOUS_BRANCH', pointer, detail);
  if (found.length > MAX_OPERATIONS) faults.add('BIND_OPEN_SCHEMA', '/paths', `over ${MAX_OPERATIONS} operations`);
  const operations = found.map(({ value }) => value).sort(byPathAndMethod);
  // Where the leaves themselves are at fault, that there are none is no further news.
  if (faults.list().length === 0 && !operations.some(releasesSomething)) {
    faults.add('BIND_UNBOUND_LEAF', '/paths', 'no operation has a 2xx answer in which anything is bound');
  }
  const table: BindingTable = { v: 1, service, jurisdiction, level: levelOf(operations), operations };
  judgeLevel(table, document, previousLevel, faults);
  if (faults.list().length > 0) return null;
  try {
    return checkTable(table);
  } catch (error) {
    faults.add('BIND_OPEN_SCHEMA', '', `does not fit a binding table: ${(error as Error).message}`);
    return null;
  }
}

type Operation = BindingTable['operations'][number];

function byPathAndMethod(a: Operation, b: Operation): number {
  if (a.path !== b.path) return a.path < b.path ? -1 : 1;
  return a.method < b.method ? -1 : 1;
}

function releasesSomething({ responses }: Operation): boolean {
  const statuses = responses.some(({ status }) => status.startsWith('2')) ? '2' : 'default';
  return responses.some(({ status, leaves }) => status.startsWith(statuses) && leaves.length > 0);
}

function levelOf(operations: readonly Operation[]): Level {
  let level: Level = 1;
  for (const { responses } of operations) {
    for (const leaf of responses.flatMap(({ leaves }) => leaves)) {
      if (leaf.role === 'data') level = highest(level, leaf.level);
    }
  }
  return level;
}

/** What is more sensitive than before, or than the author says, is said by the author first. */
function judgeLevel(table: BindingTable, { info }: JsonObject, previousLevel: Level | null, faults: FaultList): void {
  const said = isJsonObject(info) ? info['x-accord-level'] : undefined;
  const pointer = said === undefined ? '/info' : '/info/x-accord-level';
  if (said !== undefined && ![1, 2, 3, 4].includes(said as number)) {
    faults.add('BIND_LEVEL_RAISED', pointer, 'a level is 1, 2, 3 or 4');
    return;
  }
  const confirmed = said === undefined ? previousLevel : (said as Level);
  if (confirmed === null || table.level <= confirmed) return;
  const elements = table.operations.flatMap(({ responses }) =>
    responses.flatMap(({ leaves }) =>
      leaves.flatMap((leaf) => (leaf.role === 'data' && leaf.level > confirmed ? [leaf.element] : [])),
    ),
  );
  const names = [...new Set(elements)].sort().slice(0, 5).join(', ');
  faults.add('BIND_LEVEL_RAISED', pointer, `level ${table.level} instead of ${confirmed}: ${names}`);
}
