// Anchors the message log (DESIGN: the message log, witnesses): sends its newest checkpoint to the registry's witness,
// fetches what the aggregate log, its cosigners and the time-stamp authorities said of it, verifies all of that, and
// appends it as an entry `anchored`. While the registry is away an authority stamps the own checkpoint directly. Never on
// the path of an exchange, and nothing of it is kept but in the log: after a crash the newest entry `anchored` says how
// far it came, and the witness says (409) what it cosigned last.
//
// Registry, witnesses and authorities control what they answer; only what verifies is logged.

import { sha256Of } from '#certs/merkle.ts';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSource } from '#core/configuration/snapshot.ts';
import type { BoundedClient } from '#core/http/client.ts';
import type { MessageLog } from '#core/log/message-log.ts';
import { parseNote, parseVerifierKey } from '#core/log/signed-note.ts';
import type { WitnessPolicy } from '#core/witness/policy.ts';
import { type AnchoringCode, type AnchoringVerdict, verifyAnchoring } from '#core/witness/verify-anchoring.ts';
import type { WitnessReply } from '#core/witness/witness-client.ts';
import type { Anchoring } from '#schemas/anchoring.ts';
import { base64url, fromBase64url } from '#schemas/base64url.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { type Anchored, anchoredEntries, appendAnchoring, firstUncovered, isEnded } from './logged.ts';
import { openRegistryPort, type RegistryPort } from './registry-port.ts';

/** Time-stamp authorities as the configuration names them now. */
export interface Stamps {
  /** @throws TIME_STAMP_* */
  verify(token: Buffer, imprint: Buffer): { genTimeMs: number };
  /** A verified token over SHA-256. @throws TIME_STAMP_UNAVAILABLE */
  stamp(imprint: Buffer): Promise<{ token: Buffer }>;
}

export interface AnchoringState {
  /** Null while the configuration names no witness of the registry. */
  registryWitness: string | null;
  quorum: number;
  /** Newest entry, and newest with a time-stamp; null while there is none. */
  newest: Anchored | null;
  newestStamped: Anchored | null;
  /** The newest checkpoint that the witness cosigned since the start. */
  witnessedSize: number;
  /** Checkpoints that the aggregate log is still asked for. */
  waiting: number;
  /** What keeps it from going on; null when nothing does. */
  trouble: { code: ProblemCode; detail: string; sinceMs: number } | null;
}

export interface AnchoringPorts {
  log: MessageLog;
  configuration: Pick<ConfigurationSource, 'current'>;
  clock: Clock;
  http: BoundedClient;
  /** Null while no authority is named. */
  stamps: () => Stamps | null;
  /** How long the oldest entry has surely waited, also where the clock was set back (grace.ts). */
  waitedMs?: () => number;
  /** After each entry `anchored`, when it is durable. */
  onAnchored?: (anchored: Anchored) => void;
  /** A token ended after it was logged (RFC 3161 section 4): only entries before `size` are still covered by one. */
  onUncovered?: (size: number) => void;
  /** Once for each kind of trouble, until it is over. */
  onAlarm: (code: ProblemCode, detail: string) => void;
  /** A grown log's checkpoint is sent so often; at most a minute. */
  everyMs: number;
}

export interface ServerAnchoring {
  /** What is due now. Never rejects: trouble is in the state. */
  tick(): Promise<void>;
  /** Publishes a checkpoint, sends it and asks for what waits, whatever is due. @throws LOG_UNAVAILABLE */
  anchorNow(): Promise<AnchoringState>;
  /** Stamps the newest checkpoint by an authority and logs that. @throws TIME_STAMP_UNAVAILABLE, LOG_* */
  anchorDirectly(): Promise<void>;
  state(): AnchoringState;
  /** Gives up what is under way. */
  stop(): Promise<void>;
}

/** A log that nothing was written to but by this task is sent more seldom, or it would never be at rest. */
const IDLE_EVERY_MS = 10 * 60_000;
/** Entries wait so long for the registry before an authority is asked directly. */
const DIRECT_AFTER_MS = 10 * 60_000;
const LONGEST_PAUSE_MS = 5 * 60_000;
const MAX_WAITING = 5;
/** Entries looked at for one whose token still counts: a new token covers all of them anyway. */
const MAX_REJUDGED = 64;

type Area = 'witness' | 'aggregate' | 'time-stamp';

