// Documents whose bytes are kept as they are: canonical JSON, which a value has one of (canonical-json.ts). Whoever wrote a document
// controls it; one that is read must be spelled as it would be written.
import { canonicalJson } from './canonical-json.ts';
import { type JsonLimits, type JsonValue, parseJson } from './json.ts';
import { AccordError, type ProblemCode } from './problems.ts';

/** @throws `code` when the text is longer than `maxBytes` of UTF-8 */
export function spelled(value: JsonValue, maxBytes: number, code: ProblemCode): string {
  const text = canonicalJson(value);
  if (Buffer.byteLength(text) > maxBytes) throw new AccordError(code, 'too large');
  return text;
}

/**
 * @param check throws unless the value has the document's shape
 * @throws `code` for more than `maxBytes`, and for another spelling; JSON_*; what `check` throws
 */
export function readSpelled<T>(
  bytes: Uint8Array | string,
  check: (value: unknown) => T,
  limits: JsonLimits & { maxBytes: number },
  code: ProblemCode,
): T {
  const text = typeof bytes === 'string' ? bytes : Buffer.from(bytes);
  if (Buffer.byteLength(text) > limits.maxBytes) throw new AccordError(code, 'too large');
  const value = parseJson(text, limits);
  const checked = check(value);
  if (canonicalJson(value) !== text.toString('utf8')) throw new AccordError(code, 'not its one spelling');
  return checked;
}
