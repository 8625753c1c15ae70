// One message as it goes into the message log: the entry's facts from the statement, the evidence, the sealed parts.

import type { StatementSignature } from '#certs/batch.ts';
import type { NewRecord } from '#core/log/message-log.ts';
import type { Statement } from '#schemas/statement.ts';
import { isSpooled, type MessageBody } from './body.ts';
import type { HeldAnswer } from './certificate-status/answers.ts';

interface Message {
  statement: Statement;
  statementBytes: Buffer;
  signature: StatementSignature;
  context: Buffer;
  contextSalt: Buffer;
  body: MessageBody;
  bodySalt: Buffer;
  answer?: HeldAnswer | null;
}

export interface RecordFacts {
  kind: NewRecord['kind'];
  /** The exchange's id: the request's message id, also for its answer. */
  id: string;
  peer: string;
  code: string;
  retention: string;
  decisionInputs?: Buffer;
  claim?: NewRecord['claim'];
}

/** That a request never left, where the log has the request already. */
export function notSentRecord(statement: Statement, code: string): NewRecord {
  const { client, service, purpose, basis } = statement;
  return {
    kind: 'summary',
    id: statement.id,
    peer: statement.to,
    client,
    service,
    purpose,
    basis,
    code: `NOT_SENT_${code}`,
    decisionHash: null,
    configurationVersion: statement.configuration.version,
    retention: 'standard',
    evidence: null,
    sealed: null,
  };
}

export function recordOf(message: Message, facts: RecordFacts): NewRecord {
  const { statement, statementBytes, signature, context, contextSalt, body, bodySalt } = message;
  return {
    kind: facts.kind,
    id: facts.id,
    peer: facts.peer,
    client: statement.client,
    service: statement.service,
    purpose: statement.purpose,
    basis: statement.basis,
    code: facts.code,
    decisionHash: statement.decisionHash ?? null,
    configurationVersion: statement.configuration.version,
    retention: facts.retention,
    answer: message.answer ?? null,
    evidence: { statement: statementBytes, signature },
    sealed: {
      context,
      contextSalt,
      // A spooled body is not kept: its commitment stands in the statement, the departments hold the bytes.
      ...(isSpooled(body) ? {} : { body }),
      bodySalt,
      ...(facts.decisionInputs === undefined ? {} : { decisionInputs: facts.decisionInputs }),
    },
    ...(facts.claim === undefined ? {} : { claim: facts.claim }),
  };
}
