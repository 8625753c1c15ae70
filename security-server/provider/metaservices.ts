// The metaservices of X-Road's REST protocol (PR-MREST): what a subsystem offers, what of it the client may call, and how a
// service is described. Answered by the provider's own server from its state and the configuration: an exchange like any
// other, signed and logged, that needs no access right and reaches no backend. The consumer controls method and query.
import { Readable } from 'node:stream';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { isHeld } from '#policy/covering.ts';
import { publicDescription } from '#policy/public-description.ts';
import { allowedEndpoints, namedEndpoints, ordered, rule } from '#policy/service-endpoints.ts';
import type { AccessRight, EndpointRule } from '#schemas/access-right.ts';
import type { RequestContext } from '#schemas/context.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import { parseJsonObject } from '#schemas/json.ts';
import { MAX_JSON_BYTES } from '#schemas/limits.ts';
import { type Metaservice, metaserviceOf } from '#schemas/metaservices.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { RegisteredService } from '#schemas/registrations.ts';
import type { Statement } from '#schemas/statement.ts';
import { gatherBody } from '#security-server/body.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { groupsOf } from './judge.ts';
import { type BackendAnswer, problemAnswer, type Reply } from './reply.ts';

/** Only in X-Road's protocol: a lookup of such a service finds none. */
export function isMetaservice({ service }: Pick<Statement, 'service'>, { xroad }: RequestContext): boolean {
  return xroad !== null && metaserviceOf(service) !== null;
}

interface Asked {
  server: ServerParts;
  snapshot: ConfigurationSnapshot;
  statement: Statement;
  query: string | null;
}

const ANSWERS: Readonly<Record<Metaservice, (asked: Asked) => object>> = {
  listMethods: (asked) => listed(asked, false),
  allowedMethods: (asked) => listed(asked, true),
  getOpenAPI: description,
};

/** The answer, or the refusal in its place; the request's record is durable by then. */
export async function answerMetaservice(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  statement: Statement,
  { method, path, query }: RequestContext,
): Promise<Omit<Reply, 'kind'>> {
  const undecided = (answer: BackendAnswer) => ({ answer, decision: null, retention: 'standard' });
  try {
    const code = metaserviceOf(statement.service);
    // They are read with GET, and nothing lies behind them.
    if (code === null || method !== 'GET' || path !== '') throw new AccordError('SERVICE_UNKNOWN', statement.service);
    if (!snapshot.hasSubsystem(statement.client)) throw new AccordError('CLIENT_UNKNOWN', statement.client);
    return undecided(await json(server, ANSWERS[code]({ server, snapshot, statement, query })));
  } catch (error) {
    if (isAccordError(error)) return undecided(problemAnswer(error.code, error.detail, statement.id));
    server.logger.error({ err: error, id: statement.id }, 'a metaservice could not be answered');
    return undecided(problemAnswer('INTERNAL', statement.id, statement.id));
  }
}

/** PR-MREST 3: services that answer here and are registered. */
function listed({ server, snapshot, statement }: Asked, onlyAllowed: boolean): object {
  const { client, service: asked } = statement;
  const subsystem = subsystemOfService(asked);
  const groups = groupsOf(server, snapshot, client);
  const nowMs = Math.max(server.clock.nowMs(), server.log.newestMs());
  const isLocked = snapshot.lockedFor(client) !== null;
  const services = server.state.services().toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return {
    service: services.flatMap(({ id }) => {
      const registered = snapshot.service(id);
      if (registered === undefined || subsystemOfService(id) !== subsystem) return [];
      const asking = { client, groups, service: id };
      const held = server.state.rightsFor([client, ...groups], id).filter((right) => isHeld(right, asking, nowMs));
      if (onlyAllowed && (held.length === 0 || isLocked)) return [];
      return [shown(registered, endpointsOf(server, snapshot, registered), held, onlyAllowed)];
    }),
  };
}

/** Also endpoints that only a right of this client names; what others may call is nothing to it. */
function shown(
  { id, type }: RegisteredService,
  endpoints: readonly EndpointRule[],
  held: readonly AccessRight[],
  onlyAllowed: boolean,
): object {
  const [instance, memberClass, member, subsystem, code] = id.split('/');
  return {
    member_class: memberClass,
    member_code: member,
    object_type: 'SERVICE',
    service_code: code,
    service_type: type,
    subsystem_code: subsystem,
    xroad_instance: instance,
    endpoint_list: onlyAllowed ? allowedEndpoints(endpoints, held) : ordered([...endpoints, ...namedEndpoints(held)]),
  };
}

/** Of the registered description where this server has it, else of the binding table. */
function endpointsOf(
  { state }: ServerParts,
  snapshot: ConfigurationSnapshot,
  { id, descriptionHash }: RegisteredService,
): EndpointRule[] {
  const described = state.describedEndpoints(id);
  if (described !== null && described.hash === descriptionHash) return described.endpoints;
  return ordered(snapshot.binding(id)?.operations.map(({ method, path }) => rule(method, path)) ?? []);
}

/** PR-MREST 4. @throws METASERVICE_REQUEST_INVALID, SERVICE_UNKNOWN */
function description({ server, snapshot, statement, query }: Asked): object {
  const [code, another] = new URLSearchParams(query ?? '').getAll('serviceCode');
  if (code === undefined || code === '' || another !== undefined) {
    throw new AccordError('METASERVICE_REQUEST_INVALID', 'serviceCode');
  }
  const id = `${subsystemOfService(statement.service)}/${code}`;
  const local = server.state.service(id);
  const registered = snapshot.service(id);
  const found = local === null ? null : server.state.description(id);
  // Nothing is handed out under the service's name but what was registered for it.
  if (local === null || registered === undefined || found === null || found.hash !== registered.descriptionHash) {
    throw new AccordError('SERVICE_UNKNOWN', `${id.slice(0, 300)} has no OpenAPI description here`);
  }
  return publicDescription(parseJsonObject(found.bytes, DESCRIPTION_LIMITS), local.url);
}

const DESCRIPTION_LIMITS = { maxBytes: MAX_JSON_BYTES, maxValues: MAX_JSON_BYTES };

/** A description may be larger than what is held in memory on the way. @throws SPOOL_FULL, SPOOL_FAILED, BODY_TOO_LARGE */
async function json({ spool, maxBodyBytes }: ServerParts, value: object): Promise<BackendAnswer> {
  const body = await gatherBody(spool, Readable.from([Buffer.from(JSON.stringify(value), 'utf8')]), maxBodyBytes);
  const facts = { length: body.length, type: 'application/json' };
  return { context: { v: 1, status: 200, code: 'OK', headers: [], body: facts, release: null }, body };
}
