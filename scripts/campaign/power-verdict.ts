// What became of the promises once the disk is back: everything acknowledged is there, as it was acknowledged; the log
// verifies, and starts. Read in the campaign's own process, after the child that promised is gone.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '#certs/commitment.ts';
import { readChain } from '#core/archive/chain.ts';
import { verifyArchive } from '#core/archive/verify-archive.ts';
import { systemClock } from '#core/clock.ts';
import { verifyLog } from '#core/log/audit.ts';
import { readCheckpointFile } from '#core/log/checkpoint-file.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import { readSealed } from '#core/log/read-sealed.ts';
import { isLogFolder, openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { openWitnessStoreSqlite } from '#core/witness/witness-store-sqlite.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { madeRequests } from '#scripts/log/made-log.ts';
import { openStateSqlite } from '#security-server/state-sqlite.ts';
import {
  archiveOf,
  logOptionsOf,
  PLACES,
  type PowerFile,
  type Promised,
  verifierKeyOf,
  witnessedLog,
} from './power-setting.ts';
import { sizeOfNote } from './tamper-forgery.ts';

const MAX_OBJECT_BYTES = 1024 * 1024;

/** @returns what was promised and is not so; a promise of an earlier round counts as long as the folder is the same */
export async function brokenPromises(file: PowerFile, promised: readonly Promised[]): Promise<string[]> {
  const of = <K extends Promised['kind']>(kind: K) =>
    promised.filter((one): one is Extract<Promised, { kind: K }> => one.kind === kind);
  const found: string[] = [];
  found.push(...(await brokenLog(file, of('log'), of('checkpoint'))));
  found.push(...brokenWitness(file, of('witness')));
  found.push(...brokenState(file, of('evidence'), of('uses')));
  found.push(...(await brokenArchive(file, of('object'), of('archived'))));
  found.push(...(await cannotStart(file)));
  return found;
}

type Said<K extends Promised['kind']> = Extract<Promised, { kind: K }>[];

async function brokenLog(file: PowerFile, records: Said<'log'>, checkpoints: Said<'checkpoint'>): Promise<string[]> {
  const { folder, checkpointFile, keyFolder, storageKey } = logOptionsOf(file);
  if (!isLogFolder(folder)) return records.length > 0 ? ['there is no log'] : [];
  const found: string[] = [];
  // A log that was never finished being made promised nothing; whether it starts is asked below.
  if (records.length === 0 && checkpoints.length === 0) return found;
  const log = openLogAuditSqlite(folder);
  try {
    if (log.identity() === null) return ['the log is empty'];
    const archivedUntil = log.archivedUntil();
    const kept: number[] = [];
    for (const { id, seq, leaf, sealed } of records) {
      const row = log.linesOf(id, 10).at(-1);
      if (row === undefined) found.push(`record ${id} is lost`);
      else if (seq !== null && (row.seq !== seq || row.leaf.toString('base64url') !== leaf))
        found.push(`record ${id} is another`);
      else if (sealed && row.seq >= archivedUntil) kept.push(row.seq);
    }
    for (const [i, { state }] of readSealed({ folder, keyFolder, storageKey }, kept).entries()) {
      if (state !== 'open') found.push(`what is kept of record ${kept[i]} is ${state}`);
    }
  } finally {
    log.close();
  }
  const note = readCheckpointFile(checkpointFile)?.toString('utf8');
  const size = note === undefined ? 0 : sizeOfNote(note);
  const shown = Math.max(0, ...checkpoints.map((one) => one.size));
  if (size < shown) found.push(`the checkpoint file has ${size} entries, ${shown} were shown`);
  // A log whose first checkpoint was not written yet has nothing that others could have seen.
  if (note === undefined && shown === 0) return found;
  const audit = await verifyLog({ folder, checkpointFile, verifierKey: verifierKeyOf(file), threads: 0 });
  if (!audit.ok) found.push(`the log does not verify: ${audit.code} at ${audit.firstBadSeq}, ${audit.detail}`);
  return found;
}

function brokenWitness(file: PowerFile, said: Said<'witness'>): string[] {
  const place = join(file.folder, PLACES.witness);
  if (!existsSync(place)) return said.length > 0 ? ["the witness's memory is gone"] : [];
  const { log, tree } = witnessedLog(file);
  const store = openWitnessStoreSqlite(place);
  try {
    const latest = store.latest(log.origin);
    const cosigned = Math.max(0, ...said.map((one) => one.size));
    if ((latest?.size ?? 0) < cosigned) return [`the witness remembers ${latest?.size ?? 0} of ${cosigned} entries`];
    const isSame = latest === null || latest.root.equals(tree.root(latest.size));
    return isSame ? [] : ['the witness remembers another root'];
  } finally {
    store.close();
  }
}

function brokenState(file: PowerFile, evidence: Said<'evidence'>, uses: Said<'uses'>): string[] {
  const place = join(file.folder, PLACES.state);
  if (!existsSync(place)) return evidence.length > 0 ? ['the state is gone'] : [];
  const state = openStateSqlite(place);
  try {
    const lost = evidence.filter(({ jti }) => !state.evidenceUsed('DEV/GOV/1001/consumer', jti));
    const counted = Math.max(0, ...uses.map(({ count }) => count));
    const isForgotten = state.receiptUsed('receipt') < counted;
    return [
      ...lost.map(({ jti }) => `evidence ${jti} can be used again`),
      ...(isForgotten ? [`${state.receiptUsed('receipt')} of ${counted} uses are remembered`] : []),
    ];
  } finally {
    state.close();
  }
}

async function brokenArchive(file: PowerFile, objects: Said<'object'>, archived: Said<'archived'>): Promise<string[]> {
  const { destination, key } = archiveOf(file);
  const found: string[] = [];
  // Of one name the last counts.
  for (const { name, hash } of new Map(objects.map((one) => [one.name, one])).values()) {
    const bytes = await destination.get(name, MAX_OBJECT_BYTES);
    if (bytes === null || sha256(bytes) !== hash) found.push(`${name} is ${bytes === null ? 'lost' : 'another'}`);
  }
  const until = Math.max(0, ...archived.map(({ to }) => to));
  if (until === 0) return found;
  const { origin } = logOptionsOf(file);
  try {
    const chain = await readChain(destination, { origin });
    const report = await verifyArchive({ destination, key, chain, log: null, verifierKey: verifierKeyOf(file) });
    if (!report.ok) found.push(`the archive does not verify: ${report.code} ${report.detail}`);
    if (report.entries < until) found.push(`the archive ends at ${report.entries}, not ${until}`);
  } catch (error) {
    found.push(`the archive does not verify: ${error instanceof Error ? error.message : String(error)}`);
  }
  return found;
}

/** It starts on what is left, goes on, and ends. */
async function cannotStart(file: PowerFile): Promise<string[]> {
  try {
    const log = await openMessageLog({ ...logOptionsOf(file), storageKey: fromBase64url(file.storageKey) });
    try {
      const [request] = madeRequests({ size: 1, nowMs: systemClock.nowMs(), sealed: true });
      if (request !== undefined) await log.append(request);
      log.publishCheckpoint();
      return [];
    } finally {
      await log.close();
    }
  } catch (error) {
    return [`the log does not start: ${error instanceof Error ? error.message : String(error)}`];
  }
}
