// From verified parts to the snapshot that a server looks things up in. Indexes over all members are made when the first
// exchange asks for them; each part is read only once, whatever number of versions names it.
//
// Ambiguity is refused, never resolved: a certificate registered to two servers belongs to neither.
import { X509Certificate } from 'node:crypto';
import { exportSpki, importPublicJwk } from '#certs/keys.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import type { OfficialKeyEntry, TrustPart } from '#schemas/configuration.ts';
import type { Group } from '#schemas/groups.ts';
import {
  type MemberId,
  type ServerId,
  type ServiceId,
  type SubsystemId,
  subsystemOfService,
} from '#schemas/identifiers.ts';
import type { RegisteredService } from '#schemas/registrations.ts';
import { consentLookups } from './consent-parts.ts';
import { bindingHashOf, releaseOf } from './dictionary-parts.ts';
import type { VerifiedDistrust } from './distrust.ts';
import { type DistrustFacts, type DistrustState, distrustStates } from './distrust-in-force.ts';
import { groupsByMember } from './group-parts.ts';
import type { VerifiedLocks } from './locks.ts';
import type { PartIndex } from './parts.ts';
import type {
  ConfigurationSnapshot,
  ConsentLookups,
  MemberEntry,
  RegisteredCertificate,
  ServerEntry,
} from './snapshot.ts';
import { fileHash, type VerifiedContent, type VerifiedRoot } from './verify.ts';

interface Indexes {
  servers: Map<ServerId, ServerEntry>;
  byAuthenticationHash: Map<string, ServerEntry>;
  bySubsystem: Map<SubsystemId, ServerEntry[]>;
  subsystems: Set<SubsystemId>;
  memberNames: Map<MemberId, string>;
  members: MemberEntry[];
  groups: readonly Group[];
  groupsByMember: Map<SubsystemId, string[]>;
  services: Map<ServiceId, RegisteredService>;
  serviceList: RegisteredService[];
  tables: Map<ServiceId, BindingTable>;
  /** Hashes of certificates whose public key, not the certificate itself, is on the list. */
  distrustedByKey: Set<string>;
}

/** `parts` are all parts that the content names. */
export function buildSnapshot(
  content: VerifiedContent,
  parts: readonly PartIndex[],
  distrust: VerifiedDistrust | undefined,
  root: VerifiedRoot,
  locks?: VerifiedLocks,
): ConfigurationSnapshot {
  const states = distrustStates(distrust, content.document, root.document, distrustFacts(parts));
  const listed = new Set(states.flatMap(({ entry, counts }) => (counts === 'yes' ? [entry.statement.value] : [])));
  let made: Indexes | undefined;
  const indexes = () => {
    made ??= indexParts(parts, listed, content.document.instance);
    return made;
  };
  return {
    instance: content.document.instance,
    version: content.document.version,
    hash: content.hash,
    server: (id) => indexes().servers.get(id),
    serverByAuthenticationHash: (hash) => indexes().byAuthenticationHash.get(hash),
    serversOf: (subsystem) => indexes().bySubsystem.get(subsystem) ?? [],
    hasSubsystem: (id) => indexes().subsystems.has(id),
    memberName: (id) => indexes().memberNames.get(id),
    members: () => indexes().members,
    globalGroups: (id) => indexes().groupsByMember.get(id) ?? [],
    hasGlobalGroup: (id) => indexes().groups.some(({ code }) => id === `${content.document.instance}/${code}`),
    service: (id) => indexes().services.get(id),
    services: () => indexes().serviceList,
    dictionary: () => releaseOf(parts),
    binding(id) {
      const { services, tables } = indexes();
      const [table, hash] = [tables.get(id), services.get(id)?.bindingHash];
      return table && typeof hash === 'string' && bindingHashOf(table) === hash ? table : undefined;
    },
    ...consentOf(parts, listed, (id) => indexes().subsystems.has(id)),
    lockedFor: (id) => lockOf(locks, id),
    utcOffsetMinutes: parts.find(({ limits }) => limits)?.limits?.utcOffsetMinutes ?? 0,
    trust: trustOf(parts.find(({ trust }) => trust)?.trust),
    isDistrusted: (value) => listed.has(value) || (listed.size > 0 && indexes().distrustedByKey.has(value)),
  };
}

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
  const trust = parts.find((part) => part.trust)?.trust;
  const authorities = [...(trust?.anchors ?? []), ...(trust?.intermediates ?? [])].map(fromBase64url);
  const servers = () => parts.flatMap((part) => part.servers);
  return {
    perApprover: parts.find(({ limits }) => limits)?.limits?.distrustPerApprover,
    authorities: new Set(authorities.flatMap((der) => [fileHash(der), keyHashOf(der) ?? ''])),
    serversWith: (value) =>
      servers().filter(
        ({ id, authenticationCertificates, signingCertificates, encryptionKeys, subjectKeys }) =>
          id === value ||
          [...authenticationCertificates, ...signingCertificates].some(({ hash }) => hash === value) ||
          [...encryptionKeys, ...subjectKeys].some(({ kid }) => kid === value),
      ),
    signingKeysOf: ({ signingCertificates }) => signingCertificates.flatMap(({ der }) => keyHashOf(der) ?? []),
  };
}

