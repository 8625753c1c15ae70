// A time-stamp authority for development and tests (RFC 3161 over HTTP, section 3.4): its key lives as long as the process
// and protects nothing. It speaks as real ones do, so that client and verification meet real answers. Whoever reaches the
// loopback port controls the request.
import { randomBytes } from 'node:crypto';
import { makeDevelopmentTimeStampSigner } from '#certs/development-time-stamp-signer.ts';
import { answerOcsp } from '#certs/ocsp-make.ts';
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
  /** Where its root's revocation list is. */
  crlUrl: string;
  /** Where its root answers OCSP requests. */
  ocspUrl: string;
  /** Tokens given so far. */
  given(): number;
  /** Its certificate is on the list from now on; it goes on stamping. @param reason CRLReason; null: none is stated */
  revoke(reason: number | null, atMs: number): void;
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

  let revoked: { atMs: number; reason: number | null } | null = null;
  let lists = 0;
  app.get('/root.crl', (_request, reply) => {
    lists += 1;
    return reply.type('application/pkix-crl').send(signer.list(lists, clock.nowMs(), revoked));
  });

  app.addContentTypeParser('application/ocsp-request', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  app.post('/ocsp', (request, reply) => {
    const said = revoked === null ? 'good' : { revokedAtMs: revoked.atMs, reason: revoked.reason ?? 0 };
    const responder = {
      issuer: signer.root,
      certificate: signer.root,
      privateKey: signer.rootKey,
      validityMs: 86_400_000,
    };
    const made = answerOcsp(request.body as Buffer, { ...responder, statusOf: () => said }, clock.nowMs());
    return reply.type('application/ocsp-response').send(made);
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
  return {
    ...{ name, url, certificates: [signer.root], crlUrl: `${url}root.crl`, ocspUrl: `${url}ocsp` },
    given: () => given,
    revoke(reason, atMs) {
      revoked = { reason, atMs };
    },
    close: () => app.close(),
  };
}
