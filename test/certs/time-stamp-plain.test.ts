// Tokens without anything that no signature covers: what stood beside is gone, what was signed is as it was, and no byte of
// what is left can change unnoticed.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { plainTimeStampToken, verifyTimeStampToken } from '#certs/time-stamp.ts';
import { withRevocationLists } from '#certs/time-stamp-revocation.ts';
import { isAccordError } from '#schemas/problems.ts';
import { withOpenssl } from './chains.ts';
import { der, oid, pem, sequence } from './make-certificate.ts';
import { AT, IMPRINT, makeLeaf, makeToken } from './time-stamp-tokens.ts';

const by = makeLeaf({ notAfter: '2049-01-01T00:00:00Z' });
const rsa = makeLeaf({ kind: 'rsa', notAfter: '2049-01-01T00:00:00Z' });
const attribute = der(0xa1, sequence(oid('1.2.3.4'), der(0x31, der(0x04, Buffer.from('anything')))));
const stranger = makeLeaf().leaf;

t.test('what is beside the signed part goes, and the rest stays', (t) => {
  const usual = plainTimeStampToken(makeToken(by), [by.root]);
  const cases: [string, ReturnType<typeof makeLeaf>, Buffer][] = [
    ['unsigned attributes', by, makeToken(by, { unsigned: attribute })],
    ['the trusted certificate', by, makeToken(by, { certificates: [by.leaf, by.root] })],
    ['a stranger', by, makeToken(by, { certificates: [stranger, by.leaf] })],
    ['a list of nobody', by, withRevocationLists(makeToken(by), [sequence(Buffer.from([5, 0]))])],
    ['RSA', rsa, makeToken(rsa, { scheme: 'pkcs1' })],
    ['RSA-PSS', rsa, makeToken(rsa, { scheme: 'pss' })],
  ];
  for (const [name, { root, leaf }, token] of cases) {
    const plain = plainTimeStampToken(token, [root]);
    t.same(verifyTimeStampToken(plain, IMPRINT, [root], AT), verifyTimeStampToken(token, IMPRINT, [root], AT), name);
    t.ok(plainTimeStampToken(plain, [root]).equals(plain), `${name}: once more changes nothing`);
    t.ok(
      plain.includes(leaf) && !plain.includes(root) && !plain.includes(stranger) && !plain.includes(attribute),
      name,
    );
    if (root === by.root) t.equal(plain.length <= usual.length + 2 && plain.length >= usual.length - 2, true, name);
  }
  const known = plainTimeStampToken(makeToken(by, { certificates: null }), [by.root, by.leaf]);
  t.notOk(known.includes(by.leaf), 'a certificate that it did not carry is not put in');
  t.throws(() => plainTimeStampToken(makeToken(by), [stranger]), { code: 'TIME_STAMP_UNTRUSTED' });
  t.end();
});

t.test('no byte of it can change', (t) => {
  for (const { root, token } of [
    { root: by.root, token: plainTimeStampToken(makeToken(by), [by.root]) },
    { root: rsa.root, token: plainTimeStampToken(makeToken(rsa, { scheme: 'pkcs1' }), [rsa.root]) },
  ]) {
    const taken: number[] = [];
    for (let at = 0; at < token.length; at++) {
      const before = token[at] ?? 0;
      token[at] = before ^ (1 << (at % 8));
      try {
        verifyTimeStampToken(token, IMPRINT, [root], AT);
        if (plainTimeStampToken(token, [root]).equals(token)) taken.push(at);
      } catch (error) {
        if (!isAccordError(error)) throw error;
      }
      token[at] = before;
    }
    t.same(taken, [], `of ${token.length} bytes`);
  }
  t.end();
});

t.test('openssl takes it as it took the whole', withOpenssl, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-plain-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, { root }, token] of [
    ['ECDSA', by, makeToken(by, { unsigned: attribute, certificates: [by.leaf, by.root] })],
    ['RSA', rsa, makeToken(rsa, { scheme: 'pkcs1', unsigned: attribute })],
  ] as const) {
    writeFileSync(join(folder, 'root.pem'), pem(root));
    writeFileSync(join(folder, 'token'), plainTimeStampToken(token, [root]));
    const args = ['-digest', IMPRINT.toString('hex'), '-token_in', '-in', join(folder, 'token')];
    const time = ['-CAfile', join(folder, 'root.pem'), '-attime', String(AT / 1000)];
    const said = execFileSync('openssl', ['ts', '-verify', ...args, ...time], { stdio: ['ignore', 'pipe', 'ignore'] });
    t.match(said.toString(), /Verification: OK/, name);
  }
  t.end();
});
