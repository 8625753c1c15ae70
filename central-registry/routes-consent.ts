// Admin API: consent services, whose receipts the providers' servers believe, and identity providers, whose word they take
// for who a citizen is. What is registered here is worth as much as the keys in it, so those are judged as certificates'
// keys are; it counts when two approvers signed a content that holds it.
import { createHash } from 'node:crypto';
import { exportSpki, importPublicJwk, thumbprint } from '#certs/keys.ts';
import { isInUse } from '#policy/binding/leaf.ts';
import { ConsentPart, ConsentServiceEntry, IdentityPart, IdentityProviderEntry } from '#schemas/configuration.ts';
import { SEGMENT_PATTERN, subsystemId } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import { Type } from '#schemas/schema-builder.ts';
import { type AdminFrame, idFrom, type RegistryContext } from './admin-frame.ts';

const closed = { additionalProperties: false };
const segment = Type.String({ pattern: `^${SEGMENT_PATTERN}$` });
const SubsystemPath = Type.Object({ instance: segment, class: segment, member: segment, code: segment }, closed);
const IssuerPath = Type.Object({ issuer: IdentityProviderEntry.properties.issuer }, closed);

export function addConsentRoutes(frame: AdminFrame, context: RegistryContext): void {
  addConsentServiceRoutes(frame, context);
  addIdentityProviderRoutes(frame, context);
}

function addConsentServiceRoutes(frame: AdminFrame, context: RegistryContext): void {
  const { consent } = context.store;
  frame.read({
    method: 'GET',
    url: '/consent-services',
    summary: 'Consent services with the keys of their receipts',
    permission: 'read',
    read: () => ({ items: consent.consentServices() }),
  });
  frame.change({
    method: 'POST',
    url: '/consent-services',
    summary: 'Register a consent service, or replace its registration',
    permission: 'govern',
    body: ConsentServiceEntry,
    change({ body }) {
      const id = subsystemId(body.subsystem);
      if (!context.store.hasSubsystem(id)) throw new AccordError('REGISTRATION_UNKNOWN', id);
      requireSecure('citizenUrl', body.citizenUrl);
      requireOwnKeys(context, body);
      for (const register of body.mandateRegisters ?? []) {
        if (!context.store.hasSubsystem(subsystemId(register))) throw new AccordError('REGISTRATION_UNKNOWN', register);
      }
      consent.putConsentService(body);
      requireRoom(consent.consentServices(), ConsentPart.properties.services.maxItems);
      return { status: 201, body, target: id };
    },
  });
  frame.change({
    method: 'DELETE',
    url: '/consent-services/:instance/:class/:member/:code',
    summary: 'Remove a consent service: its receipts count no longer',
    permission: 'govern',
    params: SubsystemPath,
    change(request) {
      const id = subsystemId(idFrom(request));
      if (!consent.removeConsentService(id)) throw new AccordError('REGISTRATION_UNKNOWN', id);
      return { status: 200, body: { removed: id }, target: id };
    },
  });
}

/** Each is what its thumbprint says, distinct, and of nobody else. @throws REGISTRATION_KEY_REFUSED, KEY_* */
function requireOwnKeys({ store, publisher }: RegistryContext, { subsystem, keys }: ConsentServiceEntry): void {
  const others = store.consent.consentServices().filter((one) => one.subsystem !== subsystem);
  const taken = new Set(others.flatMap((one) => one.keys.map(({ kid }) => kid)));
  for (const { kid, jwk } of keys) {
    const key = importPublicJwk(jwk, 'sig');
    if (thumbprint(key) !== kid) throw refusedKey('kid is not the thumbprint');
    if (taken.has(kid)) throw refusedKey('the key is named twice, or another consent service has it');
    taken.add(kid);
    const keyHash = createHash('sha256').update(exportSpki(key)).digest('base64url');
    if (store.keysWith(kid, keyHash).length > 0) throw refusedKey('a security server has this key');
    if (store.officials.holderOf(kid, keyHash) !== undefined) throw refusedKey('officials have or had this key');
    if (publisher.isListed(kid) || publisher.isListed(keyHash)) throw refusedKey('the key is on the distrust list');
  }
}

function addIdentityProviderRoutes(frame: AdminFrame, { store, dictionary }: RegistryContext): void {
  const { consent } = store;
  frame.read({
    method: 'GET',
    url: '/identity-providers',
    summary: 'Identity providers with the keys of their ID tokens',
    permission: 'read',
    read: () => ({ items: consent.identityProviders() }),
  });
  frame.change({
    method: 'POST',
    url: '/identity-providers',
    summary: 'Register an OpenID Connect provider that citizens sign in with, or replace its registration',
    permission: 'govern',
    body: IdentityProviderEntry,
    change({ body }) {
      requireSecure('issuer', body.issuer);
      const released = dictionary.current();
      if (!released) throw new AccordError('DICTIONARY_MISSING', body.scheme);
      const scheme = released.element(body.scheme);
      if (!scheme || !isInUse(scheme)) throw new AccordError('REGISTRATION_UNKNOWN', `scheme ${body.scheme}`);
      requireDistinctKeys(body);
      consent.putIdentityProvider(body);
      requireRoom(consent.identityProviders(), IdentityPart.properties.providers.maxItems);
      return { status: 201, body, target: body.issuer };
    },
  });
  frame.change({
    method: 'DELETE',
    url: '/identity-providers/:issuer',
    summary: 'Remove an identity provider; the issuer is percent-encoded as one segment of the path',
    permission: 'govern',
    params: IssuerPath,
    change(request) {
      const issuer = idFrom(request);
      if (!consent.removeIdentityProvider(issuer)) throw new AccordError('REGISTRATION_UNKNOWN', issuer);
      return { status: 200, body: { removed: issuer }, target: issuer };
    },
  });
}

/** One name and one form of each key, fit to verify with. @throws REGISTRATION_KEY_REFUSED, KEY_MALFORMED, KEY_UNSUITABLE */
function requireDistinctKeys({ keys }: IdentityProviderEntry): void {
  const seen = new Set<string>();
  for (const { kid, jwk } of keys) {
    const [name, print] = [`kid ${kid}`, thumbprint(importPublicJwk(jwk, 'sig'))];
    if (seen.has(name) || seen.has(print)) throw refusedKey(`${name}: a key or its name occurs twice`);
    seen.add(name).add(print);
  }
}

/** Whoever can read or change what a citizen's browser loads can sign in as that citizen. @throws SCHEMA_MISMATCH */
function requireSecure(member: string, url: string): void {
  const parsed = URL.parse(url);
  const isLoopback = parsed !== null && ['127.0.0.1', '[::1]', 'localhost'].includes(parsed.hostname);
  if (parsed?.protocol !== 'https:' && !isLoopback) {
    throw new AccordError('SCHEMA_MISMATCH', `body/${member}: https, or http on loopback`);
  }
}

function requireRoom(list: readonly unknown[], most = 0): void {
  if (list.length > most) throw new AccordError('REGISTRATION_LIMIT', `${most}`);
}

function refusedKey(detail: string): AccordError {
  return new AccordError('REGISTRATION_KEY_REFUSED', detail);
}
