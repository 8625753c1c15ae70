// One connection of the load of campaigns `overload` and `soak`: a raw socket, several requests in one write, answers cut
// at their content-length. It costs a fraction of an HTTP client, which matters where the load shares the processors with
// what it measures. The servers under test control the answers.
import { createConnection, type Socket } from 'node:net';

export interface LineAnswer {
  status: number;
  /** When the request was due, and from when on it could be answered: answers of one connection come in order. */
  dueMs: number;
  fromMs: number;
  untilMs: number;
  /** The head with its blank line, and the body. */
  head: Buffer;
  body: Buffer;
}

export interface LineOwner {
  answered(answer: LineAnswer, line: Line): void;
  /** Everything sent was answered. */
  idle(line: Line): void;
  /** It is over, with so many requests unanswered; `what` says why. */
  broken(line: Line, unanswered: number, what: string): void;
}

const END_OF_HEAD = Buffer.from('\r\n\r\n');
const LENGTH = /\r\ncontent-length: *(\d+)/i;

export class Line {
  readonly #socket: Socket;
  readonly #owner: LineOwner;
  #due: number[] = [];
  #kept: Buffer | null = null;
  #previousMs = 0;
  #isOver = false;

  constructor(port: number, owner: LineOwner) {
    this.#owner = owner;
    this.#socket = createConnection({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#arrived(chunk));
    this.#socket.on('error', ({ message }) => this.#over(message));
    this.#socket.on('close', () => this.#over('closed by the server'));
  }

  get isIdle(): boolean {
    return this.#due.length === 0 && !this.#isOver;
  }

  /** @param requests all of them, one after the other @param dueMs of each */
  send(requests: Buffer, dueMs: readonly number[]): void {
    this.#due.push(...dueMs);
    this.#socket.write(requests);
  }

  end(): void {
    this.#isOver = true;
    this.#socket.destroy();
  }

  #over(what: string): void {
    if (this.#isOver) return;
    this.end();
    this.#owner.broken(this, this.#due.length, what);
  }

  #arrived(chunk: Buffer): void {
    const untilMs = performance.now();
    let bytes = this.#kept === null ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = null;
    while (bytes.length > 0) {
      const headEnd = bytes.indexOf(END_OF_HEAD) + END_OF_HEAD.length;
      const head = bytes.subarray(0, headEnd);
      const bodyEnd = headEnd + Number(LENGTH.exec(head.toString('latin1'))?.[1] ?? 0);
      if (headEnd < END_OF_HEAD.length || bytes.length < bodyEnd) {
        this.#kept = bytes;
        return;
      }
      this.#take(head, bytes.subarray(headEnd, bodyEnd), untilMs);
      bytes = bytes.subarray(bodyEnd);
    }
    if (this.isIdle) this.#owner.idle(this);
  }

  #take(head: Buffer, body: Buffer, untilMs: number): void {
    const dueMs = this.#due.shift();
    if (dueMs === undefined) {
      this.#over('an answer to nothing');
      return;
    }
    const status = Number(head.toString('latin1', 9, 12));
    const fromMs = Math.max(dueMs, this.#previousMs);
    this.#previousMs = untilMs;
    this.#owner.answered({ status, dueMs, fromMs, untilMs, head, body }, this);
  }
}
