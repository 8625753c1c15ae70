// The part of an audit that looks at entries one by one: contiguity, hash, spelling, order in time, evidence. It goes over
// ranges of a log, so that several threads can share the work; the tree over all of them is the caller's (audit.ts).
// Whoever held the disk controls every byte that is read here.
import { HASH_BYTES, leafHash } from '#certs/merkle.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { Batches, type VerifySigner } from './audit-batches.ts';
import { evidenceFault } from './audit-evidence.ts';
import { Finding, findingOf } from './audit-finding.ts';
import { PlainRows } from './audit-plain.ts';
import { RecentStatements } from './audit-recent.ts';
import { entryReader, statementReader } from './audit-shapes.ts';
import { NOTE_KINDS } from './record.ts';
import type { LogAuditReader } from './store.ts';
import { hashLine, PLACE, PLACES, rowOfPage, type StoredPage } from './stored-page.ts';

const PAGE = 128;

const MAX_ANSWERS_NAMED = 4_096;
const NO_LEAVES = new Uint8Array();
const NO_TIMES = new Float64Array();

/** The entries [from, to), good in themselves; a finding is about what comes next. Plain data, for threads. */
export interface VerifiedRange {
  from: number;
  to: number;
  /** Leaf hashes, one after the other. */
  leaves: Uint8Array;
  /** When each was written. */
  times: Float64Array;
  /** Times of the first and last entry. */
  firstMs: number;
  lastMs: number;
  /** The first entry of the log, those that it made about itself, and the first that name an OCSP answer. */
  own: { entry: LogEntry; note: Uint8Array | null }[];
  finding: { code: ProblemCode; seq: number | null; detail: string } | null;
}

/** What it reads: of a log, or of an archive of one. */
export type AuditRows = Pick<LogAuditReader, 'page' | 'signature' | 'members' | 'linesOf' | 'size' | 'archivedUntil'>;

/** @returns what verifies the entries [from, to), or as many as there are; for rising ranges of one log */
export function rangeVerifier(log: AuditRows, signer: VerifySigner): (from: number, to: number) => VerifiedRange {
  const batches = new Batches(log, signer);
  const judge = entryJudge(log, batches);
  return (from, to) => {
    const leaves = new Uint8Array((to - from) * HASH_BYTES);
    const times = new Float64Array(to - from);
    const range: VerifiedRange = {
      from,
      to: from,
      leaves: NO_LEAVES,
      times: NO_TIMES,
      firstMs: 0,
      lastMs: 0,
      own: [],
      finding: null,
    };
    try {
      while (range.to < to) {
        const page = log.page(range.to, Math.min(PAGE, to - range.to));
        if (page.count === 0 && log.size() > range.to) throw new Finding('LOG_GAP', range.to, 'entries are missing');
        if (page.count === 0) break;
        for (let row = 0; row < page.count; row++) {
          const t = judge(page, row, range.to, range.lastMs, range.own);
          if (range.to === from) range.firstMs = t;
          const at = page.places[row * PLACES + PLACE.leaf] as number;
          for (let i = at, to = (range.to - from) * HASH_BYTES; i < at + HASH_BYTES; ) {
            leaves[to++] = page.bytes[i++] as number;
          }
          times[range.to - from] = t;
          range.lastMs = t;
          range.to++;
        }
      }
      batches.finish(range.to);
    } catch (error) {
      const { code, seq, message } = findingOf(error);
      range.finding = { code, seq, detail: message };
    }
    // Memory of its own, not of a pool: it is handed from thread to thread.
    range.leaves = leaves.slice(0, (range.to - from) * HASH_BYTES);
    range.times = times.subarray(0, range.to - from);
    return range;
  };
}

/** Says when the entry was written; adds one that the log made about itself to `own`. @throws Finding */
type EntryJudge = (
  page: StoredPage,
  row: number,
  expected: number,
  notBeforeMs: number,
  own: VerifiedRange['own'],
) => number;

function entryJudge(log: AuditRows, batches: Batches): EntryJudge {
  const recent = new RecentStatements(log.size());
  const plain = new PlainRows(batches, recent);
  const [read, readStatement] = [entryReader(), statementReader()];
  const statementsOf = (id: string) => log.linesOf(id, PAGE).map((row) => parsed(row.line, row.seq).statement ?? '');
  const isRecent = (id: string, hash: string) => {
    const [ids, hashes] = [Buffer.from(id, 'latin1'), Buffer.from(hash, 'latin1')];
    return recent.has(ids, 0, ids.length, hashes, 0);
  };
  const isNewAnswer = newAnswers();
  const isArchived = archivedBefore(log);
  const answersTo = (id: string, hash: string) => isRecent(id, hash) || statementsOf(id).includes(hash);
  return (page, row, expected, notBeforeMs, own) => {
    const known = plain.judge(page, row, expected, notBeforeMs);
    if (known >= 0) return known;
    hashLine(page, row);
    const { seq, line, leaf, exchangeId, evidence } = rowOfPage(page, row);
    if (seq !== expected) throw new Finding('LOG_GAP', expected, `after ${expected - 1} comes ${seq}`);
    if (!leafHash(line).equals(leaf)) throw new Finding('LOG_ENTRY_CHANGED', seq, 'the line does not hash to its leaf');
    const entry = parsed(line, seq, read);
    if (entry.seq !== seq || entry.id !== exchangeId) throw new Finding('LOG_ENTRY_CHANGED', seq, 'another seq or id');
    if (entry.t < notBeforeMs) throw new Finding('LOG_ENTRY_CHANGED', seq, 'time runs backwards');
    const isOwn = NOTE_KINDS.includes(entry.kind);
    const isElsewhere = evidence === null && !isOwn && isArchived(seq);
    const fault = isElsewhere ? null : evidenceFault(entry, evidence, answersTo, batches, readStatement);
    if (fault !== null) throw new Finding('LOG_EVIDENCE_CHANGED', seq, fault);
    if (seq === 0 || isOwn || isNewAnswer(entry.ocsp)) {
      own.push({ entry, note: evidence === null ? null : Buffer.from(evidence.statement) });
    }
    if (entry.statement !== null && !isOwn) {
      recent.add(Buffer.from(entry.id, 'latin1'), 0, entry.id.length, entry.statement);
      if (!isElsewhere) plain.learn(page, row);
    }
    return entry.t;
  };
}

/** Whether what lies beside an entry was moved to the archive; whether an entry of the log says so is for the whole audit. */
function archivedBefore(log: Pick<AuditRows, 'archivedUntil'>): (seq: number) => boolean {
  let known = 0;
  return (seq) => {
    if (seq >= known) known = log.archivedUntil();
    return seq < known;
  };
}

/** Says of the hash of an OCSP answer whether it is named for the first time, or the first time in long. */
function newAnswers(): (hash: string | null) => boolean {
  const named = new Set<string>();
  return (hash) => {
    if (hash === null || named.has(hash)) return false;
    if (named.size >= MAX_ANSWERS_NAMED) named.clear();
    named.add(hash);
    return true;
  };
}

function parsed(line: string, seq: number, read = parseLogEntry): LogEntry {
  try {
    return read(line);
  } catch (error) {
    throw new Finding('LOG_ENTRY_MALFORMED', seq, isAccordError(error) ? error.detail : '');
  }
}
