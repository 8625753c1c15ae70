// What a security server knows beside the global configuration: its own services and where they live, the access rights
// it grants, the information systems that may speak for its subsystems, and what of each quota is used. Its own
// administrator writes it; `state-sqlite.ts` keeps it.
import type { AccessRight, EndpointRule } from '#schemas/access-right.ts';
import type { Group, GroupFacts } from '#schemas/groups.ts';
import type { GraceStore } from './anchoring/grace.ts';

export interface LocalService {
  /** INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE */
  id: string;
  title: string;
  /** Base URL of the backend or adapter; a request's path is appended to it as it is. */
  url: string;
  enabled: boolean;
  /** What a refused caller is told while the service is disabled. */
  notice: string | null;
  /** How long the backend may take. */
  timeoutMs: number;
  personalData: boolean;
  safe: boolean;
  /**
   * Of an https backend: the certification authorities its certificate is checked against, in PEM, in place of the public
   * ones; or no check at all. Null and absent: the public authorities. The host name is checked unless nothing is.
   */
  tls?: BackendTls | null;
}

export type BackendTls = { caPem: string } | { insecure: true };

/** How information systems connect that speak for one subsystem, in the words of X-Road. */
export interface ConnectionRule {
  subsystem: string;
  /** At least: plain HTTP from a listed address; HTTPS from a listed address; HTTPS with a registered certificate. */
  mode: 'NOSSL' | 'SSLNOAUTH' | 'SSLAUTH';
  /** Addresses and ranges (source-addresses.ts); none for SSLAUTH. */
  addresses: readonly string[];
}

/** While it lasts no new exchange is begun or answered. */
export interface Maintenance {
  /** What those who ask are told. */
  notice: string;
  sinceMs: number;
}

export interface ServiceDescription {
  /** SHA-256 of the bytes, base64url: the registered `descriptionHash`. */
  hash: string;
  /** JSON, in the spelling that was hashed. */
  bytes: Buffer;
}

export interface InformationSystem {
  /** The subsystem it may speak for. */
  subsystem: string;
  name: string;
  /** SHA-256 of its client certificate's DER, base64url. */
  certificateHash: string;
}

/** Numbers of receipts are unique for their issuer only. */
interface CountedReceipt {
  jti: string;
  /** Subsystem of the consent service. */
  issuer: string;
}

export interface ServerState extends GraceStore {
  service(id: string): LocalService | null;
  services(): LocalService[];
  putService(service: LocalService): void;
  removeService(id: string): boolean;
  /** The OpenAPI document of a service, as it was registered; null when there is none. */
  description(service: string): ServiceDescription | null;
  putDescription(service: string, description: ServiceDescription & { endpoints: readonly EndpointRule[] }): void;
  removeDescription(service: string): boolean;
  /** Of the description, with its hash; null when there is none. */
  describedEndpoints(service: string): { hash: string; endpoints: EndpointRule[] } | null;
  /** The access rights of these holders (a client and its groups) at one service, also expired ones: `decide` judges. */
  rightsFor(holders: readonly string[], service: string): AccessRight[];
  rights(): AccessRight[];
  /** Whether a right at the service has another retention class than the default. */
  hasOwnRetention(service: string): boolean;
  putRight(right: AccessRight): void;
  removeRight(id: string): boolean;
  /** Ascending by code. */
  groups(): Group[];
  /** Makes the group, or changes its title. */
  putGroup(group: GroupFacts): void;
  /** With its members. */
  removeGroup(code: string): boolean;
  /** False when it was a member already, or when there is no such group. */
  addToGroup(code: string, subsystem: string): boolean;
  removeFromGroup(code: string, subsystem: string): boolean;
  /** Codes of the groups that the subsystem is in, ascending. */
  groupsOf(subsystem: string): readonly string[];
  systems(): InformationSystem[];
  systemsByCertificate(certificateHash: string): InformationSystem[];
  putSystem(system: InformationSystem): void;
  removeSystem(subsystem: string, certificateHash: string): boolean;
  /** Null: a registered certificate, or plain HTTP on this machine. */
  connectionRule(subsystem: string): ConnectionRule | null;
  connectionRules(): ConnectionRule[];
  putConnectionRule(rule: ConnectionRule): void;
  removeConnectionRule(subsystem: string): boolean;
  maintenance(): Maintenance | null;
  startMaintenance(maintenance: Maintenance): void;
  /** False when there was none. */
  endMaintenance(): boolean;
  /** Requests counted against a right on one day (days since the epoch, UTC). */
  used(rightId: string, day: number): number;
  countUse(rightId: string, day: number): void;
  /** Takes one counted use back: the request turned out to be a replay, or was never worked on. */
  takeBackUse(rightId: string, day: number): void;
  /** Predicates over an input that a client asked of a subject (its tag) on this day or later, ascending. */
  predicatesUsed(client: string, subjectTag: string, input: string, sinceDay: number): string[];
  countPredicate(client: string, subjectTag: string, input: string, predicate: string, day: number): void;
  /** Requests a receipt with limited uses was used for. */
  receiptUsed(jti: string): number;
  /** @param expiresAtS seconds since the epoch after which the count is not needed any more */
  countReceiptUse(jti: string, expiresAtS: number): void;
  takeBackReceiptUse(jti: string): void;
  /** Requests that a receipt with a frequency was used for and that are still within its days at that time. */
  usedInWindow(receipt: CountedReceipt, atMs: number): number;
  /** When of its newest `uses` requests the oldest leaves the window; null when there are not so many. */
  leavesWindowAtMs(receipt: CountedReceipt, uses: number): number | null;
  /** @param leavesAtMs when the request counts no more: its own time and the days of the frequency */
  countInWindow(receipt: CountedReceipt, leavesAtMs: number): void;
  takeBackFromWindow(receipt: CountedReceipt, leavesAtMs: number): void;
  /** Forgets the counts of receipts that expired before that time, in seconds, and requests that left their window by then. */
  forgetReceipts(beforeS: number): void;
  /** Whether this token of a client's official was used. */
  evidenceUsed(client: string, jti: string): boolean;
  /** Spends it. @param expiresAtS seconds since the epoch after which it is refused anyway */
  useEvidence(client: string, jti: string, expiresAtS: number): void;
  takeBackEvidence(client: string, jti: string): void;
  /** Persons (their tags) an emergency of a client was used for, other than this one. */
  emergencyPersons(client: string, emergency: string, otherThan: string | null): number;
  countEmergencyPerson(client: string, emergency: string, subjectTag: string, expiresAtS: number): void;
  takeBackEmergencyPerson(client: string, emergency: string, subjectTag: string): void;
  /** Forgets tokens and emergencies that ended before that time, in seconds. */
  forgetEvidence(beforeS: number): void;
  /** Forgets what was asked before that day. */
  forgetPredicates(beforeDay: number): void;
  /** Makes the changes of `work` one: all of them are durable when it returns, and none when it throws. */
  together<T>(work: () => T): T;
  close(): void;
}
