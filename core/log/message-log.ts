// The message log of one security server (DESIGN: the message log): append with group commit, replay claims, signed
// checkpoints, recovery. An append resolves when the transaction that holds it is durable, never earlier; everything
// appended in one turn of the event loop is one transaction. When the disk fails nothing is acknowledged any more: a
// full disk is left again without a restart once a test write succeeds and the disk holds exactly what memory says;
// after any other error only a restart can tell what was kept.
import type { KeyObject } from 'node:crypto';
import { rawEd25519PublicKey } from '#certs/ed25519.ts';
import { consistencyProof, type Frontier, inclusionProof } from '#certs/merkle.ts';
import { type Clock, everyUnref } from '#core/clock.ts';
import { messageIdTimeMs } from '#core/message-id.ts';
import { TurnEnd } from '#core/turn-end.ts';
import { base64url } from '#schemas/base64url.ts';
import { AccordError, type ProblemCode } from '#schemas/problems.ts';
import { Checkpointer, type SignedCheckpoint } from './checkpointer.ts';
import { type LogErasure, logErasure } from './erasure.ts';
import type { NewRecord, RecordView } from './record.ts';
import { MS_PER_DAY, type RecordKeys } from './record-keys.ts';
import { openRecordKeysSqlite } from './record-keys-sqlite.ts';
import { openRecord, type SealedParts } from './sealed-record.ts';
import { viewRecord } from './show.ts';
import { formatVerifierKey, noteVerifier } from './signed-note.ts';
import { recoverLog } from './start.ts';
import { alarmOfLostKeys, openedAnewAtMs } from './start-history.ts';
import { StatusAnswers } from './status-answers.ts';
import { type LogStore, StoreError } from './store.ts';
import { openLogStoreSqlite } from './store-sqlite.ts';
import { type Appended, draftTurn, sealTurn, type Waiting } from './turn.ts';

export type { NewRecord, RecordView } from './record.ts';
export type { Appended } from './turn.ts';

/** After a restore, requests older than the restore plus this are refused: their claims may be lost. */
const RESTORE_GUARD_MS = 10 * 60_000;
const TICK_MS = 1_000;
/** Expired claims forgotten in one tick; more than a server can make in one. */
const MAX_PURGED_CLAIMS = 10_000;
const MAX_FOUND = 100;
const MAX_READ = 1_000;
const DEFAULT_MAX_WAITING = 4_096;

type LogState = { ok: true } | { ok: false; code: ProblemCode; detail: string };

export interface MessageLog {
  readonly origin: string;
  /** Verifier key of the checkpoints, C2SP text form. */
  readonly verifierKey: string;
  /**
   * Requests stated before this time are refused after a restore, and in a log that follows another; 0 otherwise.
   * Milliseconds since the epoch.
   */
  readonly refuseBeforeMs: number;
  /** Resolves when durable. @throws LOG_BUSY, LOG_UNAVAILABLE (nothing may be sent), TypeError, LOG_ENTRY_MALFORMED */
  append(record: NewRecord): Promise<Appended>;
  /**
   * Durably uses up an id, so that a delayed original cannot run; `replay` names the record that was first.
   * @throws LOG_HISTORY_MISSING for an id from before `refuseBeforeMs`, and as `append`
   */
  claimVoid(from: string, id: string, untilMs: number, configurationVersion: number): Promise<Appended>;
  /** Records of an exchange id, newest first, at most the 50 newest and the 50 oldest; of one peer unless `from` is null. */
  find(from: string | null, id: string): RecordView[];
  /** The sealed parts, or null when there are none here or their key was destroyed. @throws RECORD_UNREADABLE */
  readSealed(seq: number): SealedParts | null;
  /** At most 1,000 records from `fromSeq` on. */
  read(fromSeq: number, limit: number): RecordView[];
  size(): number;
  /** Time of the newest entry, 0 in an empty log: no time before it is the present, whatever the clock says. */
  newestMs(): number;
  /** Root over all durable entries, base64url. */
  root(): string;
  /** The last published one. */
  checkpoint(): SignedCheckpoint;
  /** Publishes one now if the log grew since the last. @throws LOG_UNAVAILABLE when it cannot be written */
  publishCheckpoint(): SignedCheckpoint;
  /** base64url hashes, RFC 9162. @throws RangeError */
  inclusionProof(seq: number, size: number): string[];
  consistencyProof(first: number, second: number): string[];
  /** Destroys keys of sealed records, and finds what to destroy. */
  readonly erasure: LogErasure;
  /** Of the entries before this one, what lies beside them was moved to the archive (store.ts). */
  archivedUntil(): number;
  /** Lets go of some more of what the entry `archived` at `entrySeq` names; how far it came. @throws LOG_UNAVAILABLE, StoreError */
  releaseArchived(entrySeq: number, until: number): number;
  state(): LogState;
  /** Writes what waits, publishes a checkpoint, lets go of the lock. */
  close(): Promise<void>;
}

