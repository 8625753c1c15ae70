// The framed link below its messages: bytes split anywhere, rubbish, back pressure, and whoever is silent or slow.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { type FramedConnection, type FramesOwner, openFrames } from '#core/http/frames/connection.ts';
import { type FrameName, FrameReader, frameHeader } from '#core/http/frames/wire.ts';
import { MAX_CONTROL_FRAMES_PER_TICK, MAX_FRAME_BYTES, MAX_FRAMES_HELD_BYTES } from '#schemas/limits.ts';

t.setTimeout(60_000);
const NAMES = ['messages', 'refused', 'hint', 'credit', 'ping', 'pong', 'goaway'] as const;
const frame = (name: FrameName, payload: Uint8Array) => Buffer.concat([frameHeader(name, payload.length), payload]);

t.test('the header, byte for byte', async (t) => {
  t.same(
    NAMES.map((name) => frameHeader(name, 8).toString('hex')),
    NAMES.map((_, at) => `000000080${at + 1}`),
  );
  t.throws(() => frameHeader('credit', 9), TypeError);
});

t.test('frames are the same however they are split', async (t) => {
  const sizes = [0, 1, 3, 8];
  const all = NAMES.flatMap((name) => sizes.map((size) => ({ name, payload: Buffer.alloc(size, size) })));
  const bytes = Buffer.concat(all.map(({ name, payload }) => frame(name, payload)));
  const read = (cuts: number[]) => {
    const reader = new FrameReader();
    const edges = [0, ...cuts, bytes.length];
    return edges.slice(1).flatMap((edge, at) => reader.take(Buffer.from(bytes.subarray(edges[at], edge))));
  };
  for (let at = 0; at <= bytes.length; at += 1) if (!isDeepStrictEqual(read([at]), all)) t.fail(`cut at ${at}`);
  t.same(read(Array.from(bytes.keys())), all, 'byte by byte');
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
      const got = read(cuts.sort((a, b) => a - b));
      return got.length === all.length && got.every((one, at) => one.payload.equals(all[at]!.payload));
    }),
  );
  const large = Buffer.alloc(MAX_FRAME_BYTES, 7);
  const reader = new FrameReader();
  const whole = frame('messages', large);
  t.same(reader.take(whole.subarray(0, 70_000)), []);
  t.ok(reader.isInside);
  const got = [...reader.take(whole.subarray(70_000, 200_000)), ...reader.take(whole.subarray(200_000))];
  t.ok(got[0]?.payload.equals(large));
  t.notOk(reader.isInside);
});

t.test('unknown types and lengths beyond the limit are refused before their payload', async (t) => {
  const header = (length: number, type: number) => Buffer.from([...u32(length), type]);
  const u32 = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
  for (const [name, bytes] of [
    ['type 0', header(0, 0)],
    ['type 9', header(0, 9)],
    ['a long frame', header(MAX_FRAME_BYTES + 1, 1)],
    ['a very long one', header(2 ** 32 - 1, 1)],
    ['a long hint', header(257, 3)],
    ['HTTP', Buffer.from('POST / HTTP/1.1\r\n\r\n')],
  ] as const) {
    t.throws(() => new FrameReader().take(bytes), { code: 'MESSAGE_MALFORMED' }, name);
    const reader = new FrameReader();
    t.throws(() => [...bytes].map((byte) => reader.take(Buffer.from([byte]))), { code: 'MESSAGE_MALFORMED' }, name);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (rubbish) => {
      const reader = new FrameReader();
      try {
        reader.take(Buffer.from(rubbish));
        return true;
      } catch (error) {
        return (error as { code?: string }).code === 'MESSAGE_MALFORMED';
      }
    }),
  );
});

type Test = { teardown(run: () => void): void };

interface End {
  connection: FramedConnection;
  got: [FrameName, number][];
  closed: string[];
  drains: number;
  socket: Duplex;
  /** What the owner does with a frame. */
  work: FramesOwner['frame'];
}

