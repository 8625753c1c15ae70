// One outgoing connection of the framed link: which messages are under way on it, how much more the peer takes, and what
// comes back. The peer controls the answers, their order and their number; it was pinned when the connection was made, and
// is looked up again for every frame.
import type { FastifyBaseLogger } from 'fastify';
import type { Ticket } from '#certs/ticket.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { ClientTls } from '#core/http/connect.ts';
import { type FramedConnection, openFrames } from '#core/http/frames/connection.ts';
import type { DialledFrames } from '#core/http/frames/dial.ts';
import type { FrameName } from '#core/http/frames/wire.ts';
import { AccordError, PROBLEMS } from '#schemas/problems.ts';
import type { HeldAnswer } from '#security-server/certificate-status/answers.ts';
import { type StatusNews, tellAnswers } from '#security-server/certificate-status/wire.ts';
import { openBatch, readSealedBatch, type SealedBatch } from '#security-server/envelope/batch.ts';
import type { Channels } from '#security-server/envelope/channels.ts';
import type { Metrics } from '#security-server/metrics.ts';
import { isLarge } from './cut-batches.ts';
import type { Underway } from './framed-link.ts';
import type { Delivery } from './link.ts';
import type { PeerNews } from './news.ts';
import { decodeRefused, deliveryOf } from './refused-frame.ts';

interface LineParts {
  peer: ServerEntry;
  tls: ClientTls;
  channels: Channels;
  logger: FastifyBaseLogger;
  news: PeerNews | undefined;
  status: StatusNews | undefined;
  metrics: () => Pick<Metrics, 'unverified' | 'frame'>;
}

interface LineOwner {
  mayWrite(): void;
  isIdle(): boolean;
  /** The peer takes nothing new on this connection. */
  goesAway(): void;
  closed(): void;
}

export interface Credit {
  messages: number;
  bytes: number;
  /** Of these, for large messages. */
  largeBytes: number;
}

const NO_WORD_CODES = /^[A-Z][A-Z0-9_]{1,63}$/;

export class FramedLine {
  readonly connection: FramedConnection;
  readonly #dialled: DialledFrames;
  readonly #parts: LineParts;
  /** Where it was dialled. */
  readonly #address: string;
  readonly #owner: LineOwner;
  readonly #underway = new Map<string, Underway>();
  #bytes = 0;
  #largeBytes = 0;
  #credit: { messages: number; bytes: number } | undefined;
  #retiring = false;
  #hint: string | undefined;
  #told: readonly HeldAnswer[] = [];
  /** Why the peer ends the connection, as it says. */
  #farewell = '';
  readonly #greeting = Promise.withResolvers<void>();

  constructor(dialled: DialledFrames, parts: LineParts, owner: LineOwner) {
    this.#dialled = dialled;
    this.#parts = parts;
    this.#address = parts.peer.address;
    this.#owner = owner;
    this.#greeting.promise.catch(() => {});
    this.connection = openFrames(dialled.socket, {
      frame: (name, payload) => this.#frame(name, payload),
      drained: () => owner.mayWrite(),
      closed: (reason, error) => this.#closed(reason, error),
      isIdle: () => this.#underway.size === 0 && owner.isIdle(),
    });
  }

