// Keys by name, as the consent service signs with them and as the global configuration registers them: two approvers
// control the registered ones. A token names its key; it is looked up among those of the one signer it must come from.
import type { KeyObject } from 'node:crypto';
import type { JsonObject } from '#schemas/json.ts';
import { isAccordError, orNull } from '#schemas/problems.ts';
import { type ParsedJws, verifyParsed } from './jws.ts';
import { importPublicJwk } from './keys.ts';

/** A private key and the name it is registered under (RFC 7638 thumbprint). */
export interface NamedKey {
  kid: string;
  privateKey: KeyObject;
}

/** A public key of the global configuration. */
export interface RegisteredKey {
  kid: string;
  jwk: { readonly kty: string; readonly crv?: string; readonly x?: string; readonly y?: string };
}

/** Imported once: it costs more than a verification. The configuration's objects live as long as its version. */
const imported = new WeakMap<RegisteredKey['jwk'], KeyObject | null>();

/** True when the key of this name signed; false as well when there is none, or none of use. */
export function verifiedBy(parsed: ParsedJws, kid: string, keys: readonly RegisteredKey[]): boolean {
  const registered = keys.find((one) => one.kid === kid);
  const key = registered === undefined ? null : keyOf(registered.jwk);
  if (key === null) return false;
  try {
    return verifyParsed(parsed, key);
  } catch (error) {
    // A key of another kind than the header's algorithm: it did not sign this.
    if (isAccordError(error, 'JWS_ALGORITHM_REFUSED')) return false;
    throw error;
  }
}

function keyOf(jwk: RegisteredKey['jwk']): KeyObject | null {
  const known = imported.get(jwk);
  if (known !== undefined) return known;
  const key = orNull(() => importPublicJwk({ ...jwk } as JsonObject, 'sig'));
  imported.set(jwk, key);
  return key;
}
