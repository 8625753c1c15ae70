// Admission before work (DESIGN: limits and promises): a budget for the whole server, a share of it for each peer and
// each service. Who asks for more is refused at once with 503 and Retry-After, before its body is read. Nothing queues.
import {
  MAX_EXCHANGES_IN_FLIGHT,
  MAX_IN_FLIGHT_PER_PEER,
  MAX_IN_FLIGHT_PER_SERVICE,
  MAX_IN_FLIGHT_PER_SYSTEM,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

export interface Admission {
  /**
   * Takes one place for a sender, for one information system within its server's share, or for a service's backend; call
   * the result once to give it back. @throws SERVER_BUSY
   */
  enter(kind: 'sender' | 'system' | 'service', name: string): () => void;
  /** Whether `enter` would throw SERVER_BUSY now; costs nothing. */
  isFull(kind: 'sender' | 'system' | 'service', name: string): boolean;
  /** From now on nothing enters. */
  stop(): void;
  readonly inFlight: number;
  /** Resolves when the last exchange left. */
  drained(): Promise<void>;
}

export function openAdmission(): Admission {
  const taken = new Map<string, number>();
  const limits = {
    sender: MAX_IN_FLIGHT_PER_PEER,
    system: MAX_IN_FLIGHT_PER_SYSTEM,
    service: MAX_IN_FLIGHT_PER_SERVICE,
  };
  let total = 0;
  let stopped = false;
  let waiting: (() => void)[] = [];

  function enter(kind: keyof typeof limits, name: string): () => void {
    if (stopped && kind === 'sender') throw new AccordError('SERVER_STOPPING');
    const key = `${kind} ${name}`;
    const mine = taken.get(key) ?? 0;
    if (mine >= limits[kind] || (kind === 'sender' && total >= MAX_EXCHANGES_IN_FLIGHT)) {
      throw new AccordError('SERVER_BUSY', `${kind} ${mine >= limits[kind] ? name : 'budget'}`);
    }
    taken.set(key, mine + 1);
    if (kind === 'sender') total += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const now = (taken.get(key) ?? 1) - 1;
      if (now === 0) taken.delete(key);
      else taken.set(key, now);
      if (kind === 'sender') total -= 1;
      if (total === 0) {
        for (const resolve of waiting) resolve();
        waiting = [];
      }
    };
  }

  return {
    enter,
    isFull: (kind, name) =>
      !stopped &&
      ((taken.get(`${kind} ${name}`) ?? 0) >= limits[kind] || (kind === 'sender' && total >= MAX_EXCHANGES_IN_FLIGHT)),
    stop: () => {
      stopped = true;
    },
    get inFlight() {
      return total;
    },
    drained: () => (total === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}
