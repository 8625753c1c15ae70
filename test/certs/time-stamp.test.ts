// Time-stamp tokens (RFC 3161): a table of attacks, BER as real authorities write it, and the law that a changed byte is refused or changes nothing that counts.
import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { derOfBer } from '#certs/ber.ts';
import {
  MAX_TIME_STAMP_BYTES,
  makeTimeStampRequest,
  readTimeStampResponse,
  readTimeStampToken,
  verifyTimeStampToken,
} from '#certs/time-stamp.ts';
import { grantedResponse, rejectedResponse } from '#certs/time-stamp-make.ts';
import { readTimeStampRequest } from '#certs/time-stamp-request.ts';
import { der, integer, oid, pair, sequence } from './make-certificate.ts';
import {
  AT,
  asBer,
  attribute,
  IMPRINT,
  type LeafWish,
  makeLeaf,
  makeToken,
  pssAlgorithm,
  type TokenWish,
} from './time-stamp-tokens.ts';

const world = makeLeaf();
const ID = '1.2.840.113549.1';

/** `ok`, or the code of the refusal. */
function verdict(token: Uint8Array, anchors: Uint8Array[] = [world.root], imprint = IMPRINT, atMs = AT): string {
  try {
    verifyTimeStampToken(token, imprint, anchors, atMs);
    return 'ok';
  } catch (error) {
    const { code, detail } = error as { code: string; detail: string };
    return code === 'TIME_STAMP_UNTRUSTED' ? `${code} ${detail.split(':')[0]}` : code;
  }
}

t.test('a token says what it says', async (t) => {
  const token = makeToken(world, { nonce: 0x7f01 });
  const facts = verifyTimeStampToken(token, IMPRINT, [world.root], AT);
  t.match(facts, {
    genTimeMs: Date.parse('2026-06-01T11:59:59.500Z'),
    accuracyMs: 1100,
    imprint: { hash: 'sha256' },
    policy: '1.2.3.4',
    serialHex: '4d',
    nonceHex: '7f01',
    signerName: 'CN=Stamper',
    signerHash: createHash('sha256').update(world.leaf).digest('base64url'),
  });
  t.equal(facts.path.length, 2);
  t.same(readTimeStampToken(token).imprint.digest, IMPRINT);
});

const p384 = makeLeaf({ kind: 'P-384' });
const rsa = makeLeaf({ kind: 'rsa' });
const good: [string, { world: typeof world; wish?: TokenWish; anchors?: Buffer[] }][] = [
  ['P-384 with SHA-384', { world: p384, wish: { hash: 'sha384' } }],
  ['P-384 with SHA-512', { world: p384, wish: { hash: 'sha512' } }],
  ['RSA', { world: rsa }],
  ['RSA-PSS', { world: rsa, wish: { scheme: 'pss' } }],
  ['RSA-PSS with SHA-512', { world: rsa, wish: { scheme: 'pss', hash: 'sha512' } }],
  ['the older signing-certificate attribute', { world, wish: { essHash: 'sha1' } }],
  [
    'no certificates in the token, the leaf configured',
    { world, wish: { certificates: null }, anchors: [world.root, world.leaf] },
  ],
  ['the root beside the leaf', { world, wish: { certificates: [world.root, world.leaf] } }],
  ['ordering written though it is the default', { world, wish: { infoExtra: [der(0x01, [0])] } }],
  ['an unsigned attribute', { world, wish: { unsigned: attribute('1.2.3.5', integer(1)) } }],
  [
    'a signed attribute that nobody here knows',
    { world, wish: { attributes: (usual) => [...Object.values(usual), attribute('1.2.3.5', integer(1))] } },
  ],
];

t.test('what real authorities send', async (t) => {
  for (const [name, { world: by, wish, anchors }] of good) {
    const token = makeToken(by, wish);
    t.equal(verdict(token, anchors ?? [by.root]), 'ok', name);
    t.equal(verdict(asBer(token), anchors ?? [by.root]), 'ok', `${name}, indefinite lengths`);
    t.equal(verdict(asBer(token, true), anchors ?? [by.root]), 'ok', `${name}, octet strings in pieces`);
    t.same(derOfBer(asBer(token, true)), token, 'rewritten into the same DER');
  }
  const response = grantedResponse(makeToken(world));
  t.equal(verdict(readTimeStampResponse(asBer(response, true))), 'ok', 'a whole answer in BER');
});