export interface MessageLogPorts {
  store: LogStore;
  keys: RecordKeys;
  /** The last signed checkpoint; kept apart and never restored from a backup. */
  checkpointFile: string;
  origin: string;
  /** Ed25519, private. */
  checkpointKey: KeyObject;
  clock: Clock;
  limits?: { maxWaiting?: number };
  /** When the data folder was restored from a backup, if it was. */
  restoredAtMs?: number;
  onAlarm?: (code: ProblemCode, detail: string) => void;
  /** Runs `run` again and again; returns how to stop. The default does not keep the process alive. */
  every?: (ms: number, run: () => void) => () => void;
}

export type MessageLogOptions = Omit<MessageLogPorts, 'store' | 'keys'> & {
  folder: string;
  keyFolder: string;
  /** 32 bytes; wraps the class-day keys. */
  storageKey: Buffer;
  limits?: { maxWaiting?: number; maxPages?: number };
};

/** Opens, or makes, the log of a server on SQLite. @throws LOG_IN_USE, RECORD_KEYS_WRONG, and what `recoverLog` throws */
export async function openMessageLog(options: MessageLogOptions): Promise<MessageLog> {
  const store = openLogStoreSqlite(options.folder);
  let keys: RecordKeys | undefined;
  try {
    if (options.limits?.maxPages !== undefined) store.limitPages(options.limits.maxPages);
    keys = openRecordKeysSqlite(options.keyFolder, options.storageKey);
    return startMessageLog({ ...options, store, keys });
  } catch (error) {
    keys?.close();
    store.close();
    throw error;
  }
}

/** Starts a log over a store and a key store that are already open. @throws LOG_DISK_FULL, LOG_IO_FAILED, as `recoverLog` */
export function startMessageLog(ports: MessageLogPorts): MessageLog {
  const verifier = noteVerifier(ports.origin, rawEd25519PublicKey(ports.checkpointKey));
  const { checkpointer, recovered } = started(() => {
    const recovered = recoverLog(ports.store, ports.checkpointFile, verifier);
    const checkpointer = new Checkpointer({ ...ports, verifier }, recovered.published);
    if (checkpointer.hasGrown(recovered.frontier)) checkpointer.publish(recovered.frontier);
    return { checkpointer, recovered };
  });
  alarmOfLostKeys(ports.store, ports.keys, ports.onAlarm);
  return new Log(ports, checkpointer, recovered, formatVerifierKey(verifier));
}

function started<T>(start: () => T): T {
  try {
    return start();
  } catch (cause) {
    if (cause instanceof AccordError || cause instanceof TypeError) throw cause;
    const isFull = cause instanceof StoreError && cause.kind === 'full';
    const detail = cause instanceof Error ? cause.message : '';
    throw new AccordError(isFull ? 'LOG_DISK_FULL' : 'LOG_IO_FAILED', detail, { cause });
  }
}

class Log implements MessageLog {
  readonly origin: string;
  readonly verifierKey: string;
  readonly refuseBeforeMs: number;
  readonly erasure: LogErasure;
  readonly #ports: MessageLogPorts;
  readonly #store: LogStore;
  readonly #checkpointer: Checkpointer;
  readonly #answers: StatusAnswers;
  readonly #maxWaiting: number;
  readonly #began: { wallMs: number; monotonicMs: number };
  readonly #stopTicking: () => void;
  #frontier: Frontier;
  #lastMs: number;
  #waiting: Waiting[] = [];
  readonly #turn = new TurnEnd(() => this.#flush());
  #state: LogState = { ok: true };

