// Campaign `paths`: the authorised string is the forwarded string. Paths and queries go through the real face for X-Road's
// protocol and two real servers, over raw sockets; most of them through the same readers, decision and call of the backend
// without the envelope between. Compared byte for byte: what the archive says was decided on, what was signed, and what a
// backend received that keeps the first line of each request. What was refused never arrives, and what arrives has one
// reading (paths-oracle.ts).
import { type BoundedClient, openClient } from '#core/http/client.ts';
import { archiveDecision, decide } from '#policy/decide.ts';
import type { DecisionInputs } from '#policy/decision-inputs.ts';
import type { AccessRight } from '#schemas/access-right.ts';
import { BARE_REQUEST, encodeRequestContext, parseRequestContext } from '#schemas/context.ts';
import { isAccordError } from '#schemas/problems.ts';
import { isReserved, servicePath, serviceQuery } from '#schemas/service-path.ts';
import type { Statement } from '#schemas/statement.ts';
import { randomFrom } from '#scripts/demo/random.ts';
import { callBackend } from '#security-server/provider/backend.ts';
import { readTarget } from '#security-server/xroad/target.ts';
import type { Campaign, CampaignResult, CampaignRun } from './campaign.ts';
import { accessRight, CLIENT, openPair, type Pair, SERVICE } from './pair.ts';
import { type LineBackend, openLineBackend } from './paths-backend.ts';
import { makePath, naughtyStrings, type PathCase } from './paths-cases.ts';
import { isBeyondRules, otherReading, RULES } from './paths-oracle.ts';
import { openRawConnection, type RawAnswer } from './paths-sockets.ts';

/** Parts that are worse than the real ones. */
export interface BrokenPaths {
  /** The client that asks backends; e.g. one that normalises what it is given. */
  backends?: (real: BoundedClient) => BoundedClient;
  /** The reader of targets. Where the envelope is left out only. */
  readTarget?: typeof readTarget;
}

interface Counts {
  sockets: number;
  forwarded: number;
  refused: number;
  denied: number;
  naughty: number;
}

interface Tried {
  seed: number;
  one: PathCase;
}

/** What was decided on and sent; null when nothing may arrive. */
interface Decided {
  path: string;
  query: string | null;
}

const NAUGHTY = '../shared/vectors/blns/blns.json';
const AT_ONCE = 12;
const right = (): AccessRight =>
  accessRight({
    endpoints: RULES.map(({ method, glob: path }) => ({ method, path }) as AccessRight['endpoints'][number]),
  });

async function run({ size, seed, broken = {}, say }: CampaignRun<BrokenPaths>): Promise<CampaignResult> {
  const naughty = naughtyStrings(NAUGHTY);
  const counts: Counts = { sockets: 0, forwarded: 0, refused: 0, denied: 0, naughty: naughty.length };
  const found: string[] = [];
  let failures = 0;
  const note = ({ seed: of, one }: Tried, wrong: string | null) => {
    if (wrong === null) return;
    failures += 1;
    if (found.length < 20) found.push(`seed ${of}: ${wrong}: ${one.method} ${JSON.stringify(one.tail)}`);
  };
  const backend = await openLineBackend();
  try {
    // Real exchanges take hundreds of times as long; a few cases are not worth two servers.
    const overSockets = size < 500 ? 0 : Math.max(Math.ceil(size / 45), Math.min(Math.floor(size / 10), 200));
    const inProcess = size - overSockets;
    say?.(`${overSockets} over sockets, ${inProcess} without the envelope, ${naughty.length} naughty strings`);
    const tries = (from: number, count: number): Tried[] =>
      Array.from({ length: count }, (_, at) => ({ seed: from + at, one: makePath(randomFrom(from + at), naughty) }));
    if (overSockets > 0) await throughPair(tries(seed, overSockets), backend, broken, counts, note, say);
    const step = 20_000;
    const client = openClient({ maxConnectionsPerOrigin: AT_ONCE });
    const backends = broken.backends?.(client) ?? client;
    for (let done = 0; done < inProcess; done += step) {
      const some = tries(seed + overSockets + done, Math.min(step, inProcess - done));
      await sideBySide(some, async (each) =>
        note(each, await withoutEnvelope(each, backend, backends, broken, counts)),
      );
      backend.targets.clear();
      if (done > 0) say?.(`${overSockets + done} paths, ${failures} failures so far`);
    }
    await client.close();
    const { requests, malformed } = backend.counted;
    if (malformed > 0 || requests !== counts.forwarded) failures += 1;
    if (requests !== counts.forwarded) found.push(`${requests} requests at the backend, ${counts.forwarded} sent`);
  } finally {
    backend.close();
  }
  return { size, failures, found, ...counts };
}

