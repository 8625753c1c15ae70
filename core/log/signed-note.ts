// C2SP signed-note and tlog-checkpoint (https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint), Ed25519 keys
// (signature type 0x01) only. Notes and verifier keys read here may come from anyone: witnesses, peers, a disk.
import { createHash } from 'node:crypto';
import { ED25519_KEY_BYTES, ED25519_SIGNATURE_BYTES, verifyEd25519 } from '#certs/ed25519.ts';
import { HASH_BYTES } from '#certs/merkle.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';

const ED25519_TYPE = 0x01;
const MAX_NOTE_BYTES = 64 * 1024;
const MAX_SIGNATURES = 100;
const KEY_ID_BYTES = 4;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
// Non-empty, no Unicode space, no plus, and none of the control characters a note may not contain.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it keeps out
const KEY_NAME = /^[^\s\u0085+\u0000-\u001f]+$/u;

/** Who may sign: the name on the signature line, the key id, and the raw 32-byte public key. */
export interface NoteVerifier {
  name: string;
  keyId: Buffer;
  publicKey: Buffer;
}

export interface SignedNote {
  /** The signed text, with its final newline. */
  text: string;
  signatures: { name: string; keyId: Buffer; signature: Buffer }[];
}

export interface Checkpoint {
  origin: string;
  /** Number of leaves. */
  size: number;
  root: Buffer;
}

export function noteVerifier(name: string, publicKey: Buffer): NoteVerifier {
  if (!KEY_NAME.test(name)) throw new TypeError('a key name has no spaces and no plus');
  if (publicKey.length !== ED25519_KEY_BYTES) throw new TypeError('an Ed25519 key has 32 bytes');
  const typed = Buffer.concat([Buffer.from([ED25519_TYPE]), publicKey]);
  const keyId = createHash('sha256').update(`${name}\n`).update(typed).digest().subarray(0, KEY_ID_BYTES);
  return { name, keyId, publicKey };
}

/** `<name>+<8 hex digits>+<base64(type ‖ key)>`, the text form operators exchange. */
export function formatVerifierKey(verifier: NoteVerifier): string {
  const typed = Buffer.concat([Buffer.from([ED25519_TYPE]), verifier.publicKey]);
  return `${verifier.name}+${verifier.keyId.toString('hex')}+${typed.toString('base64')}`;
}

/** @throws NOTE_MALFORMED for another form, another signature type, or an id that is not the key's */
export function parseVerifierKey(text: string): NoteVerifier {
  const match = /^([^+]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})$/.exec(text);
  const [, name = '', id = '', encoded = ''] = match ?? [];
  const typed = fromBase64(encoded);
  if (!KEY_NAME.test(name) || typed.length !== ED25519_KEY_BYTES + 1 || typed[0] !== ED25519_TYPE) {
    throw new AccordError('NOTE_MALFORMED', 'not an Ed25519 verifier key NAME+ID+KEY');
  }
  const verifier = noteVerifier(name, typed.subarray(1));
  if (verifier.keyId.toString('hex') !== id) throw new AccordError('NOTE_MALFORMED', 'the key id is not of this key');
  return verifier;
}

/** The note of `text` (which ends in a newline) signed by one key. */
export function signNote(text: string, verifier: NoteVerifier, sign: (bytes: Buffer) => Buffer): string {
  if (!text.endsWith('\n')) throw new TypeError('the text of a note ends in a newline');
  return `${text}\n${signatureLine(text, verifier, sign)}`;
}

/** One more signature for a note of `text`. */
export function signatureLine(text: string, verifier: NoteVerifier, sign: (bytes: Buffer) => Buffer): string {
  const signature = Buffer.concat([verifier.keyId, sign(Buffer.from(text, 'utf8'))]);
  return `\u2014 ${verifier.name} ${signature.toString('base64')}\n`;
}

