// One connection of the framed link, at either end: frames go out in one write per turn of the event loop, come in one
// after the other, and nothing is read while what was read is still worked on. Whoever is silent, stands still in the
// middle of a frame, takes nothing, or chatters, is cut off. The peer controls the bytes and their pace.
import type { Duplex } from 'node:stream';
import {
  FRAMES_IDLE_MS,
  FRAMES_PING_MS,
  FRAMES_SILENCE_MS,
  FRAMES_STALL_MS,
  FRAMES_TICK_MS,
  MAX_CONTROL_FRAMES_PER_TICK,
  MAX_FRAMES_HELD_BYTES,
} from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { type FrameName, FrameReader, frameHeader, isControl, type WireFrame } from './wire.ts';

export interface FramesOwner {
  /** One frame; of a promise nothing more is read until it is settled. What it throws ends the connection. */
  frame(name: FrameName, payload: Buffer): Promise<void> | undefined;
  /** What was held back because the connection was full may go on. */
  drained(): void;
  /** Once, when nothing can be sent or will come any more. @param error what only a mistake of this program can be */
  closed(reason: string, error?: unknown): void;
  /** Whether the connection may be closed for want of messages; absent: never. */
  isIdle?(): boolean;
}

export interface FramedConnection {
  /** Goes out at the end of this turn, or with `flush`. Nothing happens once the connection is closed. */
  send(name: FrameName, ...payload: Uint8Array[]): void;
  /** Hands what was sent to the socket now. */
  flush(): void;
  /** Open, and the other end takes what is sent. Only what is sent while this holds and flushed has left. */
  readonly isWritable: boolean;
  readonly isOpen: boolean;
  /** Bytes that the socket holds and the other end has not taken. */
  readonly heldBytes: number;
  /** Closes when what was sent is out. */
  end(): void;
  destroy(reason: string): void;
}

/** How often the connection is looked after; shorter in tests. All other times are counted in such ticks. */
export interface FramesPace {
  tickMs?: number;
}

const ticks = (ms: number) => Math.ceil(ms / FRAMES_TICK_MS);

/** @param socket established; the pin was checked */
export function openFrames(socket: Duplex, owner: FramesOwner, pace: FramesPace = {}): FramedConnection {
  return new Frames(socket, owner, pace.tickMs ?? FRAMES_TICK_MS);
}

class Frames implements FramedConnection {
  readonly #socket: Duplex;
  readonly #owner: FramesOwner;
  readonly #reader = new FrameReader();
  readonly #timer: NodeJS.Timeout;
  #out: Uint8Array[] = [];
  #outBytes = 0;
  #scheduled = false;
  #full = false;
  #closed = false;
  #ending = false;
  /** While frames that were read are worked on. */
  #working = false;
  /** Counted in ticks since … */
  #silent = 0;
  #inside = 0;
  #stalled = 0;
  #unused = 0;
  #control = 0;
  /** Bytes handed to the socket, and those of them that the other end had taken at the last tick. */
  #handed = 0;
  #takenBefore = 0;
  #endedBy: string | undefined;
  #reasonToEnd = 'closed by the other end';
  /** Frames of chunks that came although the socket was paused. */
  readonly #behind: WireFrame[] = [];

