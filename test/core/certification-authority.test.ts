// The folder of an authority: what is on disk, what a crash, damage, a second process and an absent key do to it.
import { randomUUID } from 'node:crypto';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { checkCrl } from '#certs/crl.ts';
import { createCsr, readCsr } from '#certs/csr.ts';
import type { HolderNames } from '#certs/holder-names.ts';
import { openKey } from '#certs/key-file.ts';
import { generateKeys, publicKeyOf } from '#certs/keys.ts';
import { pemCertificates } from '#certs/pem.ts';
import { CertificationAuthority, initAuthority } from '#core/certification-authority.ts';
import type { Clock } from '#core/clock.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-ca-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const clock: Clock = { nowMs: () => Date.parse('2026-11-20T12:00:00Z'), monotonicMs: () => 0 };
const dir = join(folder, 'authority');
const passphrase = `long enough ${randomUUID()}`;
const COST = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
const SERVER: HolderNames = { kind: 'server', id: 'DEV/GOV/1001/ss1', dnsNames: [], ipAddresses: [] };
const request = async (names = SERVER) => readCsr(Buffer.from(await createCsr(generateKeys().privateKey, names)));

function withAuthority<T>(work: (authority: CertificationAuthority) => T): T {
  const authority = new CertificationAuthority(dir, clock);
  try {
    return work(authority);
  } finally {
    authority.close();
  }
}

t.test('the folder', async (t) => {
  await t.rejects(initAuthority({ dir, name: 'Example', passphrase: 'short', clock }), { code: 'PASSPHRASE_REFUSED' });
  t.notOk(readdirSync(folder).includes('authority'), 'a refusal leaves nothing behind');
  const { root, issuing } = await initAuthority({
    dir,
    name: '示例城市',
    instance: 'DEV',
    passphrase,
    keyFileCost: COST,
    clock,
  });
  const files = ['authority.json', 'index.jsonl', 'issuing.crt', 'issuing.key', 'root.crt', 'root.key'];
  t.same(readdirSync(dir).sort(), files);
  for (const name of files) t.equal(statSync(join(dir, name)).mode & 0o777, 0o600, name);
  t.equal(statSync(dir).mode & 0o777, 0o700);
  await t.rejects(initAuthority({ dir, name: 'Example', passphrase, clock }), { code: 'AUTHORITY_EXISTS' });
  t.same(pemCertificates(readFileSync(join(dir, 'root.crt'), 'latin1')), [root.der]);

  const sealed = readFileSync(join(dir, 'issuing.key'), 'utf8');
  const { privateKey, use } = await openKey(sealed, passphrase);
  t.equal(use, 'ca');
  t.notMatch(sealed, /PRIVATE KEY/);
  const { d } = privateKey.export({ format: 'jwk' });
  t.notOk(sealed.includes(String(d)), 'the key does not stand there in clear');
  t.ok(publicKeyOf(privateKey).export({ type: 'spki', format: 'der' }).length > 0 && issuing.issuer === 'root');
});

t.test('issue, revoke, list, and read it all again', async (t) => {
  const signed = await withAuthorityAsync(async (authority) => {
    const planned = authority.plan('signing', await request(), SERVER);
    await t.rejects(authority.sign(planned, 'the wrong passphrase'), { code: 'KEY_FILE_PASSPHRASE_WRONG' });
    t.equal(authority.entries().length, 2, 'nothing is recorded that was not signed');
    const foreign = { ...SERVER, id: 'OTHER/GOV/1001/ss1' };
    const asked = await request(foreign);
    t.throws(() => authority.plan('signing', asked, foreign), { code: 'CSR_REFUSED' }, 'another instance');
    return await authority.sign(planned, passphrase);
  });
  withAuthority((authority) => {
    t.same(authority.find(signed.serial).certificate, signed);
    t.throws(() => authority.revoke('00', 'superseded'), { code: 'SERIAL_UNKNOWN' });
    authority.revoke(signed.serial, 'superseded');
    t.throws(() => authority.revoke(signed.serial, 'keyCompromise'), { code: 'ALREADY_REVOKED' });
  });
  const numbers: number[] = [];
  for (let round = 0; round < 2; round += 1) {
    const list = await withAuthorityAsync((authority) => authority.crl('issuing', 7, passphrase));
    numbers.push(list.number);
    const issuer = pemCertificates(readFileSync(join(dir, 'issuing.crt'), 'latin1'))[0]!;
    const crl = Buffer.from(list.pem.split('\n').slice(1, -2).join(''), 'base64');
    const status = checkCrl({ crl, issuer, serial: signed.serial, atMs: clock.nowMs() });
    t.match(status, { status: 'revoked', reason: 'superseded' });
    t.match(list.pem, /^-----BEGIN X509 CRL-----\n/);
  }
  t.same(numbers, [1, 2], 'numbers grow over restarts');
});

