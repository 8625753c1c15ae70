// What this server has to tell somebody else beside an exchange, and tells again until it was taken: durable before it is
// first tried, sealed while it waits, its content erased once it was delivered. Nobody waits for it. Reports to the registry
// (emergency-reports.ts) and notices to consent services (emergency-notices.ts) go this way.
import type { FastifyBaseLogger } from 'fastify';
import { cipherKey, decipher, encipher } from '#certs/record-cipher.ts';
import { storageSubkeyOf } from '#certs/storage-key.ts';
import type { Clock } from '#core/clock.ts';
import { EMERGENCY_REPORT_ALARM_MS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';

/** One that waits: when it was noted, when it is tried next, how often it was. */
export interface OutboxRow {
  /** By which the same is known again. */
  hash: string;
  emergency: string;
  notedAtMs: number;
  nextAtMs: number;
  tries: number;
  sealed: Buffer;
}

/** Durable when a call returns. What was delivered keeps its hash, without the content. */
export interface OutboxStore {
  /** False when it is there, or was and was sent. */
  insert(row: OutboxRow): boolean;
  /** To be tried by now, those waiting longest first. */
  due(nowMs: number, limit: number): OutboxRow[];
  postpone(hash: string, nextAtMs: number): void;
  sent(hash: string, atMs: number): void;
  /** How many wait, and since when the oldest. */
  waiting(): { count: number; sinceMs: number | null };
  /** Hashes of what was sent before that time. */
  forget(beforeMs: number): void;
  close(): void;
}

export interface Outbox<T> {
  /** Again is the same. @throws what the disk throws */
  note(hash: string, emergency: string, content: T): void;
  /** Sends what is due now. Never rejects. */
  send(): Promise<void>;
  waiting(): { count: number; sinceMs: number | null };
  close(): Promise<void>;
}

export interface OutboxPorts<T> {
  store: OutboxStore;
  /** The server's, 32 bytes. */
  storageKey: Buffer;
  /** Of the key that seals: for each kind another. */
  use: string;
  /** Raised when something waits for long. */
  alarm: string;
  /** One attempt; true when it was taken. An AccordError is an attempt that failed. */
  deliver(content: T, row: OutboxRow): Promise<boolean>;
  clock: Clock;
  logger: FastifyBaseLogger;
}

const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 10 * 60_000;
const AT_ONCE = 20;
/** Longer than an emergency and its answers can come again. */
const REMEMBERED_MS = 7 * 86_400_000;

export function openOutbox<T>({ store, storageKey, use, alarm, deliver, clock, logger }: OutboxPorts<T>): Outbox<T> {
  const key = cipherKey(storageSubkeyOf(storageKey, use));
  let running: Promise<void> | undefined;
  let isClosed = false;

  async function sendDue(): Promise<void> {
    await Promise.all(store.due(clock.nowMs(), AT_ONCE).map(sendOne));
    store.forget(clock.nowMs() - REMEMBERED_MS);
    const { count, sinceMs } = store.waiting();
    if (sinceMs !== null && clock.nowMs() - sinceMs > EMERGENCY_REPORT_ALARM_MS) {
      logger.error({ alarm, count, since: new Date(sinceMs).toISOString() }, 'alarm');
    }
  }

  async function sendOne(row: OutboxRow): Promise<void> {
    const plain = decipher(key, Buffer.from(row.hash), row.sealed);
    if (plain === null) {
      logger.error({ alarm: 'RECORD_UNREADABLE', emergency: row.emergency }, `what waits is damaged: ${use}`);
    } else if (await taken(JSON.parse(plain.toString()) as T, row)) {
      return store.sent(row.hash, clock.nowMs());
    }
    store.postpone(row.hash, clock.nowMs() + Math.min(FIRST_PAUSE_MS * 2 ** row.tries, LONGEST_PAUSE_MS));
  }

  /** Whatever fails comes again: nothing that was noted is lost, and nothing keeps the others from being sent. */
  async function taken(content: T, row: OutboxRow): Promise<boolean> {
    try {
      return await deliver(content, row);
    } catch (error) {
      if (!isAccordError(error)) logger.error({ err: error }, `not delivered: ${use}`);
      return false;
    }
  }

  function send(): Promise<void> {
    if (isClosed) return Promise.resolve();
    running ??= sendDue()
      .catch((error: unknown) => logger.error({ err: error }, `could not be sent: ${use}`))
      .finally(() => {
        running = undefined;
      });
    return running;
  }

  return {
    note(hash, emergency, content) {
      const notedAtMs = clock.nowMs();
      const sealed = encipher(key, Buffer.from(hash), Buffer.from(JSON.stringify(content)));
      const row = { hash, emergency, notedAtMs, nextAtMs: notedAtMs, tries: 0, sealed };
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
