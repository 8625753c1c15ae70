// Who decides about a consent: the person themself, or another under a mandate, as far as the mandate reaches
// (mandate-state.ts is the rule).
import type { ConsentRecord, ConsentState } from '#schemas/consent.ts';
import { AccordError } from '#schemas/problems.ts';
import { reachesDecided, reachesPurpose, requireWithin } from './mandate-state.ts';
import type { ConsentRow, MandateRow } from './store.ts';
import type { Terms } from './views.ts';

export type Actor = ConsentRecord['by'];

/** A consent, and the mandate under which somebody else looks at it. */
export interface Found {
  row: ConsentRow;
  mandate: MandateRow | null;
}

/** By whom a record is, and under which mandate. */
export function actorOf(mandate: MandateRow | null, by: Actor) {
  if (mandate === null) return { by };
  return { by: 'representative', acting: { mandate: mandate.id, representative: mandate.representative } } as const;
}

export function reaches({ row, mandate }: Found): boolean {
  if (mandate === null) return true;
  return reachesPurpose(mandate, row.purpose) && (row.state === 'REQUESTED' || reachesDecided(mandate, row.mandate));
}

/** Whether the mandate reaches this step of the consent. @throws MANDATE_EXCEEDED */
export function requireReach({ row, mandate }: Found, { asked, given, last }: Terms, state: ConsentState): void {
  if (mandate === null) return;
  requireWithin(mandate, asked, row.state === 'REQUESTED' ? null : (given?.given ?? []));
  if (state !== 'SUPERSEDED') return;
  const isOwnPause = last.state === 'SUSPENDED' && last.by === 'citizen';
  if (isOwnPause || !reachesDecided(mandate, row.mandate)) {
    throw new AccordError('MANDATE_EXCEEDED', 'it would end a permission of the person themself');
  }
}
