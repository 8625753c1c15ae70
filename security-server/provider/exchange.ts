// The provider's side of one exchange, in the protocol's order: open → verify → claim and log → decide → forward →
// build the answer bound to the request → sign → log → seal. What is thrown before the signature is verified goes back
// unsigned; everything after it is an exchange and is answered with a signed statement.
//
// A crash before the request entry is durable: nothing ran, the sender may send again. After it and before the answer
// entry: the backend may have run; the id stays claimed and `settlement` says so. After the answer entry: redelivery.

import type { Readable } from 'node:stream';
import type { ConfigurationSnapshot, ServerEntry } from '#core/configuration/snapshot.ts';
import { newMessageId } from '#core/message-id.ts';
import { underWay } from '#core/turn-end.ts';
import { dayAt } from '#policy/calendar.ts';
import { archiveDecision, decide } from '#policy/decide.ts';
import { encodeAnswerContext, parseRequestContext, type RequestContext } from '#schemas/context.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import { REPLAY_WINDOW_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { isReserved, servicePath, serviceQuery } from '#schemas/service-path.ts';
import { isSpooled, isUntaken, removeBody, wholeBody } from '#security-server/body.ts';
import { type OpenedHead, type OpenedMessage, openMessage } from '#security-server/envelope/incoming.ts';
import { draft, type SignedMessage, sealMessage, sign } from '#security-server/envelope/outgoing.ts';
import { openStream, type StreamedMessage, transferMs } from '#security-server/envelope/stream.ts';
import type { VerifiedMessage } from '#security-server/envelope/verify.ts';
import { recordOf } from '#security-server/records.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { callBackend } from './backend.ts';
import { consentAgain } from './consent.ts';
import { noteNotice } from './emergency-notice.ts';
import { countUses, type Judgement, judge, prepare } from './judge.ts';
import { largeAnswers } from './large-answers.ts';
import { answerMetaservice, isMetaservice } from './metaservices.ts';
import { noteAccess } from './note-access.ts';
import { placed } from './place-subject.ts';
import { minimisingHeaders, released } from './release.ts';
import { type LoggedRequest, problemAnswer, type Reply } from './reply.ts';
import { retentionOfRequest } from './request-retention.ts';
import { answerReserved } from './reserved.ts';
import { settle } from './settlement.ts';

/**
 * Answers one peer message that came alone; its answer is sealed.
 * @param bytes the message as it came over TLS from `peer`
 * @param arrivedMs monotonic time at which the peer's request began to arrive
 * @param goesOn tells the peer that the answer is under way
 * @throws as `answerOpened`
 */
export async function answerMessage(
  server: ServerParts,
  peer: ServerEntry,
  bytes: Buffer | Readable,
  arrivedMs: number = server.clock.monotonicMs(),
  goesOn: () => void = () => {},
): Promise<Buffer | StreamedMessage> {
  const { self, channels, spool, maxBodyBytes } = server;
  const judging = judgingNow(server);
  const { snapshot, presentMs } = judging;
  const judge = (head: OpenedHead) => server.verifier.verifyHead(head, snapshot, presentMs);
  const opened = Buffer.isBuffer(bytes)
    ? await openMessage(bytes, 'request', peer, self, channels)
    : await openStream(bytes, { kind: 'request', peer, self, channels, spool, maxBodyBytes, judge });
  const signed = await answerOpened(server, opened, arrivedMs, { judging, goesOn });
  try {
    // Not the one of the beginning: what a backend sends for long may outlast a ticket.
    return sealMessage(signed, 'answer', opened.frameId, await channels.to(peer));
  } catch (cause) {
    removeBody(signed.body);
    throw new AccordError('ANSWER_NOT_LOGGED', '', { cause });
  }
}

/** What a message is judged under, taken when it begins to arrive. */
interface Judging {
  snapshot: ConfigurationSnapshot;
  presentMs: number;
  startedMs: number;
}

/** @throws CONFIGURATION_TOO_OLD */
function judgingNow(server: ServerParts): Judging {
  if (server.configuration.freshness() === 'too-old') throw new AccordError('CONFIGURATION_TOO_OLD');
  return {
    snapshot: server.configuration.current(),
    // A clock that was set back must not bring back the time of a request whose claim was forgotten since.
    presentMs: Math.max(server.clock.nowMs(), server.log.newestMs()),
    startedMs: server.clock.monotonicMs(),
  };
}

