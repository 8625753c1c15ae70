// The change of the aggregate log's key: a note by which the key before names the one after it, signed by both, so that neither
// somebody who stole the old key, nor somebody who put a new one into a draft, changes it alone. Two approvers then
// sign a content that names the new key; what was signed before is judged by the contents of its own days.
//
// Text: "accord-aggregate-key/1", the log's origin, the key before, the key after (C2SP text), each with a line feed.
import {
  formatVerifierKey,
  type NoteVerifier,
  openNote,
  parseVerifierKey,
  signatureLine,
} from '#core/log/signed-note.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';

const HEAD = 'accord-aggregate-key/1';
const NOTE = /^accord-aggregate-key\/1\n([^\n]{1,400})\n([^\n]{1,600})\n([^\n]{1,600})\n\n/;

interface HandoverSigner {
  verifier: NoteVerifier;
  sign: (bytes: Buffer) => Buffer;
}

export function makeHandover(from: HandoverSigner, to: HandoverSigner): string {
  const keys = [from, to].map(({ verifier }) => formatVerifierKey(verifier));
  const text = `${[HEAD, to.verifier.name, ...keys].join('\n')}\n`;
  return `${text}\n${[from, to].map(({ verifier, sign }) => signatureLine(text, verifier, sign)).join('')}`;
}

/** @throws CONFIGURATION_INVALID for a note that is none, or that not both keys signed */
export function readHandover(note: string): { from: NoteVerifier; to: NoteVerifier } {
  const [, origin, before = '', after = ''] = NOTE.exec(note) ?? [];
  try {
    const [from, to] = [parseVerifierKey(before), parseVerifierKey(after)];
    const isPlain = from.name === origin && to.name === origin && before !== after;
    if (!isPlain) throw new AccordError('CONFIGURATION_INVALID', 'a handover between other logs');
    const { signatures } = openNote(note, from);
    openNote(note, to);
    if (signatures.length !== 2) throw new AccordError('CONFIGURATION_INVALID', 'a handover with other signatures');
    return { from, to };
  } catch (error) {
    if (!isAccordError(error)) throw error;
    throw new AccordError('CONFIGURATION_INVALID', `handover of the aggregate log: ${error.code} ${error.detail}`);
  }
}
