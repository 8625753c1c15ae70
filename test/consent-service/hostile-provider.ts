// An identity provider that does what the test says: one HTTP server, an issuer per behaviour. What a behaviour leaves
// alone is done right, PKCE included, so that a refusal has one reason.
import { createHash, type KeyObject, randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SignatureAlgorithm } from '#certs/algorithms.ts';
import { signCompact } from '#certs/jws.ts';
import { exportPublicJwk, generateKeys } from '#certs/keys.ts';
import type { IdentityProviderEntry } from '#schemas/configuration.ts';
import type { JsonValue } from '#schemas/json.ts';
import { SCHEME, WANG } from './sign-in-site.ts';

export type Claims = Record<string, JsonValue>;
interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body: string | Buffer;
}

export interface Behaviour {
  /** The claims before they are signed. */
  claims?: (claims: Claims) => Claims;
  /** The ID token instead of the signed claims. */
  token?: (claims: Claims) => string;
  /** The callback's query. */
  callback?: (query: URLSearchParams) => void;
  /** What stands in the discovery document. */
  metadata?: Claims;
  discovery?: Answer;
  tokens?: Answer;
  jwks?: Answer;
  /** Keys it publishes beside its own. */
  published?: JsonValue[];
  withdrawn?: boolean;
  key?: { alg: SignatureAlgorithm; key: KeyObject };
}

export const EC_KEY = generateKeys('P-256').privateKey;

export interface HostileProvider {
  /** Behaves so under an issuer of its own; what the configuration says of it. */
  entry(name: string, behaviour?: Behaviour): IdentityProviderEntry;
  /** Requests that reached it, as `METHOD /path`. */
  seen: string[];
  close(): Promise<void>;
}

interface Asked {
  nonce: string;
  challenge: string;
}

export async function openHostileProvider(): Promise<HostileProvider> {
  const behaviours = new Map<string, Behaviour>();
  const codes = new Map<string, Asked>();
  const seen: string[] = [];
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? '/', base);
    const [, name = '', ...rest] = url.pathname.split('/');
    const behaviour = behaviours.get(name) ?? {};
    const issuer = `${base}/${name}`;
    seen.push(`${request.method} ${url.pathname}`);
    const send = ({ status = 200, headers = {}, body }: Answer) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
    };
    if (rest[0] === '.well-known') {
      send(behaviour.discovery ?? { body: JSON.stringify({ ...metadataOf(issuer), ...behaviour.metadata }) });
    } else if (rest[0] === 'jwks') {
      const keys = [...(behaviour.withdrawn ? [] : [publishedJwk(behaviour)]), ...(behaviour.published ?? [])];
      send(behaviour.jwks ?? { body: JSON.stringify({ keys }) });
    } else if (rest[0] === 'auth') {
      const code = randomUUID();
      const asked = url.searchParams;
      codes.set(code, { nonce: asked.get('nonce') ?? '', challenge: asked.get('code_challenge') ?? '' });
      const query = new URLSearchParams({ code, state: asked.get('state') ?? '', iss: issuer });
      behaviour.callback?.(query);
      send({ status: 303, headers: { location: `${asked.get('redirect_uri')}?${query}` }, body: '' });
    } else {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () =>
        send(tokenAnswer(issuer, behaviour, new URLSearchParams(Buffer.concat(chunks).toString()))),
      );
    }
  });
  /** Any number of uses of one code; only a wrong verifier is refused. */
  function tokenAnswer(issuer: string, behaviour: Behaviour, form: URLSearchParams): Answer {
    const asked = codes.get(form.get('code') ?? '');
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (asked?.challenge !== challenge) return { status: 400, body: '{"error":"invalid_grant"}' };
    const now = Math.floor(Date.now() / 1000);
    const times = { iat: now, exp: now + 300, auth_time: now };
    const right = {
      iss: issuer,
      sub: 'account',
      aud: 'accord',
      nonce: asked.nonce,
      acr: 'two',
      resident_id: WANG,
      ...times,
    };
    const claims = behaviour.claims?.(right) ?? right;
    const token = behaviour.token?.(claims) ?? signed(claims, behaviour.key);
    return behaviour.tokens ?? { body: JSON.stringify({ access_token: 'a', token_type: 'Bearer', id_token: token }) };
  }
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    seen,
    entry(name, behaviour = {}) {
      behaviours.set(name, behaviour);
      const { kid: _, use: __, ...jwk } = publishedJwk(behaviour);
      const rest = { scheme: SCHEME, claim: 'resident_id', levels: { two: 2, four: 4 } } as const;
      return {
        issuer: `${base}/${name}`,
        clientId: 'accord',
        keys: [{ kid: 'k1', jwk }],
        ...rest,
      } as IdentityProviderEntry;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A token of these claims, signed by the provider or with another key. */
export function signed(claims: Claims, key: Behaviour['key'] = { alg: 'ES256', key: EC_KEY }, kid = 'k1'): string {
  return signCompact(Buffer.from(JSON.stringify(claims)), { typ: 'JWT', kid }, key);
}

function publishedJwk({ key = { alg: 'ES256', key: EC_KEY } }: Behaviour) {
  const alg = key.alg === 'ES256' || key.alg === 'EdDSA' ? {} : { alg: key.alg };
  return { ...exportPublicJwk(key.key), ...alg, kid: 'k1', use: 'sig' };
}

function metadataOf(issuer: string): Claims {
  return {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256', 'EdDSA', 'RS256', 'PS256', 'HS256', 'none'],
  };
}
