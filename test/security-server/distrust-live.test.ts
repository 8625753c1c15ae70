// Distrust that comes into force while a framed link is open: idle ones are closed at once, nothing more is taken from or
// given to who is distrusted, and what was under way ends unknown. (How fast distrust gets here: news.test.ts.)
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { certificateHash } from '#certs/path.ts';
import { CLIENT, CONSUMER, openPair, type Pair, PROVIDER, SERVICE } from '#scripts/campaign/pair.ts';
import type { SecurityServer } from '#security-server/server.ts';
import { auditBoth, post } from './asking.ts';

const ASK = { client: CLIENT, service: SERVICE, path: '/a' };
const WITHIN_MS = 5_000;

async function framedLinks(server: SecurityServer): Promise<number> {
  const text = await (await fetch(`${server.urls.health}/metrics`)).text();
  return Number(/^accord_framed_links (\d+)$/m.exec(text)?.[1]);
}

async function within(what: () => Promise<boolean>): Promise<boolean> {
  for (let waited = 0; waited < WITHIN_MS; waited += 50) {
    if (await what()) return true;
    await delay(50);
  }
  return false;
}

const outcome = async (pair: Pair) => (await post(pair, '/lookups', ASK)).json.outcome;
const tlsOf = (pair: Pair, id: string) => pair.configuration.entries.get(id)?.authenticationCertificates[0]?.hash ?? '';
const signingOf = (pair: Pair, id: string) => pair.configuration.entries.get(id)?.signingCertificates[0]?.hash ?? '';

const cases: [string, (pair: Pair) => string, boolean][] = [
  ["the asking server's TLS certificate", (pair) => tlsOf(pair, CONSUMER), true],
  ['the asking server', () => CONSUMER, true],
  ['the authority', (pair) => certificateHash(pair.authority.trust.intermediates[0] as Buffer), true],
  ["the asking server's signing certificate", (pair) => signingOf(pair, CONSUMER), false],
  ["the answering server's TLS certificate", (pair) => tlsOf(pair, PROVIDER), false],
  ["the answering server's signing certificate", (pair) => signingOf(pair, PROVIDER), false],
];

for (const [what, value, closes] of cases) {
  t.test(what, async (t) => {
    const pair = await openPair();
    t.teardown(() => pair.close());
    t.equal(await outcome(pair), 'ok');
    t.equal(await framedLinks(pair.consumer), 1, 'a framed link is open');
    const seen = pair.backend.seen.length;
    pair.configuration.distrusted.add(value(pair));
    pair.configuration.changed();
    if (closes) t.ok(await within(async () => (await framedLinks(pair.consumer)) === 0), 'the idle link is closed');
    t.not(await outcome(pair), 'ok');
    const byProvider = value(pair) === signingOf(pair, PROVIDER);
    t.equal(pair.backend.seen.length, byProvider ? seen + 1 : seen, 'nothing more ran for who is distrusted');
    pair.configuration.distrusted.clear();
    pair.configuration.changed();
    t.ok(await within(async () => (await outcome(pair)) === 'ok'), 'lifted');
    await auditBoth(t, pair);
  });
}

t.test('what is under way when distrust comes is not delivered', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  t.equal(await outcome(pair), 'ok');
  const { answer } = pair.backend;
  const arrived = Promise.withResolvers<() => void>();
  pair.backend.answer = (...call) => arrived.resolve(() => answer(...call));
  const asked = post(pair, '/lookups', ASK);
  const finish = await arrived.promise;
  pair.configuration.distrusted.add(tlsOf(pair, CONSUMER));
  pair.configuration.changed();
  t.ok(await within(async () => (await framedLinks(pair.consumer)) === 0), 'closed under a message');
  finish();
  t.match((await asked).json, { outcome: 'unknown' });
  await auditBoth(t, pair);
});
