// What campaign `revocation` demands when all is over, by the provider's own log and clock: nothing was released on a
// permission later than its bound after it was ended, nothing after it had been refused as withdrawn, and nothing while the
// consent service was away for longer than a list may be old.
import { join } from 'node:path';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { parseLogEntry } from '#schemas/log-entry.ts';
import type { Heard, Permission } from './revocation-people.ts';

/** As it is published: the age a list may have, and 5 s (docs/consent.md). */
export const BOUND_MS: Record<Level, number> = { 1: 125_000, 2: 125_000, 3: 65_000, 4: 25_000 };
/** An answer that was decided before another may be written after it. */
const SIDE_BY_SIDE_MS = 2_000;

/** One answer of the provider, as its log has it. */
export interface Answered {
  id: string;
  code: string;
  atMs: number;
}

/** Answers of the provider to these clients, oldest first. @param folder data folder of its server */
export function readAnswers(folder: string, clients: ReadonlySet<string>): Answered[] {
  const answers: Answered[] = [];
  const log = openLogAuditSqlite(join(folder, 'log'));
  try {
    for (let seq = 0, rows = log.lines(0, 1000); rows.length > 0; rows = log.lines(seq, 1000)) {
      seq += rows.length;
      for (const { line } of rows) {
        const { id, kind, code, client, t } = parseLogEntry(line);
        const isAnswer = kind === 'response-sent' || kind === 'refusal-sent';
        if (isAnswer && clients.has(client ?? '')) answers.push({ id, code: code ?? '', atMs: t });
      }
    }
  } finally {
    log.close();
  }
  return answers;
}

export interface Away {
  killedMs: number;
  backMs: number;
}

export interface Verdict {
  found: string[];
  /** From the click to the last release after it; 0 where there was none. By phase, in ms, ascending. */
  delays: Record<string, number[]>;
  releases: number;
}

export function judgeReleases(
  permissions: readonly Permission[],
  heard: readonly Heard[],
  answers: readonly Answered[],
  aways: readonly Away[],
): Verdict {
  const found: string[] = [];
  const asked = new Map(heard.map(({ id, permission }) => [id, permission]));
  const byPermission = new Map<Permission, Answered[]>();
  let releases = 0;
  for (const answer of answers) {
    const permission = asked.get(answer.id);
    if (answer.code === 'OK') releases += 1;
    if (permission === undefined) {
      if (answer.code === 'OK') found.push(`${answer.id}: released, and nobody heard of it`);
      continue;
    }
    byPermission.set(permission, [...(byPermission.get(permission) ?? []), answer]);
  }
  const delays: Verdict['delays'] = {};
  for (const permission of permissions) {
    const mine = byPermission.get(permission) ?? [];
    const { id, level, phase, clickedMs, confirmedMs } = permission;
    const released = mine.filter(({ code }) => code === 'OK').map(({ atMs }) => atMs);
    const withdrawnMs = mine.find(({ code }) => code === 'CONSENT_WITHDRAWN')?.atMs ?? Number.POSITIVE_INFINITY;
    const again = released.find((atMs) => atMs > withdrawnMs + SIDE_BY_SIDE_MS);
    if (again !== undefined) found.push(`${id}: released ${again - withdrawnMs} ms after it was refused as withdrawn`);
    for (const { killedMs, backMs } of aways) {
      const late = released.find((atMs) => atMs > killedMs + BOUND_MS[level] && atMs < backMs);
      if (late !== undefined)
        found.push(`${id}: released while nobody could say, ${late - killedMs} ms after the kill`);
    }
    if (clickedMs === null || confirmedMs === null) continue;
    const delayMs = Math.max(0, ...released.map((atMs) => atMs - clickedMs));
    if (delayMs > BOUND_MS[level]) found.push(`${id}: level ${level}, released ${delayMs} ms after it was ended`);
    // Where only the bound protects, it is another one for each level.
    const key = phase === 'held' ? `held, level ${level}` : phase;
    delays[key] = [...(delays[key] ?? []), delayMs];
  }
  for (const list of Object.values(delays)) list.sort((a, b) => a - b);
  return { found, delays, releases };
}

/** @param sorted ascending */
export function shares(sorted: readonly number[]): { count: number; p50: number; p99: number; max: number } {
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}
