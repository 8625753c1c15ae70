// Notices of emergencies on their way to citizens. The provider's side notes one for everybody who is about to be answered
// about; the consent member's side, on the reserved path, hands one to the consent service's own port, which judges it. The
// peer controls the notice; who sends it stands in `accord-client`.
import type { ConfigurationSnapshot, ServerEntry } from '#core/configuration/snapshot.ts';
import { newMessageId } from '#core/message-id.ts';
import { parseRequestContext, type RequestContext } from '#schemas/context.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import { MAX_NOTICE_BYTES, NOTICE_TIMEOUT_MS } from '#schemas/limits.ts';
import { type EmergencyNotice, FILED_NOTICES_PATH } from '#schemas/notice.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Statement } from '#schemas/statement.ts';
import { ownRequest } from '#security-server/consumer/own-request.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import type { LocalService } from '#security-server/state.ts';
import { callBackend } from './backend.ts';
import type { Judgement } from './judge.ts';
import type { BackendAnswer } from './reply.ts';

/** Whoever is answered about on an emergency is told, whatever happens from here on. @throws what the disk throws */
export function noteNotice(
  server: Pick<ServerParts, 'emergencies'>,
  { statement, peer }: { statement: Statement; peer: ServerEntry },
  { inputs }: Judgement,
): void {
  const { request, evidence, nowMs: atMs } = inputs;
  const { subject, client, service } = request;
  const emergency = evidence?.emergency ?? null;
  if (emergency === null || subject === null) return;
  const { id, reason } = emergency;
  const about = { client, service, exchange: statement.id, emergency: { id, reason }, atMs };
  server.emergencies.notices.note(peer.id, {
    v: 1,
    subject: { scheme: subject.scheme, value: subject.value },
    ...about,
  });
}

/**
 * What the consent service said, with its status.
 * @throws NOT_FOUND behind services of anybody else, SERVICE_DISABLED, BODY_TOO_LARGE
 */
export async function handNotice(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  statement: Statement,
  context: RequestContext,
  body: Buffer,
): Promise<BackendAnswer> {
  const service = server.state.service(statement.service);
  if (snapshot.consentService(subsystemOfService(statement.service)) === undefined || service === null) {
    throw new AccordError('NOT_FOUND', 'no consent service');
  }
  if (!service.enabled) throw new AccordError('SERVICE_DISABLED', service.notice ?? '');
  if (body.length > MAX_NOTICE_BYTES) throw new AccordError('BODY_TOO_LARGE', 'a notice');
  return await hand(server, service, statement, { ...context, path: FILED_NOTICES_PATH, headers: [] }, body);
}

/**
 * A consent service on this very server: nothing leaves the organisation, and no server seals for itself. Null when it is on
 * another one.
 */
export function noticeHere(
  server: ServerParts,
  id: string,
  notice: EmergencyNotice,
): Promise<{ outcome: string; code: string; answer: BackendAnswer }> | null {
  const snapshot = server.configuration.current();
  const isHere = snapshot.server(server.self)?.subsystems.has(subsystemOfService(id)) ?? false;
  const service = server.state.service(id);
  if (!isHere || service === null) return null;
  const client = subsystemOfService(notice.service);
  const statement = {
    id: newMessageId(server.clock.nowMs()),
    client,
    service: id,
    basis: 'open',
    purpose: null,
  } as const;
  const body = Buffer.from(JSON.stringify(notice), 'utf8');
  const facts = { length: body.length, type: 'application/json' };
  const asked = ownRequest({ method: 'POST', path: FILED_NOTICES_PATH, body: facts, settles: null });
  return hand(server, service, statement, parseRequestContext(asked), body).then((answer) => ({
    outcome: answer.context.code === 'OK' ? 'ok' : 'provider-error',
    code: answer.context.code,
    answer,
  }));
}

async function hand(
  server: Pick<ServerParts, 'backends'>,
  service: LocalService,
  statement: Parameters<typeof callBackend>[2],
  context: RequestContext,
  body: Buffer,
): Promise<BackendAnswer> {
  const { states: _, ...answer } = await callBackend(
    server.backends,
    service,
    statement,
    { context, body },
    [],
    Math.min(context.deadlineMs, NOTICE_TIMEOUT_MS),
    null,
  );
  return answer;
}
