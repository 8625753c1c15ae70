// Token Status Lists: the draft's own vectors, a few by hand, jose on the other side, and every text that is not exactly
// one signed list of this address.
import { existsSync, readFileSync } from 'node:fs';
import { deflateSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import * as jose from 'jose';
import t from 'tap';
import { signCompact } from '#certs/jws.ts';
import {
  packStatuses,
  readStatusList,
  type StatusBits,
  signStatusList,
  statusAt,
  unpackStatuses,
} from '#certs/status-list.ts';
import { MAX_STATUS_ENTRIES, MAX_STATUS_LIST_BYTES } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import { testKey } from './receipt-cases.ts';

const VECTORS = '../shared/vectors/status-list/status-list.json';
const [signer, other] = [testKey(), testKey()];
const URI = 'https://consent.example/status/provider-1';
const TYP = 'statuslist+jwt';
const IAT_MS = 1_800_000_000_000;
const values = Uint8Array.from([0, 1, 2, 3, 0, 0, 0, 1]);
const lst = packStatuses(2, values);
const order = { uri: URI, iatMs: IAT_MS + 999, expMs: IAT_MS + 600_999, ttlS: 5, lst };
const text = signStatusList(order, signer);

function verdict(judged: string, keys = [other, signer], uri = URI): string {
  try {
    readStatusList(judged, keys, uri);
    return 'ok';
  } catch (error) {
    if (isAccordError(error)) return error.code;
    throw error;
  }
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'ok';
  } catch (error) {
    if (isAccordError(error)) return error.code;
    throw error;
  }
}

interface Vector {
  name: string;
  bits: StatusBits;
  size: number;
  lst: string;
  statuses?: Record<string, number>;
  others?: number;
  bytes?: string;
}

const skip = existsSync(VECTORS) ? false : `${VECTORS} is not here`;
t.test('the vectors of the draft', { skip }, async (t) => {
  const { vectors } = JSON.parse(readFileSync(VECTORS, 'utf8')) as { vectors: Vector[] };
  t.ok(vectors.length >= 4);
  for (const { name, bits, size, lst: packed, statuses, others, bytes } of vectors) {
    const list = unpackStatuses(bits, packed, size);
    t.equal(list.length, size, name);
    const inflated = inflateSync(Buffer.from(packed, 'base64url'));
    if (bytes !== undefined) t.equal(inflated.toString('hex'), bytes, name);
    if (statuses !== undefined) {
      for (const [idx, status] of Object.entries(statuses))
        t.equal(statusAt(list, Number(idx)), status, `${name}: ${idx}`);
      const rest = list.reduce((sum, status) => sum + (status === others ? 1 : 0), 0);
      t.equal(rest, size - Object.keys(statuses).length, `${name}: all others`);
    }
    t.same(inflateSync(Buffer.from(packStatuses(bits, list), 'base64url')), inflated, `${name}: packed again`);
    t.equal(
      codeOf(() => unpackStatuses(bits, packed, size - 8)),
      'STATUS_LIST_REFUSED',
      `${name}: longer than allowed`,
    );
  }
});

t.test('bits lie in a byte from the lowest on', async (t) => {
  const cases: [bits: StatusBits, values: number[], bytes: string][] = [
    [1, [1, 0, 0, 0, 0, 0, 0, 0], '01'],
    [1, [0, 0, 0, 0, 0, 0, 0, 1, 1], '8001'],
    [2, [1, 0, 0, 0], '01'],
    [2, [0, 0, 0, 2, 3], '8003'],
    [2, [3, 2, 1, 0], '1b'],
    [4, [15, 1, 2], '1f02'],
    [8, [255, 0, 7], 'ff0007'],
  ];
  for (const [bits, list, bytes] of cases) {
    const packed = packStatuses(bits, Uint8Array.from(list));
    t.equal(inflateSync(Buffer.from(packed, 'base64url')).toString('hex'), bytes, `${bits}: ${list}`);
    const perByte = 8 / bits;
    const padded = [...list, ...Array(Math.ceil(list.length / perByte) * perByte - list.length).fill(0)];
    t.same([...unpackStatuses(bits, packed, 64)], padded);
  }
  fc.assert(
    fc.property(
      fc.constantFrom<StatusBits>(1, 2, 4, 8),
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      (bits, raw) => {
        const list = raw.map((value) => value & (2 ** bits - 1));
        const back = unpackStatuses(bits, packStatuses(bits, list), 512);
        return (
          Buffer.from(back.subarray(0, list.length)).equals(list) &&
          back.subarray(list.length).every((value) => value === 0)
        );
      },
    ),
    { numRuns: 200 },
  );
  t.throws(() => packStatuses(2, Uint8Array.from([4])), TypeError);
  t.throws(() => packStatuses(2, new Uint8Array(0)), TypeError);
  t.throws(() => packStatuses(2, new Uint8Array(MAX_STATUS_ENTRIES + 1)), TypeError);
  t.equal(statusAt(values, 3), 3);
  for (const idx of [8, -1, 1.5, Number.NaN])
    t.equal(
      codeOf(() => statusAt(values, idx)),
      'STATUS_LIST_REFUSED',
      `${idx}`,
    );
});

