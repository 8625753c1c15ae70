// Settlement: a consumer's server asks what became of a request it has no answer to. The reply is signed and logged like
// any other and is one of: ANSWERED with the original answer, RECEIVED (it came, no answer was made), or VOID (it never
// came; its id is now durably claimed, so a delayed original cannot run).

import type { RecordView } from '#core/log/message-log.ts';
import { ByteWriter } from '#schemas/bytes.ts';
import { REPLAY_WINDOW_MS } from '#schemas/limits.ts';
import { DEFAULT_RETENTION } from '#schemas/retention.ts';
import { encodeHead } from '#security-server/envelope/frame.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { type BackendAnswer, type LoggedRequest, problemAnswer, type Reply } from './reply.ts';

const SETTLEMENT_MEDIA_TYPE = 'application/accord-answer';

/** Makes the reply to a settlement query; see the file's comment for its codes. */
export async function settle(server: ServerParts, logged: LoggedRequest): Promise<Reply> {
  const { message, context } = logged;
  const { statement, peer } = message;
  const asked = context.settles;
  const none = (answer: BackendAnswer, kind: Reply['kind'] = 'response', retention = DEFAULT_RETENTION): Reply => ({
    kind,
    answer,
    decision: null,
    retention,
  });
  if ((await logged.appended).outcome === 'replay') {
    return none(problemAnswer('MESSAGE_REPLAYED', '', statement.id), 'refusal');
  }
  if (asked === null) return none(problemAnswer('CONTEXT_MALFORMED', 'settles', statement.id), 'refusal');
  // The entries first: a claim is forgotten with the replay window, and an id must not become void after it ran.
  if (!wasReceived(server, peer.id, asked)) {
    const untilMs = server.clock.nowMs() + REPLAY_WINDOW_MS;
    const claimed = await server.log.claimVoid(peer.id, asked, untilMs, server.configuration.current().version);
    // An id voided by an earlier settlement was never worked on either; a request that came just now was first.
    if (claimed.outcome === 'appended' || !wasReceived(server, peer.id, asked)) {
      return none(settled('VOID', Buffer.alloc(0)));
    }
  }
  const records = server.log.find(peer.id, asked);
  const request = records.find(({ entry }) => entry.kind === 'request-received');
  const { client, service } = statement;
  const entry = request?.entry;
  if (entry?.statement !== statement.request || entry?.client !== client || entry?.service !== service) {
    return none(problemAnswer('ANSWER_MISMATCH', 'another request has this id', statement.id), 'refusal');
  }
  // A replay refused while the original was still worked on is not its answer.
  const answer = records.findLast(({ entry: { kind, code } }) => {
    return kind === 'response-sent' || (kind === 'refusal-sent' && code !== 'MESSAGE_REPLAYED');
  });
  const original = answer === undefined ? null : redelivery(server, answer);
  // What is told again must not outlive what was told first.
  return original === null
    ? none(settled('RECEIVED', Buffer.alloc(0)))
    : none(settled('ANSWERED', original), 'response', answer?.entry.retention);
}

function wasReceived(server: ServerParts, from: string, id: string): boolean {
  return server.log.find(from, id).some(({ entry }) => entry.kind === 'request-received');
}

function settled(code: 'ANSWERED' | 'RECEIVED' | 'VOID', body: Buffer): BackendAnswer {
  const type = body.length === 0 ? null : SETTLEMENT_MEDIA_TYPE;
  return {
    context: { v: 1, status: 200, code, headers: [], body: { length: body.length, type }, release: null },
    body,
  };
}

/** The original answer as it was signed: head, then body. Null when its keys were destroyed since. */
function redelivery(server: ServerParts, record: RecordView): Buffer | null {
  const parts = server.log.readSealed(record.entry.seq);
  const { evidence } = record;
  if (parts === null || evidence === null) return null;
  const { context, contextSalt, body, bodySalt } = parts;
  if (!context || !contextSalt || !body || !bodySalt) return null;
  const { statement, signature } = evidence;
  const head = encodeHead({ statement, signature, context, contextSalt, bodySalt });
  return new ByteWriter().field(head).field(body).end();
}
