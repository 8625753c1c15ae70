// The configuration port: the published folder over HTTP, read-only and cacheable, for security servers, mirrors and
// anybody who wants to verify. Any web server can do the same; nothing here is secret and nothing is trusted because it
// came from here. Only names of published files are ever opened. Beside them emergencies are reported here (routes-emergencies.ts).
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { openServer } from '#core/http/server-frame.ts';
import { AccordError } from '#schemas/problems.ts';

const FILE = /^(?:(?:root|content|distrust|locks)\.[1-9][0-9]{0,14}\.jws|freshness\.jws)$/;
const PART = /^[A-Za-z0-9_-]{43}$/;

/** A server that is not listening yet. */
export function openConfigurationFace(folder: string, logger?: FastifyBaseLogger): FastifyInstance {
  const app = openServer({ name: 'configuration', bodyLimit: 1024, ...(logger && { logger }) });
  app.get('/:file', async (request, reply) => {
    const { file } = request.params as { file: string };
    if (!FILE.test(file)) throw new AccordError('NOT_FOUND');
    return send(request, reply, join(folder, file), file === 'freshness.jws' ? 'no-cache' : 'public, max-age=31536000');
  });
  app.get('/parts/:hash', async (request, reply) => {
    const { hash } = request.params as { hash: string };
    if (!PART.test(hash)) throw new AccordError('NOT_FOUND');
    return send(request, reply, join(folder, 'parts', hash), 'public, max-age=31536000, immutable');
  });
  return app;
}

async function send(
  request: FastifyRequest,
  reply: FastifyReply,
  path: string,
  caching: string,
): Promise<FastifyReply> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new AccordError('NOT_FOUND') : error;
  });
  const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
  reply.header('etag', etag).header('cache-control', caching).header('x-content-type-options', 'nosniff');
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  return reply.type('application/octet-stream').send(bytes);
}
