// The identity providers of the configuration, as a client of OpenID Connect speaks with them (openid-client over the
// bounded client): discovery, the authorization request, the code for the token. What comes back counts only if it is
// signed with a key that the provider publishes now and that the configuration names; departments' servers verify the
// same tokens later with the configuration alone. The provider controls its answers, the browser the callback's query.
import { createHash, type KeyObject } from 'node:crypto';
import * as openid from 'openid-client';
import { verifyIdToken } from '#certs/id-token.ts';
import { thumbprint } from '#certs/keys.ts';
import type { Clock } from '#core/clock.ts';
import type { BoundedClient } from '#core/http/client.ts';
import type { IdentityProviderEntry } from '#schemas/configuration.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { IDENTITY_TIMEOUT_MS } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { SignInAttempt } from './attempt.ts';
import { boundedFetch, isLoopbackHttp } from './bounded-fetch.ts';
import { providerFault } from './provider-fault.ts';
import type { Account } from './sessions.ts';

/** How this service authenticates to a provider: client_secret_basic, or private_key_jwt with an ES256 key. */
export type ClientCredential = { secret: string } | { privateKey: KeyObject };

export interface ProvidersOptions {
  /** Read on every use, because the configuration changes. */
  entries: () => readonly IdentityProviderEntry[];
  /** Without one, PKCE alone proves that the code is ours. */
  credential: (issuer: string) => ClientCredential | null;
  client: BoundedClient;
  clock: Clock;
  /** Exactly as it is registered with every provider. */
  redirectUri: string;
  onAlarm: (code: string, detail: string) => void;
}

/** What a provider vouched for. */
interface VouchedFor {
  account: Account;
  level: Level;
  idToken: string;
}

export interface Providers {
  list(): { slug: string; entry: IdentityProviderEntry }[];
  bySlug(slug: string): IdentityProviderEntry | undefined;
  byIssuer(issuer: string): IdentityProviderEntry | undefined;
  /** Origins its pages are at: the issuer's, and that of its authorization endpoint once it is known. */
  originsOf(entry: IdentityProviderEntry): string[];
  /** Where to send the browser. @throws SIGN_IN_PROVIDER_AWAY, STEP_UP_REQUIRED when it has no such level */
  authorizationUrl(entry: IdentityProviderEntry, attempt: SignInAttempt): Promise<string>;
  /** @throws SIGN_IN_REFUSED, SIGN_IN_PROVIDER_AWAY, STEP_UP_REQUIRED when the level was not reached */
  redeem(entry: IdentityProviderEntry, attempt: SignInAttempt, query: string): Promise<VouchedFor>;
  /** Where the person can end the provider's own session too; null when it has no such place or does not answer. */
  endSessionUrl(entry: IdentityProviderEntry, backTo: string): Promise<string | null>;
}

const DISCOVERED_MS = 3_600_000;
/** A provider that did not answer is not asked again at once: its visitors must not wait in line for a timeout. */
const AWAY_MS = 5_000;

interface Discovered {
  made: Promise<openid.Configuration>;
  authorizationEndpoint?: string | undefined;
  untilMs: number;
}

export function openProviders(options: ProvidersOptions): Providers {
  const { entries, clock, onAlarm } = options;
  const discovered = new Map<string, Discovered>();

  async function configurationOf(entry: IdentityProviderEntry): Promise<openid.Configuration> {
    const id = `${entry.issuer} ${entry.clientId}`;
    const held = discovered.get(id);
    if (held && clock.monotonicMs() < held.untilMs) return await held.made;
    const made = discover(entry, options);
    const fresh: Discovered = { made, untilMs: clock.monotonicMs() + DISCOVERED_MS };
    discovered.set(id, fresh);
    made.then(
      (configuration) => {
        fresh.authorizationEndpoint = configuration.serverMetadata().authorization_endpoint;
      },
      () => {
        fresh.untilMs = clock.monotonicMs() + AWAY_MS;
      },
    );
    return await made;
  }

  return {
    list: () => entries().map((entry) => ({ slug: slugOf(entry.issuer), entry })),
    bySlug: (slug) => entries().find(({ issuer }) => slugOf(issuer) === slug),
    byIssuer: (issuer) => entries().find((entry) => entry.issuer === issuer),
    originsOf({ issuer, clientId }) {
      const known = discovered.get(`${issuer} ${clientId}`)?.authorizationEndpoint;
      return [issuer, ...(known === undefined ? [] : [known])].map((url) => new URL(url).origin);
    },
    async authorizationUrl(entry, attempt) {
      const acrValues = acrValuesFor(entry, attempt.level);
      const configuration = await configurationOf(entry);
      const parameters = {
        redirect_uri: options.redirectUri,
        scope: 'openid',
        state: attempt.state,
        nonce: attempt.nonce,
        code_challenge: createHash('sha256').update(attempt.verifier).digest('base64url'),
        code_challenge_method: 'S256',
        acr_values: acrValues.join(' '),
        ...(attempt.fresh ? { max_age: '0', prompt: 'login' } : {}),
      };
      return addressOfProvider(() => openid.buildAuthorizationUrl(configuration, parameters), entry);
    },
    async redeem(entry, attempt, query) {
      // RFC 9207: whoever answered says who it is, and must be the one that was asked. Demanded of every provider.
      if (new URLSearchParams(query).getAll('iss').join(' ') !== entry.issuer) {
        throw new AccordError('SIGN_IN_REFUSED', 'iss');
      }
      const configuration = await configurationOf(entry);
      const checks = { expectedState: attempt.state, expectedNonce: attempt.nonce, pkceCodeVerifier: attempt.verifier };
      const callback = new URL(`${options.redirectUri}?${query}`);
      const tokens = await openid
        .authorizationCodeGrant(configuration, callback, { ...checks, idTokenExpected: true })
        .catch((error: unknown) => {
          throw providerFault(error, entry.issuer, onAlarm);
        });
      return vouchedFor(tokens.id_token ?? '', entry, attempt, options);
    },
    async endSessionUrl(entry, backTo) {
      try {
        const configuration = await configurationOf(entry);
        if (configuration.serverMetadata().end_session_endpoint === undefined) return null;
        // Without id_token_hint: a token in an address ends up in histories and logs. The provider asks the person.
        const parameters = { post_logout_redirect_uri: backTo };
        return addressOfProvider(() => openid.buildEndSessionUrl(configuration, parameters), entry);
      } catch {
        return null;
      }
    },
  };
}

