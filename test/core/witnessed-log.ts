// A log in memory with its own key, that can show any of its trees, grow, and have a second history.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import { consistencyProof, Frontier, foldHashes, leafHash } from '#certs/merkle.ts';
import { checkpointText, formatVerifierKey, type NoteVerifier, noteVerifier, signNote } from '#core/log/signed-note.ts';
import { formatAddCheckpoint } from '#core/witness/add-checkpoint.ts';
import { base64url } from '#schemas/base64url.ts';

export class WitnessedLog {
  readonly origin: string;
  readonly key: KeyObject;
  readonly verifier: NoteVerifier;
  readonly #leaves: Buffer[] = [];

  constructor(origin: string, key: KeyObject = generateKeyPairSync('ed25519').privateKey) {
    this.origin = origin;
    this.key = key;
    this.verifier = noteVerifier(origin, rawEd25519PublicKey(key));
  }

  /** As it is registered. */
  get registered(): { origin: string; key: string } {
    return { origin: this.origin, key: base64url(rawEd25519PublicKey(this.key)) };
  }

  get verifierKey(): string {
    return formatVerifierKey(this.verifier);
  }

  grow(count: number, what = 'entry'): this {
    for (let i = 0; i < count; i++) this.#leaves.push(leafHash(`${what} ${this.#leaves.length}`));
    return this;
  }

  /** As it began. */
  empty(): void {
    this.#leaves.length = 0;
  }

  /** The same beginning under the same key, and then something else. */
  fork(atSize: number): WitnessedLog {
    const other = new WitnessedLog(this.origin, this.key);
    other.#leaves.push(...this.#leaves.slice(0, atSize));
    return other;
  }

  get size(): number {
    return this.#leaves.length;
  }

  root(size = this.size): Buffer {
    const frontier = new Frontier();
    for (const leaf of this.#leaves.slice(0, size)) frontier.push(leaf);
    return frontier.root();
  }

  /** The signed checkpoint of this size. */
  note(size = this.size, verifier = this.verifier): string {
    const text = checkpointText({ origin: this.origin, size, root: this.root(size) });
    return signNote(text, verifier, (bytes) => signEd25519(this.key, bytes));
  }

  proof(from: number, to = this.size): Buffer[] {
    return consistencyProof(from, to, (height, index) =>
      foldHashes(this.#leaves.slice(index * 2 ** height, (index + 1) * 2 ** height)),
    );
  }

  /** The body of add-checkpoint. */
  body(oldSize: number, size = this.size): Buffer {
    const proof = oldSize <= size ? this.proof(oldSize, size) : [];
    return formatAddCheckpoint({ oldSize, proof, note: this.note(size) });
  }
}