function endOf(socket: Duplex, tickMs: number, isIdle?: () => boolean): End {
  const end: End = { got: [], closed: [], drains: 0, socket, work: () => undefined, connection: undefined as never };
  end.connection = openFrames(
    socket,
    {
      frame(name, payload) {
        end.got.push([name, payload.length]);
        return end.work(name, payload);
      },
      drained: () => {
        end.drains += 1;
      },
      closed: (reason) => end.closed.push(reason),
      ...(isIdle && { isIdle }),
    },
    { tickMs },
  );
  return end;
}

/** Two ends over TCP. */
async function pairOf(
  t: Test,
  tickMs = 60_000,
  isIdle?: () => boolean,
): Promise<{ near: End; far: Socket; farEnd(): End }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const far = await accepted;
  far.on('error', () => {});
  t.teardown(() => {
    socket.destroy();
    far.destroy();
    server.close();
  });
  return { near: endOf(socket, tickMs, isIdle), far, farEnd: () => endOf(far, tickMs) };
}
const until = async (what: () => boolean) => {
  for (let left = 2_000; left > 0 && !what(); left -= 1) await new Promise((resolve) => setTimeout(resolve, 2));
  return what();
};

t.test('one write for all that a turn sends', async (t) => {
  const writes: number[] = [];
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      writes.push(chunk.length);
      done();
    },
  });
  const { connection } = endOf(socket, 60_000);
  for (let at = 0; at < 50; at += 1) connection.send('messages', Buffer.alloc(10), Buffer.alloc(5));
  t.same(writes, []);
  await new Promise((resolve) => setImmediate(resolve));
  t.same(writes, [50 * 20]);
  connection.send('hint', Buffer.alloc(3));
  connection.flush();
  await new Promise((resolve) => setImmediate(resolve));
  t.same(writes, [1000, 8], 'flushed by hand, and not again');
  connection.destroy('done');
  connection.send('messages', Buffer.alloc(1));
  connection.flush();
  t.same(writes, [1000, 8]);
});

t.test('reading waits for the work on a frame, and goes on in order', async (t) => {
  const { near, farEnd } = await pairOf(t);
  const far = farEnd();
  let finish = () => {};
  far.work = (_name, payload) =>
    payload.length === 2 ? new Promise<void>((resolve) => (finish = resolve)) : undefined;
  for (let size = 1; size <= 4; size += 1) near.connection.send('messages', Buffer.alloc(size));
  t.ok(await until(() => far.got.length === 2));
  // Much more than the buffers of the sockets hold: the sender feels it.
  for (let at = 0; at < 100; at += 1) near.connection.send('messages', Buffer.alloc(200_000));
  near.connection.flush();
  t.notOk(near.connection.isWritable);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(far.got.length, 2);
  t.ok(near.connection.heldBytes > 0);
  finish();
  t.ok(await until(() => far.got.length === 104), 'all came');
  t.same(
    far.got.slice(0, 5),
    [1, 2, 3, 4, 200_000].map((size) => ['messages', size]),
  );
  t.ok(await until(() => near.connection.isWritable && near.drains > 0));
});

t.test('what came before the end is worked on', async (t) => {
  const { near, farEnd } = await pairOf(t);
  const far = farEnd();
  const steps: string[] = [];
  far.work = async (_name, payload) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    steps.push(`${payload.length} ${far.closed.length}`);
  };
  for (let size = 1; size <= 3; size += 1) near.connection.send('messages', Buffer.alloc(size));
  near.connection.end();
  t.ok(await until(() => far.closed.length > 0));
  t.same([steps, far.closed], [['1 0', '2 0', '3 0'], ['closed by the other end']]);
});

