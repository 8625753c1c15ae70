// What campaign `kill` demands of the two logs and of the backend when all is over. What the client was told must stand
// in the logs; what the backend executed must have been logged first and only once; every open end must be settled in a
// way that agrees with what the backend did.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyLog } from '#core/log/audit.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { type EntryKind, parseLogEntry } from '#schemas/log-entry.ts';

/** What the client heard of one request: an outcome, or what settling said. */
export interface Told {
  id: string;
  outcome: string;
}

/** `unreached`: the provider answered that its backend could not be reached, so that it executed nothing; `late`: it refused
 * because nobody waited any more, before anything ran. */
type Kind = EntryKind | 'not-sent' | 'unreached' | 'late';
type Kinds = Map<string, Set<Kind>>;

export async function auditFolder(folder: string): Promise<string | null> {
  const audit = await verifyLog({ folder: join(folder, 'log'), checkpointFile: join(folder, 'checkpoint.txt') });
  return audit.ok ? null : `${folder}: ${audit.code} at ${audit.firstBadSeq}: ${audit.detail}`;
}

/** Kinds of entries by exchange id. */
export function readKinds(folder: string): Kinds {
  const kinds: Kinds = new Map();
  const log = openLogAuditSqlite(join(folder, 'log'));
  try {
    for (let seq = 0, rows = log.lines(0, 1000); rows.length > 0; rows = log.lines(seq, 1000)) {
      seq += rows.length;
      for (const { line } of rows) {
        const { id, kind, code } = parseLogEntry(line);
        const mine = kinds.get(id) ?? new Set();
        mine.add(code?.startsWith('NOT_SENT_') ? 'not-sent' : kind);
        if (kind === 'response-sent' && code === 'BACKEND_UNREACHABLE') mine.add('unreached');
        if (kind.startsWith('refusal-') && code === 'DEADLINE_PASSED') mine.add('late');
        kinds.set(id, mine);
      }
    }
  } finally {
    log.close();
  }
  return kinds;
}

export function readExecutions(file: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const id of readFileSync(file, 'utf8').split('\n')) {
    if (id !== '') counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

/** Everything that is not as promised, in words. */
export function contradictions(
  told: readonly Told[],
  consumer: Kinds,
  provider: Kinds,
  executed: ReadonlyMap<string, number>,
): string[] {
  const found: string[] = [];
  const has = (log: Kinds, id: string, kind: Kind) => log.get(id)?.has(kind) ?? false;
  const demand = (holds: boolean, id: string, what: string) => {
    if (!holds) found.push(`${id}: ${what}`);
  };
  for (const { id, outcome } of told) {
    const isLate = /^(?:refused|settled answered)$/.test(outcome) && has(provider, id, 'late');
    if (isLate) {
      demand(has(consumer, id, 'late'), id, `${outcome}, but the consumer's log lacks the refusal`);
      demand(!executed.has(id), id, `${outcome}, refused as late, but it was executed`);
    } else if (outcome === 'ok' || outcome === 'settled answered') {
      demand(has(consumer, id, 'request-sent'), id, `${outcome}, but the consumer's log lacks the request`);
      demand(has(consumer, id, 'response-received'), id, `${outcome}, but the consumer's log lacks the answer`);
      demand(has(provider, id, 'request-received'), id, `${outcome}, but the provider's log lacks the request`);
      demand(has(provider, id, 'response-sent'), id, `${outcome}, but the provider's log lacks the answer`);
      // An answer may also say that time was up before the backend was reached.
      const times = outcome === 'settled answered' && has(provider, id, 'unreached') ? 0 : 1;
      demand((executed.get(id) ?? 0) === times, id, `${outcome}, but executed ${executed.get(id) ?? 0} times`);
    }
    if (outcome === 'not-sent' || outcome === 'settled void') {
      demand(!executed.has(id), id, `${outcome}, but it was executed`);
    }
    if (outcome === 'settled void') demand(!has(provider, id, 'request-received'), id, 'void, but received');
    if (outcome === 'settled received') demand(has(provider, id, 'request-received'), id, 'received, but not logged');
    demand(outcome !== 'refused' || isLate, id, 'refused, although everything about it was in order');
    demand(outcome !== 'settled unknown', id, 'not settled, although both servers are up');
  }
  for (const [id, times] of executed) {
    demand(times === 1, id, `executed ${times} times`);
    demand(has(provider, id, 'request-received'), id, "executed, but the provider's log lacks the request");
    demand(has(consumer, id, 'request-sent'), id, "executed, but the consumer's log lacks the request");
  }
  return found;
}
