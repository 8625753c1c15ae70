// The sending side of the framed link (docs/protocol.md): one connection to each peer, and of everything that one turn
// of the event loop has to say to it, one write. What waits for credit, or for a socket that is full, has not left:
// it is `not-sent` when its time is over. What was handed to the socket and got no word is `unknown`.
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import type { Ticket } from '#certs/ticket.ts';
import type { Clock } from '#core/clock.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { ClientTls } from '#core/http/connect.ts';
import { dialFrames } from '#core/http/frames/dial.ts';
import { newMessageId } from '#core/message-id.ts';
import { TurnEnd } from '#core/turn-end.ts';
import { FRAMES_ASKED_AGAIN_MS, FRAMES_WRITE_BYTES, MAX_FRAMES_WAITING } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { StatusNews } from '#security-server/certificate-status/wire.ts';
import { type BatchedMessage, batchedBytes, sealBatch } from '#security-server/envelope/batch.ts';
import type { Channels } from '#security-server/envelope/channels.ts';
import { type SignedMessage, toBatched } from '#security-server/envelope/outgoing.ts';
import type { Metrics } from '#security-server/metrics.ts';
import { cutBatches, isLarge } from './cut-batches.ts';
import { FramedLine } from './framed-line.ts';
import type { Delivery } from './link.ts';
import type { PeerNews } from './news.ts';

export interface FramedLinkParts {
  channels: Channels;
  clock: Clock;
  logger: FastifyBaseLogger;
  /** One object per peer and identity: a connection that was made with another is not used again. */
  tlsFor(peer: ServerEntry): ClientTls;
  news?: PeerNews | undefined;
  status?: StatusNews | undefined;
  metrics: () => Pick<Metrics, 'unverified' | 'frame'>;
}

export interface FramedLink {
  /**
   * @param message whose body is not spooled
   * @returns `http1`: nothing was sent, the peer's port speaks no frames
   */
  send(peer: ServerEntry, message: SignedMessage, timeoutMs: number): Promise<Delivery | 'http1'>;
  /** Connections now. */
  readonly connections: number;
  close(): void;
}

/** One message on its way. */
export interface Underway {
  id: string;
  message: BatchedMessage;
  bytes: number;
  /** Of the frame it left in. */
  batchId: string | null;
  /** Tells the sender, once. */
  settle(delivery: Delivery | 'http1'): void;
  /** Whether the sender was told; the peer may still work on it. */
  isSettled: boolean;
}

const CONNECT_TIMEOUT_MS = 5_000;
const PAUSE_MS = 50;
/** Timers of one length are cheap, so lengths are few. */
const TIMER_STEP_MS = 16;
const unreachable = (detail: string): Delivery => {
  return { state: 'not-sent', code: 'PROVIDER_UNREACHABLE', detail, retryAfterMs: null };
};

export function openFramedLink(parts: FramedLinkParts): FramedLink {
  const lanes = new Map<string, Lane>();
  return {
    send(peer, signed, timeoutMs) {
      let lane = lanes.get(peer.id);
      if (lane === undefined) {
        lane = new Lane(parts);
        lanes.set(peer.id, lane);
      }
      return lane.send(peer, signed, timeoutMs);
    },
    get connections() {
      return [...lanes.values()].reduce((sum, { connections }) => sum + connections, 0);
    },
    close() {
      for (const lane of lanes.values()) lane.close();
    },
  };
}

/** What goes to one peer. */
class Lane {
  readonly #parts: FramedLinkParts;
  #peer: ServerEntry | undefined;
  #waiting: Underway[] = [];
  #line: FramedLine | undefined;
  readonly #retired = new Set<FramedLine>();
  readonly #turn = new TurnEnd(() => this.#flush());
  #connecting = false;
  #closed = false;
  #speaksHttpUntilMs = Number.NEGATIVE_INFINITY;
  #dialledMs = Number.NEGATIVE_INFINITY;

  constructor(parts: FramedLinkParts) {
    this.#parts = parts;
  }

  get connections(): number {
    return this.#retired.size + (this.#line === undefined ? 0 : 1);
  }

