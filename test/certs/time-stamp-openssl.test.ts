// Time-stamp tokens against openssl: ours are verified by it, those it makes are verified by us.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { derOfBer } from '#certs/ber.ts';
import { makeDevelopmentTimeStampSigner } from '#certs/development-time-stamp-signer.ts';
import { makeTimeStampRequest, readTimeStampResponse, verifyTimeStampToken } from '#certs/time-stamp.ts';
import { grantedResponse, makeTimeStampToken, rejectedResponse } from '#certs/time-stamp-make.ts';
import { readTimeStampRequest } from '#certs/time-stamp-request.ts';
import { openssl, withOpenssl } from './chains.ts';
import { pem } from './make-certificate.ts';
import { AT, IMPRINT, makeLeaf, makeToken } from './time-stamp-tokens.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-stamp-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, bytes?: string | Uint8Array) => {
  const path = join(folder, name);
  if (bytes !== undefined) writeFileSync(path, bytes);
  return path;
};

t.test('ours, verified by openssl', withOpenssl, async (t) => {
  const nowMs = Date.now();
  const signer = await makeDevelopmentTimeStampSigner('Development stamper', nowMs);
  const request = makeTimeStampRequest(IMPRINT, Buffer.from('80ff', 'hex'));
  const said = { genTimeMs: nowMs, accuracyMs: 1_250, serial: randomBytes(16) };
  const token = makeTimeStampToken(signer, readTimeStampRequest(request), said);
  t.match(verifyTimeStampToken(token, IMPRINT, [signer.root], nowMs), { genTimeMs: nowMs, accuracyMs: 1_250 });
  const ask = (imprint: Buffer) => {
    file('request', makeTimeStampRequest(imprint, Buffer.from('80ff', 'hex')));
    const args = ['-in', file('answer', grantedResponse(token)), '-CAfile', file('root.pem', pem(signer.root))];
    return openssl(['ts', '-verify', '-queryfile', file('request'), ...args]).status;
  };
  t.equal(ask(IMPRINT), 0, 'openssl ts -verify takes it');
  t.not(ask(randomBytes(32)), 0, 'and not for another imprint');
  const shown = openssl(['ts', '-reply', '-in', file('refusal', rejectedResponse('unacceptedPolicy', 'no')), '-text']);
  t.match(
    shown.stdout,
    /Status: Rejected[\s\S]*unacceptedPolicy|Status: Rejected[\s\S]*not supported/,
    'a refusal reads',
  );
});

const CONFIG = (key: string) => `
[tsa]
default_tsa = one
[one]
serial = ${file('serial')}
signer_cert = ${file('leaf.pem')}
signer_key = ${file(key)}
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = 3
ess_cert_id_chain = no
`;

t.test('openssl’s, verified by us', withOpenssl, async (t) => {
  for (const [kind, ess] of [
    ['P-256', 'sha256'],
    ['P-384', 'sha256'],
    ['rsa', 'sha1'],
    ['rsa', 'sha384'],
  ] as const) {
    const by = makeLeaf({ kind, notAfter: '2049-01-01T00:00:00Z' });
    file('leaf.pem', pem(by.leaf));
    file('serial', '01');
    file('key.pem', by.key.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    file('tsa.cnf', `${CONFIG('key.pem')}ess_cert_id_alg = ${ess}\n`);
    file('request', makeTimeStampRequest(IMPRINT, Buffer.from('4000000000000001', 'hex')));
    const args = ['-config', file('tsa.cnf'), '-queryfile', file('request'), '-out', file('answer')];
    const made = openssl(['ts', '-reply', ...args]);
    t.equal(made.status, 0, `${kind} ${made.stderr}`);
    const answer = readFileSync(file('answer'));
    const facts = verifyTimeStampToken(readTimeStampResponse(answer), IMPRINT, [by.root], Date.now());
    t.match(facts, { accuracyMs: 1_501, nonceHex: '4000000000000001', policy: '1.2.3.4.1' }, `${kind}, ESS ${ess}`);
    t.ok(Math.abs(facts.genTimeMs - Date.now()) < 60_000);
  }
});

t.test('RSA-PSS and indefinite lengths by openssl cms', withOpenssl, async (t) => {
  const by = makeLeaf({ kind: 'rsa', notAfter: '2049-01-01T00:00:00Z' });
  file('leaf.pem', pem(by.leaf));
  file('key.pem', by.key.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const info = derOfBer(makeToken(by));
  const begin = info.indexOf(Buffer.from('0201010603', 'hex'));
  file('info', info.subarray(begin - 2, begin + (info[begin - 1] ?? 0)));
  const how = [
    '-binary',
    '-nodetach',
    '-econtent_type',
    `1.2.840.113549.1.9.16.1.4`,
    '-cades',
    '-md',
    'sha384',
    '-outform',
    'DER',
  ];
  const pss = ['-keyopt', 'rsa_padding_mode:pss', '-keyopt', 'rsa_pss_saltlen:digest'];
  const files = ['-in', file('info'), '-signer', file('leaf.pem'), '-inkey', file('key.pem'), '-out', file('token')];
  for (const more of [[], pss, ['-stream', '-indef']]) {
    const made = openssl(['cms', '-sign', ...how, ...files, ...more]);
    t.equal(made.status, 0, made.stderr ?? '');
    const token = readFileSync(file('token'));
    t.ok(verifyTimeStampToken(token, IMPRINT, [by.root], AT), more.join(' ') || 'plain');
    t.equal(token[1] === 0x80, more.includes('-indef'), 'BER where it was asked for');
  }
});
