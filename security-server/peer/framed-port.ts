// The receiving side of the framed link (docs/protocol.md): requests come in sealed batches, each is admitted, answered
// and logged as on the HTTP/1.1 form, and all answers of one turn of the event loop go back in one write. The peer is
// looked up for every frame; what it may have under way is announced, and going beyond ends the connection. It controls
// every byte, when it sends and how fast it reads.
import type { TLSSocket } from 'node:tls';
import type { Ticket } from '#certs/ticket.ts';
import { certificateHash } from '#certs/x509-read.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import { type FramedConnection, openFrames } from '#core/http/frames/connection.ts';
import type { FrameName } from '#core/http/frames/wire.ts';
import { newMessageId } from '#core/message-id.ts';
import { TurnEnd } from '#core/turn-end.ts';
import { FRAMES_CREDIT_BYTES, FRAMES_CREDIT_MESSAGES, FRAMES_WRITE_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import type { HeldAnswer } from '#security-server/certificate-status/answers.ts';
import { tellAnswers } from '#security-server/certificate-status/wire.ts';
import {
  type BatchedMessage,
  batchedBytes,
  openBatch,
  readSealedBatch,
  type SealedBatch,
  sealBatch,
} from '#security-server/envelope/batch.ts';
import { openBatched } from '#security-server/envelope/incoming.ts';
import { type SignedMessage, toBatched } from '#security-server/envelope/outgoing.ts';
import { answerOpened } from '#security-server/provider/exchange.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { cutBatches } from './cut-batches.ts';
import { encodeRefused, type RefusedFrame } from './refused-frame.ts';

export interface FramedPort {
  take(socket: TLSSocket): void;
  /** Takes no new messages; those under way are answered. */
  goAway(): void;
  close(): void;
  readonly connections: number;
}

export function openFramedPort(server: ServerParts): FramedPort {
  const visitors = new Set<Visitor>();
  let stopping = false;
  return {
    take(socket) {
      const visitor: Visitor = new Visitor(server, socket, () => visitors.delete(visitor));
      visitors.add(visitor);
      visitor.greet(stopping);
    },
    goAway() {
      stopping = true;
      for (const visitor of visitors) visitor.goAway('SERVER_STOPPING');
    },
    close() {
      stopping = true;
      for (const visitor of visitors) visitor.close();
    },
    get connections() {
      return visitors.size;
    },
  };
}

const CLOSING_MS = 1_000;

/** An answer that waits to be sent, and the place that its request holds until it was. */
interface Answer {
  message: BatchedMessage;
  bytes: number;
  release(): void;
}

/** One connection of one peer. */
class Visitor {
  readonly #server: ServerParts;
  readonly #hash: string;
  readonly #connection: FramedConnection;
  #answers: Answer[] = [];
  readonly #turn = new TurnEnd(() => this.#flush());
  #messages = 0;
  #bytes = 0;
  #hint: string | undefined;
  #told: readonly HeldAnswer[] = [];

  constructor(server: ServerParts, socket: TLSSocket, closed: () => void) {
    this.#server = server;
    const der = socket.getPeerX509Certificate()?.raw;
    this.#hash = der === undefined ? '' : certificateHash(der);
    this.#connection = openFrames(socket, {
      frame: (name, payload) => this.#frame(name, payload),
      drained: () => this.#schedule(),
      closed: (reason, error) => {
        this.#closed(reason, error);
        closed();
      },
    });
  }

  /** Says how much may be under way, or why nothing is taken. */
  greet(stopping: boolean): void {
    const isKnown = this.#peer() !== undefined;
    if (stopping || !isKnown) {
      this.goAway(isKnown ? 'SERVER_STOPPING' : 'PEER_UNKNOWN');
      this.close();
      return;
    }
    const credit = Buffer.alloc(8);
    credit.writeUInt32BE(FRAMES_CREDIT_MESSAGES, 0);
    credit.writeUInt32BE(FRAMES_CREDIT_BYTES, 4);
    this.#connection.send('credit', credit);
    this.#tellNews();
  }

  goAway(code: ProblemCode): void {
    this.#connection.send('goaway', Buffer.from(code));
  }

  /** A peer that does not close its end in turn is not waited for. */
  close(): void {
    this.#connection.end();
    setTimeout(() => this.#connection.destroy('closed here'), CLOSING_MS).unref();
  }

  #peer(): ServerEntry | undefined {
    const { peerByCertificate, configuration, clock } = this.#server;
    return peerByCertificate(this.#hash, 'client', configuration.current(), clock.nowMs());
  }

  #frame(name: FrameName, payload: Buffer): Promise<void> | undefined {
    const peer = this.#peer();
    if (peer === undefined) {
      this.goAway('PEER_UNKNOWN');
      this.close();
      return undefined;
    }
    if (name === 'messages') return this.#requests(peer, payload);
    if (name === 'status') {
      this.#server.certificateStatus.heard(peer, Buffer.from(payload));
      return undefined;
    }
    if (name !== 'hint') throw new AccordError('MESSAGE_MALFORMED', `a frame ${name} from a sender of requests`);
    this.#server.news.heard(peer, payload.toString('latin1'));
    return undefined;
  }

  #requests(peer: ServerEntry, payload: Buffer): Promise<void> | undefined {
    const batch = readSealedBatch(payload);
    if (batch.kind !== 'request') throw new AccordError('MESSAGE_MALFORMED', 'expected requests');
    const { channels } = this.#server;
    const ticket = channels.opened(batch.ticket, peer.id);
    if (ticket !== undefined) return this.#open(peer, batch, ticket);
    return channels.open(batch.ticket, peer.id).then(
      (made) => this.#open(peer, batch, made),
      (error: unknown) => this.#refuse('batch', batch.id, error),
    );
  }

  #open(peer: ServerEntry, batch: SealedBatch, ticket: Ticket): undefined {
    let messages: BatchedMessage[];
    try {
      messages = openBatch(batch, ticket);
    } catch (error) {
      this.#refuse('batch', batch.id, error);
      return undefined;
    }
    this.#server.metrics.frame('received', messages.length);
    const bytes = messages.map(batchedBytes);
    this.#messages += messages.length;
    this.#bytes += bytes.reduce((sum, one) => sum + one, 0);
    if (this.#messages > FRAMES_CREDIT_MESSAGES || this.#bytes > FRAMES_CREDIT_BYTES) {
      throw new AccordError('MESSAGE_MALFORMED', 'more under way than the credit allows');
    }
    const arrivedMs = this.#server.clock.monotonicMs();
    for (const [at, message] of messages.entries()) this.#answer(peer, message, bytes[at] ?? 0, arrivedMs);
    return undefined;
  }

  /** Admits one request and has it answered; whatever becomes of it, it is answered or refused once. */
  #answer(peer: ServerEntry, message: BatchedMessage, bytes: number, arrivedMs: number): void {
    const server = this.#server;
    let leave = () => {};
    const release = () => {
      this.#messages -= 1;
      this.#bytes -= bytes;
      leave();
    };
    const refuse = (error: unknown) => {
      release();
      this.#refuse('message', message.id, error, peer);
    };
    try {
      leave = server.admission.enter('sender', peer.id);
      if (!server.log.state().ok) throw new AccordError('LOG_UNAVAILABLE');
      const opened = openBatched(message, 'request', peer, server.self);
      answerOpened(server, opened, arrivedMs).then((signed) => this.#say(message.id, signed, release), refuse);
    } catch (error) {
      refuse(error);
    }
  }

  #say(id: string, signed: SignedMessage, release: () => void): void {
    const message = toBatched(signed, id);
    this.#answers.push({ message, bytes: batchedBytes(message), release });
    this.#schedule();
  }

  #schedule(): void {
    if (this.#answers.length > 0) this.#turn.add();
  }

  /** All answers that are ready, in one write; while the peer takes nothing they wait, with their places. */
  #flush(): void {
    const peer = this.#peer();
    const ticket = peer && this.#server.channels.ready(peer);
    if (!this.#connection.isOpen) this.#letGo();
    else if (peer === undefined) this.close();
    else if (ticket !== undefined) this.#write(ticket);
    else this.#fetchTicket(peer);
  }

  /** It was there when the requests were admitted, and ended since. */
  #fetchTicket(peer: ServerEntry): void {
    const failed = (error: unknown) => {
      this.#server.logger.warn({ err: error, peer: peer.id }, 'answers cannot be sealed');
      this.#connection.destroy('PEER_KEY_MISSING');
    };
    this.#server.channels.to(peer).then(() => this.#schedule(), failed);
  }

  #write(ticket: Ticket): void {
    this.#tellNews();
    const batches = cutBatches(this.#answers.splice(0));
    let unflushed = 0;
    for (const batch of batches) {
      if (!this.#connection.isWritable) {
        this.#answers.push(...batch);
        continue;
      }
      const id = newMessageId(this.#server.clock.nowMs());
      const messages = batch.map(({ message }) => message);
      const payload = sealBatch(messages, 'answer', id, ticket);
      this.#connection.send('messages', payload);
      this.#server.metrics.frame('sent', batch.length);
      for (const { release } of batch) release();
      unflushed += payload.length;
      if (unflushed < FRAMES_WRITE_BYTES) continue;
      this.#connection.flush();
      unflushed = 0;
    }
    this.#connection.flush();
  }

  #refuse(of: RefusedFrame['of'], id: string, error: unknown, peer?: ServerEntry): void {
    const { metrics, logger } = this.#server;
    const code = isAccordError(error) ? error.code : 'INTERNAL';
    if (isAccordError(error)) {
      metrics.unverified(code);
      // Counted; a line for each would cost more than the refusal.
      if (code !== 'SERVER_BUSY') logger.warn({ peer: peer?.id, code, detail: error.detail }, 'peer message refused');
    } else {
      logger.error({ err: error, peer: peer?.id }, 'request failed');
    }
    this.#connection.send('refused', encodeRefused(of, id, code));
  }

  #tellNews(): void {
    this.#told = tellAnswers(this.#connection, this.#server.certificateStatus, this.#told);
    const hint = this.#server.news.mine();
    if (hint === undefined || hint === this.#hint) return;
    this.#hint = hint;
    this.#connection.send('hint', Buffer.from(hint));
  }

  #closed(reason: string, error: unknown): void {
    const { logger, metrics } = this.#server;
    if (error !== undefined) logger.error({ err: error }, 'the framed link failed');
    else if (/^[A-Z][A-Z0-9_]*$/.test(reason)) metrics.unverified(reason);
    logger.info({ certificate: this.#hash, reason, underway: this.#messages }, 'framed link closed');
    this.#letGo();
  }

  /** Of answers that nobody will read; they are logged, and a settlement brings them. */
  #letGo(): void {
    for (const { release } of this.#answers.splice(0)) release();
  }
}
