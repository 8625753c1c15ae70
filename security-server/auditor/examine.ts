// One exchange as this server's log can prove it: own entries, what the other side signed, bounds in time, what became of the
// keys, and the verdict of the evidence library on the pack that would be exported. Runs in the thread of the auditor's pages.
// Contexts and bodies are opened for their hashes to be compared; nothing of them is in the result. Whoever held the disk
// controls what is read; the checks say what of it holds.
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readAnchor } from '#core/configuration/anchor.ts';
import type { PackVerdict } from '#core/evidence/check-run.ts';
import { exportPack } from '#core/evidence/export-pack.ts';
import { findExchanges } from '#core/evidence/find-exchange.ts';
import { PackFinding } from '#core/evidence/finding.ts';
import { sealPack } from '#core/evidence/seal.ts';
import { refusedPack, verifyPack } from '#core/evidence/verify-pack.ts';
import { readSealed, type Unsealed } from '#core/log/read-sealed.ts';
import type { RecordView } from '#core/log/record.ts';
import { viewRecord } from '#core/log/show.ts';
import { statusEntryId } from '#core/log/status-answers.ts';
import type { LogAuditReader } from '#core/log/store.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { TIME_STAMP_STATUS_FILE } from '#core/time-stamp-status-file.ts';
import { judgeEntryTime, type TimeBounds } from '#core/witness/time-bounds.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { parseStatement, type Statement } from '#schemas/statement.ts';
import { openNearBounds } from './near-bounds.ts';

/** Where a server's evidence lies, and with what it is opened and sealed. */
export interface AuditorPlaces {
  /** INSTANCE/CLASS/MEMBER/SERVER */
  server: string;
  /** Folder and origin of the log in use. */
  log: string;
  origin: string;
  recordKeys: string;
  checkpointFile: string;
  configuration: string;
  /** The anchor that this server was installed with. */
  anchorFile: string;
  /** 32 bytes. */
  storageKey: Buffer;
}

export interface PackSigner {
  key: KeyObject;
  /** DER */
  certificate: Buffer;
}

export interface Examine {
  exchange: string;
  /** The other server, where several used the id. */
  peer: string | null;
  signer: PackSigner;
  nowMs: number;
}

export interface ExaminedEntry {
  entry: LogEntry;
  /** What was signed; null where there is none, or where it lies in the archive. */
  statement: Pick<Statement, 'kind' | 'from' | 'to' | 'at' | 'id' | 'configuration' | 'log'> | null;
  /** What is kept of context and body. */
  kept: Unsealed['state'];
  /** What the OCSP answer that the entry names says of the certificate. */
  certificateStatus: string | null;
  bounds: TimeBounds;
  /** What the server says of the time, held against the bounds. */
  time: ReturnType<typeof judgeEntryTime>;
}

export interface Examined {
  origin: string;
  /** Entries of the log when it was looked. */
  size: number;
  /** Other servers that the id was used with. */
  peers: string[];
  /** The one whose entries these are. */
  peer: string | null;
  /** Oldest first. */
  entries: ExaminedEntry[];
  /** Null where the checks could not be made: then `problem` says why. */
  verdict: PackVerdict | null;
  problem: { code: ProblemCode; detail: string } | null;
}

const MAX_ENTRIES = 64;

