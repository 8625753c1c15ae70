// Appends an entry that a log makes about itself (`origin-opened`, `key-rotated`), while no server writes it.
import { type Frontier, TILE_HEIGHT } from '#certs/merkle.ts';
import type { EntryKind } from '#schemas/log-entry.ts';
import { draftRecord } from './record.ts';
import type { LogStore, StoredTile } from './store.ts';

/** The `id` of an entry that belongs to no exchange is its kind. Durable when it returns. @throws StoreError */
export function appendOwnEntry(
  store: LogStore,
  frontier: Frontier,
  kind: Extract<EntryKind, 'origin-opened' | 'key-rotated'>,
  note: string,
  atMs: number,
): void {
  const draft = draftRecord(
    {
      kind,
      id: kind,
      peer: null,
      client: null,
      service: null,
      purpose: null,
      basis: null,
      code: null,
      decisionHash: null,
      configurationVersion: 0,
      retention: 'standard',
      evidence: null,
      note,
      sealed: null,
    },
    frontier.size,
    atMs,
  );
  const tiles: StoredTile[] = [];
  frontier.push(draft.row.leaf, (height, index, hash) => tiles.push({ level: height / TILE_HEIGHT, index, hash }));
  store.append([draft.row], tiles);
}
