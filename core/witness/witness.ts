// A witness (https://c2sp.org/tlog-witness): says of checkpoints, with its cosignature, that each tree grew out of the one
// it saw before. The registry's stands for the logs of all security servers, a department's for the aggregate log.
//
// In order: read → origin known (404) → signed by its key (403) → old size, proof (400, 409, 422) → budget (429) →
// **stored, durable** → signed → answered. What comes in one turn of the event loop is stored in one transaction. A crash
// between storing and answering loses a cosignature and nothing else: who asked is told the size (409) and asks again.
//
// Whoever reaches the port controls every byte of a body.
import type { Clock } from '#core/clock.ts';
import { isSignedBy, type NoteVerifier, parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import { StoreError } from '#core/log/store.ts';
import {
  MAX_WITNESS_WAITING,
  WITNESS_ADVANCE_BURST,
  WITNESS_ADVANCE_EVERY_MS,
  WITNESS_REPEAT_BURST,
  WITNESS_REPEAT_EVERY_MS,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { parseAddCheckpoint } from './add-checkpoint.ts';
import { OriginBudget } from './budget.ts';
import { type Cosigner, cosignatureLine } from './cosignature.ts';
import { type Judgement, judgeCheckpoint } from './judge.ts';
import type { Advance, ForkEvidence, WitnessedTree, WitnessStore, WitnessTurn } from './store.ts';

/** Cosignatures made before others have their turn: an ML-DSA-44 signature takes about half a millisecond. */
const SIGNED_AT_ONCE = 8;

export interface WitnessOptions {
  store: WitnessStore;
  /** Each makes one line; the first is Ed25519. */
  cosigners: readonly Cosigner[];
  clock: Clock;
  /** The keys that an origin's checkpoints are believed of; undefined or none for an unknown origin. */
  verifiersOf(origin: string): readonly NoteVerifier[] | undefined;
  /**
   * What else has to hold before a larger tree is stored, such as that every log in it only grew, and what is stored with
   * it: further origins' steps, and the tree's own subtrees. @throws AccordError
   */
  vet?(step: Advance): Promise<Vetted>;
  /** Evidence that was not known yet, after it is durable. */
  onFork?(evidence: ForkEvidence): void;
  /** Somebody holds a larger old size than is stored here, signed by a known key: was this memory put back? */
  onAhead?(origin: string, oldSize: number, storedSize: number): void;
  /** The memory cannot be written any more. */
  onStopped?(error: unknown): void;
}

export interface Vetted {
  subtrees: Buffer;
  /** Each from what `latest` says now; one that is stale by the time of the turn stops all of it. */
  steps: readonly Advance[];
}

/** An answer of add-checkpoint that is no problem document. */
export interface WitnessAnswer {
  status: 200 | 409;
  type: 'text/plain; charset=utf-8' | 'text/x.tlog.size';
  body: string;
}

interface Asked {
  origin: string;
  oldSize: number;
  proof: Buffer[];
  tree: WitnessedTree;
  steps: readonly Advance[];
  /** What was judged before its turn: only that was vetted and counted. */
  judgement: Judgement | null;
}

/** `size`: what is stored of the origin. */
interface Outcome {
  judgement: Judgement;
  size: number;
}

interface Waiting {
  asked: Asked;
  resolve: (outcome: Outcome & { atMs: number }) => void;
  reject: (error: unknown) => void;
}

export interface WitnessCounts {
  cosigned: number;
  refused: number;
  turns: number;
}

export class Witness {
  readonly #options: WitnessOptions;
  readonly #advances: OriginBudget;
  readonly #repeats: OriginBudget;
  #waiting: Waiting[] = [];
  #stopped: unknown = null;
  #signed = 0;
  readonly counts: WitnessCounts = { cosigned: 0, refused: 0, turns: 0 };

  constructor(options: WitnessOptions) {
    this.#options = options;
    const { clock } = options;
    this.#advances = new OriginBudget(clock, { burst: WITNESS_ADVANCE_BURST, everyMs: WITNESS_ADVANCE_EVERY_MS });
    this.#repeats = new OriginBudget(clock, { burst: WITNESS_REPEAT_BURST, everyMs: WITNESS_REPEAT_EVERY_MS });
  }

  /** False when a write failed and nobody knows what the file holds: nothing is cosigned until the next start. */
  get isRunning(): boolean {
    return this.#stopped === null;
  }

  /**
   * @param body of add-checkpoint @returns the answer of status 200 or 409
   * @throws NOTE_MALFORMED, BODY_TOO_LARGE (400, 413), WITNESS_ORIGIN_UNKNOWN (404), WITNESS_KEY_WRONG (403),
   *   WITNESS_UNPROVEN (422), WITNESS_BUDGET (429), WITNESS_STOPPED (503), and what `vet` throws
   */
  async add(body: Uint8Array): Promise<WitnessAnswer> {
    try {
      return await this.#add(this.#read(body));
    } catch (error) {
      this.counts.refused++;
      throw error;
    }
  }

  #read(body: Uint8Array): Asked {
    const { oldSize, proof, note } = parseAddCheckpoint(body);
    const { text, signatures } = parseNote(note);
    const { origin, size, root } = parseCheckpointText(text);
    const verifiers = this.#options.verifiersOf(origin);
    if (verifiers === undefined || verifiers.length === 0) throw new AccordError('WITNESS_ORIGIN_UNKNOWN', origin);
    const signer = verifiers.find((verifier) => isSignedBy(note, verifier));
    if (signer === undefined) throw new AccordError('WITNESS_KEY_WRONG', origin);
    const own = signatures.find(({ name, keyId }) => name === signer.name && keyId.equals(signer.keyId));
    if (own === undefined) throw new TypeError('a verified note has the line of its signer');
    const line = `\u2014 ${own.name} ${Buffer.concat([own.keyId, own.signature]).toString('base64')}\n`;
    if (oldSize > size) throw new AccordError('NOTE_MALFORMED', 'the old size is larger than the checkpoint');
    return { origin, oldSize, proof, tree: { size, root, note: `${text}\n${line}` }, steps: [], judgement: null };
  }

  async #add(asked: Asked): Promise<WitnessAnswer> {
    const { store, vet, onAhead } = this.#options;
    const { origin, tree, oldSize, proof } = asked;
    const before = store.latest(origin);
    const judgement = judgeCheckpoint(before, tree, oldSize, proof);
    if (judgement === 'advance' || judgement === 'repeat') {
      const waitMs = (judgement === 'advance' ? this.#advances : this.#repeats).take(origin);
      if (waitMs > 0) throw new AccordError('WITNESS_BUDGET', `${origin}: in ${Math.ceil(waitMs / 1000)} s`);
    }
    const vetted = judgement === 'advance' ? await vet?.({ origin, before, tree, proof }) : undefined;
    const { subtrees = null, steps = [] } = vetted ?? {};
    const outcome = await this.#stored({ ...asked, tree: { ...tree, subtrees }, steps, judgement });
    if (outcome.judgement === 'advance' || outcome.judgement === 'repeat')
      return await this.#cosigned(asked, outcome.atMs);
    if (outcome.judgement === 'unproven') throw new AccordError('WITNESS_UNPROVEN', origin);
    if (outcome.judgement === 'stale' && oldSize > outcome.size) onAhead?.(origin, oldSize, outcome.size);
    this.counts.refused++;
    return { status: 409, type: 'text/x.tlog.size', body: `${outcome.size}\n` };
  }

  /** Judged again, and stored, together with all that came in this turn of the event loop. */
  #stored(asked: Asked): Promise<Outcome & { atMs: number }> {
    if (this.#stopped !== null) throw stopped(this.#stopped);
    if (this.#waiting.length >= MAX_WITNESS_WAITING) throw new AccordError('SERVER_BUSY', 'the witness');
    const { promise, resolve, reject } = Promise.withResolvers<Outcome & { atMs: number }>();
    if (this.#waiting.push({ asked, resolve, reject }) === 1) setImmediate(() => this.#turn());
    return promise;
  }

  #turn(): void {
    const { store, clock, onFork, onStopped } = this.#options;
    const waiting = this.#waiting;
    this.#waiting = [];
    const atMs = clock.nowMs();
    const evidence: ForkEvidence[] = [];
    let outcomes: Outcome[];
    try {
      if (this.#stopped !== null) throw this.#stopped;
      outcomes = store.turn((turn) => waiting.map(({ asked }) => this.#step(turn, asked, atMs, evidence)));
      this.counts.turns++;
    } catch (error) {
      // A full disk may have room again; after any other fault nobody knows what is stored.
      const isPassing = error instanceof StoreError && error.kind !== 'failed';
      if (!isPassing && this.#stopped === null) {
        this.#stopped = error;
        onStopped?.(error);
      }
      for (const { reject } of waiting) reject(stopped(error));
      return;
    }
    waiting.forEach(({ resolve }, at) => {
      const outcome = outcomes[at];
      if (outcome !== undefined) resolve({ ...outcome, atMs });
    });
    for (const one of evidence) onFork?.(one);
  }

  #step(turn: WitnessTurn, asked: Asked, atMs: number, found: ForkEvidence[]): Outcome {
    const { origin, oldSize, proof, tree, steps } = asked;
    const before = turn.latest(origin);
    const judgement = judgeCheckpoint(before, tree, oldSize, proof);
    const isGood = judgement === 'advance' || judgement === 'repeat';
    // Another one came in between, from which this follows: it is judged as a whole when it is asked for again.
    if (isGood && judgement !== asked.judgement) return { judgement: 'stale', size: before?.size ?? 0 };
    if (judgement === 'repeat') return { judgement, size: tree.size };
    if (judgement === 'advance') {
      for (const step of steps) turn.advance(step, atMs);
      turn.advance({ origin, before, tree, proof }, atMs);
      return { judgement, size: tree.size };
    }
    const other = this.#contradicted(before, origin, tree);
    if (other !== null || (judgement === 'unproven' && before !== null)) {
      const kind = other === null ? 'unproven' : 'fork';
      const one: ForkEvidence = { origin, kind, held: other ?? before?.note ?? '', shown: tree.note, atMs };
      if (turn.keepFork(one)) found.push(one);
    }
    return { judgement, size: before?.size ?? 0 };
  }

  /** A checkpoint of the same size that is known here and has another root. */
  #contradicted(latest: WitnessedTree | null, origin: string, tree: WitnessedTree): string | null {
    if (latest === null || tree.size > latest.size) return null;
    const known = tree.size === latest.size ? latest.note : this.#options.store.earlier(origin, tree.size);
    if (known === null) return null;
    return parseCheckpointText(parseNote(known).text).root.equals(tree.root) ? null : known;
  }

  async #cosigned({ tree }: Asked, atMs: number): Promise<WitnessAnswer> {
    const { text } = parseNote(tree.note);
    // The time is that of the turn: at it no larger tree was known here.
    let body = '';
    for (const by of this.#options.cosigners) {
      if (++this.#signed % SIGNED_AT_ONCE === 0) await new Promise((resume) => setImmediate(resume));
      body += cosignatureLine(text, by, atMs);
    }
    this.counts.cosigned++;
    return { status: 200, type: 'text/plain; charset=utf-8', body };
  }
}

function stopped(cause: unknown): AccordError {
  return new AccordError('WITNESS_STOPPED', cause instanceof Error ? cause.message : '', { cause });
}
