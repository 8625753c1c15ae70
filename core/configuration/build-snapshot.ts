// From verified parts to the snapshot that a server looks things up in. Nothing is worked out before somebody asks, and
// what belongs to a part is worked out once, whatever number of versions names it.
import { exportSpki, importPublicJwk } from '#certs/keys.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import type { OfficialKeyEntry, TrustPart } from '#schemas/configuration.ts';
import type { Group } from '#schemas/groups.ts';
import type { SubsystemId } from '#schemas/identifiers.ts';
import type { RegisteredService } from '#schemas/registrations.ts';
import { consentLookups } from './consent-parts.ts';
import { bindingHashOf, releaseOf } from './dictionary-parts.ts';
import type { VerifiedDistrust } from './distrust.ts';
import { type DistrustFacts, type DistrustState, distrustStates } from './distrust-in-force.ts';
import { groupsByMember } from './group-parts.ts';
import type { VerifiedLocks } from './locks.ts';
import { keyHashOf, MemberLookups, registeredKeyHash } from './member-lookups.ts';
import type { PartIndex } from './parts.ts';
import type { ConfigurationSnapshot, ConsentLookups, MemberEntry } from './snapshot.ts';
import { timeStampRulesOf } from './time-stamp-parts.ts';
import { fileHash, type VerifiedContent, type VerifiedRoot } from './verify.ts';
import { policyOf } from './witness-parts.ts';

/** `parts` are all parts that the content names. */
export function buildSnapshot(
  content: VerifiedContent,
  parts: readonly PartIndex[],
  distrust: VerifiedDistrust | undefined,
  root: VerifiedRoot,
  locks?: VerifiedLocks,
): ConfigurationSnapshot {
  const { instance, version } = content.document;
  const states = distrustStates(distrust, content.document, root.document, distrustFacts(parts));
  const listed = new Set(states.flatMap(({ entry, counts }) => (counts === 'yes' ? [entry.statement.value] : [])));
  const lookups = new MemberLookups(parts, listed);
  const hasSubsystem = (id: SubsystemId) => lookups.hasSubsystem(id);
  const groups = parts.find((part) => part.groups)?.groups ?? NO_GROUPS;
  const witnesses = parts.find((part) => part.witnesses)?.witnesses;
  const policy = witnesses === undefined ? null : policyOf(witnesses);
  const stamping = parts.find((part) => part.timeStamps)?.timeStamps;
  const timeStamps = stamping === undefined ? null : timeStampRulesOf(stamping);
  let members: readonly MemberEntry[] | undefined;
  let services: readonly RegisteredService[] | undefined;
  return {
    ...{ instance, version, hash: content.hash },
    hasSubsystem,
    server: (id) => lookups.server(id),
    serverByAuthenticationHash: (hash) => lookups.serverByAuthenticationHash(hash),
    serversOf: (subsystem) => lookups.serversOf(subsystem),
    memberName: (id) => lookups.member(id)?.name,
    members() {
      members ??= lookups.members();
      return members;
    },
    globalGroups: (id) => groupsOf(groups, instance).get(id) ?? [],
    hasGlobalGroup: (id) => groups.some(({ code }) => id === `${instance}/${code}`),
    service: (id) => lookups.service(id),
    services() {
      services ??= lookups.services();
      return services;
    },
    dictionary: () => releaseOf(parts),
    binding(id) {
      const [table, hash] = [lookups.table(id), lookups.service(id)?.bindingHash];
      return table && typeof hash === 'string' && bindingHashOf(table) === hash ? table : undefined;
    },
    ...consentOf(parts, listed, hasSubsystem),
    lockedFor: (id) => lockOf(locks, id),
    utcOffsetMinutes: parts.find(({ limits }) => limits)?.limits?.utcOffsetMinutes ?? 0,
    witnesses: () => policy,
    timeStamps: () => timeStamps,
    trust: trustOf(parts.find(({ trust }) => trust)?.trust),
    isDistrusted: (value) => listed.has(value) || lookups.isDistrustedByKey(value),
  };
}

const NO_GROUPS: readonly Group[] = [];

function groupsOf(groups: readonly Group[], instance: string): Map<SubsystemId, string[]> {
  let made = groupIndexes.get(groups);
  if (!made) {
    made = groupsByMember(groups, instance);
    groupIndexes.set(groups, made);
  }
  return made;
}
const groupIndexes = new WeakMap<readonly Group[], Map<SubsystemId, string[]>>();

/** Each statement of the list, and why it counts or not; for alarms and for the registry. */
export function judgeDistrust(
  distrust: VerifiedDistrust | undefined,
  content: Parameters<typeof distrustStates>[1],
  root: VerifiedRoot,
  parts: readonly PartIndex[],
): DistrustState[] {
  return distrustStates(distrust, content, root.document, distrustFacts(parts));
}

