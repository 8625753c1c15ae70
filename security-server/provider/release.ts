// From the backend's answer to what may leave (DESIGN: release): only bound media types pass, at any status, only what
// was decided stays in the body, and only a few response headers go along. The department's backend controls the answer;
// whatever it sends beyond the decision ends here.
import type { AskedField } from '#policy/binding/binding.ts';
import type { Permitted } from '#policy/decide.ts';
import { releaseAnswer } from '#policy/release/release.ts';
import { isUnchanging } from '#policy/unchanging.ts';
import type { BindingOperation } from '#schemas/binding-table.ts';
import { type HeaderList, type RequestContext, readableAnswerContext } from '#schemas/context.ts';
import { memberOf, subsystemOfService } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import { wholeBody } from '#security-server/body.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import type { CalledBackend } from './backend.ts';
import type { BoundRequest } from './judge.ts';
import { type BackendAnswer, problemAnswer } from './reply.ts';

/** Headers of a bound answer that may leave: none of them can carry what the body may not. */
const RELEASED_HEADERS = new Set(['cache-control', 'content-language', 'expires', 'last-modified', 'retry-after']);

/**
 * What the backend is told, so that it can leave out at the source what would be dropped here: the paths that will be
 * kept or looked at (each segment percent-encoded, joined by commas) and the day that is asked for.
 */
export function minimisingHeaders(bound: BoundRequest, permitted: Permitted, { asOf }: RequestContext): HeaderList {
  const operation = bound.operation?.operation ?? null;
  const before = toldBefore.get(permitted);
  const isSame = operation !== null && before?.operation === operation;
  const fields = isSame ? before.fields : keptFields(bound, permitted);
  if (!isSame && operation !== null && isUnchanging(permitted)) toldBefore.set(permitted, { operation, fields });
  return [['accord-fields', fields], ...(asOf === null ? [] : ([['accord-as-of', asOf]] as HeaderList))];
}

/** What is told of the same fields of the same operation. */
const toldBefore = new WeakMap<Permitted, { operation: BindingOperation; fields: string }>();

function keptFields(bound: BoundRequest, permitted: Permitted): string {
  const paths = new Set<string>();
  for (const { path, inputs } of permittedFields(bound, permitted)) {
    if (path !== null) paths.add(path);
    for (const input of Object.values(inputs ?? {})) paths.add(input);
  }
  for (const leaf of bound.operation?.leaves ?? []) {
    if (leaf.asOf !== undefined && paths.has(leaf.path)) paths.add(leaf.asOf);
  }
  const fields = [...paths].sort().map((path) => path.split('/').map(encodeURIComponent).join('/'));
  return fields.join(',');
}

/** The fields of the request, as resolved, that the decision permits. */
function permittedFields({ resolved }: BoundRequest, { asked, omitted }: Permitted): readonly AskedField[] {
  if (omitted.length === 0 && asked.length === resolved.asked.length) return resolved.asked;
  const allowed = new Set(asked.map(({ path, element }) => `${path} ${element}`));
  return resolved.asked.filter(({ path, element }) => allowed.has(`${path} ${element}`));
}

/** What leaves of `called`; an answer that the table does not describe becomes a problem document. */
export function released(
  server: ServerParts,
  bound: BoundRequest,
  permitted: Permitted,
  called: CalledBackend,
  about: { service: string; id: string; day: string },
): BackendAnswer {
  const { context, states } = called;
  const body = wholeBody(called.body);
  // The server's own problem document (backend away, too slow ...) names nothing of the backend's.
  if (context.code !== 'OK') return { context, body };
  const { binding, dictionary, operation, subject } = bound;
  if (operation === null) throw new TypeError('released without an operation');
  const made = releaseAnswer({
    binding,
    bound: operation,
    dictionary,
    decided: { asked: permittedFields(bound, permitted), omitted: permitted.omitted },
    status: context.status,
    mediaType: context.body.type,
    body,
    states,
    source: memberOf(subsystemOfService(about.service)),
    nowMs: server.clock.nowMs(),
    today: about.day,
    doubted: (element) => server.doubts.isDoubted(about.service, element, subject),
  });
  if (!made.ok) return unbound(server, about, context.status, made.detail);
  if (made.faults.length > 0) {
    server.logger.error(
      { alarm: 'BACKEND_VALUE_MISFIT', service: about.service, id: about.id, faults: made.faults.slice(0, 10) },
      'the backend sent values that the dictionary does not allow; they were not released',
    );
  }
  const type = made.mediaType === '' ? null : made.mediaType;
  const answer = {
    ...context,
    headers: context.headers.filter(([name]) => RELEASED_HEADERS.has(name)),
    body: { length: made.body.length, type },
    release: made.release,
  };
  try {
    // Whatever the peer would not be able to read must not be signed.
    return { context: answer, contextBytes: readableAnswerContext(answer), body: made.body };
  } catch (error) {
    if (!(error instanceof AccordError)) throw error;
    return unbound(server, about, 502, error.detail);
  }
}

/** The backend's own 4xx or 5xx says enough without its words; a success that nobody described is a failure. */
function unbound(
  server: ServerParts,
  { service, id }: { service: string; id: string },
  status: number,
  detail: string,
): BackendAnswer {
  server.logger.warn({ service, id, status, detail }, 'the backend sent an answer that its service does not declare');
  const problem = problemAnswer('ANSWER_NOT_BOUND', `${status}: ${detail}`, id);
  if (status < 400) return problem;
  return { ...problem, context: { ...problem.context, status } };
}
