// Campaign `tamper` on message logs: edits of rows, of raw bytes of the file, of the checkpoint file, of sealed parts; each
// is judged by the audit of the log, and where that may be deceived, because the forger has the server's key, by what
// others hold: the witness, the checkpoints that were shown, the other department's log.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { consistencyProof, foldHashes } from '#certs/merkle.ts';
import { type LogAudit, type LogAuditOptions, verifyLog } from '#core/log/audit.ts';
import { bodyAudit } from '#core/log/audit-bodies.ts';
import { auditRange } from '#core/log/audit-range.ts';
import type { RangeReport } from '#core/log/audit-range-report.ts';
import { sideOfLog } from '#core/log/log-export.ts';
import { reconcile } from '#core/log/reconcile.ts';
import { readRecordKeysSqlite } from '#core/log/record-keys-sqlite.ts';
import type { LogAuditReader } from '#core/log/store.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Source } from '#scripts/demo/random.ts';
import { MADE_SIGNERS } from '#scripts/log/made-log.ts';
import { changeRow, PLACES } from './log-damage-sqlite.ts';
import { damageBytes } from './tamper-bytes.ts';
import { meaningOf, sizeOfNote, withoutTriggers } from './tamper-forgery.ts';
import { type Edited, type Expected, editLog, LOG_EDITS, rollBack, type Template } from './tamper-log-edits.ts';
import { makeSubject, type Subject, type SubjectSize } from './tamper-subject.ts';

export type VerifyLog = (options: LogAuditOptions) => Promise<LogAudit>;

/** One case: what was done, what is wrong with what was said of it (null: nothing), and how it was found. */
export interface Case {
  edit: string;
  fault: string | null;
  by: string;
}

interface LogTarget {
  template: Template;
  folder: string;
  database: string;
  checkpointFile: string;
  original: Buffer;
  meaning: { plain: string; sealed: string };
  opened: number;
}

export interface LogTargets {
  targets: LogTarget[];
  verify: VerifyLog;
}

const SIZES: readonly SubjectSize[] = [
  { phases: 5, turns: 2, batch: 4 },
  { phases: 4, turns: 3, batch: 7 },
  { phases: 6, turns: 4, batch: 11 },
];

/** @param count of logs: small ones, and one with a tile */
export async function makeLogTargets(
  place: string,
  count: number,
  verify: VerifyLog | undefined,
  chance: Source,
): Promise<LogTargets> {
  const targets: LogTarget[] = [];
  for (const [i, size] of SIZES.slice(0, count).entries()) {
    const subject = await makeSubject(join(place, `log-${i}`), size, chance);
    const database = join(subject.options.folder, 'messages.db');
    const stages = subject.stages.map((stage) => withoutTriggers(stage.database));
    const { folder, checkpointFile } = subject.options;
    const original = readFileSync(database);
    const target = {
      template: { subject, stages },
      folder,
      database,
      checkpointFile,
      original,
      opened: 0,
      meaning: meaningOf(database),
    };
    target.opened = (await withBodies(target)).bodies?.opened ?? 0;
    targets.push(target);
  }
  return { targets, verify: verify ?? verifyLog };
}

type LogCase = (target: LogTarget, verify: VerifyLog, chance: Source) => Promise<Case>;

const CASES: readonly [weight: number, run: LogCase][] = [
  [0.42, editRows],
  [0.2, editColumn],
  [0.16, editBytes],
  [0.06, editCheckpointFile],
  [0.06, editSealed],
  [0.1, rolledBack],
];

export async function tamperLog({ targets, verify }: LogTargets, chance: Source): Promise<Case> {
  const target = targets[chance.chance(0.1) ? targets.length - 1 : chance.integer(0, Math.max(0, targets.length - 2))];
  const run = CASES[chance.weighted(CASES.map(([weight]) => weight))]?.[1];
  if (target === undefined || run === undefined) throw new TypeError('nothing to tamper with');
  return run(target, verify, chance);
}

function put(target: LogTarget, { database, note }: Pick<Edited, 'database' | 'note'>): void {
  writeFileSync(target.database, database);
  if (note === null) rmSync(target.checkpointFile, { force: true });
  else writeFileSync(target.checkpointFile, note);
}

function noteOf({ template }: LogTarget): string {
  return template.subject.stages.at(-1)?.note ?? '';
}

