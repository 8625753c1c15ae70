// When single entries of a log were written, as the time-stamps next to them prove it: the nearest good anchoring before an
// entry, and the first good one that covers it. A log of years holds a great many anchorings; here only the near ones are
// judged. Whoever held the disk controls the notes; the keys are those of the log, the authorities those that the
// configuration of the day names.
import { PastConfiguration } from '#core/evidence/past-configuration.ts';
import { openStampStatus, type Stampers } from '#core/evidence/stamp-status.ts';
import { rootOf } from '#core/log/audit-walk.ts';
import { KeyChain } from '#core/log/key-chain.ts';
import type { LogAuditReader, StoredNote } from '#core/log/store.ts';
import { type AnchoredTime, anchoredTimeOf, type TimeBounds, timeBounds } from '#core/witness/time-bounds.ts';
import { type AnchoringRules, verifyAnchoringNote } from '#core/witness/verify-anchoring.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';

const STEP = 4_096;
/** Entries looked at in each direction; an anchoring comes every minute. */
const MAX_LOOKED_AT = 200_000;

/** Answers for entries of one log. Where a configuration or a chain of keys cannot be read nothing is proven. */
export function openNearBounds(
  log: LogAuditReader,
  places: { configuration: string; stampStatus: string },
  nowMs: number,
): (seq: number) => TimeBounds {
  const known = new Map<number, AnchoredTime | null>();
  const judge = openJudge(log, places, nowMs);
  const timeOf = (note: StoredNote): AnchoredTime | null => {
    if (!note.line.includes('"kind":"anchored"')) return null;
    const judged = known.get(note.seq);
    if (judged !== undefined) return judged;
    const time = judge(note);
    known.set(note.seq, time);
    return time;
  };
  return (seq) => {
    const near = [before(log, seq, timeOf), covering(log, seq, timeOf)].filter((one) => one !== null);
    return timeBounds(near, seq);
  };
}

type TimeOf = (note: StoredNote) => AnchoredTime | null;

function before(log: LogAuditReader, seq: number, timeOf: TimeOf): AnchoredTime | null {
  for (let until = seq; until > Math.max(0, seq - MAX_LOOKED_AT); until -= STEP) {
    for (const note of log.notes(Math.max(0, until - STEP), until).reverse()) {
      const time = timeOf(note);
      if (time !== null) return time;
    }
  }
  return null;
}

function covering(log: LogAuditReader, seq: number, timeOf: TimeOf): AnchoredTime | null {
  const end = Math.min(log.size(), seq + MAX_LOOKED_AT);
  for (let from = seq + 1; from < end; from += STEP) {
    for (const note of log.notes(from, from + STEP)) {
      const time = timeOf(note);
      if (time !== null && time.size > seq) return time;
    }
  }
  return null;
}

function openJudge(
  log: LogAuditReader,
  { configuration, stampStatus }: { configuration: string; stampStatus: string },
  nowMs: number,
): TimeOf {
  const identity = log.identity();
  // By the authorities that the configuration named when the entry was written, and what is known of them now.
  let known: { past: PastConfiguration; at: (version: number) => Stampers } | null = null;
  const verifyIn = ({ configuration: version, t }: LogEntry) => {
    if (known === null) {
      const past = new PastConfiguration(configuration);
      known = { past, at: openStampStatus(past, stampStatus, nowMs) };
    }
    return known.at(known.past.nearest(version, t)).verify;
  };
  return (note) => {
    try {
      if (identity === null) return null;
      const entry = parseLogEntry(note.line);
      const chain = KeyChain.of(log, identity.verifierKey);
      const rules: AnchoringRules = {
        origin: identity.origin,
        logKeyAt: (size) => chain.at(size),
        rootAt: (size) => (size > log.size() ? null : rootOf(log, size)),
        // A token over a tree that holds the checkpoint bounds it in time, whoever else cosigned.
        policy: null,
        verifyToken: verifyIn(entry),
      };
      return anchoredTimeOf(note.seq, verifyAnchoringNote(note.note, rules));
    } catch (error) {
      if (isAccordError(error)) return null;
      throw error;
    }
  };
}