/** Splits a note; nothing is verified yet. @throws NOTE_MALFORMED */
export function parseNote(input: Uint8Array | string): SignedNote {
  const note = noteText(input);
  const end = note.lastIndexOf('\n\n');
  const text = note.slice(0, end + 1);
  const lines = note.slice(end + 2).split('\n');
  if (end < 1 || lines.pop() !== '' || lines.length < 1 || lines.length > MAX_SIGNATURES) {
    throw new AccordError('NOTE_MALFORMED', 'a text, an empty line and signature lines are expected');
  }
  const signatures = lines.map((line) => {
    const [dash, name = '', encoded = '', ...more] = line.split(' ');
    const bytes = fromBase64(encoded);
    if (dash !== '\u2014' || !KEY_NAME.test(name) || more.length > 0 || bytes.length <= KEY_ID_BYTES) {
      throw new AccordError('NOTE_MALFORMED', 'a signature line is malformed');
    }
    return { name, keyId: bytes.subarray(0, KEY_ID_BYTES), signature: bytes.subarray(KEY_ID_BYTES) };
  });
  return { text, signatures };
}

/**
 * Parses a note and demands a good signature of `verifier`; lines of other keys are ignored, a bad line of this key
 * refuses the note.
 * @throws NOTE_MALFORMED, NOTE_SIGNATURE_WRONG
 */
export function openNote(input: Uint8Array | string, verifier: NoteVerifier): SignedNote {
  const note = parseNote(input);
  const own = note.signatures.filter((line) => line.name === verifier.name && line.keyId.equals(verifier.keyId));
  const text = Buffer.from(note.text, 'utf8');
  const good = own.every(
    ({ signature }) =>
      signature.length === ED25519_SIGNATURE_BYTES && verifyEd25519(verifier.publicKey, text, signature),
  );
  if (own.length === 0 || !good) throw new AccordError('NOTE_SIGNATURE_WRONG', `no good signature of ${verifier.name}`);
  return note;
}

/** Whether the note carries a good signature of this key. */
export function isSignedBy(input: Uint8Array | string, verifier: NoteVerifier): boolean {
  try {
    openNote(input, verifier);
    return true;
  } catch (error) {
    if (isAccordError(error)) return false;
    throw error;
  }
}

export function checkpointText(checkpoint: Checkpoint): string {
  return `${checkpoint.origin}\n${checkpoint.size}\n${checkpoint.root.toString('base64')}\n`;
}

/** Reads a note's text as a checkpoint without extension lines. @throws NOTE_MALFORMED */
export function parseCheckpointText(text: string): Checkpoint {
  const [origin = '', digits = '', encoded = '', ...rest] = text.split('\n');
  const root = fromBase64(encoded);
  const size = /^(?:0|[1-9][0-9]{0,15})$/.test(digits) ? Number(digits) : Number.NaN;
  if (origin === '' || !Number.isSafeInteger(size) || root.length !== HASH_BYTES || rest.join('\n') !== '') {
    throw new AccordError('NOTE_MALFORMED', 'not a checkpoint: origin, size and root are expected');
  }
  if (rest.length !== 1) throw new AccordError('NOTE_MALFORMED', 'extension lines are not used');
  return { origin, size, root };
}

/** Opens a signed checkpoint of the log `verifier` names. @throws NOTE_MALFORMED, NOTE_SIGNATURE_WRONG */
export function openCheckpoint(input: Uint8Array | string, verifier: NoteVerifier): Checkpoint {
  const checkpoint = parseCheckpointText(openNote(input, verifier).text);
  if (checkpoint.origin !== verifier.name) throw new AccordError('NOTE_MALFORMED', 'a checkpoint of another origin');
  return checkpoint;
}

function noteText(input: Uint8Array | string): string {
  if (input.length > MAX_NOTE_BYTES) throw new AccordError('NOTE_MALFORMED', 'too large');
  let note: string;
  try {
    note = typeof input === 'string' ? input : utf8.decode(input);
  } catch {
    throw new AccordError('NOTE_MALFORMED', 'not UTF-8');
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the note must not contain them
  if (/[\u0000-\u0009\u000b-\u001f]/.test(note) || !note.isWellFormed()) {
    throw new AccordError('NOTE_MALFORMED', 'a control character');
  }
  return note;
}

/** Standard base64 in its one spelling (RFC 4648 section 4); empty for anything else. */
function fromBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : Buffer.alloc(0);
}
