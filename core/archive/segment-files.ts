// The files of one segment of an archive, made from the log: `rows-0000`, `rows-0001`, ... of at most 1 MiB (one entry more),
// `signatures`, `checkpoints`, `tiles` (the subtrees of 256 entries and their multiples that end in it) and `anchoring` (the
// newest word of others that covers it). The same log and plan give the same bytes.
import { setImmediate } from 'node:timers/promises';
import { Frontier, TILE_HEIGHT } from '#certs/merkle.ts';
import type { LogAuditReader, SignatureKey, StoredRow } from '#core/log/store.ts';
import { rowOfPage } from '#core/log/stored-page.ts';
import { base64url } from '#schemas/base64url.ts';
import { ARCHIVE_FILE_BYTES } from '#schemas/limits.ts';
import { parseLogEntry } from '#schemas/log-entry.ts';
import { AccordError } from '#schemas/problems.ts';
import type { SegmentPlan } from './plan.ts';
import { type ArchivedSignature, type ArchivedTile, encodeLines, encodeRow } from './rows.ts';

const PAGE = 128;

export interface SegmentFile {
  name: string;
  plain: Buffer;
}

export interface SegmentTimes {
  firstMs: number;
  lastMs: number;
}

type ArchivedLog = Pick<
  LogAuditReader,
  'page' | 'sealed' | 'signature' | 'subtree' | 'checkpointFrom' | 'evidence' | 'renew'
>;

/**
 * One file after the other; lets others run between pages, and holds no snapshot of the log while a file is put away.
 * @param times is filled
 * @throws LOG_GAP, LOG_DATABASE_DAMAGED, RECORD_ARCHIVED
 */
export async function* segmentFiles(
  log: ArchivedLog,
  plan: SegmentPlan,
  times: SegmentTimes,
): AsyncGenerator<SegmentFile> {
  const signatures = new SegmentSignatures(log);
  const frontier = Frontier.at(plan.from, log.subtree);
  const tiles: ArchivedTile[] = [];
  let [pieces, bytes, part]: [Buffer[], number, number] = [[], 0, 0];
  for (let seq = plan.from; seq < plan.to; ) {
    const page = log.page(seq, Math.min(PAGE, plan.to - seq));
    if (page.count === 0) throw new AccordError('LOG_GAP', `seq ${seq}`);
    for (let i = 0; i < page.count; i++, seq++) {
      const row = rowOfPage(page, i);
      if (row.seq !== seq) throw new AccordError('LOG_GAP', `seq ${seq}`);
      frontier.push(row.leaf, (height, index, hash) =>
        tiles.push({ level: height / TILE_HEIGHT, index, hash: base64url(hash) }),
      );
      if (seq === plan.from) times.firstMs = parseLogEntry(row.line).t;
      if (seq === plan.to - 1) times.lastMs = parseLogEntry(row.line).t;
      for (const piece of encodeRow(archivedRow(row, signatures, log))) {
        pieces.push(piece);
        bytes += piece.length;
      }
      if (bytes < ARCHIVE_FILE_BYTES) continue;
      log.renew();
      yield { name: rowsName(part++), plain: Buffer.concat(pieces) };
      [pieces, bytes] = [[], 0];
    }
    log.renew();
    await setImmediate();
  }
  log.renew();
  if (bytes > 0) yield { name: rowsName(part), plain: Buffer.concat(pieces) };
  yield { name: 'signatures', plain: await encodeLines(signatures.all) };
  yield { name: 'checkpoints', plain: await encodeLines(checkpointsOf(log, plan)) };
  yield { name: 'tiles', plain: await encodeLines(tiles) };
  const anchoring = plan.anchoredSeq === null ? undefined : log.evidence(plan.anchoredSeq)?.statement;
  if (anchoring !== undefined) yield { name: 'anchoring', plain: anchoring };
}

/** In their order by name. */
function rowsName(part: number): string {
  return `rows-${String(part).padStart(4, '0')}`;
}

function archivedRow({ seq, line, evidence }: StoredRow, signatures: SegmentSignatures, log: ArchivedLog) {
  const sealed = log.sealed(seq);
  const entry = evidence === null ? parseLogEntry(line) : null;
  if (entry !== null && entry.statement !== null) throw new AccordError('RECORD_ARCHIVED', `seq ${seq}`);
  const { statement = null, signature = null, index = 0, size = 0, path = null } = evidence ?? {};
  return {
    line: Buffer.from(line, 'utf8'),
    statement,
    signature: signature === null ? -1 : signatures.number(signature),
    ...{ index, size, path },
    keyId: sealed?.keyId ?? null,
    sealed: sealed?.bytes ?? null,
  };
}

/** Numbered in the order of their first statements. */
class SegmentSignatures {
  readonly all: ArchivedSignature[] = [];
  readonly #log: ArchivedLog;
  readonly #numbers = new Map<number | string, number>();

  constructor(log: ArchivedLog) {
    this.#log = log;
  }

  number(key: SignatureKey): number {
    const name = typeof key === 'number' ? key : key.toString('latin1');
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const { jws, first, last } = this.#log.signature(key) ?? { jws: '', first: null, last: null };
    const number = this.all.push({ jws, first, last }) - 1;
    this.#numbers.set(name, number);
    return number;
  }
}

function* checkpointsOf(log: ArchivedLog, { checkpoints: { from, to } }: SegmentPlan) {
  for (let number = from; number < to; number++) {
    const row = log.checkpointFrom(number);
    if (row?.number !== number) throw new AccordError('LOG_CHECKPOINT_MISSING', `number ${number}`);
    const { size, atMs, note } = row;
    yield { size, atMs, note };
  }
}
