// The counted time of one turn of the load: it opens after the lead-in, closes when its seconds are over (and some answers
// were counted, which on a busy machine can take longer) or when it has its answers, and knows what the named processes took
// between the two.
import type { Size } from './assistance.ts';
import { cpuMicros, rssMiB } from './weigh.ts';

export interface Order {
  url: string;
  /** Which service of the security server; null for the variants without one. */
  service: 'safe' | 'write' | null;
  /** Sizes, and how many of a thousand requests have each. */
  mix: readonly { size: Size; perThousand: number }[];
  concurrency: number;
  seconds: number;
  /** So many answers end the turn, however long they take; null where its seconds do. */
  answers: number | null;
  leadInSeconds: number;
  /** Processes to weigh, by role. */
  pids: Record<string, readonly number[]>;
}

export interface Seen {
  /** Answers in the counted time, and how long that was. */
  answers: number;
  seconds: number;
  p50Millis: number;
  p99Millis: number;
  /** All answers, with the lead-in and those that were still under way at the end. */
  answersInAll: number;
  failures: number;
  /** The first few. */
  found: string[];
  /** Processor time in the counted time, by role; `load` is this process. */
  cpuMicros: Record<string, number>;
  /** The most that one process of a role took in the counted time. */
  rssMiB: Record<string, number>;
}

type ByRole = Record<string, number>;

const SAMPLE_MS = 100;
const SHOWN_FAILURES = 5;
const LEAST_ANSWERS = 16;

export class Window {
  readonly #order: Order;
  readonly #pids: Order['pids'];
  readonly #durations: number[] = [];
  readonly #found: string[] = [];
  #timers: NodeJS.Timeout[] = [];
  #fromMs = Number.POSITIVE_INFINITY;
  #untilMs = Number.POSITIVE_INFINITY;
  #isOver = false;
  #before: ByRole = {};
  #after: ByRole = {};
  #rss: ByRole = {};
  #answersInAll = 0;
  #failures = 0;

  constructor(order: Order) {
    this.#order = order;
    this.#pids = { ...order.pids, load: [process.pid] };
  }

  /** The lead-in begins. */
  open(): void {
    const begin = () => {
      this.#before = this.#weigh(cpuMicros, (a, b) => a + b);
      this.#sample();
      this.#timers.push(setInterval(() => this.#sample(), SAMPLE_MS));
      this.#fromMs = performance.now();
    };
    this.#timers.push(setTimeout(begin, this.#order.leadInSeconds * 1000));
  }

  answered(fromMs: number, untilMs: number): void {
    this.#answersInAll += 1;
    if (untilMs >= this.#fromMs && !this.#isOver) this.#durations.push(untilMs - fromMs);
  }

  failed(what: string): void {
    this.#failures += 1;
    if (this.#found.length < SHOWN_FAILURES) this.#found.push(what);
  }

  /** Asked before each request; closes when it is time. */
  isOver(): boolean {
    if (this.#isOver) return true;
    const nowMs = performance.now();
    const { seconds, answers, concurrency } = this.#order;
    const isTime =
      answers === null
        ? nowMs >= this.#fromMs + seconds * 1000 && this.#durations.length >= Math.min(LEAST_ANSWERS, concurrency)
        : this.#durations.length >= answers;
    if (!isTime && this.#failures === 0) return false;
    this.#isOver = true;
    this.#untilMs = nowMs;
    this.#after = this.#weigh(cpuMicros, (a, b) => a + b);
    this.#sample();
    for (const timer of this.#timers) clearTimeout(timer);
    return true;
  }

  seen(): Seen {
    this.isOver();
    for (const timer of this.#timers) clearTimeout(timer);
    const sorted = this.#durations.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
    const took = Object.entries(this.#after).map(([role, micros]) => [role, micros - (this.#before[role] ?? 0)]);
    return {
      answers: sorted.length,
      seconds: Math.max((this.#untilMs - this.#fromMs) / 1000, 1e-3),
      p50Millis: at(0.5),
      p99Millis: at(0.99),
      answersInAll: this.#answersInAll,
      failures: this.#failures,
      found: this.#found,
      cpuMicros: Object.fromEntries(took),
      rssMiB: this.#rss,
    };
  }

  #weigh(of: (pid: number) => number, join: (a: number, b: number) => number): ByRole {
    const roles = Object.entries(this.#pids);
    return Object.fromEntries(roles.map(([role, pids]) => [role, pids.map((pid) => of(pid)).reduce(join, 0)]));
  }

  #sample(): void {
    const now = this.#weigh(rssMiB, (a, b) => Math.max(a, b));
    for (const [role, mib] of Object.entries(now)) this.#rss[role] = Math.max(mib, this.#rss[role] ?? 0);
  }
}
