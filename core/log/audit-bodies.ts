// What is kept of records, opened in an audit by whoever holds the storage key: context and body are what the statement
// commits to, the inputs of a decision what the entry's hash names. What was erased is counted; what was neither erased nor
// opens is a finding. Whoever held the disk controls the bytes; they open only beside the very entry they were sealed with.
import { opens, sha256 } from '#certs/commitment.ts';
import { HASH_BYTES } from '#certs/merkle.ts';
import { parseLogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import { parseStatement } from '#schemas/statement.ts';
import type { VerifiedRange } from './audit-entries.ts';
import { Finding } from './audit-finding.ts';
import { MS_PER_DAY } from './record-keys.ts';
import type { readRecordKeysSqlite } from './record-keys-sqlite.ts';
import { openRecord, type SealedParts } from './sealed-record.ts';
import type { LogAuditReader, SealedRow } from './store.ts';

const PAGE = 256;

export interface BodyCounts {
  /** Records whose parts opened and agree. */
  opened: number;
  /** Records whose key was destroyed. */
  erased: number;
  /** Entries of which nothing is kept. */
  none: number;
}

/** Opens what is kept of the entries of a part of a verified range. @throws Finding */
export type BodyAudit = (range: VerifiedRange, part: { from: number; to: number }, counts: BodyCounts) => void;

type Keys = Pick<ReturnType<typeof readRecordKeysSqlite>, 'openMany' | 'isDestroyed'>;

export function noBodies(): BodyCounts {
  return { opened: 0, erased: 0, none: 0 };
}

export function bodyAudit(log: Pick<LogAuditReader, 'sealedRows' | 'identity'>, keys: Keys): BodyAudit {
  const origin = log.identity()?.origin ?? '';
  return ({ from: first, leaves }, { from, to }, counts) => {
    let sealed = 0;
    for (let at = from; at < to; at += PAGE) {
      const rows = log.sealedRows(at, Math.min(to, at + PAGE));
      const opened = openMany(keys, rows);
      for (const [i, row] of rows.entries()) {
        const key = opened[i];
        const leaf = Buffer.from(leaves.buffer, leaves.byteOffset + (row.seq - first) * HASH_BYTES, HASH_BYTES);
        if (key === null || key === undefined) counts.erased += erased(keys, row);
        else counts.opened += judged(row, () => openRecord(row.bytes, key, origin, leaf));
      }
      sealed += rows.length;
    }
    counts.none += to - from - sealed;
  };
}

function openMany(keys: Keys, rows: readonly SealedRow[]) {
  try {
    return keys.openMany(rows.map(({ keyId }) => keyId));
  } catch (error) {
    if (isAccordError(error, 'RECORD_UNREADABLE'))
      throw new Finding('RECORD_UNREADABLE', rows[0]?.seq ?? null, error.detail);
    throw error;
  }
}

function erased(keys: Keys, { seq, line, keyId }: SealedRow): 1 {
  const { retention, t } = parseLogEntry(line);
  if (keys.isDestroyed(keyId, { retention, day: Math.floor(t / MS_PER_DAY) })) return 1;
  throw new Finding('RECORD_KEYS_LOST', seq);
}

const COMMITMENTS =
  /,"context":\{"commitment":"([\w-]{43})"\},"body":\{"commitment":"([\w-]{43})"\},"configuration":\{/;

/** Of a statement that was judged before; its texts hold no quotes, so that what looks like the members is the members. */
function commitmentsIn(statement: Buffer): { context: string; body: string } {
  const [, context, body] = COMMITMENTS.exec(statement.toString('latin1')) ?? [];
  if (context !== undefined && body !== undefined) return { context, body };
  const said = parseStatement(statement);
  return { context: said.context.commitment, body: said.body.commitment };
}

function judged(row: SealedRow, open: () => SealedParts): 1 {
  let parts: SealedParts;
  try {
    parts = open();
  } catch (error) {
    if (isAccordError(error, 'RECORD_UNREADABLE')) throw new Finding('RECORD_UNREADABLE', row.seq);
    throw error;
  }
  const { context, contextSalt, body, bodySalt, decisionInputs } = parts;
  const wrong = (what: string) => new Finding('LOG_COMMITMENT_WRONG', row.seq, what);
  if (row.statement !== null) {
    const said = commitmentsIn(row.statement);
    if (context && contextSalt && !opens(said.context, contextSalt, context)) throw wrong('the context');
    if (body && bodySalt && !opens(said.body, bodySalt, body)) throw wrong('the body');
  }
  const decisionHash = decisionInputs === undefined ? null : parseLogEntry(row.line).decisionHash;
  if (decisionInputs && decisionHash !== null && sha256(decisionInputs) !== decisionHash) throw wrong('the decision');
  return 1;
}
