// The typed client that a department's own backend uses to ask through its security server (POST /lookups). It adds no
// protocol of its own: one call is one lookup, and an error says whether the other department may have worked on it.
//
//   const accord = openAccord({ url: 'https://security-server.intern:8443', client: 'GX/GOV/1001/benefits', tls });
//   const answer = await accord.lookup({ service: 'GX/GOV/2002/civil/residents', path: '/residents/…', basis: 'law' });
//
// The department's own security server controls the answers; they are capped and checked all the same.

import { type BoundedResponse, openClient } from '#core/http/client.ts';
import type { ClientTls } from '#core/http/connect.ts';
import { checkRequestDigest, type RequestDigest } from '#schemas/evidence.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from '#schemas/json.ts';
import { AccordError, isAccordError, PROBLEMS } from '#schemas/problems.ts';
import { Release } from '#schemas/release.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import {
  type Catalogue,
  type CatalogueEntry,
  type CatalogueSearch,
  checkCatalogue,
  checkCatalogueEntry,
  checkDoubt,
  checkEffective,
  type Doubt,
  type DoubtedValue,
  type EffectiveAnswer,
} from './client-dictionary.ts';

export interface Lookup {
  /** INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE. Left out, `elements` and `subject` find the authority's service. */
  service?: string;
  /** Default GET, with a body POST. */
  method?: string;
  /** Behind the service, as it will reach the other department's backend, percent-encoded; or give a `subject`. */
  path?: string;
  /** Without the question mark, percent-encoded; or names and values, which are encoded here. */
  query?: string | Readonly<Record<string, string | number | boolean>>;
  headers?: Readonly<Record<string, string>>;
  /** A JSON value, or bytes. */
  body?: JsonValue | Uint8Array;
  /** Media type of the body; default application/json, or application/octet-stream for bytes. */
  contentType?: string;
  /** What is asked of a bound service: paths of the answer, elements (`id@major`) or predicates. */
  fields?: readonly string[];
  /** The same by elements and predicates alone, where the service is to be found. */
  elements?: readonly string[];
  /** Whom it is about, and the element that says which kind of identifier it is. */
  subject?: { scheme: string; value: string };
  /** On the basis of consent: the receipt. It says which service, for what, and about whom. */
  receipt?: string;
  /** What is not permitted may be left out; the answer's `release.omitted` names it. */
  partial?: boolean;
  /** The day for which it is asked, YYYY-MM-DD; services that answer for the present only refuse it. */
  asOf?: string;
  purpose?: string;
  basis?: 'open' | 'law' | 'consent' | 'emergency';
  /** On the basis of law the official's token for this request (`digest`), of emergency the tokens of both officials. */
  evidence?: readonly string[];
  /** The day from which the citizen is shown the lookup, YYYY-MM-DD, where the access right allows to delay it. */
  hiddenUntil?: string;
  /** The official who asks. */
  userId?: string;
  /** The case the lookup belongs to. */
  issue?: string;
}

export type Outcome = Static<typeof OutcomeSchema>;
const OutcomeSchema = Type.Union([
  Type.Literal('ok'),
  Type.Literal('refused'),
  Type.Literal('not-sent'),
  Type.Literal('provider-error'),
  Type.Literal('unknown'),
]);

const Text = Type.String({ maxLength: 512 });
/** Members that a newer security server adds are let through. */
const LookupAnswerSchema = Type.Object({
  id: Text,
  requestId: Type.Optional(Text),
  outcome: OutcomeSchema,
  status: Type.Integer({ minimum: 100, maximum: 599 }),
  headers: Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String())])),
  body: Type.Unsafe<JsonValue>(Type.Unknown()),
  bodyEncoding: Type.Optional(Type.Literal('base64')),
  /** Answers of a bound service: what was released, what each value is worth, results of predicates. */
  release: Type.Optional(Release),
  evidence: Type.Object({
    requestHash: Type.Optional(Text),
    log: Type.Optional(Type.Object({ origin: Text, index: Type.Integer({ minimum: 0 }) })),
  }),
});
const checkAnswer = compile(LookupAnswerSchema, 'SCHEMA_MISMATCH');

