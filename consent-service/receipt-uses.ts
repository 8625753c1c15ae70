// How often receipts were used: only the providers know, so they are asked when a citizen looks, through the own security
// server, all at once and not for long. What is not known then is shown as not known. Held for a minute, in memory.
import type { Clock } from '#core/clock.ts';
import { checkReceiptUses, RECEIPT_USES_PATH } from '#schemas/accesses.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import {
  MAX_DEPARTMENTS_AT_ONCE,
  MAX_RECEIPTS_ASKED,
  RECEIPT_USES_KEPT_MS,
  RECEIPT_USES_TIMEOUT_MS,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ConsentView } from './consents.ts';
import type { OwnServer } from './own-server.ts';

type Use = NonNullable<ConsentView['services'][number]['used']>;

export interface ReceiptUses {
  /** The same views with what the providers say of the uses; takes RECEIPT_USES_TIMEOUT_MS at most and never fails. */
  fill(views: readonly ConsentView[]): Promise<ConsentView[]>;
}

/** A provider that did not answer is not asked again at once. */
const UNKNOWN_KEPT_MS = 5_000;
const MAX_HELD = 50_000;

export interface ReceiptUsesOptions {
  server: OwnServer;
  clock: Clock;
  onFailure(error: unknown): void;
}

export function openReceiptUses({ server, clock, onFailure }: ReceiptUsesOptions): ReceiptUses {
  /** By number of the receipt, the oldest first; null while its provider does not say. */
  const held = new Map<string, { use: Use | null; untilMs: number }>();

  function hold(jti: string, use: Use | null): void {
    held.delete(jti);
    held.set(jti, { use, untilMs: clock.monotonicMs() + (use === null ? UNKNOWN_KEPT_MS : RECEIPT_USES_KEPT_MS) });
    for (const oldest of held.keys()) {
      if (held.size <= MAX_HELD) return;
      held.delete(oldest);
    }
  }

  async function askOne(service: string, receipts: string[], untilMs: number): Promise<void> {
    try {
      const timeoutMs = untilMs - clock.monotonicMs();
      if (timeoutMs <= 0) throw new AccordError('PEER_TIMEOUT', 'not asked in time');
      const answer = await server.ask(service, RECEIPT_USES_PATH, { v: 1, receipts }, timeoutMs);
      if (answer.kind === 'refused') throw new AccordError('OUTCOME_UNKNOWN', answer.code);
      const uses = new Map(checkReceiptUses(answer.body).uses.map((use) => [use.receipt, use]));
      for (const jti of receipts) {
        const { used: times = 0, lastUsedAtMs: lastAtMs = null, usedInWindow: inWindow = 0 } = uses.get(jti) ?? {};
        hold(jti, { times, lastAtMs, inWindow });
      }
    } catch (error) {
      for (const jti of receipts) hold(jti, null);
      onFailure(error);
    }
  }

  return {
    async fill(views) {
      const nowMs = clock.monotonicMs();
      const wanted = views
        .flatMap(({ receipts }) => receipts)
        .filter(({ jti }) => (held.get(jti)?.untilMs ?? 0) <= nowMs);
      const questions = [...Map.groupBy(wanted, ({ service }) => subsystemOfService(service)).values()].flatMap((all) =>
        chunksOf(all, MAX_RECEIPTS_ASKED),
      );
      const untilMs = nowMs + RECEIPT_USES_TIMEOUT_MS;
      const lane = async () => {
        for (let next = questions.pop(); next !== undefined; next = questions.pop()) {
          const [first] = next;
          if (first !== undefined)
            await askOne(
              first.service,
              next.map(({ jti }) => jti),
              untilMs,
            );
        }
      };
      await Promise.all(Array.from({ length: MAX_DEPARTMENTS_AT_ONCE }, lane));
      return views.map((view) => withUses(view, (jti) => held.get(jti)?.use ?? null));
    },
  };
}

function withUses(view: ConsentView, useOf: (jti: string) => Use | null): ConsentView {
  const services = view.services.map((one) => {
    const receipt = view.receipts.find(({ service }) => service === one.service);
    return { ...one, used: receipt === undefined ? null : useOf(receipt.jti) };
  });
  const known = services.filter(({ given }) => given.length > 0).map(({ used }) => used);
  const times = known.flatMap((used) => (used === null ? [] : [used.times]));
  const lasts = known.flatMap((used) => (used?.lastAtMs == null ? [] : [used.lastAtMs]));
  const isKnown = times.length > 0 && times.length === known.length;
  return {
    ...view,
    services,
    usesLeft: view.uses === null || !isKnown ? null : Math.max(0, view.uses - Math.max(...times)),
    lastUsedAtMs: lasts.length === 0 ? null : Math.max(...lasts),
  };
}

function chunksOf<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size));
}