const other = pair();
const otherLeaf = makeLeaf({ world, key: world.key });
const leafCase = (wish: LeafWish) => makeLeaf({ world, ...wish });
const attacks: [string, string, () => string][] = [
  ['another imprint', 'TIME_STAMP_IMPRINT_WRONG', () => verdict(makeToken(world, { imprint: randomBytes(32) }))],
  [
    'an imprint by another hash',
    'TIME_STAMP_IMPRINT_WRONG',
    () => verdict(makeToken(world, { imprint: randomBytes(64), imprintAlgorithm: '2.16.840.1.101.3.4.2.3' })),
  ],
  [
    'an imprint by SHA-1',
    'TIME_STAMP_MALFORMED',
    () => verdict(makeToken(world, { imprint: randomBytes(20), imprintAlgorithm: '1.3.14.3.2.26' })),
  ],
  [
    'an imprint of another length',
    'TIME_STAMP_MALFORMED',
    () => verdict(makeToken(world, { imprint: randomBytes(31) })),
  ],
  [
    'key purpose not critical',
    'TIME_STAMP_UNTRUSTED EXTENDED_KEY_USAGE',
    () => verdict(makeToken(leafCase({ critical: false }))),
  ],
  [
    'a second key purpose',
    'TIME_STAMP_UNTRUSTED EXTENDED_KEY_USAGE',
    () => verdict(makeToken(leafCase({ purposes: ['1.3.6.1.5.5.7.3.8', '1.3.6.1.5.5.7.3.1'] }))),
  ],
  [
    'another key purpose',
    'TIME_STAMP_UNTRUSTED EXTENDED_KEY_USAGE',
    () => verdict(makeToken(leafCase({ purposes: ['1.3.6.1.5.5.7.3.1'] }))),
  ],
  [
    'signer expired at that time',
    'TIME_STAMP_UNTRUSTED EXPIRED',
    () => verdict(makeToken(leafCase({ notAfter: '2026-05-31T00:00:00Z' }))),
  ],
  [
    'a time before the signer began',
    'TIME_STAMP_UNTRUSTED NOT_YET_VALID',
    () => verdict(makeToken(world, { genTime: '20251231235959Z' })),
  ],
  ['another root', 'TIME_STAMP_UNTRUSTED ISSUER_NOT_FOUND', () => verdict(makeToken(world), [makeLeaf().root])],
  ['no root', 'TIME_STAMP_UNTRUSTED ISSUER_NOT_FOUND', () => verdict(makeToken(world), [])],
  ['two signers', 'TIME_STAMP_MALFORMED', () => verdict(makeToken(world, { signers: (one) => [one, one] }))],
  ['no signer', 'TIME_STAMP_MALFORMED', () => verdict(makeToken(world, { signers: () => [] }))],
  [
    'a second, broken certificate',
    'TIME_STAMP_UNTRUSTED CERTIFICATE_MALFORMED',
    () => verdict(makeToken(world, { certificates: [world.leaf, sequence(integer(1))] })),
  ],
  [
    '17 certificates',
    'TIME_STAMP_MALFORMED',
    () => verdict(makeToken(world, { certificates: Array(17).fill(world.leaf) })),
  ],
  [
    'contents changed',
    'TIME_STAMP_DIGEST_WRONG',
    () =>
      verdict(
        makeToken(world, {
          content: (info) => Buffer.from(info.toString('latin1').replace('115959', '115958'), 'latin1'),
        }),
      ),
  ],
  [
    'signed with another key',
    'TIME_STAMP_SIGNATURE_WRONG',
    () => verdict(makeToken(world, { signingKey: other.privateKey })),
  ],
  ['no certificate at hand', 'TIME_STAMP_SIGNER_WRONG', () => verdict(makeToken(world, { certificates: null }))],
  [
    'another certificate of the same key',
    'TIME_STAMP_SIGNER_WRONG',
    () => verdict(makeToken(world, { essOf: otherLeaf.leaf })),
  ],
  [
    'another certificate of the same key, older attribute',
    'TIME_STAMP_SIGNER_WRONG',
    () => verdict(makeToken(world, { essOf: otherLeaf.leaf, essHash: 'sha1' })),
  ],
  ['no signing-certificate attribute', 'TIME_STAMP_SIGNER_WRONG', () => verdict(makeToken(world, { essHash: 'none' }))],
  ['named by another issuer', 'TIME_STAMP_SIGNER_WRONG', () => verdict(makeToken(world, { signerName: sequence() }))],
  [
    'no digest attribute',
    'TIME_STAMP_MALFORMED',
    () => verdict(makeToken(world, { attributes: ({ type, signer }) => [type!, signer!] })),
  ],
  [
    'no type attribute',
    'TIME_STAMP_MALFORMED',
    () => verdict(makeToken(world, { attributes: ({ digest, signer }) => [digest!, signer!] })),
  ],
  [
    'an attribute twice',
    'TIME_STAMP_MALFORMED',
    () => verdict(makeToken(world, { attributes: (usual) => [...Object.values(usual), usual['type']!] })),
  ],
  [
    'an attribute with two values',
    'TIME_STAMP_MALFORMED',
    () =>
      verdict(
        makeToken(world, {
          attributes: ({ digest, signer }) => [
            digest!,
            signer!,
            attribute(`${ID}.9.3`, oid(`${ID}.9.16.1.4`), oid(`${ID}.7.1`)),
          ],
        }),
      ),
  ],
  [
    'signed for another type',
    'TIME_STAMP_MALFORMED',
    () =>
      verdict(
        makeToken(world, {
          attributes: ({ digest, signer }) => [digest!, signer!, attribute(`${ID}.9.3`, oid(`${ID}.7.1`))],
        }),
      ),
  ],
  ['another type of content', 'TIME_STAMP_MALFORMED', () => verdict(makeToken(world, { contentType: `${ID}.7.1` }))],
  ['SHA-1', 'TIME_STAMP_ALGORITHM_REFUSED', () => verdict(makeToken(world, { hash: 'sha1' }))],
  ['RSA of 1024 bits', 'TIME_STAMP_ALGORITHM_REFUSED', () => verdict(makeToken(leafCase({ kind: 'rsa1024' })))],
  ['P-521', 'TIME_STAMP_ALGORITHM_REFUSED', () => verdict(makeToken(leafCase({ kind: 'P-521' })))],
  ['Ed25519', 'TIME_STAMP_ALGORITHM_REFUSED', () => verdict(makeToken(leafCase({ kind: 'ed25519' })))],
  [
    'the RSA identifier on an EC key',
    'TIME_STAMP_ALGORITHM_REFUSED',
    () => verdict(makeToken(world, { signatureAlgorithm: sequence(oid(`${ID}.1.1`), der(0x05)) })),
  ],
  [
    'a signature hash that is not the digest’s',
    'TIME_STAMP_ALGORITHM_REFUSED',
    () => verdict(makeToken(world, { signatureAlgorithm: sequence(oid('1.2.840.10045.4.3.3')) })),
  ],
  [
    'PSS with another salt length',
    'TIME_STAMP_ALGORITHM_REFUSED',
    () => verdict(makeToken(rsa, { scheme: 'pss', signatureAlgorithm: pssAlgorithm('sha256', 20) }), [rsa.root]),
  ],
  [
    'PSS with two hashes',
    'TIME_STAMP_ALGORITHM_REFUSED',
    () =>
      verdict(makeToken(rsa, { scheme: 'pss', signatureAlgorithm: pssAlgorithm('sha256', 32, 'sha1') }), [rsa.root]),
  ],
  [
    'a critical extension',
    'TIME_STAMP_MALFORMED',
    () => verdict(makeToken(world, { infoExtra: [der(0xa1, sequence(oid('1.2.3'), der(0x01, [0xff]), der(0x04)))] })),
  ],
  ['info of another version', 'TIME_STAMP_MALFORMED', () => verdict(makeToken(world, { version: 2 }))],
  ['something behind the info', 'TIME_STAMP_MALFORMED', () => verdict(makeToken(world, { infoExtra: [der(0x0c)] }))],
  ['a time without seconds', 'TIME_STAMP_MALFORMED', () => verdict(makeToken(world, { genTime: '202606011159Z' }))],
  [
    'a time with a spare zero',
    'TIME_STAMP_MALFORMED',
    () => verdict(makeToken(world, { genTime: '20260601115959.50Z' })),
  ],
  [
    'a day that does not exist',
    'TIME_STAMP_MALFORMED',
    () => verdict(makeToken(world, { genTime: '20260631115959Z' })),
  ],
  ['from the future', 'TIME_STAMP_FROM_FUTURE', () => verdict(makeToken(world, { genTime: '20260601120600Z' }))],
  ['a byte behind', 'TIME_STAMP_MALFORMED', () => verdict(Buffer.concat([makeToken(world), Buffer.of(0)]))],
  ['cut short', 'TIME_STAMP_MALFORMED', () => verdict(makeToken(world).subarray(0, -1))],
  ['nothing', 'TIME_STAMP_MALFORMED', () => verdict(Buffer.alloc(0))],
  ['too long', 'TIME_STAMP_MALFORMED', () => verdict(Buffer.alloc(MAX_TIME_STAMP_BYTES + 1))],
  ['nested without end', 'TIME_STAMP_MALFORMED', () => verdict(Buffer.alloc(20_000).fill(Buffer.from('3080', 'hex')))],
];

