// `accord ca ocsp`: openssl asks, over HTTP, an authority whose ledger another command changes meanwhile.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { createCsr, readCsr } from '#certs/csr.ts';
import { generateKeys } from '#certs/keys.ts';
import { readOcspResponse } from '#certs/ocsp-response.ts';
import { toPem } from '#certs/x509-library.ts';
import { CertificationAuthority, initAuthority } from '#core/certification-authority.ts';
import { systemClock } from '#core/clock.ts';
import { openssl } from '#test/certs/chains.ts';

const MAIN = `
  import { Command } from 'commander';
  import { caCommand } from '#cli/ca.ts';
  await new Command('accord').addCommand(caCommand()).parseAsync();
`;
const passphrase = 'a passphrase for a test';
const hasOpenssl = openssl(['version']).status === 0;
const run = promisify(execFile);

async function address(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stderr ?? []) {
    text += chunk;
    const found = /http:\/\/127\.0\.0\.1:\d+/.exec(text);
    if (found !== null) return found[0];
  }
  throw new Error(`it did not start: ${text}`);
}

t.test('answers from the ledger as it is now', hasOpenssl ? {} : { skip: 'openssl is not installed' }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-ca-ocsp-'));
  const dir = join(folder, 'authority');
  const names = { kind: 'server' as const, id: 'DEV/GOV/1001/ss1', dnsNames: [], ipAddresses: [] };
  const { root, issuing } = await initAuthority({ dir, name: 'Test', passphrase, clock: systemClock });
  const authority = new CertificationAuthority(dir, systemClock);
  const request = readCsr(Buffer.from(await createCsr(generateKeys().privateKey, names)));
  const issued = await authority.sign(authority.plan('signing', request, names), passphrase);
  authority.close();
  const put = (name: string, der: Buffer) => writeFileSync(join(folder, name), toPem('CERTIFICATE', der));
  put('root.pem', root.der);
  put('issuing.pem', issuing.der);
  put('leaf.pem', issued.der);

  const args = ['ca', 'ocsp', '--dir', dir, '--listen', '127.0.0.1:0'];
  const child = spawn(
    process.execPath,
    [`--import=${join(process.cwd(), 'test/preload.ts')}`, '--input-type=module', '-e', MAIN, '--', ...args],
    {
      env: { PATH: process.env['PATH'], ACCORD_CA_PASSPHRASE: passphrase },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
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