function distrustFacts(parts: readonly PartIndex[]): DistrustFacts {
  const named = (value: string) =>
    parts.flatMap(({ members, servers }) => {
      const place = members.findIndex(({ id }) => value.startsWith(`${id}/`));
      return [...new Set([...servers.ofMember(place), ...servers.withKey(value)])];
    });
  return {
    perApprover: parts.find(({ limits }) => limits)?.limits?.distrustPerApprover,
    authorities: authoritiesOf(parts.find((part) => part.trust)?.trust),
    serversWith: (value) =>
      named(value).filter(
        ({ id, authenticationCertificates, signingCertificates, encryptionKeys, subjectKeys }) =>
          id === value ||
          [...authenticationCertificates, ...signingCertificates].some(({ hash }) => hash === value) ||
          [...encryptionKeys, ...subjectKeys].some(({ kid }) => kid === value),
      ),
    signingKeysOf: ({ signingCertificates }) => signingCertificates.flatMap((one) => registeredKeyHash(one) ?? []),
  };
}

const NO_AUTHORITIES: ReadonlySet<string> = new Set();

/** SHA-256 of the certificates and keys of the certification authorities. */
function authoritiesOf(trust: TrustPart | undefined): ReadonlySet<string> {
  if (!trust) return NO_AUTHORITIES;
  let made = authorities.get(trust);
  if (!made) {
    const ders = [...trust.anchors, ...trust.intermediates].map(fromBase64url);
    made = new Set(ders.flatMap((der) => [fileHash(der), keyHashOf(der) ?? '']));
    authorities.set(trust, made);
  }
  return made;
}
const authorities = new WeakMap<TrustPart, ReadonlySet<string>>();

/** Consent services without distrusted keys; one whose subsystem is gone, or without a key, is none. */
function consentOf(
  parts: readonly PartIndex[],
  listed: ReadonlySet<string>,
  hasSubsystem: (id: SubsystemId) => boolean,
): ConsentLookups {
  const purposes = parts.find((part) => part.purposes)?.purposes;
  const identityProviders = parts.find((part) => part.identityProviders)?.identityProviders;
  const officials = parts.find((part) => part.officials)?.officials;
  const consentServices = (parts.find((part) => part.consentServices)?.consentServices ?? [])
    .map((service) => ({ ...service, keys: service.keys.filter(({ kid }) => !listed.has(kid)) }))
    .filter(({ keys }) => keys.length > 0);
  const lookups = consentLookups({
    ...(purposes && { purposes }),
    ...(identityProviders && { identityProviders }),
    ...(officials && { officials }),
    consentServices,
  });
  const live = (id: SubsystemId) => hasSubsystem(id) && !listed.has(id);
  return {
    ...lookups,
    consentService: (id) => (live(id) ? lookups.consentService(id) : undefined),
    consentServices: () => consentServices.filter(({ subsystem }) => live(subsystem)),
    officialKeys: (id) => (hasSubsystem(id) ? lookups.officialKeys(id).filter((key) => !isListed(key, listed)) : []),
  };
}

/** By its thumbprint, or by the SHA-256 of its SPKI. */
function isListed({ kid, jwk }: OfficialKeyEntry, listed: ReadonlySet<string>): boolean {
  if (listed.size === 0) return false;
  return listed.has(kid) || listed.has(fileHash(exportSpki(importPublicJwk(jwk, 'sig'))));
}

function lockOf(list: VerifiedLocks | undefined, id: string): string | null {
  if (list === undefined || list.locks.length === 0) return null;
  let bySubsystem = lockIndexes.get(list);
  if (!bySubsystem) {
    bySubsystem = new Map(list.locks.map(({ subsystem, emergency }) => [subsystem, emergency]));
    lockIndexes.set(list, bySubsystem);
  }
  return bySubsystem.get(id) ?? null;
}
const lockIndexes = new WeakMap<VerifiedLocks, Map<string, string>>();

/** Versions that share the part share the object, so that it may be a cache's key. */
function trustOf(trust: TrustPart | undefined): ConfigurationSnapshot['trust'] {
  if (!trust) return NO_TRUST;
  let made = trusts.get(trust);
  if (!made) {
    const { anchors, intermediates, crls, ocsp } = trust;
    const [read, more, lists] = [anchors, intermediates, crls].map((list) => list.map(fromBase64url));
    made = { anchors: read ?? [], intermediates: more ?? [], crls: lists ?? [], ...(ocsp && { ocsp }) };
    trusts.set(trust, made);
  }
  return made;
}
const NO_TRUST: ConfigurationSnapshot['trust'] = { anchors: [], intermediates: [], crls: [] };
const trusts = new WeakMap<TrustPart, ConfigurationSnapshot['trust']>();