t.test('a table of attacks', async (t) => {
  t.equal(verdict(makeToken(world)), 'ok', 'untouched');
  t.equal(verdict(makeToken(world, { genTime: '20260601120459Z' })), 'ok', 'within five minutes ahead');
  for (const [name, code, run] of attacks) t.equal(run(), code, name);
  t.throws(() => verifyTimeStampToken(makeToken(world), IMPRINT.subarray(1), [], AT), TypeError);
  t.throws(() => verifyTimeStampToken(makeToken(world), IMPRINT, [Buffer.of(1)], AT), TypeError);
});

t.test('answers without a token', async (t) => {
  const code = (bytes: Uint8Array) => {
    try {
      readTimeStampResponse(bytes);
      return 'ok';
    } catch (error) {
      return `${(error as { code: string }).code} ${(error as { detail: string }).detail}`;
    }
  };
  const token = makeToken(world);
  t.equal(code(rejectedResponse('badRequest', 'nö')), 'TIME_STAMP_REFUSED status 2: nö (failure 0520)');
  t.match(code(sequence(sequence(integer(3)), token)), /^TIME_STAMP_REFUSED status 3/, 'waiting, whatever it carries');
  t.match(code(sequence(sequence(integer(0)))), /^TIME_STAMP_MALFORMED/, 'granted without a token');
  t.equal(code(sequence(sequence(integer(1)), token)), 'ok', 'granted with changes');
  t.match(code(Buffer.concat([grantedResponse(token), Buffer.of(0)])), /^TIME_STAMP_MALFORMED/);
  t.match(code(Buffer.alloc(MAX_TIME_STAMP_BYTES + 1, 0x30)), /^TIME_STAMP_MALFORMED/);
  t.match(code(Buffer.from('<html>busy</html>')), /^TIME_STAMP_MALFORMED/);
});

