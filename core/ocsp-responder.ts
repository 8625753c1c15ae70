// An OCSP responder over HTTP (RFC 6960 appendix A.1): POST with the request as body, or GET with it in the path. For
// `accord ca ocsp`, `accord dev up` and tests. Anybody may ask; what is answered is public.
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { MAX_OCSP_REQUEST_BYTES } from '#certs/ocsp-request.ts';
import { openServer } from './http/server-frame.ts';

const REQUEST_TYPE = 'application/ocsp-request';
const RESPONSE_TYPE = 'application/ocsp-response';

export interface OcspResponderOptions {
  /** DER to DER; see `answerOcsp`. */
  answer: (request: Buffer) => Buffer | Promise<Buffer>;
  logger: FastifyBaseLogger;
}

/** Not listening yet. */
export function openOcspResponder({ answer, logger }: OcspResponderOptions): FastifyInstance {
  const app = openServer({ name: 'ocsp', logger, bodyLimit: MAX_OCSP_REQUEST_BYTES });
  app.addContentTypeParser(REQUEST_TYPE, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.post('/', async (request, reply) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    return reply.type(RESPONSE_TYPE).send(await answer(body));
  });
  app.get('/*', async (request, reply) => {
    const text = (request.params as { '*': string })['*'];
    // Base64, percent-encoded in the path; what is not becomes `malformedRequest`.
    return reply.type(RESPONSE_TYPE).send(await answer(Buffer.from(text, 'base64')));
  });
  return app;
}
