// What openid-client takes for `fetch`: the house's bounded client, so that an identity provider's answers are capped in
// time and size, no redirect is followed and no content coding undone. The provider controls the answer, and by its
// discovery document the addresses.
import type { CustomFetch } from 'openid-client';
import type { BoundedClient } from '#core/http/client.ts';
import { IDENTITY_TIMEOUT_MS, MAX_IDENTITY_ANSWER_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

/**
 * Plain HTTP goes to loopback only, and only for a provider that is itself on loopback: development.
 * Errors of the returned function: as `BoundedClient.request`; PEER_BROKE_OFF for an answer in a content coding.
 */
export function boundedFetch(client: BoundedClient, issuer: string): CustomFetch {
  const plain = isLoopbackHttp(issuer);
  return async (url, { method, headers, body, signal }) => {
    if (!url.startsWith('https://') && !(plain && isLoopbackHttp(url))) {
      throw new AccordError('PEER_UNREACHABLE', 'an identity provider is reached over https');
    }
    const answer = await client.request({
      url,
      method,
      headers: [...Object.entries(headers), ['accept-encoding', 'identity']],
      ...(body instanceof URLSearchParams || typeof body === 'string' ? { body: Buffer.from(String(body)) } : {}),
      timeoutMs: IDENTITY_TIMEOUT_MS,
      maxResponseBytes: MAX_IDENTITY_ANSWER_BYTES,
      ...(signal ? { signal } : {}),
    });
    if (answer.headers.some(([name, value]) => name.toLowerCase() === 'content-encoding' && value !== 'identity')) {
      throw new AccordError('PEER_BROKE_OFF', 'the answer came in a content coding');
    }
    const empty = [204, 205, 304].includes(answer.status);
    return new Response(empty ? null : new Uint8Array(answer.body), { status: answer.status, headers: answer.headers });
  };
}

/** True for http://127.0.0.1, [::1] and localhost, with any port and path. */
export function isLoopbackHttp(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
}