t.test('law: one changed byte is refused or changes nothing that was verified', async (t) => {
  const counts = { refused: 0, same: 0 };
  for (const by of [world, rsa]) {
    const token = makeToken(by, { unsigned: attribute('1.2.3.5', integer(1)), nonce: 5 });
    const facts = JSON.stringify(verifyTimeStampToken(token, IMPRINT, [by.root], AT));
    for (let at = 0; at < token.length; at += 1) {
      for (const mask of [0x01, 0x80, 1 + ((at * 37) % 255)]) {
        const changed = Buffer.from(token);
        changed[at] = (changed[at] ?? 0) ^ mask;
        let said = '';
        try {
          said = JSON.stringify(verifyTimeStampToken(changed, IMPRINT, [by.root], AT));
        } catch (error) {
          if (!String((error as { code?: string }).code).startsWith('TIME_STAMP_')) throw error;
          counts.refused += 1;
          continue;
        }
        counts.same += 1;
        if (said !== facts) t.equal(said, facts, `byte ${at} ^ ${mask}`);
      }
    }
  }
  t.comment(JSON.stringify(counts));
  t.ok(counts.refused > 20 * counts.same, 'nearly all are refused');
});

t.test('law: rubbish is refused with a code of its own', async () => {
  const token = makeToken(world);
  const piece = fc.tuple(fc.nat(token.length), fc.nat(token.length), fc.uint8Array({ maxLength: 40 }));
  fc.assert(
    fc.property(piece, ([from, to, put]) => {
      const changed = Buffer.concat([token.subarray(0, from), put, token.subarray(to)]);
      const said = verdict(changed);
      return said === 'ok' || said.startsWith('TIME_STAMP_');
    }),
    { numRuns: 400 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => verdict(bytes).startsWith('TIME_STAMP_')),
    { numRuns: 400 },
  );
});

t.test('requests', async (t) => {
  const request = makeTimeStampRequest(IMPRINT, Buffer.from('80ff', 'hex'));
  t.match(readTimeStampRequest(request), { nonceHex: '0080ff', policy: null, wantsCertificates: true });
  const refused = (bytes: Uint8Array) => t.throws(() => readTimeStampRequest(bytes), { code: 'TIME_STAMP_MALFORMED' });
  refused(Buffer.concat([request, Buffer.of(0)]));
  refused(Buffer.alloc(5_000, 0x30));
  refused(sequence(integer(2)));
  t.throws(() => makeTimeStampRequest(IMPRINT, Buffer.alloc(0)), TypeError);
  t.throws(() => makeTimeStampRequest(IMPRINT.subarray(1), Buffer.of(1)), TypeError);
});
