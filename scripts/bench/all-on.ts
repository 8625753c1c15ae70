// That what was measured is the whole exchange: two entries in each log for every exchange, each with its statement and
// its signature and with its sealed parts, a claimed id for each request, a refusal for what nobody allowed, and logs that
// their audit finds sound. That the filter works, every compared answer of the load shows (asked.ts).
import { join } from 'node:path';
import { verifyLog } from '#core/log/audit.ts';
import { LOG_PLACES } from '#security-server/log-origin.ts';
import { lookupOf } from './asked.ts';
import { FIELDS, FORBIDDEN_FIELD, residents, SERVICES } from './assistance.ts';
import { type LogSize, logSize } from './log-size-sqlite.ts';
import type { Tally } from './measure.ts';
import type { OpenedNetwork } from './network.ts';

/** Asks for a field that the access right does not open: the provider's signed refusal is the decision at work. */
export async function forbiddenIsRefused({ consumerUrl }: OpenedNetwork): Promise<string[]> {
  const body = JSON.stringify(lookupOf('1k', residents[0] ?? '', 'safe', [...FIELDS, FORBIDDEN_FIELD]));
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${consumerUrl}/lookups`, { method: 'POST', headers, body });
  const { outcome, code } = (await answer.json()) as { outcome?: string; code?: string };
  return answer.status === 403 && outcome === 'refused'
    ? []
    : [`a field that is not allowed: ${answer.status} ${outcome} ${code}, not refused`];
}

/** @param refused how many were refused @param audited whether the whole logs are verified too, which takes a while */
export async function everythingWasOn(
  { folders }: OpenedNetwork,
  { exchanges }: Pick<Tally, 'exchanges'>,
  refused: number,
  audited: boolean,
): Promise<string[]> {
  const found: string[] = [];
  const expect = (what: string, is: number, wanted: number) => {
    if (is !== wanted) found.push(`${what}: ${is} in place of ${wanted}`);
  };
  const answered = exchanges.safe + exchanges.write;
  for (const [side, sent, received] of [
    ['consumer', 'request-sent', 'response-received'],
    ['provider', 'request-received', 'response-sent'],
  ] as const) {
    const log = logSize(folders[side]);
    const count = (kind: string) =>
      Object.entries(log.entries).reduce((sum, [name, each]) => sum + (name.startsWith(`${kind} `) ? each : 0), 0);
    expect(`${side}: ${sent}`, count(sent), answered + refused);
    expect(`${side}: ${received}`, count(received), answered);
    expect(`${side}: statements with signature`, log.evidence, 2 * (answered + refused));
    expect(`${side}: sealed parts`, log.sealed, 2 * (answered + refused));
    expect(`${side}: ${sent} ${SERVICES.write}`, log.entries[`${sent} decisions`] ?? 0, exchanges.write);
    if (side === 'provider' && log.claims === 0) found.push('no id was claimed');
    if (!audited) continue;
    const place = (name: 'log' | 'checkpointFile') => join(folders[side], LOG_PLACES[name]);
    const audit = await verifyLog({ folder: place('log'), checkpointFile: place('checkpointFile') });
    if (!audit.ok) found.push(`${side}: the audit of the log: ${JSON.stringify(audit).slice(0, 300)}`);
  }
  return found;
}

export interface BytesAnExchange {
  logBytes: number;
  recordBytes: number;
  signatures: number;
  fileBytes: number;
}

/** Between two looks at one log. */
export function growth(before: LogSize, after: LogSize): BytesAnExchange {
  const exchanges = Math.max((after.size - before.size) / 2, 1);
  const each = (of: (size: LogSize) => number) => (of(after) - of(before)) / exchanges;
  return {
    logBytes: each(({ entryBytes }) => entryBytes),
    recordBytes: each(({ recordBytes }) => recordBytes),
    signatures: each(({ signatures }) => signatures),
    fileBytes: each(({ fileBytes }) => fileBytes),
  };
}
