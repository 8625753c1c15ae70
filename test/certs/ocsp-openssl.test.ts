// OCSP between openssl and us, both ways. It exits 0 for a revoked certificate, and its -attime looks at no thisUpdate and
// nextUpdate: what it prints counts, and the times are the present.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { verifyOcsp } from '#certs/ocsp.ts';
import { answerOcsp, type KnownStatus } from '#certs/ocsp-make.ts';
import { makeOcspRequest } from '#certs/ocsp-request.ts';
import { ca, keys, leaf, openssl, root, withOpenssl } from './chains.ts';
import { pem } from './make-certificate.ts';
import { appointed, MINUTE, ownResponder, responderKey, responderOf, SERIAL } from './ocsp-cases.ts';

t.test('openssl answers, openssl asks', withOpenssl, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-ocsp-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const wide = { notBefore: '2020-01-01T00:00:00Z', notAfter: '2045-01-01T00:00:00Z' };
  const chain = [leaf({ serial: SERIAL, ...wide }), ca(wide), root(wide)] as const;
  const put = (file: string, bytes: string | Uint8Array) => writeFileSync(join(folder, file), bytes);
  for (const [at, file] of ['leaf', 'ca', 'root'].entries()) put(`${file}.pem`, pem(chain[at] as Buffer));
  put('responder.pem', pem(appointed(wide)));
  put('responder.key', responderKey.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  put('ca.key', keys.ca.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const run = (...args: string[]) => openssl(['ocsp', ...args], folder);
  const nowMs = Date.now();
  const index = {
    good: 'V\t450101000000Z\t\t',
    revoked: 'R\t450101000000Z\t260520100000Z,keyCompromise\t',
    unknown: '',
  };

  for (const [status, line] of Object.entries(index)) {
    put('index.txt', line === '' ? '' : `${line}1234\tunknown\t/CN=leaf\n`);
    for (const [hash, signer] of [
      ['sha-1', 'responder'],
      ['sha-256', 'ca'],
    ] as const) {
      put('request.der', makeOcspRequest(chain[0], chain[1], hash));
      const args = ['-index', 'index.txt', '-CA', 'ca.pem', '-rsigner', `${signer}.pem`, '-rkey', `${signer}.key`];
      const made = run(...args, '-ndays', '1', '-reqin', 'request.der', '-respout', 'response.der');
      t.equal(made.status, 0, made.stderr);
      const bytes = readFileSync(join(folder, 'response.der'));
      const said = verifyOcsp({ response: bytes, path: [...chain], atMs: nowMs });
      t.equal(said.status, status, `openssl says ${status}, ${hash}, by ${signer}`);
    }
  }

  const known: [string, KnownStatus][] = [
    ['good', 'good'],
    ['revoked', { revokedAtMs: nowMs - MINUTE, reason: 1 }],
    ['unknown', 'unknown'],
  ];
  for (const [word, status] of known) {
    for (const hash of ['-sha1', '-sha256']) {
      for (const responder of [responderOf(() => status, wide), ownResponder(() => status, wide)]) {
        run(hash, '-issuer', 'ca.pem', '-cert', 'leaf.pem', '-no_nonce', '-reqout', 'asked.der');
        const bytes = answerOcsp(readFileSync(join(folder, 'asked.der')), responder, nowMs);
        put('ours.der', bytes);
        const seen = run(
          hash,
          '-issuer',
          'ca.pem',
          '-cert',
          'leaf.pem',
          '-no_nonce',
          '-respin',
          'ours.der',
          '-CAfile',
          'root.pem',
        );
        // It exits 0 for a revoked certificate: what it prints counts.
        t.match(seen.stdout, new RegExp(`leaf.pem: ${word}`), seen.stdout);
        t.match(seen.stderr, /Response verify OK/, seen.stderr);
        t.equal(verifyOcsp({ response: bytes, path: [...chain], atMs: nowMs }).status, word);
      }
    }
  }
  run('-sha1', '-issuer', 'root.pem', '-cert', 'leaf.pem', '-no_nonce', '-reqout', 'asked.der');
  const foreign = answerOcsp(
    readFileSync(join(folder, 'asked.der')),
    responderOf(() => 'good', wide),
    nowMs,
  );
  t.match(verifyOcsp({ response: foreign, path: [...chain], atMs: nowMs }), {
    code: 'OCSP_REFUSED',
    detail: 'unauthorized',
  });
  t.match(
    verifyOcsp({
      response: answerOcsp(
        Buffer.of(0x30),
        responderOf(() => 'good', wide),
        nowMs,
      ),
      path: [...chain],
      atMs: nowMs,
    }),
    { detail: 'malformedRequest' },
  );
});
