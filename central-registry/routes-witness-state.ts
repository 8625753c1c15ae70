// Admin API: how the registry's witness and the aggregate log are, and the evidence of logs with two histories.
import { AccordError } from '#schemas/problems.ts';
import type { AdminFrame } from './admin-frame.ts';
import type { RegistryWitness } from './registry-witness.ts';

export function addWitnessStateRoutes(frame: AdminFrame, witness: RegistryWitness | null): void {
  const running = (): RegistryWitness => {
    if (witness === null) throw new AccordError('WITNESS_OFF');
    return witness;
  };
  frame.read({
    method: 'GET',
    url: '/witness',
    summary: "The registry's witness: its verifier keys, the aggregate log, who cosigned, what is in the way",
    permission: 'read',
    read: () => running().state(),
  });
  frame.read({
    method: 'GET',
    url: '/witness/forks',
    summary: 'Checkpoints of one log that do not fit together, in pairs, as they were signed',
    permission: 'audit',
    read: () => ({ items: running().forks() }),
  });
}