async function audited(
  target: LogTarget,
  verify: VerifyLog,
): Promise<Pick<LogAudit, 'ok' | 'code' | 'firstBadSeq' | 'entries' | 'signed'>> {
  const { folder, checkpointFile, template } = target;
  try {
    return await verify({
      folder,
      checkpointFile,
      verifierKey: template.subject.verifierKey,
      signers: MADE_SIGNERS,
      threads: 0,
    });
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return { ok: false, code: error.code, firstBadSeq: null, entries: 0, signed: 0 };
  }
}

async function editRows(target: LogTarget, verify: VerifyLog, chance: Source): Promise<Case> {
  const name = chance.pick(LOG_EDITS);
  const edited = editLog(name, target.template, chance);
  put(target, edited);
  return judged(name, target, edited.expected, await audited(target, verify));
}

async function rolledBack(target: LogTarget, verify: VerifyLog, chance: Source): Promise<Case> {
  const goesOn = chance.chance(0.5);
  const edited = rollBack(target.template, chance, goesOn);
  put(target, edited);
  const name = `rolled back with the checkpoint file${goesOn ? ', and gone on' : ''}`;
  return judged(name, target, edited.expected, await audited(target, verify));
}

async function editColumn(target: LogTarget, verify: VerifyLog, chance: Source): Promise<Case> {
  put(target, { database: target.original, note: noteOf(target) });
  const { place, row, expectedSeq } = changeRow(
    target.database,
    chance.pick(PLACES.filter(({ table }) => table !== 'tiles' || hasTiles(target))),
    chance,
  );
  const expected: Expected = expectedSeq === null ? anywhere(target) : { kind: 'at', seq: expectedSeq };
  return judged(`a bit of ${place}, row ${row}`, target, expected, await audited(target, verify));
}

function hasTiles({ template }: LogTarget): boolean {
  return (template.subject.stages.at(-1)?.size ?? 0) >= 256;
}

function anywhere({ template }: LogTarget): Expected {
  return { kind: 'within', from: 0, to: (template.subject.stages.at(-1)?.size ?? 0) + 1 };
}

/** Raw bytes of the file: found, or nothing that means anything was changed. */
async function editBytes(target: LogTarget, verify: VerifyLog, chance: Source): Promise<Case> {
  const { bytes, what } = damageBytes(target.original, chance, 8_192);
  put(target, { database: bytes, note: noteOf(target) });
  const edit = `${what} of the database file`;
  const { ok, code } = await audited(target, verify);
  if (!ok) return { edit, fault: null, by: code ?? 'none' };
  const meaning = meaningOf(target.database);
  if (meaning.plain !== target.meaning.plain)
    return { edit, fault: 'not found, and it is read back differently', by: 'none' };
  if (meaning.sealed === target.meaning.sealed) return { edit, fault: null, by: 'means nothing' };
  const bodies = await withBodies(target);
  return {
    edit,
    fault: isFoundIn(bodies, target) ? null : 'sealed parts were changed, not found',
    by: bodies.code ?? 'bodies missing',
  };
}

function isFoundIn({ ok, bodies }: RangeReport, { opened }: LogTarget): boolean {
  return !ok || bodies?.opened !== opened;
}

async function editCheckpointFile(target: LogTarget, verify: VerifyLog, chance: Source): Promise<Case> {
  const stored = target.template.subject.stages.map(({ note }) => note);
  const note = noteOf(target);
  const [edit, changed] = chance.pick<[string, string | null]>([
    ['the checkpoint file is gone', null],
    ['the checkpoint file is empty', ''],
    ['an older checkpoint file', chance.pick(stored)],
    ['a checkpoint file of another text', note.replace(/\n(\d+)\n/, '\n1$1\n')],
    ['bytes of the checkpoint file', damageBytes(Buffer.from(note), chance, 64).bytes.toString('latin1')],
  ]);
  put(target, { database: target.original, note: changed });
  const { ok, code, firstBadSeq } = await audited(target, verify);
  // The log holds all of its own checkpoints: an older file takes nothing away while nothing else is changed.
  const isHarmless =
    changed !== null && (stored.includes(changed) || Buffer.from(changed, 'latin1').toString('utf8') === note);
  if (ok) return { edit, fault: isHarmless ? null : 'not found', by: 'means nothing' };
  const size = target.template.subject.stages.at(-1)?.size ?? 0;
  const fault = firstBadSeq === null || firstBadSeq >= size ? null : `${code} at ${firstBadSeq}`;
  return { edit, fault, by: code ?? 'none' };
}

