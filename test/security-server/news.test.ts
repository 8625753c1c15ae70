// News of the configuration from peer to peer, with a real registry, real servers and real sockets: the registry goes
// away, one server knows of a stolen key and the other does not, and the first message between them is enough. What a
// lying or a greedy peer gets.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { systemClock } from '#core/clock.ts';
import { type ConfigurationClient, openConfigurationClient } from '#core/configuration/client.ts';
import { type ConfigurationFetch, fetchOverHttp } from '#core/configuration/fetch.ts';
import { CONFIGURATION_HINT_HEADER, hasNews, readHint } from '#core/configuration/serve-held.ts';
import { signDistrust } from '#core/configuration/sign.ts';
import { openClient } from '#core/http/client.ts';
import { tlsClientOptions } from '#core/http/mtls.ts';
import { CLIENT, CONSUMER, openPair, PROVIDER, SERVICE } from '#scripts/campaign/pair.ts';
import { CONFIGURATION_PATH, openPeerNews } from '#security-server/peer/news.ts';
import { post } from './asking.ts';

const THIRD = 'DEV/GOV/3003/ss3';
const ASK = { client: CLIENT, service: SERVICE, path: '/a' };

async function setUp(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'accord-news-'));
  const registry = await openThrowawayRegistry({
    folder: join(folder, 'registry'),
    instance: 'DEV',
    clock: systemClock,
  });
  const http = openClient();
  const state = { away: false };
  const fetch: ConfigurationFetch = {
    get(path, ...rest) {
      // A port where nobody listens: what the consumer's own network looks like then.
      const base = state.away ? 'http://127.0.0.1:9/' : registry.configurationUrl;
      return fetchOverHttp(http, base).get(path, ...rest);
    },
  };
  const open = (name: string) =>
    openConfigurationClient({
      folder: join(folder, name),
      anchor: registry.anchor,
      clock: systemClock,
      fetch: [fetch],
      pollMs: 0,
    });
  const [a, b] = [await open('a'), await open('b')];
  const pair = await openPair({ consumer: { configuration: a }, provider: { configuration: b } });
  for (const kind of ['anchor', 'intermediate'] as const) {
    for (const der of pair.authority.trust[`${kind}s`]) {
      await registry.call('POST', '/trust', { kind, der: der.toString('base64url') });
    }
  }
  const third = await pair.authority.server(THIRD);
  const registrations = [
    { id: CONSUMER, subsystem: CLIENT, address: pair.consumer.urls.peer, ...pair.identities.consumer.registration },
    {
      id: PROVIDER,
      subsystem: 'DEV/GOV/2002/provider',
      address: pair.provider.urls.peer,
      ...pair.identities.provider.registration,
    },
    { id: THIRD, subsystem: 'DEV/GOV/3003/other', address: 'https://127.0.0.1:1', ...third.registration },
  ];
  for (const { subsystem, ...server } of registrations) {
    await registry.call('POST', '/members', { id: server.id.split('/').slice(0, 3).join('/'), name: 'M' });
    await registry.call('POST', '/subsystems', { id: subsystem, name: 'S' });
    await registry.call('POST', '/servers', { ...server, subsystems: [subsystem] });
  }
  const service = { id: SERVICE, title: 'Echo', type: 'REST', personalData: false, safe: false, description: null };
  await registry.call('POST', '/services', service);
  await registry.publish();
  t.match([await a.refresh(), await b.refresh()], [{ outcome: 'updated' }, { outcome: 'updated' }]);
  t.teardown(async () => {
    await pair.close();
    await Promise.all([a.close(), b.close()]);
    await registry.close();
    await http.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const distrust = (value: string) =>
    registry.call('POST', '/configuration/distrust', {
      statement: signDistrust(
        { instance: 'DEV', kind: 'server', value, atMs: systemClock.nowMs(), reason: 'stolen' },
        registry.approvers[0],
        'approver',
      ),
    });
  return { registry, pair, a, b, state, distrust, third, http };
}

async function within(ms: number, is: () => boolean): Promise<number> {
  const startedMs = performance.now();
  while (!is() && performance.now() - startedMs < ms) await sleep(10);
  return performance.now() - startedMs;
}

const distrusts = (client: ConfigurationClient) => client.current().isDistrusted(THIRD);

t.test('the registry is away: one message brings distrust and content, in both directions', async (t) => {
  const { registry, pair, a, b, state, distrust } = await setUp(t);
  t.equal((await post(pair, '/lookups', ASK)).json.outcome, 'ok');
  await distrust(THIRD);
  await b.refresh();
  state.away = true;
  t.match(await a.refresh(), { outcome: 'failed', code: 'PEER_UNREACHABLE' });
  t.equal(distrusts(a), false, 'the consumer cannot know');
  const asked = await post(pair, '/lookups', ASK);
  t.equal(asked.json.outcome, 'ok', 'the exchange itself did not wait');
  const took = await within(15_000, () => distrusts(a));
  t.ok(distrusts(a), `in force ${Math.round(took)} ms after the answer`);
  t.equal(a.current().server(THIRD), undefined);

  // The other direction: the consumer knows more, the provider hears it with the request.
  state.away = false;
  await registry.call('POST', '/members', { id: 'DEV/GOV/4004', name: 'New' });
  await sleep(1_100);
  await registry.publish();
  await a.refresh();
  const version = a.current().version;
  t.ok(b.current().version < version);
  state.away = true;
  await post(pair, '/lookups', ASK);
  // The freshness is stored last.
  await within(15_000, () => b.files.versions()?.signedAtSeconds === a.files.versions()?.signedAtSeconds);
  t.equal(b.current().version, version, 'the whole content came from the peer, part by part');
  t.match(b.status(), { freshness: 'fresh', distrustVersion: 1 });
  t.equal(b.files.versions()?.signedAtSeconds, a.files.versions()?.signedAtSeconds);
});

t.test('who may fetch, and what', async (t) => {
  const { pair, a, third, http } = await setUp(t);
  const of = (identity: typeof third) => tlsClientOptions(identity.keys.authentication, () => true);
  const get = async (path: string, identity = pair.identities.consumer) => {
    const tls = of(identity);
    return http.request({ origin: pair.provider.urls.peer, method: 'GET', path: `${CONFIGURATION_PATH}${path}`, tls });
  };
  const stranger = await pair.authority.server('DEV/GOV/9009/ss9');
  const content = a.current().version;
  const part = Object.values(
    JSON.parse(
      Buffer.from(JSON.parse(a.files.file(`content.${content}.jws`)?.toString() ?? '').payload, 'base64url').toString(),
    ).parts,
  )[0];
  const cases: [string, string, typeof third, number][] = [
    ['freshness', 'freshness.jws', third, 200],
    ['the content', `content.${content}.jws`, third, 200],
    ['the root', 'root.1.jws', third, 200],
    ['a part', `parts/${part}`, third, 200],
    ['another content', `content.${content + 1}.jws`, third, 404],
    ['a part nobody approved', `parts/${'A'.repeat(43)}`, third, 404],
    ['out of the folder', 'parts/../../state.db', third, 404],
    ['out of the folder, encoded', 'parts%2f..%2f..%2fstate.db', third, 404],
    ['a local file of the cache', 'floor.json', third, 404],
    ['a distrust list that is not there', 'distrust.1.jws', third, 404],
    ['by somebody who is not registered', 'freshness.jws', stranger, 403],
  ];
  for (const [name, path, identity, want] of cases) t.equal((await get(path, identity)).status, want, name);
  const answer = await get('freshness.jws');
  const hint = answer.headers.find(([name]) => name.toLowerCase() === CONFIGURATION_HINT_HEADER)?.[1];
  t.match(readHint(hint), { content, distrust: 0 });
});

t.test('a peer that lies costs one small request, then fewer', async (t) => {
  const { pair, b } = await setUp(t);
  const peer = b.current().server(CONSUMER);
  if (!peer) throw new Error('not registered');
  const clock = { nowMs: () => 0, monotonicMs: () => ms };
  let ms = 1_000_000;
  const asked: string[] = [];
  const liar: ConfigurationFetch = {
    async get(path) {
      asked.push(path);
      return { bytes: Buffer.from('rubbish') };
    },
  };
  const news = openPeerNews(b, clock, pair.provider.parts.logger, () => liar);
  for (const header of [undefined, '', 'x', '1 2', '1 2 3 4', '-1 2 3', '9'.repeat(99), '1 0 0'])
    news.heard(peer, header);
  t.same(asked, [], 'no header, no number, nothing newer: nobody is asked');
  const hour = 3_600_000;
  for (let at = 0; at < hour; at += 250) {
    ms += 250;
    news.heard(peer, '999 999 99999999999');
    if (at % 5_000 === 0) await sleep(0);
  }
  t.ok(asked.length > 0 && asked.length < 20, `${asked.length} requests in an hour of lies`);
  t.same(new Set(asked), new Set(['freshness.jws']));
  t.match(b.status(), { freshness: 'fresh' });

  const mine = { content: 5, distrust: 2, signedAtSeconds: 1_000 };
  const cases: [object, boolean][] = [
    [{}, false],
    [{ content: 6 }, true],
    [{ distrust: 3 }, true],
    [{ signedAtSeconds: 1_059 }, false],
    [{ signedAtSeconds: 1_060 }, true],
    [{ content: 4, distrust: 1, signedAtSeconds: 900 }, false],
  ];
  for (const [more, want] of cases) t.equal(hasNews({ ...mine, ...more }, mine), want, JSON.stringify(more));
});
