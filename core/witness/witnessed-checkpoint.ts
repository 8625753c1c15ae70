// What a witness saw last of a log, for a log that was put back from a backup and knows less: the checkpoint that the next
// origin has to cite (DESIGN: the message log). The registry says the size (C2SP tlog-witness, 409) and shows the aggregate
// log's leaf, which is the checkpoint. It controls both; the checkpoint is believed for the log's own signature.
import type { BoundedClient } from '#core/http/client.ts';
import { type Checkpoint, type NoteVerifier, openCheckpoint } from '#core/log/signed-note.ts';
import { parseJsonObject } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { formatAddCheckpoint } from './add-checkpoint.ts';

const TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 128 * 1024;

export interface WitnessedCheckpoint extends Checkpoint {
  note: string;
}

/**
 * @param url of the registry's configuration port, without a slash at its end
 * @param held the newest checkpoint that is held here
 * @returns null when the witness knows no more than that
 * @throws PEER_*, WITNESS_REFUSED when it does not say, NOTE_* for a checkpoint that the log's key did not sign
 */
export async function newestWitnessed(
  http: BoundedClient,
  url: string,
  held: WitnessedCheckpoint,
  verifier: NoteVerifier,
): Promise<WitnessedCheckpoint | null> {
  const bounds = { timeoutMs: TIMEOUT_MS, maxResponseBytes: MAX_ANSWER_BYTES };
  const asked = await http.request({
    ...{ method: 'POST', url: `${url}/witness/add-checkpoint`, ...bounds },
    headers: [['content-type', 'text/plain; charset=utf-8']],
    body: formatAddCheckpoint({ oldSize: held.size, proof: [], note: held.note }),
  });
  if (asked.status === 200) return null;
  const size = Number(/^(0|[1-9][0-9]{0,15})\n$/.exec(asked.body.toString('latin1'))?.[1] ?? Number.NaN);
  if (asked.status !== 409 || !Number.isSafeInteger(size)) {
    throw new AccordError('WITNESS_REFUSED', `status ${asked.status}`);
  }
  if (size <= held.size) return null;
  const place = `${url}/aggregate/anchoring?origin=${encodeURIComponent(held.origin)}&size=${size}`;
  const shown = await http.request({ method: 'GET', url: place, ...bounds });
  if (shown.status !== 200) throw new AccordError('WITNESS_REFUSED', `size ${size}, status ${shown.status}`);
  const { checkpoint: note } = parseJsonObject(shown.body);
  if (typeof note !== 'string') throw new AccordError('NOTE_MALFORMED', 'no checkpoint');
  const checkpoint = openCheckpoint(note, verifier);
  if (checkpoint.size !== size) throw new AccordError('NOTE_MALFORMED', 'a checkpoint of another size');
  return { ...checkpoint, note };
}
