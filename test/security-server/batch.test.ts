// The sealed batch of the framed link: its bytes, what opens it and what does not. Every byte of it is somebody else's.
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { seal } from '#certs/seal.ts';
import type { Ticket } from '#certs/ticket.ts';
import {
  MAX_BATCH_BYTES,
  MAX_BATCH_MESSAGES,
  MAX_CONTEXT_BYTES,
  MAX_FRAME_BYTES,
  MAX_MESSAGE_BODY_BYTES,
  MAX_SIGNATURE_BYTES,
  MAX_STATEMENT_BYTES,
  MAX_TICKET_BYTES,
} from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import {
  type BatchedMessage,
  batchedBytes,
  openBatch,
  readSealedBatch,
  sealBatch,
} from '#security-server/envelope/batch.ts';

const BATCH_ID = '01939f2e-5b7a-7c31-8d42-9a1b2c3d4e5f';
const ticketOf = (jwe: string, secret = randomBytes(32)): Ticket => ({
  ...{ jwe, hash: sha256(jwe), secret, expiresAtMs: 0 },
  ...{ from: 'DEV/GOV/1001/ss1', to: 'DEV/GOV/2002/ss2' },
});
const TICKET = ticketOf('eyJ.t');
const idOf = (at: number) => `01939f2e-5b7a-7c31-8d42-${at.toString(16).padStart(12, '0')}`;
const salt = (byte: number) => Buffer.alloc(32, byte);
function message(at: number, over: Partial<BatchedMessage> = {}, jws = 'a.b.c'): BatchedMessage {
  const head = {
    statement: Buffer.from(`{"s":${at}}`),
    signature: { jws, index: at, size: 9, path: [salt(at)] },
    ...{ context: Buffer.from('{}'), contextSalt: salt(0xa1), bodySalt: salt(0xb2) },
  };
  return { id: idOf(at), head, body: Buffer.from('body'), ...over };
}
const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'none';
  } catch (error) {
    return isAccordError(error) ? error.code : `not coded: ${error}`;
  }
};
const open = (bytes: Buffer, ticket = TICKET) => {
  const batch = readSealedBatch(bytes);
  // What a server does: another ticket text has another hash, or opens to nothing.
  return openBatch(batch, batch.ticket === ticket.jwe ? ticket : { ...ticket, hash: sha256(batch.ticket) });
};
/** A batch of any plaintext, properly sealed. */
function sealedPlain(plaintext: Buffer): Buffer {
  const binding = { kind: 'request' as const, ticketHash: TICKET.hash, from: TICKET.from, to: TICKET.to, id: BATCH_ID };
  const sealed = seal(plaintext, TICKET.secret, salt(7), { ...binding, part: 'batch' });
  const lengths = [TICKET.jwe.length, BATCH_ID.length, sealed.length].map((length) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(length);
    return bytes;
  }) as [Buffer, Buffer, Buffer];
  return Buffer.concat([
    ...[lengths[0], Buffer.from(TICKET.jwe), Buffer.from([0]), lengths[1], Buffer.from(BATCH_ID)],
    ...[salt(7), lengths[2], sealed],
  ]);
}
const hex = (text: string) => Buffer.from(text).toString('hex');
const u32 = (value: number) => value.toString(16).padStart(8, '0');
const u16 = (value: number) => value.toString(16).padStart(4, '0');
const text = (value: string) => u32(value.length) + hex(value);
const MEMBER = (id = idOf(1), which = 0, hashes = '01') =>
  [
    ...[text(id), text('{"s":1}'), u16(which), u32(1), u32(9), hashes, '01'.repeat(32)],
    ...[text('{}'), 'a1'.repeat(32), 'b2'.repeat(32), text('body')],
  ].join('');
const PLAIN = `${u16(1)}${text('a.b.c')}${u16(1)}${MEMBER()}`;

