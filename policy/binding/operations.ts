// The operations of an OpenAPI 3.1 document as the binding table has them: method and path template, the place of the
// subject, the parameter that asks for a day, purposes, and the leaves of every answer that may pass. Binding is
// mandatory for JSON answers of 2xx (of `default` where there is no 2xx); other JSON answers are compiled when anything
// in them is bound, else they are not part of the table and never pass. The service's author controls the document.
import type { BindingLeaf, BindingOperation } from '#schemas/binding-table.ts';
import { METHODS } from '#schemas/context.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#schemas/json.ts';
import { PURPOSE_PATTERN } from '#schemas/statement.ts';
import { bareMediaType, isJsonType } from './binding.ts';
import { collectLeaves } from './collect-leaves.ts';
import { below, type Located, objectAt, resolveReference } from './document.ts';
import { type OperationRules, requestPlaces } from './request-places.ts';
import { shapeOf } from './walk-schema.ts';

type Responses = BindingOperation['responses'];

const MAX_TEMPLATE_LENGTH = 1024;
const MAX_RESPONSES = 64;

/** In the document's order; `pointer` is where each is written. */
export function operationsOf(rules: OperationRules): Located<BindingOperation>[] {
  const { document, faults } = rules;
  const paths = isJsonObject(document['paths']) ? document['paths'] : {};
  const found: Located<BindingOperation>[] = [];
  for (const [template, written] of Object.entries(paths)) {
    if (template.startsWith('x-')) continue;
    const item = objectAt(document, written, below('/paths', template));
    if (item === null || !template.startsWith('/') || template.length > MAX_TEMPLATE_LENGTH) {
      faults.add('BIND_OPEN_SCHEMA', below('/paths', template), 'not a path with operations');
      continue;
    }
    for (const method of METHODS) {
      const operation = item.value[method.toLowerCase()];
      if (!isJsonObject(operation)) continue;
      const at = { value: operation, pointer: below(item.pointer, method.toLowerCase()) };
      found.push({ pointer: at.pointer, value: operationOf(rules, method, template, item, at) });
    }
  }
  return found;
}

function operationOf(
  rules: OperationRules,
  method: BindingOperation['method'],
  path: string,
  item: Located,
  operation: Located,
): BindingOperation {
  return {
    method,
    path,
    ...requestPlaces(rules, path, item, operation),
    purposes: purposesOf(rules, operation),
    responses: responsesOf(rules, operation),
  };
}

function purposesOf({ document, faults }: OperationRules, operation: Located): string[] {
  const info = isJsonObject(document['info']) ? document['info'] : {};
  const isOwn = operation.value['x-accord-purposes'] !== undefined;
  const said = isOwn ? operation.value['x-accord-purposes'] : info['x-accord-purposes'];
  if (said === undefined) return [];
  const form = new RegExp(PURPOSE_PATTERN);
  const purposes = Array.isArray(said)
    ? said.filter((one): one is string => typeof one === 'string' && form.test(one))
    : [];
  if (!Array.isArray(said) || purposes.length !== said.length || said.length > 100) {
    const pointer = below(isOwn ? operation.pointer : '/info', 'x-accord-purposes');
    faults.add('BIND_TYPE_CONFLICT', pointer, 'a list of up to 100 ids of purposes is needed');
  }
  return [...new Set(purposes)].sort();
}

interface Content {
  status: string;
  mediaType: string;
  media: Located;
}

function responsesOf(rules: OperationRules, operation: Located): Responses {
  const contents = jsonContents(rules, operation);
  const has2xx = Object.keys(responsesIn(operation)).some((status) => /^2(?:\d\d|XX)$/i.test(status));
  const responses: Responses = [];
  for (const { status, mediaType, media } of contents) {
    const isMandatory = has2xx ? status.startsWith('2') : status === 'default';
    const schema = media.value['schema'];
    const pointer = below(media.pointer, 'schema');
    if (!isMandatory && !carriesWords(rules.document, schema)) continue;
    if (schema === undefined) {
      rules.faults.add('BIND_OPEN_SCHEMA', media.pointer, `${status} ${mediaType} has no schema`);
      continue;
    }
    const leaves = collectLeaves(rules, shapeOf(rules, schema, pointer), rules.budget);
    if (responses.some((one) => one.status === status && one.mediaType === mediaType)) {
      rules.faults.add('BIND_AMBIGUOUS_BRANCH', media.pointer, `${status} ${mediaType} is described twice`);
      continue;
    }
    agreeing(rules, responses, leaves, media.pointer);
    responses.push({ status, mediaType, leaves });
  }
  if (responses.length > MAX_RESPONSES) rules.faults.add('BIND_OPEN_SCHEMA', operation.pointer, 'too many responses');
  return responses.sort((a, b) => compare(a.status, b.status) || compare(a.mediaType, b.mediaType));
}

function responsesIn(operation: Located): JsonObject {
  const responses = operation.value['responses'];
  return isJsonObject(responses) ? responses : {};
}

function jsonContents({ document, faults }: OperationRules, operation: Located): Content[] {
  const contents: Content[] = [];
  for (const [written, each] of Object.entries(responsesIn(operation))) {
    const status = written === 'default' ? written : written.toUpperCase();
    const place = below(below(operation.pointer, 'responses'), written);
    if (!/^(?:[1-5]\d\d|[1-5]XX|default)$/.test(status)) continue;
    const response = objectAt(document, each, place);
    if (response === null) faults.add('BIND_OPEN_SCHEMA', place, 'the reference leads nowhere in this document');
    const content = response?.value['content'];
    if (response === null || !isJsonObject(content)) continue;
    for (const [type, media] of Object.entries(content)) {
      const mediaType = bareMediaType(type);
      const at = objectAt(document, media, below(below(response.pointer, 'content'), type));
      if (at !== null && isJsonType(mediaType)) contents.push({ status, mediaType, media: at });
    }
  }
  return contents;
}

/** A decision is about a path: it may not name one element in this answer and another in that. */
function agreeing(
  { faults }: OperationRules,
  responses: Responses,
  leaves: readonly BindingLeaf[],
  pointer: string,
): void {
  const known = new Map(
    responses.flatMap((one) =>
      one.leaves.flatMap((leaf) => (leaf.role === 'data' ? [[leaf.path, leaf] as const] : [])),
    ),
  );
  for (const leaf of leaves) {
    const other = known.get(leaf.path);
    if (leaf.role !== 'data' || other === undefined) continue;
    if (leaf.element === other.element && leaf.map === other.map) continue;
    const detail = `${leaf.path}: ${leaf.element} here, ${other.element} in another answer of the operation`;
    faults.add('BIND_AMBIGUOUS_BRANCH', pointer, detail);
  }
}

/** True when any x-accord word stands in a schema or in what it refers to. */
function carriesWords(document: JsonObject, schema: JsonValue | undefined): boolean {
  const seen = new Set<JsonValue>();
  const pending: (JsonValue | undefined)[] = [schema];
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (typeof value !== 'object' || value === null || seen.has(value)) continue;
    seen.add(value);
    if (Array.isArray(value)) {
      pending.push(...value);
      continue;
    }
    for (const [name, member] of Object.entries(value)) {
      if (name.startsWith('x-accord-')) return true;
      pending.push(name === '$ref' ? resolveReference(document, member)?.value : member);
    }
  }
  return false;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
