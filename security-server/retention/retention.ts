// Retention and lawful erasure of one security server (docs/evidence.md, Retention and erasure): plan, requests that two
// persons decide, destruction, holds. One thing at a time: what changes holds or destroys keys waits in one row, so that a
// hold is either placed before an intent or finds that its records are gone.
//
// Every reading and writing of the log may fail; then what was begun stays begun and is completed at the next tick or at the
// next start. Exchanges do not wait for any of it.
import { randomBytes, randomUUID } from 'node:crypto';
import { MS_PER_DAY } from '#core/log/record-keys.ts';
import { StoreError } from '#core/log/store.ts';
import { AllLogs } from '#core/retention/all-logs.ts';
import { base64url } from '#schemas/base64url.ts';
import { ACCESS_KEPT_DAYS, DESTRUCTION_OVERDUE_DAYS, MAX_HOLDS } from '#schemas/limits.ts';
import type { EntryKind } from '#schemas/log-entry.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import {
  areTwoPersons,
  DEFAULT_RETENTION,
  encodeNote,
  type HeldScope,
  type IntentNote,
  type Person,
} from '#schemas/retention.ts';
import { openRetentionClasses, type RetentionClasses } from './classes.ts';
import type {
  DestructionView,
  HoldView,
  PlanView,
  Retention,
  RetentionPorts,
  WantedDestruction,
  WantedHold,
} from './contract.ts';
import {
  areKeysThere,
  type DestroyPorts,
  deleteRows,
  destroyKeys,
  doneNote,
  forgetRows,
  intendedScope,
  keyDaysWithout,
} from './destroy.ts';
import { heldEntries, lostHolds, subjectCommitment } from './held.ts';
import { KnownEntries } from './known-entries.ts';
import { planDestruction } from './plan.ts';
import type { DestructionRequest } from './retention-store.ts';

const SALT_BYTES = 32;
const MAX_REQUESTS = 1_000;

export function openRetention(ports: RetentionPorts): Retention {
  return new ServerRetention(ports);
}

class ServerRetention implements Retention {
  readonly classes: RetentionClasses;
  readonly #ports: RetentionPorts;
  readonly #logs: AllLogs;
  readonly #known: KnownEntries;
  readonly #requests: Map<string, DestructionRequest>;
  readonly #destroy: DestroyPorts;
  #last: Promise<unknown> = Promise.resolve();
  #looking: Promise<unknown> = this.#last;
  #overdueDays = 0;
  #hourlyAtMs = Number.NEGATIVE_INFINITY;

