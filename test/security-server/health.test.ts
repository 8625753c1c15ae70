// Health from real probes, each part broken in turn; metrics and log lines that name no person; an end that drains.
import { Writable } from 'node:stream';
import { pino } from 'pino';
import t from 'tap';
import { systemClock } from '#core/clock.ts';
import { CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { auditBoth, post } from './asking.ts';

t.setTimeout(120_000);
const ASK = { client: CLIENT, service: SERVICE, path: '/x' };
const DAY_MS = 86_400_000;

async function ready(url: string): Promise<{ status: number; wrong: string[] }> {
  const answer = await fetch(`${url}/readyz`);
  const { ok, checks } = (await answer.json()) as {
    ok: boolean;
    checks: { name: string; ok: boolean; code: string }[];
  };
  if (ok !== checks.every((check) => check.ok)) throw new Error('ok and checks disagree');
  return { status: answer.status, wrong: checks.flatMap((check) => (check.ok ? [] : [`${check.name} ${check.code}`])) };
}

t.test('every part, broken and whole again', async (t) => {
  const shift = { ms: 0 };
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + shift.ms };
  const pair = await openPair({ clock });
  t.teardown(() => pair.close());
  const { health } = pair.consumer.urls;
  const whole = { status: 200, wrong: [] };
  t.equal((await post(pair, '/lookups', ASK)).status, 200);
  t.strictSame(await ready(health), whole);
  pair.configuration.state = 'stale';
  t.strictSame(await ready(health), whole, 'stale is a warning');
  pair.configuration.state = 'too-old';
  t.strictSame(await ready(health), { status: 503, wrong: ['configuration CONFIGURATION_TOO_OLD'] });
  pair.configuration.state = 'fresh';
  shift.ms = -10 * 60_000;
  t.ok((await ready(health)).wrong.includes('clock CLOCK_OUT_OF_WINDOW'));
  shift.ms = 3 * 365 * DAY_MS;
  t.equal((await ready(health)).status, 503, 'certificates expire');
  shift.ms = 0;
  const entry = pair.configuration.entries.get(pair.consumer.id);
  pair.configuration.entries.delete(pair.consumer.id);
  t.ok((await ready(health)).wrong.includes('registration SERVER_NOT_REGISTERED'));
  if (entry) pair.configuration.entries.set(entry.id, entry);
  t.strictSame(await ready(health), whole);
  t.strictSame(await (await fetch(`${health}/livez`)).json(), { status: 'ok' });
});

t.test('a full log: nothing is done any more, and all is well again with more room', async (t) => {
  const pair = await openPair({ provider: { maxLogPages: 150 } });
  t.teardown(() => pair.close());
  const large = { ...ASK, body: 'a'.repeat(60_000) };
  pair.backend.answer = (_request, _body, response) => response.end('ok');
  let last = await post(pair, '/lookups', large);
  for (let n = 0; n < 50 && last.json.outcome === 'ok'; n += 1)
    last = await post(pair, '/lookups', { ...large, deadlineMs: 500 });
  t.match(last.json.outcome, /^(?:not-sent|unknown)$/);
  t.strictSame(await ready(pair.provider.urls.health), { status: 503, wrong: ['log LOG_DISK_FULL'] });
  const seen = pair.backend.seen.length;
  const refused = await post(pair, '/lookups', { ...ASK, deadlineMs: 500 });
  t.match(refused.json, { outcome: 'not-sent', code: 'PROVIDER_BUSY', detail: '503 LOG_UNAVAILABLE' });
  t.equal(pair.backend.seen.length, seen);
  await auditBoth(t, pair);
  await pair.provider.close();
  await pair.reopen('provider', { maxLogPages: 10_000 });
  t.equal((await ready(pair.provider.urls.health)).status, 200);
  t.equal((await post(pair, '/lookups', ASK)).json.outcome, 'ok');
  t.match((await post(pair, `/lookups/${last.json.id}/settle`)).json['state'], /^(?:void|received)$/);
  await auditBoth(t, pair);
});

const PERSON = { path: '/residents/310101199001011234', query: 'name=wang', userId: 'official-7', issue: 'case-42' };
const SECRETS = ['310101199001011234', 'wang', 'official-7', 'case-42', 'very private', 'x-private'];

t.test('metrics and log lines name no person, member or message', async (t) => {
  const lines: string[] = [];
  const logger = pino(
    { level: 'info' },
    new Writable({ write: (chunk, _encoding, done) => done(void lines.push(String(chunk))) }),
  );
  const pair = await openPair({ consumer: { logger }, provider: { logger } });
  t.teardown(() => pair.close());
  const { json } = await post(pair, '/lookups', {
    ...ASK,
    ...PERSON,
    body: 'very private',
    headers: { 'x-private': '1' },
  });
  t.equal(json.outcome, 'ok');
  const denied = await post(pair, '/lookups', { ...ASK, ...PERSON, purpose: 'none' });
  t.equal(denied.json.code, 'PURPOSE_NOT_ALLOWED');
  await post(pair, '/lookups', { ...ASK, client: 'DEV/GOV/2002/provider' });
  pair.consumer.parts.metrics.exchange({
    ...{ side: 'consumer', id: 'id', peer: 'p', client: 'c', service: 's', outcome: 'refused' },
    ...{ code: 'WRITTEN_BY_THE_PEER', status: 0, durationMs: 1, requestBytes: 0, answerBytes: 0 },
  });
  const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === 'exchange');
  t.strictSame(
    told.filter(({ id }) => id === json.id).map(({ side, outcome, code }) => [side, outcome, code]),
    [
      ['provider', 'ok', 'OK'],
      ['consumer', 'ok', 'OK'],
    ],
    'one line for each side',
  );
  for (const secret of SECRETS) t.notOk(lines.join('').includes(secret), `no line holds ${secret}`);
  for (const { urls } of [pair.consumer, pair.provider]) {
    const text = await (await fetch(`${urls.health}/metrics`)).text();
    for (const name of [
      'exchanges_total',
      'refusals_total',
      'unverified_messages_total',
      'exchange_duration_seconds',
      'exchanges_in_flight',
      'log_entries',
      'ready',
    ]) {
      t.ok(text.includes(`# HELP accord_${name} `), name);
    }
    t.ok(text.includes('accord_ready 1'));
    t.ok(/code="PURPOSE_NOT_ALLOWED"[^\n]* 1\n/.test(text));
    for (const word of [...SECRETS, 'DEV/', json.id, 'WRITTEN_BY_THE_PEER']) t.notOk(text.includes(word), `no ${word}`);
  }
});

t.test('a server that stops lets what runs end and takes nothing new', async (t) => {
  const pair: Pair = await openPair();
  t.teardown(() => pair.close());
  let release = () => {};
  pair.backend.answer = (_request, _body, response) => {
    release = () => response.end('last');
  };
  const running = post(pair, '/lookups', ASK);
  while (pair.backend.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const closing = [pair.consumer.close(), pair.provider.close()];
  const late = await post(pair, '/lookups', ASK);
  t.match({ http: late.status, code: late.json.code }, { http: 503, code: 'SERVER_STOPPING' });
  release();
  t.equal((await running).json.outcome, 'ok');
  await Promise.all(closing);
  await t.rejects(post(pair, '/lookups', ASK), 'nobody listens');
  await pair.reopen('provider');
  await pair.reopen('consumer');
  pair.backend.answer = (_request, _body, response) => response.end();
  t.equal((await post(pair, '/lookups', ASK)).json.outcome, 'ok');
  await auditBoth(t, pair);
});
