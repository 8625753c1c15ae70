// A department's witness of the aggregate log: a witness of one origin, which before it stands for a larger tree fetches the
// leaves that came and checks every log in them (feed.ts). What it knows of each origin is stored with the aggregate's own
// step, so that after a crash both are from one moment.
import type { Clock } from '#core/clock.ts';
import type { BoundedClient } from '#core/http/client.ts';
import type { NoteVerifier } from '#core/log/signed-note.ts';
import { MAX_FEED_LEAVES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Cosigner } from './cosignature.ts';
import { FeedCheck, type FeedRules, RunningTree } from './feed.ts';
import type { Advance, ForkEvidence, WitnessStore } from './store.ts';
import { type Vetted, Witness } from './witness.ts';

/** A line is a leaf and its proof in base64: about 1.3 KiB, 2.5 at most in a log of 2^53 entries. */
const MAX_FEED_BYTES = 16 * 1024 * 1024;
const FEED_TIMEOUT_MS = 30_000;

export interface AggregateWitnessOptions {
  store: WitnessStore;
  cosigners: readonly Cosigner[];
  clock: Clock;
  http: BoundedClient;
  /** As the configuration in force names it; null where it names none: then nothing is cosigned. */
  aggregate(): { verifier: NoteVerifier; url: string } | null;
  /** Of the configuration in force. */
  rules: Pick<FeedRules, 'instance' | 'verifierOf' | 'contentHash'>;
  onFork?(evidence: ForkEvidence): void;
  /** A log in the aggregate did not only grow, or the leaves are not those of the tree: the registry has to explain it. */
  onWrong(detail: string): void;
  /** Checkpoints that the key registered now did not sign; after a change of keys there are some. */
  onStrange?(origins: readonly string[]): void;
  onStopped?(error: unknown): void;
}

export function openAggregateWitness(options: AggregateWitnessOptions): Witness {
  const { store, cosigners, clock, aggregate, onWrong } = options;
  return new Witness({
    store,
    cosigners,
    clock,
    verifiersOf: (origin) => {
      const verifier = aggregate()?.verifier;
      return verifier?.name === origin ? [verifier] : undefined;
    },
    async vet(step) {
      try {
        return await vetted(step, options);
      } catch (error) {
        if (error instanceof AccordError && error.code === 'WITNESS_FEED_WRONG') onWrong(error.detail);
        throw error;
      }
    },
    ...(options.onFork && { onFork: options.onFork }),
    ...(options.onStopped && { onStopped: options.onStopped }),
  });
}

async function vetted({ origin, tree }: Advance, options: AggregateWitnessOptions): Promise<Vetted> {
  const { store, http, aggregate, rules, onStrange } = options;
  const stored = store.latest(origin);
  const check = new FeedCheck(new RunningTree(stored?.size ?? 0, stored?.subtrees ?? Buffer.alloc(0)), {
    ...rules,
    latest: (each) => store.latest(each),
    origins: store.origins(),
    begins: stored === null,
  });
  while (check.tree.size < tree.size) {
    const url = `${aggregate()?.url ?? ''}/aggregate/consistency?from=${check.tree.size}&to=${tree.size}`;
    const { status, body } = await http.request({
      ...{ method: 'GET', url, timeoutMs: FEED_TIMEOUT_MS, maxResponseBytes: MAX_FEED_BYTES },
    });
    const lines = status === 200 ? body.toString('utf8').split('\n') : [];
    if (lines.pop() !== '' || lines.length === 0 || lines.length > MAX_FEED_LEAVES) {
      throw new AccordError('WITNESS_FEED_WRONG', `no leaves from ${check.tree.size} on: ${status}`);
    }
    for (const [at, line] of lines.entries()) {
      check.take(line);
      // Thousands of proofs take some hundred milliseconds, in which exchanges have to go on.
      if (at % 64 === 63) await new Promise((resume) => setImmediate(resume));
    }
  }
  check.requireTree(tree);
  if (check.strange.size > 0) onStrange?.([...check.strange]);
  return { subtrees: check.tree.subtrees, steps: check.steps };
}
