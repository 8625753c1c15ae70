// The load of campaign `overload`, a process of its own: one order a line on standard input, one line with what it saw on
// standard output. `closed`: so many at once, each connection asks again when it was answered. `open`: so many a second,
// whatever becomes of those before; several that are due together go in one write of one connection.
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuMicros } from '#scripts/bench/weigh.ts';
import { Durations } from './overload-durations.ts';
import { Line, type LineAnswer, type LineOwner } from './overload-line.ts';

export interface LoadOrder {
  port: number;
  /** One request as it goes over the wire. */
  request: string;
  /** At once (closed), or a second (open). */
  closed?: number;
  open?: number;
  /** Requests in one write of an open load. */
  burst?: number;
  /** Makes the connections of an open load, in place of the request; neither it nor its answer is counted. */
  knock?: string;
  seconds: number;
  leadInSeconds: number;
  /** Processes whose processor time is counted. */
  pids: Record<string, number>;
}

export interface LoadSeen {
  /** In the counted time, which was so long. */
  seconds: number;
  /** Requests that were sent in it. */
  sent: number;
  good: number;
  refused: number;
  goodP50Millis: number;
  goodP99Millis: number;
  refusedP50Millis: number;
  refusedP99Millis: number;
  refusedMostMillis: number;
  /** All answers of this order, counted or not. */
  goodInAll: number;
  refusedInAll: number;
  /** Of those that were due in time but were sent later because no connection was free: the most at once. */
  mostWaiting: number;
  unanswered: number;
  found: string[];
  /** Cores that each process took in the counted time; `load` is this one. */
  cores: Record<string, number>;
}

const TICK_MS = 2;
/** Of an open load, to begin with; more than the requests that a server admits at once. */
const CONNECTIONS = 384;
const MOST_CONNECTIONS = 1_024;
const DRAIN_MS = 20_000;
const SHOWN = 5;
/** Of the answers, one in so many is looked into. */
const LOOKED_INTO = 16;

class Turn implements LineOwner {
  readonly #order: LoadOrder;
  readonly #one: Buffer;
  readonly #many: Buffer;
  readonly #lines = new Set<Line>();
  readonly #idle: Line[] = [];
  readonly #waiting: number[] = [];
  readonly #good = new Durations();
  readonly #refused = new Durations();
  readonly #found: string[] = [];
  readonly #over = Promise.withResolvers<void>();
  #sentInAll = 0;
  #sent = 0;
  #goodInAll = 0;
  #refusedInAll = 0;
  #unanswered = 0;
  #mostWaiting = 0;
  #fromMs = Number.POSITIVE_INFINITY;
  #untilMs = Number.POSITIVE_INFINITY;
  #isEnding = false;
  #connecting: PromiseWithResolvers<void> | null = null;
  #before: Record<string, number> = {};
  #after: Record<string, number> = {};

  constructor(order: LoadOrder) {
    this.#order = order;
    this.#one = Buffer.from(order.request);
    this.#many = Buffer.from(order.request.repeat(order.burst ?? 1));
  }

