// Two departments' logs held against each other: every signed statement between the two servers stands in both, or one has
// what the other lacks. That is settled where a record signed by the one that lacks it says so: the statement itself, when
// it is its own; an answer of its that cites the entry of the request (`log {origin, index}`); or its entry that made the id
// void. A sender's own record alone settles nothing. Each department controls its own log; neither is believed about the
// other without a signature of the other.
import { readBatch, standsIn } from '#certs/batch.ts';
import { sha256 } from '#certs/commitment.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import { parseStatement, type Statement } from '#schemas/statement.ts';
import { type SignerKeys, signerAmong } from './audit-batches.ts';
import { originNumber } from './origin.ts';
import type { RecordEvidence } from './record.ts';

/** What is written in one log may come into the other as much later. */
const APART_MS = 10 * 60_000 + CLOCK_WINDOW_MS;
const MAX_ITEMS = 10_000;
/** Statements that are remembered beside those that only one has. */
const MAX_REQUESTS = 500_000;

/** An entry about an exchange with the other server. */
export interface SideRow {
  entry: LogEntry;
  /** Null for `void`. */
  statement: Buffer | null;
  evidence(): RecordEvidence | null;
}

/** One department's log, or its export. */
export interface LogSide {
  origin: string;
  /** When its first and last entry were written, of whatever kind; null for an empty log. An export's own word. */
  reach: { fromMs: number; toMs: number } | null;
  /** In order; only those whose peer is this server. @throws what is wrong with an export */
  rows(peer: string): AsyncIterable<SideRow> | Iterable<SideRow>;
}

const RECONCILED = {
  /** Who lacks the statement signed it. */
  SIGNED_BY_OTHER: true,
  /** Who lacks the request signed an answer to it that cites its entry. */
  ANSWER_CITES_IT: true,
  /** Who lacks the request claimed its id as void: it never ran. */
  VOID: true,
  /** An answer cites another entry than the one of its request. */
  WRONG_CITATION: true,
  /** Only its sender says so. */
  OPEN: false,
} as const;

type Name = 'A' | 'B';

export interface ReconcileItem {
  code: keyof typeof RECONCILED;
  settled: boolean;
  has: Name;
  lacks: Name;
  exchange: string;
  kind: LogEntry['kind'];
  seq: number;
  atMs: number;
  /** SHA-256 of the statement, base64url. */
  statement: string;
  /** The record that settles it: in whose log, where, and the entry that it cites in the other. */
  by: { in: Name; seq: number; cites: { origin: string; index: number } | null } | null;
  /** Whether that record's signature was verified: null without keys. */
  signature: boolean | null;
}

export interface ReconcileReport {
  v: 1;
  a: SideReport;
  b: SideReport;
  /** Statements that stand in both. */
  agreed: number;
  /** Entries from a time that the other log does not reach. */
  outside: number;
  settled: number;
  open: number;
  /** At most 10,000. */
  items: ReconcileItem[];
}

interface SideReport {
  origin: string;
  server: string;
  entries: number;
  fromMs: number | null;
  toMs: number | null;
}

interface Pending {
  row: SideRow;
  hash: string;
  said: Statement;
  /** What the signer's log holds of the receiver's that names it. */
  by: { seq: number; cites: { origin: string; index: number } | null; evidence: () => RecordEvidence | null } | null;
}

