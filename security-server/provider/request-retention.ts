// The retention class of a request's record, which is written before anything is decided (docs/evidence.md, Retention and
// erasure): that of the rights that cover it and fit its
// basis and purpose, the longest of several; the default where none does. The answer's record
// carries the class of the right that decided, which is one of them. The peer controls the request.
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { covers } from '#policy/covering.ts';
import type { RequestContext } from '#schemas/context.ts';
import { DEFAULT_RETENTION } from '#schemas/retention.ts';
import type { Statement } from '#schemas/statement.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { groupsOf } from './judge.ts';

export function retentionOfRequest(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  { kind, client, service, purpose, basis }: Statement,
  { method, path }: RequestContext,
): string {
  // Mostly no right at the service has another class than the default, and nothing has to be looked for.
  const isPlain = !server.state.hasOwnRetention(service) || kind !== 'request';
  if (isPlain) return DEFAULT_RETENTION;
  const groups = groupsOf(server, snapshot, client);
  const nowMs = Math.max(server.clock.nowMs(), server.log.newestMs());
  const covering = server.state
    .rightsFor([client, ...groups], service)
    .filter((right) => covers(right, { client, groups, service, method, path }, nowMs));
  // A call below /r1 that names nothing may be judged on another basis than it states.
  const fitting = covering.filter(
    ({ bases, purposes, r1Defaults }) =>
      r1Defaults !== null || (bases.includes(basis) && (purposes.length === 0 || purposes.includes(purpose ?? ''))),
  );
  return server.retention.longest((fitting.length > 0 ? fitting : covering).map(({ retention }) => retention));
}