/** SHA-256 of the certificate's public key (SPKI); undefined when it cannot be read. */
function keyHashOf(der: Buffer): string | undefined {
  try {
    return fileHash(new X509Certificate(der).publicKey.export({ format: 'der', type: 'spki' }));
  } catch {
    return undefined;
  }
}

function indexParts(parts: readonly PartIndex[], listed: ReadonlySet<string>, instance: string): Indexes {
  const groups = parts.find((part) => part.groups)?.groups ?? [];
  const made: Indexes = {
    servers: new Map(),
    byAuthenticationHash: new Map(),
    bySubsystem: new Map(),
    subsystems: new Set(),
    memberNames: new Map(),
    members: parts.flatMap(({ members }) => members).sort((a, b) => (a.id < b.id ? -1 : 1)),
    groups,
    groupsByMember: groupsByMember(groups, instance),
    services: new Map(),
    serviceList: [],
    tables: new Map(),
    distrustedByKey: new Set(),
  };
  for (const part of parts) {
    for (const { id, name, subsystems } of part.members) {
      made.memberNames.set(id, name);
      for (const { code } of subsystems) made.subsystems.add(`${id}/${code}`);
    }
    for (const service of part.services) made.services.set(service.id, service);
    for (const table of part.tables) made.tables.set(table.service, table);
  }
  const ambiguous = new Set<string>();
  for (const entry of parts.flatMap(({ servers }) => servers)) {
    const server = withoutDistrusted(entry, listed, made.distrustedByKey);
    if (!server) continue;
    made.servers.set(server.id, server);
    for (const { hash } of server.authenticationCertificates) {
      if (made.byAuthenticationHash.has(hash)) ambiguous.add(hash);
      made.byAuthenticationHash.set(hash, server);
    }
    for (const subsystem of server.subsystems) {
      if (!made.subsystems.has(subsystem)) continue;
      const list = made.bySubsystem.get(subsystem);
      if (list) list.push(server);
      else made.bySubsystem.set(subsystem, [server]);
    }
  }
  for (const hash of ambiguous) made.byAuthenticationHash.delete(hash);
  for (const id of made.services.keys()) {
    if (!made.subsystems.has(subsystemOfService(id))) made.services.delete(id);
  }
  made.serviceList = [...made.services.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  return made;
}

/** The server without its distrusted keys; undefined when it is distrusted itself. */
function withoutDistrusted(
  server: ServerEntry,
  listed: ReadonlySet<string>,
  distrustedByKey: Set<string>,
): ServerEntry | undefined {
  if (listed.size === 0) return server;
  if (listed.has(server.id)) return undefined;
  const trusted = (certificate: RegisteredCertificate) => {
    if (listed.has(certificate.hash)) return false;
    if (!keyIsListed(certificate.der, listed)) return true;
    distrustedByKey.add(certificate.hash);
    return false;
  };
  return {
    ...server,
    authenticationCertificates: server.authenticationCertificates.filter(trusted),
    signingCertificates: server.signingCertificates.filter(trusted),
    encryptionKeys: server.encryptionKeys.filter(({ kid }) => !listed.has(kid)),
    subjectKeys: server.subjectKeys.filter(({ kid }) => !listed.has(kid)),
  };
}

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

/** A certificate that cannot be read has no key to trust. */
function keyIsListed(der: Buffer, listed: ReadonlySet<string>): boolean {
  const hash = keyHashOf(der);
  return hash === undefined || listed.has(hash);
}

function trustOf(trust: TrustPart | undefined): ConfigurationSnapshot['trust'] {
  const { anchors = [], intermediates = [], crls = [] } = trust ?? {};
  return {
    anchors: anchors.map(fromBase64url),
    intermediates: intermediates.map(fromBase64url),
    crls: crls.map(fromBase64url),
  };
}