/**
 * Verifies an opened message and answers it: claimed and logged, decided, worked on, signed and logged. The body of the
 * message is removed, and that of the answer is the caller's.
 * @param arrivedMs monotonic time at which the peer's request began to arrive
 * @param of `goesOn` where an answer of any size can be taken; tells the peer that it is under way
 * @throws the unsigned refusals: MESSAGE_MALFORMED … CLOCK_OUT_OF_WINDOW, ANCHORING_OVERDUE, PEER_KEY_MISSING, LOG_*;
 *   with status 503 only while nothing has run, because the sender takes 503 for `not-sent`
 */
export async function answerOpened(
  server: ServerParts,
  opened: OpenedMessage,
  arrivedMs: number,
  { judging = judgingNow(server), goesOn = null }: { judging?: Judging; goesOn?: LoggedRequest['goesOn'] } = {},
): Promise<SignedMessage> {
  const { snapshot, presentMs, startedMs } = judging;
  underWay.count += 1;
  try {
    const message = server.verifier.verify(opened, snapshot, presentMs);
    return await answerVerified(server, snapshot, message, { arrivedMs, startedMs, goesOn });
  } finally {
    underWay.count -= 1;
    removeBody(opened.body);
  }
}

async function answerVerified(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  message: VerifiedMessage,
  { arrivedMs, startedMs, goesOn }: { arrivedMs: number; startedMs: number; goesOn: LoggedRequest['goesOn'] },
): Promise<SignedMessage> {
  const { statement, peer } = message;
  if (!(snapshot.server(server.self)?.subsystems.has(subsystemOfService(statement.service)) ?? false)) {
    throw new AccordError('SERVICE_NOT_ON_SERVER', statement.service);
  }
  // What is asked about an earlier message is still answered: it runs nothing new.
  if (statement.kind !== 'settlement') server.anchoring.grace.requireInTime();
  if (statement.at < server.log.refuseBeforeMs) throw new AccordError('CLOCK_OUT_OF_WINDOW', 'restored from a backup');
  const context = parseRequestContext(message.head.context);
  if (context.body.length !== message.body.length) throw new AccordError('CONTEXT_MALFORMED', 'body length');
  if (statement.kind === 'request' && context.settles !== null) throw new AccordError('CONTEXT_MALFORMED', 'settles');
  // What settles has nothing to say in its body.
  if (statement.kind === 'settlement' && isSpooled(message.body)) throw new AccordError('CONTEXT_MALFORMED', 'body');
  // A peer that could not be answered is refused before anything is done for it.
  if (server.channels.ready(peer) === undefined) await server.channels.to(peer);
  const transfer = isSpooled(message.body) ? transferMs(message.body.length) * 2 : 0;
  const endsMs = arrivedMs + context.deadlineMs + transfer;
  const retention = retentionOfRequest(server, snapshot, statement, context);
  const appended = claimAndLog(server, message, retention);
  const logged: LoggedRequest = { message, context, appended, retention, endsMs, goesOn };
  const reply = statement.kind === 'settlement' ? await settle(server, logged) : await work(server, snapshot, logged);
  const signed = await say(server, snapshot, logged, reply);
  server.metrics.exchange({
    side: 'provider',
    id: statement.id,
    peer: peer.id,
    client: statement.client,
    service: statement.service,
    outcome: reply.kind === 'refusal' ? 'refused' : reply.answer.context.code === 'OK' ? 'ok' : 'provider-error',
    code: reply.answer.context.code,
    status: reply.answer.context.status,
    durationMs: server.clock.monotonicMs() - startedMs,
    requestBytes: message.body.length,
    answerBytes: reply.answer.body.length,
  });
  return signed;
}

/** Claims the id and logs the request in one durable transaction; the promise resolves when it is durable. */
function claimAndLog(server: ServerParts, message: VerifiedMessage, retention: string): LoggedRequest['appended'] {
  const { statement, head, peer, body } = message;
  const appended = server.log.append(
    recordOf(
      { ...head, statementBytes: head.statement, statement, body },
      {
        kind: statement.kind === 'settlement' ? 'settlement-received' : 'request-received',
        id: statement.id,
        peer: peer.id,
        code: 'OK',
        retention,
        claim: { from: peer.id, id: statement.id, untilMs: statement.at + REPLAY_WINDOW_MS },
      },
    ),
  );
  // Awaited below; a safe service may call its backend meanwhile, so a failure must not be unhandled until then.
  appended.catch(() => {});
  return appended;
}

