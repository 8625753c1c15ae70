// A time-stamp whose authority was revoked (RFC 3161 section 4): the table of reasons and times, lists that lie in the
// token, OCSP answers, distrust; and what openssl thinks of a token with a list in it.
import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { makeDevelopmentTimeStampSigner } from '#certs/development-time-stamp-signer.ts';
import { readTimeStampToken, verifyTimeStampToken } from '#certs/time-stamp.ts';
import { makeTimeStampToken } from '#certs/time-stamp-make.ts';
import { knownGoodUntilMs, type TimeStampStatus, withRevocationLists } from '#certs/time-stamp-revocation.ts';
import { pem } from './make-certificate.ts';

const AT = Date.parse('2026-06-01T12:00:00Z');
const HOUR = 3_600_000;
const DATA = Buffer.from('a checkpoint\n1\nroot\n');
const IMPRINT = createHash('sha256').update(DATA).digest();
const signer = await makeDevelopmentTimeStampSigner('Stamper', AT - 24 * HOUR);
const other = await makeDevelopmentTimeStampSigner('Stamper', AT - 24 * HOUR);
const [leaf = Buffer.alloc(0)] = signer.certificates;
const token = makeTimeStampToken(
  signer,
  { imprint: { hash: 'sha256', digest: IMPRINT }, nonceHex: null, wantsCertificates: true },
  { genTimeMs: AT, accuracyMs: 1_000, serial: randomBytes(8) },
);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('base64url');

function verdict(status: TimeStampStatus, of: Uint8Array = token): string {
  try {
    verifyTimeStampToken(of, IMPRINT, [signer.root], AT + 48 * HOUR, status);
    return 'good';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** CRLReason → what becomes of a token from before the revocation; of one from after it nothing is ever left. */
const reasons: [number | null, 'good' | 'TIME_STAMP_REVOKED'][] = [
  [null, 'TIME_STAMP_REVOKED'],
  [0, 'good'],
  [1, 'TIME_STAMP_REVOKED'],
  [2, 'TIME_STAMP_REVOKED'],
  [3, 'good'],
  [4, 'good'],
  [5, 'good'],
  [9, 'good'],
  [10, 'TIME_STAMP_REVOKED'],
];

t.test('which tokens end with a revocation', async (t) => {
  for (const [reason, before] of reasons) {
    const list = (atMs: number) => signer.list(2, AT + 30 * HOUR, { atMs, reason });
    const cases: [string, number, string][] = [
      ['an hour later', AT + HOUR, before],
      ['two seconds later', AT + 2_000, before],
      ['within the accuracy', AT + 1_000, 'TIME_STAMP_REVOKED'],
      ['an hour before', AT - HOUR, 'TIME_STAMP_REVOKED'],
    ];
    for (const [when, atMs, expected] of cases) {
      t.equal(verdict({ crls: [list(atMs)] }), expected, `reason ${reason}, revoked ${when}`);
      t.equal(verdict({}, withRevocationLists(token, [list(atMs)])), expected, `${reason}, ${when}, in the token`);
    }
  }
  const early = signer.list(1, AT - HOUR);
  const late = signer.list(2, AT + HOUR, { atMs: AT + HOUR, reason: 1 });
  t.equal(verdict({ crls: [early] }), 'good');
  t.equal(verdict({ crls: [early, late] }), 'TIME_STAMP_REVOKED', 'the newer list counts');
  t.equal(verdict({ crls: [late] }, withRevocationLists(token, [early])), 'TIME_STAMP_REVOKED');
  t.equal(verdict({ crls: [early] }, withRevocationLists(token, [late])), 'TIME_STAMP_REVOKED');
  t.equal(verdict({ crls: [other.list(2, AT, { atMs: AT, reason: 1 })] }), 'good', 'a list of somebody of that name');
  t.equal(verdict({ crls: [Buffer.from('rubbish')], answers: [Buffer.from('rubbish')] }), 'good');
});

t.test('distrust ends all of them', async (t) => {
  const spki = createPublicKey(new X509Certificate(leaf).publicKey.export({ type: 'spki', format: 'pem' }));
  const named: [string, string][] = [
    ['the signing certificate', sha256(leaf)],
    ['its key', sha256(spki.export({ type: 'spki', format: 'der' }))],
    ['the root', sha256(signer.root)],
  ];
  for (const [what, hash] of named) {
    t.equal(verdict({ isDistrusted: (one) => one === hash }), 'TIME_STAMP_REVOKED', what);
  }
  t.equal(verdict({ isDistrusted: () => false }), 'good');
  const elsewhere = { isDistrusted: (one: string) => one === sha256(leaf) };
  t.throws(() => verifyTimeStampToken(token, IMPRINT, [other.root], AT, elsewhere), { code: 'TIME_STAMP_REVOKED' });
  t.throws(() => verifyTimeStampToken(token, IMPRINT, [other.root], AT), { code: 'TIME_STAMP_UNTRUSTED' });
});

t.test('until when a certificate is known to be good', async (t) => {
  const path = [leaf, signer.root];
  t.equal(knownGoodUntilMs(path, {}, AT), null);
  t.equal(knownGoodUntilMs(path, { crls: [signer.list(1, AT)] }, AT), AT + 24 * HOUR);
  t.equal(knownGoodUntilMs(path, { crls: [signer.list(1, AT, { atMs: AT, reason: 4 })] }, AT), null);
  t.equal(knownGoodUntilMs(path, { crls: [other.list(1, AT)] }, AT), null);
});

t.test('a token with a list in it is the same token', async (t) => {
  const list = signer.list(1, AT);
  const carrying = withRevocationLists(token, [list]);
  t.same(readTimeStampToken(carrying), readTimeStampToken(token));
  t.same(withRevocationLists(carrying, [list]), carrying, 'they are replaced, not added');
  t.same(withRevocationLists(carrying, []), token);
  const folder = mkdtempSync(join(tmpdir(), 'accord-ts-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = (name: string, bytes: Uint8Array | string) => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  const der = file('token.der', carrying);
  const by = (...argv: string[]) =>
    execFileSync('openssl', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const trusted = ['-CAfile', file('root.pem', pem(signer.root)), '-attime', String(AT / 1000)];
  const said = by('ts', '-verify', '-data', file('data', DATA), '-in', der, '-token_in', ...trusted);
  t.match(said, /Verification: OK/);
  t.match(by('pkcs7', '-inform', 'DER', '-in', der, '-print_certs'), /BEGIN X509 CRL/, 'and shows the list');
  t.match(
    by('crl', '-inform', 'DER', '-in', file('list.der', list), '-CAfile', trusted[1] ?? '', '-noout', '-text'),
    /CRL Number/,
  );
});
