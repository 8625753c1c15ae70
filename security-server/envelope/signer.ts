// Signs what this server says. Everything said in one turn of the event loop is one batch: one tree, one signature
// (DESIGN: the batch is the unit of work). At low load a batch holds one statement and its path is empty.
import type { KeyObject } from 'node:crypto';
import type { SignatureAlgorithm } from '#certs/algorithms.ts';
import { type StatementSignature, signBatch } from '#certs/batch.ts';
import type { Clock } from '#core/clock.ts';
import { TurnEnd } from '#core/turn-end.ts';
import { MAX_BATCH_STATEMENTS } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { HeldAnswer } from '#security-server/certificate-status/answers.ts';

export interface StatementSigner {
  /** Resolves in this turn's end with the statement's place in the batch. @throws KEY_UNUSABLE */
  sign(statement: Buffer): Promise<StatementSignature>;
  /** The OCSP answer that goes with what was signed last; to be asked for in the turn in which `sign` resolved. */
  answer(): HeldAnswer | null;
}

interface Waiting {
  statement: Buffer;
  resolve: (signature: StatementSignature) => void;
  reject: (error: unknown) => void;
}

/** A key to sign with now, and the x5t#S256 of its registered certificate, base64url. */
export interface SigningKey {
  alg: SignatureAlgorithm;
  key: KeyObject;
  certificateHash: string;
}

/**
 * @param current asked for every batch, because certificates are renewed while the server runs; may throw KEY_UNUSABLE
 * @param answerOf the newest OCSP answer about a certificate of this server
 */
export function openSigner(
  current: () => SigningKey,
  clock: Clock,
  answerOf: (certificateHash: string) => HeldAnswer | null = () => null,
): StatementSigner {
  let waiting: Waiting[] = [];
  let last: HeldAnswer | null = null;

  function flush(): void {
    const batch = waiting.slice(0, MAX_BATCH_STATEMENTS);
    if (batch.length === 0) return;
    waiting = waiting.slice(MAX_BATCH_STATEMENTS);
    if (waiting.length > 0) setImmediate(flush);
    try {
      const issuedAtSeconds = Math.floor(clock.nowMs() / 1000);
      const statements = batch.map((one) => one.statement);
      const { certificateHash, ...key } = current();
      const signatures = signBatch(statements, key, certificateHash, issuedAtSeconds);
      last = answerOf(certificateHash);
      for (const [index, one] of batch.entries()) one.resolve(signatures[index] as StatementSignature);
    } catch (cause) {
      const known = isAccordError(cause, 'KEY_UNUSABLE');
      const error = known ? cause : new AccordError('KEY_UNUSABLE', 'the signing key did not sign', { cause });
      for (const one of batch) one.reject(error);
    }
  }

  const turn = new TurnEnd(flush);
  return {
    answer: () => last,
    sign: (statement) =>
      new Promise((resolve, reject) => {
        waiting.push({ statement, resolve, reject });
        turn.add();
      }),
  };
}
