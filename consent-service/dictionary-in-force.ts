// The dictionary of a configuration, indexed once for each release.
import type { DictionaryRelease } from '#core/configuration/snapshot.ts';
import { type Dictionary, openDictionary } from '#policy/dictionary/dictionary.ts';

// By the release object, which the configuration keeps while its parts are unchanged.
const opened = new WeakMap<DictionaryRelease, Dictionary>();

export function dictionaryOf(release: DictionaryRelease): Dictionary {
  const known = opened.get(release) ?? openDictionary(release.release, release.entries);
  opened.set(release, known);
  return known;
}