/** Decides, forwards and makes the reply. */
async function work(server: ServerParts, snapshot: ConfigurationSnapshot, logged: LoggedRequest): Promise<Reply> {
  const { message, context } = logged;
  const { statement } = message;
  const refusal = refusedOutright(server, snapshot, logged);
  if (refusal !== null) return refusedUnread(logged, ...refusal);
  if (isReserved(context.path) || isMetaservice(statement, context)) return workReserved(server, snapshot, logged);
  const pathProblem = pathRefusal(context);
  const read = isSpooled(message.body) ? Buffer.alloc(0) : message.body;
  const prepared = await prepare(server, snapshot, statement, context, read);
  const judgement = judge(server, snapshot, prepared);
  const { inputs, decision, bound, asked } = judgement;
  const archived = archiveDecision(inputs, decision);
  const refuse = (code: AccordError['code'], detail: string, archive: Reply['decision'] = archived): Reply => ({
    kind: 'refusal',
    answer: problemAnswer(code, detail, statement.id),
    decision: archive,
    retention: decision.retention,
  });
  // Who looked at whose data is durable with the request's record: everything below waits for both.
  const noted = noteAccess(server, logged, judgement, snapshot.utcOffsetMinutes);
  noted.catch(() => {});
  const service = server.state.service(statement.service);
  if (pathProblem !== null || !decision.allowed || service === null) {
    const replayed = await noted;
    if (replayed.outcome === 'replay') return refuse('MESSAGE_REPLAYED', '');
    if (pathProblem !== null) return refuse('PATH_REFUSED', pathProblem);
    return refuse(decision.code === 'OK' ? 'INTERNAL' : decision.code, decision.detail);
  }
  // Counted in the turn that decided, so that requests that run side by side cannot pass the same last place.
  const giveBack = countUses(server, judgement);
  const permitted = decision.release;
  const leave = enterService(server, service.id);
  let unlessUsed: ReturnType<typeof callBackend> | null = null;
  try {
    if (leave === null) {
      const code = (await noted).outcome === 'replay' ? 'MESSAGE_REPLAYED' : 'SERVER_BUSY';
      giveBack();
      return refuse(code, code === 'SERVER_BUSY' ? 'the service has too many requests under way' : '');
    }
    // A service that only reads may be asked while the record is being made durable; one that writes waits.
    if (!service.safe && (await noted).outcome === 'replay') {
      giveBack();
      return refuse('MESSAGE_REPLAYED', '');
    }
    // Nobody waits any more: what did not begin must not run, and the sender's settlement shall find that it did not.
    const remainingMs = logged.endsMs - server.clock.monotonicMs();
    if (remainingMs <= 0) {
      const code = (await noted).outcome === 'replay' ? 'MESSAGE_REPLAYED' : 'DEADLINE_PASSED';
      giveBack();
      return refuse(code, '');
    }
    const minimising = bound && permitted ? minimisingHeaders(bound, permitted, context) : [];
    // Whoever answers on an emergency has told the registry and the citizen, or will, whatever happens from here on.
    const emergency = judgement.evidence?.emergency ?? null;
    if (emergency !== null) server.emergencies.reports.note(emergency, context.evidence);
    noteNotice(server, message, judgement);
    const forwarded = placed(judgement, { context, body: message.body });
    // Only who asks in X-Road's protocol can take an answer of any size, and only an unbound one is not looked into.
    const { goesOn, endsMs } = logged;
    const takesLarge = bound === null && context.xroad !== null && goesOn !== null;
    const large = takesLarge ? largeAnswers(server, { endsMs, goesOn }) : null;
    const called = callBackend(server.backends, service, asked, forwarded, minimising, remainingMs, large);
    unlessUsed = called;
    if ((await noted).outcome === 'replay') {
      giveBack();
      return refuse('MESSAGE_REPLAYED', '');
    }
    const { states, ...whole } = await called;
    const ended = await refusedMeanwhile(server, judgement, refuse);
    if (ended !== null) return ended;
    unlessUsed = null;
    const day = context.asOf ?? dayAt(server.clock.nowMs(), snapshot.utcOffsetMinutes);
    const about = { service: service.id, id: statement.id, day };
    const answer = bound && permitted ? released(server, bound, permitted, { ...whole, states }, about) : whole;
    return { kind: 'response', answer, decision: archived, retention: decision.retention };
  } catch (error) {
    giveBack(); // request or access could not be logged, so it is not answered either
    throw error;
  } finally {
    leave?.();
    // Nobody will ask for what the backend says, or said.
    unlessUsed?.then(({ body }) => removeBody(body));
  }
}

