// The status lists as anybody may fetch them (draft-ietf-oauth-status-list section 8): one signed token per list, made anew
// every 5 s so that it stays young, and 0.1 s after a change. A withdrawal whose record is durable is in the token that is
// served at the latest 1 s later. A list says nothing about anybody: only who holds a receipt knows what its index means.
import type { FastifyInstance } from 'fastify';
import { sha256 } from '#certs/commitment.ts';
import type { NamedKey } from '#certs/registered-key.ts';
import { packStatuses, signStatusList } from '#certs/status-list.ts';
import type { Clock } from '#core/clock.ts';
import { STATUS_LIST_DELAY_MS, STATUS_LIST_INTERVAL_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { openStatusArchive } from './status-archive.ts';
import type { StatusBook } from './status-book.ts';

const DAY_MS = 86_400_000;
/** No reader takes a list this old (limits.ts, STATUS_MAX_AGE_MS); the token says so itself. */
const LIFETIME_MS = 120_000;
const MEDIA_TYPE = 'application/statuslist+jwt';
const LIST_ID = /^[A-Za-z0-9_-]{22}-[0-9]{1,3}$/;

interface Token {
  text: string;
  etag: string;
  /** What it says of its entries, as packed. */
  lst: string;
}

export interface StatusFilesOptions {
  book: StatusBook;
  key: NamedKey;
  clock: Clock;
  /** Folder of the archive. */
  archive: string;
  every(ms: number, run: () => void): () => void;
  onAlarm(what: string, error: unknown): void;
  /** After the tokens of these lists were made anew because of a change. */
  onServed?(lists: readonly string[]): void;
}

export interface StatusFiles {
  /** The token of a list, as it would be served now; undefined for none. */
  token(list: string): string | undefined;
  /** Statuses in these lists have changed. */
  changed(lists: readonly string[]): void;
  /** GET /status/{list} */
  addRoutes(app: FastifyInstance): void;
  close(): void;
}

export function openStatusFiles(options: StatusFilesOptions): StatusFiles {
  const { book, key, clock, every, onAlarm } = options;
  const archive = openStatusArchive(options.archive, onAlarm);
  const tokens = new Map<string, Token>();
  const packed = new Map<string, string>();
  const dirty = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let lastMs = 0;

  /** A list's time never goes back, whatever the clock does. */
  function nowMs(): number {
    lastMs = Math.max(lastMs, clock.nowMs());
    return lastMs;
  }

  function sign(only?: ReadonlySet<string>): void {
    const iatMs = nowMs();
    for (const { id, uri, statuses } of book.all()) {
      if (only !== undefined && !only.has(id)) continue;
      const lst = packed.get(id) ?? packStatuses(2, statuses);
      packed.set(id, lst);
      const order = { uri, iatMs, expMs: iatMs + LIFETIME_MS, ttlS: STATUS_LIST_INTERVAL_MS / 1000, lst };
      const text = signStatusList(order, key);
      const before = tokens.get(id);
      tokens.set(id, { text, etag: `"${sha256(text)}"`, lst });
      if (before?.lst !== lst) archive.keep(id, iatMs, text);
    }
  }

  function guarded(run: () => void): () => void {
    return () => {
      try {
        run();
      } catch (error) {
        onAlarm('a status list was not signed', error);
      }
    };
  }

  const signDirty = guarded(() => {
    timer = undefined;
    const lists = new Set(dirty);
    dirty.clear();
    sign(lists);
    options.onServed?.([...lists]);
  });
  sign();
  const stops = [
    every(
      STATUS_LIST_INTERVAL_MS,
      guarded(() => sign()),
    ),
    every(DAY_MS, () => archive.prune(nowMs())),
  ];
  return {
    token: (list) => tokens.get(list)?.text,
    changed(lists) {
      for (const list of lists) {
        packed.delete(list);
        dirty.add(list);
      }
      // A provider's first receipt may be used at once, and for a list that nobody serves yet it would be refused.
      const fresh = lists.filter((list) => !tokens.has(list));
      if (fresh.length > 0) guarded(() => sign(new Set(fresh)))();
      timer ??= setTimeout(signDirty, STATUS_LIST_DELAY_MS);
    },
    addRoutes(app) {
      serve(app, (list) => tokens.get(list));
    },
    close() {
      clearTimeout(timer);
      for (const stop of stops) stop();
    },
  };
}

function serve(app: FastifyInstance, tokenOf: (list: string) => Token | undefined): void {
  app.get<{ Params: { list: string } }>('/status/:list', async (request, reply) => {
    const { list } = request.params;
    const token = LIST_ID.test(list) ? tokenOf(list) : undefined;
    if (token === undefined) throw new AccordError('NOT_FOUND');
    reply.header('etag', token.etag).header('cache-control', 'no-cache').header('x-content-type-options', 'nosniff');
    const known = (request.headers['if-none-match'] ?? '').split(',').map((each) => each.trim());
    if (known.includes(token.etag)) return reply.code(304).send();
    return reply.type(MEDIA_TYPE).send(token.text);
  });
}
