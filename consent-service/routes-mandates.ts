// What a register of guardians or a court asks for: POST /mandates says that somebody acts for somebody else, GET
// /mandates/{id} what became of it, POST /mandates/{id}/revoke ends it. On the filing port, behind the consent member's own
// security server like every request (routes-filing.ts); which subsystems are registers says the signed configuration.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MandateFiling } from '#schemas/mandate.ts';
import { Type } from '#schemas/schema-builder.ts';
import { MESSAGE_ID_PATTERN } from '#schemas/statement.ts';
import type { Mandates, MandateView } from './mandates.ts';

const OneMandate = Type.Object({ id: Type.String({ pattern: MESSAGE_ID_PATTERN }) }, { additionalProperties: false });

/** @param clientOf who asks, as the security server says. @throws CALLER_UNKNOWN */
export function addMandateRoutes(
  app: FastifyInstance,
  mandates: Mandates,
  clientOf: (request: FastifyRequest) => string,
): void {
  app.post<{ Body: MandateFiling }>('/mandates', { schema: { body: MandateFiling } }, async (request, reply) =>
    reply.code(201).send(shown(await mandates.file(clientOf(request), request.body))),
  );
  app.get<{ Params: { id: string } }>('/mandates/:id', { schema: { params: OneMandate } }, async (request) =>
    shown(await mandates.ofRegister(clientOf(request), request.params.id)),
  );
  app.post<{ Params: { id: string } }>('/mandates/:id/revoke', { schema: { params: OneMandate } }, async (request) =>
    shown(await mandates.revoke(clientOf(request), request.params.id)),
  );
}

/** What the register said itself, and what became of it: not what was done with it. */
function shown(view: MandateView) {
  const { id, kind, state, reason, purposes, maxLevel, notBeforeMs, validUntilMs, majorityOn } = view;
  return {
    ...{ id, kind, state, reason, maxLevel, notBeforeMs, validUntilMs, majorityOn },
    purposes: purposes?.map((purpose) => purpose.id) ?? null,
    filedAtMs: view.filedAtMs,
    endedAtMs: view.endedAtMs,
  };
}
