// The part of an audit that looks at entries one by one: contiguity, hash, spelling, order in time, evidence. It goes over
// ranges of a log, so that several threads can share the work; the tree over all of them is the caller's (audit.ts).
// Whoever held the disk controls every byte that is read here.
import { HASH_BYTES, leafHash } from '#certs/merkle.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { Batches, type VerifySigner } from './audit-batches.ts';
import { evidenceFault } from './audit-evidence.ts';
import { Finding, findingOf } from './audit-finding.ts';
import { entryReader, statementReader } from './audit-shapes.ts';
import { NOTE_KINDS } from './record.ts';
import type { LogAuditReader, StoredRow } from './store.ts';

const PAGE = 512;
/** Statements of the entries just read, by exchange: an answer mostly stands close behind its request. */
const MAX_RECENT_EXCHANGES = 8_192;

const NO_LEAVES = new Uint8Array();

/** The entries [from, to), good in themselves; a finding is about what comes next. Plain data, for threads. */
export interface VerifiedRange {
  from: number;
  to: number;
  /** Leaf hashes, one after the other. */
  leaves: Uint8Array;
  /** Times of the first and last entry. */
  firstMs: number;
  lastMs: number;
  /** The first entry of the log, and those that it made about itself. */
  own: { entry: LogEntry; note: Uint8Array | null }[];
  finding: { code: ProblemCode; seq: number | null; detail: string } | null;
}

/** @returns what verifies the entries [from, to), or as many as there are; for rising ranges of one log */
export function rangeVerifier(log: LogAuditReader, signer: VerifySigner): (from: number, to: number) => VerifiedRange {
  const batches = new Batches(log, signer);
  const judge = entryJudge(log, batches);
  return (from, to) => {
    const leaves: Buffer[] = [];
    const range: VerifiedRange = { from, to: from, leaves: NO_LEAVES, firstMs: 0, lastMs: 0, own: [], finding: null };
    try {
      while (range.to < to) {
        const rows = log.rows(range.to, Math.min(PAGE, to - range.to));
        if (rows.length === 0) break;
        for (const row of rows) {
          const entry = judge(row, range.to, range.lastMs);
          if (range.to === from) range.firstMs = entry.t;
          if (entry.seq === 0 || NOTE_KINDS.includes(entry.kind)) {
            range.own.push({ entry, note: row.evidence?.statement ?? null });
          }
          leaves.push(row.leaf);
          range.lastMs = entry.t;
          range.to++;
        }
      }
      batches.finish(range.to);
    } catch (error) {
      const { code, seq, message } = findingOf(error);
      range.finding = { code, seq, detail: message };
    }
    // Memory of its own, not of a pool: it is handed from thread to thread.
    range.leaves = new Uint8Array(leaves.length * HASH_BYTES);
    for (const [i, leaf] of leaves.entries()) range.leaves.set(leaf, i * HASH_BYTES);
    return range;
  };
}

function entryJudge(
  log: LogAuditReader,
  batches: Batches,
): (row: StoredRow, expected: number, notBeforeMs: number) => LogEntry {
  const recent = new Map<string, string[]>();
  const [read, readStatement] = [entryReader(), statementReader()];
  const statementsOf = (id: string) => log.linesOf(id, PAGE).map((row) => parsed(row.line, row.seq).statement ?? '');
  const answersTo = (id: string, hash: string) => recent.get(id)?.includes(hash) || statementsOf(id).includes(hash);
  return ({ seq, line, leaf, exchangeId, evidence }, expected, notBeforeMs) => {
    if (seq !== expected) throw new Finding('LOG_GAP', expected, `after ${expected - 1} comes ${seq}`);
    if (!leafHash(line).equals(leaf)) throw new Finding('LOG_ENTRY_CHANGED', seq, 'the line does not hash to its leaf');
    const entry = parsed(line, seq, read);
    if (entry.seq !== seq || entry.id !== exchangeId) throw new Finding('LOG_ENTRY_CHANGED', seq, 'another seq or id');
    if (entry.t < notBeforeMs) throw new Finding('LOG_ENTRY_CHANGED', seq, 'time runs backwards');
    const fault = evidenceFault(entry, evidence, answersTo, batches, readStatement);
    if (fault !== null) throw new Finding('LOG_EVIDENCE_CHANGED', seq, fault);
    if (entry.statement !== null) remember(recent, entry.id, entry.statement);
    return entry;
  };
}

function remember(recent: Map<string, string[]>, id: string, statement: string): void {
  const known = recent.get(id);
  if (known !== undefined && known.length < PAGE) known.push(statement);
  if (known !== undefined) return;
  if (recent.size >= MAX_RECENT_EXCHANGES) recent.clear();
  recent.set(id, [statement]);
}

function parsed(line: string, seq: number, read = parseLogEntry): LogEntry {
  try {
    return read(line);
  } catch (error) {
    throw new Finding('LOG_ENTRY_MALFORMED', seq, isAccordError(error) ? error.detail : '');
  }
}
