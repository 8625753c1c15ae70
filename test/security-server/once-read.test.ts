// What one exchange reads once and uses twice is what it would read again; salts and ids from a pool are nobody else's.
import fc from 'fast-check';
import t from 'tap';
import { newMessageId } from '#core/message-id.ts';
import { randomPiece } from '#core/random.ts';
import { BARE_REQUEST, parseRequestContext, type RequestContext } from '#schemas/context.ts';
import { parseJson } from '#schemas/json.ts';
import { bodyOf, contextOf, ownContext } from '#security-server/consumer/once-read.ts';

const context = fc.record({
  path: fc.constantFrom('', '/a', '/民'),
  userId: fc.option(fc.string({ minLength: 1, maxLength: 20 }), { nil: null }),
  fields: fc.option(fc.uniqueArray(fc.constantFrom('/a', '/b', 'gx.a@1'), { minLength: 1 }), { nil: null }),
});

t.test("a context of one's own", async (t) => {
  fc.assert(
    fc.property(context, (over) => {
      const made: RequestContext = { ...BARE_REQUEST, method: 'GET', caller: 'loopback', deadlineMs: 1, ...over };
      const bytes = ownContext(made);
      t.strictSame(contextOf(bytes), parseRequestContext(Buffer.from(bytes)));
      t.strictSame(contextOf(Buffer.from(bytes)), made, 'bytes that came back from the log');
    }),
    { numRuns: 50 },
  );
  const deadlineMs = 600_001;
  t.throws(() => ownContext({ ...BARE_REQUEST, method: 'GET', path: '', caller: 'loopback', deadlineMs }), {
    code: 'CONTEXT_MALFORMED',
  });
});

t.test('the body of an answer', async (t) => {
  const bytes = Buffer.from('{"a":[1,"民"]}');
  t.strictSame(bodyOf(bytes), parseJson(bytes));
  t.equal(bodyOf(bytes), bodyOf(bytes), 'read once');
  const twice = Buffer.from('{"a":1,"a":2}');
  for (let again = 0; again < 2; again += 1) t.throws(() => bodyOf(twice), { code: 'JSON_DUPLICATE_NAME' });
});

t.test('pieces of randomness', async (t) => {
  const pieces = Array.from({ length: 2_000 }, (_, at) => randomPiece(at % 3 === 0 ? 16 : 32));
  t.equal(new Set(pieces.map((piece) => piece.toString('hex'))).size, pieces.length, 'each is another');
  const places = new Map<ArrayBufferLike, [number, number][]>();
  for (const { buffer, byteOffset, length } of pieces) {
    const taken = places.get(buffer) ?? [];
    t.notOk(taken.some(([from, until]) => byteOffset < until && from < byteOffset + length) || false);
    places.set(buffer, [...taken, [byteOffset, byteOffset + length]]);
  }
  t.throws(() => randomPiece(65), TypeError);
  t.equal(new Set(Array.from({ length: 1_000 }, () => newMessageId(1_800_000_000_000))).size, 1_000);
});
