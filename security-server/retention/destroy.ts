// Destruction of record keys in order (docs/evidence.md, Retention and erasure): what exactly goes is worked out, written
// down as `destruction-intended`, durable; then the keys go; then the rows of who looked; then a certificate is signed and
// written down as `destruction-done`. From the intent on everything may be done again: whatever a crash leaves, the same
// steps complete it, and nothing but the intent says what they are about.
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '#core/clock.ts';
import { type KeyDay, MS_PER_DAY } from '#core/log/record-keys.ts';
import { scopeOf, signCertificate } from '#core/retention/certificate.ts';
import { holdsDays } from '#core/retention/entries.ts';
import { base64url } from '#schemas/base64url.ts';
import { ACCESS_SHOWN_DAYS, MAX_DESTROYED_RECORDS, MAX_KEPT_RECORDS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { type DestructionCertificate, encodeNote, type HoldNote, type IntentNote } from '#schemas/retention.ts';
import type { ErasableAccess } from '#security-server/accesses.ts';
import type { SigningKey } from '#security-server/envelope/signer.ts';
import { type HeldEntry, type HeldPorts, heldEntries, rowJudge } from './held.ts';
import { withoutHeld } from './plan.ts';
import type { KnownIntent, RequestedScope } from './retention-store.ts';

const MAX_ROWS_OF_DAYS = 64;
const ROWS_AT_ONCE = 2_000;

export interface DestroyPorts extends HeldPorts {
  /** INSTANCE/CLASS/MEMBER/SERVER */
  server: string;
  clock: Clock;
  signing(): SigningKey;
}

export type IntendedScope = Pick<IntentNote, 'days' | 'except' | 'records'>;

/**
 * What of the scope can be destroyed now.
 * @throws DESTRUCTION_NOT_DUE when nothing of it is left, DESTRUCTION_HELD for single exchanges that are held, LOG_*
 */
export async function intendedScope(
  asked: RequestedScope,
  holds: readonly HoldNote[],
  ports: DestroyPorts,
): Promise<IntendedScope> {
  const held = await heldEntries(holds, ports);
  const records = await singleRecords(asked, holds, held, ports);
  const { days, kept } = await wholeDays(asked, holds, held, ports);
  if (days.length === 0 && records.length === 0) throw new AccordError('DESTRUCTION_NOT_DUE');
  if (kept.length > MAX_KEPT_RECORDS) {
    const what = `${kept.length} records of these days are held one by one, at most ${MAX_KEPT_RECORDS} at once`;
    throw new AccordError('DESTRUCTION_HELD', what);
  }
  const origins = [...new Set(kept.map(({ origin }) => origin))].sort();
  const except = origins.map((origin) => {
    const seqs = kept.filter((one) => one.origin === origin).map(({ entry }) => entry.seq);
    return { origin, seqs: seqs.sort((a, b) => a - b) };
  });
  return { days, except, records };
}

async function singleRecords(
  { exchanges }: RequestedScope,
  holds: readonly HoldNote[],
  held: readonly HeldEntry[],
  { log, logs }: DestroyPorts,
): Promise<IntendedScope['records']> {
  if (exchanges.length === 0) return [];
  const found = await logs.sealedOf(exchanges);
  const there = found.filter(({ keyId }) => log.erasure.holdsKey(keyId));
  for (const { origin, entry } of there) {
    const day = Math.floor(entry.t / MS_PER_DAY);
    const days = { retention: entry.retention, firstDay: day, lastDay: day, records: 1, keys: 1 };
    const hold =
      held.find((one) => one.origin === origin && one.entry.seq === entry.seq)?.hold ??
      holds.find((one) => holdsDays(one, days))?.hold;
    if (hold !== undefined) throw new AccordError('DESTRUCTION_HELD', `${entry.id}: hold ${hold}`);
  }
  if (there.length > MAX_DESTROYED_RECORDS) {
    throw new AccordError('SCHEMA_MISMATCH', `${there.length} records at once, at most ${MAX_DESTROYED_RECORDS}`);
  }
  return there.map(({ origin, entry, leaf }) => ({ origin, seq: entry.seq, leaf: base64url(leaf) }));
}

/** Keys of each day that are not held one by one. */
export function keyDaysWithout(keyDays: readonly KeyDay[], held: readonly HeldEntry[]): KeyDay[] {
  const counts = new Map<string, number>();
  for (const { entry } of held) {
    const name = dayName(entry.retention, Math.floor(entry.t / MS_PER_DAY));
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return keyDays
    .map((one) => ({ ...one, keys: one.keys - (counts.get(dayName(one.retention, one.day)) ?? 0) }))
    .filter(({ keys }) => keys > 0);
}

const dayName = (retention: string, day: number) => `${retention} ${day}`;

async function wholeDays(
  { days: asked }: RequestedScope,
  holds: readonly HoldNote[],
  held: readonly HeldEntry[],
  { log, logs }: DestroyPorts,
): Promise<{ days: IntendedScope['days']; kept: HeldEntry[] }> {
  const rows = withoutHeld(asked, keyDaysWithout(log.erasure.keyDays(), held), holds).slice(0, MAX_ROWS_OF_DAYS);
  const days: IntendedScope['days'] = [];
  const kept: HeldEntry[] = [];
  for (const row of rows) {
    const stay = held.filter(({ entry }) => isOf(row, entry.retention, entry.t));
    const sealed = await logs.countSealed(row.retention, row.firstDay, row.lastDay);
    days.push({ ...row, records: Math.max(0, sealed - stay.length) });
    kept.push(...stay);
  }
  return { days, kept };
}

function isOf(row: { retention: string; firstDay: number; lastDay: number }, retention: string, atMs: number): boolean {
  const day = Math.floor(atMs / MS_PER_DAY);
  return row.retention === retention && row.firstDay <= day && day <= row.lastDay;
}

/** Destroys what the intent names; may be done again. @throws StoreError, LOG_*, RECORD_* */
export async function destroyKeys({ note }: KnownIntent, { log, logs }: DestroyPorts): Promise<void> {
  const { erasure } = log;
  const stay = note.except.flatMap(({ origin, seqs }) => logs.keyIds(origin, seqs));
  for (const row of note.days) {
    // Day by day, so that exchanges go on meanwhile; then as a whole, which is what is kept of it.
    for (const { retention, day } of erasure.keyDays()) {
      if (!isOf(row, retention, day * MS_PER_DAY)) continue;
      erasure.destroyDays(retention, day, day, stay);
      await setImmediate();
    }
    erasure.destroyDays(row.retention, row.firstDay, row.lastDay, stay);
  }
  for (const keyId of singleKeys(note, logs)) erasure.destroyKey(keyId);
  // What the certificate is going to say is looked at, not remembered.
  if (areKeysThere(note, { log, logs })) throw new AccordError('RECORD_KEY_NOT_DESTROYED', note.destruction);
}

function singleKeys({ records }: IntendedScope, logs: DestroyPorts['logs']): Buffer[] {
  return records.flatMap(({ origin, seq }) => logs.keyIds(origin, [seq]));
}

/** Whether something still opens that was to be destroyed: a key store that was put back from a copy. @throws LOG_*, RECORD_* */
export function areKeysThere(
  note: IntendedScope,
  { log: { erasure }, logs }: Pick<DestroyPorts, 'log' | 'logs'>,
): boolean {
  const left = erasure
    .keyDays()
    .filter(({ retention, day }) => note.days.some((row) => isOf(row, retention, day * MS_PER_DAY)));
  const open = left.reduce((sum, { keys }) => sum + keys, 0);
  const kept = note.except.reduce((sum, { seqs }) => sum + seqs.length, 0);
  return open > kept || singleKeys(note, logs).some((keyId) => erasure.holdsKey(keyId));
}

/**
 * Deletes the rows of who looked whose records are gone; may be done again.
 * @returns how many stay for now, because the law hid them and the citizen has not been shown them for long enough
 */
export async function deleteRows(
  note: IntendedScope,
  holds: readonly HoldNote[],
  { accesses, logs, store, clock }: DestroyPorts,
): Promise<number> {
  const isHeld = rowJudge(holds, store);
  const shownBeforeMs = clock.nowMs() - ACCESS_SHOWN_DAYS * MS_PER_DAY;
  const isHidden = ({ atMs, visibleFromMs }: ErasableAccess) => visibleFromMs > atMs && visibleFromMs > shownBeforeMs;
  const excepted = note.except.flatMap(({ origin, seqs }) => logs.entries(origin, seqs));
  const kept = new Set(excepted.map(({ id, peer }) => `${peer} ${id}`));
  let hidden = 0;
  const remove = (rows: readonly ErasableAccess[]): void => {
    const going = rows.filter((row) => !isHeld(row) && !kept.has(`${row.peer} ${row.exchange}`));
    accesses.remove(going.filter((row) => !isHidden(row)).map(({ row }) => row));
    hidden += going.filter(isHidden).length;
  };
  for (const { retention, firstDay, lastDay } of note.days) {
    let after = { atMs: -1, row: 0 };
    for (;;) {
      const rows = accesses.between(firstDay * MS_PER_DAY, (lastDay + 1) * MS_PER_DAY, after, ROWS_AT_ONCE);
      remove(rows.filter((row) => row.retention === retention));
      const last = rows.at(-1);
      if (last === undefined) break;
      after = last;
      await setImmediate();
    }
  }
  for (const { origin, seq } of note.records) {
    for (const { id, peer } of logs.entries(origin, [seq])) {
      if (peer !== null) remove(accesses.ofExchange({ id, peer }));
    }
  }
  return hidden;
}

/** Deletes rows of who looked that are older than they are ever shown, unless they are held. */
export async function forgetRows(
  beforeMs: number,
  holds: readonly HoldNote[],
  { accesses, store }: Pick<DestroyPorts, 'accesses' | 'store'>,
): Promise<void> {
  const isHeld = rowJudge(holds, store);
  let after = { atMs: -1, row: 0 };
  for (;;) {
    // In small steps, so that exchanges go on meanwhile.
    const rows = accesses.between(0, beforeMs, after, ROWS_AT_ONCE);
    accesses.remove(rows.filter((row) => !isHeld(row)).map(({ row }) => row));
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last;
    await setImmediate();
  }
}

/** The note of `destruction-done`. @throws KEY_UNUSABLE */
export function doneNote({ origin, seq, leaf, note }: KnownIntent, ports: DestroyPorts): string {
  const certificate: DestructionCertificate = {
    v: 1,
    kind: 'destruction',
    server: ports.server,
    origin,
    intent: { seq, leaf },
    destroyedAtMs: Math.max(ports.clock.nowMs(), note.approved.atMs),
    ...scopeOf(note),
  };
  return encodeNote({
    v: 1,
    destruction: note.destruction,
    certificate: signCertificate(certificate, ports.signing()),
  });
}