t.test('the bytes of a batch', async (t) => {
  t.same(open(sealedPlain(Buffer.from(PLAIN, 'hex'))), [message(1)]);
  t.equal(batchedBytes(message(1)), MEMBER().length / 2);
  const sealed = sealBatch([message(1), message(2), message(3, {}, 'd.e.f')], 'answer', BATCH_ID, TICKET);
  t.match(readSealedBatch(sealed), { ticket: 'eyJ.t', kind: 'answer', id: BATCH_ID });
  t.equal(sealed.toString('hex', 0, 50), `${text('eyJ.t')}01${text(BATCH_ID)}`);
  t.same(open(sealed), [message(1), message(2), message(3, {}, 'd.e.f')]);
  t.not(open(sealBatch([message(1)], 'request', BATCH_ID, TICKET)), sealed);
});

t.test('every byte flipped, every cut and every addition is refused', async (t) => {
  const sealed = sealBatch([message(1), message(2)], 'request', BATCH_ID, TICKET);
  const codes = new Map<string, number>();
  for (let at = 0; at < sealed.length; at += 1) {
    for (const bit of [0, 3, 7]) {
      const flipped = Buffer.from(sealed);
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << bit), at);
      const code = codeOf(() => open(flipped));
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    if (codeOf(() => open(sealed.subarray(0, at))) !== 'MESSAGE_MALFORMED') t.fail(`cut at ${at}`);
  }
  t.same([...codes.keys()].sort(), ['MESSAGE_MALFORMED', 'SEAL_BROKEN']);
  t.equal(
    codeOf(() => open(Buffer.concat([sealed, Buffer.alloc(1)]))),
    'MESSAGE_MALFORMED',
  );
});

t.test('a batch opens nowhere but where it was sealed for', async (t) => {
  const sealed = sealBatch([message(1)], 'request', BATCH_ID, TICKET);
  const batch = readSealedBatch(sealed);
  const other = { ...TICKET, secret: randomBytes(32) };
  for (const [name, read, ticket] of [
    ['as an answer', { ...batch, kind: 'answer' }, TICKET],
    ['as another batch', { ...batch, id: idOf(5) }, TICKET],
    ['from somebody else', batch, { ...TICKET, from: 'DEV/GOV/3003/ss3' }],
    ['to somebody else', batch, { ...TICKET, to: 'DEV/GOV/3003/ss3' }],
    ['under another ticket', batch, { ...TICKET, hash: sha256('other') }],
    ['under another secret', batch, other],
    ['with another salt', { ...batch, salt: salt(1) }, TICKET],
  ] as const) {
    t.throws(() => openBatch(read, ticket), { code: 'SEAL_BROKEN' }, name);
  }
  t.same(openBatch(batch, TICKET), [message(1)]);
  // Neither does a part of a single message: its key is bound to another part.
  const binding = { kind: 'request' as const, ticketHash: TICKET.hash, from: TICKET.from, to: TICKET.to, id: BATCH_ID };
  for (const part of ['head', 'body'] as const) {
    const sealedPart = seal(Buffer.from(PLAIN, 'hex'), TICKET.secret, batch.salt, { ...binding, part });
    t.throws(() => openBatch({ ...batch, sealed: sealedPart }, TICKET), { code: 'SEAL_BROKEN' }, part);
  }
});

t.test('a plaintext with a second reading is refused', async (t) => {
  const [jws, other] = [text('a.b.c'), text('d.e.f')];
  const two = MEMBER(idOf(2));
  for (const [name, plain] of [
    ['no JWS', `${u16(0)}${u16(1)}${MEMBER()}`],
    ['no message', `${u16(1)}${jws}${u16(0)}`],
    ['a JWS twice', `${u16(2)}${jws}${jws}${u16(2)}${MEMBER()}${MEMBER(idOf(2), 1)}`],
    ['a JWS of no message', `${u16(2)}${jws}${other}${u16(1)}${MEMBER()}`],
    ['JWS in another order', `${u16(2)}${jws}${other}${u16(2)}${MEMBER(idOf(1), 1)}${MEMBER(idOf(2), 0)}`],
    ['a JWS that is not there', `${u16(1)}${jws}${u16(1)}${MEMBER(idOf(1), 1)}`],
    ['an id twice', `${u16(1)}${jws}${u16(2)}${MEMBER()}${MEMBER()}`],
    ['an id that is none', `${u16(1)}${jws}${u16(1)}${MEMBER(idOf(1).toUpperCase())}`],
    ['a path of nine hashes', `${u16(1)}${jws}${u16(1)}${MEMBER(idOf(1), 0, `09${'01'.repeat(32 * 8)}`)}`],
    ['a JWS with a blank', `${u16(1)}${text('a b.c')}${u16(1)}${MEMBER()}`],
    ['fewer messages than said', `${u16(1)}${jws}${u16(2)}${MEMBER()}`],
    ['more messages than said', `${u16(1)}${jws}${u16(1)}${MEMBER()}${two}`],
    ['too many messages', `${u16(1)}${jws}${u16(MAX_BATCH_MESSAGES + 1)}${MEMBER()}`],
    ['a long statement', PLAIN.replace(text('{"s":1}'), u32(MAX_STATEMENT_BYTES + 1))],
    ['nothing', ''],
  ] as const) {
    t.equal(
      codeOf(() => open(sealedPlain(Buffer.from(plain, 'hex')))),
      'MESSAGE_MALFORMED',
      name,
    );
  }
  t.same(open(sealedPlain(Buffer.from(`${u16(1)}${jws}${u16(2)}${MEMBER()}${two}`, 'hex'))).length, 2);
});

