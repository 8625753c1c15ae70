// What may become of a consent, and who may cause it: one pure rule that the service asks before it writes a record and
// again for every record it reads back (DESIGN: who may ask for what, Consent).
//
//   REQUESTED → GIVEN | REFUSED | LAPSED
//   GIVEN ⇄ SUSPENDED
//   GIVEN, SUSPENDED → WITHDRAWN | REVOKED | EXPIRED | INVALIDATED | SUPERSEDED
//
// Every other step is refused; nothing follows an end. What the citizen may do, a representative may do within a mandate
// (mandate-state.ts), but for one thing: what the citizen paused, only the citizen resumes. The service itself pauses what
// was given under a mandate when that ends at majority, or is revoked by its register.
import type { ConsentRecord, ConsentState } from '#schemas/consent.ts';
import type { ProblemCode } from '#schemas/problems.ts';

type Actor = ConsentRecord['by'];

const PERSON = ['citizen', 'representative'] as const;
const CLIENT = ['client'] as const;
const SERVICE = ['service'] as const;
const ENDS = { WITHDRAWN: PERSON, REVOKED: CLIENT, EXPIRED: SERVICE, INVALIDATED: SERVICE, SUPERSEDED: SERVICE };

/** From each state (`none` before the first record) to the states that may follow, with those who may cause it. */
const STEPS: Readonly<Record<ConsentState | 'none', Partial<Record<ConsentState, readonly Actor[]>>>> = {
  none: { REQUESTED: CLIENT },
  REQUESTED: { GIVEN: PERSON, REFUSED: PERSON, LAPSED: SERVICE },
  GIVEN: { SUSPENDED: [...PERSON, ...SERVICE], ...ENDS },
  SUSPENDED: { GIVEN: PERSON, ...ENDS },
  REFUSED: {},
  LAPSED: {},
  WITHDRAWN: {},
  REVOKED: {},
  EXPIRED: {},
  INVALIDATED: {},
  SUPERSEDED: {},
};

/** A record as far as this rule looks at it. */
export type Step = Pick<ConsentRecord, 'state' | 'by' | 'atMs'> & {
  asked?: unknown;
  given?: unknown;
  acting?: unknown;
};

/** Whether `record` may follow the records of the same consent, oldest first; null when it may. Pure. */
export function mayFollow(history: readonly Step[], record: Step): ProblemCode | null {
  const last = history.at(-1);
  const actors = STEPS[last?.state ?? 'none'][record.state] ?? [];
  if (!actors.includes(record.by)) return 'CONSENT_TRANSITION_REFUSED';
  const isOwnPause = last?.state === 'SUSPENDED' && last.by === 'citizen';
  if (isOwnPause && record.state === 'GIVEN' && record.by !== 'citizen') return 'CONSENT_TRANSITION_REFUSED';
  if ((record.acting !== undefined) !== (record.by === 'representative')) return 'CONSENT_RECORDS_DAMAGED';
  // The terms stand in the first record and what was given in the record of the decision, each once.
  const isDecision = last?.state === 'REQUESTED' && record.state === 'GIVEN';
  if ((record.asked !== undefined) !== (last === undefined)) return 'CONSENT_RECORDS_DAMAGED';
  if ((record.given !== undefined) !== isDecision) return 'CONSENT_RECORDS_DAMAGED';
  return null;
}