/** What is kept of a record: opened by whoever audits with the storage key. */
async function editSealed(target: LogTarget, _verify: VerifyLog, chance: Source): Promise<Case> {
  put(target, { database: target.original, note: noteOf(target) });
  const column = chance.pick(['sealed', 'key_id'] as const);
  const { row } = changeRow(target.database, { table: 'entries', column, key: 'seq', pinned: true }, chance);
  const report = await withBodies(target);
  const { ok, code, firstBadSeq } = report;
  const fault = ok ? 'not found' : firstBadSeq === row ? null : `${code} at ${firstBadSeq}`;
  return { edit: `a bit of entries.${column}, row ${row}`, fault, by: code ?? 'none' };
}

async function withBodies({
  folder,
  template: { subject },
}: {
  folder: string;
  template: Template;
}): Promise<RangeReport> {
  const { keyFolder, storageKey } = subject.options;
  return reading(folder, async (log) => {
    const keys = readRecordKeysSqlite(keyFolder, storageKey);
    try {
      return await auditRange(log, {
        verifierKey: subject.verifierKey,
        signers: MADE_SIGNERS,
        bodies: bodyAudit(log, keys),
      });
    } finally {
      keys.close();
    }
  });
}

async function reading<T>(folder: string, read: (log: LogAuditReader) => Promise<T>): Promise<T> {
  const log = openLogAuditSqlite(folder);
  try {
    return await read(log);
  } finally {
    log.close();
  }
}

type Said = Awaited<ReturnType<typeof audited>>;

async function judged(edit: string, target: LogTarget, expected: Expected, said: Said): Promise<Case> {
  const { ok, code, firstBadSeq } = said;
  const by = code ?? 'none';
  const place = `${code} at ${firstBadSeq}`;
  if (expected.kind === 'at') {
    const fault = ok ? 'not found' : firstBadSeq === expected.seq ? null : `${place}, not at ${expected.seq}`;
    return { edit, fault, by };
  }
  if (expected.kind === 'unsigned') {
    const isSaid = !ok || said.signed <= expected.from;
    return {
      edit,
      fault: isSaid ? null : `entry ${expected.from} passes as signed`,
      by: ok ? 'said to be unsigned' : by,
    };
  }
  if (expected.kind === 'within') {
    const { from, to } = expected;
    const isThere = firstBadSeq === null || (firstBadSeq >= from && firstBadSeq < to);
    return { edit, fault: ok ? 'not found' : isThere ? null : `${place}, not in ${from}…${to}`, by };
  }
  if (!ok)
    return {
      edit,
      fault: firstBadSeq !== null && firstBadSeq < expected.from ? `${place}, before ${expected.from}` : null,
      by,
    };
  return { edit, fault: await missedOutside(target, expected), by: 'found from outside' };
}

/** What the log alone cannot know: each of those who know it says so. @returns who did not, or null */
async function missedOutside(
  target: LogTarget,
  { from, hidesExchange }: Extract<Expected, { kind: 'outside' }>,
): Promise<string | null> {
  const { subject } = target.template;
  const { outside } = subject;
  return reading(target.folder, async (log) => {
    const size = log.size();
    const report = await auditRange(log, { verifierKey: subject.verifierKey, seen: outside.seen });
    if (report.code !== 'LOG_FORKED' && report.code !== 'LOG_TRUNCATED')
      return `checkpoints that others hold: ${report.code}`;
    // Of these the first that disagrees lies behind the first change, and none before it does.
    for (const note of outside.seen) {
      const agrees = (await auditRange(log, { from: size, seen: [note] })).ok;
      const covers = sizeOfNote(note) > from;
      if (agrees === covers)
        return `the checkpoint of ${sizeOfNote(note)} entries ${agrees ? 'agrees' : 'does not agree'}, changed from ${from}`;
    }
    const old = Math.min(outside.size(), size);
    const leaves = log.lines(0, size).map(({ leaf }) => leaf);
    const subtree = (height: number, index: number) =>
      foldHashes(leaves.slice(index * 2 ** height, (index + 1) * 2 ** height));
    const note = readFileSync(target.checkpointFile, 'utf8');
    if (await outside.cosigns(note, old, old === size ? [] : consistencyProof(old, size, subtree)))
      return 'the witness cosigns it';
    return hidesExchange ? missedByPeer(subject, log) : null;
  });
}

/** The other department holds what the hidden exchange's asker signed. */
async function missedByPeer(subject: Subject, log: LogAuditReader): Promise<string | null> {
  return reading(subject.peerFolder, async (peer) => {
    const { settled } = await reconcile(sideOfLog(log), sideOfLog(peer), MADE_SIGNERS);
    return settled > 0 ? null : 'the other department finds nothing missing';
  });
}
