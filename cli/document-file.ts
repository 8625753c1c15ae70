// A file as its author wrote it, YAML or JSON (which is YAML): an OpenAPI description, a purpose, an entry for the registry.
// Gives the document, and where in the file each of its places stands, so that a fault is shown with line and column. The
// author controls the file.
import { readFileSync } from 'node:fs';
import { type Document, isAlias, isMap, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { type JsonObject, parseJsonObject } from '#schemas/json.ts';
import { MAX_JSON_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { CommandEnd, EXIT } from './output.ts';

export interface DocumentFile {
  document: JsonObject;
  /** 1-based; of the nearest place above it when the pointer leads further than the file. */
  placeOf(pointer: string): { line: number; column: number };
}

/** Comments take room too. */
const MAX_FILE_BYTES = 4 * MAX_JSON_BYTES;
/** How often aliases may be followed, so that a small file does not become a large document. */
const MAX_ALIASES = 100;

/** @throws the file system's errors; CommandEnd with file:line:column for bad YAML; BODY_TOO_LARGE, JSON_* */
export function readDocumentFile(file: string): DocumentFile {
  const bytes = readFileSync(file);
  if (bytes.length > MAX_FILE_BYTES) throw new AccordError('BODY_TOO_LARGE', `${file}: over ${MAX_FILE_BYTES} bytes`);
  const lines = new LineCounter();
  const yaml = parseDocument(bytes.toString('utf8'), { lineCounter: lines, prettyErrors: false });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const [error] = yaml.errors;
  if (error !== undefined) {
    const { line, column } = place(error.pos[0]);
    throw new CommandEnd(
      EXIT.usage,
      `${file}:${line}:${column} ${error.message}\nNext: Write one YAML or JSON document.`,
    );
  }
  return {
    document: parseJsonObject(jsonOf(yaml, file)),
    placeOf: (pointer) => place(offsetOf(yaml, pointer)),
  };
}

function jsonOf(yaml: Document.Parsed, file: string): string {
  try {
    return JSON.stringify(yaml.toJS({ maxAliasCount: MAX_ALIASES })) ?? 'null';
  } catch (error) {
    throw new AccordError('JSON_TOO_MANY', `${file}: ${(error as Error).message}`);
  }
}

/** Of the name that a pointer ends in, or of the item. */
function offsetOf(yaml: Document.Parsed, pointer: string): number {
  let at: unknown = yaml.contents;
  let offset = (at as Node | null)?.range?.[0] ?? 0;
  for (const token of pointer.split('/').slice(1)) {
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~');
    const collection = isAlias(at) ? at.resolve(yaml) : at;
    const next = stepInto(collection, name);
    if (next === null) break;
    at = next.value;
    offset = next.offset ?? offset;
  }
  return offset;
}

function stepInto(collection: unknown, name: string): { value: unknown; offset: number | undefined } | null {
  if (isSeq(collection)) {
    const item = collection.items[Number(name)];
    return item === undefined ? null : { value: item, offset: (item as Node).range?.[0] };
  }
  if (!isMap(collection)) return null;
  const pair = collection.items.find((one) => isPair(one) && isScalar(one.key) && String(one.key.value) === name);
  return pair === undefined ? null : { value: pair.value, offset: (pair.key as Node).range?.[0] };
}
