// Bodies that do not fit into memory, through two real servers: byte-identical in both directions, nothing used before it
// was verified, nothing left in the spool whatever happens.
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { commit } from '#certs/commitment.ts';
import { BARE_REQUEST, encodeRequestContext } from '#schemas/context.ts';
import { MAX_BODY_BYTES } from '#schemas/limits.ts';
import { CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { gatherBody, isSpooled, type MessageBody, removeBody } from '#security-server/body.ts';
import type { Call } from '#security-server/consumer/call.ts';
import { exchange, type LookupResult } from '#security-server/consumer/exchange.ts';
import type { StreamedMessage } from '#security-server/envelope/stream.ts';
import { openSpool, type Spool, type SpooledBody } from '#security-server/spool.ts';

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function bytesOf(body: MessageBody): Promise<Buffer> {
  if (!isSpooled(body)) return body;
  const chunks: Buffer[] = [];
  for await (const chunk of body.records()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function callOf(body: MessageBody, path = '/file'): Call {
  const xroad = { id: 'DEV-1', madeId: true, representedParty: null, securityServer: null, hash: 'x', target: '/r1/x' };
  const context = encodeRequestContext({
    ...BARE_REQUEST,
    method: 'POST',
    path,
    caller: 'loopback',
    deadlineMs: 30_000,
    xroad,
    body: { length: body.length, type: 'application/octet-stream' },
  });
  return { client: CLIENT, service: SERVICE, purpose: null, basis: 'open', deadlineMs: 30_000, context, body };
}

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Sends `bytes` as a caller would; the answer's body is read and given back. */
async function send(pair: Pair, bytes: Buffer, path?: string): Promise<{ result: LookupResult; body: Buffer }> {
  const { spool, maxBodyBytes } = pair.consumer.parts;
  const body = await gatherBody(spool, pieces(bytes, 10_007), maxBodyBytes);
  try {
    const result = await exchange(pair.consumer.parts, callOf(body, path));
    const answer = result.answer?.body ?? Buffer.alloc(0);
    const read = await bytesOf(answer);
    removeBody(answer);
    return { result, body: read };
  } finally {
    removeBody(body);
  }
}

function nothingLeft(t: Test, pair: Pair): void {
  for (const which of ['consumer', 'provider'] as const) {
    t.equal(pair[which].parts.spool.held(), 0, `${which}'s spool is empty`);
    t.same(readdirSync(join(pair.folder, which, 'spool')), [], `${which}'s spool has no file`);
  }
}

t.test('bodies of every size, both ways', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  pair.backend.answer = (_request, body, response) => {
    response.setHeader('content-type', 'application/octet-stream');
    response.setHeader('x-digest', digest(body));
    response.end(Buffer.from(body).reverse());
  };
  const record = 64 * 1024;
  const sizes = [
    0,
    1,
    MAX_BODY_BYTES - 1,
    MAX_BODY_BYTES,
    MAX_BODY_BYTES + 1,
    5 * record,
    5 * record + 1,
    48 * record - 1,
  ];
  for (const size of sizes) {
    const bytes = randomBytes(size);
    const { result, body } = await send(pair, bytes);
    t.match(result, { outcome: 'ok', code: 'OK', answer: { context: { body: { length: size } } } }, `${size} bytes`);
    t.same(pair.backend.seen.at(-1)?.body.equals(bytes), true, 'at the backend');
    t.same(body.reverse().equals(bytes), true, 'and back');
    const kept = pair.provider.parts.log.find(null, result.id).map(({ entry: { seq, kind } }) => {
      return [kind, pair.provider.parts.log.readSealed(seq)?.body?.length] as const;
    });
    const small = size <= MAX_BODY_BYTES ? size : undefined;
    t.same(
      new Map(kept),
      new Map([
        ['request-received', small],
        ['response-sent', small],
      ]),
      'a large body is committed to, not kept',
    );
  }
  nothingLeft(t, pair);
});

t.test('what is taken comes back, wherever it lies', async (t) => {
  const RECORD = 64 * 1024;
  const sizes = [0, 1, RECORD - 1, RECORD, RECORD + 1, 5 * RECORD, 9 * RECORD + 7];
  const take = (spool: Spool, bytes: Buffer, chunk: number) =>
    spool.take(pieces(Buffer.from(bytes), chunk), { maxBytes: bytes.length, sha512: true });
  // Nothing in memory; less than a record; some, so that bodies move to the disk half way; everything.
  for (const memoryBytes of [0, RECORD - 1, 3 * RECORD, 64 * RECORD]) {
    const folder = t.testdir();
    const spool = openSpool(folder, 64 * RECORD, memoryBytes);
    const name = `${memoryBytes} bytes of memory`;
    const bodies = sizes.map((size) => randomBytes(size));
    const chunks = [10_007, RECORD, 3 * RECORD + 5];
    const taken = await Promise.all(bodies.map((bytes, at) => take(spool, bytes, chunks[at % 3] ?? 1)));
    for (const [at, body] of taken.entries()) {
      const bytes = bodies[at] ?? Buffer.alloc(0);
      const again = [await bytesOf(body), await bytesOf(body)].map((read) => read.equals(bytes));
      t.same(again, [true, true], `${name}: ${bytes.length} bytes, twice`);
      t.equal(body.commitment, commit(body.salt, bytes), 'committed to');
      t.same(body.sha512, createHash('sha512').update(bytes).digest(), 'and hashed');
    }
    // Two that are read side by side and given back meanwhile: nobody takes half a body for a whole one.
    const [large, other] = [taken[6] as SpooledBody, taken[5] as SpooledBody];
    const reading = large.records();
    t.same((await reading.next()).value, bodies[6]?.subarray(0, RECORD), `${name}: the first record`);
    large.remove();
    const next = await take(spool, Buffer.alloc(9 * RECORD, 'x'), RECORD);
    const goesOn = async () => {
      for await (const record of reading) t.notOk(record.includes('xxxxxxxx'), 'of another body');
    };
    await t.rejects(goesOn(), { code: 'SPOOL_FAILED' }, `${name}: given back while it was read`);
    await t.rejects(bytesOf(large), { code: 'SPOOL_FAILED' }, `${name}: read after it was given back`);
    large.remove();
    t.ok((await bytesOf(other)).equals(bodies[5] as Buffer), `${name}: the others are as they were`);
    for (const body of [...taken, next]) body.remove();
    t.equal(spool.held(), 0, `${name}: nothing held`);
    t.same(readdirSync(folder), [], `${name}: no file`);
  }
});

t.test('what a server itself is asked fits into memory', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  for (const path of ['/.accord/doubts', '/.accord/none']) {
    const { result } = await send(pair, randomBytes(5 * 64 * 1024), path);
    t.match(result, { outcome: 'refused', code: 'BODY_TOO_LARGE' }, path);
    const kinds = pair.provider.parts.log.find(null, result.id).map(({ entry }) => entry.kind);
    t.same(kinds.sort(), ['refusal-sent', 'request-received'], 'and that is signed and logged');
  }
  nothingLeft(t, pair);
});

t.test(
  'a request that is larger than the provider takes is refused, signed and logged, while it is still sent',
  async (t) => {
    const MIB = 1024 * 1024;
    const pair = await openPair({ provider: { maxBodyBytes: MIB } });
    t.teardown(() => pair.close());
    const { parts, urls } = pair.consumer;
    const { link } = parts;
    let sent = 0;
    parts.link = {
      ...link,
      send(peer, message, ...rest) {
        if (Buffer.isBuffer(message) || 'statementBytes' in message) return link.send(peer, message, ...rest);
        const counted = () =>
          Readable.from(
            (async function* () {
              for await (const chunk of message.bytes()) {
                sent += (chunk as Buffer).length;
                yield chunk;
              }
            })(),
          );
        return link.send(peer, { ...message, bytes: counted }, ...rest);
      },
    };
    for (const [length, prefer] of [
      [64 * MIB, ''],
      [64 * MIB, 'accord-status'],
      [MIB + 1, ''],
    ] as const) {
      sent = 0;
      const answer = await fetch(`${urls.loopback}/r1/${SERVICE}/file`, {
        method: 'POST',
        headers: { 'x-road-client': CLIENT, prefer },
        body: Buffer.alloc(length, 7),
      });
      t.match([answer.status, answer.headers.get('x-road-error')], [413, 'Client.BadRequest'], `${length} ${prefer}`);
      t.match(await answer.text(), `more than ${MIB} bytes`);
      t.ok(sent < 32 * MIB, `${sent} bytes were sent before the answer was there`);
      const id = answer.headers.get('x-road-request-id') ?? '';
      const kinds = (log: typeof parts.log) =>
        log
          .find(null, id)
          .map(({ entry: { kind, code } }) => `${kind} ${code}`)
          .sort();
      t.same(kinds(pair.provider.parts.log), ['refusal-sent BODY_TOO_LARGE', 'request-received OK']);
      t.same(kinds(parts.log), ['refusal-received BODY_TOO_LARGE', 'request-sent OK']);
    }
    t.same(pair.backend.seen, [], 'nothing reached the backend');
    pair.backend.answer = (_request, _body, response) => void response.end();
    t.match((await send(pair, randomBytes(MIB))).result, { outcome: 'ok' }, 'the limit itself');
    nothingLeft(t, pair);
  },
);

t.test('an answer that is too large, or that ends half way', async (t) => {
  const pair = await openPair({ provider: { maxBodyBytes: 1024 * 1024 } });
  t.teardown(() => pair.close());
  const cases: [string, Pair['backend']['answer'], string][] = [
    ['stated', (_q, _b, response) => void response.end(Buffer.alloc(2 * 1024 * 1024)), 'BACKEND_ANSWER_TOO_LARGE'],
    [
      'not stated',
      (_q, _b, response) => void Readable.from(pieces(Buffer.alloc(2 * 1024 * 1024), 50_000)).pipe(response),
      'BACKEND_ANSWER_TOO_LARGE',
    ],
    [
      'cut off',
      (_q, _b, response) => {
        response.setHeader('content-length', 900_000);
        response.write(Buffer.alloc(600_000), () => response.socket?.destroy());
      },
      'BACKEND_ANSWER_MALFORMED',
    ],
  ];
  for (const [name, answer, code] of cases) {
    pair.backend.answer = answer;
    const { result } = await send(pair, Buffer.from('x'));
    t.match(result, { outcome: 'provider-error', code }, name);
  }
  nothingLeft(t, pair);
});

t.test('what was changed on the way is not believed', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const { parts } = pair.consumer;
  const { link } = parts;
  const bytes = randomBytes(5 * 64 * 1024 + 100);
  const changes: [string, (whole: Buffer) => Buffer][] = [
    ['the first record', (whole) => flipped(whole, whole.length - bytes.length)],
    ['the last byte', (whole) => flipped(whole, whole.length - 1)],
    ['the last record is missing', (whole) => whole.subarray(0, whole.length - 116)],
    ['a byte more', (whole) => Buffer.concat([whole, Buffer.alloc(1)])],
    ['the head', (whole) => flipped(whole, 1_500)],
    ['cut in the middle of the head', (whole) => whole.subarray(0, 700)],
  ];
  for (const [name, change] of changes) {
    parts.link = {
      ...link,
      async send(peer, message, timeoutMs) {
        const chunks: Buffer[] = [];
        for await (const chunk of (message as StreamedMessage).bytes()) chunks.push(chunk as Buffer);
        const whole = change(Buffer.concat(chunks));
        const changed = { length: whole.length, bytes: () => Readable.from([whole]), release: () => {} };
        return link.send(peer, changed, timeoutMs);
      },
    };
    const before = pair.provider.parts.log.size();
    const { result } = await send(pair, bytes);
    t.match(result, { outcome: 'unknown' }, name);
    t.equal(pair.provider.parts.log.size(), before, 'nothing of it was logged');
  }
  t.same(pair.backend.seen, [], 'and nothing ran');
  parts.link = link;
  nothingLeft(t, pair);
});

function flipped(whole: Buffer, at: number): Buffer {
  const copy = Buffer.from(whole);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
