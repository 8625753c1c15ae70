// The parts of the global configuration: how the registry's state becomes files, and how a verified file becomes
// indexed entries. Members and services lie in 256 shards by the first byte of SHA-256 of the member's id, so that one
// registration changes one small file. Sorted lists and canonical JSON give the same state the same hashes.
//
// A part was approved with its hash by two persons, yet a registry that was broken into may have shown them something
// that nobody can check by eye: form, order, shard and ownership are checked here again.
import { hash as digest } from 'node:crypto';
import type { BindingTable } from '#schemas/binding-table.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import {
  type ConsentServiceEntry,
  type IdentityProviderEntry,
  LimitsPart,
  MAX_PART_BYTES,
  MembersPart,
  type OfficialsEntry,
  ServicesPart,
  TrustPart,
  type WitnessesPart,
} from '#schemas/configuration.ts';
import type { DictionaryEntry, DictionaryPart } from '#schemas/dictionary-entry.ts';
import type { Group } from '#schemas/groups.ts';
import {
  type MemberId,
  memberId,
  memberOf,
  type ServiceId,
  serviceId,
  subsystemOfService,
} from '#schemas/identifiers.ts';
import { type JsonValue, parseJson } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Purpose } from '#schemas/purpose.ts';
import { RegisteredMember, RegisteredService } from '#schemas/registrations.ts';
import type { TimeStampsPart } from '#schemas/time-stamps-part.ts';
import { compile } from '#schemas/validate.ts';
import { type ConsentState, consentFiles, readConsentPart } from './consent-parts.ts';
import { bindingsFile, readDictionaryPart } from './dictionary-parts.ts';
import { groupsFile, readGroupsPart } from './group-parts.ts';
import { readEntries } from './part-entries.ts';
import { RegisteredServers, ServerRecords } from './registered-servers.ts';
import type { MemberEntry } from './snapshot.ts';
import { readTimeStampsPart, timeStampsFile } from './time-stamp-parts.ts';
import { fileHash } from './verify.ts';
import { readWitnessesPart, witnessesFile } from './witness-parts.ts';

export interface RegistryState extends ConsentState {
  members: readonly RegisteredMember[];
  services: readonly RegisteredService[];
  trust: TrustPart;
  limits: LimitsPart;
  /** The files of the release as `dictionaryFiles` made them; absent while none was released. */
  dictionary?: ReadonlyMap<string, Buffer>;
  /** Binding tables in their one spelling. */
  bindings?: readonly { service: ServiceId; text: string }[];
  /** Global groups; absent and empty are alike. */
  groups?: readonly Group[];
  /** Absent while none are named. */
  witnesses?: WitnessesPart;
  timeStamps?: TimeStampsPart;
}

/** One part, read and indexed. Parts of later releases have only their name. */
export interface PartIndex {
  name: string;
  /** Ascending by id. */
  members: readonly MemberEntry[];
  /** Their servers; places are those in `members`. */
  servers: RegisteredServers;
  /** Ascending by id. */
  services: readonly RegisteredService[];
  /** The release's name and number of entries; the entries lie in the shards. */
  dictionary?: DictionaryPart;
  entries: readonly DictionaryEntry[];
  tables: readonly BindingTable[];
  trust?: TrustPart;
  limits?: LimitsPart;
  purposes?: readonly Purpose[];
  consentServices?: readonly ConsentServiceEntry[];
  identityProviders?: readonly IdentityProviderEntry[];
  officials?: readonly OfficialsEntry[];
  groups?: readonly Group[];
  witnesses?: WitnessesPart;
  timeStamps?: TimeStampsPart;
}

const CONSENT_PARTS: readonly string[] = ['purposes', 'consent', 'identity', 'officials'];
const KINDS: readonly string[] = [
  ...['members', 'services', 'trust', 'limits', 'dictionary', 'bindings', 'groups', 'witnesses', 'time-stamps'],
  ...CONSENT_PARTS,
];

const readMember = compile(RegisteredMember, 'CONFIGURATION_INVALID');
const readMembers = compile(MembersPart, 'CONFIGURATION_INVALID');
const readService = compile(RegisteredService, 'CONFIGURATION_INVALID');
const readServices = compile(ServicesPart, 'CONFIGURATION_INVALID');
const readTrust = compile(TrustPart, 'CONFIGURATION_INVALID');
const readLimits = compile(LimitsPart, 'CONFIGURATION_INVALID');

/** Two hexadecimal digits: the shard of the parts in which a member, its services and their tables lie. */
export function partShardOf(member: MemberId): string {
  return digest('sha256', member, 'hex').slice(0, 2);
}

/** The files of a state by part name; shards without an entry do not exist. */
export function partsOf(state: RegistryState): Map<string, Buffer> {
  const members = Map.groupBy(state.members.toSorted(byId), ({ id }) => `members/${partShardOf(id)}`);
  const services = Map.groupBy(
    state.services.toSorted(byId),
    ({ id }) => `services/${partShardOf(memberOf(subsystemOfService(id)))}`,
  );
  const files = new Map<string, Buffer>();
  for (const [name, list] of members) files.set(name, encode({ members: list.map(sorted) }));
  for (const [name, list] of services) files.set(name, encode({ services: list }));
  const bindings = Map.groupBy(
    (state.bindings ?? []).toSorted((a, b) => (a.service < b.service ? -1 : 1)),
    ({ service }) => `bindings/${partShardOf(memberOf(subsystemOfService(service)))}`,
  );
  for (const [name, list] of bindings) files.set(name, bindingsFile(list.map(({ text }) => text)));
  for (const [name, bytes] of state.dictionary ?? []) files.set(name, bytes);
  for (const [name, bytes] of consentFiles(state)) files.set(name, bytes);
  if (state.groups !== undefined && state.groups.length > 0) files.set('groups', groupsFile(state.groups));
  if (state.witnesses !== undefined) files.set('witnesses', witnessesFile(state.witnesses));
  if (state.timeStamps !== undefined) files.set('time-stamps', timeStampsFile(state.timeStamps));
  files.set('trust', encode(state.trust));
  files.set('limits', encode(state.limits));
  return files;
}

