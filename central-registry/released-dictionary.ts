// The dictionary that services are bound to now, opened once per release. It was judged when it was released; here it is
// only read again from the registry's own database.
import { readPart } from '#core/configuration/parts.ts';
import { type Dictionary, openDictionary } from '#policy/dictionary/dictionary.ts';
import type { RegistryStore } from './store-sqlite.ts';

export interface ReleasedDictionary {
  /** The newest committed release; null while there is none. Not for a change that has just written one. */
  current(): Dictionary | null;
}

export function openReleasedDictionary(store: RegistryStore, instance: string): ReleasedDictionary {
  let held: Dictionary | null = null;
  return {
    current() {
      const release = store.dictionary.release()?.release;
      if (release === undefined) return null;
      if (held?.release === release) return held;
      const files = store.dictionary.files();
      held = openDictionary(
        release,
        [...files].flatMap(([name, bytes]) => readPart(name, bytes, instance).entries),
      );
      return held;
    },
  };
}
