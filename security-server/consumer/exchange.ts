// The consumer's side of one exchange, in the protocol's order: resolve → build → sign → log → seal → send → open →
// verify → match → log → answer. Nothing leaves before its record is durable, and no answer is shown before its own is.
//
// A crash before the request entry is durable: nothing was sent. After it: the outcome is unknown to this server until
// it is settled; the department sees that in `accord log show` and asks with the message id.
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConfigurationSnapshot, ServerEntry } from '#core/configuration/snapshot.ts';
import { newMessageId } from '#core/message-id.ts';
import { underWay } from '#core/turn-end.ts';
import { type AnswerContext, parseAnswerContext, type RequestContext } from '#schemas/context.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import { metaserviceOf } from '#schemas/metaservices.ts';
import { AccordError, type ProblemCode } from '#schemas/problems.ts';
import type { Statement } from '#schemas/statement.ts';
import { isSpooled, type MessageBody, removeBody } from '#security-server/body.ts';
import type { BatchedMessage } from '#security-server/envelope/batch.ts';
import { type OpenedHead, type OpenedMessage, openBatched, openMessage } from '#security-server/envelope/incoming.ts';
import { draft, type SignedMessage, sign } from '#security-server/envelope/outgoing.ts';
import { openStream, transferMs } from '#security-server/envelope/stream.ts';
import type { VerifiedMessage } from '#security-server/envelope/verify.ts';
import { type Delivery, sealedFor } from '#security-server/peer/link.ts';
import { notSentRecord, recordOf } from '#security-server/records.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import type { Call } from './call.ts';
import { contextOf } from './once-read.ts';
import { alarmCall, overDelivery } from './over-delivery.ts';

const MAX_ATTEMPTS = 3;
const RETRY_DELAY_MS = 100;
const MAX_RETRY_DELAY_MS = 2_000;

interface Evidence {
  /** SHA-256 of the request statement, base64url. */
  requestHash: string;
  /** This server's entry of the request; of the answer, when there is one. */
  log: { origin: string; request: number; answer: number | null };
  /** The provider's entry of the request, as its signed answer states it. */
  provider: { server: string; log: { origin: string; index: number }; decisionHash: string | null } | null;
}

type Outcome = 'ok' | 'refused' | 'not-sent' | 'provider-error' | 'unknown';

export interface LookupResult {
  id: string;
  outcome: Outcome;
  /** `OK` or the code that explains the outcome; `detail` may be shown to the caller. */
  code: 'OK' | ProblemCode | string;
  detail: string;
  /** A spooled body is removed by who asked. */
  answer: { context: AnswerContext; body: MessageBody } | null;
  evidence: Evidence;
  retryAfterMs: number | null;
}

/** A signed request whose entry in the log is durable; only this may be sent. */
export interface LoggedRequest {
  signed: SignedMessage;
  seq: number;
}

/**
 * Runs one exchange.
 * @throws before anything is logged: MAINTENANCE_MODE, CLIENT_NOT_HERE, SERVICE_UNKNOWN, PROVIDER_UNKNOWN, CONFIGURATION_TOO_OLD,
 *   ANCHORING_OVERDUE, and LOG_UNAVAILABLE, LOG_BUSY, KEY_UNUSABLE; afterwards every end is a LookupResult
 */
export async function exchange(server: ConsumerParts, call: Call): Promise<LookupResult> {
  const startedMs = server.clock.monotonicMs();
  const snapshot = usableConfiguration(server, call.client);
  const providers = resolveProvider(snapshot, call);
  const transfer = isSpooled(call.body) ? transferMs(call.body.length) * 2 : 0;
  const deadlineMs = startedMs + call.deadlineMs + transfer;
  underWay.count += 1;
  const { result, peer } = await deliver(server, snapshot, call, providers, deadlineMs).finally(() => {
    underWay.count -= 1;
  });
  server.metrics.exchange({
    side: 'consumer',
    id: result.id,
    peer: peer.id,
    client: call.client,
    service: call.service,
    outcome: result.outcome,
    code: result.code,
    status: result.answer?.context.status ?? 0,
    durationMs: server.clock.monotonicMs() - startedMs,
    requestBytes: call.body.length,
    answerBytes: result.answer?.body.length ?? 0,
  });
  return result;
}

/** @throws MAINTENANCE_MODE */
export function requireNoMaintenance({ state }: ConsumerParts): void {
  const maintenance = state.maintenance();
  if (maintenance !== null) throw new AccordError('MAINTENANCE_MODE', maintenance.notice);
}

