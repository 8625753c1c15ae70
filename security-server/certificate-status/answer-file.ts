// The OCSP answers that outlast a restart: those of this server's own certificates, and those that say `revoked`. One JSON
// file in the data folder; the server's administrator controls it.
import { readFileSync } from 'node:fs';
import { sha256 } from '#certs/commitment.ts';
import { replaceFile } from '#core/replace-file.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { Sha256 } from '#schemas/registrations.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import type { HeldAnswer } from './answers.ts';

const closed = { additionalProperties: false };
const Kept = Type.Object(
  {
    certificate: Sha256,
    status: Type.Union([Type.Literal('good'), Type.Literal('revoked')]),
    reason: Type.Union([Type.String({ maxLength: 32 }), Type.Null()]),
    thisUpdateMs: Type.Integer(),
    endsMs: Type.Integer(),
    answer: Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength: 24_000 }),
  },
  closed,
);
const MAX_KEPT = 2_000;
const AnswerFile = Type.Object({ v: Type.Literal(1), answers: Type.Array(Kept, { maxItems: MAX_KEPT }) }, closed);
const check = compile(AnswerFile, 'CERTIFICATE_STATUS_UNREADABLE');
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** @throws CERTIFICATE_STATUS_UNREADABLE: forgetting what is revoked is not this server's decision */
export function readAnswers(file: string): HeldAnswer[] {
  const bytes = readOrNone(file);
  if (bytes === null) return [];
  let kept: Static<typeof AnswerFile>;
  try {
    kept = check(parseJson(bytes, { maxBytes: MAX_FILE_BYTES, maxDepth: 4, maxValues: 20_000 }));
  } catch (cause) {
    throw new AccordError('CERTIFICATE_STATUS_UNREADABLE', file, { cause });
  }
  return kept.answers.map(({ answer, ...facts }) => {
    const der = fromBase64url(answer);
    return { ...facts, der, hash: sha256(der) };
  });
}

/** Durable when it returns. At most the first 2,000 are kept. */
export function writeAnswers(file: string, answers: readonly HeldAnswer[]): void {
  const kept = answers.slice(0, MAX_KEPT).map(({ certificate, status, reason, thisUpdateMs, endsMs, der }) => {
    return { certificate, status, reason, thisUpdateMs, endsMs, answer: der.toString('base64url') };
  });
  replaceFile(file, Buffer.from(`${JSON.stringify({ v: 1, answers: kept })}\n`), 0o600);
}

function readOrNone(file: string): Buffer | null {
  try {
    return readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
