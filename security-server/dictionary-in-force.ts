// The dictionary and the binding tables as this server uses them: read from the configuration's newest snapshot, opened
// once per release and table. A release is taken only when its own tests pass here too: two approvers signed it, yet the
// program that judges with it is this one. A faulty release raises an alarm and the one before stays in force.
import type { FastifyBaseLogger } from 'fastify';
import type { ConfigurationSnapshot, DictionaryRelease } from '#core/configuration/snapshot.ts';
import { type Binding, openBinding } from '#policy/binding/binding.ts';
import { checkDictionary } from '#policy/dictionary/check.ts';
import { type Dictionary, openDictionary } from '#policy/dictionary/dictionary.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import type { ServiceId } from '#schemas/identifiers.ts';

export interface BoundService {
  binding: Binding;
  dictionary: Dictionary;
}

export interface DictionaryInForce {
  /** Null while none was released. */
  dictionary(snapshot: ConfigurationSnapshot): Dictionary | null;
  /** Null for a service that is not bound. */
  bound(snapshot: ConfigurationSnapshot, service: ServiceId): BoundService | null;
}

export function openDictionaryInForce(logger: FastifyBaseLogger): DictionaryInForce {
  let newest: DictionaryRelease | null = null;
  let inForce: Dictionary | null = null;
  // By the table object, which the configuration keeps while its part is unchanged.
  let opened = new WeakMap<BindingTable, BoundService>();

  function load(release: DictionaryRelease): void {
    newest = release;
    const dictionary = openDictionary(release.release, release.entries);
    const failures = checkDictionary(dictionary);
    if (failures.length > 0) {
      const first = failures.slice(0, 5).map(({ entry, code, detail }) => `${entry} ${code} ${detail}`);
      logger.error(
        { alarm: 'DICTIONARY_RELEASE_FAULTY', release: release.release, failures: failures.length, first },
        'a release of the dictionary was not taken',
      );
      return;
    }
    inForce = dictionary;
    opened = new WeakMap();
  }

  function dictionaryOf(snapshot: ConfigurationSnapshot): Dictionary | null {
    const release = snapshot.dictionary();
    if (release !== null && release !== newest) load(release);
    return inForce;
  }

  return {
    dictionary: dictionaryOf,
    bound(snapshot, service) {
      const table = snapshot.binding(service);
      const dictionary = table === undefined ? null : dictionaryOf(snapshot);
      if (table === undefined || dictionary === null) return null;
      const known = opened.get(table);
      if (known !== undefined) return known;
      const made = { binding: openBinding(table, dictionary), dictionary };
      opened.set(table, made);
      return made;
    },
  };
}
