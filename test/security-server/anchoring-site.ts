// A message log that is anchored at a registry on a real port, with a clock that only the test moves.
import type { Test } from 'tap';
import { rawEd25519PublicKey } from '#certs/ed25519.ts';
import { openClient } from '#core/http/client.ts';
import { verifyLog } from '#core/log/audit.ts';
import { type MessageLog, openMessageLog } from '#core/log/message-log.ts';
import { noteVerifier } from '#core/log/signed-note.ts';
import type { WitnessPolicy } from '#core/witness/policy.ts';
import { type Anchoring, parseAnchoring } from '#schemas/anchoring.ts';
import { AccordError } from '#schemas/problems.ts';
import { openAnchoring, type ServerAnchoring, type Stamps } from '#security-server/anchoring/anchoring.ts';
import { testToken, verifyTestToken } from '../core/anchoring-world.ts';
import { type LogFixture, logFixture, requestRecords } from '../core/log-fixture.ts';
import { AnchoringRegistry } from './anchoring-registry.ts';

export const EVERY_MS = 60_000;

export class Site {
  readonly made: LogFixture;
  readonly registry: AnchoringRegistry;
  readonly alarms: string[] = [];
  readonly http = openClient();
  policy: WitnessPolicy | null;
  stamps: Stamps | null;
  /** Direct time-stamps that were asked for. */
  stamped = 0;
  /** Tokens until then do not count any more: their authority was revoked. */
  endedMs = 0;
  /** What became uncovered by that. */
  readonly uncovered: number[] = [];
  log!: MessageLog;
  anchoring!: ServerAnchoring;

  private constructor(made: LogFixture, registry: AnchoringRegistry) {
    this.made = made;
    this.registry = registry;
    this.policy = registry.world.policy;
    this.stamps = {
      verify: (token, imprint) => {
        const said = verifyTestToken(token, imprint);
        if (said.genTimeMs <= this.endedMs) throw new AccordError('TIME_STAMP_REVOKED');
        return said;
      },
      stamp: async (imprint) => {
        this.stamped++;
        return { token: Buffer.from(testToken(imprint, made.clock.nowMs()), 'base64url') };
      },
    };
  }

  static async open(t: Test): Promise<Site> {
    const made = logFixture(t);
    made.options.origin = 'accord/DEV/GOV/1001/ss1';
    const verifier = noteVerifier(made.options.origin, rawEd25519PublicKey(made.options.checkpointKey));
    const site = new Site(made, await AnchoringRegistry.open(t, made.clock, verifier));
    await site.start();
    t.teardown(async () => {
      await site.stop();
      await site.http.close();
    });
    return site;
  }

  async start(): Promise<void> {
    this.log = await openMessageLog(this.made.options);
    this.anchoring = openAnchoring({
      ...{ log: this.log, clock: this.made.clock, http: this.http, everyMs: EVERY_MS },
      configuration: { current: () => ({ version: 7, witnesses: () => this.policy }) as never },
      stamps: () => this.stamps,
      onAlarm: (code) => this.alarms.push(code),
      onUncovered: (size) => this.uncovered.push(size),
    });
  }

  async stop(): Promise<void> {
    await this.anchoring.stop();
    await this.log.close();
  }

  /** Exchanges happen, and a checkpoint is published. */
  async grow(count = 3): Promise<void> {
    await Promise.all(requestRecords(count).map((record) => this.log.append(record)));
    this.pass(10_000);
  }

  pass(ms: number): void {
    this.made.clock.pass(ms);
    this.made.tick();
  }

  /** So long that everything is due, in steps of a quarter of the interval. */
  async minutes(count: number): Promise<void> {
    for (let step = 0; step < 4 * count; step++) {
      this.pass(EVERY_MS / 4);
      await this.anchoring.tick();
    }
  }

  anchored(): Anchoring[] {
    return this.log
      .find(null, 'anchored')
      .map(({ evidence }) => parseAnchoring(evidence?.statement ?? ''))
      .reverse();
  }

  async audit(t: Test): Promise<void> {
    const { folder, checkpointFile } = this.made.options;
    t.match(await verifyLog({ folder, checkpointFile }), { ok: true, code: null });
  }
}