/** @throws EXCHANGE_NOT_FOUND, LOG_*, RECORD_KEYS_* */
export async function examine(places: AuditorPlaces, { exchange, peer, signer, nowMs }: Examine): Promise<Examined> {
  const log = openLogAuditSqlite(places.log);
  try {
    const records = log.linesOf(exchange, MAX_ENTRIES).map((row) => viewRecord(log, row));
    const peers = [...new Set(records.flatMap(({ entry }) => entry.peer ?? []))].sort();
    const chosen = peer ?? (peers.length === 1 ? (peers[0] ?? null) : null);
    const own = records.filter(({ entry }) => chosen === null || entry.peer === chosen || entry.peer === null);
    if (own.length === 0) throw new AccordError('EXCHANGE_NOT_FOUND', exchange);
    const entries = describe(log, places, own.toReversed(), nowMs);
    const judged =
      chosen === null
        ? { verdict: null, problem: { code: 'EXCHANGE_AMBIGUOUS' as const, detail: '' } }
        : await judge(places, own, { exchange, peer: chosen, signer, nowMs });
    return { origin: log.identity()?.origin ?? '', size: log.size(), peers, peer: chosen, entries, ...judged };
  } finally {
    log.close();
  }
}

function describe(
  log: LogAuditReader,
  places: AuditorPlaces,
  records: readonly RecordView[],
  nowMs: number,
): ExaminedEntry[] {
  const kept = readSealed(
    { folder: places.log, keyFolder: places.recordKeys, storageKey: places.storageKey },
    records.map(({ seq }) => seq),
  );
  const boundsOf = openNearBounds(log, { ...places, stampStatus: stampStatusOf(places) }, nowMs);
  return records.map(({ seq, entry, evidence }, i) => {
    const bounds = boundsOf(seq);
    return {
      entry,
      statement: evidence === null ? null : said(parseStatement(evidence.statement)),
      kept: kept[i]?.state ?? 'none',
      certificateStatus: entry.ocsp === null ? null : statusIn(log, entry.ocsp),
      bounds,
      time: judgeEntryTime(entry.t, bounds),
    };
  });
}

function said({ kind, from, to, at, id, configuration, log }: Statement): ExaminedEntry['statement'] {
  return { kind, from, to, at, id, configuration, ...(log && { log }) };
}

function statusIn(log: LogAuditReader, hash: string): string | null {
  const [row] = log.linesOf(statusEntryId(hash), 1);
  return row === undefined ? null : parseLogEntry(row.line).code;
}

async function judge(
  places: AuditorPlaces,
  records: readonly RecordView[],
  { exchange, peer, signer, nowMs }: Examine,
): Promise<Pick<Examined, 'verdict' | 'problem'>> {
  try {
    const isAway = records.some(({ entry, evidence }) => entry.statement !== null && evidence === null);
    if (isAway) throw new AccordError('RECORD_ARCHIVED', exchange);
    if (findExchanges(records).length === 0) throw new AccordError('EXCHANGE_NOT_FOUND', exchange);
    const files = await packOf(places, { exchange, peer, withContent: true, nowMs });
    const anchor = readAnchor(readFileSync(places.anchorFile));
    return { verdict: verifyPack(sealPack(files, signer, nowMs), { anchor, nowMs }), problem: null };
  } catch (error) {
    if (error instanceof PackFinding) return { verdict: refusedPack(error), problem: null };
    if (isAccordError(error)) return { verdict: null, problem: { code: error.code, detail: error.detail } };
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { verdict: null, problem: { code: 'CONFIGURATION_ANCHOR_INVALID', detail: 'anchor.json is not there' } };
  }
}

/** The files of an evidence pack, without manifest and seal. @throws as exportPack */
export async function packOf(
  places: AuditorPlaces,
  {
    exchange,
    peer,
    withContent,
    nowMs,
  }: { exchange: string; peer: string | null; withContent: boolean; nowMs: number },
): Promise<Map<string, Buffer>> {
  const { server, log, origin, recordKeys, configuration, storageKey } = places;
  const stampStatus = stampStatusOf(places);
  return await exportPack(
    { server, log, inUse: { folder: log, origin }, recordKeys, configuration, stampStatus },
    { exchange, storageKey: withContent ? storageKey : null, nowMs, ...(peer === null ? {} : { peer }) },
  );
}

function stampStatusOf({ anchorFile }: AuditorPlaces): string {
  return join(dirname(anchorFile), TIME_STAMP_STATUS_FILE);
}
