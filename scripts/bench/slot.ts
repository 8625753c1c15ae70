// One connection of the load that asks, waits and asks again (undici's `dispatch`, the cheapest that it has). It judges
// every answer: status and length always, the whole body of one in sixteen and of the first, and every byte of a file.
import { Client, type Dispatcher } from 'undici';
import type { Asked } from './asked.ts';

const COMPARED = 16;
/** Nothing on this path takes so long unless it hangs. */
const TIMEOUT_MS = 60_000;

export interface SlotRun {
  /** The next request; null when there shall be none. */
  next(): Asked | null;
  /** After each answer, with milliseconds of a monotonic clock. */
  answered(fromMs: number, untilMs: number): void;
  /** After this the slot asks nothing more. */
  failed(what: string): void;
}

/** Resolves when there is nothing more to ask and the connection is closed. */
export async function runSlot(url: string, run: SlotRun): Promise<void> {
  const client = new Client(url, { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS, pipelining: 1 });
  await new Promise<void>((resolve) => new Slot(client, run, resolve).ask());
  await client.close();
}

/** undici calls its on… methods, one request after the other. */
class Slot implements Dispatcher.DispatchHandler {
  readonly #client: Client;
  readonly #run: SlotRun;
  readonly #end: () => void;
  #asked: Asked | null = null;
  #count = 0;
  #fromMs = 0;
  #status = 0;
  #came = 0;
  #same = true;
  #kept: Buffer[] = [];

  constructor(client: Client, run: SlotRun, end: () => void) {
    this.#client = client;
    this.#run = run;
    this.#end = end;
  }

  ask(): void {
    const asked = this.#run.next();
    if (asked === null) {
      this.#end();
      return;
    }
    this.#asked = asked;
    this.#came = 0;
    this.#same = true;
    this.#kept = [];
    this.#fromMs = performance.now();
    const { path, headers, body } = asked;
    this.#client.dispatch({ path, method: 'POST', headers, body }, this);
  }

  onRequestStart(): void {}

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const bytes = this.#asked?.bytes ?? null;
    if (bytes !== null) this.#same &&= bytes.subarray(this.#came, this.#came + chunk.length).equals(chunk);
    if (bytes === null || this.#status !== 200) this.#kept.push(chunk);
    this.#came += chunk.length;
  }

  onResponseEnd(): void {
    const untilMs = performance.now();
    const fault = this.#fault();
    if (fault !== null) {
      this.#run.failed(fault);
      this.#end();
      return;
    }
    this.#run.answered(this.#fromMs, untilMs);
    this.#count += 1;
    this.ask();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#run.failed(String(error));
    this.#end();
  }

  #fault(): string | null {
    const asked = this.#asked;
    if (asked === null) return 'an answer to nothing';
    if (this.#status !== 200) return `${this.#status} ${Buffer.concat(this.#kept).toString().slice(0, 300)}`;
    const { least, most } = asked.length;
    if (this.#came < least || this.#came > most) return `${this.#came} bytes in place of ${least} to ${most}`;
    if (!this.#same) return 'other bytes than the file has';
    if (asked.bytes !== null || this.#count % COMPARED !== 0) return null;
    return asked.fault(Buffer.concat(this.#kept));
  }
}
