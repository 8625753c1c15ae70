// The opening of a peer message on the wire, byte for byte: two servers of different releases have to read each other.
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { SEAL_SALT_BYTES } from '#certs/seal.ts';
import { MAX_BODY_BYTES } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import {
  decodeFrame,
  decodeStreamFrame,
  encodeFrame,
  encodeStreamFrame,
  type Frame,
  type StreamFrame,
} from '#security-server/envelope/frame.ts';

const ID = '01939f2e-5b7a-7c31-8d42-9a1b2c3d4e5f';
const salt = (byte: number) => Buffer.alloc(SEAL_SALT_BYTES, byte);
const OPENING = {
  kind: 'answer' as const,
  ...{ id: ID, ticket: 'eyJ.t', headSalt: salt(0xa1), sealedHead: Buffer.from('head'), bodySalt: salt(0xb2) },
};
const FRAME: Frame = { ...OPENING, sealedBody: Buffer.from('body') };
const STREAM: StreamFrame = { ...OPENING, bodyLength: 5 * 2 ** 32 + 7 };
const hex = (text: string) => Buffer.from(text, 'latin1').toString('hex');
const AFTER_MAGIC = [
  ...['01', '00000024', hex(ID), '00000005', hex('eyJ.t')],
  ...['a1'.repeat(SEAL_SALT_BYTES), '00000004', hex('head'), 'b2'.repeat(SEAL_SALT_BYTES)],
].join('');
const GOLDEN = `${hex('ACM1')}${AFTER_MAGIC}00000004${hex('body')}`;
const STREAM_GOLDEN = `${hex('ACM2')}${AFTER_MAGIC}0000000500000007`;

t.test('the bytes of both forms', async (t) => {
  t.equal(SEAL_SALT_BYTES, 32);
  t.equal(encodeFrame(FRAME).toString('hex'), GOLDEN);
  t.same(decodeFrame(Buffer.from(GOLDEN, 'hex')), FRAME);
  t.equal(encodeStreamFrame(STREAM).toString('hex'), STREAM_GOLDEN);
  t.same(decodeStreamFrame(Buffer.from(STREAM_GOLDEN, 'hex')), STREAM);
});

t.test('what is no opening is refused', async (t) => {
  const replaced = (golden: string, from: string, to: string) => golden.replace(from, to);
  for (const [what, decode, golden] of [
    ['message', decodeFrame, GOLDEN],
    ['stream', decodeStreamFrame, STREAM_GOLDEN],
  ] as const) {
    const cases: [string, string][] = [
      ['the other form', golden === GOLDEN ? STREAM_GOLDEN : GOLDEN],
      ['an unknown kind', replaced(golden, '0100000024', '0200000024')],
      ['an id that is none', replaced(golden, hex(ID), hex(ID.toUpperCase()))],
      ['a blank in the ticket', replaced(golden, hex('eyJ.t'), hex('eyJ t'))],
      ['a byte too many', `${golden}00`],
      ['nothing', ''],
    ];
    for (const [name, text] of cases) {
      t.throws(() => decode(Buffer.from(text, 'hex')), { code: 'MESSAGE_MALFORMED' }, `${what}: ${name}`);
    }
    for (let end = 0; end < golden.length / 2; end += 1) {
      if (!refused(() => decode(Buffer.from(golden, 'hex').subarray(0, end)))) t.fail(`${what}: cut at ${end}`);
    }
  }
  for (const bodyLength of [0, MAX_BODY_BYTES, 2 ** 53]) {
    t.ok(
      refused(() => decodeStreamFrame(encodeStreamFrame({ ...STREAM, bodyLength }))),
      `a body of ${bodyLength} bytes`,
    );
  }
});

t.test('what is written is read', async () => {
  const bytes = (minLength: number, maxLength: number) =>
    fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));
  const salts = bytes(SEAL_SALT_BYTES, SEAL_SALT_BYTES);
  const record = <T>(members: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(members, { noNullPrototype: true });
  const opening = {
    ...{ kind: fc.constantFrom('request' as const, 'answer' as const), id: fc.constant(ID) },
    ...{ ticket: fc.constantFrom('', 't', 'eyJ.t'), headSalt: salts, sealedHead: bytes(0, 40), bodySalt: salts },
  };
  fc.assert(
    fc.property(record({ ...opening, sealedBody: bytes(0, 40) }), (frame) => {
      return isDeepStrictEqual(frame, decodeFrame(encodeFrame(frame)));
    }),
  );
  const bodyLength = fc.integer({ min: MAX_BODY_BYTES + 1, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(record({ ...opening, bodyLength }), (frame) => {
      return isDeepStrictEqual(frame, decodeStreamFrame(encodeStreamFrame(frame)));
    }),
  );
});

function refused(attempt: () => unknown): boolean {
  try {
    attempt();
    return false;
  } catch (error) {
    return isAccordError(error, 'MESSAGE_MALFORMED');
  }
}