/** A consent that ended while the backend worked: decided again, so that the archive tells what was decided on. */
async function refusedMeanwhile(
  server: ServerParts,
  judgement: Judgement,
  refuse: (code: AccordError['code'], detail: string, archive: Reply['decision']) => Reply,
): Promise<Reply | null> {
  const consent = await consentAgain(server, judgement);
  if (consent === null) return null;
  const inputs = { ...judgement.inputs, consent };
  const decision = decide(inputs);
  // Archived as it was made: its members in another order would be other bytes, and no replay would find them.
  return decision.code === 'OK' ? null : refuse(decision.code, decision.detail, archiveDecision(inputs, decision));
}

/** Code and detail of what is refused whatever is asked. */
function refusedOutright(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  { message: { statement, body }, context }: LoggedRequest,
): [AccordError['code'], string] | null {
  // What runs already ends as usual; what is asked about an earlier message (settlement) is still answered.
  const maintenance = server.state.maintenance();
  if (maintenance !== null) return ['MAINTENANCE_MODE', maintenance.notice];
  if (isUntaken(body)) return ['BODY_TOO_LARGE', `more than ${server.maxBodyBytes} bytes`];
  // What has to be looked into, or what an official's token is bound to, has to fit into memory.
  const isLookedInto =
    isReserved(context.path) ||
    context.evidence.length > 0 ||
    server.dictionary.bound(snapshot, statement.service) !== null;
  return isSpooled(body) && isLookedInto ? ['BODY_TOO_LARGE', ''] : null;
}

/** Refused before anything was decided. */
async function refusedUnread(
  { message, appended }: LoggedRequest,
  code: AccordError['code'],
  detail = '',
): Promise<Reply> {
  const isReplay = (await appended).outcome === 'replay';
  const answer = problemAnswer(isReplay ? 'MESSAGE_REPLAYED' : code, isReplay ? '' : detail, message.statement.id);
  return { kind: 'refusal', answer, decision: null, retention: 'standard' };
}

/** What is asked of this server itself: done only when the record is durable, and never forwarded. */
async function workReserved(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  { message, context, appended }: LoggedRequest,
): Promise<Reply> {
  const { statement, peer, body } = message;
  const isReplay = (await appended).outcome === 'replay';
  const reply = isReplay
    ? { answer: problemAnswer('MESSAGE_REPLAYED', '', statement.id), decision: null, retention: 'standard' }
    : isMetaservice(statement, context)
      ? await answerMetaservice(server, snapshot, statement, context)
      : await answerReserved(server, snapshot, peer, statement, context, wholeBody(body));
  return { kind: reply.answer.context.code === 'OK' ? 'response' : 'refusal', ...reply };
}

function enterService(server: ServerParts, service: string): (() => void) | null {
  try {
    return server.admission.enter('service', service);
  } catch {
    return null;
  }
}

/** The consumer's server checks paths too, but the peer is not trusted to have done it. */
function pathRefusal(context: RequestContext): string | null {
  try {
    servicePath(context.path);
    if (context.query !== null) serviceQuery(context.query);
    return null;
  } catch (error) {
    if (error instanceof AccordError) return error.detail;
    throw error;
  }
}

/** Signs the reply and logs it durably; only then may it be sealed and leave. @throws ANSWER_NOT_LOGGED */
async function say(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  logged: LoggedRequest,
  reply: Reply,
): Promise<SignedMessage> {
  const { statement, statementHash, peer } = logged.message;
  const requestEntry = await logged.appended;
  const nowMs = server.clock.nowMs();
  const drafted = draft(
    {
      id: newMessageId(nowMs),
      kind: reply.kind,
      from: server.self,
      to: peer.id,
      client: statement.client,
      service: statement.service,
      at: nowMs,
      purpose: statement.purpose,
      basis: statement.basis,
      configuration: { version: snapshot.version, hash: snapshot.hash },
      request: statementHash,
      log: { origin: server.log.origin, index: requestEntry.seq },
      decisionHash: reply.decision?.hash ?? null,
    },
    reply.answer.contextBytes ?? encodeAnswerContext(reply.answer.context),
    reply.answer.body,
  );
  const facts = {
    kind: reply.kind === 'refusal' ? ('refusal-sent' as const) : ('response-sent' as const),
    id: statement.id,
    peer: peer.id,
    code: reply.answer.context.code,
    retention: reply.retention,
    ...(reply.decision === null ? {} : { decisionInputs: reply.decision.bytes }),
  };
  try {
    const signed = await sign(drafted, server.signer);
    await server.log.append(recordOf(signed, facts));
    return signed;
  } catch (cause) {
    removeBody(reply.answer.body);
    // The backend may have run: this must not look like an admission refusal, which would be sent again.
    throw new AccordError('ANSWER_NOT_LOGGED', '', { cause });
  }
}
