// Asks a witness for cosignatures (https://c2sp.org/tlog-witness, the client's side). The witness controls everything that
// comes back: nothing of it is believed before goodCosignatures (cosignature.ts) verified it.

import type { BoundedClient } from '#core/http/client.ts';
import { parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import { AccordError } from '#schemas/problems.ts';
import { formatAddCheckpoint } from './add-checkpoint.ts';
import { type Cosignature, type CosignerKey, goodCosignatures } from './cosignature.ts';

const MAX_ANSWER_BYTES = 64 * 1024;
const TIMEOUT_MS = 10_000;
/** A witness that was restarted, or that another client told of the log meanwhile, says its size. */
const MAX_TRIES = 3;

export interface WitnessRequest {
  /** The witness's submission prefix, without a slash at its end. */
  url: string;
  /** Whose lines are believed. */
  keys: readonly CosignerKey[];
  /** The signed checkpoint. */
  note: string;
  /** What the witness cosigned last, as far as is known; a wrong guess costs a round trip. */
  oldSize: number;
  /** RFC 9162 2.1.4 from a size that is not larger than the checkpoint's. */
  proofFrom(oldSize: number): Buffer[];
  timeoutMs?: number;
  signal?: AbortSignal;
}

export type WitnessReply =
  /** `lines`: the cosignature lines that verify, each with its line feed. */
  | { kind: 'cosigned'; lines: string[]; cosignatures: Cosignature[] }
  /** It holds a larger tree, or another one of this size: one of the two was put back, or there are two histories. */
  | { kind: 'ahead'; size: number }
  | { kind: 'refused'; status: number };

/** @throws PEER_* (core/http/client.ts); WITNESS_ANSWER_WRONG for an answer that says nothing or is signed by others */
export async function askWitness(http: BoundedClient, request: WitnessRequest): Promise<WitnessReply> {
  const { text } = parseNote(request.note);
  const { size } = parseCheckpointText(text);
  let oldSize = Math.min(request.oldSize, size);
  for (let tries = 1; ; tries++) {
    const answer = await http.request({
      method: 'POST',
      url: `${request.url}/add-checkpoint`,
      headers: [['content-type', 'text/plain; charset=utf-8']],
      body: formatAddCheckpoint({ oldSize, proof: request.proofFrom(oldSize), note: request.note }),
      timeoutMs: request.timeoutMs ?? TIMEOUT_MS,
      maxResponseBytes: MAX_ANSWER_BYTES,
      ...(request.signal && { signal: request.signal }),
    });
    if (answer.status === 200) return cosigned(text, answer.body, request.keys);
    if (answer.status !== 409) return { kind: 'refused', status: answer.status };
    const held = /^(0|[1-9][0-9]{0,15})\n$/.exec(answer.body.toString('latin1'))?.[1];
    if (held === undefined || !Number.isSafeInteger(Number(held))) {
      throw new AccordError('WITNESS_ANSWER_WRONG', 'a conflict without a size');
    }
    // The size that was asked for: it has another root there.
    if (Number(held) > size || (Number(held) === size && oldSize === size))
      return { kind: 'ahead', size: Number(held) };
    if (tries === MAX_TRIES) return { kind: 'refused', status: 409 };
    oldSize = Number(held);
  }
}

/** Only what verifies goes on, each line in its one spelling and each key once. */
function cosigned(text: string, body: Buffer, keys: readonly CosignerKey[]): WitnessReply {
  const note = `${text}\n${body.toString('utf8')}`;
  const cosignatures = goodCosignatures(note, keys);
  if (cosignatures.length === 0) throw new AccordError('WITNESS_ANSWER_WRONG', 'no cosignature of a known key');
  return { kind: 'cosigned', lines: cosignatureLines(note, keys), cosignatures };
}

/** The lines of a note whose cosignatures verify, in the order of the keys. @throws NOTE_MALFORMED */
export function cosignatureLines(note: Uint8Array | string, keys: readonly CosignerKey[]): string[] {
  const { text, signatures } = parseNote(note);
  return keys.flatMap((key) => {
    for (const { name, keyId, signature } of signatures) {
      if (name !== key.name || !keyId.equals(key.keyId)) continue;
      const line = `\u2014 ${name} ${Buffer.concat([keyId, signature]).toString('base64')}\n`;
      if (goodCosignatures(`${text}\n${line}`, [key]).length > 0) return [line];
    }
    return [];
  });
}
