// What a security server knows beside the global configuration: its own services and where they live, the access rights
// it grants, the information systems that may speak for its subsystems, and what of each quota is used. Its own
// administrator writes it; `state-sqlite.ts` keeps it.
import type { AccessRight } from '#schemas/access-right.ts';

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
}

export interface InformationSystem {
  /** The subsystem it may speak for. */
  subsystem: string;
  name: string;
  /** SHA-256 of its client certificate's DER, base64url. */
  certificateHash: string;
}

export interface ServerState {
  service(id: string): LocalService | null;
  services(): LocalService[];
  putService(service: LocalService): void;
  removeService(id: string): boolean;
  /** The access rights of one client at one service, also expired ones: `decide` judges. */
  rightsFor(client: string, service: string): AccessRight[];
  rights(): AccessRight[];
  putRight(right: AccessRight): void;
  removeRight(id: string): boolean;
  systems(): InformationSystem[];
  systemsByCertificate(certificateHash: string): InformationSystem[];
  putSystem(system: InformationSystem): void;
  removeSystem(subsystem: string, certificateHash: string): boolean;
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
  /** Forgets the counts of receipts that expired before that time, in seconds. */
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
  close(): void;
}
