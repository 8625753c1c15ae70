// The body of add-checkpoint (https://c2sp.org/tlog-witness):
//
//     old <size>
//     <hash of the consistency proof, base64>      none to 63 of them
//     <empty line>
//     <signed checkpoint>
//
// Whoever reaches the port controls it.
import { HASH_BYTES } from '#certs/merkle.ts';
import { MAX_ADD_CHECKPOINT_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

const MAX_PROOF_LINES = 63;
const OLD = /^old (0|[1-9][0-9]{0,15})$/;

export interface AddCheckpoint {
  /** What the caller thinks the witness cosigned last; 0 for nothing. */
  oldSize: number;
  /** RFC 9162 2.1.4 from that size to the checkpoint's. */
  proof: Buffer[];
  /** The signed checkpoint, as it came. */
  note: string;
}

/** @throws NOTE_MALFORMED, BODY_TOO_LARGE */
export function parseAddCheckpoint(body: Uint8Array): AddCheckpoint {
  if (body.length > MAX_ADD_CHECKPOINT_BYTES) throw new AccordError('BODY_TOO_LARGE');
  // Every byte of what is read here is ASCII; the note is judged by its own reader.
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const end = bytes.indexOf('\n\n');
  const [first = '', ...lines] = end < 0 ? [] : bytes.toString('latin1', 0, end).split('\n');
  const oldSize = Number(OLD.exec(first)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(oldSize) || lines.length > MAX_PROOF_LINES) {
    throw new AccordError('NOTE_MALFORMED', 'a line `old SIZE`, at most 63 hashes and an empty line are expected');
  }
  const proof = lines.map((line) => {
    const hash = Buffer.from(line, 'base64');
    if (hash.length === HASH_BYTES && hash.toString('base64') === line) return hash;
    throw new AccordError('NOTE_MALFORMED', 'a line of the proof is no SHA-256 in base64');
  });
  const rest = bytes.subarray(end + 2);
  const note = rest.toString('utf8');
  if (!Buffer.from(note, 'utf8').equals(rest)) throw new AccordError('NOTE_MALFORMED', 'not UTF-8');
  return { oldSize, proof, note };
}

export function formatAddCheckpoint({ oldSize, proof, note }: AddCheckpoint): Buffer {
  return Buffer.from(
    `old ${oldSize}\n${proof.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${note}`,
    'utf8',
  );
}
