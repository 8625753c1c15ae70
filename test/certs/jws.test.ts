// Compact JWS: agreement with another implementation for every row of the table, and the law that a valid JWS has
// exactly one spelling.
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import fc from 'fast-check';
import * as jose from 'jose';
import t from 'tap';
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from '#certs/algorithms.ts';
import { derToLowRaw, isCanonicalRaw, rawToDer } from '#certs/ecdsa-signature.ts';
import { type JwsPolicy, jwsHash, parseCompact, signCompact, verifyCompact, verifyParsed } from '#certs/jws.ts';
import { generateKeys } from '#certs/keys.ts';
import { isAccordError } from '#schemas/problems.ts';

const ALL = Object.keys(SIGNATURE_ALGORITHMS) as SignatureAlgorithm[];
const TYP = 'accord-batch+jws';
const policy: JwsPolicy = { typ: TYP };

/** 'ok', or the code of the refusal; anything but a coded refusal fails the test. */
function verdict(check: () => unknown): string {
  try {
    check();
    return 'ok';
  } catch (error) {
    if (isAccordError(error)) return error.code;
    throw error;
  }
}

function keysFor(alg: SignatureAlgorithm): { privateKey: KeyObject; publicKey: KeyObject } {
  const { keyType, namedCurve } = SIGNATURE_ALGORITHMS[alg];
  if (keyType === 'rsa') return rsa;
  return keyType === 'ed25519' ? generateKeys('Ed25519') : generateKeys(namedCurve === 'secp384r1' ? 'P-384' : 'P-256');
}
const rsa = generateKeys('RSA-2048');
const ec = generateKeys();
const valid = signCompact(Buffer.from('{"v":1}'), { typ: TYP, kid: 'k', iat: 1 }, { alg: 'ES256', key: ec.privateKey });

t.test('what we sign, jose verifies, and the other way round, for every row', async (t) => {
  for (const alg of ALL) {
    const { privateKey, publicKey } = keysFor(alg);
    const open: JwsPolicy = { typ: TYP, algorithms: [alg] };
    for (let i = 0; i < (alg.startsWith('ES') ? 12 : 2); i++) {
      const payload = Buffer.from(`payload ${i} 数据`);
      const ours = signCompact(payload, { typ: TYP, kid: 'k', iat: 5 }, { alg, key: privateKey });
      const theirs = await jose.compactVerify(ours, publicKey, { algorithms: [alg] });
      t.same(Buffer.from(theirs.payload), payload, alg);
      t.same(Object.keys(theirs.protectedHeader), ['alg', 'typ', 'kid', 'iat']);
      t.same(verifyCompact(ours, publicKey, open).payload, payload);
      if (!alg.startsWith('PS') && !alg.startsWith('ES')) {
        t.equal(signCompact(payload, { typ: TYP, kid: 'k', iat: 5 }, { alg, key: privateKey }), ours, 'deterministic');
      }
      const made = await new jose.CompactSign(payload).setProtectedHeader({ alg, typ: TYP }).sign(privateKey);
      t.same(verifyCompact(made, publicKey, { ...open, allowHighS: true }).payload, payload, alg);
    }
    for (const other of ALL) {
      if (other === alg) continue;
      const jws = signCompact(Buffer.from('x'), { typ: TYP }, { alg, key: privateKey });
      t.equal(
        verdict(() => parseCompact(jws, { typ: TYP, algorithms: [other] })),
        'JWS_ALGORITHM_REFUSED',
      );
      const parsed = parseCompact(jws, open);
      const wrong = keysFor(other).publicKey;
      if (SIGNATURE_ALGORITHMS[other].keyType === 'rsa' && SIGNATURE_ALGORITHMS[alg].keyType === 'rsa') {
        t.throws(() => verifyParsed(parsed, { key: wrong, alg: other }), { code: 'JWS_ALGORITHM_REFUSED' });
      } else t.throws(() => verifyParsed(parsed, wrong), { code: 'JWS_ALGORITHM_REFUSED' }, `${alg} with ${other} key`);
    }
  }
});

