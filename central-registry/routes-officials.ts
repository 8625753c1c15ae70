// Admin API: keys that a department's officials sign evidence with. Who holds one can ask in the name of an official and
// open half of an emergency, so a key serves nothing and nobody else, now or before; it counts when two approvers signed a
// content that holds it.
import { createHash } from 'node:crypto';
import { exportSpki, importPublicJwk, thumbprint } from '#certs/keys.ts';
import { OfficialsEntry, OfficialsPart } from '#schemas/configuration.ts';
import { SEGMENT_PATTERN, subsystemId } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import { Type } from '#schemas/schema-builder.ts';
import { type AdminFrame, idFrom, type RegistryContext } from './admin-frame.ts';

const closed = { additionalProperties: false };
const segment = Type.String({ pattern: `^${SEGMENT_PATTERN}$` });
const SubsystemPath = Type.Object({ instance: segment, class: segment, member: segment, code: segment }, closed);

export function addOfficialRoutes(frame: AdminFrame, context: RegistryContext): void {
  const { officials } = context.store;
  frame.read({
    method: 'GET',
    url: '/official-keys',
    summary: "Keys that departments' officials sign evidence with, by subsystem",
    permission: 'read',
    read: () => ({ items: officials.registered() }),
  });
  frame.change({
    method: 'POST',
    url: '/official-keys',
    summary: "Register the keys of a subsystem's officials; they replace those registered before",
    permission: 'govern',
    body: OfficialsEntry,
    change({ body }) {
      const id = subsystemId(body.subsystem);
      if (!context.store.hasSubsystem(id)) throw new AccordError('REGISTRATION_UNKNOWN', id);
      officials.put(body, judgedHashes(context, body));
      const most = OfficialsPart.properties.subsystems.maxItems ?? 0;
      if (officials.registered().length > most) throw new AccordError('REGISTRATION_LIMIT', `${most}`);
      return { status: 201, body, target: id };
    },
  });
  frame.change({
    method: 'DELETE',
    url: '/official-keys/:instance/:class/:member/:code',
    summary: "Remove the keys of a subsystem's officials: nothing they sign counts any longer",
    permission: 'govern',
    params: SubsystemPath,
    change(request) {
      const id = subsystemId(idFrom(request));
      if (!officials.remove(id)) throw new AccordError('REGISTRATION_UNKNOWN', id);
      return { status: 200, body: { removed: id }, target: id };
    },
  });
}

/**
 * Each is what its thumbprint says, distinct, and of nobody and nothing else.
 * @returns SHA-256 of each key's SPKI, by kid
 * @throws REGISTRATION_KEY_REFUSED, KEY_*
 */
function judgedHashes({ store, publisher }: RegistryContext, { subsystem, keys }: OfficialsEntry): Map<string, string> {
  const ofConsent = new Set(store.consent.consentServices().flatMap((one) => one.keys.map(({ kid }) => kid)));
  const hashes = new Map<string, string>();
  for (const { kid, jwk } of keys) {
    const key = importPublicJwk(jwk, 'sig');
    if (thumbprint(key) !== kid) throw refusedKey('kid is not the thumbprint');
    const keyHash = createHash('sha256').update(exportSpki(key)).digest('base64url');
    if (hashes.has(kid)) throw refusedKey('the key is named twice');
    const holder = store.officials.holderOf(kid, keyHash);
    if (holder !== undefined && holder !== subsystem) throw refusedKey('officials of another subsystem have or had it');
    if (store.keysWith(kid, keyHash).length > 0) throw refusedKey('a security server has this key');
    if (ofConsent.has(kid)) throw refusedKey('a consent service has this key');
    if (kid in publisher.root.document.keys) throw refusedKey('the root names this key');
    if (publisher.isListed(kid) || publisher.isListed(keyHash)) throw refusedKey('the key is on the distrust list');
    hashes.set(kid, keyHash);
  }
  return hashes;
}

function refusedKey(detail: string): AccordError {
  return new AccordError('REGISTRATION_KEY_REFUSED', detail);
}