  constructor(ports: RetentionPorts) {
    const { store, log, logger } = ports;
    this.#ports = ports;
    this.classes = openRetentionClasses(store);
    this.#logs = new AllLogs(ports.logFolder, log.origin);
    this.#known = new KnownEntries(store, this.#logs, (detail) =>
      logger.error({ alarm: 'RETENTION_NOTE_MALFORMED', detail }, 'alarm of retention'),
    );
    this.#requests = store.all('request');
    this.#destroy = { ...ports, logs: this.#logs };
  }

  longest(names: readonly string[]): string {
    return this.classes.longest(names);
  }

  ofClient(client: string, service: string): string {
    return this.classes.ofClient(client, service);
  }

  async start(): Promise<void> {
    await this.#alone(async () => {
      await this.#known.catchUp();
      await this.#completeOpen();
      await this.#destroyAgain();
    });
  }

  tick(): Promise<void> {
    const running = this.#look();
    this.#looking = running.catch(() => {});
    return running;
  }

  async #look(): Promise<void> {
    const nowMs = this.#ports.clock.nowMs();
    if (this.#known.open.length > 0) await this.#alone(() => this.#completeOpen());
    if (nowMs - this.#hourlyAtMs < 3_600_000) return;
    this.#hourlyAtMs = nowMs;
    await this.#alone(async () => {
      await this.#known.catchUp();
      await this.#deleteRest();
    });
    await this.#destroyAutomatically();
    await this.#judgeOverdue();
  }

  async plan(): Promise<PlanView> {
    const { log, clock } = this.#ports;
    const held = await heldEntries(this.#known.holds, this.#destroy);
    const keyDays = keyDaysWithout(log.erasure.keyDays(), held);
    const today = Math.floor(Math.max(clock.nowMs(), log.newestMs()) / MS_PER_DAY);
    const counts = new Map<string, number>();
    for (const { hold } of held) counts.set(hold, (counts.get(hold) ?? 0) + 1);
    const kept = [...counts].map(([hold, records]) => ({ hold, records }));
    return {
      ...planDestruction(keyDays, this.classes.all(), this.#known.holds, today),
      kept,
      blocked: this.#blocked(),
    };
  }

  destructions(): DestructionView[] {
    const ids = new Set([...this.#requests.keys(), ...this.#known.all.map(({ intent }) => intent.note.destruction)]);
    return [...ids].map((id) => this.destruction(id));
  }

  destruction(id: string): DestructionView {
    const request = this.#requests.get(id) ?? null;
    const intent = this.#known.intent(id) ?? null;
    const certificate = this.#known.done(id)?.certificate ?? null;
    if (request === null && intent === null) throw new AccordError('DESTRUCTION_UNKNOWN', id);
    const waits = request?.withdrawn === null ? 'waiting' : 'withdrawn';
    const state = certificate !== null ? 'done' : intent !== null ? 'under-way' : waits;
    return { id, state, request, intent, certificate };
  }

  async request(wanted: WantedDestruction, by: Person): Promise<DestructionView> {
    const { retention, throughDay, exchanges, reason } = wanted;
    if (retention !== null) this.classes.require(retention);
    if (this.waiting() >= MAX_REQUESTS) throw new AccordError('REGISTRATION_LIMIT', `${MAX_REQUESTS} requests wait`);
    const { due } = await this.plan();
    // Single exchanges by order of a court have nothing to do with what is due.
    const rows = exchanges.length > 0 ? [] : due.filter((row) => retention === null || row.retention === retention);
    const days = rows.flatMap(({ retention, firstDay, lastDay, keys }) => {
      const last = Math.min(lastDay, throughDay ?? lastDay);
      return last < firstDay ? [] : [{ retention, firstDay, lastDay: last, records: 0, keys }];
    });
    const scope = { days, exchanges };
    const found = await intendedScope(scope, this.#known.holds, this.#destroy);
    const legalBasis = wanted.legalBasis ?? rows[0]?.legalBasis;
    if (legalBasis === undefined)
      throw new AccordError('SCHEMA_MISMATCH', '/legalBasis: single exchanges need an order');
    const id = randomUUID();
    const request = { id, scope: { ...scope, days: found.days }, legalBasis, reason, requested: by, withdrawn: null };
    this.#ports.store.put('request', id, request);
    this.#requests.set(id, request);
    return this.destruction(id);
  }

  approve(id: string, by: Person): Promise<DestructionView> {
    return this.#alone(async () => {
      const { state, request } = this.destruction(id);
      if (state !== 'waiting' || request === null) throw new AccordError('DESTRUCTION_CLOSED', state);
      if (!areTwoPersons(request.requested, by)) throw new AccordError('SAME_PERSON');
      await this.#mustBeFree();
      const { legalBasis, reason, requested } = request;
      const scope = await intendedScope(request.scope, this.#known.holds, this.#destroy);
      await this.#begin({ v: 1, destruction: id, requested, approved: by, rule: null, legalBasis, reason, ...scope });
      await this.#completeOpen();
      return this.destruction(id);
    });
  }

  /** In the row as well: what is being approved cannot be withdrawn beside it. */
  withdraw(id: string, by: Person): Promise<DestructionView> {
    return this.#alone(async () => {
      const { state, request } = this.destruction(id);
      if (state !== 'waiting' || request === null) throw new AccordError('DESTRUCTION_CLOSED', state);
      const withdrawn = { ...request, withdrawn: by };
      this.#ports.store.put('request', id, withdrawn);
      this.#requests.set(id, withdrawn);
      return this.destruction(id);
    });
  }

  holds(): HoldView[] {
    const lifts = this.#ports.store.all('lift');
    return this.#known.holds.map((hold) => ({ ...hold, lift: lifts.get(hold.hold) ?? null }));
  }

  place(wanted: WantedHold, legalBasis: string, reason: string, by: Person): Promise<HoldView> {
    return this.#alone(async () => {
      if (this.#known.holds.length >= MAX_HOLDS) throw new AccordError('HOLD_LIMIT', `${MAX_HOLDS} holds`);
      // What is under way counts as gone: a hold must not promise it.
      await this.#completeOpen();
      if (this.#known.open.length > 0) throw new AccordError('DESTRUCTION_UNDER_WAY');
      const hold = randomUUID();
      const scope = this.#scopeOf(hold, wanted);
      await this.#write('hold-placed', hold, encodeNote({ v: 1, hold, placed: by, scope, legalBasis, reason }));
      const placed = this.#known.hold(hold);
      if (placed === undefined) throw new TypeError('a hold that was written is known');
      return { ...placed, lift: null };
    });
  }

  lift(id: string, reason: string | null, by: Person): Promise<{ lifted: boolean }> {
    return this.#alone(async () => {
      if (this.#known.hold(id) === undefined) throw new AccordError('HOLD_UNKNOWN', id);
      const asked = this.#ports.store.all('lift').get(id);
      if (asked === undefined) {
        if (reason === null) throw new AccordError('SCHEMA_MISMATCH', '/reason says why the hold is over');
        this.#ports.store.put('lift', id, { requested: by, reason });
        return { lifted: false };
      }
      if (!areTwoPersons(asked.requested, by)) throw new AccordError('SAME_PERSON');
      await this.#write('hold-lifted', id, encodeNote({ v: 1, hold: id, ...asked, approved: by }));
      return { lifted: true };
    });
  }

  forgetAccesses(): Promise<void> {
    const beforeMs = this.#ports.clock.nowMs() - ACCESS_KEPT_DAYS * MS_PER_DAY;
    return forgetRows(beforeMs, this.#known.holds, this.#destroy);
  }

  overdueDays(): number {
    return this.#overdueDays;
  }

  waiting(): number {
    return [...this.#requests.keys()].filter((id) => this.destruction(id).state === 'waiting').length;
  }

  held(): number {
    return this.#known.holds.length;
  }

  underWay(): number {
    return this.#known.open.length;
  }

  async close(): Promise<void> {
    this.#logs.stop();
    await this.#looking;
    await this.#last;
    this.#ports.store.close();
  }

  /** One after the other. */
  #alone<T>(run: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(run, run);
    this.#last = mine.catch(() => {});
    return mine;
  }

  #blocked(): string[] {
    const lost = lostHolds(this.#known.holds, this.#ports.store).map(
      ({ hold }) => `whom hold ${hold} is about is lost`,
    );
    return [...this.#known.unread.map((origin) => `${origin} cannot be read`), ...lost];
  }

  /** @throws DESTRUCTION_HELD, DESTRUCTION_UNDER_WAY */
  async #mustBeFree(): Promise<void> {
    await this.#known.catchUp();
    const [why] = this.#blocked();
    if (why !== undefined) throw new AccordError('DESTRUCTION_HELD', why);
    await this.#completeOpen();
    if (this.#known.open.length > 0) throw new AccordError('DESTRUCTION_UNDER_WAY');
  }

  /** The tag and its salt are durable before the log says that they exist. */
  #scopeOf(hold: string, wanted: WantedHold): HeldScope {
    if (wanted.kind !== 'subject') return wanted;
    const tag = this.#ports.subjectTag({ scheme: wanted.scheme, value: wanted.value });
    const salt = base64url(randomBytes(SALT_BYTES));
    this.#ports.store.put('subject', hold, { tag, salt });
    return { kind: 'subject', commitment: subjectCommitment(tag, salt) };
  }

  async #write(kind: EntryKind, id: string, note: string): Promise<void> {
    const { log, configurationVersion } = this.#ports;
    const nothing = { peer: null, client: null, service: null, purpose: null, basis: null, code: null };
    const { seq } = await log.append({
      ...nothing,
      kind,
      id,
      decisionHash: null,
      configurationVersion: configurationVersion(),
      retention: DEFAULT_RETENTION,
      evidence: null,
      note,
      sealed: null,
    });
    const [entry] = this.#logs.entries(log.origin, [seq]);
    if (entry !== undefined) this.#known.take(log.origin, { entry, note: Buffer.from(note, 'utf8') });
  }

  async #begin(note: IntentNote): Promise<void> {
    await this.#write('destruction-intended', note.destruction, encodeNote(note));
    this.#ports.onStep?.('intended');
    const { destruction, requested, approved, legalBasis, days, records } = note;
    const persons = { requested: requested.name, approved: approved.name };
    this.#ports.logger.warn(
      { destruction, ...persons, legalBasis, days, records: records.length },
      'keys are destroyed',
    );
  }

  /** What cannot be completed now stays open, with an alarm. */
  async #completeOpen(): Promise<void> {
    const { store, onStep, logger } = this.#ports;
    for (const intent of this.#known.open) {
      const { destruction, days, except, records } = intent.note;
      try {
        await destroyKeys(intent, this.#destroy);
        onStep?.('keys');
        if ((await deleteRows(intent.note, this.#known.holds, this.#destroy)) > 0) {
          store.put('rest', destruction, { intent: { days, except, records } });
        }
        onStep?.('rows');
        await this.#write('destruction-done', destruction, doneNote(intent, this.#destroy));
        onStep?.('done');
      } catch (error) {
        if (!isAccordError(error) && !(error instanceof StoreError)) throw error;
        const detail = isAccordError(error) ? `${error.code} ${error.detail}` : error.message;
        logger.error({ alarm: 'DESTRUCTION_UNDER_WAY', destruction, detail }, 'alarm of retention');
      }
    }
  }

  /** What was put back from a copy, though a certificate says that it is gone. */
  async #destroyAgain(): Promise<void> {
    const { logger, wasRestored = false } = this.#ports;
    for (const { intent, done } of this.#known.all) {
      try {
        const areBack = done !== null && areKeysThere(intent.note, this.#destroy);
        if (done === null || !(areBack || wasRestored)) continue;
        const { destruction } = intent.note;
        if (areBack) logger.error({ alarm: 'RECORD_KEY_NOT_DESTROYED', destruction }, 'destroyed keys were put back');
        if (areBack) await destroyKeys(intent, this.#destroy);
        await deleteRows(intent.note, this.#known.holds, this.#destroy);
      } catch (error) {
        if (!isAccordError(error) && !(error instanceof StoreError)) throw error;
        logger.error({ alarm: 'RECORD_KEY_NOT_DESTROYED', err: error }, 'alarm of retention');
      }
    }
  }

  /** Rows that the law hid when their records went. */
  async #deleteRest(): Promise<void> {
    const { store } = this.#ports;
    for (const [id, { intent }] of store.all('rest')) {
      if ((await deleteRows(intent, this.#known.holds, this.#destroy)) === 0) store.remove('rest', id);
    }
  }

  /** What is due of classes that two persons made automatic. */
  async #destroyAutomatically(): Promise<void> {
    const { due, blocked } = await this.plan();
    if (blocked.length > 0) return;
    for (const retention of new Set(due.filter(({ automatic }) => automatic).map((row) => row.retention))) {
      const own = this.classes.all().get(retention);
      const persons = this.classes.approvedBy(retention);
      if (own === undefined || persons === null) continue;
      await this.#alone(async () => {
        await this.#mustBeFree();
        const days = due.filter((row) => row.retention === retention).map((row) => ({ ...row, records: 0 }));
        const scope = await intendedScope({ days, exchanges: [] }, this.#known.holds, this.#destroy);
        const { requested, approved } = persons;
        const reason = `the longest time of the class, ${own.days} days, is over`;
        const said = { rule: retention, legalBasis: own.legalBasis, reason };
        await this.#begin({ v: 1, destruction: randomUUID(), requested, approved, ...said, ...scope });
        await this.#completeOpen();
      }).catch((error: unknown) => {
        if (!isAccordError(error)) throw error;
        this.#ports.logger.error({ alarm: 'DESTRUCTION_OVERDUE', retention, detail: error.code }, 'alarm of retention');
      });
    }
  }

  async #judgeOverdue(): Promise<void> {
    const { due } = await this.plan();
    this.#overdueDays = Math.max(0, ...due.map(({ overdueDays }) => overdueDays));
    if (this.#overdueDays < DESTRUCTION_OVERDUE_DAYS) return;
    this.#ports.logger.error({ alarm: 'DESTRUCTION_OVERDUE', days: this.#overdueDays }, 'alarm of retention');
  }
}
