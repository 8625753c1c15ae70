// Message logs filled with made exchanges: real statements in real signed batches, for measurements and campaigns. The
// ids, the questions and the key that signs are thrown away; the log that is written is an ordinary one.
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { signBatch } from '#certs/batch.ts';
import { commit, sha256 } from '#certs/commitment.ts';
import { exportSpki } from '#certs/keys.ts';
import { systemClock } from '#core/clock.ts';
import type { MessageLogOptions, NewRecord } from '#core/log/message-log.ts';
import { newMessageId } from '#core/message-id.ts';
import { encodeStatement, type Statement } from '#schemas/statement.ts';

/** Whose log it is, and who answers. */
export const MADE_SERVER = 'DEV/GOV/1001/ss1';
export const MADE_PEER = 'DEV/GOV/2002/ss2';
const CLIENT = 'DEV/GOV/1001/consumer';
const SERVICE = 'DEV/GOV/2002/provider/echo';
const CONFIGURATION = { version: 1, hash: sha256('configuration') };
const CERTIFICATE = createHash('sha256').update('certificate').digest('base64url');
const signer = { alg: 'ES256', key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey } as const;

/** Who signed all of it: the key by the hash of a certificate that there is none of. */
export const MADE_SIGNERS: ReadonlyMap<string, Uint8Array> = new Map([[CERTIFICATE, exportSpki(signer.key)]]);

/** What a log in `folder` is opened with; keys are fresh. The layout is that of a server's data folder. */
export function madeLogOptions(folder: string): MessageLogOptions {
  return {
    folder: join(folder, 'log'),
    keyFolder: join(folder, 'record-keys'),
    checkpointFile: join(folder, 'checkpoint.txt'),
    origin: `accord/${MADE_SERVER}`,
    checkpointKey: generateKeyPairSync('ed25519').privateKey,
    storageKey: randomBytes(32),
    clock: systemClock,
  };
}

export interface MadeBatch {
  /** Statements under one signature, 1…256. */
  size: number;
  nowMs: number;
  /** Keep what the statements commit to, enciphered, as a server that answers again must. */
  sealed: boolean;
}

/** The requests of one batch, as the consumer's server logs them. */
export function madeRequests({ size, nowMs, sealed }: MadeBatch): NewRecord[] {
  return signed(
    Array.from({ length: size }, () => ({ id: newMessageId(nowMs), kind: 'request', at: nowMs })),
    sealed,
  );
}

/**
 * The answers to requests of `madeRequests`, in a batch of their own.
 * @param firstIndex where the first of the requests stands in the log of who answers, the others behind it
 */
export function madeAnswers(
  requests: readonly NewRecord[],
  nowMs: number,
  sealed: boolean,
  firstIndex = 0,
): NewRecord[] {
  const changes = requests.map(({ evidence }, index) => ({
    id: newMessageId(nowMs),
    kind: 'response' as const,
    at: nowMs,
    from: MADE_PEER,
    to: MADE_SERVER,
    request: sha256(evidence?.statement ?? Buffer.alloc(0)),
    log: { origin: `accord/${MADE_PEER}`, index: firstIndex + index },
    decisionHash: CERTIFICATE,
  }));
  return signed(changes, sealed).map((record, index) => ({
    ...record,
    kind: 'response-received',
    id: requests[index]?.id ?? record.id,
    code: 'OK',
  }));
}

function signed(changes: readonly (Partial<Statement> & Pick<Statement, 'id' | 'at' | 'kind'>)[], sealed: boolean) {
  const drafts = changes.map((change) => {
    const parts = {
      context: Buffer.from('{"v":1,"method":"GET","path":"/residents/110101199003077758","query":""}'),
      contextSalt: randomBytes(32),
      body: randomBytes(200),
      bodySalt: randomBytes(32),
    };
    const statement: Statement = {
      v: 1,
      from: MADE_SERVER,
      to: MADE_PEER,
      client: CLIENT,
      service: SERVICE,
      purpose: 'medical-assistance',
      basis: 'law',
      context: { commitment: commit(parts.contextSalt, parts.context) },
      body: { commitment: commit(parts.bodySalt, parts.body) },
      configuration: CONFIGURATION,
      ...change,
    };
    return { parts, statement, bytes: encodeStatement(statement) };
  });
  const iat = Math.floor((changes[0]?.at ?? 0) / 1000);
  const signatures = signBatch(
    drafts.map(({ bytes }) => bytes),
    signer,
    CERTIFICATE,
    iat,
  );
  return drafts.map(({ parts, statement, bytes }, i): NewRecord => {
    const signature = signatures[i] ?? { jws: '', index: 0, size: 0, path: [] };
    return {
      kind: 'request-sent',
      id: statement.id,
      peer: MADE_PEER,
      client: CLIENT,
      service: SERVICE,
      purpose: statement.purpose,
      basis: statement.basis,
      code: null,
      decisionHash: null,
      configurationVersion: 1,
      retention: 'standard',
      evidence: { statement: bytes, signature },
      sealed: sealed ? parts : null,
    };
  });
}