/** Name of a provider in this service's paths and files: the first 12 hexadecimal digits of SHA-256 of its issuer. */
export function slugOf(issuer: string): string {
  return createHash('sha256').update(issuer).digest('hex').slice(0, 12);
}

/** An address out of the discovery document, for a browser: https, or plain loopback in development, never a script. */
function addressOfProvider(make: () => URL, { issuer }: IdentityProviderEntry): string {
  try {
    const url = make();
    if (url.protocol === 'https:' || (isLoopbackHttp(issuer) && isLoopbackHttp(url.href))) return url.href;
  } catch {
    // no address at all, or none that the library takes
  }
  throw new AccordError('SIGN_IN_PROVIDER_AWAY', 'the provider names an address that is not https');
}

async function discover(entry: IdentityProviderEntry, options: ProvidersOptions): Promise<openid.Configuration> {
  const { issuer, clientId } = entry;
  try {
    const credential = options.credential(issuer);
    const authentication = credential === null ? openid.None() : await authenticationWith(credential);
    const configuration = await openid.discovery(new URL(issuer), clientId, {}, authentication, {
      [openid.customFetch]: boundedFetch(options.client, issuer),
      timeout: IDENTITY_TIMEOUT_MS / 1000,
      execute: [openid.enableNonRepudiationChecks, ...(isLoopbackHttp(issuer) ? [openid.allowInsecureRequests] : [])],
    });
    if (configuration.serverMetadata().issuer !== issuer) {
      throw new AccordError('SIGN_IN_PROVIDER_AWAY', 'the discovery document is of another issuer');
    }
    return configuration;
  } catch (error) {
    const fault = providerFault(error, issuer, options.onAlarm);
    throw fault.code === 'SIGN_IN_PROVIDER_AWAY'
      ? fault
      : new AccordError('SIGN_IN_PROVIDER_AWAY', 'discovery', { cause: fault });
  }
}

async function authenticationWith(credential: ClientCredential): Promise<openid.ClientAuth> {
  if ('secret' in credential) return openid.ClientSecretBasic(credential.secret);
  const { privateKey } = credential;
  const key = privateKey.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  return openid.PrivateKeyJwt({ key, kid: thumbprint(privateKey) });
}

/** The classes that reach `level`, the weakest first: a person is not asked for more than is needed. */
function acrValuesFor({ levels }: IdentityProviderEntry, level: Level): string[] {
  const enough = Object.entries(levels).filter(([, reached]) => reached >= level);
  if (enough.length === 0)
    throw new AccordError('STEP_UP_REQUIRED', 'this provider offers no sign-in that is strong enough');
  return enough.sort(([, a], [, b]) => a - b).map(([acr]) => acr);
}

function vouchedFor(
  idToken: string,
  entry: IdentityProviderEntry,
  attempt: SignInAttempt,
  { clock, onAlarm }: ProvidersOptions,
): VouchedFor {
  try {
    const claims = verifyIdToken(idToken, entry, {
      nowMs: clock.nowMs(),
      nonce: attempt.nonce,
      authenticatedAfterMs: attempt.fresh ? attempt.startedAtMs : null,
    });
    const level = claims.acr !== null && Object.hasOwn(entry.levels, claims.acr) ? entry.levels[claims.acr] : undefined;
    if (level === undefined) throw new AccordError('SIGN_IN_REFUSED', 'acr');
    if (level < attempt.level) throw new AccordError('STEP_UP_REQUIRED', `level ${level} of ${attempt.level}`);
    const value = Object.hasOwn(claims.all, entry.claim) ? claims.all[entry.claim] : undefined;
    if (typeof value !== 'string' || value === '' || value.length > 256) {
      throw new AccordError('SIGN_IN_REFUSED', 'the provider did not give the identifier');
    }
    return { account: { issuer: entry.issuer, sub: claims.sub, scheme: entry.scheme, value }, level, idToken };
  } catch (error) {
    if (!isAccordError(error, 'ID_TOKEN_REFUSED')) throw error;
    onAlarm('ID_TOKEN_REFUSED', `${entry.issuer}: ${error.detail}`);
    throw new AccordError('SIGN_IN_REFUSED', error.detail, { cause: error });
  }
}