t.test('a JWS that is not ours to accept', async (t) => {
  const key = { alg: 'ES256', key: ec.privateKey } as const;
  const [header = '', payload = '', signature = ''] = valid.split('.');
  const made = (json: string) => {
    const input = `${Buffer.from(json).toString('base64url')}.${payload}`;
    return `${input}.${derToLowRaw(sign('sha256', Buffer.from(input), ec.privateKey), 'prime256v1').toString('base64url')}`;
  };
  const cases: [string, string, string, Partial<JwsPolicy>?][] = [
    ['valid', valid, 'ok'],
    ['another typ', valid, 'JWS_HEADER_REFUSED', { typ: 'other' }],
    ['a name outside the closed set', valid, 'JWS_HEADER_REFUSED', { headers: ['alg', 'typ', 'iat'] }],
    ['over maxBytes', valid, 'JWS_MALFORMED', { maxBytes: valid.length - 1 }],
    ['at maxBytes', valid, 'ok', { maxBytes: valid.length }],
    ['no typ', made('{"alg":"ES256"}'), 'JWS_HEADER_REFUSED'],
    ['no typ, none asked', made('{"alg":"ES256"}'), 'ok', { typ: null }],
    [
      'crit',
      made(`{"alg":"ES256","typ":"${TYP}","crit":["kid"]}`),
      'JWS_HEADER_REFUSED',
      { headers: ['alg', 'typ', 'crit'] },
    ],
    [
      'b64',
      made(`{"alg":"ES256","typ":"${TYP}","b64":true}`),
      'JWS_HEADER_REFUSED',
      { headers: ['alg', 'typ', 'b64'] },
    ],
    ['jwk', made(`{"alg":"ES256","typ":"${TYP}","jwk":{}}`), 'JWS_HEADER_REFUSED', { headers: ['alg', 'typ', 'jwk'] }],
    [
      'none',
      `${Buffer.from(`{"alg":"none","typ":"${TYP}"}`).toString('base64url')}.${payload}.`,
      'JWS_ALGORITHM_REFUSED',
    ],
    ['HS256', made(`{"alg":"HS256","typ":"${TYP}"}`), 'JWS_ALGORITHM_REFUSED'],
    ['an inherited name as alg', made(`{"alg":"constructor","typ":"${TYP}"}`), 'JWS_ALGORITHM_REFUSED'],
    ['an array as alg', made(`{"alg":["ES256"],"typ":"${TYP}"}`), 'JWS_ALGORITHM_REFUSED'],
    ['a duplicate header name', made(`{"alg":"ES256","typ":"${TYP}","alg":"ES256"}`), 'JWS_MALFORMED'],
    ['__proto__ in the header', made(`{"alg":"ES256","typ":"${TYP}","__proto__":1}`), 'JWS_MALFORMED'],
    ['a header that is no object', made('["ES256"]'), 'JWS_MALFORMED'],
    ['a byte order mark', made(`\ufeff{"alg":"ES256","typ":"${TYP}"}`), 'JWS_MALFORMED'],
    ['white space in the signed header', made(`{ "alg":"ES256", "typ":"${TYP}"}`), 'ok'],
    [
      'the header spelled anew',
      `${Buffer.from(` ${Buffer.from(header, 'base64url')}`).toString('base64url')}.${payload}.${signature}`,
      'JWS_SIGNATURE_WRONG',
    ],
    [
      'DER instead of r and s',
      `${header}.${payload}.${rawToDer(Buffer.from(signature, 'base64url'), 'prime256v1').toString('base64url')}`,
      'JWS_MALFORMED',
    ],
    ['a detached payload', `${header}..${signature}`, 'JWS_SIGNATURE_WRONG'],
    ['no signature', `${header}.${payload}.`, 'JWS_MALFORMED'],
    ['JSON form', JSON.stringify({ protected: header, payload, signature }), 'JWS_MALFORMED'],
  ];
  for (const [name, text, expected, more] of cases) {
    t.equal(
      verdict(() => verifyCompact(text, ec.publicKey, { ...policy, ...more })),
      expected,
      name,
    );
  }
  const edwards = generateKeys('Ed25519');
  const short = signCompact(Buffer.from('x'), { typ: TYP }, { alg: 'EdDSA', key: edwards.privateKey }).slice(0, -6);
  t.equal(
    verdict(() => verifyCompact(short, edwards.publicKey, policy)),
    'JWS_MALFORMED',
    'a short signature',
  );
  const [rsaInput = '', rsaSignature = ''] = signCompact(
    Buffer.from('x'),
    { typ: TYP },
    { alg: 'PS256', key: rsa.privateKey },
  ).split(/\.(?=[^.]*$)/);
  for (const changed of [
    Buffer.concat([Buffer.alloc(1), Buffer.from(rsaSignature, 'base64url')]),
    Buffer.from(rsaSignature, 'base64url').subarray(1),
  ]) {
    const text = `${rsaInput}.${changed.toString('base64url')}`;
    t.not(
      verdict(() => verifyCompact(text, rsa.publicKey, { ...policy, algorithms: ['PS256'] })),
      'ok',
      'an RSA signature of another length',
    );
  }
  t.equal(
    verdict(() => verifyCompact(valid, generateKeys().publicKey, policy)),
    'JWS_SIGNATURE_WRONG',
    'another key',
  );
  t.equal(
    verdict(() => verifyCompact(valid, () => undefined, policy)),
    'JWS_SIGNATURE_WRONG',
    'no key',
  );
  t.equal(
    verdict(() => verifyCompact(valid, (h) => (h['kid'] === 'k' ? ec.publicKey : undefined), policy)),
    'ok',
  );
  t.throws(() => verifyCompact(valid, ec.privateKey, policy), TypeError, 'a private key');
  t.throws(() => signCompact(Buffer.from(''), { typ: TYP, alg: 'none' }, key), TypeError);
  t.throws(() => signCompact(Buffer.from(''), { typ: TYP, jwk: {} }, key), TypeError);
  t.throws(() => signCompact(Buffer.from(''), { typ: TYP }, { alg: 'EdDSA', key: ec.privateKey }), TypeError);
  t.throws(() => signCompact(Buffer.from(''), { typ: TYP }, { alg: 'ES256', key: ec.publicKey }), TypeError);
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
  t.throws(() => signCompact(Buffer.from(''), { typ: TYP }, { alg: 'RS256', key: weak.privateKey }), TypeError);
  t.equal(jwsHash(valid), createHash('sha256').update(valid).digest('base64url'));
});