const SettlementSchema = Type.Object({
  id: Text,
  state: Type.Union([
    Type.Literal('answered'),
    Type.Literal('received'),
    Type.Literal('void'),
    Type.Literal('unknown'),
  ]),
  code: Text,
  answer: Type.Optional(Type.Unsafe<LookupAnswer & { code?: string }>(LookupAnswerSchema)),
});
const checkSettlement = compile(SettlementSchema, 'SCHEMA_MISMATCH');

/**
 * What became of a lookup whose outcome was `unknown`. `answered`: here is the answer, also when it is a refusal.
 * `received`: the other department has the request and no answer to it. `void`: it never ran and never will.
 * `unknown`: the other department could not be asked; ask again later.
 */
type Settlement = Static<typeof SettlementSchema>;

/** `body` is the JSON value that the department answered, or base64 text when `bodyEncoding` says so. */
export type LookupAnswer = Static<typeof LookupAnswerSchema>;

/** A lookup without an answer. `outcome` tells whether the other department may have worked on it. */
export class AccordClientError extends Error {
  /** Stable, from the problem document or from this side of the connection (PEER_UNREACHABLE and the like). */
  readonly code: string;
  readonly outcome: Outcome;
  /** HTTP status of the security server's answer; undefined when there was none. */
  readonly status: number | undefined;
  /** What to do next, in a sentence. */
  readonly next: string;
  /** The whole problem document, where there was one. */
  readonly problem: JsonObject | undefined;

  constructor(
    code: string,
    outcome: Outcome,
    about: { status?: number; next?: string; detail?: string; problem?: JsonObject },
  ) {
    super(about.detail === undefined || about.detail === '' ? code : `${code}: ${about.detail}`);
    this.name = 'AccordClientError';
    this.code = code;
    this.outcome = outcome;
    this.status = about.status;
    this.next = about.next ?? '';
    this.problem = about.problem;
  }
}

export interface AccordOptions {
  /** The security server's address for information systems, e.g. https://security-server.intern:8443 */
  url: string;
  /** The own subsystem, INSTANCE/CLASS/MEMBER/SUBSYSTEM. */
  client: string;
  /** PEM: the security server's anchor, and the own certificate and key. */
  tls?: Pick<ClientTls, 'ca' | 'cert' | 'key'>;
  timeoutMs?: number;
  maxResponseBytes?: number;
  /** How often a lookup whose outcome is `not-sent` is sent again, and how long to wait before. Default: never. */
  retryNotSent?: { times: number; delayMs: number };
}

export interface Accord {
  /** @throws AccordClientError */
  lookup(lookup: Lookup): Promise<LookupAnswer>;
  /** What would be released of a lookup, without it taking place: nothing is counted, nobody is asked. @throws AccordClientError */
  effectiveAccess(lookup: Lookup): Promise<EffectiveAnswer>;
  /** What a token of the official for this lookup has to say; nothing is sent to anybody. @throws AccordClientError */
  digest(lookup: Lookup): Promise<RequestDigest>;
  /** Settles a lookup by its id. @throws AccordClientError */
  settle(id: string): Promise<Settlement>;
  /** Says that a received value may be wrong; the same report again finds the first. @throws AccordClientError */
  reportDoubt(value: DoubtedValue): Promise<Doubt>;
  /** What became of an own report. @throws AccordClientError */
  doubt(id: string, service: string): Promise<Doubt>;
  /** Which elements and predicates there are, and who gives them; an empty text lists all. @throws AccordClientError */
  catalogue(text: string, search?: CatalogueSearch): Promise<Catalogue>;
  /** @param ref `id@major` @throws AccordClientError */
  catalogueEntry(ref: string): Promise<CatalogueEntry>;
  /** Lets running lookups end. */
  close(): Promise<void>;
}