function usableConfiguration(server: ConsumerParts, client: string): ConfigurationSnapshot {
  requireNoMaintenance(server);
  const snapshot = server.configuration.current();
  if (server.configuration.freshness() === 'too-old') throw new AccordError('CONFIGURATION_TOO_OLD');
  server.anchoring.grace.requireInTime();
  if (!(snapshot.server(server.self)?.subsystems.has(client) ?? false))
    throw new AccordError('CLIENT_NOT_HERE', client);
  return snapshot;
}

function resolveProvider(
  snapshot: ConfigurationSnapshot,
  { service, context }: Pick<Call, 'service' | 'context'>,
): readonly ServerEntry[] {
  const provider = subsystemOfService(service);
  const servers = snapshot.serversOf(provider);
  if (servers.length === 0) throw new AccordError('PROVIDER_UNKNOWN', provider);
  if (snapshot.service(service) !== undefined) return servers;
  // Every provider has X-Road's metaservices, and nobody registers them.
  const isMeta = metaserviceOf(service) !== null && contextOf(context).xroad !== null;
  if (!isMeta) throw new AccordError('SERVICE_UNKNOWN', service);
  return servers;
}

/**
 * Sends to the provider's servers in turn until one was reached that is not in maintenance. Each attempt is a statement of
 * its own, addressed to one server and logged; they share the id, because nothing of the earlier ones ever ran: it was
 * not sent, or its server signed that it did nothing. What may have run is never sent to another server.
 */
async function deliver(
  server: ConsumerParts,
  snapshot: ConfigurationSnapshot,
  call: Call,
  providers: readonly ServerEntry[],
  deadlineMs: number,
): Promise<{ result: LookupResult; peer: ServerEntry }> {
  const turns = server.choice.order(providers, call.server ?? null);
  const id = call.id ?? newMessageId(server.clock.nowMs());
  for (const [turn, peer] of turns.entries()) {
    const request = await buildSignLog(server, snapshot, call, id, peer);
    const attempts = turns.length === 1 ? MAX_ATTEMPTS : 1;
    const delivery = await sendUntil(server, peer, request, deadlineMs, attempts);
    // With its entry in the log: of the answer, or that nothing was sent.
    const result = await conclude(server, request, peer, delivery);
    const isAway = result.outcome === 'not-sent' || isInMaintenance(result);
    server.choice.note(peer.id, !isAway);
    const isOver = turn === turns.length - 1 || server.clock.monotonicMs() >= deadlineMs;
    if (!isAway || isOver) return { result, peer };
  }
  throw new TypeError('a provider without a server');
}

/** The server's signed word that nothing was done. */
function isInMaintenance({ outcome, code }: LookupResult): boolean {
  return outcome === 'refused' && code === 'MAINTENANCE_MODE';
}

async function buildSignLog(
  server: ConsumerParts,
  snapshot: ConfigurationSnapshot,
  call: Call,
  id: string,
  to: ServerEntry,
): Promise<LoggedRequest> {
  const nowMs = server.clock.nowMs();
  const drafted = draft(
    {
      id,
      kind: 'request',
      from: server.self,
      to: to.id,
      client: call.client,
      service: call.service,
      at: nowMs,
      purpose: call.purpose,
      basis: call.basis,
      configuration: { version: snapshot.version, hash: snapshot.hash },
    },
    call.context,
    call.body,
  );
  const signed = await sign(drafted, server.signer);
  const retention = server.retention.ofClient(call.client, call.service);
  const facts = { kind: 'request-sent' as const, id, peer: to.id, code: 'OK', retention };
  const { seq } = await server.log.append(recordOf(signed, facts));
  return { signed, seq };
}

/** Sends; again, with the same id, only while nothing was sent and the deadline allows. */
async function sendUntil(
  server: ConsumerParts,
  peer: ServerEntry,
  { signed }: LoggedRequest,
  deadlineMs: number,
  attempts: number,
): Promise<Delivery> {
  for (let attempt = 1; ; attempt += 1) {
    const remainingMs = deadlineMs - server.clock.monotonicMs();
    const delivery = await sendOnce(server, peer, signed, remainingMs);
    if (delivery.state !== 'not-sent' || attempt >= attempts) return delivery;
    const waitMs = Math.min(delivery.retryAfterMs ?? RETRY_DELAY_MS * attempt, MAX_RETRY_DELAY_MS);
    if (server.clock.monotonicMs() + waitMs >= deadlineMs) return delivery;
    await delay(waitMs);
  }
}

