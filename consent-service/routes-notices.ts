// Where departments' servers bring notices of emergencies: on the filing port, behind the own security server, which takes
// them on a reserved path and hands on who sent them (`accord-client`). The sender controls the notice.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { EmergencyNotice, FILED_NOTICES_PATH } from '#schemas/notice.ts';
import type { EmergencyNotices } from './emergency-notices.ts';

/** @param clientOf who asks, as the own security server says @throws CALLER_UNKNOWN */
export function addNoticeRoutes(
  app: FastifyInstance,
  notices: EmergencyNotices,
  clientOf: (request: FastifyRequest) => string,
): void {
  app.post<{ Body: EmergencyNotice }>(FILED_NOTICES_PATH, { schema: { body: EmergencyNotice } }, async (request) => {
    await notices.take(clientOf(request), request.body);
    return {};
  });
}
