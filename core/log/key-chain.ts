// The keys that sign one log's checkpoints, in turn. The log is made with the first; an entry `key-rotated` goes over to
// the next. What that entry rests on is a signed note of this form, C2SP tlog-checkpoint with one extension line:
//
//     <origin>
//     <size: the seq of the entry>
//     <root at that size, base64>
//     accord-next-key <verifier key of the next key>
//
// signed by both keys: it is the old key's last checkpoint and says who comes next; the new key shows that somebody
// holds it. Checkpoints up to that size are the old key's, all later ones the new key's. Who holds the disk can put any
// note there; without the old key none that is followed.
import { AccordError } from '#schemas/problems.ts';
import {
  type Checkpoint,
  checkpointText,
  formatVerifierKey,
  type NoteVerifier,
  openNote,
  parseCheckpointText,
  parseVerifierKey,
  signatureLine,
  signNote,
} from './signed-note.ts';
import type { LogReader, StoredEvidence } from './store.ts';

/** The `id` of such entries: they belong to no exchange. */
const ROTATION_ID = 'key-rotated';
const EXTENSION = 'accord-next-key ';
const MAX_ROTATIONS = 1_000;

export interface NoteSigner {
  verifier: NoteVerifier;
  sign: (bytes: Buffer) => Buffer;
}

/** The note of a rotation; `checkpoint` is the log's state right before the entry. */
export function rotationNote(checkpoint: Checkpoint, old: NoteSigner, next: NoteSigner): string {
  const text = `${checkpointText(checkpoint)}${EXTENSION}${formatVerifierKey(next.verifier)}\n`;
  return signNote(text, old.verifier, old.sign) + signatureLine(text, next.verifier, next.sign);
}

/** @throws NOTE_MALFORMED, NOTE_SIGNATURE_WRONG */
function openRotation(note: Uint8Array, old: NoteVerifier): { checkpoint: Checkpoint; next: NoteVerifier } {
  const { text } = openNote(note, old);
  const at = text.indexOf(`\n${EXTENSION}`) + 1;
  const line = text.slice(at);
  const key = line.slice(EXTENSION.length, -1);
  if (at === 0 || line !== `${EXTENSION}${key}\n` || key.includes('\n')) {
    throw new AccordError('NOTE_MALFORMED', 'a rotation names the next key');
  }
  const checkpoint = parseCheckpointText(text.slice(0, at));
  const next = parseVerifierKey(key);
  if (checkpoint.origin !== old.name || next.name !== old.name) {
    throw new AccordError('NOTE_MALFORMED', 'a rotation of another log');
  }
  openNote(note, next);
  return { checkpoint, next };
}

/** Where entries about the log are found by their id, with their notes. */
export interface NotesById extends Pick<LogReader, 'linesOf'> {
  evidence(seq: number): Pick<StoredEvidence, 'statement'> | null;
}

export class KeyChain {
  readonly #keys: { fromSize: number; verifier: NoteVerifier }[];

  constructor(first: NoteVerifier) {
    this.#keys = [{ fromSize: 0, verifier: first }];
  }

  /**
   * The chain of a stored log from its first key on, as far as entries before `size` go.
   * @throws NOTE_*, LOG_DATABASE_DAMAGED
   */
  static of(log: NotesById, firstKey: string, size = Number.POSITIVE_INFINITY): KeyChain {
    const chain = new KeyChain(parseVerifierKey(firstKey));
    const rows = log.linesOf(ROTATION_ID, MAX_ROTATIONS + 1);
    if (rows.length > MAX_ROTATIONS) throw new AccordError('LOG_DATABASE_DAMAGED', 'too many rotations of the key');
    for (const { seq } of rows.reverse())
      if (seq < size) chain.follow(seq, log.evidence(seq)?.statement ?? Buffer.alloc(0));
    return chain;
  }

  get current(): NoteVerifier {
    return (this.#keys.at(-1) ?? unreachable()).verifier;
  }

  /** Whose checkpoints of this size are. */
  at(size: number): NoteVerifier {
    return (this.#keys.findLast(({ fromSize }) => fromSize <= size) ?? unreachable()).verifier;
  }

  names(verifier: NoteVerifier): boolean {
    return this.#keys.some((known) => formatVerifierKey(known.verifier) === formatVerifierKey(verifier));
  }

  /** Takes the note of the entry `seq` and goes over to its next key. @throws NOTE_MALFORMED, NOTE_SIGNATURE_WRONG */
  follow(seq: number, note: Uint8Array): Checkpoint {
    const { checkpoint, next } = openRotation(note, this.current);
    if (checkpoint.size !== seq) throw new AccordError('NOTE_MALFORMED', 'a rotation of another place');
    this.#keys.push({ fromSize: seq + 1, verifier: next });
    return checkpoint;
  }
}

function unreachable(): never {
  throw new TypeError('a chain has a first key');
}