  send(peer: ServerEntry, signed: SignedMessage, timeoutMs: number): Promise<Delivery | 'http1'> {
    this.#peer = peer;
    if (this.#closed) return Promise.resolve(unreachable('the link is closed'));
    if (this.#parts.clock.monotonicMs() < this.#speaksHttpUntilMs) return Promise.resolve('http1');
    if (this.#waiting.length >= MAX_FRAMES_WAITING) return Promise.resolve(unreachable('too many messages wait'));
    return new Promise((resolve) => {
      const one = underwayOf(signed, resolve, timeoutMs, () => {
        this.#waiting = this.#waiting.filter((other) => other !== one);
      });
      this.#waiting.push(one);
      this.#schedule();
    });
  }

  close(): void {
    this.#closed = true;
    this.#settleWaiting(unreachable('the link is closed'));
    this.#line?.retire();
    for (const line of [...this.#retired]) line.destroy('closed here');
    this.#line?.destroy('closed here');
  }

  #schedule(): void {
    if (!this.#connecting) this.#turn.add();
  }

  #settleWaiting(delivery: Delivery | 'http1'): void {
    for (const one of this.#waiting.splice(0)) one.settle(delivery);
  }

  /** All that waits and may go, in one write. */
  #flush(): void {
    const peer = this.#peer;
    if (this.#connecting || peer === undefined || this.#waiting.length === 0) return;
    const line = this.#line;
    const ticket = this.#parts.channels.ready(peer);
    if (line === undefined) this.#connect(peer);
    else if (!line.isFor(peer, this.#parts.tlsFor(peer))) this.#retire(line);
    else if (!line.connection.isWritable)
      return; // it says when it takes more
    else if (ticket !== undefined) this.#write(line, ticket);
    else this.#busyWith(this.#parts.channels.to(peer).then(() => {}));
  }

  /** Nothing is flushed meanwhile; afterwards it is tried again, or what waits was not sent. */
  #busyWith(going: Promise<void>): void {
    this.#connecting = true;
    going
      .catch((error: unknown) => {
        if (!isAccordError(error)) this.#parts.logger.error({ err: error }, 'the framed link failed');
        const { code, detail } = isAccordError(error) ? error : { code: 'INTERNAL', detail: '' };
        if (code !== 'PEER_KEY_MISSING') return this.#settleWaiting(unreachable(detail));
        return this.#settleWaiting({ state: 'not-sent', code, detail, retryAfterMs: null });
      })
      .finally(() => {
        this.#connecting = false;
        if (this.#waiting.length > 0) this.#schedule();
      });
  }

  #write(line: FramedLine, ticket: Ticket): void {
    const { clock } = this.#parts;
    line.tellNews();
    let unflushed = 0;
    for (const batch of cutBatches(this.#within(line))) {
      if (!line.connection.isWritable) break; // the rest still waits
      const id = newMessageId(clock.nowMs());
      const payload = sealBatch(
        batch.map(({ message }) => message),
        'request',
        id,
        ticket,
      );
      line.connection.send('messages', payload);
      this.#parts.metrics().frame('sent', batch.length);
      for (const one of batch) line.hold(one, id);
      unflushed += payload.length;
      if (unflushed < FRAMES_WRITE_BYTES) continue;
      line.connection.flush();
      unflushed = 0;
    }
    line.connection.flush();
    this.#waiting = this.#waiting.filter(({ batchId }) => batchId === null);
  }

  /** Of what waits, what the credit allows: the large ones at most half of it, so that small ones always pass. */
  #within(line: FramedLine): Underway[] {
    let { messages, bytes, largeBytes } = line.credit();
    const chosen: Underway[] = [];
    const ids = new Set<string>();
    for (const one of this.#waiting) {
      if (messages === 0) break;
      const large = isLarge(one.bytes);
      if (one.bytes > bytes || (large && one.bytes > largeBytes)) continue;
      // Of two with one id the second waits for the answer to the first.
      if (line.holds(one.id) || ids.has(one.id)) continue;
      ids.add(one.id);
      messages -= 1;
      bytes -= one.bytes;
      if (large) largeBytes -= one.bytes;
      chosen.push(one);
    }
    return chosen;
  }

  #connect(peer: ServerEntry): void {
    const { tlsFor, clock, logger, channels, news, status, metrics } = this.#parts;
    const tls = tlsFor(peer);
    const open = async () => {
      // A peer that takes connections only to end them is not dialled without pause.
      const sinceMs = clock.monotonicMs() - this.#dialledMs;
      if (sinceMs < PAUSE_MS) await delay(PAUSE_MS - sinceMs);
      this.#dialledMs = clock.monotonicMs();
      const dialled = await dialFrames(peer.address, tls, CONNECT_TIMEOUT_MS);
      if (dialled === null) {
        this.#speaksHttpUntilMs = clock.monotonicMs() + FRAMES_ASKED_AGAIN_MS;
        return this.#settleWaiting('http1');
      }
      const line: FramedLine = new FramedLine(
        dialled,
        { peer, tls, channels, news, status, metrics, logger },
        {
          mayWrite: () => this.#schedule(),
          isIdle: () => this.#waiting.length === 0,
          goesAway: () => this.#retire(line),
          closed: () => {
            this.#retired.delete(line);
            if (this.#line === line) this.#line = undefined;
            if (this.#waiting.length > 0) this.#schedule();
          },
        },
      );
      // It says how much it takes, or why nothing, before anything is sent.
      await line.greeted(CONNECT_TIMEOUT_MS);
      if (this.#closed) return line.destroy('closed here');
      this.#line = line;
      return undefined;
    };
    this.#busyWith(open());
  }

  /** Takes nothing new, and ends with the last answer. */
  #retire(line: FramedLine): void {
    if (this.#line === line) this.#line = undefined;
    if (line.connection.isOpen) {
      this.#retired.add(line);
      line.retire();
    }
    if (this.#waiting.length > 0) this.#schedule();
  }
}

function underwayOf(
  signed: SignedMessage,
  resolve: (delivery: Delivery | 'http1') => void,
  timeoutMs: number,
  forget: () => void,
): Underway {
  const { id } = signed.statement;
  const message = toBatched(signed, id);
  const timer = setTimeout(
    () => {
      if (one.batchId === null) forget();
      one.settle(
        one.batchId === null
          ? unreachable('time was up before it was sent')
          : { state: 'unknown', code: 'OUTCOME_UNKNOWN', detail: 'PEER_TIMEOUT' },
      );
    },
    Math.ceil(timeoutMs / TIMER_STEP_MS) * TIMER_STEP_MS,
  );
  const one: Underway = {
    ...{ id, message, batchId: null, isSettled: false },
    bytes: batchedBytes(message),
    settle(delivery) {
      if (one.isSettled) return;
      one.isSettled = true;
      clearTimeout(timer);
      resolve(delivery);
    },
  };
  return one;
}