  constructor(socket: Duplex, owner: FramesOwner, tickMs: number) {
    this.#socket = socket;
    this.#owner = owner;
    socket.on('data', (chunk: Buffer) => this.#arrived(chunk));
    socket.on('drain', () => this.#drained());
    socket.on('error', (error: Error) => this.#over(error.message));
    socket.on('end', () => this.#over(this.#reasonToEnd));
    socket.on('close', () => this.#over(this.#reasonToEnd));
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#timer.unref();
  }

  get isOpen(): boolean {
    return !this.#closed && !this.#ending && this.#endedBy === undefined && this.#socket.writable;
  }

  get isWritable(): boolean {
    return this.isOpen && !this.#full;
  }

  get heldBytes(): number {
    return this.#socket.writableLength;
  }

  send(name: FrameName, ...payload: Uint8Array[]): void {
    if (this.#closed || this.#ending) return;
    const length = payload.reduce((sum, part) => sum + part.length, 0);
    this.#out.push(frameHeader(name, length), ...payload);
    this.#outBytes += length;
    if (!isControl(name)) this.#unused = 0;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.flush());
  }

  flush(): void {
    this.#scheduled = false;
    if (this.#out.length === 0 || this.#closed) return;
    const bytes = Buffer.concat(this.#out);
    this.#out = [];
    this.#outBytes = 0;
    this.#handed += bytes.length;
    if (!this.#socket.write(bytes)) this.#full = true;
  }

  end(): void {
    if (this.#closed || this.#ending) return;
    this.flush();
    this.#ending = true;
    this.#reasonToEnd = 'closed here';
    this.#socket.end();
  }

  destroy(reason: string): void {
    this.#close(reason);
  }

  /** The socket has ended; what it brought before is still worked on. */
  #over(reason: string): void {
    if (this.#working) this.#endedBy ??= reason;
    else this.#close(reason);
  }

  #close(reason: string, error?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#out = [];
    clearInterval(this.#timer);
    this.#socket.destroy();
    this.#owner.closed(reason, error);
  }

  #drained(): void {
    this.#full = false;
    if (this.isOpen) this.#owner.drained();
  }

  #arrived(chunk: Buffer): void {
    this.#silent = 0;
    try {
      const frames = this.#reader.take(chunk);
      if (frames.length > 0) this.#inside = 0;
      // Paused sockets may still hand over one chunk: it is worked on after those before it.
      if (this.#working) this.#behind.push(...frames);
      else this.#work(frames);
    } catch (error) {
      this.#failed(error);
    }
  }

  #work(frames: readonly WireFrame[]): void {
    for (const [at, { name, payload }] of frames.entries()) {
      if (this.#closed) return;
      const going = this.#one(name, payload);
      if (going === undefined) continue;
      this.#pauseFor(going, frames.slice(at + 1));
      return;
    }
  }

  #one(name: FrameName, payload: Buffer): Promise<void> | undefined {
    // Whatever it sends may be answered, if only by a refusal: nobody may ask for more while taking none of it.
    if (this.heldBytes + this.#outBytes > MAX_FRAMES_HELD_BYTES) {
      this.#close('takes nothing');
      return undefined;
    }
    if (isControl(name)) {
      this.#control += 1;
      if (this.#control > MAX_CONTROL_FRAMES_PER_TICK) throw new AccordError('MESSAGE_MALFORMED', 'too many frames');
    } else this.#unused = 0;
    // A pong takes the place of none before it: at most so many are under way as control frames may come.
    if (name === 'ping') this.send('pong', payload);
    return name === 'ping' || name === 'pong' ? undefined : this.#owner.frame(name, payload);
  }

  #pauseFor(going: Promise<void>, rest: readonly WireFrame[]): void {
    this.#working = true;
    this.#socket.pause();
    going.then(
      () => {
        this.#working = false;
        if (this.#closed) return;
        try {
          this.#work([...rest, ...this.#behind.splice(0)]);
        } catch (error) {
          this.#failed(error);
        }
        if (this.#working || this.#closed) return;
        if (this.#endedBy === undefined) this.#socket.resume();
        else this.#close(this.#endedBy);
      },
      (error: unknown) => this.#failed(error),
    );
  }

  #failed(error: unknown): void {
    if (isAccordError(error)) this.#close(error.code);
    else this.#close('INTERNAL', error);
  }

  #tick(): void {
    this.#control = 0;
    if (this.#working) return;
    this.#silent += 1;
    this.#inside = this.#reader.isInside ? this.#inside + 1 : 0;
    this.#unused += 1;
    // Counted by what was taken: what is held changes also when more is added.
    const taken = this.#handed - this.heldBytes;
    this.#stalled = this.#full && taken === this.#takenBefore ? this.#stalled + 1 : 0;
    this.#takenBefore = taken;
    if (this.#silent > ticks(FRAMES_SILENCE_MS)) this.destroy('silent');
    else if (this.#inside > ticks(FRAMES_SILENCE_MS)) this.destroy('stands still inside a frame');
    else if (this.#stalled > ticks(FRAMES_STALL_MS)) this.destroy('takes nothing');
    else if (this.#unused > ticks(FRAMES_IDLE_MS) && this.#owner.isIdle?.()) this.end();
    else if (this.#silent >= ticks(FRAMES_PING_MS)) this.send('ping');
  }
}
