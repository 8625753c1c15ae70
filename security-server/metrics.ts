// Prometheus metrics of one security server and the one structured line per exchange. Labels are closed sets; no
// identifier of a person, member or message ever becomes a label.
import type { FastifyBaseLogger } from 'fastify';
import type { Registry } from 'prom-client';
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Histogram from 'prom-client/lib/histogram.js';
import MetricRegistry from 'prom-client/lib/registry.js';
import { isProblemCode } from '#schemas/problems.ts';
import { collectProcessMetrics } from './process-metrics.ts';

interface ExchangeLine {
  side: 'consumer' | 'provider';
  id: string;
  peer: string;
  client: string;
  service: string;
  outcome: string;
  code: string;
  status: number;
  durationMs: number;
  requestBytes: number;
  answerBytes: number;
}

export interface Metrics {
  registry: Registry;
  exchange(line: ExchangeLine): void;
  /** A peer message refused before its signature was verified, by code. */
  unverified(code: string): void;
  /** A request of an information system that was refused because the server was full. */
  busy(): void;
  /** A batch of messages in a frame of a framed link. */
  frame(direction: 'sent' | 'received', messages: number): void;
  /** An OCSP answer that a responder gave or a peer sent; `outcome` is `taken`, `failed`, a status, or a code. */
  certificateAnswer(of: 'own' | 'peer', outcome: string): void;
  /** Gives counts back that could not be written. */
  giveBackUnverified(code: string, count: number): void;
  /** Counts since the last call, for the periodic summary entry in the log. */
  takeUnverified(): Record<string, number>;
}

export interface Gauges {
  inFlight: () => number;
  logSize: () => number;
  ready: () => number;
  openDoubts: () => number;
  waitingReports: () => number;
  waitingNotices: () => number;
  dueReviews: () => number;
  maintenance: () => number;
  overdueDestruction: () => number;
  archivedEntries: () => number;
  archiveOverdue: () => number;
  archiveTrouble: () => number;
  waitingDestructions: () => number;
  destructionsUnderWay: () => number;
  holds: () => number;
  framed: () => number;
  answerEndsMs: () => number;
  anchoredEntries: () => number;
  anchoredAtMs: () => number;
  anchoringTrouble: () => number;
  timeStampWaitedMs: () => number;
  timeStampGraceMs: () => number;
  timeStampOverdue: () => number;
  timeStampAuthoritiesFailing: () => number;
}

