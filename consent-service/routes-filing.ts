// What departments' backends ask for: POST /requests files a request for consent, GET /requests and GET /requests/{id} say
// what became of it (with the receipts while it is given), POST /requests/{id}/revoke gives a consent back. This is a
// backend behind the consent member's own security server, which has judged the exchange and says in `accord-client` who
// asks; whoever else reaches the port could say anything, so it listens on loopback unless told otherwise.

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ConsentRequest } from '#schemas/consent.ts';
import { SUBSYSTEM_ID_PATTERN } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import { Type } from '#schemas/schema-builder.ts';
import { MESSAGE_ID_PATTERN } from '#schemas/statement.ts';
import { type Consents, type ConsentView, linkUrl } from './consents.ts';
import type { EmergencyNotices } from './emergency-notices.ts';
import { addMandateRoutes } from './routes-mandates.ts';
import { addNoticeRoutes } from './routes-notices.ts';

/** Read from the raw headers by the server's frame: each at most once. */
export const IDENTITY_HEADERS: readonly string[] = ['accord-client', 'accord-service'];

const SUBSYSTEM = new RegExp(SUBSYSTEM_ID_PATTERN);
const OneConsent = Type.Object({ id: Type.String({ pattern: MESSAGE_ID_PATTERN }) }, { additionalProperties: false });

/** @param citizenUrl base of the addresses that citizens open */
export function addFilingRoutes(
  app: FastifyInstance,
  { consents, notices }: { consents: Consents; notices: EmergencyNotices },
  self: string,
  citizenUrl: () => string,
): void {
  const clientOf = ({ headers }: FastifyRequest): string => {
    const [client, service] = IDENTITY_HEADERS.map((name) => String(headers[name] ?? ''));
    if (!SUBSYSTEM.test(client ?? '') || !service?.startsWith(`${self}/`)) throw new AccordError('CALLER_UNKNOWN');
    return client ?? '';
  };
  app.addHook('onSend', async (_request, reply) => void reply.header('cache-control', 'no-store'));
  app.post<{ Body: ConsentRequest }>('/requests', { schema: { body: ConsentRequest } }, async (request, reply) => {
    const { id, link, expiresAtMs } = await consents.file(clientOf(request), request.body);
    return reply.code(201).send({ id, link: linkUrl(citizenUrl(), link), expiresAtMs });
  });
  app.get('/requests', async (request) => ({
    requests: (await consents.listOfClient(clientOf(request))).map(summaryOf),
  }));
  app.get<{ Params: { id: string } }>('/requests/:id', { schema: { params: OneConsent } }, async (request) =>
    shown(await consents.ofClient(clientOf(request), request.params.id)),
  );
  app.post<{ Params: { id: string } }>('/requests/:id/revoke', { schema: { params: OneConsent } }, async (request) =>
    shown(await consents.revokeByClient(clientOf(request), request.params.id)),
  );
  addMandateRoutes(app, consents.mandates, clientOf);
  addNoticeRoutes(app, notices, clientOf);
}

function summaryOf({ id, state, purpose, requestedAtMs, decidedAtMs, expiresAtMs, ...view }: ConsentView) {
  const { validUntilMs } = shown({ id, state, purpose, requestedAtMs, decidedAtMs, expiresAtMs, ...view });
  return { id, state, purpose: purpose.id, requestedAtMs, decidedAtMs, expiresAtMs, validUntilMs };
}

/** What a client may know: not the words for the citizen; an end only of what was given. */
function shown(view: ConsentView) {
  const { id, state, purpose, requestedAtMs, decidedAtMs, expiresAtMs, validUntilMs, uses, frequency, retentionDays } =
    view;
  const isGiven = view.services.some(({ given }) => given.length > 0);
  return {
    ...{ id, state, requestedAtMs, decidedAtMs, expiresAtMs, uses, frequency, retentionDays },
    validUntilMs: isGiven ? validUntilMs : null,
    purpose: { id: purpose.id, version: purpose.version, hash: purpose.hash },
    services: view.services.map(({ service, items, given }) => ({
      service,
      asked: items.map(({ element }) => element),
      given,
    })),
    receipts: view.receipts,
  };
}