t.test('limits', async (t) => {
  t.throws(() => sealBatch([], 'request', BATCH_ID, TICKET), TypeError);
  const many = Array.from({ length: MAX_BATCH_MESSAGES + 1 }, (_, at) => message(at, { body: Buffer.alloc(0) }));
  t.throws(() => sealBatch(many, 'request', BATCH_ID, TICKET), TypeError);
  t.equal(open(sealBatch(many.slice(1), 'request', BATCH_ID, TICKET)).length, MAX_BATCH_MESSAGES);
  // The largest single message of all fits, with the largest ticket, into one frame.
  const largest = message(1, { body: Buffer.alloc(MAX_MESSAGE_BODY_BYTES) }, 'j'.repeat(MAX_SIGNATURE_BYTES));
  largest.head.statement = Buffer.alloc(MAX_STATEMENT_BYTES);
  largest.head.context = Buffer.alloc(MAX_CONTEXT_BYTES);
  largest.head.signature.path = Array.from({ length: 8 }, () => salt(1));
  const wide = ticketOf('t'.repeat(MAX_TICKET_BYTES));
  const sealed = sealBatch([largest], 'request', BATCH_ID, wide);
  t.ok(sealed.length <= MAX_FRAME_BYTES);
  t.same(open(sealed, wide), [largest]);
  t.throws(
    () => sealBatch([largest, message(2, { body: Buffer.alloc(2048) })], 'request', BATCH_ID, TICKET),
    TypeError,
  );
  t.ok(MAX_BATCH_BYTES < MAX_FRAME_BYTES);
});

t.test('what is sealed is opened', async () => {
  const bytes = (minLength: number, maxLength: number) =>
    fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));
  const u32s = fc.nat(2 ** 32 - 1);
  const signature = fc.record(
    {
      jws: fc.constantFrom('a.b.c', 'd.e.f', 'g.h.i'),
      ...{ index: u32s, size: u32s, path: fc.array(bytes(32, 32), { maxLength: 8 }) },
    },
    { noNullPrototype: true },
  );
  const parts = { statement: bytes(0, 99), context: bytes(0, 99), contextSalt: bytes(32, 32), bodySalt: bytes(32, 32) };
  const head = fc.record({ ...parts, signature }, { noNullPrototype: true });
  const messages = fc
    .array(fc.record({ head, body: bytes(0, 70_000) }, { noNullPrototype: true }), { minLength: 1, maxLength: 5 })
    .map((all) => all.map((one, at) => ({ id: idOf(at), ...one })));
  fc.assert(
    fc.property(messages, fc.constantFrom('request' as const, 'answer' as const), (all, kind) => {
      const batch = readSealedBatch(sealBatch(all, kind, BATCH_ID, TICKET));
      return batch.kind === kind && isDeepStrictEqual(openBatch(batch, TICKET), all);
    }),
    { numRuns: 60 },
  );
  // Rubbish is a coded error.
  fc.assert(fc.property(bytes(0, 300), (rubbish) => codeOf(() => open(rubbish)) === 'MESSAGE_MALFORMED'));
  fc.assert(fc.property(bytes(0, 300), (rubbish) => codeOf(() => open(sealedPlain(rubbish))) === 'MESSAGE_MALFORMED'));
});
