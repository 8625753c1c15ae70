// `accord ca ocsp`: openssl asks, over HTTP, an authority whose ledger another command changes meanwhile.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { createCsr, readCsr } from '#certs/csr.ts';
import { sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { verifyOcsp } from '#certs/ocsp.ts';
import { makeOcspRequest } from '#certs/ocsp-request.ts';
import { readOcspResponse } from '#certs/ocsp-response.ts';
import { toPem } from '#certs/x509-library.ts';
import { CertificationAuthority, initAuthority } from '#core/certification-authority.ts';
import { systemClock } from '#core/clock.ts';
import { openssl } from '#test/certs/chains.ts';
import { accord } from './run.ts';

const MAIN = `
  import { Command } from 'commander';
  import { caCommand } from '#cli/ca.ts';
  await new Command('accord').addCommand(caCommand()).parseAsync();
`;
const passphrase = 'a passphrase for a test';
const COST = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
const hasOpenssl = openssl(['version']).status === 0;
const run = promisify(execFile);

/** The responder as a process of its own. */
function start(dir: string, more: Record<string, string>, secret: string): ChildProcess {
  const options = Object.entries(more).flatMap(([name, value]) => [`--${name}`, value]);
  const args = ['ca', 'ocsp', '--dir', dir, '--listen', '127.0.0.1:0', ...options];
  const preload = `--import=${join(process.cwd(), 'test/preload.ts')}`;
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  return spawn(process.execPath, [preload, '--input-type=module', '-e', MAIN, '--', ...args], {
    env: { PATH, NODE_COMPILE_CACHE, ACCORD_CA_PASSPHRASE: secret, ACCORD_KEY_PASSPHRASE: secret },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

/** Read to the end: what is told later goes there too. */
function address(child: ChildProcess): Promise<string> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error(`it did not start: ${text}`)));
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(text);
      if (found !== null) resolve(found[0]);
    });
  });
}

t.test('answers from the ledger as it is now', hasOpenssl ? {} : { skip: 'openssl is not installed' }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-ca-ocsp-'));
  const dir = join(folder, 'authority');
  const names = { kind: 'server' as const, id: 'DEV/GOV/1001/ss1', dnsNames: [], ipAddresses: [] };
  const { root, issuing } = await initAuthority({
    dir,
    name: 'Test',
    passphrase,
    keyFileCost: COST,
    clock: systemClock,
  });
  const authority = new CertificationAuthority(dir, systemClock);
  const request = readCsr(Buffer.from(await createCsr(generateKeys().privateKey, names)));
  const issued = await authority.sign(authority.plan('signing', request, names), passphrase);
  authority.close();
  const put = (name: string, der: Buffer) => writeFileSync(join(folder, name), toPem('CERTIFICATE', der));
  put('root.pem', root.der);
  put('issuing.pem', issuing.der);
  put('leaf.pem', issued.der);

  const child = start(dir, {}, passphrase);
  t.teardown(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  const url = await address(child);
  const ask = async (...more: string[]) => {
    const files = ['-issuer', 'issuing.pem', '-cert', 'leaf.pem', '-CAfile', 'root.pem'];
    const { stdout, stderr } = await run(
      'openssl',
      ['ocsp', ...more, ...files, '-url', url, '-respout', 'answer.der'],
      { cwd: folder },
    );
    return `${stdout}${stderr}`;
  };
  for (const more of [['-no_nonce'], ['-sha256', '-no_nonce'], []]) {
    const said = await ask(...more);
    t.match(said, /Response verify OK/);
    t.match(said, /leaf\.pem: good/);
  }
  const again = new CertificationAuthority(dir, systemClock);
  again.revoke(issued.serial, 'keyCompromise');
  t.match(await ask('-no_nonce'), /leaf\.pem: (?:good|revoked)/, 'while the folder is in use');
  again.close();
  let said = '';
  for (let asked = 0; asked < 100 && !said.includes('revoked'); asked += 1) said = await ask('-no_nonce');
  t.match(said, /leaf\.pem: revoked[\s\S]*keyCompromise/);

  await run('openssl', ['ocsp', '-issuer', 'issuing.pem', '-cert', 'leaf.pem', '-no_nonce', '-reqout', 'request.der'], {
    cwd: folder,
  });
  const asked = readFileSync(join(folder, 'request.der')).toString('base64');
  const byPath = await fetch(`${url}/${encodeURIComponent(asked)}`);
  t.equal(byPath.headers.get('content-type'), 'application/ocsp-response');
  t.match(readOcspResponse(Buffer.from(await byPath.arrayBuffer())), {
    answers: [{ status: { reason: 'keyCompromise' } }],
  });
  const rubbish = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/ocsp-request' },
    body: 'x',
  });
  t.same(readOcspResponse(Buffer.from(await rubbish.arrayBuffer())), { refused: 'malformedRequest' });
  t.equal(
    (
      await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/ocsp-request' },
        body: Buffer.alloc(20_000),
      })
    ).status,
    413,
  );
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  t.equal(code, 0, 'ends when it is told to');
});

