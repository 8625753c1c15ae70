// Which place in which status list each receipt has, and what stands there now (draft-ietf-oauth-status-list): per
// provider one list, so that a provider fetches only what concerns it. Places are taken at random among the free ones:
// neither the time nor the neighbour of a receipt shows. Held in memory as it stands in the store, changed only after the
// store has kept the change.
import { randomInt } from 'node:crypto';
import { sha256 } from '#certs/commitment.ts';
import { MAX_STATUS_ENTRIES, STATUS_LIST_PLACES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ConsentStore, StoredList, StoredStatus } from './store.ts';

interface List extends StoredList {
  statuses: Uint8Array;
  taken: Set<number>;
}

export interface StatusBook {
  /** A free place in the provider's list, reserved until the process ends; `list` is to be kept with the change. */
  take(subsystem: string, statusUrl: string): { list: StoredList; idx: number };
  /** What the store has kept. Returns the ids of the lists that changed. */
  apply(lists: readonly StoredList[], statuses: readonly StoredStatus[]): string[];
  all(): readonly { id: string; subsystem: string; uri: string; statuses: Uint8Array }[];
}

export async function openStatusBook(store: ConsentStore): Promise<StatusBook> {
  const lists = new Map<string, List>();
  for (const stored of await store.lists()) {
    const list = { ...stored, statuses: new Uint8Array(stored.places), taken: new Set<number>() };
    for (const { idx, value } of await store.statuses(stored.id)) {
      list.statuses[idx] = value;
      list.taken.add(idx);
    }
    lists.set(stored.id, list);
  }

  /** The newest list of the provider under this address that has room, grown where it may; else a new one. */
  function listFor(subsystem: string, statusUrl: string): List {
    const prefix = sha256(subsystem).slice(0, 22);
    for (let number = 0; number < 1_000; number++) {
      const id = `${prefix}-${number}`;
      const uri = `${statusUrl}/${id}`;
      const known = lists.get(id);
      if (known === undefined) {
        const statuses = new Uint8Array(STATUS_LIST_PLACES);
        const made: List = { id, subsystem, uri, places: STATUS_LIST_PLACES, statuses, taken: new Set() };
        lists.set(id, made);
        return made;
      }
      // An address that was changed: receipts go on naming the old one.
      if (known.uri !== uri) continue;
      if (known.taken.size < known.places / 2) return known;
      if (known.places < MAX_STATUS_ENTRIES) return grow(known);
    }
    throw new AccordError('CONSENT_STORE_FAILED', `no status list of ${subsystem} has room`);
  }

  return {
    take(subsystem, statusUrl) {
      const list = listFor(subsystem, statusUrl);
      // At least half of the places are free: two draws on the average.
      let idx = randomInt(list.places);
      while (list.taken.has(idx)) idx = randomInt(list.places);
      list.taken.add(idx);
      const { id, uri, places } = list;
      return { list: { id, subsystem, uri, places }, idx };
    },
    apply(kept, statuses) {
      for (const { id } of kept) if (!lists.has(id)) throw new TypeError(`list ${id} was never opened`);
      for (const { list: id, idx, value } of statuses) {
        const list = lists.get(id);
        if (list !== undefined) list.statuses[idx] = value;
      }
      return [...new Set(statuses.map(({ list }) => list))];
    },
    all: () => [...lists.values()],
  };
}

function grow(list: List): List {
  const statuses = new Uint8Array(list.places * 2);
  statuses.set(list.statuses);
  list.statuses = statuses;
  list.places *= 2;
  return list;
}
