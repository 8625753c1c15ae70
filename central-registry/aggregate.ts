// The aggregate log: one tree over the checkpoints of all servers' logs and over the published contents, so that few
// cosignatures and one time-stamp a minute speak for everybody (DESIGN: the message log, witnesses).
//
// Every minute when it grew: checkpoint signed → **stored** → department witnesses asked, all at once → cosignatures
// **stored** → with the quorum, one time-stamp over its text → **stored as finished** → shown. What was interrupted is
// taken up by the next minute: a checkpoint that did not get its quorum stays, and the next, larger one speaks for its
// leaves too. No two checkpoints of one size are ever signed: the tree is the stored one, and Ed25519 is deterministic.
//
// The witnesses and the time-stamp authorities control what they answer; nothing of it is kept that does not verify.
import type { KeyObject } from 'node:crypto';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import { consistencyProof, Frontier, inclusionProof, sha256Of } from '#certs/merkle.ts';
import type { Clock } from '#core/clock.ts';
import type { BoundedClient } from '#core/http/client.ts';
import {
  checkpointText,
  isSignedBy,
  type NoteVerifier,
  noteVerifier,
  openCheckpoint,
  parseNote,
  signNote,
} from '#core/log/signed-note.ts';
import { goodCosignatures } from '#core/witness/cosignature.ts';
import type { WitnessPolicy } from '#core/witness/policy.ts';
import { askWitness, cosignatureLines } from '#core/witness/witness-client.ts';
import { base64url } from '#schemas/base64url.ts';
import { AccordError } from '#schemas/problems.ts';
import type { AggregateCheckpoint, AggregateStore, FinishedCheckpoint } from './aggregate-store-sqlite.ts';

/** When the quorum is there, the others have this long to add theirs. */
const LATE_COSIGNERS_MS = 2_000;
/** Proofs go after a week, or later while a witness that is named has not come so far; the checkpoints themselves stay. */
const PROOFS_KEPT_MS = 7 * 86_400_000;
/** One that was away for longer, or so long that more came together, has to begin anew: 8 million take about 5 GB. */
const PROOFS_KEPT_FOR_WITNESS_MS = 90 * 86_400_000;
const MAX_PROOFS_KEPT_FOR_WITNESS = 8_000_000;
const PROOFS_DROPPED_AT_ONCE = 50_000;

/** One token over SHA-256 of a checkpoint's text, from the first authority that answers, verified. */
export type Stamp = (
  imprint: Buffer,
  options: { signal: AbortSignal },
) => Promise<{ token: Buffer; authority: string }>;

export interface AggregatePorts {
  instance: string;
  store: AggregateStore;
  clock: Clock;
  origin: string;
  /** Ed25519, private. */
  key: KeyObject;
  /** What takes over as soon as the published policy names it (core/witness/aggregate-handover.ts). */
  nextKey?: KeyObject | undefined;
  http: BoundedClient;
  /** In force now; null while nobody is named. */
  policy(): WitnessPolicy | null;
  /** Null while no authority is named. */
  stamp(): Stamp | null;
  /** Contents published after this version, ascending; `hash` is SHA-256 of the file in base64url. */
  contents(after: number): readonly { version: number; hash: string }[];
  onAlarm(what: string, error: unknown): void;
}

export interface AggregateState {
  origin: string;
  verifierKeyOf: NoteVerifier;
  /** Leaves; leaves of the newest signed and of the newest finished checkpoint. */
  size: number;
  signed: number;
  finished: number;
  finishedAtMs: number | null;
  /** Who cosigned the newest signed checkpoint; what kept it from being finished. */
  cosignedBy: string[];
  quorum: number;
  trouble: string[];
}

export class Aggregate {
  readonly #ports: AggregatePorts;
  readonly #signers: readonly Signer[];
  #running: Promise<void> | null = null;
  readonly #trouble = new Map<string, string>();
  readonly #closing = new AbortController();

  /** @throws AGGREGATE_KEY_WRONG when the log is another key's, LOG_DATABASE_DAMAGED when it lost leaves */
  constructor(ports: AggregatePorts) {
    this.#ports = ports;
    const keys = [ports.key, ...(ports.nextKey === undefined ? [] : [ports.nextKey])];
    this.#signers = keys.map((key) => ({ key, verifier: noteVerifier(ports.origin, rawEd25519PublicKey(key)) }));
    requireOwnLog(ports.store, this.#signers);
  }

  /** Of the key in use. */
  get verifier(): NoteVerifier {
    return this.#signer().verifier;
  }

  /** The one that the published policy names; while it names none of ours, the one that signed last. */
  #signer(): Signer {
    const { store, policy } = this.#ports;
    const named = policy()?.aggregate?.verifier.publicKey;
    const [first] = this.#signers;
    if (first === undefined) throw new TypeError('an aggregate log without a key');
    const newest = store.newestCheckpoint();
    return (
      this.#signers.find(({ verifier }) => named !== undefined && verifier.publicKey.equals(named)) ??
      this.#signers.find(({ verifier }) => newest !== null && isSignedBy(newest.note, verifier)) ??
      first
    );
  }