  /** Resolves when the peer said how much it takes. @throws PEER_UNREACHABLE */
  async greeted(withinMs: number): Promise<void> {
    const timer = setTimeout(() => this.destroy('no credit in time'), withinMs);
    try {
      await this.#greeting.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whether this connection still is what would be made for the peer. A pin that is lost ends it. */
  isFor(peer: ServerEntry, tls: ClientTls): boolean {
    if (!this.#dialled.isPinned()) this.destroy('PEER_UNKNOWN');
    const isSame = tls === this.#parts.tls && peer.address === this.#address;
    return this.connection.isOpen && !this.#retiring && isSame;
  }

  /** What may still be sent. */
  credit(): Credit {
    const { messages, bytes } = this.#credit ?? { messages: 0, bytes: 0 };
    return {
      messages: Math.max(0, messages - this.#underway.size),
      bytes: bytes - this.#bytes,
      largeBytes: Math.floor(bytes / 2) - this.#largeBytes,
    };
  }

  holds(id: string): boolean {
    return this.#underway.has(id);
  }

  /** It was handed to the socket in that batch. */
  hold(one: Underway, batchId: string): void {
    one.batchId = batchId;
    this.#underway.set(one.id, one);
    this.#count(one, 1);
  }

  /** This server's configuration and the status of its certificates, when the peer was told of another. */
  tellNews(): void {
    this.#told = tellAnswers(this.connection, this.#parts.status, this.#told);
    const hint = this.#parts.news?.mine();
    if (hint === undefined || hint === this.#hint) return;
    this.#hint = hint;
    this.connection.send('hint', Buffer.from(hint));
  }

  retire(): void {
    this.#retiring = true;
    if (this.#underway.size === 0) this.connection.end();
  }

  destroy(reason: string): void {
    this.connection.destroy(reason);
  }

  #count({ bytes }: Underway, sign: 1 | -1): void {
    this.#bytes += sign * bytes;
    if (isLarge(bytes)) this.#largeBytes += sign * bytes;
  }

  #frame(name: FrameName, payload: Buffer): Promise<void> | undefined {
    if (!this.#dialled.isPinned()) throw new AccordError('PEER_UNKNOWN', this.#parts.peer.id);
    if (name === 'messages') return this.#answers(payload);
    if (name === 'refused') this.#refused(payload);
    else if (name === 'hint') this.#parts.news?.heard(this.#parts.peer, payload.toString('latin1'));
    else if (name === 'status') this.#parts.status?.heard(this.#parts.peer, Buffer.from(payload));
    else if (name === 'credit') this.#credited(payload);
    else if (name === 'goaway') {
      this.#farewell = payload.toString('latin1');
      this.#owner.goesAway();
    }
    return undefined;
  }

  #credited(payload: Buffer): void {
    if (payload.length !== 8) throw new AccordError('MESSAGE_MALFORMED', 'credit');
    this.#credit = { messages: payload.readUInt32BE(0), bytes: payload.readUInt32BE(4) };
    this.#greeting.resolve();
    this.#owner.mayWrite();
  }

  #answers(payload: Buffer): Promise<void> | undefined {
    const batch = readSealedBatch(payload);
    if (batch.kind !== 'answer') throw new AccordError('MESSAGE_MALFORMED', 'expected answers');
    const { channels, peer } = this.#parts;
    const ticket = channels.opened(batch.ticket, peer.id);
    if (ticket !== undefined) return this.#opened(batch, ticket);
    return channels.open(batch.ticket, peer.id).then((made) => this.#opened(batch, made));
  }

  /** A batch that does not open says of none of the messages under way what became of it: it ends the connection. */
  #opened(batch: SealedBatch, ticket: Ticket): undefined {
    const messages = openBatch(batch, ticket);
    this.#parts.metrics().frame('received', messages.length);
    for (const opened of messages) this.#take(opened.id).settle({ state: 'answered', opened });
    this.#freed();
  }

  #refused(payload: Buffer): void {
    const refused = decodeRefused(payload);
    const delivery = deliveryOf(refused);
    const ids =
      refused.of === 'message'
        ? [refused.id]
        : [...this.#underway.values()].filter(({ batchId }) => batchId === refused.id).map(({ id }) => id);
    // Nothing was said to whom this could be the answer.
    if (ids.length === 0) throw new AccordError('MESSAGE_MALFORMED', 'a refusal of nothing');
    for (const id of ids) this.#take(id).settle(delivery);
    this.#freed();
  }

  /** @throws MESSAGE_MALFORMED for an id that is not under way */
  #take(id: string): Underway {
    const one = this.#underway.get(id);
    if (one === undefined) throw new AccordError('MESSAGE_MALFORMED', 'an answer to nothing');
    this.#underway.delete(id);
    this.#count(one, -1);
    return one;
  }

  #freed(): void {
    if (this.#retiring && this.#underway.size === 0) this.connection.end();
    else this.#owner.mayWrite();
  }

  #closed(reason: string, error: unknown): void {
    const { peer, logger, metrics } = this.#parts;
    const detail = NO_WORD_CODES.test(reason) ? reason : 'PEER_BROKE_OFF';
    if (error !== undefined) logger.error({ err: error, peer: peer.id }, 'the framed link failed');
    else if (detail === reason) metrics().unverified(reason);
    logger.info(
      { peer: peer.id, reason, farewell: this.#farewell, underway: this.#underway.size },
      'framed link closed',
    );
    this.#greeting.reject(new AccordError('PEER_UNREACHABLE', this.#farewell || reason));
    // The word that the other form says with a status.
    const isRefused = this.#farewell === 'PEER_UNKNOWN';
    const unknown: Delivery = isRefused
      ? { state: 'unknown', code: 'PROVIDER_REFUSED_MESSAGE', detail: `${PROBLEMS.PEER_UNKNOWN.status} PEER_UNKNOWN` }
      : { state: 'unknown', code: 'OUTCOME_UNKNOWN', detail };
    for (const one of this.#underway.values()) one.settle(unknown);
    this.#underway.clear();
    this.#owner.closed();
  }
}
