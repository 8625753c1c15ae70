// What this server tells the registry: that it answered on an emergency, and the two tokens it answered on
// (schemas/emergency-report.ts). Durable before the backend is asked, sent beside the exchange, and tried again until the
// registry says that it has it: the registry is never waited for, and no answer on an emergency goes unreviewed because it
// was away. Tokens name officials and a reason, so they are sealed on the disk, and erased once the registry has them.
//
// The peer made the tokens; they were verified. Whoever answers at the registry's address controls the answer: one that
// does not name the emergency is none.
import { createHash } from 'node:crypto';
import type { FastifyBaseLogger } from 'fastify';
import type { Emergency } from '#certs/evidence.ts';
import { cipherKey, decipher, encipher } from '#certs/record-cipher.ts';
import { storageSubkeyOf } from '#certs/storage-key.ts';
import type { Clock } from '#core/clock.ts';
import type { BoundedClient } from '#core/http/client.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import { checkKnownEmergency, type EmergencyReport } from '#schemas/emergency-report.ts';
import { type JsonValue, parseJson } from '#schemas/json.ts';
import { EMERGENCY_REPORT_ALARM_MS, REGISTRY_TIMEOUT_MS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';

/** One report that waits: when it was noted, when it is tried next, how often it was. */
export interface EmergencyReportRow {
  /** SHA-256 (base64url) of what both officials signed: one emergency is reported once. */
  hash: string;
  emergency: string;
  notedAtMs: number;
  nextAtMs: number;
  tries: number;
  sealed: Buffer;
}

/** Durable when a call returns. What the registry has keeps its hash, without the tokens. */
export interface EmergencyReportStore {
  /** False when it is there, or was and was sent. */
  insert(row: EmergencyReportRow): boolean;
  /** To be tried by now, those waiting longest first. */
  due(nowMs: number, limit: number): EmergencyReportRow[];
  postpone(hash: string, nextAtMs: number): void;
  sent(hash: string, atMs: number): void;
  /** How many wait, and since when the oldest. */
  waiting(): { count: number; sinceMs: number | null };
  /** Hashes of what was sent before that time. */
  forget(beforeMs: number): void;
  close(): void;
}

export interface EmergencyReports {
  /** Notes that an answer is to be given on it; again is the same. @throws what the disk throws */
  note(emergency: Emergency, tokens: readonly string[]): void;
  /** Sends what is due now. Never rejects. */
  send(): Promise<void>;
  waiting(): { count: number; sinceMs: number | null };
  close(): Promise<void>;
}

export interface EmergencyReportPorts {
  self: string;
  /** Where the registry may be reached, as the configuration anchor says; none sends nothing. */
  urls: readonly string[];
  client: BoundedClient;
  clock: Clock;
  logger: FastifyBaseLogger;
}

const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 10 * 60_000;
const AT_ONCE = 20;
/** Longer than an emergency and its answers can come again. */
const REMEMBERED_MS = 7 * 86_400_000;

/** @param storageKey the server's, 32 bytes */
export function openEmergencyReports(
  store: EmergencyReportStore,
  storageKey: Buffer,
  { self, urls, client, clock, logger }: EmergencyReportPorts,
): EmergencyReports {
  const key = cipherKey(storageSubkeyOf(storageKey, 'emergency reports'));
  let running: Promise<void> | undefined;
  let isClosed = false;

  async function sendDue(): Promise<void> {
    for (const row of store.due(clock.nowMs(), AT_ONCE)) {
      if (isClosed) return;
      if (await sendOne(row)) store.sent(row.hash, clock.nowMs());
      else store.postpone(row.hash, clock.nowMs() + Math.min(FIRST_PAUSE_MS * 2 ** row.tries, LONGEST_PAUSE_MS));
    }
    store.forget(clock.nowMs() - REMEMBERED_MS);
    const { count, sinceMs } = store.waiting();
    if (sinceMs !== null && clock.nowMs() - sinceMs > EMERGENCY_REPORT_ALARM_MS) {
      logger.error({ alarm: 'EMERGENCY_REPORT_WAITING', count, since: new Date(sinceMs).toISOString() }, 'alarm');
    }
  }

  /** A mirror at one of the addresses takes no reports; the next may be the registry. */
  async function sendOne(row: EmergencyReportRow): Promise<boolean> {
    const tokens = unseal(row);
    if (tokens === null) {
      logger.error({ alarm: 'RECORD_UNREADABLE', emergency: row.emergency }, 'a report to the registry is damaged');
      return false;
    }
    const report: EmergencyReport = { v: 1, tokens, by: self };
    const body = Buffer.from(JSON.stringify(report));
    for (const url of urls) {
      try {
        const answer = await client.request({
          method: 'POST',
          url: new URL('emergencies', url.endsWith('/') ? url : `${url}/`).href,
          headers: [['content-type', 'application/json']],
          body,
          timeoutMs: REGISTRY_TIMEOUT_MS,
        });
        if (answer.status !== 200) continue;
        if (checkKnownEmergency(parseJson(answer.body)).emergency === row.emergency) return true;
      } catch (error) {
        if (!isAccordError(error)) throw error;
      }
    }
    return false;
  }

  function unseal({ hash, sealed }: EmergencyReportRow): string[] | null {
    const plain = decipher(key, Buffer.from(hash), sealed);
    return plain && (JSON.parse(plain.toString()) as string[]);
  }

  function send(): Promise<void> {
    if (isClosed || urls.length === 0) return Promise.resolve();
    running ??= sendDue()
      .catch((error: unknown) => logger.error({ err: error }, 'reports to the registry could not be sent'))
      .finally(() => {
        running = undefined;
      });
    return running;
  }

  return {
    note(emergency, tokens) {
      const { iat: _iat, ...terms } = emergency;
      const hash = createHash('sha256')
        .update(canonicalJson(terms as unknown as JsonValue))
        .digest('base64url');
      const notedAtMs = clock.nowMs();
      const sealed = encipher(key, Buffer.from(hash), Buffer.from(JSON.stringify(tokens)));
      const row = { hash, emergency: emergency.emergency, notedAtMs, nextAtMs: notedAtMs, tries: 0, sealed };
      if (store.insert(row)) setImmediate(() => void send());
    },
    send,
    waiting: () => store.waiting(),
    async close() {
      isClosed = true;
      await running;
      store.close();
    },
  };
}
