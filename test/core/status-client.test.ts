// The status list client against a real web server that serves real lists, late, old, forged, or not at all.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { packStatuses, signStatusList } from '#certs/status-list.ts';
import { type Clock, systemClock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { openStatusClient, type StatusClientOptions } from '#core/status/status-client.ts';
import { openTrustedTime } from '#core/status/trusted-time.ts';
import { MAX_STATUS_LISTS } from '#schemas/limits.ts';
import { type TestKey, testKey } from '../certs/receipt-cases.ts';

const SERVICE = 'DEV/GOV/3003/consent';
const [key, otherKey] = [testKey(), testKey()];

/** Real time, of which the wall clock can be set and time can be made to pass. */
class SetClock implements Clock {
  passedMs = 0;
  wallOffMs = 0;

  nowMs(): number {
    return systemClock.nowMs() + this.passedMs + this.wallOffMs;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.passedMs;
  }
}

interface Asked {
  path: string;
  etag: string | undefined;
}

interface Site {
  base: string;
  uri: string;
  asked: Asked[];
  /** What is served at every path; replaced by the test. */
  answer: (request: IncomingMessage, reply: ServerResponse) => void;
  /** Serves one list at its path, with an ETag. */
  serve(text: string): void;
  stop(): Promise<void>;
  start(): Promise<void>;
}

async function openSite(t: Test): Promise<Site> {
  const asked: Asked[] = [];
  const server = createServer((request, reply) => {
    asked.push({ path: request.url ?? '', etag: request.headers['if-none-match'] });
    site.answer(request, reply);
  });
  let port = 0;
  const start = () =>
    new Promise<void>((resolve) => {
      server.listen(port, '127.0.0.1', () => {
        port = (server.address() as AddressInfo).port;
        resolve();
      });
    });
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  await start();
  const base = `http://127.0.0.1:${port}/status`;
  const site: Site = {
    base,
    uri: `${base}/1`,
    asked,
    answer: (_request, reply) => void reply.writeHead(404).end(),
    serve(text) {
      const etag = `"${sha256(text)}"`;
      site.answer = (request, reply) => {
        if (request.headers['if-none-match'] === etag) return void reply.writeHead(304).end();
        reply.writeHead(200, { 'content-type': 'application/statuslist+jwt', etag }).end(text);
      };
    },
    stop,
    start,
  };
  t.teardown(stop);
  return site;
}

function openClientOf(t: Test, site: Site, over: Partial<StatusClientOptions> = {}) {
  const clock = new SetClock();
  const alarms: string[] = [];
  const http = openClient();
  const client = openStatusClient({
    http,
    clock,
    keysOf: (service) => (service === SERVICE ? [key] : undefined),
    listsOf: () => [{ consentService: SERVICE, uri: site.uri }],
    pollMs: 0,
    onAlarm: (code, detail) => alarms.push(`${code} ${detail.replace(/^.*: /, '')}`),
    ...over,
  });
  t.teardown(async () => {
    client.close();
    await http.close();
  });
  const made = (
    values: number[],
    iatMs = clock.nowMs(),
    over2: { uri?: string; expMs?: number; key?: TestKey } = {},
  ) => {
    const { uri = site.uri, expMs = iatMs + 600_000, key: signer = key } = over2;
    const lst = packStatuses(2, Uint8Array.from(values));
    return signStatusList({ uri, iatMs, expMs, ttlS: 5, lst }, signer);
  };
  /** Status of the first entries; x for none. */
  const seen = (uri = site.uri) => [0, 1, 2, 3].map((idx) => client.statusOf(uri, idx)?.status ?? 'x').join('');
  /** A pause after a failure does not keep the next question of a test waiting. */
  const refresh = (uri = site.uri) => {
    clock.passedMs += 5_100;
    return client.refresh(uri);
  };
  return { client, clock, alarms, made, seen, refresh };
}

t.test('a list is fetched, asked for again by its ETag, and replaced by a newer one', async (t) => {
  const site = await openSite(t);
  const { client, clock, made, seen, refresh, alarms } = openClientOf(t, site);
  t.equal(client.statusOf(site.uri, 0), null);
  t.equal(client.newestTimeMs(), null);
  t.match(client.trustedNowMs(), { deviationMs: 0 });
  const iatMs = clock.nowMs();
  const first = made([0, 1, 2, 3], iatMs);
  site.serve(first);
  await Promise.all(Array.from({ length: 20 }, () => client.refresh(site.uri)));
  t.equal(site.asked.length, 1, 'twenty at once share one answer');
  t.equal(seen(), '0123');
  const wholeMs = Math.floor(iatMs / 1000) * 1000;
  const status = client.statusOf(site.uri, 2);
  t.match(status, { status: 2, listIatMs: wholeMs, listHash: sha256(first) });
  t.ok(Math.abs((status?.receivedMonotonicMs ?? 0) - clock.monotonicMs()) < 5_000);
  t.equal(client.newestTimeMs(), wholeMs);
  t.equal(client.statusOf(site.uri, 4), null, 'no such entry');
  t.equal(client.statusOf(site.uri, -1), null);

  await refresh();
  t.same(site.asked[1], { path: '/status/1', etag: `"${sha256(first)}"` });
  t.same(client.statusOf(site.uri, 2), status, 'unchanged: not a moment younger');
  site.serve(made([1, 1, 1, 1]));
  await refresh();
  t.equal(seen(), '1111');

  await client.refresh(`${site.base}/2`);
  client.hint(`${site.base}/2`);
  t.equal(site.asked.length, 3, "nobody's list is not asked for");
  t.same(alarms, []);
});

t.test('what is refused leaves the held list in place', async (t) => {
  const site = await openSite(t);
  const { client, clock, made, seen, refresh, alarms } = openClientOf(t, site);
  const startMs = clock.nowMs();
  site.serve(made([0, 0, 2, 1], startMs));
  await refresh();
  const held = client.statusOf(site.uri, 2);
  const serve = (text: string) => () => site.serve(text);
  const status = (code: number) => () => {
    site.answer = (_request, reply) => void reply.writeHead(code).end('nothing');
  };
  const all0 = [0, 0, 0, 0];
  const cutOff = () => {
    site.answer = (request) => request.socket.destroy();
  };
  const cases: [name: string, act: () => void, alarm: string | null][] = [
    ['older', serve(made(all0, startMs - 1_000)), 'STATUS_LIST_REFUSED older than the list that is held'],
    ['of a stranger', serve(made(all0, startMs + 5_000, { key: otherKey })), 'STATUS_LIST_REFUSED no registered key'],
    [
      'another list',
      serve(made(all0, startMs + 5_000, { uri: `${site.uri}0` })),
      'STATUS_LIST_REFUSED the list is another',
    ],
    [
      'past its end',
      serve(made(all0, startMs, { expMs: startMs + 1_000 })),
      'STATUS_LIST_REFUSED the list is past its end',
    ],
    ['of the future', serve(made(all0, startMs + 3_600_000)), 'STATUS_LIST_REFUSED signed'],
    ['rubbish', serve('rubbish'), 'STATUS_LIST_REFUSED JWS_MALFORMED'],
    ['too large', serve('A'.repeat(2 * 1024 * 1024 + 1)), 'RESPONSE_TOO_LARGE'],
    ['gone', status(404), 'STATUS_LIST_REFUSED answered 404'],
    ['moved', status(302), 'STATUS_LIST_REFUSED answered 302'],
    ['unchanged, unasked', serve(''), 'STATUS_LIST_REFUSED JWS_MALFORMED'],
    ['out of order', status(503), null],
    ['cut off', cutOff, null],
  ];
  for (const [name, act, alarm] of cases) {
    act();
    alarms.length = 0;
    const before = site.asked.length;
    await refresh();
    await refresh();
    t.equal(site.asked.length, before + 2, name);
    t.equal(alarms.length, alarm === null ? 0 : 1, `${name}: told once`);
    if (alarm !== null) t.ok(alarms[0]?.startsWith(alarm), `${name}: ${alarms[0]}`);
    t.same(client.statusOf(site.uri, 2), held, name);
  }
  await site.stop();
  alarms.length = 0;
  await refresh();
  t.same([seen(), alarms], ['0021', []], 'a consent service that is away is no alarm');
  await site.start();
  site.serve(made([1, 0, 0, 1]));
  await refresh();
  t.equal(seen(), '1001');
});

t.test('two lists of one second take away, and give nothing back', async (t) => {
  const site = await openSite(t);
  const { made, seen, refresh, clock } = openClientOf(t, site);
  const secondMs = Math.floor(clock.nowMs() / 1000) * 1000;
  site.serve(made([0, 1, 2, 2], secondMs));
  await refresh();
  t.equal(seen(), '0122');
  site.serve(made([1, 0, 0, 1], secondMs + 999));
  await refresh();
  t.equal(seen(), '1121');
  site.serve(made([0, 0, 0, 0], secondMs + 1_000));
  await refresh();
  t.equal(seen(), '0000', 'the next second counts alone');
});

t.test('a hint while a question is under way asks once more', async (t) => {
  const site = await openSite(t);
  const { client, made, seen, clock } = openClientOf(t, site);
  const startMs = clock.nowMs();
  const arrived = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  site.answer = (_request, reply) => {
    arrived.resolve();
    void released.promise.then(() => {
      const old = made([0, 0, 0, 0], startMs - 1_000);
      site.serve(made([1, 1, 1, 1], startMs));
      reply.writeHead(200).end(old);
    });
  };
  const asking = client.refresh(site.uri);
  await arrived.promise;
  for (let n = 0; n < 10; n++) client.hint(site.uri);
  released.resolve();
  await asking;
  t.equal(seen(), '0000', 'from before the hint');
  const fromMs = systemClock.monotonicMs();
  while (seen() !== '1111') await delay(5);
  t.ok(systemClock.monotonicMs() - fromMs < 3_000);
  t.equal(site.asked.length, 2, 'ten hints are one question');
  client.hint(site.uri);
  while (site.asked.length < 3) await delay(5);
  t.ok(systemClock.monotonicMs() - fromMs > 100, 'and questions keep their distance');
});

t.test('a consent service that fails is given a pause, at most five seconds', async (t) => {
  const site = await openSite(t);
  const lists = [{ consentService: SERVICE, uri: site.uri }];
  const { client, made, seen, clock } = openClientOf(t, site, { pollMs: 60_000, listsOf: () => lists });
  site.answer = (_request, reply) => void reply.writeHead(500).end();
  const fromMs = systemClock.monotonicMs();
  while (site.asked.length < 3) await delay(10);
  const tookMs = systemClock.monotonicMs() - fromMs;
  t.ok(tookMs > 600 && tookMs < 5_000, `three questions in ${Math.round(tookMs)} ms: 0, 250, 750`);
  await client.refresh(site.uri);
  t.equal(site.asked.length, 3, 'who refreshes meanwhile is not kept waiting');
  for (let failures = 3; failures < 12; failures++) {
    clock.passedMs += 5_001;
    await client.refresh(site.uri);
    t.equal(site.asked.length, failures + 1, 'after five seconds it is always asked again');
  }
  site.serve(made([0, 1, 0, 1]));
  client.hint(site.uri);
  while (seen() !== '0101') await delay(5);
  t.equal(site.asked.length, 13, 'a hint ends the pause');
});

t.test('named lists are polled, taken up and dropped; others are fetched when asked for', async (t) => {
  const site = await openSite(t);
  let lists = [{ consentService: SERVICE, uri: site.uri }];
  let owner: string | undefined = SERVICE;
  const { client, clock, made, seen } = openClientOf(t, site, {
    pollMs: 110,
    listsOf: () => lists,
    consentServiceOf: (uri) => (uri.startsWith(`${site.base}/`) ? owner : undefined),
  });
  const second = `${site.base}/2`;
  let values = [0, 0, 0, 0];
  site.answer = (request, reply) =>
    void reply.writeHead(200).end(
      made(values, clock.nowMs(), {
        uri: `${new URL(site.base).origin}${request.url}`,
        expMs: clock.nowMs() + 86_400_000,
      }),
    );
  while (seen() !== '0000') await delay(5);
  values = [1, 0, 0, 0];
  clock.passedMs += 1_000;
  while (seen() !== '1000') await delay(5);
  t.pass('polled');
  client.hint(second);
  t.equal(seen(second), 'xxxx', 'a hint alone takes up nothing');
  await client.refresh(second);
  t.equal(seen(second), '1000', 'fetched when it was first asked for');
  lists = [];
  clock.passedMs += 11 * 60_000;
  await delay(250); // no condition: whoever asks for a status asks for its list
  const count = site.asked.length;
  await delay(250);
  t.equal(site.asked.length, count, 'named no longer, and long unasked: dropped');
  t.equal(seen(second), 'xxxx');
  await client.refresh(second);
  t.equal(seen(second), '1000');
  owner = undefined;
  while (client.statusOf(second, 0) !== null) await delay(20);
  t.pass('dropped when the configuration knows the consent service no longer');
});

t.test('no more lists are held than fit', async (t) => {
  const site = await openSite(t);
  const { client, clock, made } = openClientOf(t, site, { listsOf: () => [], consentServiceOf: () => SERVICE });
  site.answer = (request, reply) =>
    void reply.writeHead(200).end(made([0], clock.nowMs(), { uri: `${new URL(site.base).origin}${request.url}` }));
  const uris = Array.from({ length: MAX_STATUS_LISTS + 32 }, (_, n) => `${site.base}/${n}`);
  for (let at = 0; at < uris.length; at += 32) {
    await Promise.all(uris.slice(at, at + 32).map((uri) => client.refresh(uri)));
    clock.passedMs += 1_000;
    client.statusOf(uris[0] ?? '', 0);
  }
  const held = uris.filter((uri) => client.statusOf(uri, 0) !== null);
  t.equal(held.length, MAX_STATUS_LISTS);
  t.same(held, [uris[0], ...uris.slice(33)], 'those that nobody asked about for longest went');
});

t.test('time is proved by lists; an ended list and a key that was taken back say nothing', async (t) => {
  const site = await openSite(t);
  let keys: TestKey[] | undefined = [key];
  const { client, clock, made, seen, refresh } = openClientOf(t, site, { keysOf: () => keys });
  const iatMs = clock.nowMs();
  site.serve(made([0, 0, 0, 0], iatMs, { expMs: iatMs + 60_000 }));
  await refresh();
  t.match(client.trustedNowMs(), { deviationMs: 0 });
  const isAbout = (ms: number, expectedMs: number, what: string) =>
    t.ok(Math.abs(ms - expectedMs) < 2_000, `${what}: ${ms}`);
  const truthMs = clock.nowMs();
  clock.wallOffMs = -3_600_000;
  const { nowMs, deviationMs } = client.trustedNowMs();
  t.ok(Number.isInteger(nowMs) && Number.isInteger(deviationMs));
  isAbout(nowMs, truthMs, 'a clock set back does not set it back');
  isAbout(deviationMs, 3_600_000, 'and is found out');
  clock.passedMs += 30_000;
  isAbout(client.trustedNowMs().nowMs, nowMs + 30_000, 'it goes on by the monotonic clock');
  clock.wallOffMs = 3_600_000;
  isAbout(client.trustedNowMs().nowMs, clock.nowMs(), 'a clock ahead counts');
  t.equal(client.trustedNowMs().deviationMs, 0);
  t.equal(seen(), 'xxxx', 'past its end');
  clock.wallOffMs = 0;
  t.equal(seen(), '0000');
  keys = [otherKey];
  t.equal(seen(), 'xxxx', 'its key is not registered any more');
  keys = undefined;
  t.equal(seen(), 'xxxx');
  const before = site.asked.length;
  await refresh();
  t.equal(site.asked.length, before, 'no consent service, no question');
});

t.test('a time is proved by the clock at the start, by lists, and by others', (t) => {
  const clock = { wallMs: 1_000_000, passedMs: 0, nowMs: () => clock.wallMs, monotonicMs: () => clock.passedMs };
  let elsewhereMs = 0;
  const time = openTrustedTime(clock, () => elsewhereMs);
  t.same(time.now(), { nowMs: 1_000_000, deviationMs: 0 });
  clock.passedMs += 30_000;
  t.same(time.now(), { nowMs: 1_030_000, deviationMs: 30_000 }, 'nobody proved anything, and yet it goes on');
  clock.wallMs += 40_000;
  t.same(time.now(), { nowMs: 1_040_000, deviationMs: 0 }, 'a clock ahead counts');
  time.prove(1_035_000);
  clock.passedMs += 10_000;
  t.same(time.now(), { nowMs: 1_045_000, deviationMs: 5_000 }, 'what a list proved');
  time.prove(900_000);
  t.equal(time.now().nowMs, 1_045_000, 'an old list proves nothing');
  elsewhereMs = 1_060_000;
  t.same(time.now(), { nowMs: 1_060_000, deviationMs: 20_000 }, 'what the configuration proved');
  t.end();
});
