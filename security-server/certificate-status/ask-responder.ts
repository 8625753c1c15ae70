// Asks an OCSP responder (RFC 6960 appendix A.1) about a certificate and verifies what it answers. The responder, and who
// stands before it, controls the answer.

import { type CertIdHash, makeOcspRequest, ocspUrlsOf } from '#certs/ocsp-request.ts';
import { MAX_OCSP_RESPONSE_BYTES } from '#certs/ocsp-response.ts';
import { certificateHash } from '#certs/path.ts';
import type { RegisteredCertificate } from '#core/configuration/snapshot.ts';
import type { BoundedClient } from '#core/http/client.ts';
import type { OcspRules } from '#schemas/configuration.ts';
import { AccordError } from '#schemas/problems.ts';
import { candidatesFor, pathAmong, type Trust } from '#security-server/certificate-paths.ts';
import type { HeldAnswer } from './answers.ts';
import { judgeAnswer } from './peer-answers.ts';

interface Asked {
  certificate: RegisteredCertificate;
  use: 'sign' | 'client';
  trust: Trust;
  rules: OcspRules;
  atMs: number;
}

const ASK_TIMEOUT_MS = 10_000;

/**
 * The verified answer; null where the rules name no responder for the certificate's issuer.
 * @throws OCSP_RESPONDER_FAILED, PEER_UNREACHABLE, PEER_TIMEOUT, PEER_BROKE_OFF, RESPONSE_TOO_LARGE
 */
export async function askResponder(http: Pick<BoundedClient, 'request'>, asked: Asked): Promise<HeldAnswer | null> {
  const { certificate, use, trust, rules, atMs } = asked;
  const { der } = certificate;
  const path = pathAmong(der, candidatesFor(der, trust), trust, { purpose: use, atMs });
  const issuer = path.valid ? path.path[1] : undefined;
  const url = issuer && responderOf(certificate, issuer, rules);
  if (issuer === undefined || url === undefined) return null;
  let problem = '';
  // Many responders know certificates by SHA-1 alone and say `unauthorized` to everything else.
  for (const idHash of ['sha-256', 'sha-1'] as const satisfies CertIdHash[]) {
    const answer = await fetched(http, url, makeOcspRequest(der, issuer, idHash));
    const said = judgeAnswer(certificate, use, answer, trust, { atMs, graceMs: 0 });
    if (typeof said !== 'string') return said;
    problem = said;
  }
  throw new AccordError('OCSP_RESPONDER_FAILED', `${url}: ${problem}`);
}

async function fetched(http: Pick<BoundedClient, 'request'>, url: string, request: Buffer): Promise<Buffer> {
  const { status, body } = await http.request({
    url,
    method: 'POST',
    headers: [
      ['content-type', 'application/ocsp-request'],
      ['accept', 'application/ocsp-response'],
    ],
    body: request,
    timeoutMs: ASK_TIMEOUT_MS,
    maxResponseBytes: MAX_OCSP_RESPONSE_BYTES,
  });
  if (status !== 200) throw new AccordError('OCSP_RESPONDER_FAILED', `${url}: status ${status}`);
  return body;
}

function responderOf(certificate: RegisteredCertificate, issuer: Uint8Array, rules: OcspRules): string | undefined {
  const named = certificateHash(issuer);
  const listed = rules.responders.find((one) => one.issuer === named)?.url;
  return listed ?? (rules.namedInCertificate ? ocspUrlsOf(certificate.der)[0] : undefined);
}
