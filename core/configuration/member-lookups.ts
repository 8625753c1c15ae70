// Members, subsystems, servers and services of one version, looked up where they lie: an id says its shard, and in a shard
// everything is in order. Nothing is indexed when a version comes, so that thousands of members cost nothing until
// somebody asks for one of them; what was found is remembered as long as the version is in force. By a certificate or a key
// a server is looked for in every shard.
//
// Ambiguity is refused, never resolved: a certificate registered to two servers belongs to neither.
import { X509Certificate } from 'node:crypto';
import type { BindingTable } from '#schemas/binding-table.ts';
import {
  type MemberId,
  memberOf,
  type ServerId,
  type ServiceId,
  type SubsystemId,
  subsystemOfService,
} from '#schemas/identifiers.ts';
import type { RegisteredService } from '#schemas/registrations.ts';
import { type PartIndex, partShardOf } from './parts.ts';
import { shortNameOf } from './short-names.ts';
import type { MemberEntry, RegisteredCertificate, ServerEntry } from './snapshot.ts';
import { fileHash } from './verify.ts';

/** One member and the parts that speak of it; `place` is where it stands in its part. */
interface Row {
  entry: MemberEntry;
  place: number;
  members: PartIndex;
  services: PartIndex | undefined;
  bindings: PartIndex | undefined;
}

export interface MemberLookups {
  member(id: MemberId): MemberEntry | undefined;
  members(): MemberEntry[];
  hasSubsystem(id: SubsystemId): boolean;
  server(id: ServerId): ServerEntry | undefined;
  serverByAuthenticationHash(hash: string): ServerEntry | undefined;
  serversOf(subsystem: SubsystemId): readonly ServerEntry[];
  service(id: ServiceId): RegisteredService | undefined;
  services(): RegisteredService[];
  table(service: ServiceId): BindingTable | undefined;
  /** Whether a certificate with this hash is registered whose public key, not the certificate itself, is on the list. */
  isDistrustedByKey(hash: string): boolean;
}

/** @param listed hashes, kids and server ids that are no longer trusted */
export function openMemberLookups(parts: readonly PartIndex[], listed: ReadonlySet<string>): MemberLookups {
  const byName = new Map(parts.map((part) => [part.name, part]));
  const withServers = parts.filter(({ members }) => members.length > 0).sort(byPartName);
  const hosting = withServers.filter(({ servers }) => servers.hosts);
  const rows = new Map<MemberId, Row>();
  const trusted = new Map<ServerEntry, ServerEntry | null>();
  const byId = new Map<ServerId, ServerEntry>();
  const byHash = new Map<string, ServerEntry>();
  const bySubsystem = new Map<SubsystemId, readonly ServerEntry[]>();
  const byService = new Map<ServiceId, RegisteredService>();
  const byKey = new Map<string, boolean>();

  function rowOf(id: MemberId): Row | undefined {
    const known = rows.get(id);
    if (known) return known;
    const shard = partShardOf(id);
    const members = byName.get(`members/${shard}`);
    const place = members ? placeOf(members.members, id, (entry) => entry.id) : -1;
    const entry = members?.members[place];
    if (!members || !entry) return undefined;
    const row = {
      ...{ entry, place, members },
      services: byName.get(`services/${shard}`),
      bindings: byName.get(`bindings/${shard}`),
    };
    rows.set(entry.id, row);
    return row;
  }

  /** The server without its distrusted keys; null when it is distrusted itself. */
  function trustedOf(server: ServerEntry): ServerEntry | null {
    if (listed.size === 0) return server;
    let made = trusted.get(server);
    if (made === undefined) {
      made = withoutDistrusted(server, listed);
      trusted.set(server, made);
    }
    return made;
  }

  function withKey(value: string): ServerEntry[] {
    const found: ServerEntry[] = [];
    const short = shortNameOf(value);
    for (const { servers } of withServers) found.push(...servers.withKey(value, short));
    return found;
  }

  function hasSubsystem(id: SubsystemId): boolean {
    const row = rowOf(memberOf(id));
    if (!row) return false;
    const code = id.slice(row.entry.id.length + 1);
    return row.entry.subsystems.some((one) => one.code === code);
  }

  const lookups: MemberLookups = {
    member: (id) => rowOf(id)?.entry,
    members: () => withServers.flatMap(({ members }) => members).sort(ascending),
    hasSubsystem,
    server(id) {
      const known = byId.get(id);
      if (known) return known;
      const row = rowOf(memberOf(id));
      const found = row?.members.servers.get(id, row.place);
      const server = found && trustedOf(found);
      if (server) byId.set(server.id, server);
      return server ?? undefined;
    },
    serverByAuthenticationHash(hash) {
      const known = byHash.get(hash);
      if (known) return known;
      const holders = withKey(hash).flatMap((one) => trustedOf(one) ?? []);
      const held = holders.flatMap((one) => one.authenticationCertificates.filter((each) => each.hash === hash));
      const server = held.length === 1 ? holders.find((one) => holds(one.authenticationCertificates, hash)) : undefined;
      if (server) byHash.set(hash, server);
      return server;
    },
    serversOf(subsystem) {
      const known = bySubsystem.get(subsystem);
      if (known) return known;
      const row = rowOf(memberOf(subsystem));
      if (!row || !hasSubsystem(subsystem)) return NO_SERVERS;
      const all = row.members.servers.ofMember(row.place);
      const short = shortNameOf(subsystem);
      for (const { servers } of hosting) all.push(...servers.hosting(subsystem, short));
      const made = all.filter((one) => one.subsystems.has(subsystem)).flatMap((one) => trustedOf(one) ?? []);
      bySubsystem.set(subsystem, made);
      return made;
    },
    service(id) {
      const known = byService.get(id);
      if (known) return known;
      const subsystem = subsystemOfService(id);
      const services = rowOf(memberOf(subsystem))?.services?.services;
      if (!services || !hasSubsystem(subsystem)) return undefined;
      const found = services[placeOf(services, id, (one) => one.id)];
      if (found) byService.set(found.id, found);
      return found;
    },
    services: () =>
      parts
        .flatMap(({ services }) => services)
        .filter(({ id }) => hasSubsystem(subsystemOfService(id)))
        .sort(ascending),
    table(id) {
      const tables = rowOf(memberOf(subsystemOfService(id)))?.bindings?.tables;
      return tables?.[placeOf(tables, id, ({ service }) => service)];
    },
    isDistrustedByKey(hash) {
      if (listed.size === 0) return false;
      const known = byKey.get(hash);
      if (known !== undefined) return known;
      const found = withKey(hash).some(
        (server) =>
          !listed.has(server.id) &&
          [...server.authenticationCertificates, ...server.signingCertificates].some(
            (one) => one.hash === hash && !listed.has(hash) && keyIsListed(one, listed),
          ),
      );
      if (byKey.size >= MAX_REMEMBERED_ANSWERS) byKey.clear();
      byKey.set(hash, found);
      return found;
    },
  };
  return lookups;
}

