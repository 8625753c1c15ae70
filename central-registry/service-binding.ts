// Whether a service's description binds it to the dictionary, and to which table. The description of a service with
// personal data, and one with a word of ours in it, must bind without a fault; others stay unbound. The provider's
// administrator controls the document.

import { bindingHashOf } from '#core/configuration/dictionary-parts.ts';
import { type Compiled, compileBinding } from '#policy/binding/compile.ts';
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import { type BindingTable, bindingTableText } from '#schemas/binding-table.ts';
import { MAX_PART_BYTES } from '#schemas/configuration.ts';
import type { ServiceId } from '#schemas/identifiers.ts';
import type { JsonObject, JsonValue } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import type { RegistryContext } from './admin-frame.ts';

/** Nothing to bind. */
const UNBOUND: Compiled = { table: null, faults: [] };
/** Names and brackets of the part around its tables. */
const SHARD_FRAME_BYTES = 64;

/**
 * Without a description a service with personal data is registered too, and every request for it is refused
 * (BINDING_REQUIRED) until it has one.
 * @throws DESCRIPTION_REFUSED, DICTIONARY_MISSING when it is meant to be bound and there is nothing to bind to
 */
export function judgeBinding(
  { store, dictionary, instance, clock }: RegistryContext,
  { id: service, personalData, description }: { id: ServiceId; personalData: boolean; description: JsonObject | null },
): Compiled {
  if (description === null || !(personalData || hasAccordWord(description))) return UNBOUND;
  const released = dictionary.current();
  if (!released) throw new AccordError('DICTIONARY_MISSING', service);
  const before = store.dictionary.binding(service);
  const previousLevel = before === undefined ? null : (JSON.parse(before) as BindingTable).level;
  const day = utcDay(clock.nowMs());
  const judged = compileBinding(description, { service, instance, dictionary: released, day, previousLevel });
  if (judged.table && bindingHashOf(judged.table) === '') {
    throw new AccordError('DESCRIPTION_REFUSED', 'a bound place has a limit of more than 2^53');
  }
  return judged;
}

/** @throws the first fault's code, with its place in the description */
export function requireFaultless({ faults, table }: Compiled): BindingTable | null {
  const [first] = faults;
  if (!first) return table;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  throw new AccordError(first.code, `${first.pointer}: ${first.detail}${more}`);
}

/**
 * Stores the table beside its service, which is registered already. Inside a transaction.
 * @throws REGISTRATION_LIMIT when the part it lies in would be larger than a server reads
 */
export function putBinding({ store }: RegistryContext, service: ServiceId, table: BindingTable | null): void {
  store.dictionary.putBinding(service, table && bindingTableText(table));
  if (store.dictionary.shardBytes(service) > MAX_PART_BYTES - SHARD_FRAME_BYTES) {
    throw new AccordError('REGISTRATION_LIMIT', `tables of ${MAX_PART_BYTES} bytes in one part`);
  }
}

/**
 * Compiles every bound service anew under a release that is about to come. Nothing is written.
 * @throws DICTIONARY_REFUSED naming the services that could not be published any more
 */
export function rebindAll(
  { store, instance, clock }: RegistryContext,
  next: Dictionary,
): { service: ServiceId; table: BindingTable; hash: string }[] {
  const [bound, refused]: [ReturnType<typeof rebindAll>, string[]] = [[], []];
  const day = utcDay(clock.nowMs());
  for (const { service } of store.dictionary.bindings()) {
    const { descriptionHash } = store.service(service) ?? { descriptionHash: null };
    const bytes = descriptionHash === null ? undefined : store.description(descriptionHash);
    if (!bytes) throw new TypeError(`${service} is bound and has no description`);
    // Whoever changes an element's level answers for it by the rules of releases; the services follow.
    const options = { service, instance, dictionary: next, day, previousLevel: null };
    const { table, faults } = compileBinding(JSON.parse(bytes.toString()), options);
    const [first] = faults;
    if (first) refused.push(`${service}: ${first.code} ${first.pointer}`);
    else if (table) bound.push({ service, table, hash: bindingHashOf(table) });
  }
  if (refused.length > 0) throw new AccordError('DICTIONARY_REFUSED', summary(refused));
  return bound;
}

const MAX_NAMED = 5;
const MAX_NAMED_CHARACTERS = 200;

/** The first few of a list, for a problem's detail. */
export function summary(lines: readonly string[]): string {
  const named = lines.slice(0, MAX_NAMED).map((line) => line.slice(0, MAX_NAMED_CHARACTERS));
  const more = lines.length - named.length;
  return `${named.join('; ')}${more > 0 ? ` (and ${more} more)` : ''}`;
}

/** YYYY-MM-DD in UTC. */
function utcDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Any name that begins with `x-accord-`, anywhere. */
function hasAccordWord(value: JsonValue): boolean {
  if (Array.isArray(value)) return value.some(hasAccordWord);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([name, member]) => name.startsWith('x-accord-') || hasAccordWord(member));
}