/** Hands the message to the link; a large one, or one whose answer may be large, in the form that carries such. */
export async function sendOnce(
  server: ConsumerParts,
  peer: ServerEntry,
  signed: SignedMessage,
  timeoutMs: number,
): Promise<Delivery> {
  if (timeoutMs <= 0) {
    return { state: 'not-sent', code: 'PROVIDER_UNREACHABLE', detail: 'deadline passed', retryAfterMs: null };
  }
  const large = mayAnswerLarge(server, signed);
  if (!large && !isSpooled(signed.body)) return server.link.send(peer, signed, timeoutMs);
  const sealed = await sealedFor(server.channels, peer, signed);
  if ('state' in sealed) return sealed;
  return server.link.send(peer, sealed, timeoutMs, () => (large ? transferMs(server.maxBodyBytes) : 0));
}

/** What is bound is looked into, so an answer of such a service is never large. */
function mayAnswerLarge({ dictionary, configuration }: ConsumerParts, signed: SignedMessage): boolean {
  return takesLarge(signed) && dictionary.bound(configuration.current(), signed.statement.service) === null;
}

/** Turns what is known of the delivery into a result, logging the answer or the fact that nothing was sent. */
async function conclude(
  server: ConsumerParts,
  request: LoggedRequest,
  peer: ServerEntry,
  delivery: Delivery,
): Promise<LookupResult> {
  const { statement, statementHash } = request.signed;
  const evidence: Evidence = {
    requestHash: statementHash,
    log: { origin: server.log.origin, request: request.seq, answer: null },
    provider: null,
  };
  const open = { id: statement.id, answer: null, evidence, retryAfterMs: null };
  if (delivery.state === 'not-sent') {
    // The request's entry is durable, so the log also says that it never left.
    await server.log.append(notSentRecord(statement, delivery.code));
    const { code, detail, retryAfterMs } = delivery;
    return { ...open, outcome: 'not-sent', code, detail, retryAfterMs };
  }
  if (delivery.state === 'unknown')
    return { ...open, outcome: 'unknown', code: delivery.code, detail: delivery.detail };
  try {
    const message = await receive(server, peer, carried(delivery, request), statement, statementHash);
    try {
      return await accept(server, request, message, peer);
    } catch (error) {
      removeBody(message.body);
      throw error;
    }
  } catch (error) {
    if ('stream' in delivery) delivery.stream.destroy(); // whatever it was, nothing more of it is read
    if (!(error instanceof AccordError)) throw error;
    server.metrics.unverified(error.code);
    const { code, detail } = error;
    server.logger.warn({ id: statement.id, peer: peer.id, code, detail, err: error }, 'answer refused');
    return { ...open, outcome: 'unknown', code: 'OUTCOME_UNKNOWN', detail: error.code };
  }
}

/** Only a call in X-Road's protocol has somewhere to put a large body. */
function takesLarge(signed: SignedMessage): boolean {
  return (askedIn(signed)?.xroad ?? null) !== null;
}

/** The context of one's own request; null where it was erased since. */
function askedIn({ context }: SignedMessage): RequestContext | null {
  return context.length === 0 ? null : contextOf(context);
}

/** What an answer came as. @throws ANSWER_MISMATCH */
function carried(delivery: Delivery & { state: 'answered' }, { signed }: LoggedRequest): Arrived {
  if ('bytes' in delivery) return delivery.bytes;
  if ('opened' in delivery) return delivery.opened;
  if (takesLarge(signed)) return delivery.stream;
  throw new AccordError('ANSWER_MISMATCH', 'a large body');
}

/** An answer as it came: a message, one with a large body, or one out of a batch that was unsealed. */
export type Arrived = Buffer | Readable | BatchedMessage;

