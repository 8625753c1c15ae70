// The routes of the admin API; `openapi.ts` describes the same table.
import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { dayAt } from '#policy/calendar.ts';
import { AccessRight } from '#schemas/access-right.ts';
import {
  GLOBAL_GROUP,
  LOCAL_GROUP,
  SERVICE_ID_PATTERN,
  SUBSYSTEM_ID_PATTERN,
  subsystemOfService,
} from '#schemas/identifiers.ts';
import { MAX_DEADLINE_MS } from '#schemas/limits.ts';
import { requireOrdinaryCode } from '#schemas/metaservices.ts';
import { AccordError } from '#schemas/problems.ts';
import { Sha256 } from '#schemas/registrations.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import type { WitnessView } from './anchoring.ts';
import { BackendTlsInput, requireBackendTls } from './backend-tls.ts';
import { addOperatorRoutes } from './operator.ts';

const closed = { additionalProperties: false };

export const ServiceInput = Type.Object(
  {
    id: Type.String({ pattern: SERVICE_ID_PATTERN }),
    title: Type.String({ minLength: 1, maxLength: 200 }),
    url: Type.String({ pattern: '^https?://[^?#\\s]{1,1000}$' }),
    enabled: Type.Boolean(),
    notice: Type.Union([Type.String({ maxLength: 500 }), Type.Null()]),
    timeoutMs: Type.Integer({ minimum: 100, maximum: MAX_DEADLINE_MS }),
    personalData: Type.Boolean(),
    safe: Type.Boolean(),
    tls: Type.Optional(Type.Union([BackendTlsInput, Type.Null()])),
  },
  closed,
);

/** An access right without what the server gives: its id, and the hashes of its purposes as they are today. */
export const AccessRightInput = Type.Omit(AccessRight, ['id', 'pins'], closed);

export const InformationSystemInput = Type.Object(
  {
    subsystem: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    name: Type.String({ minLength: 1, maxLength: 200 }),
    certificateHash: Sha256,
  },
  closed,
);

const checkService = compile(ServiceInput, 'SCHEMA_MISMATCH');
const checkRight = compile(AccessRightInput, 'SCHEMA_MISMATCH');
const checkSystem = compile(InformationSystemInput, 'SCHEMA_MISMATCH');
export type ServiceInput = Static<typeof ServiceInput>;

/** What an administrator can have done at once. */
export interface AdminActions {
  refreshConfiguration(): Promise<unknown>;
  /** Reads keys and certificates of the data folder again. @throws KEY_FILE_*, CERTIFICATE_*, KEYS_NOT_RELOADABLE */
  reloadKeys(): Promise<unknown>;
  /** This server as a witness of the aggregate log; null when it is none. */
  witness?(): WitnessView | null;
}

export function addRoutes(app: FastifyInstance, server: ServerParts, actions: AdminActions): void {
  const { state } = server;
  const mine = (subsystem: string) => {
    const here = server.configuration.current().server(server.self)?.subsystems.has(subsystem) ?? false;
    if (!here) throw new AccordError('CLIENT_NOT_HERE', subsystem);
  };

  app.get('/services', async () => ({ items: state.services() }));
  app.put('/services', async (request, reply) => {
    const service = checkService(request.body);
    mine(subsystemOfService(service.id));
    requireOrdinaryCode(service.id);
    checkBase(service.url);
    requireBackendTls(service.url, service.tls ?? null);
    state.putService(service);
    return reply.send(service);
  });
  app.delete('/services/*', async (request, reply) => {
    const id = wildcard(request.params);
    if (!state.removeService(id)) throw new AccordError('NOT_FOUND');
    state.removeDescription(id);
    return reply.code(204).send();
  });

  app.get('/access-rights', async () => ({ items: state.rights() }));
  app.post('/access-rights', async (request, reply) => {
    const input = checkRight(request.body);
    const service = state.service(input.service);
    if (service === null) throw new AccordError('SERVICE_UNKNOWN', input.service);
    if (input.bases.includes('open') && service.personalData) throw new AccordError('ACCESS_RIGHT_REFUSED', service.id);
    server.retention.classes.require(input.retention);
    requireGroup(server, input.client);
    requireDefaults(input);
    requireCeiling(server, input);
    if (input.notAfterMs < input.notBeforeMs)
      throw new AccordError('SCHEMA_MISMATCH', 'notAfterMs is before notBeforeMs');
    const right = { id: randomUUID(), ...input, pins: pinsOf(server, input) };
    state.putRight(right);
    return reply.code(201).send(right);
  });
  app.delete<{ Params: { id: string } }>('/access-rights/:id', async (request, reply) => {
    if (!state.removeRight(request.params.id)) throw new AccordError('NOT_FOUND');
    return reply.code(204).send();
  });

  app.get('/information-systems', async () => ({ items: state.systems() }));
  app.put('/information-systems', async (request, reply) => {
    const system = checkSystem(request.body);
    mine(system.subsystem);
    state.putSystem(system);
    return reply.send(system);
  });
  app.delete<{ Params: { hash: string; '*': string } }>('/information-systems/:hash/*', async (request, reply) => {
    if (!state.removeSystem(wildcard(request.params), request.params.hash)) throw new AccordError('NOT_FOUND');
    return reply.code(204).send();
  });

  addOperatorRoutes(app, server, mine);

  app.get('/status', async () => status(server));
  app.post('/configuration/refresh', async (_request, reply) => {
    return reply.send(await actions.refreshConfiguration());
  });
  app.post('/keys/reload', async (_request, reply) => {
    return reply.send(await actions.reloadKeys());
  });
}