/** The id of the server that writes logs of this origin. */
function serverOfOrigin(origin: string): string {
  return originNumber(origin).base.replace(/^accord\//, '');
}

class Side {
  readonly name: Name;
  readonly report: SideReport;
  /** Statements that the other side was not seen to have, by their hash. */
  readonly pending = new Map<string, Pending>();
  readonly voids = new Map<string, number>();
  /** Where requests stand in this log. */
  readonly requests = new Map<string, number>();

  constructor(name: Name, { origin, reach }: LogSide) {
    this.name = name;
    const { fromMs, toMs } = reach ?? { fromMs: null, toMs: null };
    this.report = { origin, server: serverOfOrigin(origin), entries: 0, fromMs, toMs };
  }
}

/** @param signers those who may have signed; without them signatures are not verified */
export async function reconcile(a: LogSide, b: LogSide, signers?: SignerKeys): Promise<ReconcileReport> {
  const sides = { A: new Side('A', a), B: new Side('B', b) };
  const work = new Reconciliation(sides.A, sides.B, signers);
  const from = { A: iterate(a.rows(sides.B.report.server)), B: iterate(b.rows(sides.A.report.server)) };
  const next = { A: await from.A.next(), B: await from.B.next() };
  while (!next.A.done || !next.B.done) {
    // The earlier one first, so that what stands in both meets soon.
    const isA = next.B.done || (!next.A.done && next.A.value.entry.t <= next.B.value.entry.t);
    const name: Name = isA ? 'A' : 'B';
    const { value } = next[name];
    if (value !== undefined) work.take(sides[name], sides[isA ? 'B' : 'A'], value);
    next[name] = await from[name].next();
  }
  return work.report();
}

async function* iterate(rows: AsyncIterable<SideRow> | Iterable<SideRow>): AsyncGenerator<SideRow, undefined> {
  yield* rows;
}

class Reconciliation {
  readonly #a: Side;
  readonly #b: Side;
  readonly #signers: SignerKeys | undefined;
  #agreed = 0;
  /** Statements that were seen in both logs of late. */
  readonly #met = new Set<string>();
  #outside = 0;
  #counts = { settled: 0, open: 0 };
  readonly #items: ReconcileItem[] = [];

  constructor(a: Side, b: Side, signers: SignerKeys | undefined) {
    this.#a = a;
    this.#b = b;
    this.#signers = signers;
  }

  take(side: Side, other: Side, row: SideRow): void {
    const { entry, statement } = row;
    side.report.entries++;
    if (entry.kind === 'void') side.voids.set(entry.id, entry.seq);
    if (statement === null) return;
    const hash = sha256(statement);
    const said = parseStatement(statement);
    if (entry.statement !== hash) {
      this.#add(side, other, { row, hash, said, by: null }, 'OPEN');
      return;
    }
    if (said.kind === 'request' && entry.kind === 'request-received') this.#remember(side, hash, entry.seq);
    if (said.request !== undefined && said.kind !== 'settlement') this.#answer(side, other, row, said, hash);
    // An answer may be delivered, and logged, once more.
    if (this.#met.has(hash)) return;
    if (other.pending.delete(hash)) this.#meet(hash);
    else side.pending.set(hash, { row, hash, said, by: null });
  }

  #meet(hash: string): void {
    this.#agreed++;
    if (this.#met.size >= MAX_REQUESTS) this.#met.clear();
    this.#met.add(hash);
  }

  #remember(side: Side, hash: string, seq: number): void {
    if (side.requests.size >= MAX_REQUESTS) side.requests.clear();
    if (!side.requests.has(hash)) side.requests.set(hash, seq);
  }

  /** An answer: of the other about a request of this side, or of this side's own. */
  #answer(side: Side, other: Side, row: SideRow, said: Statement, hash: string): void {
    const cites = said.log ?? null;
    const { seq } = row.entry;
    if (said.from === other.report.server) {
      const request = side.pending.get(said.request ?? '');
      if (request !== undefined) request.by = { seq, cites, evidence: row.evidence };
    } else {
      const at = side.requests.get(said.request ?? '');
      const isWrong = cites !== null && at !== undefined && cites.origin === side.report.origin && cites.index !== at;
      const by = { seq, cites, evidence: row.evidence };
      if (isWrong) this.#add(side, other, { row, hash, said, by }, 'WRONG_CITATION');
    }
  }

  report(): ReconcileReport {
    for (const [side, other] of [
      [this.#a, this.#b],
      [this.#b, this.#a],
    ] as const) {
      for (const one of side.pending.values()) this.#lacking(side, other, one);
    }
    this.#items.sort((x, y) => x.atMs - y.atMs || x.seq - y.seq);
    const [a, b] = [this.#a.report, this.#b.report];
    return { v: 1, a, b, agreed: this.#agreed, outside: this.#outside, ...this.#counts, items: this.#items };
  }

  #lacking(side: Side, other: Side, one: Pending): void {
    const { row, said } = one;
    const { entry } = row;
    if (said.from !== side.report.server) {
      const by = { seq: entry.seq, cites: null, evidence: row.evidence };
      this.#reached(side, other, { ...one, by }, 'SIGNED_BY_OTHER');
      return;
    }
    const isVoid = said.kind === 'request' && other.voids.has(said.id);
    this.#reached(side, other, one, one.by !== null ? 'ANSWER_CITES_IT' : isVoid ? 'VOID' : 'OPEN');
  }

  /** What is from a time that the other log does not reach is not missing in it. */
  #reached(side: Side, other: Side, one: Pending, code: ReconcileItem['code']): void {
    const { fromMs, toMs } = other.report;
    const { t } = one.row.entry;
    // What somebody signed stood in his own log before it left.
    const apartMs = code === 'OPEN' ? APART_MS : CLOCK_WINDOW_MS;
    const isReached = fromMs !== null && toMs !== null && t >= fromMs - APART_MS && t <= toMs - apartMs;
    if (isReached) this.#add(side, other, one, code);
    else this.#outside++;
  }

  #add(side: Side, other: Side, one: Pending, code: ReconcileItem['code']): void {
    const { row, hash, by } = one;
    const { entry } = row;
    const signature = by === null ? null : this.#isSigned(by.evidence, other, code);
    // What is said to be signed and is not settles nothing.
    const settled = RECONCILED[code] && signature !== false;
    this.#counts[settled ? 'settled' : 'open']++;
    if (this.#items.length >= MAX_ITEMS) return;
    const voidSeq = code === 'VOID' ? (other.voids.get(entry.id) ?? null) : null;
    this.#items.push({
      code,
      settled,
      has: side.name,
      lacks: other.name,
      exchange: entry.id,
      kind: entry.kind,
      seq: entry.seq,
      atMs: entry.t,
      statement: hash,
      by:
        voidSeq === null
          ? by && { in: side.name, seq: by.seq, cites: by.cites }
          : { in: other.name, seq: voidSeq, cites: null },
      signature,
    });
  }

  #isSigned(evidence: () => RecordEvidence | null, other: Side, code: ReconcileItem['code']): boolean | null {
    const found = evidence();
    if (found === null) return false;
    const { statement, signature } = found;
    try {
      const { from } = parseStatement(statement);
      // A wrong citation is the own word of who wrote it.
      if (code !== 'WRONG_CITATION' && from !== other.report.server) return false;
      const claims = readBatch(signature.jws);
      if (signature.size !== claims.size || !standsIn(claims, statement, signature.index, signature.path)) return false;
      return this.#signers === undefined ? null : signerAmong(this.#signers)(claims) === null;
    } catch (error) {
      if (isAccordError(error)) return false;
      throw error;
    }
  }
}
