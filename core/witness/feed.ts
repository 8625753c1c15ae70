// What a cosigner of the aggregate log checks before it signs (DESIGN: the message log, witnesses): that the leaves it is
// shown make up the tree of the checkpoint, and that in them every server's log only grew out of what it was before. The
// registry controls every line. A fork that the registry's witness let pass, or made, is found here by each department.
//
// A line of the feed: {"leaf": base64 of the leaf's data, "proof": [base64, …]}, the proof leading from the last checkpoint
// of that origin in the log to this one.
import { HASH_BYTES, leafHash, nodeHash } from '#certs/merkle.ts';
import { isSignedBy, type NoteVerifier, parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import { isJsonObject, type JsonValue, parseJson } from '#schemas/json.ts';
import { MAX_ADD_CHECKPOINT_BYTES, MAX_WITNESSED_LOGS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { judgeCheckpoint, type TreeHead } from './judge.ts';
import type { Advance } from './store.ts';

const MAX_PROOF = 63;
const CONTENT = /^accord-content\/([^/\n]+)\n([1-9][0-9]{0,14})\n([A-Za-z0-9+/]{43}=)\n$/;

export interface FeedRules {
  instance: string;
  /** What this witness stored of an origin. */
  latest(origin: string): TreeHead | null;
  /** How many origins it stored. */
  origins: number;
  /** The registered key; undefined for a server that is not registered any more. */
  verifierOf(origin: string): NoteVerifier | undefined;
  /** Hash (base64) of a content version's file as this server holds it; undefined for a version it does not hold. */
  contentHash(version: number): string | undefined;
  /** True for a cosigner that begins: older proofs may not be kept any more, and there is nothing to contradict. */
  begins: boolean;
}

/** A tree that only grows by leaves: the roots of its complete subtrees, largest first (RFC 9162 section 2.1). */
export class RunningTree {
  #size: number;
  readonly #hashes: Buffer[] = [];

  /** @param subtrees the hashes, one after the other, as `subtrees` gave them */
  constructor(size = 0, subtrees: Uint8Array = Buffer.alloc(0)) {
    this.#size = size;
    for (let at = 0; at < subtrees.length; at += HASH_BYTES) {
      this.#hashes.push(Buffer.from(subtrees.subarray(at, at + HASH_BYTES)));
    }
  }

  get size(): number {
    return this.#size;
  }

  get subtrees(): Buffer {
    return Buffer.concat(this.#hashes);
  }

  push(leaf: Buffer): void {
    let hash = leaf;
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) {
      hash = nodeHash(this.#hashes.pop() ?? Buffer.alloc(0), hash);
    }
    this.#hashes.push(hash);
    this.#size++;
  }

  /** Undefined for the tree without leaves. */
  root(): Buffer | undefined {
    return this.#hashes.reduceRight<Buffer | undefined>(
      (right, left) => (right === undefined ? left : nodeHash(left, right)),
      undefined,
    );
  }
}

export class FeedCheck {
  readonly #rules: FeedRules;
  readonly tree: RunningTree;
  readonly #steps = new Map<string, Advance>();
  #begun = 0;
  /** Origins with a checkpoint that the key registered now did not sign: the key changed since, or somebody lied. */
  readonly strange = new Set<string>();

  constructor(tree: RunningTree, rules: FeedRules) {
    this.tree = tree;
    this.#rules = rules;
  }

  /** Each origin's way from what was stored to its last checkpoint in the feed. */
  get steps(): Advance[] {
    return [...this.#steps.values()];
  }

  /** @throws WITNESS_FEED_WRONG, which says what does not fit; NOTE_MALFORMED, JSON_* */
  take(line: string): void {
    const { leaf, proof } = readLine(line);
    this.tree.push(leafHash(leaf));
    const text = leaf.toString('utf8');
    if (text.startsWith('accord-content/')) this.#content(text);
    else this.#checkpoint(text, proof);
  }

  /** Demands that the leaves so far are the tree of this head. @throws WITNESS_FEED_WRONG */
  requireTree({ size, root }: TreeHead): void {
    const isSame = this.tree.size === size && this.tree.root()?.equals(root) === true;
    if (!isSame) throw wrong(`the leaves do not make up the tree of ${size}`);
  }

  #content(text: string): void {
    const [, instance, version, hash] = CONTENT.exec(text) ?? [];
    if (instance !== this.#rules.instance) throw wrong('a content of another instance, or malformed');
    const held = this.#rules.contentHash(Number(version));
    if (held !== undefined && held !== hash) throw wrong(`the registry shows another content ${version} here`);
  }

  #checkpoint(note: string, proof: readonly Buffer[]): void {
    const { origin, ...head } = parseCheckpointText(parseNote(note).text);
    const before = this.#steps.get(origin)?.tree ?? this.#rules.latest(origin);
    const judgement = judgeCheckpoint(before, head, before?.size ?? 0, proof);
    // A new aggregate log begins with trees that this witness may know from the one before.
    if (this.#rules.begins && judgement === 'repeat') return;
    const mayLack = this.#rules.begins && proof.length === 0 && before !== null && before.size < head.size;
    if (!mayLack && proof.length === 0 && before !== null && before.size < head.size) {
      throw wrong(`the proof that ${origin} grew is not kept any more: this witness was away too long`);
    }
    if (!mayLack && judgement !== 'advance') {
      throw wrong(`${origin} did not grow from ${before?.size ?? 0} to ${head.size} leaves`);
    }
    if (before === null && this.#rules.origins + ++this.#begun > MAX_WITNESSED_LOGS) throw wrong('too many logs');
    const first = this.#steps.get(origin)?.before ?? this.#rules.latest(origin);
    this.#steps.set(origin, { origin, before: first, tree: { ...head, note }, proof });
    const verifier = this.#rules.verifierOf(origin);
    if (verifier === undefined || !isSignedBy(note, verifier)) this.strange.add(origin);
  }
}

function readLine(line: string): { leaf: Buffer; proof: Buffer[] } {
  const value = parseJson(line, { maxBytes: 2 * MAX_ADD_CHECKPOINT_BYTES, maxDepth: 3, maxValues: MAX_PROOF + 4 });
  if (!isJsonObject(value) || Object.keys(value).join() !== 'leaf,proof' || !Array.isArray(value['proof'])) {
    throw wrong('a line without leaf and proof');
  }
  const proof = value['proof'].map(bytesOf);
  if (proof.some(({ length }) => length !== HASH_BYTES)) throw wrong('a proof of other hashes');
  return { leaf: bytesOf(value['leaf']), proof };
}

function bytesOf(text: JsonValue | undefined): Buffer {
  const bytes = Buffer.from(typeof text === 'string' ? text : '', 'base64');
  if (bytes.length === 0 || bytes.toString('base64') !== text) throw wrong('not base64');
  return bytes;
}

function wrong(detail: string): AccordError {
  return new AccordError('WITNESS_FEED_WRONG', detail);
}
