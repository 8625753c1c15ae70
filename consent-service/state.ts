// What may become of a consent, and who may cause it: one pure rule that the service asks before it writes a record and
// again for every record it reads back (DESIGN: who may ask for what, Consent).
//
//   REQUESTED → GIVEN | REFUSED | LAPSED
//   GIVEN ⇄ SUSPENDED
//   GIVEN, SUSPENDED → WITHDRAWN | REVOKED | EXPIRED | INVALIDATED | SUPERSEDED
//
// Every other step is refused; nothing follows an end.
import type { ConsentRecord, ConsentState } from '#schemas/consent.ts';
import type { ProblemCode } from '#schemas/problems.ts';

type Actor = ConsentRecord['by'];

/** From each state (`none` before the first record) to the states that may follow, with the one who may cause it. */
const STEPS: Readonly<Record<ConsentState | 'none', Partial<Record<ConsentState, Actor>>>> = {
  none: { REQUESTED: 'client' },
  REQUESTED: { GIVEN: 'citizen', REFUSED: 'citizen', LAPSED: 'service' },
  GIVEN: {
    SUSPENDED: 'citizen',
    WITHDRAWN: 'citizen',
    REVOKED: 'client',
    EXPIRED: 'service',
    INVALIDATED: 'service',
    SUPERSEDED: 'service',
  },
  SUSPENDED: {
    GIVEN: 'citizen',
    WITHDRAWN: 'citizen',
    REVOKED: 'client',
    EXPIRED: 'service',
    INVALIDATED: 'service',
    SUPERSEDED: 'service',
  },
  REFUSED: {},
  LAPSED: {},
  WITHDRAWN: {},
  REVOKED: {},
  EXPIRED: {},
  INVALIDATED: {},
  SUPERSEDED: {},
};

/** A record as far as this rule looks at it. */
export type Step = Pick<ConsentRecord, 'state' | 'by' | 'atMs'> & { asked?: unknown; given?: unknown };

/** Whether `record` may follow the records of the same consent, oldest first; null when it may. Pure. */
export function mayFollow(history: readonly Step[], record: Step): ProblemCode | null {
  const last = history.at(-1);
  const actor = STEPS[last?.state ?? 'none'][record.state];
  if (actor === undefined || actor !== record.by) return 'CONSENT_TRANSITION_REFUSED';
  // The terms stand in the first record and what was given in the record of the decision, each once.
  const isDecision = last?.state === 'REQUESTED' && record.state === 'GIVEN';
  if ((record.asked !== undefined) !== (last === undefined)) return 'CONSENT_RECORDS_DAMAGED';
  if ((record.given !== undefined) !== isDecision) return 'CONSENT_RECORDS_DAMAGED';
  return null;
}
