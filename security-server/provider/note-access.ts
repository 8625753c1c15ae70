// One row for each request about a person that was decided (security-server/accesses.ts), durable before the answer
// leaves. A message that was played again makes none: its first arrival has one. Nor does a request of which nobody can
// say whom it is about: the service is not bound, the operation has no subject, the receipt is not genuine.
//
// The row is written behind the request's log entry, so that two messages with one id cannot fight for its place. A crash
// between the two leaves a logged request without a row and without an answer.
import type { Appended } from '#core/log/message-log.ts';
import type { DecisionInputs } from '#policy/decision-inputs.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import { MAX_RELEASED_PATHS } from '#schemas/limits.ts';
import { SUBJECT_PLACEHOLDER } from '#schemas/service-path.ts';
import type { NotedAccess } from '#security-server/accesses.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import type { Judgement } from './judge.ts';
import type { LoggedRequest } from './reply.ts';

const DAY_MS = 86_400_000;
const MAX_OPERATION = 600;

/**
 * Resolves when request and row are durable.
 * @param utcOffsetMinutes of the instance's legal day
 * @throws LOG_UNAVAILABLE and the like, ANSWER_NOT_LOGGED
 */
export async function noteAccess(
  server: ServerParts,
  { message, appended, retention }: LoggedRequest,
  judgement: Judgement,
  utcOffsetMinutes: number,
): Promise<Appended> {
  const logged = await appended;
  const about = logged.outcome === 'replay' ? null : accessOf(server, judgement, utcOffsetMinutes);
  if (about !== null) {
    await server.accesses.note({ ...about, retention, exchange: message.statement.id, peer: message.peer.id });
  }
  return logged;
}

function accessOf(
  server: ServerParts,
  { inputs, decision, consent }: Judgement,
  utcOffsetMinutes: number,
): Omit<NotedAccess, 'exchange' | 'peer' | 'retention'> | null {
  const { request, binding, nowMs } = inputs;
  const { client, service, purpose, basis, issue, subject } = request;
  if (binding === null || subject === null || subject.value === SUBJECT_PLACEHOLDER) return null;
  const receipt = consent?.genuine?.receipt;
  return {
    tag: server.subjectTag(subject),
    provider: subsystemOfService(service),
    atMs: nowMs,
    visibleFromMs: visibleFromMs(inputs, decision.allowed, utcOffsetMinutes),
    isOwn: false,
    receipt: receipt?.jti ?? null,
    issuer: receipt?.iss ?? null,
    client,
    service,
    operation: binding.operation?.slice(0, MAX_OPERATION) ?? null,
    purpose,
    basis,
    asked: [...new Set(binding.asked.map(({ element }) => element))].slice(0, MAX_RELEASED_PATHS),
    issue,
    ...officialsOf(inputs),
  };
}

/** The unit of whoever asks, as a genuine token names it, and the emergency that two of them opened. */
function officialsOf({ request, evidence }: DecisionInputs): Pick<NotedAccess, 'unit' | 'emergency'> {
  const emergency = evidence?.emergency ?? null;
  const official = evidence?.official ?? emergency?.officials.find(({ id }) => id === request.userId);
  return {
    unit: official?.unit ?? null,
    emergency: emergency && { id: emergency.id, reason: emergency.reason },
  };
}

/**
 * When the citizen may see it: at once, or from the beginning of the day until which the law hides it. A request that was
 * refused is hidden only where one of the client's rights would have allowed to hide it: else anybody could be curious
 * unseen by asking for a delay.
 */
function visibleFromMs(inputs: DecisionInputs, isAllowed: boolean, utcOffsetMinutes: number): number {
  const { request, today, rights, nowMs } = inputs;
  const { hiddenUntil, basis } = request;
  if (hiddenUntil === null) return nowMs;
  const dayMs = Date.parse(`${hiddenUntil}T00:00:00Z`);
  const days = (dayMs - Date.parse(`${today}T00:00:00Z`)) / DAY_MS;
  const mayHide = rights.some(
    ({ right }) =>
      right.notBeforeMs <= nowMs &&
      nowMs <= right.notAfterMs &&
      right.bases.includes('law') &&
      days >= 0 &&
      days <= (right.secrecyDays ?? -1),
  );
  return isAllowed || (basis === 'law' && mayHide) ? dayMs - utcOffsetMinutes * 60_000 : nowMs;
}