/** Opens and verifies an answer and matches it to its request. @throws ANSWER_MISMATCH and what `verify` throws */
export async function receive(
  server: ConsumerParts,
  peer: ServerEntry,
  arrived: Arrived,
  request: Statement,
  requestHash: string,
): Promise<VerifiedMessage> {
  // The peer as it is registered now: it may have lost its registration since the request left.
  const snapshot = server.configuration.current();
  const registered = snapshot.isDistrusted(peer.id) ? undefined : snapshot.server(peer.id);
  if (registered === undefined) throw new AccordError('PEER_UNKNOWN', peer.id);
  const { self, channels, spool, maxBodyBytes } = server;
  // Its time is judged when it begins to come: a large body may take long.
  const arrivedMs = server.clock.nowMs();
  const matches = ({ frameId, statement }: Pick<OpenedMessage, 'frameId' | 'statement'>) => {
    if (frameId !== request.id) throw new AccordError('ANSWER_MISMATCH', 'message id');
    mustAnswer(statement, request, requestHash);
  };
  if (!(arrived instanceof Readable)) {
    const opened = Buffer.isBuffer(arrived)
      ? await openMessage(arrived, 'answer', registered, self, channels)
      : openBatched(arrived, 'answer', registered, self);
    const message = server.verifier.verify(opened, snapshot, arrivedMs);
    matches(message);
    return message;
  }
  const judge = (head: OpenedHead) => {
    server.verifier.verifyHead(head, snapshot, arrivedMs);
    matches(head);
    // What a server says of itself is short; only a backend has much to say.
    if (parseAnswerContext(head.head.context).code !== 'OK') throw new AccordError('ANSWER_MISMATCH', 'a large body');
  };
  const receiver = { kind: 'answer' as const, peer: registered, self, channels, spool, maxBodyBytes, judge };
  const opened = await openStream(arrived, receiver);
  try {
    return server.verifier.verify(opened, snapshot, arrivedMs);
  } catch (error) {
    removeBody(opened.body);
    throw error;
  }
}

/** An answer repeats what was asked and names the request's exact bytes. @throws ANSWER_MISMATCH */
export function mustAnswer(answer: Statement, request: Statement, requestHash: string): void {
  for (const member of ['client', 'service', 'purpose', 'basis'] as const) {
    if (answer[member] !== request[member]) throw new AccordError('ANSWER_MISMATCH', member);
  }
  if (answer.request !== requestHash) throw new AccordError('ANSWER_MISMATCH', 'request hash');
}

/** Logs a verified answer durably; only then may it be shown. @throws LOG_UNAVAILABLE, CONTEXT_MALFORMED */
export async function accept(
  server: ConsumerParts,
  request: LoggedRequest,
  message: VerifiedMessage,
  peer: ServerEntry,
): Promise<LookupResult> {
  const context = parseAnswerContext(message.head.context);
  if (context.body.length !== message.body.length) throw new AccordError('CONTEXT_MALFORMED', 'body length');
  const { statement, head, body } = message;
  const isRefusal = statement.kind === 'refusal';
  const asked = askedIn(request.signed);
  const snapshot = server.configuration.current();
  const tooMuch = isRefusal ? [] : overDelivery(server, snapshot, statement, asked, context, body);
  const code = tooMuch.length === 0 ? context.code : 'OVER_DELIVERED';
  const facts = {
    kind: isRefusal ? ('refusal-received' as const) : ('response-received' as const),
    id: request.signed.statement.id,
    peer: peer.id,
    code,
    retention: server.retention.ofClient(statement.client, statement.service),
  };
  const { seq } = await server.log.append(
    recordOf({ ...head, statementBytes: head.statement, statement, body }, facts),
  );
  const evidence: Evidence = {
    requestHash: request.signed.statementHash,
    log: { origin: server.log.origin, request: request.seq, answer: seq },
    provider: {
      server: peer.id,
      log: statement.log ?? { origin: '', index: 0 },
      decisionHash: statement.decisionHash ?? null,
    },
  };
  const outcome = outcomeOf(isRefusal, code);
  const { id } = request.signed.statement;
  if (tooMuch.length > 0) {
    removeBody(body);
    tellOverDelivery(server, request.signed.statement, tooMuch);
  }
  const answer = tooMuch.length === 0 ? { context, body } : null;
  return { id, outcome, code, detail: '', answer, evidence, retryAfterMs: null };
}

/** The operator here is told at once; the provider's server with an exchange that nobody waits for. */
function tellOverDelivery(server: ConsumerParts, request: Statement, paths: readonly string[]): void {
  const { id, service, to } = request;
  server.logger.error(
    { alarm: 'OVER_DELIVERED', id, service, peer: to, paths },
    'an answer held more than was asked for',
  );
  exchange(server, alarmCall(request, paths)).catch((error: unknown) => {
    server.logger.warn({ err: error, id, peer: to }, 'the provider could not be told of its over-delivery');
  });
}

function outcomeOf(isRefusal: boolean, code: string): Outcome {
  // The peer has seen this id before, so an earlier attempt did arrive: what became of that one is not said here.
  if (isRefusal && code === 'MESSAGE_REPLAYED') return 'unknown';
  if (isRefusal) return 'refused';
  return code === 'OK' ? 'ok' : 'provider-error';
}