t.test('a valid JWS has one spelling', async (t) => {
  for (const alg of ['ES256', 'EdDSA'] as const) {
    const { privateKey, publicKey } = keysFor(alg);
    const jws = signCompact(Buffer.from('{"root":"r"}'), { typ: TYP, iat: 1 }, { alg, key: privateKey });
    const refused = (text: string) => verdict(() => verifyCompact(text, publicKey, policy)) !== 'ok';
    t.notOk(refused(jws));
    let tried = 0;
    // Every byte: each single-bit flip, deletion, doubling, and insertion of what lenient readers skip.
    for (let i = 0; i <= jws.length; i++) {
      const [before, char, after] = [jws.slice(0, i), jws[i] ?? '', jws.slice(i + 1)];
      const changed = ['\n', ' ', '=', '.', 'A', '\0', '+', '\u0100'].map((extra) => before + extra + char + after);
      if (char !== '') {
        changed.push(before + after);
        for (let bit = 0; bit < 8; bit++)
          changed.push(before + String.fromCharCode(char.charCodeAt(0) ^ (1 << bit)) + after);
        changed.push(before + String.fromCharCode(char.charCodeAt(0) + 256) + after);
      }
      for (const text of changed) {
        tried++;
        if (!refused(text)) t.fail(`${alg}: accepted a change at ${i}: ${JSON.stringify(text)}`);
      }
    }
    t.ok(tried > jws.length * 16, `${alg}: ${tried} changes refused`);
    // Whole-text tricks.
    for (const text of [
      `${jws}.`,
      `.${jws}`,
      `${jws}=`,
      `${jws}==`,
      jws.replaceAll('.', '..'),
      encodeURIComponent(`${jws}\n`),
      jws.toUpperCase(),
    ]) {
      t.ok(refused(text), JSON.stringify(text.slice(-8)));
    }
  }
  // Random edits of up to four places, and the spare bits of each part's last character.
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(valid.length), fc.nat(1), fc.string({ maxLength: 2 })), { minLength: 1, maxLength: 4 }),
      (edits) => {
        let text = valid;
        for (const [at, cut, put] of edits) text = text.slice(0, at) + put + text.slice(at + cut);
        return text === valid || verdict(() => verifyCompact(text, ec.publicKey, policy)) !== 'ok';
      },
    ),
    { numRuns: 500 },
  );
  const parts = valid.split('.');
  for (const [i, part] of parts.entries()) {
    for (const last of alphabet) {
      const text = parts.with(i, part.slice(0, -1) + last).join('.');
      if (text !== valid)
        t.not(
          verdict(() => verifyCompact(text, ec.publicKey, policy)),
          'ok',
        );
    }
  }
});

