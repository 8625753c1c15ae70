// Answers that take long, through two real servers: a deadline ends what does not begin, nothing ends what still moves, and
// what moves for longer than tickets and clocks reach is believed all the same.
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { parseRequestContext } from '#schemas/context.ts';
import { CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { MovingClock } from './moving-clock.ts';

t.setTimeout(60_000);

const DEADLINE_MS = 1_200;
const IDLE_MS = 2_000;
const PIECE = Buffer.alloc(64 * 1024, 'x');
const MINUTE_MS = 60_000;

const ask = (pair: Pair, path: string) =>
  fetch(`${pair.consumer.urls.loopback}/r1/${SERVICE}${path}`, { headers: { 'x-road-client': CLIENT } });

/** Sends piece after piece. */
async function drip(response: ServerResponse, pieces: number, everyMs: number): Promise<void> {
  for (let sent = 0; sent < pieces; sent += 1) {
    response.write(PIECE);
    await delay(everyMs);
  }
  response.end();
}

t.test('what moves is waited for, what does not begin is not', async (t) => {
  const pair = await openPair({
    consumer: { xroadDeadlineMs: DEADLINE_MS, bodyIdleMs: IDLE_MS },
    provider: { bodyIdleMs: IDLE_MS },
  });
  t.teardown(() => pair.close());
  // The first exchange of a process takes its time.
  for (let warm = 0; warm < 3; warm += 1) await (await ask(pair, '/warm')).arrayBuffer();
  pair.backend.answer = (_request, _body, response) => void drip(response, 16, DEADLINE_MS / 5);
  const startedMs = performance.now();
  const long = await ask(pair, '/long');
  t.equal(long.status, 200);
  t.equal((await long.arrayBuffer()).byteLength, 16 * PIECE.length, 'whole');
  t.ok(performance.now() - startedMs > 3 * DEADLINE_MS, 'long after the deadline');
  const id = long.headers.get('x-road-request-id') ?? '';
  const { log } = pair.provider.parts;
  const received = log.find(null, id).find(({ entry }) => entry.kind === 'request-received');
  const context = log.readSealed(received?.entry.seq ?? 0)?.context ?? Buffer.alloc(0);
  t.equal(parseRequestContext(context).deadlineMs, DEADLINE_MS, 'the deadline travels with the request');

  pair.backend.answer = (_request, _body, response) => void response.write(PIECE);
  const stuck = await ask(pair, '/stuck');
  t.match([stuck.status, stuck.headers.get('x-road-error')], [500, /^Server\./], 'what stands still is given up');

  pair.backend.answer = () => {};
  const never = await ask(pair, '/never');
  t.match([never.status, never.headers.get('x-road-error')], [500, /^Server\.(?:Client|Server)Proxy\.IOError$/]);

  const service = pair.provider.parts.state.service(SERVICE);
  if (service === null) throw new TypeError('the pair has its service');
  pair.provider.parts.state.putService({ ...service, timeoutMs: 100 });
  await pair.consumer.close();
  await pair.reopen('consumer', { xroadDeadlineMs: 30_000 });
  const late = await ask(pair, '/late');
  t.equal(late.headers.get('x-road-error'), 'Server.ServerProxy.IOError', 'the service’s own time is over first');
});

t.test('an answer that comes for longer than a ticket lasts and a clock may be wrong', async (t) => {
  const clock = new MovingClock();
  const pair = await openPair({ clock });
  t.teardown(() => pair.close());
  pair.backend.answer = async (_request, _body, response) => {
    response.write(PIECE);
    await delay(50);
    clock.aheadMs += 11 * MINUTE_MS;
    void drip(response, 8, 1);
  };
  const { parts } = pair.consumer;
  const { link } = parts;
  parts.link = {
    ...link,
    async send(...args) {
      const delivery = await link.send(...args);
      if ('stream' in delivery) {
        // Once its head was judged.
        delivery.stream.once('data', () => setImmediate(() => (clock.aheadMs += 6 * MINUTE_MS)));
        delivery.stream.pause();
      }
      return delivery;
    },
  };
  const long = await ask(pair, '/long');
  t.equal(long.status, 200, `${long.headers.get('x-road-error')}`);
  t.equal((await long.arrayBuffer()).byteLength, 9 * PIECE.length);
  t.ok(clock.aheadMs >= 17 * MINUTE_MS);
});
