// GET /listClients (X-Road's PR-META 2, PR-MREST 2): the members and subsystems of the instance, from the configuration as this
// server has it. Asked without a client header by any information system that may speak for one of this server's
// subsystems; nothing is signed or logged, because no other server is asked. The caller controls the query.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import { escaped } from './errors.ts';

interface ListedClient {
  /** INSTANCE, CLASS, MEMBER and of a subsystem its code. */
  id: readonly string[];
  name: string;
  subsystemName: string | null;
}

/** @param known throws for a caller that may speak for nobody here */
export function addListClients(
  app: FastifyInstance,
  server: ConsumerParts,
  known: (request: FastifyRequest) => unknown,
): void {
  app.get('/listClients', { exposeHeadRoute: false }, async (request, reply) => {
    known(request);
    const snapshot = server.configuration.current();
    const { xRoadInstance = snapshot.instance } = request.query as Record<string, string | string[]>;
    if (xRoadInstance !== snapshot.instance) throw new AccordError('XROAD_INSTANCE_UNKNOWN', snapshot.instance);
    const clients = clientsOf(snapshot);
    if (acceptsJson(request.headers.accept)) {
      return reply.type('application/json').send(JSON.stringify({ member: clients.map(asJson) }));
    }
    return reply.type('text/xml; charset=utf-8').send(asXml(clients));
  });
}

/** Each member, then its subsystems. */
function clientsOf(snapshot: ConfigurationSnapshot): ListedClient[] {
  return snapshot.members().flatMap(({ id, name, subsystems }) => {
    const member = id.split('/');
    return [
      { id: member, name, subsystemName: null },
      ...subsystems.map((one) => ({ id: [...member, one.code], name, subsystemName: one.name })),
    ];
  });
}

/** XML unless JSON is asked for by its name. */
function acceptsJson(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((each) => each.split(';')[0]?.trim().toLowerCase() === 'application/json');
}

function asJson({ id, name, subsystemName }: ListedClient): object {
  const [instance, memberClass, member, subsystem] = id;
  return {
    id: {
      member_class: memberClass,
      member_code: member,
      object_type: subsystem === undefined ? 'MEMBER' : 'SUBSYSTEM',
      ...(subsystem === undefined ? {} : { subsystem_code: subsystem }),
      xroad_instance: instance,
    },
    name,
    ...(subsystemName === null ? {} : { subsystem_name: subsystemName }),
  };
}

const NAMESPACES = 'xmlns:xroad="http://x-road.eu/xsd/xroad.xsd" xmlns:id="http://x-road.eu/xsd/identifiers"';
const ID_PARTS = ['xRoadInstance', 'memberClass', 'memberCode', 'subsystemCode'];

function asXml(clients: readonly ListedClient[]): string {
  const members = clients.map(({ id, name, subsystemName }) => {
    const parts = id.map((part, at) => `<id:${ID_PARTS[at]}>${escaped(part)}</id:${ID_PARTS[at]}>`).join('');
    const type = id.length === ID_PARTS.length ? 'SUBSYSTEM' : 'MEMBER';
    const names = [
      `<xroad:name>${escaped(name)}</xroad:name>`,
      ...(subsystemName === null ? [] : [`<xroad:subsystemName>${escaped(subsystemName)}</xroad:subsystemName>`]),
    ];
    return `<xroad:member><xroad:id id:objectType="${type}">${parts}</xroad:id>${names.join('')}</xroad:member>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<xroad:clientList ${NAMESPACES}>${members.join('')}</xroad:clientList>`;
}