async function sideBySide(tries: readonly Tried[], work: (each: Tried, lane: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (_: unknown, at: number) => {
    for (let each = tries[next++]; each !== undefined; each = tries[next++]) await work(each, at);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

/** Over the loopback port, two servers and their logs. */
async function throughPair(
  tries: readonly Tried[],
  backend: LineBackend,
  broken: BrokenPaths,
  counts: Counts,
  note: (each: Tried, wrong: string | null) => void,
  say?: (line: string) => void,
): Promise<void> {
  const pair = await openPair({ right: right(), safe: true });
  const { parts } = pair.provider;
  const service = parts.state.service(SERVICE);
  if (service !== null) parts.state.putService({ ...service, url: `${backend.origin}/base` });
  if (broken.backends) Object.assign(parts, { backends: broken.backends(parts.backends) });
  const url = pair.consumer.urls.loopback ?? '';
  const lanes = Array.from({ length: AT_ONCE }, () => openRawConnection(url));
  try {
    await sideBySide(tries, async ({ seed, one: { method, tail: made } }, at) => {
      // A line break would end the request that it stands in, and spaces at the end are the request line's own.
      const tail = made.replaceAll(/[\r\n]/g, '\t').replace(/ +$/, '');
      const each = { seed, one: { method, tail } };
      const target = `/r1/${SERVICE}${tail}`;
      const head = [`${method} ${target} HTTP/1.1`, 'Host: a', `X-Road-Client: ${CLIENT}`, `X-Case: ${each.seed}`];
      const length = method === 'POST' ? ['Content-Length: 0'] : [];
      const request = Buffer.from(`${[...head, ...length].join('\r\n')}\r\n\r\n`, 'latin1');
      counts.sockets += 1;
      try {
        const answer = await lanes[at]?.ask(request);
        note(each, answer === undefined ? 'no lane' : judgeAnswer(pair, each, answer, backend, counts));
      } catch (error) {
        note(each, String(error));
      }
      backend.targets.delete(String(each.seed));
      if (counts.sockets % 5000 === 0) say?.(`${counts.sockets} over sockets`);
    });
  } finally {
    for (const lane of lanes) lane.close();
    await pair.close();
  }
}

function judgeAnswer(pair: Pair, each: Tried, { status, headers }: RawAnswer, backend: LineBackend, counts: Counts) {
  const type = headers.get('x-road-error');
  const id = headers.get('x-road-request-id');
  if (status === 200 && type === undefined && id !== undefined) {
    const decided = archivedOf(pair, id);
    return decided === null ? 'no archived decision' : judge(each, decided, backend, counts);
  }
  if (type === 'Server.ServerProxy.AccessDenied') counts.denied += 1;
  else if (status === 400) counts.refused += 1;
  // What does not begin with a slash is another service's name.
  else if (/^[^/?]/.test(each.one.tail) && status === 500) counts.refused += 1;
  else return `answered ${status} ${type}`;
  return judge(each, null, backend, counts);
}

/** What the provider's archive says was decided on; null when it and the signed context differ, or nothing was. */
function archivedOf({ provider }: Pair, id: string): Decided | null {
  const { log } = provider.parts;
  const records = log.find(null, id);
  const kept = (kind: string) => log.readSealed(records.find(({ entry }) => entry.kind === kind)?.seq ?? -1);
  const { decisionInputs } = kept('response-sent') ?? {};
  const { context } = kept('request-received') ?? {};
  if (decisionInputs === undefined || context === undefined) return null;
  const { inputs } = JSON.parse(decisionInputs.toString('utf8')) as { inputs: DecisionInputs };
  const { path, query } = parseRequestContext(context);
  return path === inputs.request.path ? { path, query } : null;
}

/** The same readers, decision and call of the backend, in the order of the servers. */
async function withoutEnvelope(
  each: Tried,
  backend: LineBackend,
  backends: BoundedClient,
  broken: BrokenPaths,
  counts: Counts,
): Promise<string | null> {
  const { method, tail } = each.one;
  const name = String(each.seed);
  const context = asked(each, broken);
  if (typeof context === 'string') return context;
  if (context === null) {
    counts.refused += 1;
    return judge(each, null, backend, counts);
  }
  const inputs = inputsOf(method, context.path);
  const decision = decide(inputs);
  const { bytes } = archiveDecision(inputs, decision);
  if (!decision.allowed) {
    counts.denied += 1;
    return judge(each, null, backend, counts);
  }
  const archived = JSON.parse(bytes.toString('utf8')) as { inputs: DecisionInputs };
  const service = { id: SERVICE, title: '', url: `${backend.origin}/base`, enabled: true, notice: null };
  const local = { ...service, timeoutMs: 20_000, personalData: false, safe: true };
  const sent = { context, body: Buffer.alloc(0) };
  const { context: answer } = await callBackend(backends, local, STATEMENT, sent, [], 20_000, null);
  if (answer.status !== 200) return `the backend was not reached: ${answer.code} ${tail}`;
  const wrong = judge(each, { path: archived.inputs.request.path, query: context.query }, backend, counts);
  backend.targets.delete(name);
  return wrong;
}

const REFUSALS = ['PATH_REFUSED', 'XROAD_TARGET_MALFORMED', 'SERVICE_UNKNOWN'] as const;

/** The request's context as the provider's server reads it; null when it was refused, text when something else went wrong. */
function asked({ seed, one: { method, tail } }: Tried, broken: BrokenPaths) {
  try {
    const raw = `/r1/${SERVICE}${tail}`;
    const target = (broken.readTarget ?? readTarget)(raw);
    if (target.service !== SERVICE || isReserved(target.path)) return null;
    const id = { id: 'x', madeId: false, representedParty: null, securityServer: null, hash: 'x', target: raw };
    const encoded = encodeRequestContext({
      ...{ ...BARE_REQUEST, caller: 'loopback', deadlineMs: 1000, xroad: id },
      ...{ method, path: target.path, query: target.query, headers: [['x-case', String(seed)]] },
    });
    const context = parseRequestContext(encoded);
    if (broken.readTarget === undefined) {
      servicePath(context.path);
      if (context.query !== null) serviceQuery(context.query);
    }
    return context;
  } catch (error) {
    if (REFUSALS.some((code) => isAccordError(error, code))) return null;
    return isAccordError(error) ? error.code : String(error);
  }
}

/** @param decided what may arrive; null for nothing */
function judge({ seed, one }: Tried, decided: Decided | null, backend: LineBackend, counts: Counts): string | null {
  const arrived = backend.targets.get(String(seed)) ?? [];
  if (decided === null) return arrived.length === 0 ? null : `refused, and arrived as ${arrived.join()}`;
  counts.forwarded += arrived.length;
  const { path, query } = decided;
  const due = `/base${path}${query === null ? '' : `?${query}`}`;
  if (arrived.length !== 1 || arrived[0] !== due) return `decided on ${due}, arrived as ${arrived.join() || 'nothing'}`;
  if (path + (query === null ? '' : `?${query}`) !== one.tail) return `not what was asked: ${due}`;
  const other = otherReading(path);
  if (other !== null) return `has another reading (${other})`;
  return isBeyondRules(one.method, path) ? 'leads past the rules' : null;
}

const STATEMENT = { id: 'x', client: CLIENT, service: SERVICE, basis: 'open', purpose: null } as Statement;

function inputsOf(method: string, path: string): DecisionInputs {
  const request = { client: CLIENT, service: SERVICE, method, path, purpose: null, basis: 'open' as const };
  const nothing = { userId: null, issue: null, subject: null, fields: null, partial: false, hiddenUntil: null };
  return {
    ...{ v: 1, nowMs: 1, request: { ...request, ...nothing }, defaultsFrom: null, clientRegistered: true, groups: [] },
    ...{ lockedFor: null, today: '2027-01-15', service: { enabled: true, notice: null, personalData: false } },
    ...{ binding: null, purpose: null, purposeEnded: false, consent: null, evidence: null, predicateUse: [] },
    rights: [{ right: right(), usedToday: 0 }],
  };
}

export const paths: Campaign<BrokenPaths> = {
  name: 'paths',
  title: 'paths and queries: what is decided on is what the backend receives, byte for byte',
  defaultSize: 1_000_000,
  run,
};