async function withAuthorityAsync<T>(work: (authority: CertificationAuthority) => Promise<T>): Promise<T> {
  const authority = new CertificationAuthority(dir, clock);
  try {
    return await work(authority);
  } finally {
    authority.close();
  }
}

t.test('crashes, damage, company and absence', async (t) => {
  const index = join(dir, 'index.jsonl');
  const whole = readFileSync(index, 'utf8');
  const lines = whole.split('\n').length - 1;

  // A crash while a record was written: its certificate was never handed out.
  const next = await request();
  const planned = withAuthority((authority) => authority.plan('signing', next, SERVER));
  for (const torn of ['{"event":"iss', whole.split('\n')[2]!]) {
    appendFileSync(index, torn);
    withAuthority((authority) => t.equal(authority.entries().length, 3));
    t.equal(readFileSync(index, 'utf8'), whole, 'the torn line is gone');
  }
  appendFileSync(index, '{"event":"iss');
  const signed = await withAuthorityAsync((authority) => authority.sign(planned, passphrase));
  t.equal(readFileSync(index, 'utf8').split('\n').length - 1, lines + 1);
  withAuthority((authority) => t.same(authority.find(signed.serial).certificate, signed));

  const good = readFileSync(index, 'utf8');
  const damages: [string, string][] = [
    ['rubbish in the middle', good.replace('\n', '\nrubbish\n')],
    ['a certificate twice', `${good + good.split('\n')[0]}\n`],
    ['an unknown member', good.replace('{"event"', '{"x":1,"event"')],
    [
      'a revocation of nothing',
      `${good}{"event":"revoked","atMs":1,"serial":"${'0'.repeat(36)}","reason":"superseded"}\n`,
    ],
  ];
  for (const [name, damaged] of damages) {
    writeFileSync(index, damaged);
    t.throws(() => withAuthority(() => {}), { code: 'AUTHORITY_DAMAGED' }, name);
    t.equal(readFileSync(index, 'utf8'), damaged, 'nothing is repaired silently');
    t.notOk(readdirSync(dir).includes('lock'));
  }
  writeFileSync(index, good);

  withAuthority(() => t.throws(() => new CertificationAuthority(dir, clock), { code: 'AUTHORITY_BUSY' }));
  writeFileSync(join(dir, 'lock'), '999999999\n');
  withAuthority((authority) => t.ok(authority.entries(), 'the lock of a dead process is taken over'));

  renameSync(join(dir, 'root.key'), join(folder, 'root.key'));
  const later = await request();
  await withAuthorityAsync(async (authority) => {
    await t.rejects(authority.crl('root', 30, passphrase), { code: 'AUTHORITY_KEY_OFFLINE' });
    t.ok(await authority.sign(authority.plan('signing', later, SERVER), passphrase), 'issuing does not need the root');
  });
  renameSync(join(dir, 'issuing.key'), join(dir, 'root.key'));
  await withAuthorityAsync(async (authority) => {
    await t.rejects(authority.crl('root', 30, passphrase), { code: 'CERTIFICATE_KEY_MISMATCH' }, 'the wrong key file');
  });
  t.throws(() => new CertificationAuthority(folder, clock), { code: 'AUTHORITY_MISSING' });
});
