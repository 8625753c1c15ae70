// PKCS#12 against openssl, in both directions, and the `accord key` command over it and over key files.
import { spawnSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { generateKeys, importPublicPem, thumbprint } from '#certs/keys.ts';
import { exportPkcs12, importPkcs12 } from '#certs/pkcs12.ts';

const passphrase = 'correct horse battery';
const folder = mkdtempSync(join(tmpdir(), 'accord-pkcs12-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const CHEAP = `--import=${import.meta.resolve('#test/cheap-passphrases.ts')}`;
const OPENSSL = 'openssl';
const hasOpenssl = spawnSync(OPENSSL, ['version']).status === 0;
const withOpenssl = { skip: hasOpenssl ? false : 'openssl is not here' };

function openssl(...args: string[]): string {
  const done = spawnSync(OPENSSL, args, { cwd: folder, encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`openssl ${args.join(' ')}: ${done.stderr}`);
  return done.stdout;
}

const chains = new Map<string, { key: string; chain: X509Certificate[] }>();

/** A root and a leaf of one kind of key, by openssl. */
function makeChain(kind: string): { key: string; chain: X509Certificate[] } {
  const made = chains.get(kind);
  if (made) return made;
  const algorithm =
    kind === 'P-256' ? ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'] : ['-algorithm', kind];
  for (const name of ['root', 'leaf']) openssl('genpkey', ...algorithm, '-out', `${kind}-${name}.pem`);
  openssl(
    'req',
    '-x509',
    '-new',
    '-key',
    `${kind}-root.pem`,
    '-subj',
    '/CN=Root',
    '-days',
    '30',
    '-out',
    `${kind}-root.crt`,
  );
  openssl('req', '-new', '-key', `${kind}-leaf.pem`, '-subj', '/CN=Leaf', '-out', `${kind}.csr`);
  const issuer = ['-CA', `${kind}-root.crt`, '-CAkey', `${kind}-root.pem`, '-CAcreateserial', '-days', '30'];
  openssl('x509', '-req', '-in', `${kind}.csr`, ...issuer, '-out', `${kind}-leaf.crt`);
  const chain = ['leaf', 'root'].map((name) => new X509Certificate(readFileSync(join(folder, `${kind}-${name}.crt`))));
  const result = { key: readFileSync(join(folder, `${kind}-leaf.pem`), 'utf8'), chain };
  chains.set(kind, result);
  return result;
}

t.test('PKCS#12 to and from openssl', withOpenssl, async (t) => {
  for (const kind of ['P-256', 'ED25519', 'RSA']) {
    const { key, chain } = makeChain(kind);
    const privateKey = createPrivateKey(key);
    const file = join(folder, `${kind}.p12`);
    writeFileSync(file, exportPkcs12({ privateKey, certificates: chain }, passphrase, 'leaf'), { mode: 0o600 });
    const shown = openssl('pkcs12', '-in', `${kind}.p12`, '-passin', `pass:${passphrase}`, '-nodes');
    t.ok(createPrivateKey(shown).equals(privateKey), `openssl reads our ${kind} key`);
    t.equal(shown.match(/BEGIN CERTIFICATE/g)?.length, 2);
    t.match(openssl('pkcs12', '-in', `${kind}.p12`, '-passin', `pass:${passphrase}`, '-noout', '-info'), /^/);
    const back = importPkcs12(readFileSync(file), passphrase);
    t.ok(back.privateKey.equals(privateKey));
    t.same(
      back.certificates.map(({ raw }) => raw),
      chain.map(({ raw }) => raw),
      'the same bytes in the same order',
    );

    const [input, out] = [['-inkey', `${kind}-leaf.pem`, '-in', `${kind}-leaf.crt`], `${kind}-theirs.p12`];
    // One kind has openssl's own number of rounds, which takes a while in JavaScript.
    const rounds = kind === 'P-256' ? [] : ['-iter', '16'];
    const aes = ['-keypbe', 'AES-256-CBC', '-certpbe', 'AES-256-CBC', '-macalg', 'SHA256'];
    for (const options of [
      aes,
      ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'NONE', '-macalg', 'SHA1'],
      ['-keypbe', 'NONE', '-certpbe', 'AES-128-CBC'],
    ]) {
      openssl(
        'pkcs12',
        '-export',
        ...input,
        '-certfile',
        `${kind}-root.crt`,
        ...options,
        ...rounds,
        '-passout',
        `pass:${passphrase}`,
        '-out',
        out,
      );
      const theirs = importPkcs12(readFileSync(join(folder, out)), passphrase);
      t.ok(theirs.privateKey.equals(privateKey), `we read openssl's ${kind} with ${options.join(' ')}`);
      t.same(
        theirs.certificates.map(({ raw }) => raw),
        chain.map(({ raw }) => raw),
      );
    }
    const theirs = readFileSync(join(folder, out));
    t.throws(() => importPkcs12(theirs, 'wrong'), { code: 'PKCS12_PASSPHRASE_WRONG' });
    openssl('pkcs12', '-export', ...input, ...rounds, '-nomac', '-passout', `pass:${passphrase}`, '-out', out);
    t.throws(() => importPkcs12(readFileSync(join(folder, out)), passphrase), { code: 'PKCS12_MALFORMED' }, 'no MAC');
  }
  const { chain } = makeChain('P-256');
  const stranger = generateKeys().privateKey;
  const [leaf, root] = chain as [X509Certificate, X509Certificate];
  const [, unrelated] = makeChain('ED25519').chain as [X509Certificate, X509Certificate];
  const shuffled = {
    privateKey: createPrivateKey(readFileSync(join(folder, 'P-256-leaf.pem'))),
    certificates: [leaf, unrelated, root],
  };
  const ordered = importPkcs12(exportPkcs12(shuffled, passphrase, 'leaf'), passphrase).certificates;
  t.same(
    ordered.map(({ raw }) => raw),
    [leaf, root, unrelated].map(({ raw }) => raw),
    'each certificate after the one it issued, others last',
  );
  t.throws(() => exportPkcs12({ privateKey: stranger, certificates: chain }, passphrase, 'x'), {
    code: 'KEY_UNSUITABLE',
  });
  t.throws(() => exportPkcs12({ privateKey: stranger, certificates: [] }, 'short', 'x'), {
    code: 'PASSPHRASE_REFUSED',
  });
  t.throws(() => exportPkcs12({ privateKey: stranger, certificates: [] }, '密码密码密码密码', 'x'), {
    code: 'PASSPHRASE_REFUSED',
  });
  const alone = exportPkcs12({ privateKey: stranger, certificates: [] }, passphrase, 'x');
  t.ok(importPkcs12(alone, passphrase).privateKey.equals(stranger), 'a key without certificates');
  openssl(
    'pkcs12',
    '-export',
    '-nokeys',
    '-in',
    'P-256-leaf.crt',
    '-passout',
    `pass:${passphrase}`,
    '-out',
    'certs.p12',
  );
  t.throws(
    () => importPkcs12(readFileSync(join(folder, 'certs.p12')), passphrase),
    { code: 'PKCS12_MALFORMED' },
    'no key',
  );
  const slow = [
    '-inkey',
    'P-256-leaf.pem',
    '-in',
    'P-256-leaf.crt',
    '-certpbe',
    'NONE',
    '-nomaciter',
    '-iter',
    '1000001',
  ];
  if (
    spawnSync(OPENSSL, ['pkcs12', '-export', ...slow, '-passout', `pass:${passphrase}`, '-out', 'slow.p12'], {
      cwd: folder,
    }).status === 0
  ) {
    t.throws(
      () => importPkcs12(readFileSync(join(folder, 'slow.p12')), passphrase),
      { code: 'PKCS12_MALFORMED' },
      'rounds without end',
    );
  }
  for (const rubbish of [
    Buffer.alloc(0),
    Buffer.from('x'),
    alone.subarray(0, 60),
    Buffer.concat([alone, Buffer.alloc(1)]),
    Buffer.alloc(200_000),
  ]) {
    t.throws(() => importPkcs12(rubbish, passphrase), { code: 'PKCS12_MALFORMED' });
  }
});

t.test('accord key', withOpenssl, async (t) => {
  // One process runs a list of commands, each [arguments, environment], and prints how each ended.
  const driver = join(folder, 'driver.ts');
  writeFileSync(
    driver,
    `import { keyCommand } from '${join(process.cwd(), 'cli/key.ts')}';
    const write = process.stdout.write.bind(process.stdout);
    const ends = [];
    for (const [args, env] of JSON.parse(process.argv[2])) {
      const end = { status: 0, stdout: '', stderr: '' };
      for (const name of ['stdout', 'stderr']) process[name].write = (text) => { end[name] += text; return true; };
      process.exitCode = 0;
      delete process.env.ACCORD_KEY_PASSPHRASE;
      Object.assign(process.env, env);
      await keyCommand().parseAsync(args.split(' '), { from: 'user' });
      ends.push({ ...end, status: process.exitCode });
    }
    process.exitCode = 0;
    write(JSON.stringify(ends));`,
  );
  writeFileSync(join(folder, 'pass'), `${passphrase}\n`, { mode: 0o600 });
  type End = { status: number; stdout: string; stderr: string };
  const accordAll = (...runs: [args: string, env?: Record<string, string>][]): End[] => {
    const list = JSON.stringify(runs.map(([args, env = {}]) => [args, env]));
    const done = spawnSync(process.execPath, [CHEAP, driver, list], { cwd: folder, encoding: 'utf8', input: '' });
    if (done.status !== 0) throw new Error(done.stderr);
    return JSON.parse(done.stdout);
  };
  const [made, one, all, pem, jwk] = accordAll(
    ['generate s1 --use sign --dir k --passphrase-file pass --json'],
    ['show s1 --dir k --json'],
    ['show --dir k --json'],
    ['export s1 --dir k', { ACCORD_KEY_PASSPHRASE: passphrase }],
    ['export s1 --dir k --format jwk --passphrase-file pass'],
  ) as [End, End, End, End, End];
  t.equal(made.status, 0, made.stderr);
  const { kid, publicJwk } = JSON.parse(made.stdout);
  t.equal(statSync(join(folder, 'k/s1.key.json')).mode & 0o777, 0o600);
  t.match(JSON.parse(one.stdout), { name: 's1', use: 'sign', kind: 'P-256', kid, publicJwk });
  t.equal(JSON.parse(all.stdout).length, 1);
  t.equal(thumbprint(importPublicPem(pem.stdout)), kid);
  t.match(JSON.parse(jwk.stdout), { ...publicJwk, kid });
  const p12 = '--p12-passphrase-file pass --passphrase-file pass';
  makeChain('P-256');
  openssl(
    'pkcs12',
    '-export',
    '-inkey',
    'P-256-leaf.pem',
    '-in',
    'P-256-leaf.crt',
    '-certfile',
    'P-256-root.crt',
    '-keypbe',
    'AES-256-CBC',
    '-certpbe',
    'AES-256-CBC',
    '-passout',
    'file:pass',
    '-out',
    'in.p12',
  );
  const [imported, sealed] = accordAll(
    [`import tls --p12 in.p12 --use authenticate --dir k --cert-out got.crt ${p12} --json`],
    [`export tls --dir k --p12 out.p12 --cert got.crt ${p12}`],
  ) as [End, End];
  t.equal(imported.status, 0, imported.stderr);
  t.same(JSON.parse(imported.stdout).certificates, ['CN=Leaf', 'CN=Root']);
  t.equal(sealed.status, 0, sealed.stderr);
  t.equal(statSync(join(folder, 'out.p12')).mode & 0o777, 0o600);
  const again = openssl('pkcs12', '-in', 'out.p12', '-passin', 'file:pass', '-nodes');
  t.ok(createPrivateKey(again).equals(createPrivateKey(readFileSync(join(folder, 'P-256-leaf.pem')))));
  const refusals: [string, number, RegExp, Record<string, string>?][] = [
    ['generate s1 --use sign --dir k --passphrase-file pass', 5, /KEY_FILE_EXISTS/],
    ['generate s2 --use sign --dir k', 2, /No passphrase/],
    ['generate s2 --use sign --dir k', 2, /PASSPHRASE_REFUSED/, { ACCORD_KEY_PASSPHRASE: 'short' }],
    ['generate s2 --use sign --kind X25519 --dir k --passphrase-file pass', 2, /KEY_UNSUITABLE/],
    ['show absent --dir k', 3, /KEY_FILE_NOT_FOUND/],
    ['export s1 --dir k --passphrase-file absent', 3, /ENOENT/],
    ['export s1 --dir k', 1, /KEY_FILE_PASSPHRASE_WRONG/, { ACCORD_KEY_PASSPHRASE: 'not this one, surely' }],
    [`export tls --dir k --p12 out.p12 ${p12}`, 5, /out.p12 is there already/],
    [`import other --p12 got.crt --use sign --dir k ${p12}`, 2, /PKCS12_MALFORMED/],
    [`import other --p12 absent.p12 --use sign --dir k ${p12}`, 3, /ENOENT/],
  ];
  const ends = accordAll(...refusals.map(([args, , , env]) => [args, env ?? {}] as [string, Record<string, string>]));
  for (const [i, [args, status, message]] of refusals.entries()) {
    const done = ends[i]!;
    t.equal(done.status, status, `${args}: ${done.stderr}`);
    t.match(done.stderr, message);
    t.match(done.stderr, /^Next: /m, 'it says what to do next');
  }
  t.notOk(existsSync(join(folder, 'k/s2.key.json')));
});
