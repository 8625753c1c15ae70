// How the server is run, in its admin API: GET/PUT/DELETE /connection-modes (how information systems connect that speak for
// a subsystem) and GET/PUT/DELETE /maintenance. Both are effective when they are answered, and stay so over restarts. The
// administrator controls the input.

import type { FastifyInstance } from 'fastify';
import { SUBSYSTEM_ID_PATTERN } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import { Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { addressRange, LOOPBACK_ADDRESSES } from '#security-server/source-addresses.ts';

const closed = { additionalProperties: false };
const MAX_ADDRESSES = 256;

export const ConnectionMode = Type.Object(
  {
    subsystem: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    mode: Type.Union([Type.Literal('NOSSL'), Type.Literal('SSLNOAUTH'), Type.Literal('SSLAUTH')]),
    /** Addresses and CIDR ranges, IPv4 and IPv6; loopback when there are none. SSLAUTH has none. */
    addresses: Type.Array(Type.String({ minLength: 2, maxLength: 64 }), { maxItems: MAX_ADDRESSES, uniqueItems: true }),
  },
  closed,
);
export const MaintenanceInput = Type.Object({ notice: Type.String({ minLength: 1, maxLength: 500 }) }, closed);
export const MaintenanceState = Type.Object(
  {
    maintenance: Type.Union([
      Type.Object({ notice: Type.String(), sinceMs: Type.Integer({ minimum: 0 }) }, closed),
      Type.Null(),
    ]),
  },
  closed,
);
const checkMode = compile(ConnectionMode, 'SCHEMA_MISMATCH');
const checkMaintenance = compile(MaintenanceInput, 'SCHEMA_MISMATCH');

/** @param mine throws for a subsystem that this server does not speak for */
export function addOperatorRoutes(app: FastifyInstance, server: ServerParts, mine: (subsystem: string) => void): void {
  const { state, clock, logger } = server;
  app.get('/connection-modes', async () => ({ items: state.connectionRules() }));
  app.put('/connection-modes', async (request) => {
    const { subsystem, mode, addresses } = checkMode(request.body);
    mine(subsystem);
    if (mode === 'SSLAUTH' && addresses.length > 0) {
      throw new AccordError('SCHEMA_MISMATCH', '/addresses: SSLAUTH asks for a certificate from every address');
    }
    const listed = mode === 'SSLAUTH' || addresses.length > 0 ? addresses : LOOPBACK_ADDRESSES;
    const rule = { subsystem, mode, addresses: [...new Set(listed.map(addressRange))] };
    state.putConnectionRule(rule);
    return rule;
  });
  app.delete<{ Params: { '*': string } }>('/connection-modes/*', async (request, reply) => {
    if (!state.removeConnectionRule(request.params['*'])) throw new AccordError('NOT_FOUND');
    return reply.code(204).send();
  });

  app.get('/maintenance', async () => ({ maintenance: state.maintenance() }));
  app.put('/maintenance', async (request) => {
    const { notice } = checkMaintenance(request.body);
    const sinceMs = state.maintenance()?.sinceMs ?? clock.nowMs();
    state.startMaintenance({ notice, sinceMs });
    logger.warn({ notice }, 'maintenance: no new exchange is begun or answered');
    return { maintenance: state.maintenance() };
  });
  app.delete('/maintenance', async () => {
    if (state.endMaintenance()) logger.warn('maintenance is over');
    return { maintenance: null };
  });
}
