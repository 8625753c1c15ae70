// What a logged anchoring says of itself, for operators: who cosigned and whose time-stamps it holds. Nothing is verified
// here; the server did so before it logged it, and an audit does so again.
import { readTimeStampToken, timeStampSignerName } from '#certs/time-stamp.ts';
import { parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import { parseAnchoring } from '#schemas/anchoring.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { isAccordError } from '#schemas/problems.ts';

export interface AnchoringFacts {
  /** Entries before it are covered. */
  size: number;
  /** Names on both checkpoints but those of the logs themselves, ascending. */
  witnesses: string[];
  /** By the authorities' certificates; `unknown` where a token does not carry it. */
  stamps: { authority: string; genTimeMs: number }[];
}

/** @throws ANCHORING_MALFORMED, NOTE_MALFORMED */
export function anchoringFacts(note: Uint8Array): AnchoringFacts {
  const { checkpoint, aggregate, tokens } = parseAnchoring(note);
  const notes = [checkpoint, ...(aggregate === null ? [] : [aggregate.checkpoint])].map(parseNote);
  const names = notes.flatMap(({ text, signatures }) => {
    const { origin } = parseCheckpointText(text);
    return signatures.flatMap(({ name }) => (name === origin ? [] : [name]));
  });
  const stamps = tokens.flatMap(({ token }) => {
    const der = fromBase64url(token);
    try {
      return [{ authority: timeStampSignerName(der) ?? 'unknown', genTimeMs: readTimeStampToken(der).genTimeMs }];
    } catch (error) {
      if (!isAccordError(error)) throw error;
      return [];
    }
  });
  return { size: parseCheckpointText(notes[0]?.text ?? '').size, witnesses: [...new Set(names)].sort(), stamps };
}

/** For one line of text. */
export function sayAnchoring({ size, witnesses, stamps }: AnchoringFacts): string {
  const cosigned = witnesses.length === 0 ? 'cosigned by nobody' : `cosigned by ${witnesses.join(', ')}`;
  const stamped = stamps.map(({ authority, genTimeMs }) => `${authority} at ${new Date(genTimeMs).toISOString()}`);
  return `${size} entries; ${cosigned}; time-stamped by ${stamped.join(', ') || 'nobody'}`;
}
