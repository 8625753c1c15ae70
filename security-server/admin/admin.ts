// The admin API of one security server: its services and their backends, access rights, information systems, state of
// the log and the configuration. Described at /openapi.json; API keys with the role `administrator` (all) or `auditor`
// (reading, holds, and being the second person in what takes two). Every change is effective when it is answered. The administrator controls the input.
import type { FastifyInstance } from 'fastify';
import { type HashedKey, keyOfBearer } from '#core/http/bearer.ts';
import { openServer } from '#core/http/server-frame.ts';
import { AccordError } from '#schemas/problems.ts';
import type { AuditorOptions } from '#security-server/auditor/auditor-pages.ts';
import { auditorPagesWhenAsked, isAuditorPage } from '#security-server/auditor/pages-when-asked.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { addAnchoringRoutes } from './anchoring.ts';
import { addArchiveRoutes } from './archive.ts';
import { addDescriptionRoutes } from './descriptions.ts';
import { addDoubtRoutes } from './doubts.ts';
import { addExplainRoute } from './explain.ts';
import { addGroupRoutes } from './groups.ts';
import { openApiDocument } from './openapi.ts';
import { addRetentionRoutes, auditorMay } from './retention.ts';
import type { AdminRole } from './roles.ts';
import { type AdminActions, addRoutes } from './routes.ts';

/** Answers a question whose words would not fit into an address; it changes nothing. */
const QUESTION = '/access-rights/explain';

export function openAdminPort(
  server: ServerParts,
  keys: readonly HashedKey<AdminRole>[],
  actions: AdminActions,
  auditor: Omit<AuditorOptions, 'keys'>,
): FastifyInstance {
  const app = openServer({ name: 'admin', logger: server.logger });
  const answerPage = auditorPagesWhenAsked(app, server, { keys, ...auditor });
  app.addHook('onRequest', async (request, reply) => {
    if (isAuditorPage(request.url)) return await answerPage(request, reply);
    if (request.method === 'GET' && request.url === '/openapi.json') return;
    const key = keyOfBearer(request.headers.authorization, keys);
    const changes = request.method !== 'GET' && request.url !== QUESTION;
    if (changes && key.role !== 'administrator' && !auditorMay(request.method, request.url)) {
      throw new AccordError('ROLE_NOT_ALLOWED', 'needs administrator');
    }
    if (changes) {
      const { method, url } = request;
      request.log.info({ admin: key.name, role: key.role, method, url }, 'administration');
    }
  });
  // A change is in force everywhere when its answer comes.
  app.addHook('onSend', async ({ method }, { statusCode }) => {
    if (method !== 'GET' && statusCode < 400) await server.others?.changed('state');
  });
  app.get('/openapi.json', async () => openApiDocument());
  addRoutes(app, server, actions);
  addGroupRoutes(app, server);
  addAnchoringRoutes(app, server, actions.witness);
  addArchiveRoutes(app, server);
  addDescriptionRoutes(app, server);
  addExplainRoute(app, server);
  addRetentionRoutes(app, server, ({ headers }) => keyOfBearer(headers.authorization, keys));
  addDoubtRoutes(app, server, ({ headers }) => keyOfBearer(headers.authorization, keys));
  return app;
}