interface WaitingCheckpoint {
  size: number;
  root: string;
  /** With the cosignatures of the registry's witness. */
  note: string;
}

/** @throws ANCHORING_MALFORMED, NOTE_MALFORMED when the log was changed */
export function openAnchoring(ports: AnchoringPorts): ServerAnchoring {
  return new LogAnchoring(ports);
}

class LogAnchoring implements ServerAnchoring {
  readonly #ports: AnchoringPorts;
  readonly #stopped = new AbortController();
  readonly #registry: RegistryPort;
  readonly #troubles = new Map<Area, NonNullable<AnchoringState['trouble']>>();
  /** Failures in a row, and when it is tried again (monotonic). */
  readonly #pauses = new Map<Area, { failures: number; untilMs: number }>();
  #newest: Anchored | null = null;
  #newestStamped: Anchored | null = null;
  /** Size of the newest that the aggregate log holds. */
  #aggregatedSize = 0;
  #waiting: WaitingCheckpoint[] = [];
  #witnessedSize = 0;
  /** Since when (monotonic) the newest token does not count any more; null while it does. */
  #endedAtMs: number | null = null;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  /** What is under way, one behind another: entries are appended in the order of their checkpoints. */
  #last: Promise<unknown> = Promise.resolve();
  #queued = 0;

