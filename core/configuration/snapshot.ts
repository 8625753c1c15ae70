// One verified version of the global configuration as the servers use it: immutable, indexed, never fetched on the
// request path. Who controls it: two approvers; by the time a snapshot exists their signatures were verified.
import type { WitnessPolicy } from '#core/witness/policy.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import type {
  ConsentServiceEntry,
  IdentityProviderEntry,
  OcspRules,
  OfficialKeyEntry,
} from '#schemas/configuration.ts';
import type { DictionaryEntry } from '#schemas/dictionary-entry.ts';
import type { MemberId, ServerId, ServiceId, SubsystemId } from '#schemas/identifiers.ts';
import type { Purpose } from '#schemas/purpose.ts';
import type {
  AnnouncedMaintenance,
  EncryptionKey,
  RegisteredMember,
  RegisteredService,
} from '#schemas/registrations.ts';
import type { TimeStampRules } from './time-stamp-parts.ts';

/** A certificate as registered: its DER bytes and their SHA-256 in base64url (x5t#S256). */
export interface RegisteredCertificate {
  der: Buffer;
  hash: string;
}

export interface ServerEntry {
  id: ServerId;
  /** https origin peers connect to. */
  address: string;
  authenticationCertificates: readonly RegisteredCertificate[];
  signingCertificates: readonly RegisteredCertificate[];
  encryptionKeys: readonly EncryptionKey[];
  /** Keys that identifiers in receipts are sealed to; none when it answers nothing under consent. */
  subjectKeys: readonly EncryptionKey[];
  subsystems: ReadonlySet<SubsystemId>;
  log: { origin: string; key: string };
  /** As announced, for planning; the server itself says when it has begun. */
  maintenance?: AnnouncedMaintenance | null;
}

/** A member with what its subsystems are called. */
export type MemberEntry = Pick<RegisteredMember, 'id' | 'name' | 'subsystems'>;

/** The release in force. Two snapshots that hold the same one give the same object, so that it may be a cache's key. */
export interface DictionaryRelease {
  /** Semantic version of the release as a whole. */
  release: string;
  /** In no particular order. */
  entries: readonly DictionaryEntry[];
}

interface PurposeInForce {
  purpose: Purpose;
  hash: string;
}

/** What the configuration says about consent; a part of the snapshot. */
export type ConsentLookups = Pick<
  ConfigurationSnapshot,
  | 'purpose'
  | 'purposes'
  | 'purposeByHash'
  | 'consentService'
  | 'consentServices'
  | 'identityProvider'
  | 'identityProviders'
  | 'officialKeys'
>;

export interface ConfigurationSnapshot {
  instance: string;
  /** Content version M and the base64url SHA-256 of its exact file. */
  version: number;
  hash: string;
  server(id: ServerId): ServerEntry | undefined;
  /** The server whose registered authentication certificate has this SHA-256 (base64url); distrusted ones are absent. */
  serverByAuthenticationHash(hash: string): ServerEntry | undefined;
  serversOf(subsystem: SubsystemId): readonly ServerEntry[];
  hasSubsystem(id: SubsystemId): boolean;
  /** What people call the member, as registered. */
  memberName(id: MemberId): string | undefined;
  /** All members with their subsystems, as registered: ascending by id, then code. */
  members(): readonly MemberEntry[];
  /** Global groups the subsystem is in, INSTANCE/CODE, ascending. */
  globalGroups(subsystem: SubsystemId): readonly string[];
  /** Whether there is such a group, INSTANCE/CODE. */
  hasGlobalGroup(id: string): boolean;
  service(id: ServiceId): RegisteredService | undefined;
  /** All of them, ascending by id. */
  services(): readonly RegisteredService[];
  /** Null while none was released. */
  dictionary(): DictionaryRelease | null;
  /** The service's table, only when its hash is the registered `bindingHash`. The same table is the same object. */
  binding(service: ServiceId): BindingTable | undefined;
  /**
   * The newest version of the purpose that has begun on that legal day (YYYY-MM-DD), with the SHA-256 (base64url) of its
   * one spelling; undefined when none has, or when that one has ended.
   */
  purpose(id: string, day: string): PurposeInForce | undefined;
  /** All versions, ascending by id, then version. */
  purposes(): readonly Purpose[];
  /** The version that a receipt or an access right pins. */
  purposeByHash(hash: string): Purpose | undefined;
  /** Without distrusted keys; undefined when the subsystem is not registered or no key is left. */
  consentService(subsystem: string): ConsentServiceEntry | undefined;
  consentServices(): readonly ConsentServiceEntry[];
  identityProvider(issuer: string): IdentityProviderEntry | undefined;
  identityProviders(): readonly IdentityProviderEntry[];
  /** What officials of the subsystem's department sign evidence with, without distrusted keys; none when none is registered. */
  officialKeys(subsystem: string): readonly OfficialKeyEntry[];
  /** Id of the emergency whose overdue review keeps the subsystem from asking; null when nothing does. */
  lockedFor(subsystem: string): string | null;
  /** Minutes the instance's legal day is ahead of UTC; 0 unless the limits say otherwise. */
  utcOffsetMinutes: number;
  /** Certification authorities whose certificates the members use (DER): anchors, intermediates, their CRLs; OCSP. */
  trust: {
    anchors: readonly Buffer[];
    intermediates: readonly Buffer[];
    crls?: readonly Buffer[];
    /** Absent: OCSP answers mean nothing. */
    ocsp?: OcspRules;
  };
  /** Whose cosignatures on checkpoints count; null while none are named. */
  witnesses(): WitnessPolicy | null;
  /** Time-stamp authorities; null while none are named: then nothing waits for a time-stamp. */
  timeStamps(): TimeStampRules | null;
  /** True for a key hash or server id on the distrust list. */
  isDistrusted(hashOrServer: string): boolean;
}

/** `fresh`: signed freshness within 10 minutes; `stale`: usable, warned; `too-old`: new exchanges stop. */
export type Freshness = 'fresh' | 'stale' | 'too-old';

/** The port the servers read the configuration through. */
export interface ConfigurationSource {
  /** The newest verified snapshot. @throws CONFIGURATION_MISSING when none was ever verified. */
  current(): ConfigurationSnapshot;
  freshness(): Freshness;
  /** A time that is surely past: when the newest freshness was signed, and what the monotonic clock counted since. */
  leastNowMs?(): number;
  /** Runs `listener` after each change of content or distrust; returns how to stop. */
  onChange(listener: () => void): () => void;
}
