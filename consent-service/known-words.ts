// What identifiers are called: departments, services, purposes and items, in the words of the approved configuration. What it
// does not know, because it is of another time or was never registered, is called by its identifier.
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { dayAt } from '#policy/calendar.ts';
import { memberOf, subsystemOfService } from '#schemas/identifiers.ts';
import { dictionaryOf } from './dictionary-in-force.ts';

type Bilingual = Readonly<Record<'zh' | 'en', string>>;

export interface KnownWords {
  /** Name of the member that a subsystem is of. */
  member(subsystem: string): string;
  /** Name of the member that answers. */
  provider(service: string): string;
  service(service: string): string;
  /** The title in force when it was asked for, else any that the purpose has or had. */
  purpose(id: string, atMs: number): Bilingual;
  /** @param hash of the version that was agreed to */
  purposeByHash(hash: string, id: string): Bilingual;
  item(ref: string): Bilingual;
}

export function knownWords(snapshot: ConfigurationSnapshot): KnownWords {
  const release = snapshot.dictionary();
  const dictionary = release === null ? null : dictionaryOf(release);
  const member = (subsystem: string) => snapshot.memberName(memberOf(subsystem)) ?? memberOf(subsystem);
  const same = (text: string) => ({ zh: text, en: text });
  return {
    member,
    provider: (service) => member(subsystemOfService(service)),
    service: (service) => snapshot.service(service)?.title ?? service,
    purpose(id, atMs) {
      const then = snapshot.purpose(id, dayAt(atMs, snapshot.utcOffsetMinutes))?.purpose;
      return (then ?? snapshot.purposes().findLast((one) => one.id === id))?.title ?? same(id);
    },
    purposeByHash: (hash, id) => snapshot.purposeByHash(hash)?.title ?? same(id),
    item(ref) {
      const entry = dictionary?.get(ref);
      return entry?.kind === 'element' || entry?.kind === 'predicate' ? entry.labels : same(ref);
    },
  };
}