  /** One minute's work; a second call waits for the first. Never rejects: what failed is an alarm and is tried again. */
  tick(): Promise<void> {
    this.#running ??= this.#work()
      .catch((error: unknown) => this.#alarm('work', 'the aggregate log cannot go on', error))
      .finally(() => {
        this.#running = null;
      });
    return this.#running;
  }

  /** Gives up what is under way; what is stored is taken up by the next start. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #work(): Promise<void> {
    const { store, clock } = this.#ports;
    if (this.#closing.signal.aborted) return;
    this.#takeContents();
    this.#dropProofs(clock.nowMs());
    const checkpoint = this.#current();
    if (checkpoint === null || (store.newestFinished()?.size ?? 0) >= checkpoint.size) return;
    const policy = this.#ports.policy();
    const note = await this.#cosigned(checkpoint, policy);
    if (note === null) return;
    const tokens = await this.#stamped(checkpoint);
    if (tokens === null) return;
    store.finish({ size: checkpoint.size, atMs: clock.nowMs(), note, tokens });
    this.#trouble.clear();
  }

  #dropProofs(nowMs: number): void {
    const { store, policy } = this.#ports;
    const asked = (policy()?.witnesses ?? []).filter(({ url }) => url !== null);
    // One that never cosigned begins at the newest tree, and needs none.
    const sizes = asked.map(({ name }) => store.cosignerSize(name)).filter((size) => size > 0);
    store.dropProofs({
      beforeMs: nowMs - PROOFS_KEPT_MS,
      neededFrom: Math.min(...sizes, store.size),
      latestMs: nowMs - PROOFS_KEPT_FOR_WITNESS_MS,
      mostKept: MAX_PROOFS_KEPT_FOR_WITNESS,
      limit: PROOFS_DROPPED_AT_ONCE,
    });
  }

  #takeContents(): void {
    const { store, instance, contents } = this.#ports;
    const published = contents(store.newestContent());
    store.addContents(published.map(({ version, hash }) => ({ version, data: contentLeaf(instance, version, hash) })));
  }

  /** The newest signed checkpoint: a new one when the tree grew. */
  #current(): AggregateCheckpoint | null {
    const { store, clock } = this.#ports;
    const newest = store.newestCheckpoint();
    if (store.size === (newest?.size ?? 0)) return newest;
    const { key, verifier } = this.#signer();
    const text = checkpointText({ origin: verifier.name, size: store.size, root: store.root() });
    const note = signNote(text, verifier, (bytes) => signEd25519(key, bytes));
    const checkpoint = { size: store.size, atMs: clock.nowMs(), note };
    store.addCheckpoint(checkpoint);
    return checkpoint;
  }

