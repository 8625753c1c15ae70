// The auditor's pages stand on the admin port, in a server of their own that is made with the first request for them: most
// servers are never asked, and pages, forms and words take more memory than the rest of that port. Whoever reaches the
// port decides when; what is loaded then stays.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { openServer } from '#core/http/server-frame.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import type { AuditorOptions } from './auditor-pages.ts';

/** Whether a request is for these pages, which have a sign-in of their own. */
export function isAuditorPage(url: string): boolean {
  return /^\/auditor(?:[/?]|$)/.test(url);
}

/** What answers such a request before `app` looks at it; ends with `app`. */
export function auditorPagesWhenAsked(app: FastifyInstance, server: ServerParts, options: AuditorOptions) {
  let opened: Promise<FastifyInstance> | null = null;
  const open = async () => {
    const { addAuditorPages } = await import('./auditor-pages.ts');
    const pages = openServer({ name: 'auditor', logger: server.logger });
    addAuditorPages(pages, server, options);
    await pages.ready();
    return pages;
  };
  app.addHook('onClose', async () => {
    await (await opened)?.close();
  });
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    // What failed once may succeed the next time.
    opened ??= open().catch((error: unknown) => {
      opened = null;
      throw error;
    });
    const pages = await opened;
    reply.hijack();
    pages.routing(request.raw, reply.raw);
  };
}