/** @param gauges those that this process can read; the others are another's */
export function openMetrics(gauges: Partial<Gauges>, logger: FastifyBaseLogger): Metrics {
  const registry = new MetricRegistry();
  collectProcessMetrics(registry);
  const registers = [registry];
  const labelNames = ['side', 'outcome'];
  const exchanges = new Counter({
    name: 'accord_exchanges_total',
    help: 'Exchanges by side and outcome',
    labelNames,
    registers,
  });
  const refusals = new Counter({
    name: 'accord_refusals_total',
    help: 'Exchanges that ended with another code than OK',
    labelNames: ['side', 'code'],
    registers,
  });
  const rejected = new Counter({
    name: 'accord_unverified_messages_total',
    help: 'Peer messages refused before their signature was verified',
    labelNames: ['code'],
    registers,
  });
  const seconds = new Histogram({
    name: 'accord_exchange_duration_seconds',
    help: 'Duration of an exchange on this server',
    labelNames: ['side'],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  registerGauges(gauges, registers);
  let pending: Record<string, number> = {};
  return {
    registry,
    exchange(line) {
      exchanges.inc({ side: line.side, outcome: line.outcome });
      // The peer writes the code of its answer: only codes of the table become labels.
      const code = isProblemCode(line.code) ? line.code : 'OTHER';
      if (line.code !== 'OK') refusals.inc({ side: line.side, code });
      seconds.observe({ side: line.side }, line.durationMs / 1000);
      logger.info({ ...line, durationMs: Math.round(line.durationMs * 100) / 100 }, 'exchange');
    },
    unverified(code) {
      rejected.inc({ code });
      pending[code] = (pending[code] ?? 0) + 1;
    },
    busy: countBusy(registers),
    frame: countFrames(registers),
    certificateAnswer: countAnswers(registers),
    giveBackUnverified(code, count) {
      pending[code] = (pending[code] ?? 0) + count;
    },
    takeUnverified() {
      const taken = pending;
      pending = {};
      return taken;
    },
  };
}

type GaugeRow = [name: string, help: string, read: (() => number) | undefined];

const inSeconds = (read: (() => number) | undefined) => read && (() => read() / 1000);

/** Of retention, certificate status, anchoring and time-stamps. */
function evidenceGauges(gauges: Partial<Gauges>): GaugeRow[] {
  return [
    [
      'accord_retention_overdue_days',
      'Days for which the oldest records should have been destroyed',
      gauges.overdueDestruction,
    ],
    [
      'accord_destructions_waiting',
      'Requests for destruction that wait for a second person',
      gauges.waitingDestructions,
    ],
    ['accord_destructions_under_way', 'Destructions that were begun and are not done', gauges.destructionsUnderWay],
    ['accord_archive_entries', 'Entries of the log whose evidence is in the archive', gauges.archivedEntries],
    ['accord_archive_overdue', '1 while records that should be in the archive are not there', gauges.archiveOverdue],
    ['accord_archive_trouble', '1 since a run of the archive failed, until one does not', gauges.archiveTrouble],
    ['accord_holds', 'Holds that keep records from destruction', gauges.holds],
    [
      'accord_certificate_answer_ends_seconds',
      'When the first OCSP answer about an own certificate is over, seconds since 1970; 0 without one',
      inSeconds(gauges.answerEndsMs),
    ],
    [
      'accord_log_anchored_entries',
      'Entries before the newest checkpoint that others vouch for',
      gauges.anchoredEntries,
    ],
    [
      'accord_log_anchored_seconds',
      'When that was logged, seconds since 1970; 0 before the first',
      inSeconds(gauges.anchoredAtMs),
    ],
    ['accord_anchoring_trouble', '1 while the log cannot be anchored', gauges.anchoringTrouble],
    [
      'accord_time_stamp_waiting_seconds',
      'How long the oldest entry of the log has waited for a time-stamp; 0 when none waits',
      inSeconds(gauges.timeStampWaitedMs),
    ],
    [
      'accord_time_stamp_grace_seconds',
      'How long it may wait before new exchanges stop; 0 where no authority is named',
      inSeconds(gauges.timeStampGraceMs),
    ],
    [
      'accord_time_stamp_overdue',
      '1 while new exchanges are stopped for want of a time-stamp',
      gauges.timeStampOverdue,
    ],
    [
      'accord_time_stamp_authorities_failing',
      'Time-stamp authorities that failed when this server last asked them itself',
      gauges.timeStampAuthoritiesFailing,
    ],
  ];
}

function registerGauges(gauges: Partial<Gauges>, registers: Registry[]): void {
  for (const [name, help, read] of [
    ['accord_exchanges_in_flight', 'Exchanges under way', gauges.inFlight],
    ['accord_log_entries', 'Entries in the message log', gauges.logSize],
    ['accord_ready', '1 when the server takes exchanges', gauges.ready],
    ['accord_doubts_open', 'Reports of doubt that wait for an answer', gauges.openDoubts],
    [
      'accord_emergency_reports_waiting',
      'Emergencies answered on that the registry does not know yet',
      gauges.waitingReports,
    ],
    [
      'accord_emergency_notices_waiting',
      'Notices of emergencies that a consent service has not taken yet',
      gauges.waitingNotices,
    ],
    ['accord_emergency_reviews_due', 'Reviews of emergencies that the own departments owe', gauges.dueReviews],
    ['accord_maintenance', '1 while the server is in maintenance', gauges.maintenance],
    ...evidenceGauges(gauges),
    ['accord_framed_links', 'Framed connections to peers that this server made', gauges.framed],
  ] as GaugeRow[]) {
    if (read === undefined) continue;
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  }
}

function countBusy(registers: Registry[]): Metrics['busy'] {
  const counter = new Counter({
    name: 'accord_busy_total',
    help: 'Requests of information systems refused before anything of them was read, because the server was full',
    registers,
  });
  return () => counter.inc();
}

function countAnswers(registers: Registry[]): Metrics['certificateAnswer'] {
  const counter = new Counter({
    name: 'accord_certificate_answers_total',
    help: 'OCSP answers about certificates: own ones asked for (taken, failed), and those that peers sent',
    labelNames: ['of', 'outcome'],
    registers,
  });
  const ANSWER_OUTCOMES = ['taken', 'failed', 'good', 'revoked', 'unknown'];
  return (of, outcome) => counter.inc({ of, outcome: ANSWER_OUTCOMES.includes(outcome) ? outcome : 'refused' });
}

/** Two counters whose labels are looked up once: they move with every frame. */
function countFrames(registers: Registry[]): Metrics['frame'] {
  const [frames, messages] = [
    ['accord_frames_total', 'Frames with messages on framed links, by direction'],
    ['accord_framed_messages_total', 'Messages in these frames'],
  ].map(([name = '', help = '']) => {
    const counter = new Counter({ name, help, labelNames: ['direction'], registers });
    return { sent: counter.labels('sent'), received: counter.labels('received') };
  });
  return (direction, count) => {
    frames?.[direction].inc();
    messages?.[direction].inc(count);
  };
}
