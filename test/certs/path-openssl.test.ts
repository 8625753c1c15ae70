// The path validator against openssl: a table of chains, each judged by both. What openssl refuses is never accepted
// (one documented exception: several paths); what openssl accepts is refused only where the row says why.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type PathRequest, validatePath } from '#certs/path.ts';
import { pemCertificates } from '#certs/pem.ts';
import { AT, ca, leaf, openssl, request, root, withOpenssl } from './chains.ts';
import * as make from './make-certificate.ts';
import { KEY_CASES } from './path-cases-keys.ts';
import { NAME_CASES } from './path-cases-names.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-path-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

function write(file: string, ...certificates: Uint8Array[]): string {
  const path = join(folder, file);
  writeFileSync(path, make.pem(...certificates));
  return path;
}

function opensslAccepts({ leaf, intermediates, anchors, atMs, purpose }: PathRequest): boolean {
  const args = ['verify', '-x509_strict', '-no-CApath', '-no-CAstore', '-attime', String(Math.floor(atMs / 1000))];
  args.push('-purpose', purpose === 'client' ? 'sslclient' : 'sslserver');
  args.push('-CAfile', write('anchors.pem', ...anchors.map((anchor) => anchor.der)));
  if (intermediates.length > 0) args.push('-untrusted', write('intermediates.pem', ...intermediates));
  const done = openssl([...args, write('leaf.pem', leaf)]);
  return done.status === 0;
}

t.test(`a table of chains, with ${openssl(['version']).stdout?.trim()}`, withOpenssl, async (t) => {
  const counts = { rows: 0, bothAccept: 0, bothRefuse: 0, stricter: 0, several: 0 };
  for (const row of [...KEY_CASES, ...NAME_CASES]) {
    const asked = request(row);
    const verdict = validatePath(asked);
    const code = verdict.valid ? 'valid' : verdict.code;
    const accepted = opensslAccepts(asked);
    t.ok(row.code.split('|').includes(code), `${row.name}: ${code}`);
    t.notOk(verdict.valid && !accepted && row.several === undefined, `${row.name}: never more than openssl`);
    t.notOk(!verdict.valid && accepted && row.stricter === undefined, `${row.name}: stricter only for a reason`);
    counts.rows += 1;
    if (verdict.valid) counts[accepted ? 'bothAccept' : 'several'] += 1;
    else counts[accepted ? 'stricter' : 'bothRefuse'] += 1;
  }
  t.comment(JSON.stringify(counts));
  t.ok(counts.bothAccept >= 20 && counts.bothRefuse >= 45);
});

t.test('chains made by openssl itself', withOpenssl, async (t) => {
  const at = (file: string) => join(folder, file);
  const run = (...args: string[]) => t.equal(openssl(args, folder).status, 0, args.join(' '));
  const subject = (text: string) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', text];
  const usage = (text: string) => ['-addext', `keyUsage=critical,${text}`];
  const serve = ['-addext', 'extendedKeyUsage=serverAuth', '-addext', 'basicConstraints=critical,CA:FALSE'];
  const by = (name: string) => ['-CA', `${name}.crt`, '-CAkey', `${name}.key`];
  const authority = ['-addext', 'basicConstraints=critical,CA:TRUE', ...usage('keyCertSign,cRLSign')];
  const common = ['req', '-x509', '-days', '30'];
  run(...common, ...subject('/CN=R'), ...authority, '-keyout', 'r.key', '-out', 'r.crt');
  run(...common, ...subject('/CN=I'), ...authority, ...by('r'), '-keyout', 'i.key', '-out', 'i.crt');
  run(
    ...common,
    ...subject('/CN=L'),
    ...serve,
    ...usage('digitalSignature'),
    ...by('i'),
    '-keyout',
    'l.key',
    '-out',
    'l.crt',
  );
  const [r, i, l] = ['r.crt', 'i.crt', 'l.crt'].map((file) => pemCertificates(readFileSync(at(file), 'utf8'))[0]!);
  const asked: PathRequest = {
    leaf: l!,
    intermediates: [i!],
    anchors: [{ der: r! }],
    atMs: Date.now() + 60_000,
    purpose: 'server',
  };
  t.same(validatePath(asked), { valid: true, path: [l, i, r] });
  t.match(validatePath({ ...asked, purpose: 'client' }), { code: 'EXTENDED_KEY_USAGE' });
  t.match(validatePath({ ...asked, atMs: Date.now() + 40 * 86_400_000 }), { code: 'EXPIRED' });
});

t.test('accord ca verify', async (t) => {
  const file = write('chain.pem', leaf(), ca());
  const anchor = write('root.pem', root());
  const source = "import { caVerifyCommand } from '#cli/ca-verify.ts'; await caVerifyCommand().parseAsync();";
  const run = (...args: string[]) => {
    const all = ['--input-type=module', '-e', source, '--', ...args];
    const done = spawnSync(process.execPath, all, { encoding: 'utf8' });
    return { status: done.status, answer: done.stdout === '' ? null : JSON.parse(done.stdout), error: done.stderr };
  };
  const usual = [file, '--anchor', anchor, '--purpose', 'server', '--json'];
  t.match(run(...usual, '--at', AT), { status: 0, answer: { valid: true, code: null, certificates: 3 } });
  t.match(run(...usual, '--at', '2028-01-01'), { status: 7, answer: { valid: false, code: 'EXPIRED' } });
  t.match(run(join(folder, 'absent.pem'), ...usual.slice(1)), {
    status: 1,
    answer: { valid: false, code: 'FILE_UNREADABLE' },
  });
  writeFileSync(join(folder, 'rubbish.pem'), '-----BEGIN CERTIFICATE-----\nAB\n-----END CERTIFICATE-----\n');
  t.match(run(join(folder, 'rubbish.pem'), ...usual.slice(1)), {
    status: 1,
    answer: { valid: false, code: 'PEM_INVALID' },
  });
});
