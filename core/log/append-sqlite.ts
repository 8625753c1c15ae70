// Appending to the message log in SQLite: one row for a record, one for each signature of a turn. Where a turn holds a
// whole batch, as it does at the server that signed it and mostly at the one that received it, no path is kept with its
// statements: the rows of the signature give all of them (store-sqlite.ts). Paths are those that were verified, or made here.
import type Database from 'better-sqlite3';
import type { StoredEvidence, StoredRecord, StoredTile } from './store.ts';

type Connection = InstanceType<typeof Database>;

/** Signatures whose batch came in several turns: the same JWS is stored once while the turns lie close together. */
const MAX_RECENT_SIGNATURES = 64;

/** The statements of one JWS in one turn. */
interface Group {
  size: number;
  /** Which places of the batch are there; null as soon as one is there twice, or they speak of different batches. */
  places: Uint8Array | null;
  count: number;
  first: number;
  last: number;
  number: number;
}

/** By JWS. Records without a batch belong to none. */
function groupsOf(records: readonly StoredRecord[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  let [jws, group]: [string, Group | undefined] = ['', undefined];
  for (const { seq, evidence } of records) {
    if (evidence === null || evidence.size === 0) continue;
    if (group === undefined || evidence.jws !== jws) {
      jws = evidence.jws;
      group = groups.get(jws);
      if (group === undefined) {
        const places = new Uint8Array(evidence.size);
        group = { size: evidence.size, places, count: 0, first: seq, last: seq, number: -1 };
        groups.set(jws, group);
      }
    }
    place(group, seq, evidence);
  }
  return groups;
}

function place(group: Group, seq: number, { index, size }: StoredEvidence): void {
  group.last = seq;
  if (group.places === null) return;
  if (size !== group.size || group.places[index] !== 0) {
    group.places = null;
    return;
  }
  group.places[index] = 1;
  group.count++;
}

/** A batch of one has no path that could be left out. */
function isWhole({ places, count, size }: Group): boolean {
  return places !== null && count === size && size > 1;
}

/** @returns the store's `append` without its transaction, and what it has to hear when one failed */
export function rowAppender(db: Connection) {
  const addEntry = db.prepare('INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const addSignature = db.prepare('INSERT INTO signatures VALUES (?, ?, ?, ?)');
  const nextNumber = db.prepare('SELECT coalesce(max(number), -1) + 1 FROM signatures').pluck();
  const addClaim = db.prepare('INSERT INTO claims VALUES (?, ?, ?, ?)');
  const addTile = db.prepare('INSERT INTO tiles VALUES (?, ?, ?)');
  const recent = new Map<string, number>();
  let next: number | null = null;

  const addSignatures = (groups: Map<string, Group>): void => {
    for (const [jws, group] of groups) {
      const whole = isWhole(group);
      const known = whole ? undefined : recent.get(jws);
      if (known !== undefined) {
        group.number = known;
        continue;
      }
      next ??= nextNumber.get() as number;
      group.number = next++;
      addSignature.run(group.number, jws, whole ? group.first : null, whole ? group.last : null);
      if (whole) continue;
      if (recent.size >= MAX_RECENT_SIGNATURES) recent.clear();
      recent.set(jws, group.number);
    }
  };
  const addRecord = (record: StoredRecord, groups: Map<string, Group>): void => {
    const { seq, line, leaf, exchangeId, evidence, sealed, claim } = record;
    const [keyId, bytes] = sealed === null ? [null, null] : [sealed.keyId, sealed.bytes];
    if (evidence === null) addEntry.run(seq, line, leaf, exchangeId, null, null, null, null, null, keyId, bytes);
    else {
      const { statement, index, size, path } = evidence;
      const group = groups.get(evidence.jws);
      const kept = group !== undefined && isWhole(group) ? null : path;
      const number = group?.number ?? null;
      addEntry.run(seq, line, leaf, exchangeId, number, index, size, kept, statement, keyId, bytes);
    }
    if (claim !== null) addClaim.run(claim.from, claim.id, seq, claim.untilMs);
  };
  return {
    append: (records: readonly StoredRecord[], tiles: readonly StoredTile[]): void => {
      const groups = groupsOf(records);
      addSignatures(groups);
      for (const record of records) addRecord(record, groups);
      for (const { level, index, hash } of tiles) addTile.run(level, index, hash);
    },
    /** A transaction was taken back: what this connection remembers of it is not in the database. */
    forget: (): void => {
      recent.clear();
      next = null;
    },
  };
}