/** A group that is not there would be nobody, until somebody makes one of that name. @throws ACCESS_RIGHT_REFUSED */
function requireGroup({ state, configuration }: ServerParts, client: string): void {
  const isGroup = client.startsWith(LOCAL_GROUP) || client.startsWith(GLOBAL_GROUP);
  const isThere = client.startsWith(LOCAL_GROUP)
    ? state.groups().some(({ code }) => client === LOCAL_GROUP + code)
    : configuration.current().hasGlobalGroup(client.slice(GLOBAL_GROUP.length));
  if (isGroup && !isThere) throw new AccordError('ACCESS_RIGHT_REFUSED', `there is no ${client}`);
}

/** Defaults that the right itself would refuse are a mistake. @throws ACCESS_RIGHT_REFUSED */
function requireDefaults({ r1Defaults, purposes, bases, elements }: Static<typeof AccessRightInput>): void {
  if (r1Defaults === null) return;
  const { purpose, basis, fields } = r1Defaults;
  const isPurpose = purpose === null ? purposes.length === 0 : purposes.includes(purpose);
  const wrong = [
    ...(isPurpose ? [] : ['the purpose is none of the right']),
    ...(bases.includes(basis) ? [] : ['the basis is none of the right']),
    ...((fields === null) === (elements === null) ? [] : ['a bound service is asked for fields, another for none']),
  ];
  if (wrong.length > 0) throw new AccordError('ACCESS_RIGHT_REFUSED', `r1Defaults: ${wrong.join('; ')}`);
}

/**
 * A right at a bound service names elements and predicates that the service gives; at one that is not bound, none. What
 * would never let anything through is a mistake that its author should hear of now. @throws ACCESS_RIGHT_REFUSED
 */
function requireCeiling(server: ServerParts, { service, elements }: Static<typeof AccessRightInput>): void {
  const bound = server.dictionary.bound(server.configuration.current(), service);
  if ((bound === null) !== (elements === null)) {
    const missing =
      bound === null ? 'the service is not bound to the dictionary' : 'the service is bound: name elements';
    throw new AccordError('ACCESS_RIGHT_REFUSED', missing);
  }
  if (bound === null || elements === null) return;
  const { operations } = bound.binding.table;
  const leaves = operations.flatMap(({ responses }) => responses.flatMap((response) => response.leaves));
  const given = new Set(leaves.flatMap((leaf) => (leaf.role === 'data' ? [idOf(leaf.element)] : [])));
  const unknown = elements.filter((ref) => {
    const inputs = Object.values(bound.dictionary.predicate(ref)?.inputs ?? { ref });
    return !inputs.every((input) => given.has(idOf(input)));
  });
  if (unknown.length > 0)
    throw new AccordError('ACCESS_RIGHT_REFUSED', `not given: ${unknown.slice(0, 10).join(', ')}`);
}

/**
 * The purposes as their words stand today: a right is given for what was read. At a bound service all are registered.
 * @throws ACCESS_RIGHT_REFUSED
 */
function pinsOf(
  server: ServerParts,
  { service, purposes, elements }: Static<typeof AccessRightInput>,
): AccessRight['pins'] {
  const snapshot = server.configuration.current();
  const day = dayAt(server.clock.nowMs(), snapshot.utcOffsetMinutes);
  const pins: AccessRight['pins'] = {};
  for (const id of purposes) {
    const registered = snapshot.purpose(id, day);
    if (registered !== undefined) pins[id] = registered.hash;
    else if (snapshot.service(service)?.bindingHash) throw new AccordError('ACCESS_RIGHT_REFUSED', `no purpose ${id}`);
    const beyond = elements?.filter((element) => registered?.purpose.elements.includes(element) === false) ?? [];
    if (beyond.length > 0) throw new AccordError('ACCESS_RIGHT_REFUSED', `${id} is not for ${beyond.join(', ')}`);
  }
  return pins;
}

/** Another major of a bound element may be asked for too, where a mapping leads to it. */
function idOf(ref: string): string {
  return ref.slice(0, ref.indexOf('@'));
}

/** A base URL is joined with paths as bytes, so it must be in its normal form. @throws SCHEMA_MISMATCH */
function checkBase(url: string): void {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.username !== '' || parsed.password !== '') {
    throw new AccordError('SCHEMA_MISMATCH', '/url is not an http or https address without credentials');
  }
}

function wildcard(params: unknown): string {
  const { '*': rest } = params as { '*': string };
  return rest;
}

function status(server: ServerParts) {
  const { configuration, log } = server;
  const snapshot = configuration.current();
  const checkpoint = log.checkpoint();
  return {
    id: server.self,
    configuration: { version: snapshot.version, hash: snapshot.hash, freshness: configuration.freshness() },
    log: { origin: log.origin, verifierKey: log.verifierKey, size: log.size(), root: log.root(), state: log.state() },
    checkpoint: { size: checkpoint.size, root: checkpoint.root },
    exchangesInFlight: server.admission.inFlight,
    keys: server.keys.held(),
    subsystems: [...(snapshot.server(server.self)?.subsystems ?? [])],
    maintenance: server.state.maintenance(),
  };
}
