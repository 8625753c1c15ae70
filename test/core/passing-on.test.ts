// Pieces of bodies that pass through: whose memory they are, when it is given back, and what waits when nobody reads.
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { giveBack } from '#core/give-back.ts';
import { ResponseStream } from '#core/http/response-stream.ts';
import { writeOut } from '#core/http/write-out.ts';
import { AccordError } from '#schemas/problems.ts';

t.test('memory is given back of whole pieces only', async (t) => {
  const whole = Buffer.allocUnsafeSlow(1000).fill(1);
  giveBack(whole);
  t.equal(whole.length, 0);
  giveBack(whole);
  const large = Buffer.alloc(1000, 2);
  giveBack(large.subarray(0, 999));
  giveBack(large.subarray(1));
  giveBack(Buffer.from('of the pool'));
  t.ok(large.every((byte) => byte === 2));
  t.equal(Buffer.from('still there').toString(), 'still there');
});

t.test('an answer that is read while it comes', async (t) => {
  const said: string[] = [];
  const source = {
    pause: () => said.push('pause'),
    resume: () => said.push('resume'),
    abort: () => said.push('abort'),
  };
  const stream = new ResponseStream(source, 100, 60_000);
  const chunk = Buffer.from('abc');
  stream.arrived(Buffer.alloc(0));
  stream.arrived(chunk);
  chunk.fill('x');
  stream.arrived(Buffer.from('def'));
  t.same(said, ['pause'], 'two pieces wait, no more');
  stream.ended();
  const pieces: string[] = [];
  for await (const piece of stream) pieces.push(String(piece));
  t.same(pieces, ['abc', 'def'], 'a copy of its own, and no piece without bytes');
  // It breaks while nobody reads: that ends no program, and the next read says it.
  const broken = new ResponseStream(source, 100, 60_000);
  broken.destroy(new AccordError('PEER_BROKE_OFF'));
  await new Promise(setImmediate);
  await t.rejects(broken.iterator().next(), { code: 'PEER_BROKE_OFF' });

  said.length = 0;
  const long = new ResponseStream(source, 5, 60_000);
  long.arrived(Buffer.from('abc'));
  long.arrived(Buffer.from('def'));
  await t.rejects(long.toArray(), { code: 'RESPONSE_TOO_LARGE' });
  t.same(said, ['abort'], 'nothing more of it is taken');
  const silent = new ResponseStream(source, 100, 20);
  const waited = setTimeout(() => silent.destroy(), 5_000);
  await t.rejects(silent.toArray(), { code: 'PEER_TIMEOUT' });
  clearTimeout(waited);
});

t.test('an answer that is written piece by piece', async (t) => {
  const made: Buffer[] = [];
  async function* pieces(count: number) {
    for (let n = 0; n < count; n += 1) {
      t.ok(n < 1 || made[n - 1]?.length === 0, 'the last one was given back');
      made[n] = Buffer.allocUnsafeSlow(70_000).fill(n);
      yield made[n] as Buffer;
    }
  }
  const ends: PromiseSettledResult<void>[] = [];
  const server = http.createServer(async (request, response) => {
    made.length = 0;
    const isLong = request.url === '/long';
    if (isLong) setTimeout(() => response.socket?.destroy(), 50);
    ends.push(...(await Promise.allSettled([writeOut(response, isLong ? pieces(1e6) : pieces(5))])));
    response.destroy();
    server.emit('ended');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const got = Buffer.from(await (await fetch(`${url}/`)).arrayBuffer());
  t.ok(got.equals(Buffer.concat([0, 1, 2, 3, 4].map((n) => Buffer.alloc(70_000, n)))), 'as they were made');
  const ended = once(server, 'ended');
  // Nobody reads.
  http.get(`${url}/long`, () => {}).on('error', () => {});
  await ended;
  t.same(
    ends.map(({ status }) => status),
    ['fulfilled', 'rejected'],
    'a connection that ends is an error',
  );
});
