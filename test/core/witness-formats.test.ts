// The formats of witnesses: cosignatures, verified once more as c2sp.org/tlog-cosignature spells them; the body of
// add-checkpoint; the feed that cosigners of the aggregate log check; whose key an origin's is.
import { createPublicKey, verify } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { generateKeys } from '#certs/keys.ts';
import { parseNote } from '#core/log/signed-note.ts';
import { formatAddCheckpoint, parseAddCheckpoint } from '#core/witness/add-checkpoint.ts';
import {
  cosignatureLine,
  cosigner,
  cosignerKey,
  formatCosignerKey,
  goodCosignatures,
  parseCosignerKey,
} from '#core/witness/cosignature.ts';
import { FeedCheck, type FeedRules, RunningTree } from '#core/witness/feed.ts';
import { logVerifier } from '#core/witness/log-keys.ts';
import { MAX_WITNESSED_LOGS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import { WitnessedLog } from './witnessed-log.ts';

const NAME = 'witness.example/w1';
const COSIGNERS = [
  cosigner(NAME, generateKeys('Ed25519').privateKey),
  cosigner(NAME, generateKeys('ML-DSA-44').privateKey),
];
const KEYS = COSIGNERS.map(({ key }) => key);

t.test('cosignatures', async (t) => {
  const log = new WitnessedLog('accord/XA/GOV/1/SS1').grow(7);
  const nowMs = Date.now();
  const body = COSIGNERS.map((by) => cosignatureLine(parseNote(log.note()).text, by, nowMs)).join('');
  const note = log.note() + body;
  const good = goodCosignatures(note, KEYS);
  t.same(
    good.map(({ algorithm }) => algorithm),
    ['ed25519', 'ml-dsa-44'],
  );
  t.equal(good[0]?.timeMs, nowMs - (nowMs % 1000));
  for (const key of KEYS) t.same(parseCosignerKey(formatCosignerKey(key)), key);
  t.match(formatCosignerKey(KEYS[0] as never), new RegExp(`^${NAME}\\+[0-9a-f]{8}\\+B[A-P]`), 'type 0x04');
  t.match(formatCosignerKey(KEYS[1] as never), new RegExp(`^${NAME}\\+[0-9a-f]{8}\\+B[g-v]`), 'type 0x06');
  // As c2sp.org/tlog-cosignature says, spelled out here once more.
  const { signatures, text } = parseNote(note);
  const [first, second] = signatures.slice(1).map(({ signature }) => signature) as [Buffer, Buffer];
  const seconds = first.readBigUInt64BE(0);
  const [ed, ml] = COSIGNERS.map(({ privateKey }) => createPublicKey(privateKey));
  const message = Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`);
  t.ok(verify(null, message, ed as never, first.subarray(8)));
  const u64 = (value: bigint) => Buffer.from(value.toString(16).padStart(16, '0'), 'hex');
  const opaque = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  const parts = ['subtree/v1\n\0', opaque(NAME), u64(seconds), opaque(log.origin), u64(0n), u64(7n), log.root()];
  t.ok(verify(null, Buffer.concat(parts.map((part) => Buffer.from(part))), ml as never, second.subarray(8)));

  const later = (encoded: string) => {
    const bytes = Buffer.from(encoded, 'base64');
    bytes.writeUInt8(bytes.readUInt8(11) ^ 1, 11);
    return bytes.toString('base64');
  };
  for (const [what, wrong] of [
    ['another text', note.replace('\n7\n', '\n8\n')],
    ['another time', log.note() + body.replaceAll(/[A-Za-z0-9+/=]{50,}/g, later)],
    ['lines of another note', new WitnessedLog(log.origin, log.key).grow(8).note() + body],
    ['no lines', log.note()],
  ] as const) {
    const found = (() => {
      try {
        return goodCosignatures(wrong, KEYS);
      } catch (error) {
        return isAccordError(error, 'NOTE_MALFORMED') ? [] : [error];
      }
    })();
    t.same(found, [], what);
  }
  const flipped = Buffer.from(note);
  const lineStart = Buffer.byteLength(log.note());
  for (let at = lineStart + 30; at < flipped.length - 4; at += 97) {
    const copy = Buffer.from(flipped);
    copy[at] = copy[at] === 0x41 ? 0x42 : 0x41;
    const count = (() => {
      try {
        return goodCosignatures(copy, KEYS).length;
      } catch {
        return 0;
      }
    })();
    t.ok(count < 2, `byte ${at}`);
  }
  for (const wrong of [
    '',
    'a+b',
    `${NAME}+00000000+${formatCosignerKey(KEYS[0] as never).split('+')[2]}`,
    log.verifierKey,
  ]) {
    t.throws(() => parseCosignerKey(wrong), { code: 'NOTE_MALFORMED' }, wrong.slice(0, 40));
  }
  t.throws(() => cosignerKey('with space', generateKeys('Ed25519').publicKey), TypeError);
  t.throws(() => cosignerKey('w', generateKeys('P-256').publicKey), TypeError);
  t.throws(() => cosignatureLine('rubbish\n', COSIGNERS[1] as never, 0), { code: 'NOTE_MALFORMED' });
});

t.test('the feed of the aggregate log', async (t) => {
  const one = new WitnessedLog('accord/XA/GOV/1/SS1').grow(30);
  const two = new WitnessedLog('accord/XA/GOV/1/SS2').grow(30);
  const fork = one.fork(4).grow(26, 'fork');
  const line = (data: string, proof: Buffer[] = []) =>
    JSON.stringify({ leaf: Buffer.from(data).toString('base64'), proof: proof.map((hash) => hash.toString('base64')) });
  const step = (log: WitnessedLog, from: number, to: number) => line(log.note(to), log.proof(from, to));
  const content = (version: number, hash: string, instance = 'XA') =>
    line(`accord-content/${instance}\n${version}\n${Buffer.from(hash.padEnd(32)).toString('base64')}\n`);
  const rules: FeedRules = {
    instance: 'XA',
    latest: () => null,
    origins: 0,
    verifierOf: (origin) => [one, two].find((log) => log.origin === origin)?.verifier,
    contentHash: (version) => (version === 3 ? Buffer.from('three'.padEnd(32)).toString('base64') : undefined),
    begins: false,
  };
  const run = (lines: string[], more: Partial<FeedRules> = {}) => {
    const check = new FeedCheck(new RunningTree(), { ...rules, ...more });
    try {
      for (const each of lines) check.take(each);
      return `ok ${[...check.strange].length}`;
    } catch (error) {
      return isAccordError(error) ? error.code : String(error);
    }
  };
  const stored = { size: 5, root: one.root(5) };
  const cases: [string, string[], string, Partial<FeedRules>?][] = [
    [
      'two logs and contents',
      [step(one, 0, 5), step(two, 0, 9), content(2, 'two'), content(3, 'three'), step(one, 5, 30)],
      'ok 0',
    ],
    ['from what is stored', [step(one, 5, 12)], 'ok 0', { latest: () => stored }],
    ['another beginning than the stored one', [step(fork, 5, 12)], 'WITNESS_FEED_WRONG', { latest: () => stored }],
    ['a log that forks', [step(one, 0, 5), step(fork, 5, 12)], 'WITNESS_FEED_WRONG'],
    ['a log that goes back', [step(one, 0, 12), step(one, 0, 5)], 'WITNESS_FEED_WRONG'],
    ['one twice', [step(one, 0, 5), line(one.note(5))], 'WITNESS_FEED_WRONG'],
    ['without its proof', [step(one, 0, 5), line(one.note(12))], 'WITNESS_FEED_WRONG'],
    ['without its proof, to one who begins', [step(one, 0, 5), line(one.note(12))], 'ok 0', { begins: true }],
    ['a fork, to one who begins', [step(one, 0, 5), step(fork, 5, 12)], 'WITNESS_FEED_WRONG', { begins: true }],
    [
      'a tree known from a log before, to one who begins',
      [line(one.note(5))],
      'ok 0',
      { begins: true, latest: () => stored },
    ],
    ['another tree of that size', [line(fork.note(5))], 'WITNESS_FEED_WRONG', { begins: true, latest: () => stored }],
    ['another content than is held', [content(3, 'other')], 'WITNESS_FEED_WRONG'],
    ['of another instance', [content(2, 'two', 'XB')], 'WITNESS_FEED_WRONG'],
    ['signed by another key', [line(new WitnessedLog(one.origin).grow(3).note())], 'ok 1'],
    ['of a server that is gone', [line(new WitnessedLog('accord/XA/GOV/1/SS9').grow(3).note())], 'ok 1'],
    [
      'the last log that is remembered',
      [step(one, 0, 5), step(one, 5, 9)],
      'ok 0',
      { origins: MAX_WITNESSED_LOGS - 1 },
    ],
    ['one log too many', [step(one, 0, 5), step(two, 0, 9)], 'WITNESS_FEED_WRONG', { origins: MAX_WITNESSED_LOGS - 1 }],
    ['rubbish', ['{}'], 'WITNESS_FEED_WRONG'],
    ['no JSON', ['rubbish'], 'JSON_INVALID'],
    ['no note', [line('rubbish')], 'NOTE_MALFORMED'],
    ['no base64', ['{"leaf":"AAAAB","proof":[]}'], 'WITNESS_FEED_WRONG'],
  ];
  for (const [what, lines, wanted, more] of cases) t.equal(run(lines, more), wanted, what);

  const check = new FeedCheck(new RunningTree(), rules);
  for (const each of [step(one, 0, 5), step(two, 0, 9), step(one, 5, 30)]) check.take(each);
  t.same(
    check.steps.map(({ origin, before, tree }) => [origin, before?.size ?? 0, tree.size]),
    [
      [one.origin, 0, 30],
      [two.origin, 0, 9],
    ],
  );
  const resumed = new RunningTree(check.tree.size, check.tree.subtrees);
  t.same(resumed.root(), check.tree.root());
  t.throws(() => check.requireTree({ size: 3, root: Buffer.alloc(32) }), { code: 'WITNESS_FEED_WRONG' });
  t.throws(() => check.requireTree({ size: 4, root: check.tree.root() as Buffer }), { code: 'WITNESS_FEED_WRONG' });
});

t.test('keys of logs', async (t) => {
  const log = new WitnessedLog('accord/XA/GOV/1/SS1/2');
  const of = (origin: string) => logVerifier(log.registered, origin)?.name;
  for (const origin of ['accord/XA/GOV/1/SS1', 'accord/XA/GOV/1/SS1/2', 'accord/XA/GOV/1/SS1/10'])
    t.equal(of(origin), origin);
  for (const origin of [
    'accord/XA/GOV/1/SS2',
    'accord/XA/GOV/1/SS1/11',
    'accord/XA/GOV/1/SS1/1',
    'accord/XA/GOV/1/SS1/x',
    '',
  ]) {
    t.equal(of(origin), undefined, origin);
  }
});

t.test('the body of add-checkpoint has one spelling', async (t) => {
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
  const text = fc.string({ unit: 'binary', maxLength: 50 }).filter((s) => s.isWellFormed());
  const body = fc.record({ oldSize: fc.maxSafeNat(), proof: fc.array(hash, { maxLength: 63 }), note: text });
  fc.assert(
    fc.property(body, (one) => t.same(parseAddCheckpoint(formatAddCheckpoint(one)), one)),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        const read = parseAddCheckpoint(bytes);
        if (!formatAddCheckpoint(read).equals(bytes)) throw new Error('another spelling');
      } catch (error) {
        if (!isAccordError(error, 'NOTE_MALFORMED')) throw error;
      }
    }),
  );
});
