// Settling a request of this server whose outcome is unknown: the peer is asked under a statement of kind `settlement`
// and answers with its signed record, or durably voids the id. Question, reply and a redelivered answer are logged like
// every other message. A crash anywhere in between is mended by asking again.

import { sha256 } from '#certs/commitment.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { RecordView } from '#core/log/message-log.ts';
import { newMessageId } from '#core/message-id.ts';
import { ByteReader } from '#schemas/bytes.ts';
import { parseAnswerContext } from '#schemas/context.ts';
import { CLOCK_WINDOW_MS, DEFAULT_DEADLINE_MS, MAX_BODY_BYTES, MAX_PEER_MESSAGE_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { parseStatement, type Statement } from '#schemas/statement.ts';
import { wholeBody } from '#security-server/body.ts';
import { decodeHead } from '#security-server/envelope/frame.ts';
import { draft, sign } from '#security-server/envelope/outgoing.ts';
import type { VerifiedMessage } from '#security-server/envelope/verify.ts';
import { recordOf } from '#security-server/records.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import type { Caller } from './call.ts';
import {
  type Arrived,
  accept,
  type LoggedRequest,
  type LookupResult,
  mustAnswer,
  receive,
  sendOnce,
} from './exchange.ts';
import { ownRequest } from './own-request.ts';

export interface Settled {
  id: string;
  /** `answered`: `result` is the original answer. `received`: the provider has the request and no answer. `void`: it
   * never ran and never will. `unknown`: the provider could not be asked; try again. */
  state: 'answered' | 'received' | 'void' | 'unknown';
  code: 'OK' | ProblemCode | string;
  result: LookupResult | null;
}

/** @throws NOTHING_TO_SETTLE, CALLER_NOT_ALLOWED, PROVIDER_UNKNOWN, LOG_UNAVAILABLE */
export async function settleRequest(server: ConsumerParts, id: string, caller: Caller): Promise<Settled> {
  const records = await server.log.find(null, id);
  const sent = records.find(({ entry }) => entry.kind === 'request-sent');
  if (sent?.evidence == null) throw new AccordError('NOTHING_TO_SETTLE', id);
  const request = parseStatement(sent.evidence.statement);
  caller.authenticate(request.client);
  const original = await loggedRequest(server, sent, request);
  // The same id may have gone to several servers in turn; only the last of them may have run it.
  const isAnswer = ({ entry: { kind, peer } }: RecordView) =>
    /^(?:response|refusal)-received$/.test(kind) && peer === request.to;
  const logged = records.find(isAnswer);
  if (logged !== undefined && logged.entry.code !== 'MESSAGE_REPLAYED') {
    return { id, state: 'answered', code: 'OK', result: await fromLog(server, original, logged) };
  }
  const snapshot = server.configuration.current();
  const peer = snapshot.server(request.to);
  if (peer === undefined) throw new AccordError('PROVIDER_UNKNOWN', request.to);
  const question = await ask(server, request, original.signed.statementHash);
  const delivery = await sendOnce(server, peer, question.signed, DEFAULT_DEADLINE_MS);
  if (delivery.state !== 'answered') return { id, state: 'unknown', code: delivery.code, result: null };
  if ('stream' in delivery) {
    delivery.stream.destroy();
    return { id, state: 'unknown', code: 'ANSWER_MISMATCH', result: null };
  }
  try {
    return await readReply(server, original, question, peer, 'bytes' in delivery ? delivery.bytes : delivery.opened);
  } catch (error) {
    // Whatever is wrong with the reply, nothing is known that was not known before.
    if (!isAccordError(error) || error.code === 'LOG_UNAVAILABLE') throw error;
    server.metrics.unverified(error.code);
    server.logger.warn({ id, peer: peer.id, code: error.code, detail: error.detail }, 'settlement refused');
    return { id, state: 'unknown', code: error.code, result: null };
  }
}

async function readReply(
  server: ConsumerParts,
  original: LoggedRequest,
  question: LoggedRequest,
  peer: ServerEntry,
  bytes: Arrived,
): Promise<Settled> {
  const { id } = original.signed.statement;
  const { statement, statementHash } = question.signed;
  const reply = await receive(server, peer, bytes, statement, statementHash);
  const told = await accept(server, question, reply, peer);
  if (told.code === 'VOID') return { id, state: 'void', code: 'OUTCOME_VOID', result: null };
  if (told.code === 'RECEIVED') return { id, state: 'received', code: 'OUTCOME_UNKNOWN', result: null };
  if (told.code !== 'ANSWERED' || told.answer === null) return { id, state: 'unknown', code: told.code, result: null };
  const answer = readRedelivered(server, original, peer.id, wholeBody(told.answer.body));
  return { id, state: 'answered', code: 'OK', result: await accept(server, original, answer, peer) };
}

/** The request as it was signed, from the log: its context, while it is kept, judges the answer; its body is not needed. */
async function loggedRequest(
  server: ConsumerParts,
  { entry, evidence }: RecordView,
  statement: Statement,
): Promise<LoggedRequest> {
  const nothing = Buffer.alloc(0);
  const bytes = evidence?.statement ?? nothing;
  const context = (await server.log.readSealed(entry.seq))?.context ?? nothing;
  const parts = { context, contextSalt: nothing, body: nothing, bodySalt: nothing };
  const signature = { jws: '', index: 0, size: 1, path: [] };
  const signed = { ...parts, statement, statementBytes: bytes, statementHash: sha256(bytes), signature };
  return { signed, seq: entry.seq };
}

/** Builds, signs and durably logs the question. */
async function ask(server: ConsumerParts, request: Statement, requestHash: string): Promise<LoggedRequest> {
  const nowMs = server.clock.nowMs();
  const { version, hash } = server.configuration.current();
  const { to, client, service, purpose, basis } = request;
  const body = { length: 0, type: null };
  const context = ownRequest({ method: 'GET', path: '', body, settles: request.id });
  const drafted = draft(
    {
      id: newMessageId(nowMs),
      kind: 'settlement',
      from: server.self,
      to,
      client,
      service,
      at: nowMs,
      purpose,
      basis,
      configuration: { version, hash },
      request: requestHash,
    },
    context,
    Buffer.alloc(0),
  );
  const signed = await sign(drafted, server.signer);
  const { id } = drafted.statement;
  const retention = server.retention.ofClient(client, service);
  const facts = { kind: 'settlement-sent' as const, id, peer: to, code: 'OK', retention };
  const { seq } = await server.log.append(recordOf(signed, facts));
  return { signed, seq };
}

/** Verifies the original answer as of its own time: it may be older than the window, never older than its request. */
function readRedelivered(
  server: ConsumerParts,
  original: LoggedRequest,
  peerId: string,
  bytes: Buffer,
): VerifiedMessage {
  const reader = new ByteReader(bytes);
  const head = decodeHead(reader.field(MAX_PEER_MESSAGE_BYTES));
  const body = Buffer.from(reader.field(MAX_BODY_BYTES));
  reader.end();
  const snapshot = server.configuration.current();
  const peer = snapshot.server(peerId);
  if (peer === undefined) throw new AccordError('PROVIDER_UNKNOWN', peerId);
  const statement = parseStatement(head.statement);
  const { statement: request, statementHash } = original.signed;
  const opened = { peer, frameId: request.id, head, statement, statementHash: sha256(head.statement), body };
  if (statement.from !== peer.id) throw new AccordError('SENDER_WRONG', peer.id);
  if (statement.to !== server.self) throw new AccordError('ADDRESSEE_WRONG', server.self);
  const nowMs = server.clock.nowMs();
  const isPlausible = statement.at >= request.at - CLOCK_WINDOW_MS && statement.at <= nowMs + CLOCK_WINDOW_MS;
  if (!isPlausible) throw new AccordError('CLOCK_OUT_OF_WINDOW', 'redelivered answer');
  const message = server.verifier.verify(opened, snapshot, Math.min(statement.at, nowMs));
  mustAnswer(statement, request, statementHash);
  return message;
}

/** The answer that this server had logged already: what a repeated question gets. */
async function fromLog(
  server: ConsumerParts,
  request: LoggedRequest,
  record: RecordView,
): Promise<LookupResult | null> {
  const parts = await server.log.readSealed(record.entry.seq);
  if (record.evidence === null || !parts?.context || !parts.body) return null;
  const statement = parseStatement(record.evidence.statement);
  const context = parseAnswerContext(parts.context);
  const isRefusal = statement.kind === 'refusal';
  // What this server would not show then, it does not show now.
  const code = record.entry.code ?? context.code;
  const isWithheld = code === 'OVER_DELIVERED';
  return {
    id: request.signed.statement.id,
    outcome: isRefusal ? 'refused' : code === 'OK' ? 'ok' : 'provider-error',
    code,
    detail: '',
    answer: isWithheld ? null : { context, body: parts.body },
    evidence: {
      requestHash: request.signed.statementHash,
      log: { origin: server.log.origin, request: request.seq, answer: record.entry.seq },
      provider: {
        server: statement.from,
        log: statement.log ?? { origin: '', index: 0 },
        decisionHash: statement.decisionHash ?? null,
      },
    },
    retryAfterMs: null,
  };
}
