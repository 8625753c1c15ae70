// How far `accord audit log` is: a bar for whoever watches a terminal, and a file that an audit which was stopped goes on
// from (core/log/audit-range.ts says what of it is believed). The file is the auditor's own; it is written whole.
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { type Clock, systemClock } from '#core/clock.ts';
import type { RangeProgress } from '#core/log/audit-range-report.ts';
import { parseJson } from '#schemas/json.ts';
import type { ProblemCode } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';

const MAX_BYTES = 1024 * 1024;
const SAVE_MS = 5_000;
const DRAW_MS = 200;
const WIDTH = 30;

const closed = { additionalProperties: false };
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(one: T) => Type.Union([one, Type.Null()]);
const Heartbeat = Type.Object(
  {
    code: Type.Literal('LOG_HEARTBEAT_MISSING'),
    fromSize: Count,
    toSize: Count,
    fromMs: Count,
    toMs: Count,
    wasOpen: Type.Boolean(),
  },
  closed,
);
const Anchored = Type.Object({ seq: Count, detail: Type.String({ maxLength: 1_000 }) }, closed);
const Covered = Type.Object(
  {
    met: Count,
    below: Count,
    unknown: Count,
    coveredUntil: Count,
    waiting: orNull(Type.Object({ seq: Count, atMs: Count }, closed)),
    short: orNull(Anchored),
    anchored: Type.Array(Count, { maxItems: 256 }),
  },
  closed,
);
const Gap = Type.Object(
  { code: Type.Unsafe<ProblemCode>(Type.String()), seq: Count, detail: Type.String({ maxLength: 1_000 }) },
  closed,
);
const Vouched = Type.Object(
  {
    quorum: orNull(Covered),
    timeStamps: orNull(Covered),
    gaps: Type.Object({ found: Type.Array(Gap, { maxItems: 1_000 }), count: Count }, closed),
  },
  closed,
);
const Progress = Type.Object(
  {
    v: Type.Literal(1),
    origin: Type.String({ maxLength: 1_024 }),
    from: Count,
    to: orNull(Count),
    signatures: Type.Boolean(),
    startedAt: Count,
    checkpoint: Type.Object({ number: Count, size: Count, note: Type.String({ maxLength: 65_536 }) }, closed),
    lastMs: Count,
    silence: Type.Object(
      {
        number: Count,
        last: orNull(Type.Object({ size: Count, atMs: Count, saidMs: Count }, closed)),
        firstMs: orNull(Count),
        newestMs: Count,
      },
      closed,
    ),
    entries: Count,
    checkpoints: Count,
    bodies: orNull(Type.Object({ opened: Count, erased: Count, none: Count }, closed)),
    heartbeats: Type.Array(Heartbeat, { maxItems: 1_000 }),
    heartbeatsMissing: Count,
    vouched: Vouched,
  },
  closed,
);
const check = compile(Progress, 'AUDIT_PROGRESS_WRONG');

/** What was saved; null when there is no such file. @throws AUDIT_PROGRESS_WRONG */
export function readProgress(file: string): RangeProgress | null {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const value: Static<typeof Progress> = check(
    parseJson(bytes, { maxBytes: MAX_BYTES, maxDepth: 6, maxValues: 20_000 }),
  );
  return value;
}

function save(file: string, progress: RangeProgress): void {
  const fd = openSync(`${file}.new`, 'w', 0o600);
  try {
    writeSync(fd, JSON.stringify(progress));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${file}.new`, file);
}

/** @returns what an audit calls as it goes on, and what ends the bar */
export function watchProgress(file: string | undefined, isDrawn: boolean, clock: Clock = systemClock) {
  const began = { atMs: clock.monotonicMs(), size: -1 };
  let [savedMs, drawnMs] = [began.atMs, 0];
  return {
    follow: (progress: RangeProgress, size: number): void => {
      const nowMs = clock.monotonicMs();
      if (began.size < 0) began.size = progress.checkpoint.size;
      if (file !== undefined && nowMs - savedMs >= SAVE_MS) {
        save(file, progress);
        savedMs = nowMs;
      }
      if (!isDrawn || nowMs - drawnMs < DRAW_MS) return;
      drawnMs = nowMs;
      process.stderr.write(`\r${bar(progress, size, began, nowMs)}`);
    },
    end: (): void => {
      if (isDrawn) process.stderr.write('\r\u001b[K');
    },
  };
}

function bar(
  { checkpoint, to }: RangeProgress,
  size: number,
  began: { atMs: number; size: number },
  nowMs: number,
): string {
  const end = Math.max(1, Math.min(to ?? size, size));
  const part = Math.min(1, checkpoint.size / end);
  const done = Math.round(part * WIDTH);
  const rate = Math.round(((checkpoint.size - began.size) * 1_000) / Math.max(1, nowMs - began.atMs));
  const bars = `${'#'.repeat(done)}${'.'.repeat(WIDTH - done)}`;
  return `[${bars}] ${Math.floor(part * 100)} %  ${checkpoint.size} of ${end} entries, ${rate} a second `;
}
