// A time-stamp authority for development and tests (RFC 3161 over HTTP, section 3.4): its key lives as long as the process
// and protects nothing. It speaks as real ones do, so that client and verification meet real answers. Whoever reaches the
// loopback port controls the request.
import { randomBytes } from 'node:crypto';
import { makeDevelopmentTimeStampSigner } from '#certs/development-time-stamp-signer.ts';
import { grantedResponse, makeTimeStampToken, rejectedResponse } from '#certs/time-stamp-make.ts';
import { MAX_TIME_STAMP_REQUEST_BYTES, readTimeStampRequest } from '#certs/time-stamp-request.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Clock } from './clock.ts';
import { openServer } from './http/server-frame.ts';

const REQUEST_TYPE = 'application/timestamp-query';
const RESPONSE_TYPE = 'application/timestamp-reply';
const ACCURACY_MS = 1_000;

export interface DevelopmentTimeStampAuthority {
  name: string;
  /** Where requests are posted. */
  url: string;
  /** DER of the root that its tokens verify under. */
  certificates: readonly Buffer[];
  /** Tokens given so far. */
  given(): number;
  close(): Promise<void>;
}

/** Listens on loopback. @param port default: any that is free */
export async function openDevelopmentTimeStampAuthority(options: {
  name: string;
  clock: Clock;
  port?: number;
}): Promise<DevelopmentTimeStampAuthority> {
  const { name, clock, port = 0 } = options;
  const signer = await makeDevelopmentTimeStampSigner(name, clock.nowMs());
  const app = openServer({ name: 'time-stamp-authority', bodyLimit: MAX_TIME_STAMP_REQUEST_BYTES });
  let given = 0;
  app.addContentTypeParser(REQUEST_TYPE, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.post('/', (request, reply) => {
    reply.header('content-type', RESPONSE_TYPE);
    return reply.send(answer(request.body as Buffer));
  });

  function answer(body: Buffer): Buffer {
    try {
      const asked = readTimeStampRequest(body);
      if (asked.policy !== null && asked.policy !== signer.policy) {
        return rejectedResponse('unacceptedPolicy', 'no such policy');
      }
      const said = { genTimeMs: clock.nowMs(), accuracyMs: ACCURACY_MS, serial: randomBytes(16) };
      const token = makeTimeStampToken(signer, asked, said);
      given += 1;
      return grantedResponse(token);
    } catch (error) {
      if (!isAccordError(error, 'TIME_STAMP_MALFORMED')) throw error;
      return rejectedResponse('badRequest', error.detail);
    }
  }

  const url = `${await app.listen({ host: '127.0.0.1', port })}/`;
  return { name, url, certificates: [signer.root], given: () => given, close: () => app.close() };
}
