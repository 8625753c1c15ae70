// An answer's body that is read while it comes (see client.ts): what the reader does not take yet stays in the peer's
// hands, and a peer that falls silent, or nearly, ends it. The peer controls bytes, number and speed.
import { Readable } from 'node:stream';
import { MIN_MOVED_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

/** What the client can do to the connection below. */
export interface StreamSource {
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
}

/** Of at most 64 KiB each. */
const WAITING_PIECES = 2;

/** Errors: PEER_TIMEOUT (less than MIN_MOVED_BYTES came in `idleMs`), PEER_BROKE_OFF, RESPONSE_TOO_LARGE. */
export class ResponseStream extends Readable {
  readonly #source: StreamSource;
  readonly #maxBytes: number;
  readonly #idleMs: number;
  #bytes = 0;
  #watchedFrom = 0;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: StreamSource, maxBytes: number, idleMs: number) {
    // Pieces stay what they are: where bytes are counted, what waited is put together into ever new ones.
    super({ objectMode: true, highWaterMark: WAITING_PIECES });
    this.#source = source;
    this.#maxBytes = maxBytes;
    this.#idleMs = idleMs;
    // Who reads is told by the read that fails; a connection may also break while nobody reads yet, or any more.
    this.on('error', () => {});
    this.#watch();
  }

  /** What the connection brought. The reader gets a copy of its own: bytes of the connection may have others' beside them. */
  arrived(chunk: Buffer): void {
    // After a pause the parser may say that nothing came.
    if (this.destroyed || chunk.length === 0) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) {
      this.destroy(new AccordError('RESPONSE_TOO_LARGE', `more than ${this.#maxBytes} bytes`));
      return;
    }
    const piece = Buffer.allocUnsafeSlow(chunk.length);
    piece.set(chunk);
    const wantsMore = this.push(piece);
    if (this.#bytes - this.#watchedFrom >= MIN_MOVED_BYTES) this.#watch();
    if (wantsMore) return;
    // While nobody reads, silence is the reader's own.
    this.#stopWatching();
    this.#source.pause();
  }

  ended(): void {
    this.#stopWatching();
    this.#isOver = true;
    this.push(null);
  }

  override _read(): void {
    if (this.#isOver || this.destroyed) return;
    if (this.#timer === undefined) this.#watch();
    this.#source.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#stopWatching();
    // A connection whose answer is over may already carry another one.
    if (!this.#isOver) this.#source.abort(error ?? new Error('the reader gave up'));
    callback(error);
  }

  #stopWatching(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #watch(): void {
    clearTimeout(this.#timer);
    this.#watchedFrom = this.#bytes;
    this.#timer = setTimeout(
      () => this.destroy(new AccordError('PEER_TIMEOUT', 'the answer came no further')),
      this.#idleMs,
    );
    this.#timer.unref();
  }
}
