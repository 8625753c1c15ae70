// What is appended in one turn of the event loop, as one transaction: each record is drafted at its place, a claim that is
// used up makes a replay of it, and what has to be sealed is sealed under the key of its class and day. Nothing is written
// and no promise settles here; what a peer sent is inside the records.
import { type Frontier, TILE_HEIGHT } from '#certs/merkle.ts';
import { base64url } from '#schemas/base64url.ts';
import { type DraftRecord, draftRecord, type NewRecord } from './record.ts';
import type { RecordKeys } from './record-keys.ts';
import { sealRecord } from './sealed-record.ts';
import type { LogStore, StoredRecord, StoredTile } from './store.ts';

export type Appended =
  | { outcome: 'appended'; seq: number; leafHash: string }
  /** The claim was used up before; `seq` is the first record's. Nothing was written. */
  | { outcome: 'replay'; seq: number };

export interface Waiting {
  record: NewRecord;
  resolve: (appended: Appended) => void;
  reject: (error: unknown) => void;
}

/** @param settle gains what is to run once the records are durable; `before` stays as it is */
export function draftTurn(
  waiting: readonly Waiting[],
  before: Frontier,
  atMs: number,
  store: Pick<LogStore, 'claimedBy'>,
  settle: (() => void)[],
): { drafts: DraftRecord[]; tiles: StoredTile[]; frontier: Frontier } {
  const frontier = before.copy();
  const drafts: DraftRecord[] = [];
  const tiles: StoredTile[] = [];
  const claimed = new Map<string, number>();
  for (const { record, resolve, reject } of waiting) {
    const claim = record.claim === undefined ? null : JSON.stringify([record.claim.from, record.claim.id]);
    const first = claim === null ? null : (claimed.get(claim) ?? claimedBy(store, record));
    if (first !== null) {
      settle.push(() => resolve({ outcome: 'replay', seq: first }));
      continue;
    }
    let draft: DraftRecord;
    try {
      draft = draftRecord(record, frontier.size, atMs);
    } catch (error) {
      settle.push(() => reject(error)); // this record's own fault; the others go on
      continue;
    }
    const { seq, leaf } = draft.row;
    if (claim !== null) claimed.set(claim, seq);
    frontier.push(leaf, (height, index, hash) => tiles.push({ level: height / TILE_HEIGHT, index, hash }));
    drafts.push(draft);
    settle.push(() => resolve({ outcome: 'appended', seq, leafHash: base64url(leaf) }));
  }
  return { drafts, tiles, frontier };
}

function claimedBy(store: Pick<LogStore, 'claimedBy'>, { claim }: NewRecord): number | null {
  return claim === undefined ? null : store.claimedBy(claim.from, claim.id);
}

/** Issues the keys of that day (days since the epoch, UTC), durably, and seals under them. */
export function sealTurn(
  drafts: readonly DraftRecord[],
  keys: RecordKeys,
  day: number,
  origin: string,
): StoredRecord[] {
  const wanted: { retention: string; day: number }[] = [];
  for (const { parts, retention } of drafts) if (parts !== null) wanted.push({ retention, day });
  const issued = wanted.length === 0 ? [] : keys.issue(wanted);
  let next = 0;
  return drafts.map(({ row, parts }) => {
    const key = parts === null ? undefined : issued[next++];
    if (parts === null || key === undefined) return row;
    return { ...row, sealed: { keyId: key.id, bytes: sealRecord(parts, key.key, origin, row.leaf) } };
  });
}
