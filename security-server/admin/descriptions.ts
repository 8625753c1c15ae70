// OpenAPI documents in the admin API of the provider's server: what X-Road's getOpenAPI hands out and its lists of methods are
// made of (provider/metaservices.ts). Only the document that is registered under the service's name is ever shown, so it is
// put here in the spelling that the registry hashed. The administrator controls the document.
import type { FastifyInstance } from 'fastify';
import { descriptionBytes, descriptionHashOf } from '#core/configuration/description.ts';
import { describedEndpoints } from '#policy/service-endpoints.ts';
import { isJsonObject, type JsonValue } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

export function addDescriptionRoutes(app: FastifyInstance, server: ServerParts): void {
  const { state } = server;
  app.put('/service-descriptions/*', async (request, reply) => {
    const { '*': id } = request.params as { '*': string };
    if (state.service(id) === null) throw new AccordError('SERVICE_UNKNOWN', id.slice(0, 300));
    const document = request.body as JsonValue;
    if (!isJsonObject(document) || !/^3\.[01]\.\d+$/.test(String(document['openapi']))) {
      throw new AccordError('DESCRIPTION_REFUSED', 'not OpenAPI 3.0 or 3.1');
    }
    const bytes = descriptionBytes(document);
    const hash = descriptionHashOf(bytes);
    const endpoints = describedEndpoints(document);
    state.putDescription(id, { hash, bytes, endpoints });
    const isRegistered = server.configuration.current().service(id)?.descriptionHash === hash;
    return reply.send({ id, descriptionHash: hash, endpoints, isRegistered });
  });
  app.delete('/service-descriptions/*', async (request, reply) => {
    const { '*': id } = request.params as { '*': string };
    if (!state.removeDescription(id)) throw new AccordError('NOT_FOUND');
    return reply.code(204).send();
  });
}
