// What a department may ask a citizen for (DESIGN: who may ask for what, Consent): judged against the configuration in
// force, before any citizen hears of it. The department's backend controls the request; its form was checked before.

import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { openBinding, resolveFields } from '#policy/binding/binding.ts';
import { dayAt } from '#policy/calendar.ts';
import { statusMaxAgeMs } from '#policy/check-consent.ts';
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import type { AskedConsent, AskedItem, ConsentRequest } from '#schemas/consent.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { memberOf, subsystemOfService } from '#schemas/identifiers.ts';
import { CONSENT_REQUEST_LIFETIME_MS, MAX_FIELDS, STATUS_MAX_DEVIATION_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { dictionaryOf } from './dictionary-in-force.ts';
import { noticeOf } from './notice.ts';

/** The provider's server says no to a list older than the age for this level; the rest is what clocks may differ. */
function revocationBoundS(levels: readonly Level[]): number {
  return (statusMaxAgeMs(levels.map((level) => ({ level }))) + STATUS_MAX_DEVIATION_MS) / 1000;
}

/**
 * What the citizen will be asked, with all names and the notice.
 * @param subject keyed tag of the person
 * @throws PURPOSE_UNKNOWN, CONSENT_OUT_OF_BOUNDS naming what goes beyond what
 */
export function judgeFiling(
  snapshot: ConfigurationSnapshot,
  client: string,
  request: ConsentRequest,
  subject: string,
  nowMs: number,
): AskedConsent {
  if (!snapshot.hasSubsystem(client)) throw beyond(`client ${client} is not registered`);
  const found = snapshot.purpose(request.purpose, dayAt(nowMs, snapshot.utcOffsetMinutes));
  if (found === undefined) throw new AccordError('PURPOSE_UNKNOWN', request.purpose);
  const { purpose, hash } = found;
  if (!purpose.bases.includes('consent')) throw beyond(`${purpose.id} does not rest on consent`);
  if (request.retentionDays > purpose.retentionDays) {
    throw beyond(`retentionDays: ${purpose.id} allows ${purpose.retentionDays}`);
  }
  judgeFrequency(request);
  const names = request.items.map(({ service }) => service);
  if (new Set(names).size !== names.length) throw beyond('a service stands twice');
  if (request.items.reduce((sum, { elements }) => sum + elements.length, 0) > MAX_FIELDS) {
    throw beyond(`over ${MAX_FIELDS} items`);
  }
  const outside = request.items.flatMap(({ elements }) => elements).filter((ref) => !purpose.elements.includes(ref));
  if (outside.length > 0) throw beyond(`${purpose.id} does not need ${listed(outside)}`);
  const services = request.items.map(({ service, elements }) =>
    judgeService(snapshot, request.subject.scheme, service, elements),
  );
  const levels = services.flatMap(({ items }) => items.map(({ level }) => level));
  const { id, version, title, text } = purpose;
  const terms = {
    client: { id: client, name: snapshot.memberName(memberOf(client)) ?? client },
    purpose: { id, version, hash, title, text },
    services,
    uses: request.uses,
    ...(request.frequency != null && { frequency: request.frequency }),
    validDays: request.validDays,
    retentionDays: request.retentionDays,
    reason: request.reason,
    revocationBoundS: revocationBoundS(levels),
  };
  return { ...terms, subject, expiresAtMs: nowMs + CONSENT_REQUEST_LIFETIME_MS, notice: noticeOf(terms) };
}

/** What would never stop anybody says less than the citizen reads in it. */
function judgeFrequency({ uses, frequency, validDays }: ConsentRequest): void {
  if (frequency == null) return;
  if (uses !== null && frequency.uses > uses) throw beyond(`frequency.uses: at most the ${uses} in all`);
  if (frequency.days > validDays) throw beyond(`frequency.days: at most the ${validDays} that it lasts`);
}

function judgeService(
  snapshot: ConfigurationSnapshot,
  scheme: string,
  service: string,
  elements: readonly string[],
): AskedConsent['services'][number] {
  const [registered, table, release] = [snapshot.service(service), snapshot.binding(service), snapshot.dictionary()];
  if (registered === undefined) throw beyond(`there is no service ${service}`);
  if (table === undefined || release === null) throw beyond(`${service} is not bound to the dictionary`);
  const dictionary = dictionaryOf(release);
  const levels = levelsGiven(table, dictionary, scheme, elements);
  if (levels === null) throw beyond(`${service} knows no one by ${scheme}`);
  const missing = elements.filter((ref) => !levels.has(ref));
  if (missing.length > 0) throw beyond(`${service} does not give ${listed(missing)}`);
  const alone = [...levels.keys()].filter((ref) => !elements.includes(ref));
  if (alone.length > 0) throw beyond(`${service} gives these only together with ${listed(alone)}`);
  const groups = atomicGroups(elements, dictionary, (ref) => levelsGiven(table, dictionary, scheme, [ref]));
  const provider = memberOf(subsystemOfService(service));
  return {
    service,
    title: registered.title,
    provider: snapshot.memberName(provider) ?? provider,
    items: elements.map((ref) => {
      const at = groups.findIndex((group) => group.has(ref));
      return { ...itemOf(dictionary, ref, levels.get(ref) ?? 4), ...(at >= 0 && { together: at }) };
    }),
  };
}

/** Elements that come only together: one choice each. @param brought what asking for one alone brings along */
function atomicGroups(
  elements: readonly string[],
  dictionary: Dictionary,
  brought: (ref: string) => ReadonlyMap<string, unknown> | null,
): ReadonlySet<string>[] {
  let groups: Set<string>[] = [];
  for (const ref of elements.filter((one) => dictionary.atomicGroupOf(one) !== undefined)) {
    const mates = new Set(brought(ref)?.keys() ?? []);
    if (mates.size < 2) continue;
    const touching = groups.filter((group) => [...group].some((one) => mates.has(one)));
    const merged = new Set([...mates, ...touching.flatMap((group) => [...group])]);
    groups = [...groups.filter((group) => !touching.includes(group)), merged];
  }
  return groups;
}

function itemOf(dictionary: Dictionary, ref: string, level: Level): AskedItem {
  const entry = dictionary.get(ref);
  if (entry === undefined || (entry.kind !== 'element' && entry.kind !== 'predicate')) {
    throw beyond(`${ref} is no element and no predicate`);
  }
  const { kind, labels, definition } = entry;
  return { element: ref, kind, labels, definition, level };
}

/**
 * The highest level at which each element comes from operations that know the person by `scheme`, with the elements that
 * atomic groups bring along; null when there is no such operation.
 */
function levelsGiven(
  table: BindingTable,
  dictionary: Dictionary,
  scheme: string,
  elements: readonly string[],
): Map<string, Level> | null {
  const binding = openBinding(table, dictionary);
  const operations = table.operations.filter(({ subject }) => subject?.scheme === scheme);
  if (operations.length === 0) return null;
  const levels = new Map<string, Level>();
  for (const { method, path } of operations) {
    // Any value will do: what an operation gives does not depend on whom it is asked about.
    const bound = binding.operation(method, path.replace(/\{[^}]*\}/g, '0'));
    if (bound === null || bound.operation.path !== path) continue;
    for (const { element, level } of resolveFields(bound, binding, dictionary, elements).asked) {
      const known = levels.get(element);
      if (known === undefined || level > known) levels.set(element, level);
    }
  }
  return levels;
}

function listed(refs: readonly string[]): string {
  return `${refs.slice(0, 10).join(', ')}${refs.length > 10 ? ` and ${refs.length - 10} more` : ''}`;
}

function beyond(detail: string): AccordError {
  return new AccordError('CONSENT_OUT_OF_BOUNDS', detail);
}
