// The program whose disk campaign `power` cuts off: it writes a message log with record keys, its checkpoint file, a
// witness's memory, a server's state and an archive, all in one folder, and says on standard output what it promised each
// time something was acknowledged: one JSON value a line, written before anything else is done. It goes on after an error,
// so that a promise made on a broken disk is seen.
import { readFileSync, writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { sha256 } from '#certs/commitment.ts';
import { archiveSegment } from '#core/archive/run-archive.ts';
import { systemClock } from '#core/clock.ts';
import { type MessageLog, openMessageLog } from '#core/log/message-log.ts';
import { formatAddCheckpoint } from '#core/witness/add-checkpoint.ts';
import { cosigner } from '#core/witness/cosignature.ts';
import { Witness } from '#core/witness/witness.ts';
import { openWitnessStoreSqlite } from '#core/witness/witness-store-sqlite.ts';
import { isAccordError } from '#schemas/problems.ts';
import { MADE_PEER, madeRequests } from '#scripts/log/made-log.ts';
import { openStateSqlite } from '#security-server/state-sqlite.ts';
import { archiveOf, logOptionsOf, PLACES, type PowerFile, type Promised, witnessedLog } from './power-setting.ts';
import { noteOf } from './witness-setting.ts';

const REPLAY_MS = 3_600_000;
const MAX_REFUSALS = 12;

function say(promised: Promised): void {
  const bytes = Buffer.from(`${JSON.stringify(promised)}\n`);
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}

flushCompileCache(); // a process that will be killed has no end at which this would happen
const file = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as PowerFile;
let refusals = 0;
const ticking = { run: () => {} };

/** An error is said, and is no promise. */
async function trying(what: string, run: () => Promise<void> | void): Promise<void> {
  try {
    await run();
  } catch (error) {
    refusals++;
    const code = isAccordError(error) ? error.code : error instanceof Error ? error.message : String(error);
    say({ kind: 'refused', what, code });
  }
}

async function append(log: MessageLog, step: number): Promise<void> {
  const nowMs = systemClock.nowMs();
  const requests = madeRequests({ size: 1 + (step % 3), nowMs, sealed: step % 2 === 0 });
  await Promise.all(
    requests.map(async (request) => {
      const { id } = request;
      const record = {
        ...request,
        kind: 'request-received' as const,
        claim: { from: MADE_PEER, id, untilMs: nowMs + REPLAY_MS },
      };
      const sealed = request.sealed !== null;
      if (file.early) say({ kind: 'log', id, seq: null, leaf: null, sealed });
      const appended = await log.append(record);
      if (appended.outcome === 'appended') say({ kind: 'log', id, seq: appended.seq, leaf: appended.leafHash, sealed });
    }),
  );
}

function openWitness() {
  const { log, tree, cosignerKey } = witnessedLog(file);
  const store = openWitnessStoreSqlite(join(file.folder, PLACES.witness));
  const cosigners = [cosigner('witness.power', cosignerKey)];
  // A budget that never says no: its clock runs ahead.
  let passedMs = 0;
  const clock = { ...systemClock, monotonicMs: () => (passedMs += 60_000) };
  const witness = new Witness({ store, cosigners, clock, verifiersOf: () => [log.verifier] });
  return async () => {
    const before = store.latest(log.origin)?.size ?? 0;
    const size = before + 1 + (before % 5);
    const proof = before === 0 ? [] : tree.proof(before, size);
    const { status } = await witness.add(
      formatAddCheckpoint({ oldSize: before, proof, note: noteOf(log, size, tree.root(size)) }),
    );
    if (status === 200) say({ kind: 'witness', size });
  };
}

async function run(): Promise<void> {
  const log = await openMessageLog({
    ...logOptionsOf(file),
    every: (_ms, run) => {
      ticking.run = run;
      return () => undefined;
    },
  });
  const witness = openWitness();
  const state = openStateSqlite(join(file.folder, PLACES.state));
  const archive = archiveOf(file);
  const { destination } = archive;
  const segment = { log, folder: join(file.folder, PLACES.log), planFile: join(file.folder, PLACES.plan), ...archive };
  say({ kind: 'ready' });
  const isGoing = (step: number) => (file.steps === null ? refusals < MAX_REFUSALS : step < file.steps);
  for (let step = 0; isGoing(step); step++) {
    await trying('log', () => append(log, step));
    if (step % 3 === 0) {
      await trying('checkpoint', () => say({ kind: 'checkpoint', size: log.publishCheckpoint().size }));
    }
    if (step % 2 === 0) await trying('witness', witness);
    if (step % 2 === 1) {
      await trying('state', () => {
        const jti = `${process.pid}-${step}`;
        state.useEvidence('DEV/GOV/1001/consumer', jti, 4_000_000_000);
        say({ kind: 'evidence', jti });
        state.countReceiptUse('receipt', 4_000_000_000);
        say({ kind: 'uses', count: state.receiptUsed('receipt') });
      });
    }
    if (step % 4 === 1) {
      await trying('archive', async () => {
        const bytes = Buffer.alloc(20_000, step);
        const name = `loose/object-${step}`;
        await destination.put(name, bytes);
        say({ kind: 'object', name, hash: sha256(bytes) });
      });
    }
    if (step % 8 === 5) {
      await trying('archive', async () => {
        const old = { beforeMs: Number.MAX_SAFE_INTEGER, keepEntries: 2 };
        const manifest = await archiveSegment({ ...segment, configurationVersion: 1 }, old);
        if (manifest !== null) say({ kind: 'archived', to: manifest.to });
      });
    }
    if (!log.state().ok) ticking.run();
  }
  say({ kind: 'end', ok: log.state().ok });
}

try {
  await run();
} catch (error) {
  say({ kind: 'failed', code: isAccordError(error) ? error.code : String(error) });
}
// Nothing is closed: what a clean end would still write is not what was promised.
process.kill(process.pid, 'SIGKILL');
