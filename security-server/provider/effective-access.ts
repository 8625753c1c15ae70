// What a client would get if it asked now (schemas/effective-access.ts): the described request is judged as a real one would
// be, and that is all. The backend is not asked and nothing is counted, so that the answer tells of rights, purposes,
// consent and the client's own use, never of whether a person is known. The consumer controls the description.
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { archiveDecision } from '#policy/decide.ts';
import type { RequestContext } from '#schemas/context.ts';
import { checkDescribedRequest, type EffectiveAccess } from '#schemas/effective-access.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_BODY_BYTES, MAX_FIELDS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { isReserved, servicePath, serviceQuery } from '#schemas/service-path.ts';
import type { Statement } from '#schemas/statement.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { judge, prepare } from './judge.ts';

const LIMITS = { maxBytes: MAX_BODY_BYTES, maxDepth: 2, maxValues: MAX_FIELDS + 16 };
const MAX_DETAIL = 1_024;

export interface Effective {
  access: EffectiveAccess;
  /** Archived like that of a request that was decided, so that the answer can be replayed. */
  decision: { bytes: Buffer; hash: string };
  retention: string;
}

/** @throws MEDIA_TYPE_UNSUPPORTED, SCHEMA_MISMATCH, BODY_TOO_LARGE, JSON_*, ENCODING_NOT_CANONICAL, PATH_REFUSED */
export async function effectiveAccess(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  statement: Statement,
  context: RequestContext,
  body: Buffer,
): Promise<Effective> {
  const described = readDescribed(context, body);
  const prepared = await prepare(server, snapshot, statement, described.context, described.body);
  const { inputs, decision } = judge(server, snapshot, prepared);
  const archived = archiveDecision(inputs, decision);
  const { allowed, code, detail, release, retention } = decision;
  const access = { allowed, code, detail: detail.slice(0, MAX_DETAIL), release, decisionHash: archived.hash };
  return { access, decision: archived, retention };
}

/** The described request in the context that carried it: its official, case and receipt are those of the question. */
function readDescribed(context: RequestContext, bytes: Buffer): { context: RequestContext; body: Buffer } {
  if (context.body.type !== 'application/json') throw new AccordError('MEDIA_TYPE_UNSUPPORTED');
  const { v: _, body: text, ...members } = checkDescribedRequest(parseJson(bytes, LIMITS));
  servicePath(members.path);
  if (members.query !== null) serviceQuery(members.query);
  if (isReserved(members.path)) throw new AccordError('PATH_REFUSED', 'reserved');
  const body = Buffer.from(text ?? '', 'base64');
  if (body.toString('base64') !== (text ?? '')) throw new AccordError('ENCODING_NOT_CANONICAL', 'body');
  const type = body.length === 0 ? null : 'application/json';
  return { context: { ...context, ...members, body: { length: body.length, type } }, body };
}
