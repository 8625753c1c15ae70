// The only rewrite of a request that there is (DESIGN: subject): under consent the consumer sends a placeholder, and the
// provider's server puts in the identifier from the receipt, at the one place the operation declares. The subject was
// opened from a genuine receipt; the placeholder's place was decided on.
import type { BoundOperation, Subject } from '#policy/binding/binding.ts';
import type { RequestContext } from '#schemas/context.ts';
import { isJsonObject, type JsonValue, parseJson } from '#schemas/json.ts';
import { SUBJECT_PLACEHOLDER } from '#schemas/service-path.ts';
import { type MessageBody, wholeBody } from '#security-server/body.ts';
import type { Judgement } from './judge.ts';

interface PlacedRequest {
  context: RequestContext;
  body: Buffer;
}

/** The request as the backend gets it. The identifier has neither slashes nor escapes (consent.ts). */
function placeSubject(
  bound: BoundOperation,
  { context, body }: PlacedRequest,
  { value }: Pick<Subject, 'value'>,
): PlacedRequest {
  const { subject, path: template } = bound.operation;
  if (subject === null) return { context, body };
  if (subject.in === 'path') {
    const at = template.split('/').indexOf(`{${subject.name}}`);
    const segments = context.path.split('/');
    if (segments[at] !== SUBJECT_PLACEHOLDER) return { context, body };
    segments[at] = encodeURIComponent(value);
    return { context: { ...context, path: segments.join('/') }, body };
  }
  if (subject.in === 'query') {
    const pairs = (context.query ?? '').split('&').map((pair) => {
      const [name = '', ...rest] = pair.split('=');
      const isPlace = decodeURIComponent(name) === subject.name && rest.join('=') === SUBJECT_PLACEHOLDER;
      return isPlace ? `${name}=${encodeURIComponent(value)}` : pair;
    });
    return { context: { ...context, query: pairs.join('&') }, body };
  }
  const placed = Buffer.from(JSON.stringify(inBody(parseJson(body), subject.name.split('/').slice(1), value)), 'utf8');
  return { context: { ...context, body: { ...context.body, length: placed.length } }, body: placed };
}

function inBody(document: JsonValue, pointer: readonly string[], value: string): JsonValue {
  const [name, ...rest] = pointer;
  if (name === undefined) return document === SUBJECT_PLACEHOLDER ? value : document;
  if (!isJsonObject(document)) return document;
  const key = name.replaceAll('~1', '/').replaceAll('~0', '~');
  const member = document[key];
  return member === undefined ? document : { ...document, [key]: inBody(member, rest, value) };
}

/** The same for a judged request: only a genuine receipt puts anything in. */
export function placed(
  { bound, consent }: Judgement,
  { context, body }: { context: RequestContext; body: MessageBody },
): { context: RequestContext; body: MessageBody } {
  const operation = bound?.operation;
  const subject = consent?.genuine?.subject;
  return operation && subject
    ? placeSubject(operation, { context, body: wholeBody(body) }, subject)
    : { context, body };
}
