// The gate at the end of the period of grace, on both sides, over real sockets: who would send sends nothing, who would
// answer accepts nothing, the health page and the metrics say why, and all goes on by itself when the log has a time-stamp.
import t from 'tap';
import type { Clock } from '#core/clock.ts';
import type { TimeStampRules } from '#core/configuration/time-stamp-parts.ts';
import { openDevelopmentTimeStampAuthority } from '#core/development-time-stamp-authority.ts';
import { ADMIN_KEY, CLIENT, openPair, SERVICE } from '#scripts/campaign/pair.ts';
import type { SecurityServer } from '#security-server/server.ts';

const MINUTE = 60_000;
const GRACE = 240 * MINUTE;

/** Real time, and what the test adds to it. */
class MovedClock implements Clock {
  ms = 0;
  nowMs = () => Date.now() + this.ms;
  monotonicMs = () => performance.now() + this.ms;
}

for (const peerLink of ['frames', 'http1'] as const) {
  t.test(`overdue on either side, peers over ${peerLink}`, async (t) => {
    const clock = new MovedClock();
    const authority = await openDevelopmentTimeStampAuthority({ name: 'north', clock });
    const away = { ...authority, url: 'http://127.0.0.1:1/' };
    const rulesOf = (one: typeof authority): TimeStampRules => ({
      ...{ authorities: [one], certificates: one.certificates, graceMs: GRACE },
    });
    const pair = await openPair({ clock, consumer: { peerLink }, provider: { peerLink } });
    t.teardown(async () => {
      await pair.close();
      await authority.close();
    });
    pair.configuration.timeStamps = rulesOf(away);
    const call = async () => {
      const headers = { 'X-Road-Client': CLIENT, Prefer: 'accord-status' };
      const answer = await fetch(`${pair.consumer.urls.loopback}/r1/${SERVICE}/a`, { headers });
      return { status: answer.status, text: await answer.text() };
    };
    const ready = async ({ urls }: SecurityServer) => {
      const answer = await fetch(`${urls.health}/readyz`);
      const { checks } = (await answer.json()) as { checks: { name: string; code: string; detail: string }[] };
      const { code, detail } = checks.find(({ name }) => name === 'time-stamps') ?? { code: '', detail: '' };
      return { status: answer.status, code, detail };
    };
    const metric = async ({ urls }: SecurityServer, name: string) => {
      const text = await (await fetch(`${urls.health}/metrics`)).text();
      return Number(new RegExp(`^accord_time_stamp_${name} (.*)$`, 'm').exec(text)?.[1]);
    };
    const entries = () => [pair.consumer.parts.log.size(), pair.provider.parts.log.size(), pair.backend.seen.length];
    const both = [pair.consumer, pair.provider];
    const tick = async (server: SecurityServer) => {
      clock.ms += 6 * MINUTE;
      await server.parts.anchoring.tick();
    };
    /** Until its log has a checkpoint of everything, which is made within a second, and a time-stamp of that. */
    const untilStamped = async (server: SecurityServer) => {
      for (const endMs = Date.now() + 20_000; server.parts.anchoring.grace.state().overdue && Date.now() < endMs; ) {
        await tick(server);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };

    t.match(await call(), { status: 200 });
    for (const server of both) await server.parts.anchoring.tick();
    t.match(await ready(pair.consumer), { status: 200, code: 'OK', detail: /^entry 0 waits for 0 of 240 minutes/ });
    t.equal(await metric(pair.consumer, 'grace_seconds'), GRACE / 1000);
    clock.ms += GRACE - MINUTE;
    for (const server of both) await server.parts.anchoring.tick();
    t.match(await call(), { status: 200 }, 'until the last minute');

    clock.ms += MINUTE;
    for (const server of both) await tick(server);
    const before = entries();
    t.match(await call(), { status: 503, text: /ANCHORING_OVERDUE|LoggingFailed/ });
    t.same(entries(), before, 'nothing is logged, sent or worked on');
    t.match(await ready(pair.consumer), { status: 503, code: 'ANCHORING_OVERDUE' });
    t.equal(await metric(pair.consumer, 'overdue'), 1);
    t.ok((await metric(pair.consumer, 'waiting_seconds')) >= GRACE / 1000);
    const headers = { authorization: `Bearer ${ADMIN_KEY}` };
    const shown = await (await fetch(`${pair.consumer.urls.admin}/anchoring`, { headers })).json();
    t.match(shown, {
      timeStamps: { overdue: true, graceMs: GRACE, waiting: { seq: 0 }, authorities: [{ name: 'north' }] },
    });

    pair.configuration.timeStamps = rulesOf(authority);
    await untilStamped(pair.consumer);
    t.equal(pair.consumer.parts.anchoring.grace.state().overdue, false, 'it goes on by itself');
    t.equal(await metric(pair.consumer, 'overdue'), 0);
    const [, provider, backend] = entries();
    t.match(await call(), { status: 503 }, 'the provider does not accept it');
    t.same(entries().slice(1), [provider, backend], 'and logs nothing');
    const last = pair.consumer.parts.log.read(pair.consumer.parts.log.size() - 1, 1)[0]?.entry;
    t.match(last, { kind: 'summary', code: 'NOT_SENT_PROVIDER_BUSY' });
    const url = `${pair.consumer.urls.loopback}/lookups/${last?.id}/settle`;
    const settled = await fetch(url, { method: 'POST', headers: { 'accord-client': CLIENT } });
    t.match(await settled.json(), { state: 'void' }, 'what is asked about an earlier message is still answered');
    await untilStamped(pair.provider);
    t.match(await call(), { status: 200 });
  });
}