/** Part name → hash, as content lists them. */
export function hashesOf(files: ReadonlyMap<string, Buffer>): Record<string, string> {
  return Object.fromEntries([...files].map(([name, bytes]) => [name, fileHash(bytes)] as const).toSorted());
}

/** @throws CONFIGURATION_PART_WRONG when the bytes are not the approved ones */
export function requirePart(name: string, bytes: Uint8Array, hash: string): void {
  if (fileHash(bytes) !== hash) throw new AccordError('CONFIGURATION_PART_WRONG', name);
}

/** Reads one part whose hash was verified. @throws CONFIGURATION_INVALID, IDENTIFIER_INVALID, JSON_* */
export function readPart(name: string, bytes: Uint8Array, instance: string): PartIndex {
  const reading = readPartInSteps(name, bytes, instance);
  for (;;) {
    const step = reading.next();
    if (step.done === true) return step.value;
  }
}

/** As `readPart`, and pauses: what is long takes a few milliseconds between two pauses. */
export function* readPartInSteps(
  name: string,
  bytes: Uint8Array,
  instance: string,
): Generator<undefined, PartIndex, undefined> {
  const [kind = '', shard = ''] = name.split('/');
  const none = RegisteredServers.none;
  const empty: PartIndex = { name, members: [], servers: none, services: [], entries: [], tables: [] };
  if (!KINDS.includes(kind)) return empty;
  const whole = () => parseJson(bytes, { maxBytes: MAX_PART_BYTES, maxValues: 2_000_000 });
  if (kind === 'services') {
    const services = yield* readEntries(bytes, kind, readService, () => readServices(whole()).services);
    for (const { id } of services) requireShard(memberOf(subsystemOfService(serviceId(id))), shard, instance);
    requireAscending(services);
    return { ...empty, services };
  }
  if (kind === 'members') {
    let records = new ServerRecords(bytes.length);
    const take = (member: RegisteredMember): MemberEntry => {
      requireShard(memberId(member.id), shard, instance);
      records.add(member);
      return { id: member.id, name: member.name, subsystems: member.subsystems };
    };
    const members = yield* readEntries(
      bytes,
      kind,
      (value) => take(readMember(value)),
      () => {
        records = new ServerRecords(bytes.length);
        return readMembers(whole()).members.map(take);
      },
    );
    requireAscending(members);
    yield;
    return { ...empty, members, servers: new RegisteredServers(records) };
  }
  const value = whole();
  if (kind === 'trust') return { ...empty, trust: readTrust(value) };
  if (kind === 'limits') return { ...empty, limits: readLimits(value) };
  if (kind === 'groups') return { ...empty, groups: readGroupsPart(value, instance) };
  if (kind === 'witnesses') return { ...empty, witnesses: readWitnessesPart(value) };
  if (kind === 'time-stamps') return { ...empty, timeStamps: readTimeStampsPart(value) };
  if (CONSENT_PARTS.includes(kind)) return { ...empty, ...readConsentPart(kind, value, instance) };
  const requireMember = (member: MemberId) => requireShard(memberId(member), shard, instance);
  return { ...empty, ...readDictionaryPart(name, value, requireMember) };
}

function requireShard(member: MemberId, shard: string, instance: string): void {
  if (!member.startsWith(`${instance}/`)) throw new AccordError('CONFIGURATION_INSTANCE', member);
  if (partShardOf(member) !== shard) throw new AccordError('CONFIGURATION_INVALID', `${member} lies in another shard`);
}

function requireAscending(list: readonly { id: MemberId | ServiceId }[]): void {
  for (let at = 1; at < list.length; at++) {
    const [before, here] = [list[at - 1], list[at]];
    if (before && here && before.id >= here.id) {
      throw new AccordError('CONFIGURATION_INVALID', `${here.id} is out of order or occurs twice`);
    }
  }
}

function sorted(member: RegisteredMember): RegisteredMember {
  return {
    ...member,
    subsystems: member.subsystems.toSorted(byCode),
    servers: member.servers.toSorted(byCode).map((server) => ({
      ...server,
      authenticationCertificates: server.authenticationCertificates.toSorted(),
      signingCertificates: server.signingCertificates.toSorted(),
      encryptionKeys: server.encryptionKeys.toSorted(byKid),
      subjectKeys: server.subjectKeys.toSorted(byKid),
      subsystems: server.subsystems.toSorted(),
    })),
  };
}

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1;
}

function byCode(a: { code: string }, b: { code: string }): number {
  return a.code < b.code ? -1 : 1;
}

function byKid(a: { kid: string }, b: { kid: string }): number {
  return a.kid < b.kid ? -1 : 1;
}

function encode(part: object): Buffer {
  return Buffer.from(`${canonicalJson(part as JsonValue)}\n`);
}
