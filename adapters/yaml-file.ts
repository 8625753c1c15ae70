// Reads an adapter file: YAML 1.2 without aliases, tags or repeated keys, checked against a closed JSON Schema (2020-12)
// so that every complaint names the line. The department's own administrator writes the file.

import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { type Document, isCollection, isMap, isNode, isPair, LineCounter, parseDocument } from 'yaml';
import { AccordError, type ProblemCode } from '#schemas/problems.ts';
import type { Static, TSchema } from '#schemas/schema-builder.ts';

export interface YamlFile<T> {
  value: T;
  /** An error that names the file and the line of a place, for instance ['resources', 0, 'table']. */
  complain(at: readonly (string | number)[], what: string, code?: ProblemCode): AccordError;
}

const MAX_FILE_BYTES = 256 * 1024;
const ajv = new Ajv2020({
  validateSchema: false,
  code: { optimize: false },
  strict: true,
  strictRequired: false,
  allErrors: true,
  allowUnionTypes: true,
  discriminator: true,
});
formats.default(ajv, ['regex']);

/** @throws ADAPTER_CONFIG_INVALID, its detail `name:line: what is wrong` */
export function readYaml<T extends TSchema>(text: string, name: string, schema: T): YamlFile<Static<T>> {
  if (Buffer.byteLength(text) > MAX_FILE_BYTES) {
    throw new AccordError('ADAPTER_CONFIG_INVALID', `${name}: over ${MAX_FILE_BYTES} bytes`);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true, prettyErrors: false });
  const broken = document.errors[0] ?? document.warnings[0];
  if (broken) {
    const line = lines.linePos(broken.pos[0]).line;
    throw new AccordError('ADAPTER_CONFIG_INVALID', `${name}:${line}: ${broken.message}`);
  }
  const complain: YamlFile<Static<T>>['complain'] = (at, what, code = 'ADAPTER_CONFIG_INVALID') =>
    new AccordError(code, `${name}:${lineOf(document, lines, at)}: ${what}`);
  const value = plain(document, name);
  const validate = ajv.compile(schema);
  if (!validate(value)) {
    const error = mostTelling(validate.errors ?? []);
    throw complain(placeOf(error), messageOf(error));
  }
  return { value: value as Static<T>, complain };
}

/** The kind named under `adapter:`, without judging the rest. */
export function adapterKind(text: string): unknown {
  const document = parseDocument(text.slice(0, MAX_FILE_BYTES), { logLevel: 'silent' });
  return isMap(document.contents) ? document.contents.get('adapter') : undefined;
}

function plain(document: Document, name: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch {
    throw new AccordError('ADAPTER_CONFIG_INVALID', `${name}: aliases (*name) are not allowed`);
  }
}

function lineOf(document: Document, lines: LineCounter, at: readonly (string | number)[]): number {
  let line = 1;
  let node: unknown = document.contents;
  for (const step of at) {
    if (!isCollection(node)) {
      break;
    }
    const pair = node.items.find((item) => isPair(item) && isNode(item.key) && item.key.toJSON() === step);
    const start = isPair(pair) && isNode(pair.key) ? pair.key.range : undefined;
    node = node.get(step, true);
    const range = start ?? (isNode(node) ? node.range : undefined);
    line = range ? lines.linePos(range[0]).line : line;
  }
  return line;
}

/** Branches of a union complain together; the deepest complaint is about what the writer meant. */
function mostTelling(errors: readonly ErrorObject[]): ErrorObject {
  const [first, ...rest] = errors.filter(({ keyword }) => keyword !== 'anyOf' && keyword !== 'if');
  if (!first) {
    throw new TypeError('a failed check has an error');
  }
  const depth = (error: ErrorObject) => placeOf(error).length;
  return rest.reduce((best, error) => (depth(error) > depth(best) ? error : best), first);
}

function placeOf({ instancePath, params }: ErrorObject): (string | number)[] {
  const steps = instancePath
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((step) => (/^\d+$/.test(step) ? Number(step) : step));
  const extra = params['additionalProperty'] ?? params['propertyName'];
  return typeof extra === 'string' ? [...steps, extra] : steps;
}

function messageOf({ instancePath, keyword, message, params }: ErrorObject): string {
  if (keyword === 'additionalProperties') {
    return `unknown key ${String(params['additionalProperty'])}`;
  }
  const allowed = params['allowedValues'] ?? params['allowedValue'];
  return `${instancePath || 'the file'} ${message}${allowed === undefined ? '' : ` (${JSON.stringify(allowed)})`}`;
}
