// The development identity provider: OpenID Connect as it is (oidc-provider: discovery, authorization code with PKCE,
// RFC 9207 `iss`, signed ID tokens), with a list of residents in place of a proof of identity. For the demonstration and
// the tests. It listens on loopback only, because whoever reaches it can be anybody.
import { type KeyObject, randomBytes } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider, { type ClientMetadata, type Configuration, interactionPolicy, type JWK } from 'oidc-provider';
import { exportPublicJwk, generateKeys, type PublicJwk, thumbprint } from '#certs/keys.ts';
import { accountOf, DEV_ACR, DEV_CLAIM, type DevResident } from './dev-accounts.ts';
import { answerLogin } from './dev-login.ts';
import { logoutPage, messagePage } from './dev-pages.ts';
import { openDevStore } from './dev-store.ts';

interface DevClient {
  clientId: string;
  /** Compared exactly. */
  redirectUris: string[];
  postLogoutRedirectUris?: string[];
  /** How it authenticates at the token endpoint: a secret, a key (private_key_jwt, ES256), or by PKCE alone. */
  secret?: string;
  publicKey?: KeyObject;
}

export interface DevIdentityProviderOptions {
  /** 0 for any free port. */
  port: number;
  residents: readonly DevResident[];
  clients: readonly DevClient[];
  /** P-256, so that the configuration can name it before; made anew when there is none. */
  key?: KeyObject;
}

export interface DevIdentityProvider {
  issuer: string;
  /** What the configuration's identity part names. */
  jwks: { kid: string; jwk: PublicJwk }[];
  close(): Promise<void>;
}

/** Opens it on 127.0.0.1. */
export async function openDevIdentityProvider(options: DevIdentityProviderOptions): Promise<DevIdentityProvider> {
  const server = http.createServer();
  server.listen(options.port, '127.0.0.1');
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}`;
  const key = options.key ?? generateKeys('P-256').privateKey;
  const kid = thumbprint(key);
  const signing = { ...key.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' } as JWK;
  const provider = new Provider(issuer, configurationOf(options, signing, port));
  const protocol = provider.callback();
  server.on('request', (request, response) => {
    if (request.url?.startsWith('/interaction/')) void answerLogin(provider, options.residents, request, response);
    else void protocol(request, response);
  });
  return {
    issuer,
    jwks: [{ kid, jwk: exportPublicJwk(key) }],
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function configurationOf({ residents, clients }: DevIdentityProviderOptions, key: JWK, port: number): Configuration {
  const html = (ctx: { type: string; body: unknown }, body: string) => {
    ctx.type = 'html';
    ctx.body = body;
  };
  return {
    adapter: openDevStore(),
    clients: clients.map(clientMetadata),
    jwks: { keys: [key] },
    acrValues: Object.values(DEV_ACR),
    claims: { openid: ['sub', DEV_CLAIM] },
    conformIdTokenClaims: false, // there is no UserInfo request here: the ID token carries the identifier
    scopes: ['openid'],
    responseTypes: ['code'],
    pkce: { required: () => true },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'], clientAuthSigningAlgValues: ['ES256'] },
    clientAuthMethods: ['client_secret_basic', 'private_key_jwt', 'none'],
    // Cookies know no ports: two providers on one host would overwrite each other's.
    cookies: {
      keys: [randomBytes(32).toString('hex')],
      names: { session: `_session_${port}`, interaction: `_interaction_${port}`, resume: `_resume_${port}` },
    },
    ttl: { AccessToken: 60, AuthorizationCode: 60, IdToken: 600, Interaction: 600, Session: 3600, Grant: 3600 },
    interactions: { policy: promptPolicy(), url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, sub) => {
      const resident = residents.find(({ id }) => accountOf(id) === sub);
      return resident && { accountId: sub, claims: () => ({ sub, [DEV_CLAIM]: resident.id }) };
    },
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({
        accountId: oidc.session?.accountId ?? '',
        clientId: oidc.client?.clientId ?? '',
      });
      grant.addOIDCScope('openid');
      await grant.save();
      return grant;
    },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => html(ctx, logoutPage(form)),
        postLogoutSuccessSource: (ctx) => html(ctx, messagePage('已退出 · Signed out', '')),
      },
    },
    renderError: (ctx, out) => html(ctx, messagePage('错误 · Error', `${out.error}: ${out.error_description ?? ''}`)),
  };
}

function clientMetadata(client: DevClient): ClientMetadata {
  const { secret, publicKey } = client;
  const authentication: Partial<ClientMetadata> =
    publicKey !== undefined
      ? {
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [{ ...exportPublicJwk(publicKey), kid: thumbprint(publicKey), alg: 'ES256' } as JWK] },
        }
      : secret !== undefined
        ? { token_endpoint_auth_method: 'client_secret_basic', client_secret: secret }
        : { token_endpoint_auth_method: 'none' };
  return {
    client_id: client.clientId,
    redirect_uris: client.redirectUris,
    post_logout_redirect_uris: client.postLogoutRedirectUris ?? [],
    response_types: ['code'],
    grant_types: ['authorization_code'],
    id_token_signed_response_alg: 'ES256',
    ...authentication,
  };
}

/**
 * No consent screen, and the login page whenever the session reaches none of the classes that are asked for. Whoever then
 * chooses a lower one gets it: `acr_values` is a wish, and the client has to look at what it got.
 */
function promptPolicy(): interactionPolicy.DefaultPolicy {
  const policy = interactionPolicy.base();
  policy.remove('consent');
  const level = new interactionPolicy.Check('acr_values', 'a requested class was not reached', ({ oidc }) => {
    const wanted = String(oidc.params?.['acr_values'] ?? '');
    return wanted !== '' && !wanted.split(' ').includes(oidc.acr ?? '') && !oidc.result?.login;
  });
  policy.get('login')?.checks.add(level);
  return policy;
}
