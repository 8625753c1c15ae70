// Admin API: who vouches for message logs. The list is handed in as a whole; it counts when two approvers signed a content
// that holds it, and they see each key as a line of its own.
import { judgedWitnesses } from '#core/configuration/witness-parts.ts';
import { formatVerifierKey } from '#core/log/signed-note.ts';
import { readHandover } from '#core/witness/aggregate-handover.ts';
import { WitnessesPart } from '#schemas/configuration.ts';
import type { JsonValue } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import type { AdminFrame, RegistryContext } from './admin-frame.ts';

export function addWitnessRoutes(frame: AdminFrame, { store }: RegistryContext): void {
  frame.read({
    method: 'GET',
    url: '/witnesses',
    summary: 'The aggregate log, its witnesses and the quorum; null while none are named',
    permission: 'read',
    read: () => ({ witnesses: store.witnesses.get() ?? null }),
  });
  frame.change({
    method: 'POST',
    url: '/witnesses',
    summary: 'Name the aggregate log, its witnesses and the quorum; replaces what was named before',
    permission: 'govern',
    body: WitnessesPart,
    change({ body }) {
      const part = judgedWitnesses(body as JsonValue);
      requireHandover(store.witnesses.get(), part);
      store.witnesses.put(part);
      return { status: 201, body: { witnesses: part }, target: `witnesses, quorum ${part.quorum}` };
    },
  });
}

/** The log goes on under another key only when both keys say so; a log that begins anew has another origin. */
function requireHandover(before: WitnessesPart | undefined, { aggregate, handover }: WitnessesPart): void {
  const old = before?.aggregate;
  if (!old || aggregate?.origin !== old.origin || aggregate.verifierKey === old.verifierKey) return;
  if (handover !== undefined && formatVerifierKey(readHandover(handover).from) === old.verifierKey) return;
  throw new AccordError(
    'CONFIGURATION_INVALID',
    'another key of the aggregate log without a handover from the one before',
  );
}
