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
  frame.read({
    method: 'GET',
    url: '/metrics',
    summary: 'The same in numbers, in the text format of Prometheus',
    permission: 'read',
    read: () => metricsOf(running().state()),
  });
}

function metricsOf({
  running,
  servers,
  origins,
  forks,
  unproven,
  sinceStart,
  log,
}: ReturnType<RegistryWitness['state']>): string {
  const rows: [name: string, type: 'gauge' | 'counter', help: string, value: number][] = [
    ['accord_witness_running', 'gauge', '0 when the memory of the witness cannot be written', running ? 1 : 0],
    ['accord_witness_servers', 'gauge', 'Servers whose logs the witness stands for', servers],
    ['accord_witness_origins', 'gauge', 'Logs that were cosigned', origins],
    ['accord_witness_forks', 'gauge', 'Pairs of checkpoints that show two histories', forks],
    [
      'accord_witness_unproven',
      'gauge',
      'Checkpoints that did not prove that they grew out of the one before',
      unproven,
    ],
    ['accord_witness_cosigned_total', 'counter', 'Checkpoints cosigned since the start', sinceStart.cosigned],
    ['accord_witness_refused_total', 'counter', 'Requests that got no cosignature since the start', sinceStart.refused],
    ['accord_witness_commits_total', 'counter', 'Transactions of the witness since the start', sinceStart.turns],
    ['accord_aggregate_leaves', 'gauge', 'Leaves of the aggregate log', log.size],
    ['accord_aggregate_signed_leaves', 'gauge', 'Leaves under its newest signed checkpoint', log.signed],
    [
      'accord_aggregate_finished_leaves',
      'gauge',
      'Leaves under its newest cosigned and time-stamped checkpoint',
      log.finished,
    ],
    [
      'accord_aggregate_finished_seconds',
      'gauge',
      'When that one was finished, since 1970',
      (log.finishedAtMs ?? 0) / 1000,
    ],
    [
      'accord_aggregate_cosigners',
      'gauge',
      'Witnesses that cosigned the newest signed checkpoint',
      log.cosignedBy.length,
    ],
    ['accord_aggregate_quorum', 'gauge', 'Witnesses that have to', log.quorum],
    ['accord_aggregate_troubles', 'gauge', 'What is in the way of the next finished checkpoint', log.trouble.length],
  ];
  return rows
    .map(([name, type, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`)
    .join('');
}
