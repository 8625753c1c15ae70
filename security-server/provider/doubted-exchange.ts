// Was this value ever given to this client? A report of doubt marks a person's element for everybody who asks, so only
// who received it may make one: the exchange must stand in this server's own log, answered, with the element released and
// about that subject. The reporting department controls everything in the report.
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { RecordView } from '#core/log/message-log.ts';
import { subjectOf } from '#policy/binding/binding.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import { parseAnswerContext, parseRequestContext } from '#schemas/context.ts';
import type { DoubtReport } from '#schemas/doubt.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { BoundService } from '#security-server/dictionary-in-force.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

/** @throws DOUBT_WITHOUT_EXCHANGE */
export function mustHaveReceived(
  server: ServerParts,
  peer: ServerEntry,
  { client, service }: { client: string; service: string },
  report: DoubtReport,
): void {
  const records = server.log.find(peer.id, report.exchange);
  const of = (kind: RecordView['entry']['kind']) =>
    records.find(({ entry }) => entry.kind === kind && entry.client === client && entry.service === service);
  const answer = of('response-sent');
  const request = of('request-received');
  // A report is an exchange as well, but nothing was decided in it.
  const isAnswered = answer !== undefined && answer.entry.code === 'OK' && answer.entry.decisionHash !== null;
  if (!isAnswered || request === undefined) refuse(report.exchange);
  const bound = mustBeBound(server, service, report.element);
  try {
    mustHaveReleased(server, answer.seq, report);
    mustBeAbout(server, request.seq, bound, report);
  } catch (error) {
    // An older version of this server wrote other contexts; the value can be asked for again.
    if (isAccordError(error, 'CONTEXT_MALFORMED')) refuse('its record is of an older form');
    throw error;
  }
}

/** What a service does not give any more cannot be doubted at it. @throws DOUBT_WITHOUT_EXCHANGE */
export function mustBeBound(server: ServerParts, service: string, element: string): BoundService {
  const bound = server.dictionary.bound(server.configuration.current(), service);
  if (bound === null || !isBound(bound.binding.table, element)) refuse(`${element} is not bound`);
  return bound;
}

function isBound({ operations }: BindingTable, element: string): boolean {
  const leaves = operations.flatMap(({ responses }) => responses.flatMap((response) => response.leaves));
  return leaves.some((leaf) => leaf.role === 'data' && idOf(leaf.element) === idOf(element));
}

/** An element may be released in another major than the bound one; what is doubted is the same. */
function idOf(ref: string): string {
  return ref.slice(0, ref.indexOf('@'));
}

function mustHaveReleased(server: ServerParts, seq: number, { element, path }: DoubtReport): void {
  const context = server.log.readSealed(seq)?.context;
  if (context === undefined) refuse('its record was erased, or is in the archive');
  const released = parseAnswerContext(context).release?.elements ?? [];
  if (!released.some((one) => one.element === element && (path === null || one.path === path))) {
    refuse(`${element} was not released in it`);
  }
}

function mustBeAbout(server: ServerParts, seq: number, { binding }: BoundService, { subject }: DoubtReport): void {
  const parts = server.log.readSealed(seq);
  if (parts?.context === undefined || parts.body === undefined) refuse('its record was erased, or is in the archive');
  const { method, path, query } = parseRequestContext(parts.context);
  const operation = binding.operation(method, path);
  const asked = operation === null ? null : subjectOf(operation, query, parts.body);
  if (asked === null || asked.scheme !== subject.scheme || asked.value !== subject.value) {
    refuse('it was about another subject');
  }
}

function refuse(detail: string): never {
  throw new AccordError('DOUBT_WITHOUT_EXCHANGE', detail);
}
