// What entries of a range rest on although it stands before it (audit-range.ts): holds and destructions, and the OCSP answers
// that entries name. Those earlier entries are taken as they are, not judged.
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import type { OwnEntries } from './audit-own-entries.ts';
import type { RangeSource } from './range-source.ts';
import { statusEntryId } from './status-answers.ts';

const MAX_RECALLED = 100;
const NOTES_AT_ONCE = 20_000;

/** What an entry of the range rests on may stand before it. That one is not judged here. */
export function recaller(log: RangeSource, own: OwnEntries, start: number): (entry: LogEntry) => void {
  const recalled = new Set<string>();
  const recall = (id: string): void => {
    if (start === 0 || recalled.has(id)) return;
    recalled.add(id);
    for (const { seq, line } of log.linesOf(id, MAX_RECALLED).reverse()) {
      if (seq < start) own.recall(parseLogEntry(line), log.evidence(seq)?.statement ?? Buffer.alloc(0));
    }
  };
  // A destruction has to leave what any hold before it keeps.
  const recallAll = (): void => {
    if (start === 0 || recalled.has('')) return;
    recalled.add('');
    for (let at = 0; at < start; at += NOTES_AT_ONCE) {
      for (const { line, note } of log.notes(at, Math.min(start, at + NOTES_AT_ONCE))) {
        if (line.includes('"kind":"hold-') || line.includes('"kind":"destruction-'))
          own.recall(parseLogEntry(line), note);
      }
    }
  };
  return ({ kind, id, ocsp }) => {
    if (kind === 'destruction-intended') recallAll();
    if (kind === 'destruction-done' || kind === 'hold-lifted') recall(id);
    if (ocsp !== null) recall(statusEntryId(ocsp));
  };
}
