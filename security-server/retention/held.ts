// What the holds on single exchanges and on persons keep: found anew whenever it is asked, because a person's exchanges go
// on. Holds of classes and periods keep whole days and are judged with them (plan.ts).
import { createHash } from 'node:crypto';
import type { MessageLog } from '#core/log/message-log.ts';
import { MS_PER_DAY } from '#core/log/record-keys.ts';
import type { AllLogs, SealedEntry } from '#core/retention/all-logs.ts';
import type { HoldNote } from '#schemas/retention.ts';
import type { Accesses, ErasableAccess } from '#security-server/accesses.ts';
import type { RetentionStore } from './retention-store.ts';

export interface HeldEntry extends SealedEntry {
  hold: string;
}

export interface HeldPorts {
  log: MessageLog;
  logs: AllLogs;
  accesses: Accesses;
  store: RetentionStore;
}

/** The commitment that stands in the log in place of a person's tag. */
export function subjectCommitment(tag: string, salt: string): string {
  return createHash('sha256').update(Buffer.from(salt, 'base64url')).update(tag, 'utf8').digest('base64url');
}

/** Holds on persons whose tag is not known any more: what they keep nobody can say. */
export function lostHolds(holds: readonly HoldNote[], store: RetentionStore): HoldNote[] {
  const subjects = store.all('subject');
  return holds.filter(({ hold, scope }) => {
    if (scope.kind !== 'subject') return false;
    const known = subjects.get(hold);
    return known === undefined || subjectCommitment(known.tag, known.salt) !== scope.commitment;
  });
}

/** Sealed records that are held one by one and can still be opened. @throws LOG_* */
export async function heldEntries(holds: readonly HoldNote[], ports: HeldPorts): Promise<HeldEntry[]> {
  const subjects = ports.store.all('subject');
  const found: HeldEntry[] = [];
  const seen = new Set<string>();
  for (const { hold, scope } of holds) {
    const exchanges =
      scope.kind === 'exchanges'
        ? scope.ids.map((id) => ({ id, peer: null }))
        : scope.kind === 'subject'
          ? ports.accesses.exchangesOf(subjects.get(hold)?.tag ?? '')
          : [];
    for (const one of exchanges.length === 0 ? [] : await ports.logs.sealedOf(exchanges)) {
      const place = `${one.entry.seq} ${one.origin}`;
      if (seen.has(place) || !ports.log.erasure.holdsKey(one.keyId)) continue;
      seen.add(place);
      found.push({ ...one, hold });
    }
  }
  return found;
}

/** Whether a row of who looked is kept by one of the holds. */
export function rowJudge(holds: readonly HoldNote[], store: RetentionStore): (row: ErasableAccess) => boolean {
  const subjects = store.all('subject');
  const ids = new Set(holds.flatMap(({ scope }) => (scope.kind === 'exchanges' ? scope.ids : [])));
  const tags = new Set(holds.flatMap(({ hold }) => subjects.get(hold)?.tag ?? []));
  return ({ exchange, tag, retention, atMs }) => {
    const day = Math.floor(atMs / MS_PER_DAY);
    const isOfDays = holds.some(
      ({ scope }) =>
        (scope.kind === 'class' && scope.retention === retention) ||
        (scope.kind === 'period' && scope.firstDay <= day && day <= scope.lastDay),
    );
    return isOfDays || ids.has(exchange) || tags.has(tag);
  };
}