/** Nothing is connected before the first lookup. Throws TypeError when `url` is not an http or https address. */
export function openAccord(options: AccordOptions): Accord {
  const url = new URL(options.url);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new TypeError('url is an http or https address');
  }
  const base = url.pathname.replace(/\/$/, '');
  const lookups = `${base}/lookups`;
  const http = openClient({
    timeoutMs: options.timeoutMs ?? 60_000,
    maxResponseBytes: options.maxResponseBytes ?? 2 * 1024 * 1024,
  });

  async function send<T>(
    method: 'GET' | 'POST',
    path: string,
    check: (answer: unknown) => T,
    value?: object,
  ): Promise<T> {
    const headers: [string, string][] = [['accept', 'application/json, application/problem+json']];
    const body = value === undefined ? undefined : Buffer.from(JSON.stringify(value));
    if (body !== undefined) headers.push(['content-type', 'application/json']);
    const { tls } = options;
    const request = { origin: url.origin, path, method, headers, ...(body && { body }), ...(tls && { tls }) };
    try {
      return answerOf(await http.request(request), check);
    } catch (error) {
      throw isAccordError(error) ? ownSide(error) : error;
    }
  }
  const { client } = options;

  return {
    async lookup(lookup) {
      const value = { client, ...wireForm(lookup) };
      for (let left = options.retryNotSent?.times ?? 0; ; left -= 1) {
        try {
          return await send('POST', lookups, checkAnswer, value);
        } catch (error) {
          if (left <= 0 || !(error instanceof AccordClientError) || error.outcome !== 'not-sent') {
            throw error;
          }
          await new Promise((resolve) => setTimeout(resolve, options.retryNotSent?.delayMs));
        }
      }
    },
    effectiveAccess: (lookup) =>
      send('POST', `${lookups}/effective-access`, checkEffective, { client, ...wireForm(lookup) }),
    digest: (lookup) => send('POST', `${lookups}/digest`, checkRequestDigest, { client, ...wireForm(lookup) }),
    settle: (id) => send('POST', `${lookups}/${encodeURIComponent(id)}/settle`, checkSettlement),
    reportDoubt: (value) => send('POST', `${base}/doubts`, checkDoubt, { client, ...value }),
    doubt: (id, service) =>
      send('GET', `${base}/doubts/${encodeURIComponent(id)}?${encodeQuery({ client, service })}`, checkDoubt),
    catalogue: (text, search = {}) =>
      send('GET', `${base}/catalogue?${encodeQuery({ q: text, ...search })}`, checkCatalogue),
    catalogueEntry: (ref) => send('GET', `${base}/catalogue/${encodeURIComponent(ref)}`, checkCatalogueEntry),
    close: () => http.close(),
  };
}

function wireForm({ query, body, ...rest }: Lookup): object {
  const encoded = typeof query === 'string' || query === undefined ? query : encodeQuery(query);
  return {
    ...rest,
    ...(encoded === undefined ? {} : { query: encoded }),
    ...(body instanceof Uint8Array ? { body: Buffer.from(body).toString('base64'), bodyEncoding: 'base64' } : { body }),
  };
}

/** Spaces as %20: the exchange and every backend read that in one way. */
function encodeQuery(query: Readonly<Record<string, string | number | boolean>>): string {
  return Object.entries(query)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
    .join('&');
}

function answerOf<T>({ status, headers, body }: BoundedResponse, check: (answer: unknown) => T): T {
  const type = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
  if (status >= 200 && status < 300 && /^application\/json(?:\s*;|$)/.test(type)) {
    return check(parseJsonObject(body, { maxBytes: Number.MAX_SAFE_INTEGER, safeIntegers: false }));
  }
  if (!type.startsWith('application/problem+json')) {
    throw new AccordError(
      'SCHEMA_MISMATCH',
      `the security server answered ${status} with ${type.slice(0, 100) || 'no type'}`,
    );
  }
  const problem = parseJsonObject(body);
  const text = (name: string) => (typeof problem[name] === 'string' ? problem[name] : '');
  throw new AccordClientError(text('code') || 'INTERNAL', outcomeOf(problem, status), {
    status,
    next: text('next'),
    detail: text('detail') || text('title'),
    problem,
  });
}

/** What the document says; without a word in it, a 4xx was refused before anything was sent, and a 5xx leaves it open. */
function outcomeOf(problem: JsonValue, status: number): Outcome {
  const stated = isJsonObject(problem) ? problem['outcome'] : undefined;
  const known = OutcomeSchema.anyOf.map((one) => one.const).find((one) => one === stated);
  return known ?? (status < 500 ? 'refused' : 'unknown');
}

function ownSide(error: AccordError): AccordClientError {
  const outcome = error.code === 'PEER_UNREACHABLE' ? 'not-sent' : 'unknown';
  return new AccordClientError(error.code, outcome, { next: PROBLEMS[error.code].next, detail: error.detail });
}
