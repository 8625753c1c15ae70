// What one exchange reads in more than one place, read once: the context of its own request, which was checked when it was
// made, and the JSON of an answer's body, which is looked through for what was not asked for and then shown. Both live as long
// as the bytes that they were read from, which nobody changes; nor may what was read be changed.
import { parseRequestContext, type RequestContext, readableRequestContext } from '#schemas/context.ts';
import { type JsonValue, parseJson } from '#schemas/json.ts';

const contexts = new WeakMap<Buffer, RequestContext>();
const bodies = new WeakMap<Buffer, { value: JsonValue }>();

/** @throws CONTEXT_MALFORMED, JSON_* what the receiver would say of it */
export function ownContext(context: RequestContext): Buffer {
  const bytes = readableRequestContext(context);
  contexts.set(bytes, context);
  return bytes;
}

/** The context of a request of one's own. @throws CONTEXT_MALFORMED, JSON_* */
export function contextOf(bytes: Buffer): RequestContext {
  const context = contexts.get(bytes) ?? parseRequestContext(bytes);
  contexts.set(bytes, context);
  return context;
}

/** The body of an answer. @throws as `parseJson` */
export function bodyOf(bytes: Buffer): JsonValue {
  const read = bodies.get(bytes) ?? { value: parseJson(bytes) };
  bodies.set(bytes, read);
  return read.value;
}
