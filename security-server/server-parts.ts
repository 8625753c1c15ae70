// Everything one security server is made of, handed to both sides of the exchange. Clock, disk and network come in as
// ports, so that a whole exchange can run in one process under a clock of the test's own.

import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '#core/clock.ts';
import type { BoundedClient } from '#core/http/client.ts';
import type { OldestTls } from '#core/http/mtls.ts';
import type { MessageLog, RecordView } from '#core/log/message-log.ts';
import type { SealedParts } from '#core/log/sealed-record.ts';
import type { StatusClient } from '#core/status/status-client.ts';
import type { ServerId } from '#schemas/identifiers.ts';
import type { Accesses } from './accesses.ts';
import type { Admission } from './admission.ts';
import type { OpenedAnchoring } from './anchoring/server-anchoring.ts';
import type { ServerArchive } from './archive/server-archive.ts';
import type { ServerCertificates } from './certificate-status/server-certificates.ts';
import type { ServerChoice } from './consumer/choose-server.ts';
import type { DictionaryInForce } from './dictionary-in-force.ts';
import type { Doubts } from './doubts.ts';
import type { ServerEmergencies } from './emergencies.ts';
import type { Channels } from './envelope/channels.ts';
import type { StatementSigner } from './envelope/signer.ts';
import type { Verifier } from './envelope/verify.ts';
import type { KeyRing } from './key-ring.ts';
import type { Metrics } from './metrics.ts';
import type { PeerLink } from './peer/link.ts';
import type { PeerNews, SharedConfiguration } from './peer/news.ts';
import type { PeerByCertificate } from './peer/registered-peer.ts';
import type { OtherProcesses } from './processes/first-process.ts';
import type { Retention } from './retention/contract.ts';
import type { Spool } from './spool.ts';
import type { ServerState } from './state.ts';
import type { SubjectTag } from './subject-tag.ts';

/** What the log has to be for those who send requests; it may lie in another process (processes/), so reading may wait. */
export interface RequestLog extends Pick<MessageLog, 'origin' | 'append'> {
  find(from: string | null, id: string): RecordView[] | Promise<RecordView[]>;
  readSealed(seq: number): SealedParts | null | Promise<SealedParts | null>;
}

/** What serves the information systems: a whole server, or a process of it that does nothing else (processes/). */
export interface ConsumerParts
  extends Pick<
    ServerParts,
    | (
        | 'self'
        | 'clock'
        | 'configuration'
        | 'dictionary'
        | 'keys'
        | 'channels'
        | 'signer'
        | 'verifier'
        | 'link'
        | 'choice'
      )
    | ('spool' | 'maxBodyBytes' | 'bodyIdleMs' | 'xroadSnakeCase' | 'xroadDeadlineMs' | 'oldestSystemTls')
    | ('admission' | 'metrics' | 'logger')
  > {
  log: RequestLog;
  state: Pick<ServerState, 'systemsByCertificate' | 'connectionRule' | 'connectionRules' | 'maintenance'>;
  retention: Pick<Retention, 'ofClient'>;
  anchoring: { grace: Pick<OpenedAnchoring['grace'], 'requireInTime'> };
}

export interface ServerParts {
  self: ServerId;
  clock: Clock;
  configuration: SharedConfiguration;
  log: MessageLog;
  /** What others vouch for of it. */
  anchoring: OpenedAnchoring;
  /** Where its old parts go. */
  archive: ServerArchive;
  state: ServerState;
  /** Status lists of consents. */
  status: StatusClient;
  dictionary: DictionaryInForce;
  /** Under which the use of predicates is counted and accesses are noted. */
  subjectTag: SubjectTag;
  /** What others doubt of this server's own services. */
  doubts: Doubts;
  /** Who asked about whom. */
  accesses: Accesses;
  /** How long records are kept, and their lawful destruction. */
  retention: Retention;
  /** Reports to the registry, and reviews that it waits for. */
  emergencies: ServerEmergencies;
  keys: KeyRing;
  channels: Channels;
  signer: StatementSigner;
  verifier: Verifier;
  link: PeerLink;
  /** Whether this server's port offers frames to its peers, and asks for them. */
  speaksFrames: boolean;
  choice: ServerChoice;
  news: PeerNews;
  peerByCertificate: PeerByCertificate;
  /** OCSP answers, own and peers'. */
  certificateStatus: ServerCertificates['certificateStatus'];
  /** For the provider's own backends. */
  backends: BoundedClient;
  /** Bodies that are too large for memory, and how large one may be. */
  spool: Spool;
  /** How long a connection may stand still while such a body passes over it. */
  bodyIdleMs: number;
  /** Error codes of X-Road's protocol in the spelling of its version 7.8. */
  xroadSnakeCase: boolean;
  /** How long a call in it may take; the provider's own time for its service may end it sooner. */
  xroadDeadlineMs: number;
  /** What information systems may connect with; peers never. */
  oldestSystemTls: OldestTls;
  maxBodyBytes: number;
  admission: Admission;
  metrics: Metrics;
  logger: FastifyBaseLogger;
  /** They serve the information systems; null where this process does. */
  others: OtherProcesses | null;
}