  /** The note with the cosignatures of the quorum; null without it. */
  async #cosigned({ size, note }: AggregateCheckpoint, policy: WitnessPolicy | null): Promise<string | null> {
    const { store } = this.#ports;
    const { witnesses, quorum } = policy ?? { witnesses: [], quorum: 0 };
    const keys = witnesses.flatMap((witness) => witness.keys);
    const whole = () => note + cosignatureLines(note + store.cosignatures(size).join(''), keys).join('');
    const cosigners = () => ed25519Cosigners(whole(), policy);
    const asked = witnesses.filter(({ name, url }) => url !== null && !cosigners().includes(name));
    const enough = Promise.withResolvers<void>();
    let timer: NodeJS.Timeout | undefined;
    const all = asked.map(async (witness) => {
      await this.#ask(witness, size, note);
      if (cosigners().length >= quorum) timer ??= setTimeout(enough.resolve, LATE_COSIGNERS_MS).unref();
    });
    await Promise.race([Promise.all(all), enough.promise]);
    clearTimeout(timer);
    const count = cosigners().length;
    if (count >= quorum) {
      this.#trouble.delete('quorum');
      return whole();
    }
    this.#alarm('quorum', `${count} of ${quorum} witnesses cosigned the aggregate log at size ${size}`, null);
    return null;
  }

  async #ask(witness: WitnessPolicy['witnesses'][number], size: number, note: string): Promise<void> {
    const { store, http } = this.#ports;
    const { name, keys, url } = witness;
    const about = `witness ${name}`;
    try {
      const reply = await askWitness(http, {
        url: url ?? '',
        keys,
        note,
        oldSize: store.cosignerSize(name),
        proofFrom: (oldSize) => consistencyProof(oldSize, size, store.subtree),
        signal: this.#closing.signal,
      });
      if (reply.kind === 'cosigned') {
        store.addCosignatures(size, reply.lines);
        store.setCosignerSize(name, size);
        this.#trouble.delete(about);
      } else if (reply.kind === 'ahead') {
        const what = `${about} knows the aggregate log with ${reply.size} leaves, here it has ${size} or another root`;
        this.#alarm(about, what, new AccordError('AGGREGATE_BEHIND', name));
      } else this.#alarm(about, `${about} refused: ${reply.status}`, null);
    } catch (error) {
      this.#alarm(about, `${about} does not answer`, error);
    }
  }

  /** The tokens; null when no authority gave one. */
  async #stamped({ note }: AggregateCheckpoint): Promise<string[] | null> {
    const stamp = this.#ports.stamp();
    if (stamp === null) return [];
    try {
      const { token } = await stamp(sha256Of(parseNote(note).text), { signal: this.#closing.signal });
      this.#trouble.delete('time-stamp');
      return [base64url(token)];
    } catch (error) {
      this.#alarm('time-stamp', 'no time-stamp authority gave a token', error);
      return null;
    }
  }

  #alarm(about: string, what: string, error: unknown): void {
    if (this.#closing.signal.aborted) return;
    const isNew = this.#trouble.get(about) !== what;
    this.#trouble.set(about, what);
    if (isNew) this.#ports.onAlarm(what, error);
  }

  newestFinished(): FinishedCheckpoint | null {
    return this.#ports.store.newestFinished();
  }

  /** Up to where tiles and the feed may be read. */
  get signedSize(): number {
    return this.#ports.store.newestCheckpoint()?.size ?? 0;
  }

  /**
   * What others said of one checkpoint of a server's log: the first finished aggregate checkpoint that holds it.
   * @throws AGGREGATE_UNKNOWN when the witness never stood for it, AGGREGATE_NOT_YET
   */
  anchoring(origin: string, size: number) {
    const { store } = this.#ports;
    const leaf = store.leafOf(origin, size);
    if (leaf === null) throw new AccordError('AGGREGATE_UNKNOWN', `${origin} ${size}`);
    const finished = store.finishedWith(leaf.seq);
    if (finished === null) throw new AccordError('AGGREGATE_NOT_YET');
    const path = inclusionProof(leaf.seq, finished.size, store.subtree);
    return {
      checkpoint: leaf.data,
      aggregate: { checkpoint: finished.note, index: leaf.seq, path: path.map((hash) => base64url(hash)) },
      tokens: finished.tokens.map((token) => ({ over: 'aggregate', token })),
    };
  }

  state(): AggregateState {
    const { store } = this.#ports;
    const [policy, signed, finished] = [this.#ports.policy(), store.newestCheckpoint(), store.newestFinished()];
    const note = signed === null ? null : signed.note + store.cosignatures(signed.size).join('');
    return {
      origin: this.verifier.name,
      verifierKeyOf: this.verifier,
      size: store.size,
      signed: signed?.size ?? 0,
      finished: finished?.size ?? 0,
      finishedAtMs: finished?.atMs ?? null,
      cosignedBy: note === null ? [] : ed25519Cosigners(note, policy),
      quorum: policy?.quorum ?? 0,
      trouble: [...this.#trouble.values()],
    };
  }
}

interface Signer {
  key: KeyObject;
  verifier: NoteVerifier;
}

/** Recovery: what was signed last is held against the tree before anything is added to it. */
function requireOwnLog(store: AggregateStore, signers: readonly Signer[]): void {
  const newest = store.newestCheckpoint();
  if (newest === null) return;
  const signer = signers.find(({ verifier }) => isSignedBy(newest.note, verifier));
  if (signer === undefined) throw new AccordError('AGGREGATE_KEY_WRONG', signers[0]?.verifier.name);
  const head = openCheckpoint(newest.note, signer.verifier);
  if (head.size > store.size || !Frontier.at(head.size, store.subtree).root().equals(head.root)) {
    throw new AccordError('LOG_DATABASE_DAMAGED', 'the aggregate log is not the one that was signed');
  }
}

/** @param hash SHA-256 of content.M.jws in base64url */
function contentLeaf(instance: string, version: number, hash: string): string {
  return `accord-content/${instance}\n${version}\n${Buffer.from(hash, 'base64url').toString('base64')}\n`;
}

/** Names of witnesses whose Ed25519 cosignature is in the note: those the quorum counts. */
function ed25519Cosigners(note: string, policy: WitnessPolicy | null): string[] {
  return (policy?.witnesses ?? []).flatMap(({ name, keys }) => {
    const own = keys.filter(({ algorithm }) => algorithm === 'ed25519');
    return goodCosignatures(note, own).length > 0 ? [name] : [];
  });
}
