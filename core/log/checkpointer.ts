// When and how a message log publishes checkpoints: every 10 seconds if it grew, as a heartbeat every 10 minutes, at the
// start and at a clean close. A checkpoint is a promise never to show another history, so it is durable in the log and
// in the file apart from it before anybody sees it; a crash between the two leaves the file one checkpoint behind.
import type { KeyObject } from 'node:crypto';
import { rmSync } from 'node:fs';
import { signEd25519 } from '#certs/ed25519.ts';
import type { Frontier } from '#certs/merkle.ts';
import type { Clock } from '#core/clock.ts';
import { writeCheckpointFile } from './checkpoint-file.ts';
import { type Checkpoint, checkpointText, type NoteVerifier, signNote } from './signed-note.ts';
import { type LogStore, StoreError } from './store.ts';

const CHECKPOINT_INTERVAL_MS = 10_000;
const HEARTBEAT_INTERVAL_MS = 10 * 60_000;
const PROBE_BYTES = 16 * 1024;

/** The last published checkpoint: `root` in base64url, `note` the exact signed text. */
export interface SignedCheckpoint {
  origin: string;
  size: number;
  root: string;
  note: string;
}

export class Checkpointer {
  readonly #store: LogStore;
  readonly #file: string;
  readonly #verifier: NoteVerifier;
  readonly #key: KeyObject;
  readonly #clock: Clock;
  #published: { checkpoint: Checkpoint; note: string } | null;
  #publishedAtMs: number;

  constructor(
    ports: { store: LogStore; checkpointFile: string; verifier: NoteVerifier; checkpointKey: KeyObject; clock: Clock },
    published: { checkpoint: Checkpoint; note: string } | null,
  ) {
    this.#store = ports.store;
    this.#file = ports.checkpointFile;
    this.#verifier = ports.verifier;
    this.#key = ports.checkpointKey;
    this.#clock = ports.clock;
    this.#published = published;
    this.#publishedAtMs = ports.clock.monotonicMs();
  }

  /** @throws TypeError before the first one was published */
  get published(): SignedCheckpoint {
    if (this.#published === null) throw new TypeError('no checkpoint was published yet');
    const { checkpoint, note } = this.#published;
    return { origin: checkpoint.origin, size: checkpoint.size, root: checkpoint.root.toString('base64url'), note };
  }

  hasGrown(frontier: Frontier): boolean {
    return this.#published === null || frontier.size > this.#published.checkpoint.size;
  }

  isDue(frontier: Frontier): boolean {
    const ageMs = this.#clock.monotonicMs() - this.#publishedAtMs;
    return ageMs >= (this.hasGrown(frontier) ? CHECKPOINT_INTERVAL_MS : HEARTBEAT_INTERVAL_MS);
  }

  /** Writes and takes back where the checkpoint file lies, which may be another disk than the log's. @throws StoreError */
  probe(): void {
    const file = `${this.#file}.probe`;
    storing(() => writeCheckpointFile(file, ' '.repeat(PROBE_BYTES)));
    rmSync(file);
  }

  /** Durable when it returns. @throws StoreError */
  publish(frontier: Frontier): void {
    const checkpoint = { origin: this.#verifier.name, size: frontier.size, root: frontier.root() };
    const note = signNote(checkpointText(checkpoint), this.#verifier, (bytes) => signEd25519(this.#key, bytes));
    this.#store.addCheckpoint({ size: checkpoint.size, atMs: this.#clock.nowMs(), note });
    storing(() => writeCheckpointFile(this.#file, note));
    this.#published = { checkpoint, note };
    this.#publishedAtMs = this.#clock.monotonicMs();
  }
}

function storing(write: () => void): void {
  try {
    write();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new StoreError(code === 'ENOSPC' || code === 'EDQUOT' ? 'full' : 'failed', cause);
  }
}