  constructor(
    ports: MessageLogPorts,
    checkpointer: Checkpointer,
    recovered: { frontier: Frontier; lastMs: number },
    verifierKey: string,
  ) {
    this.origin = ports.origin;
    this.verifierKey = verifierKey;
    const beganMs = Math.max(ports.restoredAtMs ?? 0, openedAnewAtMs(ports.store));
    this.refuseBeforeMs = beganMs === 0 ? 0 : beganMs + RESTORE_GUARD_MS;
    this.#ports = ports;
    this.erasure = logErasure(ports.keys);
    this.#store = ports.store;
    this.#checkpointer = checkpointer;
    this.#answers = new StatusAnswers((id) => ports.store.linesOf(id, 1).length > 0);
    this.#began = { wallMs: ports.clock.nowMs(), monotonicMs: ports.clock.monotonicMs() };
    this.#maxWaiting = ports.limits?.maxWaiting ?? DEFAULT_MAX_WAITING;
    this.#frontier = recovered.frontier;
    this.#lastMs = recovered.lastMs;
    this.#stopTicking = (ports.every ?? everyUnref)(TICK_MS, () => this.#tick());
  }

  append(record: NewRecord): Promise<Appended> {
    return new Promise((resolve, reject) => {
      if (!this.#state.ok) throw this.#unavailable();
      if (this.#waiting.length >= this.#maxWaiting) throw new AccordError('LOG_BUSY');
      const answer = this.#answers.before(record);
      if (answer !== null) {
        const forget = () => this.#answers.forget(record.answer);
        this.#wait(answer, () => {}, forget);
      }
      this.#wait(record, resolve, reject);
    });
  }

  #wait(record: NewRecord, resolve: (appended: Appended) => void, reject: (error: unknown) => void): void {
    this.#waiting.push({ record, resolve, reject });
    this.#turn.add();
  }

  async claimVoid(from: string, id: string, untilMs: number, configurationVersion: number): Promise<Appended> {
    // It may have run, and its record be in the log before this one or lost: then nobody can say that it is void.
    if (messageIdTimeMs(id) < this.refuseBeforeMs) throw new AccordError('LOG_HISTORY_MISSING', id);
    const nothing = { client: null, service: null, purpose: null, basis: null, code: null, decisionHash: null };
    return this.append({
      ...nothing,
      kind: 'void',
      id,
      peer: from,
      configurationVersion,
      retention: 'standard',
      evidence: null,
      sealed: null,
      claim: { from, id, untilMs },
    });
  }

  find(from: string | null, id: string): RecordView[] {
    const found = this.#store.linesOf(id, MAX_FOUND).map((row) => viewRecord(this.#store, row));
    return found.filter(({ entry }) => from === null || entry.peer === from);
  }

  read(fromSeq: number, limit: number): RecordView[] {
    return this.#store.lines(fromSeq, Math.min(limit, MAX_READ)).map((row) => viewRecord(this.#store, row));
  }

  readSealed(seq: number): SealedParts | null {
    const sealed = this.#store.sealed(seq);
    const leaf = this.#store.lines(seq, 1)[0]?.leaf;
    if (sealed === null || leaf === undefined || seq < this.archivedUntil()) return null;
    const key = this.#ports.keys.open(sealed.keyId);
    return key === null ? null : openRecord(sealed.bytes, key, this.origin, leaf);
  }

  newestMs(): number {
    return this.#lastMs;
  }

  size(): number {
    return this.#frontier.size;
  }

  root(): string {
    return base64url(this.#frontier.root());
  }

  checkpoint(): SignedCheckpoint {
    return this.#checkpointer.published;
  }

  publishCheckpoint(): SignedCheckpoint {
    if (this.#state.ok && this.#checkpointer.hasGrown(this.#frontier)) this.#publish();
    if (!this.#state.ok) throw this.#unavailable();
    return this.checkpoint();
  }

  archivedUntil(): number {
    return this.#store.archivedUntil();
  }

  releaseArchived(entrySeq: number, until: number): number {
    if (!this.#state.ok) throw this.#unavailable();
    return this.#store.release(entrySeq, until);
  }

  inclusionProof(seq: number, size: number): string[] {
    this.#checkSize(size);
    return inclusionProof(seq, size, this.#store.subtree).map(base64url);
  }

  consistencyProof(first: number, second: number): string[] {
    this.#checkSize(second);
    return consistencyProof(first, second, this.#store.subtree).map(base64url);
  }

  state(): LogState {
    return this.#state;
  }

  async close(): Promise<void> {
    if (!this.#state.ok && this.#state.code === 'LOG_CLOSED') return;
    this.#stopTicking();
    this.#flush();
    if (this.#state.ok && this.#checkpointer.hasGrown(this.#frontier)) this.#publish();
    this.#state = { ok: false, code: 'LOG_CLOSED', detail: '' };
    this.#ports.keys.close();
    this.#store.close();
  }

  #checkSize(size: number): void {
    if (size > this.#frontier.size) throw new RangeError(`the log has ${this.#frontier.size} entries, not ${size}`);
  }

  /** One turn's records: one transaction. Promises settle only after it is durable. */
  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length === 0) return;
    const settle: (() => void)[] = [];
    try {
      if (!this.#state.ok) throw this.#unavailable();
      this.#commit(waiting, settle);
    } catch (error) {
      if (this.#state.ok) this.#stop(error);
      const refusal = this.#unavailable();
      for (const { reject } of waiting) reject(refusal);
      return;
    }
    for (const done of settle) done();
  }

  #commit(waiting: readonly Waiting[], settle: (() => void)[]): void {
    const atMs = Math.max(this.#lastMs, this.#ports.clock.nowMs());
    const { drafts, tiles, frontier } = draftTurn(waiting, this.#frontier, atMs, this.#store, settle);
    if (drafts.length > 0) {
      // The keys are durable before the log row is written: see record-keys.ts for a crash in between.
      const rows = sealTurn(drafts, this.#ports.keys, Math.floor(atMs / MS_PER_DAY), this.origin);
      this.#store.append(rows, tiles);
    }
    this.#frontier = frontier;
    this.#lastMs = atMs;
  }

  #unavailable(): AccordError {
    return new AccordError('LOG_UNAVAILABLE', this.#state.ok ? 'try again' : this.#state.code);
  }

  /** Decides what an error means for the records to come (store.ts: full, busy, failed). */
  #stop(error: unknown): void {
    const kind = error instanceof StoreError ? error.kind : 'failed';
    const detail = error instanceof Error ? error.message : String(error);
    const code = { busy: 'LOG_UNAVAILABLE', full: 'LOG_DISK_FULL', failed: 'LOG_IO_FAILED' } as const;
    // Busy passes: nothing was kept, and the next turn tries again.
    if (kind !== 'busy') this.#state = { ok: false, code: code[kind], detail };
    this.#ports.onAlarm?.(code[kind], detail);
  }

  #tick(): void {
    try {
      if (!this.#state.ok && this.#state.code === 'LOG_DISK_FULL') this.#leaveFullDisk();
      if (!this.#state.ok) return;
      if (this.#checkpointer.isDue(this.#frontier)) this.#publish();
      this.#store.purgeClaims(this.#claimsOverMs(), MAX_PURGED_CLAIMS);
    } catch (error) {
      this.#stop(error);
    }
  }

  /** A clock that jumps ahead and comes back must not make claims forgotten meanwhile: the time since the start counts. */
  #claimsOverMs(): number {
    const { clock } = this.#ports;
    return Math.min(clock.nowMs(), this.#began.wallMs + clock.monotonicMs() - this.#began.monotonicMs);
  }

  #publish(): void {
    try {
      this.#checkpointer.publish(this.#frontier);
    } catch (error) {
      this.#stop(error);
    }
  }

  /** Goes on after a full disk only when the disk takes a write again and holds exactly what memory says. */
  #leaveFullDisk(): void {
    try {
      this.#store.probe();
      this.#ports.keys.probe();
      this.#checkpointer.probe();
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind === 'failed') this.#stop(error);
      return;
    }
    const verifier = noteVerifier(this.origin, rawEd25519PublicKey(this.#ports.checkpointKey));
    const { frontier } = recoverLog(this.#store, this.#ports.checkpointFile, verifier);
    if (frontier.size !== this.#frontier.size || !frontier.root().equals(this.#frontier.root())) {
      this.#stop(new Error('after a full disk the log is not what was acknowledged'));
      return;
    }
    this.#state = { ok: true };
  }
}