  async run(): Promise<LoadSeen> {
    const { leadInSeconds, seconds, open, closed = 0 } = this.#order;
    if (open !== undefined) await this.#connectAll();
    const counting = setTimeout(() => this.#count(), leadInSeconds * 1000);
    const ending = setTimeout(() => this.#mayEnd(), (leadInSeconds + seconds) * 1000);
    const stuck = setTimeout(() => this.#over.resolve(), (leadInSeconds + seconds) * 1000 + 2 * DRAIN_MS);
    const arrivals = open === undefined ? undefined : this.#arrive(open);
    for (let at = 0; at < closed; at += 1) this.#ask(this.#connect(), [performance.now()]);
    await this.#over.promise;
    for (const timer of [counting, ending, stuck, arrivals]) clearTimeout(timer);
    const { size } = this.#lines;
    for (const line of this.#lines) line.end();
    const left = this.#sentInAll - this.#goodInAll - this.#refusedInAll - this.#unanswered;
    if (left > 0) this.#note(`${left} requests on ${size} connections got no answer in ${DRAIN_MS} ms`);
    return this.#seen(left);
  }

  answered({ status, dueMs, fromMs, untilMs, head, body }: LineAnswer, _line: Line): void {
    if (this.#connecting !== null && this.#order.knock !== undefined) return;
    const isCounted = dueMs >= this.#fromMs && dueMs < this.#untilMs;
    if (status === 200) {
      this.#goodInAll += 1;
      if (untilMs >= this.#fromMs && untilMs < this.#untilMs) this.#good.add(untilMs - dueMs);
      if (this.#goodInAll % LOOKED_INTO === 1 && !body.includes('"outcome":"ok"')) this.#note(`200 ${body.toString()}`);
    } else if (status === 503) {
      this.#refusedInAll += 1;
      if (isCounted) this.#refused.add(untilMs - fromMs);
      if (this.#refusedInAll % LOOKED_INTO === 1) this.#lookInto(head, body);
    } else {
      this.#unanswered += 1;
      this.#note(`${status} ${body.toString()}`);
    }
  }

  idle(line: Line): void {
    if (this.#connecting !== null) this.#connected(line);
    else if (this.#isEnding) this.#settle();
    else if (this.#order.open === undefined) this.#ask(line, [performance.now()]);
    else this.#idle.push(line);
  }

  broken(line: Line, unanswered: number, what: string): void {
    this.#lines.delete(line);
    this.#unanswered += unanswered;
    if (unanswered > 0) this.#note(`${unanswered} requests: ${what}`);
    if (this.#isEnding) this.#settle();
    else if (this.#order.open === undefined) this.#ask(this.#connect(), [performance.now()]);
  }

  /** A server takes one new connection a turn of its event loop: those of an open load are there before it begins. */
  async #connectAll(): Promise<void> {
    const connecting = Promise.withResolvers<void>();
    this.#connecting = connecting;
    const { knock } = this.#order;
    for (let at = 0; at < CONNECTIONS; at += 1) {
      if (knock === undefined) this.#ask(this.#connect(), [performance.now()]);
      else this.#connect().send(Buffer.from(knock), [performance.now()]);
    }
    await Promise.race([connecting.promise, delay(DRAIN_MS)]);
    this.#connecting = null;
  }

  #connected(line: Line): void {
    this.#idle.push(line);
    if (this.#idle.length === CONNECTIONS) this.#connecting?.resolve();
  }

  #connect(): Line {
    const line = new Line(this.#order.port, this);
    this.#lines.add(line);
    return line;
  }

  #ask(line: Line, due: readonly number[]): void {
    this.#sentInAll += due.length;
    if (due[0] !== undefined && due[0] >= this.#fromMs) this.#sent += due.length;
    line.send(due.length === 1 ? this.#one : this.#many.subarray(0, this.#one.length * due.length), due);
  }

  /** What became due since the last look goes out, a burst to a connection. */
  #arrive(perSecond: number): NodeJS.Timeout {
    const beganMs = performance.now();
    let arrived = 0;
    return setInterval(() => {
      if (this.#isEnding) return;
      const nowMs = performance.now();
      const wanted = ((nowMs - beganMs) / 1000) * perSecond;
      for (; arrived < wanted; arrived += 1) this.#waiting.push(beganMs + (arrived / perSecond) * 1000);
      while (this.#waiting.length > 0) {
        const line = this.#free();
        if (line === undefined) break;
        this.#ask(line, this.#waiting.splice(0, this.#order.burst ?? 1));
      }
      if (nowMs >= this.#fromMs) this.#mostWaiting = Math.max(this.#mostWaiting, this.#waiting.length);
    }, TICK_MS);
  }

  #free(): Line | undefined {
    for (let line = this.#idle.pop(); line !== undefined; line = this.#idle.pop()) if (line.isIdle) return line;
    return this.#lines.size < MOST_CONNECTIONS ? this.#connect() : undefined;
  }

  #lookInto(head: Buffer, body: Buffer): void {
    const text = `${head.toString('latin1')}${body.toString()}`;
    if (!/\r\nretry-after: *[1-9]/i.test(text)) this.#note(`without Retry-After: ${text}`);
    if (!/"code":"SERVER_BUSY"/.test(text)) this.#note(`another 503: ${text}`);
    if (!/"outcome":"not-sent"/.test(text)) this.#note(`does not say that nothing was sent: ${text}`);
  }

  #note(what: string): void {
    if (this.#found.length < SHOWN) this.#found.push(what.slice(0, 600));
  }

  #weigh(): Record<string, number> {
    const pids = Object.entries({ ...this.#order.pids, load: process.pid });
    return Object.fromEntries(pids.map(([role, pid]) => [role, cpuMicros(pid)]));
  }

  #count(): void {
    this.#before = this.#weigh();
    this.#fromMs = performance.now();
  }

  /** On a busy machine it takes longer until something can be said. */
  #mayEnd(): void {
    const { closed = 0, seconds } = this.#order;
    const isLate = performance.now() > this.#fromMs + seconds * 1000 + DRAIN_MS;
    if (this.#good.count >= 2 * closed || isLate) this.#end();
    else setTimeout(() => this.#mayEnd(), TICK_MS);
  }

  #end(): void {
    this.#untilMs = performance.now();
    this.#after = this.#weigh();
    this.#isEnding = true;
    this.#settle();
  }

  #settle(): void {
    if (this.#goodInAll + this.#refusedInAll + this.#unanswered >= this.#sentInAll) this.#over.resolve();
  }

  #seen(left: number): LoadSeen {
    const seconds = (this.#untilMs - this.#fromMs) / 1000;
    const cores = Object.entries(this.#after).map(([role, micros]) => {
      return [role, Math.round((micros - (this.#before[role] ?? 0)) / seconds / 1e4) / 100];
    });
    return {
      seconds,
      sent: this.#sent,
      good: this.#good.count,
      refused: this.#refused.count,
      goodP50Millis: this.#good.at(0.5),
      goodP99Millis: this.#good.at(0.99),
      refusedP50Millis: this.#refused.at(0.5),
      refusedP99Millis: this.#refused.at(0.99),
      refusedMostMillis: this.#refused.at(1),
      goodInAll: this.#goodInAll,
      refusedInAll: this.#refusedInAll,
      mostWaiting: this.#mostWaiting,
      unanswered: this.#unanswered + left,
      found: this.#found,
      cores: Object.fromEntries(cores),
    };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await new Turn(JSON.parse(line) as LoadOrder).run()));
}
process.exit(0);