t.test('ECDSA: the twin with the high s, leading zeros and DER tricks', async (t) => {
  const order = {
    prime256v1: 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
    secp384r1: 'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
  };
  for (const [alg, curve, size] of [
    ['ES256', 'prime256v1', 32],
    ['ES384', 'secp384r1', 48],
  ] as const) {
    const n = BigInt(`0x${order[curve]}`);
    const { privateKey, publicKey } = keysFor(alg);
    const hex = (value: bigint) => Buffer.from(value.toString(16).padStart(size * 2, '0'), 'hex');
    const open: JwsPolicy = { typ: TYP, algorithms: [alg] };
    for (let i = 0; i < 20; i++) {
      const jws = signCompact(Buffer.from(`${i}`), { typ: TYP }, { alg, key: privateKey });
      const input = jws.slice(0, jws.lastIndexOf('.'));
      const raw = Buffer.from(jws.slice(input.length + 1), 'base64url');
      const s = BigInt(`0x${raw.subarray(size).toString('hex')}`);
      t.ok(s <= (n - 1n) / 2n, 'we make low s');
      const twin = Buffer.concat([raw.subarray(0, size), hex(n - s)]);
      const high = `${input}.${twin.toString('base64url')}`;
      await t.resolves(jose.compactVerify(high, publicKey), 'jose accepts the twin');
      t.equal(
        verdict(() => verifyCompact(high, publicKey, open)),
        'JWS_MALFORMED',
      );
      t.equal(
        verdict(() => verifyCompact(high, publicKey, { ...open, allowHighS: true })),
        'ok',
      );
      t.same(derToLowRaw(rawToDer(raw, curve), curve), raw);
      t.same(derToLowRaw(rawToDer(twin, curve), curve), raw, 'a high s is turned into the low one');
    }
    const one = hex(1n);
    const half = hex((n - 1n) / 2n);
    t.ok(isCanonicalRaw(Buffer.concat([one, half]), curve), 'the largest low s');
    t.notOk(isCanonicalRaw(Buffer.concat([one, hex((n + 1n) / 2n)]), curve), 'the smallest high s');
    for (const [r, s] of [
      [0n, 1n],
      [1n, 0n],
      [n, 1n],
      [1n, n],
      [n + 1n, 1n],
      [1n, n + 1n],
    ] as const) {
      t.notOk(isCanonicalRaw(Buffer.concat([hex(r), hex(s)]), curve, true), `r ${r} s ${s} out of range`);
    }
    t.notOk(isCanonicalRaw(Buffer.concat([Buffer.alloc(1), one, one]), curve, true), 'a leading zero');
    // Small values: DER drops their zeros and puts one before a set top bit.
    fc.assert(
      fc.property(
        fc.bigInt({ min: 1n, max: n - 1n }),
        fc.nat(size * 8 - 1),
        fc.bigInt({ min: 1n, max: (n - 1n) / 2n }),
        (r, shift, s) => {
          const raw = Buffer.concat([hex(r >> BigInt(shift) || 1n), hex(s)]);
          return derToLowRaw(rawToDer(raw, curve), curve).equals(raw);
        },
      ),
      { numRuns: 200 },
    );
  }
  const bad: [string, string][] = [
    ['empty', ''],
    ['a long-form length', '3081060201010201' + '01'],
    ['trailing bytes', '300602010102010100'],
    ['trailing bytes inside', '30070201010201010' + '0'],
    ['a negative integer', '3006020181020101'],
    ['a needless zero', '300702020001020101'],
    ['zero', '3006020100020101'],
    ['an empty integer', '30050200020101'],
    ['another tag', '3106020101020101'],
    ['another inner tag', '3006030101020101'],
    ['cut short', '30060201010201'],
  ];
  for (const [name, hex] of bad) t.throws(() => derToLowRaw(Buffer.from(hex, 'hex'), 'prime256v1'), TypeError, name);
  t.same(derToLowRaw(Buffer.from('3006020101020101', 'hex'), 'prime256v1').at(-1), 1);
});
