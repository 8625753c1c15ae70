// Campaign `clocks`: one provider's real status list client and rules in this process, under a clock that jumps ahead and back
// and a network that holds lists back, cuts them off or shows old ones again. However they are played, a consent is not
// honoured later than the published bound after it ended. One case is one game of some minutes.
//
// Of the operator it is asked that the clock is right when the server starts; or that nobody holds lists back just then.
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import type { RegisteredKey } from '#certs/registered-key.ts';
import { packStatuses, signStatusList } from '#certs/status-list.ts';
import type { Clock } from '#core/clock.ts';
import type { BoundedClient } from '#core/http/client.ts';
import { openStatusClient, type StatusClient } from '#core/status/status-client.ts';
import type { TrustedNow } from '#core/status/trusted-time.ts';
import { checkConsent } from '#policy/check-consent.ts';
import type { DecisionInputs } from '#policy/decision-inputs.ts';
import type { Level } from '#schemas/dictionary-entry.ts';
import { AccordError } from '#schemas/problems.ts';
import { randomFrom, type Source } from '#scripts/demo/random.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import { BOUND_MS } from './revocation-verdict.ts';

/** Another judgement of the time. */
export interface BrokenClocks {
  trustedNow: (clock: Clock, real: TrustedNow) => TrustedNow;
}

const URI = 'http://lists.invalid/status/1';
const START_MS = 1_800_000_000_000;
const STEPS = 60;
const SIGNED_EVERY_MS = 5_000;
const RIGHT_WITHIN_MS = 2_000;

const { privateKey } = generateKeys('P-256');
const kid = thumbprint(privateKey);
const KEYS = [{ kid, jwk: exportPublicJwk(privateKey) }] as RegisteredKey[];
const SAYS = [0, 1].map((status) => packStatuses(2, Uint8Array.of(status, 0, 0, 0)));

class Game implements Clock {
  trueMs = START_MS;
  /** Of the wall clock, from the truth. */
  offMs = 0;
  endedMs = Number.POSITIVE_INFINITY;
  /** The list that the network shows, by the time it was signed; null: none gets through. */
  shownMs: number | null = START_MS;
  #client: StatusClient;

  constructor() {
    this.#client = this.#open();
  }

  nowMs(): number {
    return this.trueMs + this.offMs;
  }

  /** In wide steps, so that no question waits for the one before. */
  monotonicMs(): number {
    return this.trueMs - START_MS;
  }

  restart(): void {
    this.#client.close();
    this.#client = this.#open();
  }

  close(): void {
    this.#client.close();
  }

  ask(): Promise<void> {
    return this.#client.refresh(URI);
  }

  /** Null when the consent counts, by the real rules. */
  refusal(level: Level, broken: BrokenClocks | undefined): string | null {
    const real = this.#client.trustedNowMs();
    const { nowMs, deviationMs } = broken?.trustedNow(this, real) ?? real;
    const held = this.#client.statusOf(URI, 0);
    const receipt = { jti: '', purposeHash: 'h', elements: [], notBeforeMs: 0, notAfterMs: 9e15, uses: null, used: 0 };
    const status = held && { value: held.status, listIatMs: held.listIatMs };
    const inputs = {
      consent: { given: true, receipt, status, trustedNowMs: nowMs, deviationMs },
      purpose: { hash: 'h' },
      binding: { asked: [{ level }] },
    };
    return checkConsent(inputs as unknown as DecisionInputs)?.code ?? null;
  }

  #open(): StatusClient {
    const http = { request: () => this.#fetch(), close: async () => {} } as unknown as BoundedClient;
    const lists = [{ consentService: 'c', uri: URI }];
    return openStatusClient({ http, clock: this, keysOf: () => KEYS, listsOf: () => lists, pollMs: 0 });
  }

  async #fetch() {
    const iatMs = this.shownMs;
    if (iatMs === null) throw new AccordError('PEER_UNREACHABLE', '');
    const lst = SAYS[iatMs < this.endedMs ? 0 : 1] ?? '';
    const text = signStatusList({ uri: URI, iatMs, expMs: iatMs + 120_000, ttlS: 5, lst }, { kid, privateKey });
    return { status: 200, headers: [] as [string, string][], body: Buffer.from(text) };
  }
}

/** What happens to the clock and on the wire before the next question. */
function nextMove(game: Game, chance: Source): string {
  game.trueMs += chance.integer(1, 10) * 1_000 + chance.integer(0, 999);
  const newestMs = game.trueMs - ((game.trueMs - START_MS) % SIGNED_EVERY_MS);
  const move = chance.weighted([0.3, 0.25, 0.1, 0.2, 0.05, 0.1]);
  if (move === 0) game.shownMs = newestMs;
  if (move === 1) game.shownMs = Math.max(START_MS, newestMs - chance.integer(1, 30) * SIGNED_EVERY_MS);
  if (move === 2) game.shownMs = null;
  if (move === 3) game.offMs = chance.pick([-1, 1]) * chance.integer(0, 200_000);
  if (move === 4) {
    game.offMs = chance.integer(-RIGHT_WITHIN_MS, RIGHT_WITHIN_MS);
    game.restart();
  }
  return ['fresh', 'held', 'away', 'jump', 'restart', 'nothing'][move] ?? '';
}

async function play(
  seed: number,
  broken: BrokenClocks | undefined,
  counts: Record<string, number>,
): Promise<string | null> {
  const chance = randomFrom(seed);
  const game = new Game();
  const level = chance.pick([2, 3, 4, 4] as const);
  const endsAt = chance.integer(5, 40);
  const moves: string[] = [];
  try {
    for (let step = 0; step < STEPS; step += 1) {
      moves.push(nextMove(game, chance));
      if (step === endsAt) game.endedMs = game.trueMs;
      await game.ask();
      const refusal = game.refusal(level, broken);
      counts[refusal ?? 'OK'] = (counts[refusal ?? 'OK'] ?? 0) + 1;
      const lateMs = game.trueMs - game.endedMs - BOUND_MS[level];
      if (refusal === null && lateMs > 0) {
        return `game ${seed}: level ${level}, honoured ${lateMs} ms later than the bound; ${moves.slice(-12).join(' ')}`;
      }
    }
    return null;
  } finally {
    game.close();
  }
}

async function run({ size, seed, broken }: CampaignRun<BrokenClocks>): Promise<CampaignResult> {
  const found: string[] = [];
  const codes: Record<string, number> = {};
  for (let done = 0; done < size; done += 1) {
    const late = await play(seed + done, broken, codes);
    if (late !== null) found.push(late);
  }
  return { size, failures: found.length, found: found.slice(0, 20), codes };
}

export const clocks: Campaign<BrokenClocks> = {
  name: 'clocks',
  title: "a provider's clock and its network are played with: no consent is honoured later than its bound",
  defaultSize: 20_000,
  run,
};