t.test('nothing is inflated beyond the longest list', async (t) => {
  const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
  const bomb = b64(deflateSync(Buffer.alloc(256 * 1024 * 1024), { level: 1 }));
  const before = process.memoryUsage().arrayBuffers;
  t.equal(
    codeOf(() => unpackStatuses(2, bomb, MAX_STATUS_ENTRIES)),
    'STATUS_LIST_REFUSED',
  );
  t.ok(process.memoryUsage().arrayBuffers - before < 32 * 1024 * 1024, 'and little memory was taken');
  const four = deflateSync(Buffer.alloc(4));
  t.equal(unpackStatuses(2, b64(four), 16).length, 16, 'at the edge');
  const refused: [name: string, lst: string][] = [
    ['one entry too many', b64(deflateSync(Buffer.alloc(5)))],
    ['bytes behind the stream', b64(Buffer.concat([four, Buffer.from([0])]))],
    ['a second stream behind it', b64(Buffer.concat([four, four]))],
    ['cut off', b64(four.subarray(0, -1))],
    ['a wrong checksum', b64(Buffer.from(four.map((byte, at) => (at === four.length - 1 ? byte ^ 1 : byte))))],
    ['no stream', b64(Buffer.from('four'))],
    ['padded', `${b64(four)}=`],
    ['empty', ''],
  ];
  for (const [name, packed] of refused)
    t.equal(
      codeOf(() => unpackStatuses(2, packed, 16)),
      'STATUS_LIST_REFUSED',
      name,
    );
});

t.test('a list is read back, and verified by us and by jose', async (t) => {
  const read = readStatusList(text, [signer], URI);
  t.match(read, { iatMs: IAT_MS, expMs: IAT_MS + 600_000, ttlMs: 5_000, kid: signer.kid }, 'whole seconds, cut off');
  t.same([...read.statuses], [...values]);
  const { payload, protectedHeader } = await jose.jwtVerify(text, await jose.importJWK(signer.jwk, 'ES256'), {
    typ: TYP,
    subject: URI,
    currentDate: new Date(IAT_MS + 60_000),
  });
  t.same(protectedHeader, { alg: 'ES256', typ: TYP, kid: signer.kid });
  t.same(payload, { sub: URI, iat: IAT_MS / 1000, exp: IAT_MS / 1000 + 600, ttl: 5, status_list: { bits: 2, lst } });
});

t.test('other lists are refused', async (t) => {
  const claims = { sub: URI, iat: 1_800_000_000, exp: 1_800_000_600, ttl: 5, status_list: { bits: 2, lst } };
  const signed = (payload: object, header: Record<string, string> = { typ: TYP, kid: signer.kid }) =>
    signCompact(
      Buffer.from(JSON.stringify(payload)),
      { typ: TYP, ...header },
      { alg: 'ES256', key: signer.privateKey },
    );
  t.equal(verdict(signed(claims)), 'ok');
  const list = (over: object) => signed({ ...claims, status_list: { ...claims.status_list, ...over } });
  const { exp: _exp, ...endless } = claims;
  const { ttl: _ttl, ...timeless } = claims;
  const refused: [name: string, text: string][] = [
    ['of another address', signed({ ...claims, sub: `${URI}2` })],
    ['signed by another', signStatusList(order, { ...other, kid: signer.kid })],
    ['signed by a stranger', signStatusList(order, testKey())],
    ['of another type', signed(claims, { typ: 'JWT', kid: signer.kid })],
    ['without a key id', signed(claims, { typ: TYP })],
    ['with a header too many', signed(claims, { kid: signer.kid, iat: '1' })],
    ['without an end', signed(endless)],
    ['without a time to live', signed(timeless)],
    ['that ends before it begins', signed({ ...claims, exp: claims.iat })],
    ['with a broken second', signed({ ...claims, iat: claims.iat + 0.5 })],
    ['with a claim too many', signed({ ...claims, iss: 'x' })],
    [
      'with a claim twice',
      text.replace(/\.[^.]+\./, `.${Buffer.from('{"sub":"a","sub":"b"}').toString('base64url')}.`),
    ],
    ['of 1 bit', list({ bits: 1 })],
    ['of 3 bits', list({ bits: 3 })],
    ['of bits as text', list({ bits: '2' })],
    ['with an aggregation', list({ aggregation_uri: 'https://x.example' })],
    ['without a list', list({ lst: '' })],
    ['a bomb', list({ lst: deflateSync(Buffer.alloc(64 * 1024 * 1024), { level: 1 }).toString('base64url') })],
    ['too large', `${text}${'A'.repeat(MAX_STATUS_LIST_BYTES)}`],
    ['no text', ''],
  ];
  for (const [name, judged] of refused) t.equal(verdict(judged), 'STATUS_LIST_REFUSED', name);
  t.equal(verdict(text, [other]), 'STATUS_LIST_REFUSED');
  t.equal(verdict(text, []), 'STATUS_LIST_REFUSED');
  t.equal(verdict(text, [signer], `${URI}/`), 'STATUS_LIST_REFUSED');
  t.throws(() => signStatusList({ ...order, ttlS: 0 }, signer), { code: 'STATUS_LIST_REFUSED' });
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom(...'ABCXYZabcxyz0189-_.= +/'), (at, character) => {
      const judged = text.slice(0, at) + character + text.slice(at + 1);
      return judged === text || verdict(judged) === 'STATUS_LIST_REFUSED';
    }),
    { numRuns: 500 },
  );
});

t.test('the longest list fits, though nothing of it can be compressed', async (t) => {
  let state = 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 3;
  };
  const longest = new Uint8Array(MAX_STATUS_ENTRIES).map(next);
  const signed = signStatusList({ ...order, lst: packStatuses(2, longest) }, signer);
  t.ok(signed.length <= MAX_STATUS_LIST_BYTES, `${signed.length} characters`);
  t.ok(signed.length > MAX_STATUS_LIST_BYTES / 2);
  t.ok(Buffer.from(readStatusList(signed, [signer], URI).statuses).equals(longest));
});
