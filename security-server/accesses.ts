// Who looked at whose data at this server (DESIGN: who may ask for what): one row for each request about a person, on
// every basis, refused ones too. The citizen it was about asks for them (provider/who-looked.ts), a consent service for
// the uses of its receipts (provider/receipt-uses.ts). What came of a request is not kept here: it stands in the message
// log, and is looked up there.
//
// A person is found by a keyed tag, and what tells about a request is sealed under a key derived from the storage key, so
// that the file alone names neither persons nor cases. Rows that are noted in one turn of the event loop are one
// transaction, as in the message log. A crash after a row and before its answer leaves a row that is under way for ever.
import { cipherKey, decipher, encipher } from '#certs/record-cipher.ts';
import { storageSubkeyOf } from '#certs/storage-key.ts';
import { TurnEnd } from '#core/turn-end.ts';
import type { Access } from '#schemas/accesses.ts';
import { parseJsonObject } from '#schemas/json.ts';
import { MAX_QUESTIONS_PER_HOUR, MAX_RELEASED_PATHS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

const HOUR_MS = 3_600_000;
/** Far more than can be under way at once (admission.ts). */
const MAX_WAITING = 8_192;

/** What is sealed of a row. */
type AccessDetails = Pick<
  Access,
  'client' | 'service' | 'operation' | 'purpose' | 'basis' | 'asked' | 'issue' | 'unit' | 'emergency'
>;

interface AccessFacts {
  /** Message id, and the server it came from: ids are unique for their sender only. */
  exchange: string;
  peer: string;
  /** Of the person (subject-tag.ts), and the subsystem that was asked. */
  tag: string;
  provider: string;
  atMs: number;
  /** Before this time it does not exist for the citizen. */
  visibleFromMs: number;
  isOwn: boolean;
  /** Number of the receipt it was asked on, and who issued it. */
  receipt: string | null;
  issuer: string | null;
  /** Retention class of the request's record: the row goes when its key does. */
  retention: string;
}

export interface NotedAccess extends AccessFacts, AccessDetails {}

export interface AccessRow extends AccessFacts {
  sealed: Buffer;
}

/** Of a row with a receipt: where it stands, and its exchange. */
export interface UnsettledUse {
  row: number;
  exchange: string;
  peer: string;
  atMs: number;
}

/** What has to be known of a row to judge whether it may be deleted. */
export interface ErasableAccess
  extends Pick<AccessFacts, 'exchange' | 'peer' | 'tag' | 'atMs' | 'visibleFromMs' | 'retention'> {
  row: number;
}

interface AccessWindow {
  tag: string;
  provider: string;
  /** Both ends belong to it. */
  fromMs: number;
  untilMs: number;
}

/** Where rows are kept; a change is durable when the call returns. */
export interface AccessStore {
  /** One transaction. A row that stands there already, by peer and exchange, stays as it is. */
  insert(rows: readonly AccessRow[]): void;
  /** Newest first; only what is visible at `nowMs`. */
  page(window: AccessWindow, nowMs: number, limit: number): AccessRow[];
  /** Rows of that exchange about that person, visible at `nowMs`; of several senders when their ids are the same. */
  about(tag: string, provider: string, exchange: string, nowMs: number): AccessRow[];
  /** Notes a citizen's question; false when it stood there already. */
  take(question: { provider: string; nonce: string; tag: string; atMs: number }): boolean;
  /** How many were taken of that person at that provider since then. */
  taken(tag: string, provider: string, sinceMs: number): number;
  /** Uses of the receipt whose outcome is not kept beside the row yet, ascending, behind row `after`. */
  unsettled(receipt: string, issuer: string, after: number, limit: number): UnsettledUse[];
  /** Keeps outcomes: `OK`, another code, or '' for one that was never answered. */
  settle(outcomes: readonly { row: number; code: string }[]): void;
  /** Uses with the outcome OK that are visible at `nowMs`. */
  uses(receipt: string, issuer: string, nowMs: number): { used: number; lastUsedAtMs: number } | null;
  /** Rows of the time [fromMs, beforeMs) behind a row, in order of time. */
  between(fromMs: number, beforeMs: number, after: { atMs: number; row: number }, limit: number): ErasableAccess[];
  ofExchange(exchange: { id: string; peer: string }): ErasableAccess[];
  /** Exchanges about a person. */
  exchangesOf(tag: string): { id: string; peer: string }[];
  /** Deletes these rows, also from the write-ahead log. */
  remove(rows: readonly number[]): void;
  forgetQuestions(beforeMs: number): void;
  close(): void;
}

export interface Accesses extends Omit<AccessStore, 'insert' | 'page' | 'about' | 'take' | 'taken'> {
  /** Resolves when durable. @throws ANSWER_NOT_LOGGED: nothing may be answered */
  note(access: NotedAccess): Promise<void>;
  page(window: AccessWindow, nowMs: number, limit: number): NotedAccess[];
  about(tag: string, provider: string, exchange: string, nowMs: number): NotedAccess[];
  /**
   * Takes a citizen's question, once for ever. Decided and noted in one turn, so that two that run side by side cannot
   * both be the first or the last.
   * @throws QUESTION_LIMIT
   */
  take(question: { provider: string; nonce: string; tag: string; atMs: number }): boolean;
}

interface Waiting {
  row: AccessRow;
  resolve: () => void;
  reject: (error: AccordError) => void;
}

/**
 * @param storageKey the server's, 32 bytes
 * @param onFault told when rows could not be written: until they can, no request about a person is answered
 */
export function openAccesses(
  store: AccessStore,
  storageKey: Buffer,
  onFault: (cause: unknown) => void = () => {},
): Accesses {
  const key = cipherKey(storageSubkeyOf(storageKey, 'accesses'));
  let waiting: Waiting[] = [];

  function seal(access: NotedAccess): AccessRow {
    const { exchange, peer, tag, provider, atMs, visibleFromMs, isOwn, receipt, issuer, retention, ...rest } = access;
    const facts = { exchange, peer, tag, provider, atMs, visibleFromMs, isOwn, receipt, issuer, retention };
    return { ...facts, sealed: encipher(key, label(facts), Buffer.from(JSON.stringify(rest), 'utf8')) };
  }

  /** @throws RECORD_UNREADABLE */
  function unseal({ sealed, ...facts }: AccessRow): NotedAccess {
    const plain = decipher(key, label(facts), sealed);
    if (plain === null) throw new AccordError('RECORD_UNREADABLE', `access ${facts.exchange}`);
    const limits = { maxDepth: 3, maxValues: MAX_RELEASED_PATHS + 32 };
    return { ...facts, ...(parseJsonObject(plain, limits) as unknown as AccessDetails) };
  }

  function flush(): void {
    const now = waiting;
    waiting = [];
    if (now.length === 0) return;
    try {
      store.insert(now.map(({ row }) => row));
    } catch (cause) {
      onFault(cause);
      const refusal = new AccordError('ANSWER_NOT_LOGGED', 'who looked could not be noted', { cause });
      for (const { reject } of now) reject(refusal);
      return;
    }
    for (const { resolve } of now) resolve();
  }

  const turn = new TurnEnd(flush);
  return {
    note: (access) =>
      new Promise((resolve, reject) => {
        if (waiting.length >= MAX_WAITING) throw new AccordError('ANSWER_NOT_LOGGED', 'too many rows wait');
        waiting.push({ row: seal(access), resolve, reject });
        turn.add();
      }),
    page: (window, nowMs, limit) => store.page(window, nowMs, limit).map(unseal),
    about: (tag, provider, exchange, nowMs) => store.about(tag, provider, exchange, nowMs).map(unseal),
    take(question) {
      const { tag, provider, atMs } = question;
      if (store.taken(tag, provider, atMs - HOUR_MS) >= MAX_QUESTIONS_PER_HOUR) throw new AccordError('QUESTION_LIMIT');
      return store.take(question);
    },
    unsettled: store.unsettled,
    settle: store.settle,
    uses: store.uses,
    between: store.between,
    ofExchange: store.ofExchange,
    exchangesOf: store.exchangesOf,
    remove: store.remove,
    // For as long as the limit looks back, which is longer than a question is good for.
    forgetQuestions: (nowMs) => store.forgetQuestions(nowMs - HOUR_MS),
    close() {
      flush();
      store.close();
    },
  };
}

/** Binds what is sealed to its row, so that one person's row cannot be given another's content. */
function label({ exchange, peer, tag, provider, receipt }: AccessFacts): Buffer {
  return Buffer.from(['accord-access/1', peer, exchange, tag, provider, receipt ?? ''].join('\0'));
}
