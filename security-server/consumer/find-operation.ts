// Which operation of which service answers for these elements about this subject (DESIGN: lookups in Accord's words): the
// configuration says who the authority is and what its services give, so a caller may name elements alone. The calling
// system controls subject and elements; the tables were approved.
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { resolveFields, type Subject } from '#policy/binding/binding.ts';
import { dayAt } from '#policy/calendar.ts';
import type { BindingOperation } from '#schemas/binding-table.ts';
import { memberOf, subsystemOfService } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import type { BoundService } from '#security-server/dictionary-in-force.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';

export interface FoundOperation {
  service: string;
  method: BindingOperation['method'];
  /** With the subject in its place; `query` too, without the question mark. */
  path: string;
  query: string | null;
}

/** Null stands for any scheme: a receipt knows it, the consumer does not. */
type WantedSubject = Pick<Subject, 'value'> & { scheme: Subject['scheme'] | null };

export type Asking = Pick<ConsumerParts, 'configuration' | 'dictionary' | 'clock'>;

/**
 * The narrowest operation that gives all elements for such a subject: fewest leaves, then service, path and method in
 * their order, so that the same question always goes the same way. Only the authority of an element counts, unless the
 * caller names the service.
 * @throws ELEMENTS_NOT_OFFERED, SERVICE_UNKNOWN
 */
export function findOperation(
  server: Asking,
  wanted: { service: string | null; subject: WantedSubject; elements: readonly string[] },
): FoundOperation {
  const snapshot = server.configuration.current();
  const day = dayAt(server.clock.nowMs(), snapshot.utcOffsetMinutes);
  if (wanted.service !== null && snapshot.service(wanted.service) === undefined) {
    throw new AccordError('SERVICE_UNKNOWN', wanted.service);
  }
  const services = wanted.service === null ? snapshot.services().map(({ id }) => id) : [wanted.service];
  const found = services.flatMap((service) => candidates(server, snapshot, service, wanted, day));
  const [best] = found.sort((a, b) => a.leaves - b.leaves || (a.name < b.name ? -1 : 1));
  if (best === undefined) throw new AccordError('ELEMENTS_NOT_OFFERED', wanted.elements.slice(0, 20).join(', '));
  return best.operation;
}

interface Candidate {
  operation: FoundOperation;
  leaves: number;
  name: string;
}

function candidates(
  server: Asking,
  snapshot: ConfigurationSnapshot,
  service: string,
  {
    service: named,
    subject,
    elements,
  }: { service: string | null; subject: WantedSubject; elements: readonly string[] },
  day: string,
): Candidate[] {
  const table = snapshot.binding(service);
  // Cheap refusals first: tables of other registers are the many.
  if (table === undefined || !table.operations.some((one) => takes(one, subject))) return [];
  const bound = server.dictionary.bound(snapshot, service);
  if (bound === null) return [];
  return table.operations.flatMap((operation) => {
    if (!takes(operation, subject)) return [];
    const place = placed(operation, subject);
    if (place === null) return [];
    const opened = bound.binding.operation(operation.method, place.path);
    if (opened?.operation !== operation) return [];
    const { asked, unknown, tooMany } = resolveFields(opened, bound.binding, bound.dictionary, elements);
    if (unknown.length > 0 || tooMany) return [];
    const isAuthority = asked.every(({ element }) => speaksFor(bound, service, element, day));
    if (named === null && !isAuthority) return [];
    const { method, path } = operation;
    const name = `${service} ${path} ${method}`;
    return [{ operation: { service, method, ...place }, leaves: opened.leaves.length, name }];
  });
}

function takes({ subject }: BindingOperation, { scheme }: WantedSubject): boolean {
  return subject !== null && subject.in !== 'body' && (scheme === null || subject.scheme === scheme);
}

/** A predicate's authority is that of its inputs. */
function speaksFor({ binding, dictionary }: BoundService, service: string, ref: string, day: string): boolean {
  const { jurisdiction } = binding.table;
  const member = memberOf(subsystemOfService(service));
  const elements = Object.values(dictionary.predicate(ref)?.inputs ?? { ref });
  return elements.every((element) => dictionary.authority(element, jurisdiction, day) === member);
}

/** The operation's path and query with the subject in its place; null when another parameter would be needed. */
function placed(operation: BindingOperation, { value }: WantedSubject): Pick<FoundOperation, 'path' | 'query'> | null {
  const { subject, path } = operation;
  if (subject === null) return null;
  const escaped = encodeURIComponent(value);
  if (subject.in === 'query') {
    return path.includes('{') ? null : { path, query: `${encodeURIComponent(subject.name)}=${escaped}` };
  }
  const rest = path.split(`{${subject.name}}`);
  return rest.length !== 2 || rest.join('').includes('{') ? null : { path: rest.join(escaped), query: null };
}
