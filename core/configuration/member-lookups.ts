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

export class MemberLookups {
  readonly #parts: readonly PartIndex[];
  readonly #listed: ReadonlySet<string>;
  readonly #byName: ReadonlyMap<string, PartIndex>;
  readonly #withServers: readonly PartIndex[];
  readonly #hosting: readonly PartIndex[];
  readonly #rows = new Map<MemberId, Row>();
  readonly #trusted = new Map<ServerEntry, ServerEntry | null>();
  readonly #servers = new Map<ServerId, ServerEntry>();
  readonly #byHash = new Map<string, ServerEntry>();
  readonly #bySubsystem = new Map<SubsystemId, readonly ServerEntry[]>();
  readonly #services = new Map<ServiceId, RegisteredService>();
  readonly #byKey = new Map<string, boolean>();

  /** @param listed hashes, kids and server ids that are no longer trusted */
  constructor(parts: readonly PartIndex[], listed: ReadonlySet<string>) {
    this.#parts = parts;
    this.#listed = listed;
    this.#byName = new Map(parts.map((part) => [part.name, part]));
    this.#withServers = parts.filter(({ members }) => members.length > 0).sort((a, b) => (a.name < b.name ? -1 : 1));
    this.#hosting = this.#withServers.filter(({ servers }) => servers.hosts);
  }

  member(id: MemberId): MemberEntry | undefined {
    return this.#row(id)?.entry;
  }

  /** Ascending by id. */
  members(): MemberEntry[] {
    return this.#withServers.flatMap(({ members }) => members).sort(ascending);
  }

  hasSubsystem(id: SubsystemId): boolean {
    const row = this.#row(memberOf(id));
    if (!row) return false;
    const code = id.slice(row.entry.id.length + 1);
    return row.entry.subsystems.some((one) => one.code === code);
  }

  server(id: ServerId): ServerEntry | undefined {
    const known = this.#servers.get(id);
    if (known) return known;
    const row = this.#row(memberOf(id));
    const found = row?.members.servers.get(id, row.place);
    const server = found && this.#trustedOf(found);
    if (server) this.#servers.set(server.id, server);
    return server ?? undefined;
  }

  serverByAuthenticationHash(hash: string): ServerEntry | undefined {
    const known = this.#byHash.get(hash);
    if (known) return known;
    const holders = this.#withKey(hash).flatMap((one) => this.#trustedOf(one) ?? []);
    // Once for each time it is registered.
    const held = holders.flatMap((one) => one.authenticationCertificates.filter((each) => each.hash === hash));
    if (held.length !== 1) return undefined;
    const server = holders.find((one) => one.authenticationCertificates.some((each) => each.hash === hash));
    if (server) this.#byHash.set(hash, server);
    return server;
  }

  /** Of a registered subsystem. */
  serversOf(subsystem: SubsystemId): readonly ServerEntry[] {
    const known = this.#bySubsystem.get(subsystem);
    if (known) return known;
    const row = this.#row(memberOf(subsystem));
    if (!row || !this.hasSubsystem(subsystem)) return NO_SERVERS;
    const all = row.members.servers.ofMember(row.place);
    const short = shortNameOf(subsystem);
    for (const { servers } of this.#hosting) all.push(...servers.hosting(subsystem, short));
    const made = all.filter((one) => one.subsystems.has(subsystem)).flatMap((one) => this.#trustedOf(one) ?? []);
    this.#bySubsystem.set(subsystem, made);
    return made;
  }

  service(id: ServiceId): RegisteredService | undefined {
    const known = this.#services.get(id);
    if (known) return known;
    const subsystem = subsystemOfService(id);
    const services = this.#row(memberOf(subsystem))?.services?.services;
    if (!services || !this.hasSubsystem(subsystem)) return undefined;
    const found = services[placeOf(services, id, (one) => one.id)];
    if (found) this.#services.set(found.id, found);
    return found;
  }

  /** Of registered subsystems, ascending by id. */
  services(): RegisteredService[] {
    return this.#parts
      .flatMap(({ services }) => services)
      .filter(({ id }) => this.hasSubsystem(subsystemOfService(id)))
      .sort(ascending);
  }

  table(service: ServiceId): BindingTable | undefined {
    const tables = this.#row(memberOf(subsystemOfService(service)))?.bindings?.tables;
    return tables?.[placeOf(tables, service, (one) => one.service)];
  }

  /** Whether a certificate with this hash is registered whose public key, not the certificate itself, is on the list. */
  isDistrustedByKey(hash: string): boolean {
    if (this.#listed.size === 0) return false;
    const known = this.#byKey.get(hash);
    if (known !== undefined) return known;
    const found = this.#withKey(hash)
      .filter(({ id }) => !this.#listed.has(id))
      .flatMap((server) => [...server.authenticationCertificates, ...server.signingCertificates])
      .some((one) => one.hash === hash && !this.#listed.has(hash) && keyIsListed(one, this.#listed));
    if (this.#byKey.size >= MAX_REMEMBERED_ANSWERS) this.#byKey.clear();
    this.#byKey.set(hash, found);
    return found;
  }

  #row(id: MemberId): Row | undefined {
    const known = this.#rows.get(id);
    if (known) return known;
    const shard = partShardOf(id);
    const members = this.#byName.get(`members/${shard}`);
    const place = members ? placeOf(members.members, id, (entry) => entry.id) : -1;
    const entry = members?.members[place];
    if (!members || !entry) return undefined;
    const [services, bindings] = [this.#byName.get(`services/${shard}`), this.#byName.get(`bindings/${shard}`)];
    const row = { entry, place, members, services, bindings };
    this.#rows.set(entry.id, row);
    return row;
  }

  /** The server without its distrusted keys; null when it is distrusted itself. */
  #trustedOf(server: ServerEntry): ServerEntry | null {
    if (this.#listed.size === 0) return server;
    let made = this.#trusted.get(server);
    if (made === undefined) {
      made = withoutDistrusted(server, this.#listed);
      this.#trusted.set(server, made);
    }
    return made;
  }

  /** May be others too: the caller looks. */
  #withKey(value: string): ServerEntry[] {
    const found: ServerEntry[] = [];
    const short = shortNameOf(value);
    for (const { servers } of this.#withServers) found.push(...servers.withKey(value, short));
    return found;
  }
}

const NO_SERVERS: readonly ServerEntry[] = [];
/** Strangers' certificates are asked for too. */
const MAX_REMEMBERED_ANSWERS = 20_000;

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

function ascending(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1;
}