t.test('rubbish, mistakes and chatter end the connection; the owner hears it once', async (t) => {
  for (const [name, act, reason] of [
    ['rubbish', (far: Socket) => far.write('GET / HTTP/1.1\r\n'), 'MESSAGE_MALFORMED'],
    ['the end', (far: Socket) => far.end(), 'closed by the other end'],
    [
      'chatter',
      (far: Socket) => {
        for (let at = 0; at <= MAX_CONTROL_FRAMES_PER_TICK; at += 1) far.write(frame('hint', Buffer.alloc(1)));
      },
      'MESSAGE_MALFORMED',
    ],
  ] as const) {
    const { near, far } = await pairOf(t);
    act(far);
    t.ok(await until(() => near.closed.length > 0), name);
    t.same(near.closed, [reason], name);
    t.notOk(near.connection.isOpen);
  }
  const { near, far } = await pairOf(t);
  near.work = () => {
    throw new TypeError('a mistake');
  };
  far.write(frame('messages', Buffer.alloc(1)));
  t.ok(await until(() => near.closed.length > 0));
  t.same(near.closed, ['INTERNAL'], 'a mistake ends one connection, not the process');
  near.connection.destroy('again');
  t.equal(near.closed.length, 1);
});

t.test('pings are answered; who is silent, or stands still inside a frame, is cut off', async (t) => {
  const alive = await pairOf(t, 40);
  const other = alive.farEnd();
  await new Promise((resolve) => setTimeout(resolve, 600));
  t.same([alive.near.closed, other.closed], [[], []], 'two that say nothing to each other but ping');
  const dead = await pairOf(t, 10);
  dead.far.on('data', () => {});
  t.ok(await until(() => dead.near.closed.length > 0));
  t.same(dead.near.closed, ['silent']);
  const slow = await pairOf(t, 20);
  slow.far.on('data', () => {});
  const bytes = frame('messages', Buffer.alloc(1_000));
  let at = 0;
  const drip = setInterval(() => slow.far.destroyed || slow.far.write(bytes.subarray(at, ++at)), 5);
  t.ok(await until(() => slow.near.closed.length > 0));
  clearInterval(drip);
  t.same(slow.near.closed, ['stands still inside a frame']);
});

t.test('who takes nothing is cut off; a connection without messages is closed quietly', async (t) => {
  const { near, far } = await pairOf(t, 30);
  far.pause();
  const talk = setInterval(() => far.destroyed || far.write(frame('refused', Buffer.alloc(1))), 2);
  for (let at = 0; at < 100; at += 1) near.connection.send('messages', Buffer.alloc(200_000));
  t.ok(await until(() => near.closed.length > 0));
  clearInterval(talk);
  t.same(near.closed, ['takes nothing']);
  // Each frame of the other end is answered, so that what is held never stands still.
  const growing = await pairOf(t, 30);
  growing.near.work = () => void growing.near.connection.send('refused', Buffer.alloc(50));
  growing.far.pause();
  for (let at = 0; at < 100; at += 1) growing.near.connection.send('messages', Buffer.alloc(200_000));
  const asking = setInterval(() => growing.far.destroyed || growing.far.write(frame('hint', Buffer.alloc(1))), 20);
  t.ok(await until(() => growing.near.closed.length > 0));
  clearInterval(asking);
  t.same(growing.near.closed, ['takes nothing']);
  const greedy = await pairOf(t);
  let said = 0;
  greedy.near.work = () => {
    said += 200_000;
    greedy.near.connection.send('messages', Buffer.alloc(200_000));
    return undefined;
  };
  greedy.far.pause();
  for (let at = 0; at < 1_000; at += 1) greedy.far.write(frame('refused', Buffer.alloc(1)));
  t.ok(await until(() => greedy.near.closed.length > 0));
  t.same(greedy.near.closed, ['takes nothing'], 'however long it may stand still');
  // What the system holds for a reader that reads nothing is some MiB.
  t.ok(said > MAX_FRAMES_HELD_BYTES && said < 2 * MAX_FRAMES_HELD_BYTES, String(said));
  let asked = 0;
  // Idle only when it is asked the third time.
  const idle = await pairOf(t, 20, () => {
    asked += 1;
    return asked > 2;
  });
  const server = idle.farEnd();
  t.ok(await until(() => server.closed.length > 0));
  t.same([asked, server.closed], [3, ['closed by the other end']]);
});