const NO_SERVERS: readonly ServerEntry[] = [];
/** Strangers' certificates are asked for too. */
const MAX_REMEMBERED_ANSWERS = 20_000;

function holds(certificates: readonly RegisteredCertificate[], hash: string): boolean {
  return certificates.some((one) => one.hash === hash);
}

/** The place of an id in an ascending list; -1 when it is not there. */
function placeOf<T>(list: readonly T[], id: string, idOf: (one: T) => string): number {
  let [from, to] = [0, list.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    const one = list[middle];
    if (one !== undefined && idOf(one) < id) from = middle + 1;
    else to = middle;
  }
  const found = list[from];
  return found !== undefined && idOf(found) === id ? from : -1;
}

function withoutDistrusted(server: ServerEntry, listed: ReadonlySet<string>): ServerEntry | null {
  if (listed.has(server.id)) return null;
  const isTrusted = (one: RegisteredCertificate) => !listed.has(one.hash) && !keyIsListed(one, listed);
  const isUnlisted = ({ kid }: { kid: string }) => !listed.has(kid);
  const { authenticationCertificates, signingCertificates, encryptionKeys, subjectKeys } = server;
  const all = [...authenticationCertificates, ...signingCertificates].every(isTrusted);
  if (all && [...encryptionKeys, ...subjectKeys].every(isUnlisted)) return server;
  return {
    ...server,
    authenticationCertificates: authenticationCertificates.filter(isTrusted),
    signingCertificates: signingCertificates.filter(isTrusted),
    encryptionKeys: encryptionKeys.filter(isUnlisted),
    subjectKeys: subjectKeys.filter(isUnlisted),
  };
}

/** A certificate that cannot be read has no key to trust. */
function keyIsListed(certificate: RegisteredCertificate, listed: ReadonlySet<string>): boolean {
  const hash = registeredKeyHash(certificate);
  return hash === undefined || listed.has(hash);
}

/** SHA-256 (base64url) of its public key, worked out once; undefined when it cannot be read. */
export function registeredKeyHash(certificate: RegisteredCertificate): string | undefined {
  let hash = keyHashes.get(certificate);
  if (hash === undefined) {
    hash = keyHashOf(certificate.der) ?? null;
    keyHashes.set(certificate, hash);
  }
  return hash ?? undefined;
}
const keyHashes = new WeakMap<RegisteredCertificate, string | null>();

/** SHA-256 of the certificate's public key (SPKI); undefined when it cannot be read. */
export function keyHashOf(der: Buffer): string | undefined {
  try {
    return fileHash(new X509Certificate(der).publicKey.export({ format: 'der', type: 'spki' }));
  } catch {
    return undefined;
  }
}

function byPartName(a: PartIndex, b: PartIndex): number {
  return a.name < b.name ? -1 : 1;
}

function ascending(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1;
}
