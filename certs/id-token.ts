// An ID token (OpenID Connect Core 1.0 sections 2 and 3.1.3.7), verified with the keys that the global configuration
// names for its issuer and with nothing else: no discovery, no key out of the token. The consent service checks a
// sign-in with it; a department's server can check the same token offline. The identity provider makes the token, and
// until the signature is verified anybody may have.
import type { KeyObject } from 'node:crypto';
import { type JsonObject, type JsonValue, parseJsonObject } from '#schemas/json.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { SignatureAlgorithm } from './algorithms.ts';
import { type JwsHeader, type ParsedJws, parseCompact, verifyParsed } from './jws.ts';
import { importVerificationJwk } from './keys.ts';

/** Whose tokens count, for which client. */
export interface IdTokenIssuer {
  /** Compared as text. */
  issuer: string;
  clientId: string;
  /** Public keys; `kid` as the provider writes it into its tokens. */
  keys: readonly { kid: string; jwk: JsonValue }[];
}

export interface IdTokenExpectation {
  nowMs: number;
  /** The value the request carried. */
  nonce: string;
  /** The person must have proved who they are at or after this time (`max_age`); null where any time does. */
  authenticatedAfterMs?: number | null;
}

export interface IdTokenClaims {
  sub: string;
  /** Authentication context class reference: how the person was known; null when the provider did not say. */
  acr: string | null;
  iatMs: number;
  expMs: number;
  authTimeMs: number | null;
  /** Every claim as it stands in the token. */
  all: JsonObject;
}

/** Allowed difference between the provider's clock and ours. */
const TOLERANCE_MS = 30_000;
/** A token made longer ago is not the answer to a sign-in that is going on, whatever its `exp` says. */
const MAX_AGE_MS = 10 * 60_000;
const MAX_TOKEN_CHARS = 16 * 1024;
/** No `none`, no HMAC (a client secret would do for a signature), nothing with SHA-1. */
const ALGORITHMS: readonly SignatureAlgorithm[] = ['ES256', 'EdDSA', 'RS256', 'PS256'];

/**
 * Verifies in the order form, algorithm, key, signature, issuer, audience, times, nonce.
 * @throws ID_TOKEN_REFUSED with the first thing that is wrong
 */
export function verifyIdToken(text: string, issuer: IdTokenIssuer, expected: IdTokenExpectation): IdTokenClaims {
  const parsed = readForm(text);
  if (!keysFor(parsed.header, issuer).some(({ key, alg }) => verifies(parsed, key, alg))) {
    throw new AccordError('ID_TOKEN_REFUSED', 'not signed with a key that the configuration names for this provider');
  }
  const claims = guarded(() =>
    parseJsonObject(parsed.payload, { maxBytes: MAX_TOKEN_CHARS, maxDepth: 8, maxValues: 500 }),
  );
  checkParties(claims, issuer);
  const times = checkTimes(claims, expected);
  if (claims['nonce'] !== expected.nonce) throw refused('nonce');
  const { sub, acr = null } = claims;
  if (typeof sub !== 'string' || sub === '' || sub.length > 255) throw refused('sub');
  if (acr !== null && (typeof acr !== 'string' || acr.length > 200)) throw refused('acr');
  return { sub, acr, ...times, all: claims };
}

function readForm(text: string): ParsedJws {
  // Providers outside Accord write header members of their own choice for typ, and ECDSA signatures with a high s.
  const headers = ['alg', 'typ', 'kid', 'x5t#S256'];
  return guarded(() =>
    parseCompact(text, { algorithms: ALGORITHMS, typ: null, headers, maxBytes: MAX_TOKEN_CHARS, allowHighS: true }),
  );
}

/** The keys a header may mean. Without a `kid` any of the issuer's; with one, only its. */
function keysFor(header: JwsHeader, { keys }: IdTokenIssuer): { key: KeyObject; alg: SignatureAlgorithm | null }[] {
  const { kid } = header;
  return keys.filter((entry) => kid === undefined || entry.kid === kid).map(({ jwk }) => importVerificationJwk(jwk));
}

function verifies(parsed: ParsedJws, key: KeyObject, alg: SignatureAlgorithm | null): boolean {
  try {
    return verifyParsed(parsed, { key, alg });
  } catch (error) {
    if (isAccordError(error, 'JWS_ALGORITHM_REFUSED')) return false; // another key of the issuer may fit
    throw error;
  }
}

/** One audience only: a token that another client may use as well says nothing about who brought it. */
function checkParties(claims: JsonObject, { issuer, clientId }: IdTokenIssuer): void {
  if (claims['iss'] !== issuer) throw refused('iss');
  const { aud, azp } = claims;
  const audience = Array.isArray(aud) ? aud : [aud];
  if (audience.length !== 1 || audience[0] !== clientId) throw refused('aud');
  if (azp !== undefined && azp !== clientId) throw refused('azp');
}

function checkTimes(claims: JsonObject, { nowMs, authenticatedAfterMs = null }: IdTokenExpectation) {
  const expMs = secondsClaim(claims, 'exp');
  const iatMs = secondsClaim(claims, 'iat');
  if (expMs + TOLERANCE_MS <= nowMs) throw refused('exp is over');
  if (iatMs > nowMs + TOLERANCE_MS || iatMs < nowMs - MAX_AGE_MS - TOLERANCE_MS) throw refused('iat');
  if (claims['nbf'] !== undefined && secondsClaim(claims, 'nbf') > nowMs + TOLERANCE_MS) throw refused('nbf');
  const authTimeMs = claims['auth_time'] === undefined ? null : secondsClaim(claims, 'auth_time');
  if (authTimeMs !== null && authTimeMs > nowMs + TOLERANCE_MS) throw refused('auth_time');
  if (authenticatedAfterMs !== null && (authTimeMs === null || authTimeMs + TOLERANCE_MS < authenticatedAfterMs)) {
    throw refused('auth_time: the person was not asked again');
  }
  return { iatMs, expMs, authTimeMs };
}

function secondsClaim(claims: JsonObject, name: string): number {
  const seconds = claims[name];
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= 99_999_999_999)) throw refused(name);
  return Math.floor(seconds * 1000);
}

function guarded<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isAccordError(error)) throw new AccordError('ID_TOKEN_REFUSED', error.message, { cause: error });
    throw error;
  }
}

function refused(what: string): AccordError {
  return new AccordError('ID_TOKEN_REFUSED', what);
}