t.test('an appointed responder, while the keys of the authority are elsewhere', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-ca-appointed-'));
  const [dir, elsewhere] = [join(folder, 'authority'), join(folder, 'elsewhere')];
  const { root, issuing } = await initAuthority({
    dir,
    name: 'Test',
    passphrase,
    keyFileCost: COST,
    clock: systemClock,
  });
  const authority = new CertificationAuthority(dir, systemClock);
  const names = { kind: 'server' as const, id: 'DEV/GOV/1001/ss1', dnsNames: [], ipAddresses: [] };
  const csr = readCsr(Buffer.from(await createCsr(generateKeys().privateKey, names)));
  const leaf = await authority.sign(authority.plan('signing', csr, names), passphrase);
  authority.close();
  const request = makeOcspRequest(leaf.der, issuing.der, 'sha-256');
  await initAuthority({ dir: elsewhere, name: 'Other', passphrase, keyFileCost: COST, clock: systemClock });
  const file = (name: string) => join(folder, name);
  const key = file('responder.key.json');
  const secret = 'the words of the responder';
  const keys = ['P-256', 'P-256'].map(() => generateKeys('P-256').privateKey);
  const [own, signing] = await Promise.all(
    keys.map((one, at) =>
      sealKey(one, secret, { use: at === 0 ? 'ocsp' : 'sign', createdAtMs: systemClock.nowMs() }, COST),
    ),
  );
  writeFileSync(key, own ?? '');
  writeFileSync(file('signing.key.json'), signing ?? '');
  writeFileSync(file('words'), `${passphrase}\n`, { mode: 0o600 });
  writeFileSync(file('secret'), `${secret}\n`, { mode: 0o600 });
  const appoint = (at: string, keyFile: string, out: string, ...more: string[]) =>
    accord(
      ...['ca', 'appoint-responder', '--dir', at, '--key', keyFile, '--out', file(out), '--json'],
      ...['--passphrase-file', file('words'), ...more],
    );
  t.match(await appoint(dir, key, 'responder.crt'), { code: 0, stdout: /"profile": ?"ocsp-responder"/ });
  t.match(await appoint(elsewhere, key, 'other.crt'), { code: 0 });
  t.match(await appoint(dir, file('signing.key.json'), 'x.crt'), { stderr: /KEY_UNSUITABLE/ });
  t.match(await appoint(dir, key, 'x.crt', '--days', '31'), { stderr: /VALIDITY_REFUSED/ });
  for (const role of ['root', 'issuing']) renameSync(join(dir, `${role}.key`), file(`${role}.key`));
  t.match(await appoint(dir, key, 'x.crt'), { stderr: /AUTHORITY_KEY_OFFLINE/ });
  const serve = (...more: string[]) =>
    accord('ca', 'ocsp', '--dir', dir, '--listen', '127.0.0.1:0', '--passphrase-file', file('secret'), ...more);
  const by = (name: string, keyFile = key) => [...['--responder-key', keyFile, '--responder-certificate', file(name)]];
  t.match(await serve('--responder-key', key), { code: 2 });
  t.match(await serve(...by('other.crt')), { stderr: /CERTIFICATE_INVALID/ }, 'of another authority');
  t.match(await serve(...by('responder.crt', file('signing.key.json'))), { stderr: /KEY_UNSUITABLE/ });

  const child = start(dir, { 'responder-key': key, 'responder-certificate': file('responder.crt') }, secret);
  t.teardown(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  const url = await address(child);
  const said = async () => {
    const headers = { 'content-type': 'application/ocsp-request' };
    const reply = await fetch(url, { method: 'POST', headers, body: new Uint8Array(request) });
    return Buffer.from(await reply.arrayBuffer());
  };
  const certificateIn = async () => {
    const answer = readOcspResponse(await said());
    return 'refused' in answer ? answer.refused : answer.certificates[0]?.toString('base64');
  };
  const inFile = () => new X509Certificate(readFileSync(file('responder.crt'))).raw.toString('base64');
  t.equal(await certificateIn(), inFile());
  const path = [leaf.der, issuing.der, root.der];
  t.match(verifyOcsp({ response: await said(), path, atMs: systemClock.nowMs() }), { status: 'good' });
  if (hasOpenssl) {
    for (const [name, der] of Object.entries({ root, issuing, leaf })) {
      writeFileSync(file(`${name}.pem`), toPem('CERTIFICATE', der.der));
    }
    const files = ['-issuer', 'issuing.pem', '-cert', 'leaf.pem', '-CAfile', 'root.pem', '-url', url, '-no_nonce'];
    const { stdout, stderr } = await run('openssl', ['ocsp', ...files], { cwd: folder });
    t.match(`${stderr}${stdout}`, /Response verify OK[\s\S]*leaf\.pem: good/);
  }
  const before = inFile();
  writeFileSync(file('responder.crt'), readFileSync(file('other.crt')));
  renameSync(file('issuing.key'), join(dir, 'issuing.key'));
  t.equal(await certificateIn(), before, 'what does not fit is passed over');
  t.match(await appoint(dir, key, 'responder.crt', '--days', '3'), { code: 0 }, 'the next one, for the same key');
  let now = before;
  for (const endMs = Date.now() + 10_000; now === before && Date.now() < endMs; ) now = (await certificateIn()) ?? '';
  t.equal(now, inFile(), 'is taken up while it runs');
  child.kill('SIGTERM');
  t.same(await once(child, 'exit'), [0, null]);
});
