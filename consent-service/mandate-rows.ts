// A mandate as the store keeps it, made from its terms, and the record of how it began (mandate-state.ts is the rule).
// Citizens and registers control the terms.
import { newMessageId } from '#core/message-id.ts';
import type { MandateTerms } from '#schemas/mandate.ts';
import { AccordError } from '#schemas/problems.ts';
import { mandateMayFollow, termsFault } from './mandate-state.ts';
import type { MandateRow } from './store.ts';

/** @throws MANDATE_OUT_OF_BOUNDS */
export function mandateOf(terms: MandateTerms, nowMs: number): MandateRow {
  const fault = termsFault(terms, nowMs);
  if (fault !== null) throw new AccordError('MANDATE_OUT_OF_BOUNDS', fault);
  const purposes = terms.purposes === null ? null : [...terms.purposes].sort();
  const state = terms.kind === 'citizen' ? 'OFFERED' : 'ACTIVE';
  return { ...terms, purposes, id: newMessageId(nowMs), state, filedAtMs: nowMs, endedAtMs: null, reason: null };
}

/** @throws MANDATE_TRANSITION_REFUSED */
export function requireStep(row: MandateRow, record: Parameters<typeof mandateMayFollow>[1]): void {
  if (mandateMayFollow({ state: row.state, terms: row }, record) !== null) {
    throw new AccordError('MANDATE_TRANSITION_REFUSED', `${row.state} to ${record.state}`);
  }
}

/** The record that the mandate was offered, or filed. */
export function recordOf({ id, state, ...row }: MandateRow, by: 'represented' | 'register', atMs: number) {
  const { kind, register, represented, representative, purposes, maxLevel, notBeforeMs, validUntilMs } = row;
  const { majorityOn, answerUntilMs } = row;
  const terms: MandateTerms = {
    ...{ kind, register, represented, representative, purposes, maxLevel, notBeforeMs, validUntilMs },
    ...{ majorityOn, answerUntilMs },
  };
  return { mandate: id, state, by, atMs, terms };
}