  constructor(ports: AnchoringPorts) {
    this.#ports = ports;
    this.#registry = openRegistryPort(ports.http, this.#stopped.signal);
    for (const one of anchoredEntries(ports.log)) {
      this.#newest ??= one;
      if (one.hasToken) this.#newestStamped ??= one;
      if (!one.isDirect) this.#aggregatedSize = Math.max(this.#aggregatedSize, one.size);
      if (this.#newestStamped !== null && this.#aggregatedSize > 0) break;
    }
    if (this.#isEnded()) this.#newestStamped = this.#newestThatCounts();
  }

  async tick(): Promise<void> {
    if (this.#queued === 0) await this.#inTurn(() => this.#work(false));
  }

  async anchorNow(): Promise<AnchoringState> {
    await this.#inTurn(async () => {
      this.#ports.log.publishCheckpoint();
      await this.#work(true);
    });
    return this.state();
  }

  async anchorDirectly(): Promise<void> {
    await this.#inTurn(() => this.#stampDirectly());
  }

  state(): AnchoringState {
    const { policy } = this.#inForce();
    return {
      registryWitness: policy?.registryWitness?.name ?? null,
      quorum: policy?.quorum ?? 0,
      newest: this.#newest,
      newestStamped: this.#newestStamped,
      witnessedSize: this.#witnessedSize,
      waiting: this.#waiting.length,
      trouble: [...this.#troubles.values()].toSorted((a, b) => a.sinceMs - b.sinceMs)[0] ?? null,
    };
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#last.catch(() => {});
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    this.#queued++;
    const turn = this.#last
      .catch(() => {})
      .then(() => (this.#stopped.signal.aborted ? Promise.reject(new AccordError('LOG_CLOSED')) : task()))
      .finally(() => {
        this.#queued--;
      });
    this.#last = turn;
    return turn;
  }

  async #work(isForced: boolean): Promise<void> {
    this.#rejudge();
    // One version for all of it: the entry says under which one it was judged.
    const { version, policy } = this.#inForce();
    const nowMs = this.#ports.clock.monotonicMs();
    if (policy !== null && policy.aggregate !== null && policy.registryWitness !== null) {
      const { everyMs } = this.#ports;
      const asks = this.#waiting.length > 0 && nowMs - this.#askedAtMs >= everyMs / 2;
      if (asks || isForced) await this.#try('aggregate', isForced, () => this.#ask(policy, version));
      if (isForced || this.#isDueToSend(nowMs)) await this.#try('witness', isForced, () => this.#send(policy));
    } else {
      this.#waiting = [];
    }
    if (this.#isDueToStamp()) await this.#try('time-stamp', isForced, () => this.#stampDirectly());
  }

  /** Whether what was logged last still counts: its authority may have been revoked or distrusted since. */
  #rejudge(): void {
    const { clock, onUncovered, onAlarm } = this.#ports;
    const ended = this.#newestStamped;
    if (ended === null || !this.#isEnded()) return;
    this.#newestStamped = this.#newestThatCounts();
    this.#endedAtMs = clock.monotonicMs();
    onAlarm('TIME_STAMP_REVOKED', `of entry ${ended.seq}, and of those before it by the same authority`);
    onUncovered?.(this.#newestStamped?.size ?? 0);
  }

  #isEnded(): boolean {
    const stamps = this.#ports.stamps();
    return stamps !== null && this.#newestStamped !== null && isEnded(this.#ports.log, this.#newestStamped.seq, stamps);
  }

  #newestThatCounts(): Anchored | null {
    const stamps = this.#ports.stamps();
    let looked = 0;
    for (const one of anchoredEntries(this.#ports.log)) {
      if (!one.hasToken) continue;
      if (stamps === null || !isEnded(this.#ports.log, one.seq, stamps)) return one;
      looked += 1;
      if (looked === MAX_REJUDGED) break;
    }
    return null;
  }

  /** Trouble is kept and pauses longer each time it comes back. */
  async #try(area: Area, isForced: boolean, run: () => Promise<void>): Promise<void> {
    const { clock, onAlarm, everyMs } = this.#ports;
    if (!isForced && (this.#pauses.get(area)?.untilMs ?? 0) > clock.monotonicMs()) return;
    try {
      await run();
      this.#troubles.delete(area);
      this.#pauses.delete(area);
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      const [code, detail]: [ProblemCode, string] = isAccordError(error)
        ? [error.code, error.detail]
        : ['INTERNAL', error instanceof Error ? error.message : ''];
      const failures = (this.#pauses.get(area)?.failures ?? 0) + 1;
      const untilMs = clock.monotonicMs() + Math.min(everyMs * 2 ** (failures - 1), LONGEST_PAUSE_MS);
      this.#pauses.set(area, { failures, untilMs });
      if (this.#troubles.get(area)?.code !== code) onAlarm(code, detail);
      const sinceMs = this.#troubles.get(area)?.sinceMs ?? clock.nowMs();
      this.#troubles.set(area, { code, detail, sinceMs });
    }
  }

  #isDueToSend(nowMs: number): boolean {
    const { log, everyMs } = this.#ports;
    const { size } = log.checkpoint();
    const covered = Math.max(this.#aggregatedSize, this.#witnessedSize);
    if (size <= covered) return false;
    const first = firstUncovered(log, covered);
    const isIdle = first === null || first.seq >= size;
    return nowMs - this.#sentAtMs >= (isIdle ? IDLE_EVERY_MS : everyMs);
  }

  /** To the witness. @throws WITNESS_REFUSED, LOG_NOT_AS_WITNESSED, WITNESS_ANSWER_WRONG, PEER_* */
  async #send(policy: WitnessPolicy): Promise<void> {
    const { log, clock } = this.#ports;
    const { registryWitness } = policy;
    if (registryWitness === null) return;
    const { size, root, note } = log.checkpoint();
    this.#sentAtMs = clock.monotonicMs();
    const reply = await this.#registry.cosign(policy, registryWitness, {
      note,
      oldSize: Math.max(this.#aggregatedSize, this.#witnessedSize),
      proofFrom: (oldSize) => log.consistencyProof(oldSize, size).map(fromBase64url),
    });
    requireCosigned(reply, size);
    this.#witnessedSize = size;
    const others = this.#waiting.filter((one) => one.size !== size);
    this.#waiting = [...others, { size, root, note: note + reply.lines.join('') }].slice(-MAX_WAITING);
  }

  /** The newest of those that wait, or else the oldest. @throws ANCHORING_*, PEER_*, LOG_* */
  async #ask(policy: WitnessPolicy, version: number): Promise<void> {
    const { log, clock } = this.#ports;
    this.#askedAtMs = clock.monotonicMs();
    for (const one of new Set([this.#waiting.at(-1), this.#waiting[0]])) {
      const found = one && (await this.#registry.anchoring(policy, log.origin, one.size));
      if (!one || !found) continue;
      const tokens = this.#ports.stamps() === null ? [] : found.tokens;
      const anchoring: Anchoring = { v: 1, checkpoint: one.note, aggregate: found.aggregate, tokens };
      try {
        requireGood(this.#judged(anchoring, one, policy), this.#ports.stamps() === null ? ['TOKEN_MISSING'] : []);
      } catch (error) {
        // The witness's own line may be what is wrong, after a renewal: the next checkpoint is cosigned anew.
        this.#waiting = [];
        this.#witnessedSize = 0;
        throw error;
      }
      this.#logged(await appendAnchoring(log, anchoring, version));
      return;
    }
  }

  /** @throws TIME_STAMP_UNAVAILABLE, ANCHORING_REFUSED, LOG_* */
  async #stampDirectly(): Promise<void> {
    const { log } = this.#ports;
    const stamps = this.#ports.stamps();
    if (stamps === null) throw new AccordError('TIME_STAMP_UNAVAILABLE', 'the configuration names no authority');
    const { size, root, note } = log.checkpoint();
    const { token } = await stamps.stamp(sha256Of(parseNote(note).text));
    const { version, policy } = this.#inForce();
    const known = this.#waiting.find((one) => one.size === size && one.root === root)?.note ?? note;
    const tokens = [{ over: 'checkpoint' as const, token: base64url(token) }];
    const anchoring: Anchoring = { v: 1, checkpoint: known, aggregate: null, tokens };
    requireGood(this.#judged(anchoring, { size, root }, policy), ['AGGREGATE_MISSING', 'COSIGNATURE_MISSING']);
    this.#logged(await appendAnchoring(log, anchoring, version));
  }

  #judged(anchoring: Anchoring, own: { size: number; root: string }, policy: WitnessPolicy | null): AnchoringVerdict {
    const { log } = this.#ports;
    const stamps = this.#ports.stamps();
    return verifyAnchoring(anchoring, {
      origin: log.origin,
      logKeyAt: () => parseVerifierKey(log.verifierKey),
      rootAt: (size) => (size === own.size ? fromBase64url(own.root) : null),
      policy,
      verifyToken: stamps && ((token, imprint) => stamps.verify(token, imprint)),
    });
  }

  #logged(anchored: Anchored): void {
    this.#newest = anchored;
    if (anchored.hasToken) {
      this.#newestStamped = anchored;
      this.#endedAtMs = null;
    }
    if (!anchored.isDirect) this.#aggregatedSize = anchored.size;
    // An anchoring of an older checkpoint says less than this one, and an audit would refuse it behind this one.
    this.#waiting = this.#waiting.filter(
      ({ size }) => size > anchored.size || (anchored.isDirect && size === anchored.size),
    );
    this.#ports.onAnchored?.(anchored);
  }

  #isDueToStamp(): boolean {
    const { log, clock, stamps, waitedMs } = this.#ports;
    if (stamps() === null) return false;
    const first = firstUncovered(log, this.#newestStamped?.size ?? 0);
    if (first === null || first.seq >= log.checkpoint().size) return false;
    // All servers see an authority end in the same minute: mostly the aggregate log's next token serves them first.
    if (this.#endedAtMs !== null) return clock.monotonicMs() - this.#endedAtMs >= DIRECT_AFTER_MS;
    return Math.max(clock.nowMs() - first.atMs, waitedMs?.() ?? 0) >= DIRECT_AFTER_MS;
  }

  /** A new server has no configuration until its registration was published. */
  #inForce(): { version: number; policy: WitnessPolicy | null } {
    try {
      const snapshot = this.#ports.configuration.current();
      return { version: snapshot.version, policy: snapshot.witnesses() };
    } catch (error) {
      if (!isAccordError(error, 'CONFIGURATION_MISSING')) throw error;
      return { version: 0, policy: null };
    }
  }
}

/** @throws ANCHORING_REFUSED naming what was found beside what may be missing */
function requireGood({ findings }: AnchoringVerdict, mayMiss: readonly AnchoringCode[]): void {
  const found = findings.filter(({ code }) => !mayMiss.includes(code));
  if (found.length === 0) return;
  throw new AccordError('ANCHORING_REFUSED', found.map(({ code, detail }) => `${code} (${detail})`).join(', '));
}

/** @throws LOG_NOT_AS_WITNESSED, WITNESS_REFUSED */
function requireCosigned(
  reply: WitnessReply,
  size: number,
): asserts reply is Extract<WitnessReply, { kind: 'cosigned' }> {
  if (reply.kind === 'cosigned') return;
  if (reply.kind === 'ahead') {
    const what = reply.size === size ? 'another root at size' : 'a log of size';
    throw new AccordError('LOG_NOT_AS_WITNESSED', `the witness knows ${what} ${reply.size}, this log has ${size}`);
  }
  if (reply.status === 422) throw new AccordError('LOG_NOT_AS_WITNESSED', 'the log did not grow out of what it knows');
  throw new AccordError('WITNESS_REFUSED', `status ${reply.status}`);
}
