// An answer's body that is read while it comes (see client.ts): what the reader does not take yet stays in the peer's
// hands, and a peer that falls silent ends it. The peer controls bytes, number and speed.
import { Readable } from 'node:stream';
import { AccordError } from '#schemas/problems.ts';

/** What the client can do to the connection below. */
export interface StreamSource {
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
}

/** Errors: PEER_TIMEOUT (nothing came for `idleMs`), PEER_BROKE_OFF, RESPONSE_TOO_LARGE. */
export class ResponseStream extends Readable {
  readonly #source: StreamSource;
  readonly #maxBytes: number;
  readonly #idleMs: number;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: StreamSource, maxBytes: number, idleMs: number) {
    super({ highWaterMark: 256 * 1024 });
    this.#source = source;
    this.#maxBytes = maxBytes;
    this.#idleMs = idleMs;
    this.#watch();
  }

  /** What the connection brought. */
  arrived(chunk: Buffer): void {
    if (this.destroyed) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) {
      this.destroy(new AccordError('RESPONSE_TOO_LARGE', `more than ${this.#maxBytes} bytes`));
      return;
    }
    const wantsMore = this.push(chunk);
    this.#watch();
    if (wantsMore) return;
    // While nobody reads, silence is the reader's own.
    clearTimeout(this.#timer);
    this.#source.pause();
  }

  ended(): void {
    clearTimeout(this.#timer);
    this.push(null);
  }

  override _read(): void {
    if (this.readableEnded || this.destroyed) return;
    this.#watch();
    this.#source.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    if (!this.readableEnded) this.#source.abort(error ?? new Error('the reader gave up'));
    callback(error);
  }

  #watch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.destroy(new AccordError('PEER_TIMEOUT', 'the answer came no further')),
      this.#idleMs,
    );
    this.#timer.unref();
  }
}
