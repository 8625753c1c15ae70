// A department's witness of the aggregate log: a witness of one origin, which before it stands for a larger tree fetches the
// leaves that came and checks every log in them (feed.ts). What it knows of each origin is stored with the aggregate's own
// step, so that after a crash both are from one moment.
//
// The registry says how far to go: a step ends after so many leaves and so long, and the next one goes on where it ended.
// What was checked meanwhile is kept in memory only, and stands for nothing before a whole signed tree came of it.
import type { Clock } from '#core/clock.ts';
import type { BoundedClient } from '#core/http/client.ts';
import type { NoteVerifier } from '#core/log/signed-note.ts';
import { FEED_STEP_MS, MAX_FEED_LEAVES, MAX_FEED_STEP_LEAVES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Cosigner } from './cosignature.ts';
import { FeedCheck, type FeedRules, RunningTree } from './feed.ts';
import type { Advance, ForkEvidence, WitnessStore } from './store.ts';
import { type Vetted, Witness } from './witness.ts';

/** A line is a leaf and its proof in base64: about 1.3 KiB, 2.5 at most in a log of 2^53 entries. */
const MAX_FEED_BYTES = 16 * 1024 * 1024;
const PAGE_TIMEOUT_MS = 10_000;

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
  /** Of one step, where not as in schemas/limits.ts. */
  stepLeaves?: number;
}

export function openAggregateWitness(options: AggregateWitnessOptions): Witness {
  const { store, cosigners, clock, aggregate, onWrong } = options;
  const feed: Feed = { options, kept: null, isUnderWay: false };
  return new Witness({
    store,
    cosigners,
    clock,
    verifiersOf: (origin) => {
      const verifier = aggregate()?.verifier;
      return verifier?.name === origin ? [verifier] : undefined;
    },
    async vet(step) {
      if (feed.isUnderWay) throw new AccordError('WITNESS_FEED_BEHIND', 'another step is under way');
      feed.isUnderWay = true;
      try {
        return await vetted(step, feed);
      } catch (error) {
        if (error instanceof AccordError && error.code === 'WITNESS_FEED_WRONG') {
          feed.kept = null;
          onWrong(error.detail);
        }
        throw error;
      } finally {
        feed.isUnderWay = false;
      }
    },
    ...(options.onFork && { onFork: options.onFork }),
    ...(options.onStopped && { onStopped: options.onStopped }),
  });
}

interface Feed {
  options: AggregateWitnessOptions;
  /** A step that ended between two answers, from what was stored when it began. */
  kept: { origin: string; storedSize: number; check: FeedCheck } | null;
  isUnderWay: boolean;
}

async function vetted({ origin, tree }: Advance, feed: Feed): Promise<Vetted> {
  const { clock, onStrange, stepLeaves = MAX_FEED_STEP_LEAVES } = feed.options;
  const { storedSize, check } = begun(origin, tree.size, feed);
  const [endsAtMs, endsAt] = [clock.monotonicMs() + FEED_STEP_MS, check.tree.size + stepLeaves];
  while (check.tree.size < tree.size) {
    feed.kept = { origin, storedSize, check };
    const leftMs = endsAtMs - clock.monotonicMs();
    if (leftMs <= 0 || check.tree.size >= endsAt) {
      throw new AccordError('WITNESS_FEED_BEHIND', `${check.tree.size} of ${tree.size} leaves`);
    }
    const lines = await page(check.tree.size, Math.min(tree.size, endsAt), leftMs, feed.options);
    feed.kept = null;
    for (const [at, line] of lines.entries()) {
      check.take(line);
      // Thousands of proofs take some hundred milliseconds, in which exchanges have to go on.
      if (at % 64 === 63) await new Promise((resume) => setImmediate(resume));
    }
  }
  feed.kept = null;
  check.requireTree(tree);
  if (check.strange.size > 0) onStrange?.([...check.strange]);
  return { subtrees: check.tree.subtrees, steps: check.steps };
}

/** Where the last step ended, or what is stored. */
function begun(origin: string, size: number, { kept, options }: Feed): { storedSize: number; check: FeedCheck } {
  const { store, rules } = options;
  const stored = store.latest(origin);
  const storedSize = stored?.size ?? 0;
  const goesOn = kept?.origin === origin && kept.storedSize === storedSize && kept.check.tree.size <= size;
  if (goesOn) return kept;
  const check = new FeedCheck(new RunningTree(storedSize, stored?.subtrees ?? Buffer.alloc(0)), {
    ...rules,
    latest: (each) => store.latest(each),
    origins: store.origins(),
    begins: stored === null,
  });
  return { storedSize, check };
}

/** @throws WITNESS_FEED_BEHIND when the registry is busy, WITNESS_FEED_WRONG, PEER_* */
async function page(from: number, to: number, leftMs: number, { http, aggregate }: AggregateWitnessOptions) {
  const url = `${aggregate()?.url ?? ''}/aggregate/consistency?from=${from}&to=${to}`;
  const timeoutMs = Math.min(Math.ceil(leftMs), PAGE_TIMEOUT_MS);
  const { status, body } = await http.request({ method: 'GET', url, timeoutMs, maxResponseBytes: MAX_FEED_BYTES });
  if (status === 429 || status === 503) throw new AccordError('WITNESS_FEED_BEHIND', `the registry says ${status}`);
  const lines = status === 200 ? body.toString('utf8').split('\n') : [];
  if (lines.pop() !== '' || lines.length === 0 || lines.length > Math.min(to - from, MAX_FEED_LEAVES)) {
    throw new AccordError('WITNESS_FEED_WRONG', `no leaves from ${from} on: ${status}`);
  }
  return lines;
}
