// The certification authority judged by others: openssl, our own path validator and list reader; and its rules for names,
// keys, validity and renewal.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  createIssuing,
  createRoot,
  type Issuer,
  issue,
  planIssue,
  planRenewal,
  signPlanned,
} from '#certs/authority.ts';
import { lintCertificate } from '#certs/authority-lint.ts';
import { checkCrl } from '#certs/crl.ts';
import { createCrl } from '#certs/crl-make.ts';
import { createCsr, readCsr } from '#certs/csr.ts';
import type { HolderNames } from '#certs/holder-names.ts';
import { exportSpki, generateKeys } from '#certs/keys.ts';
import { Ledger } from '#certs/ledger.ts';
import { type PathPurpose, validatePath } from '#certs/path.ts';
import { DAY_MS, HOLDER_PROFILES, type HolderProfileName, PROFILES } from '#certs/profiles.ts';
import { toPem } from '#certs/x509-library.ts';
import { readCertificate } from '#certs/x509-read.ts';

const NOW_MS = Date.parse('2026-11-20T12:00:00.750Z');
const folder = mkdtempSync(join(tmpdir(), 'accord-authority-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, content: string) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const OPENSSL = 'openssl';
const hasOpenssl = spawnSync(OPENSSL, ['version']).status === 0;
if (!hasOpenssl) t.test('OPENSSL IS MISSING: nothing here is compared with it', { skip: true }, () => {});
const openssl = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(OPENSSL, args, { encoding: 'utf8' });
  return { status, text: stdout + stderr };
};
const ATTIME = String(Math.floor(NOW_MS / 1000));

const SERVER: HolderNames = { kind: 'server', id: 'DEV/GOV/1001/ss1', dnsNames: [], ipAddresses: [] };
const TLS: HolderNames = { ...SERVER, dnsNames: ['ss1.example.gov'], ipAddresses: ['127.0.0.1', '2001:db8::1'] };
const SYSTEM: HolderNames = { kind: 'subsystem', id: 'DEV/GOV/1001/clinic', dnsNames: [], ipAddresses: [] };
const namesFor = (profile: HolderProfileName) =>
  ({ authentication: TLS, signing: SERVER, encryption: SERVER, 'information-system': SYSTEM })[profile];

async function authority(nowMs = NOW_MS) {
  const ledger = new Ledger();
  const circumstances = { nowMs, randomBytes, ledger };
  const [rootKey, issuingKey] = [generateKeys('P-384'), generateKeys('P-256')];
  const root = await createRoot('示例城市 Root CA', rootKey.privateKey, circumstances);
  const rootIssuer: Issuer = { role: 'root', der: root.der, privateKey: rootKey.privateKey };
  const issuing = await createIssuing(rootIssuer, '示例城市 Issuing CA', issuingKey.publicKey, circumstances);
  for (const one of [root, issuing]) ledger.add(one);
  const issuer: Issuer = {
    role: 'issuing',
    der: issuing.der,
    privateKey: issuingKey.privateKey,
    crlUrl: 'http://pki.example.gov/issuing.crl',
  };
  return { circumstances, ledger, root, rootIssuer, issuing, issuer };
}
type Setting = Awaited<ReturnType<typeof authority>>;

async function certify(
  { issuer, circumstances }: Setting,
  profile: HolderProfileName,
  key = generateKeys().privateKey,
) {
  const names = namesFor(profile);
  const certificate = await issue(
    issuer,
    profile,
    readCsr(Buffer.from(await createCsr(key, names))),
    names,
    circumstances,
  );
  circumstances.ledger.add(certificate);
  return certificate;
}

t.test('every profile, as openssl and our validator read it', async (t) => {
  const setting = await authority();
  const { root, issuing } = setting;
  const rootFile = file('root.pem', toPem('CERTIFICATE', root.der));
  const issuingFile = file('issuing.pem', toPem('CERTIFICATE', issuing.der));
  const expected: Record<HolderProfileName, { says: RegExp[]; fits: PathPurpose[]; openssl: Record<string, boolean> }> =
    {
      authentication: {
        says: [
          /X509v3 Key Usage: critical\s+Digital Signature\n/,
          /TLS Web Server Authentication, TLS Web Client Authentication\n/,
          /URI:accord:server:DEV\/GOV\/1001\/ss1, DNS:ss1.example.gov, IP Address:127.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1\n/,
        ],
        fits: ['client', 'server', 'any'],
        openssl: { sslserver: true, sslclient: true },
      },
      signing: {
        says: [/X509v3 Key Usage: critical\s+Digital Signature, Non Repudiation\n/, /CN ?= ?ss1\n/],
        fits: ['sign', 'any'],
        openssl: { any: true },
      },
      encryption: {
        says: [/X509v3 Key Usage: critical\s+Key Agreement\n/],
        fits: ['encrypt', 'any'],
        openssl: { any: true },
      },
      'information-system': {
        says: [/TLS Web Client Authentication\n/, /URI:accord:subsystem:DEV\/GOV\/1001\/clinic\n/],
        fits: ['client', 'any'],
        openssl: { sslserver: false, sslclient: true },
      },
    };
  for (const profile of HOLDER_PROFILES) {
    const { der, ...certificate } = await certify(setting, profile);
    t.match(certificate, { profile, issuer: 'issuing', holder: namesFor(profile).id, serial: /^[4-7][0-9a-f]{35}$/ });
    const { notBeforeMs, notAfterMs } = certificate;
    t.equal(notAfterMs, Math.floor(NOW_MS / 1000) * 1000 + PROFILES[profile].defaultDays * DAY_MS);
    t.equal(notBeforeMs % 1000, 0, 'whole seconds');
    for (const purpose of ['client', 'server', 'sign', 'encrypt', 'timestamp', 'any'] as const) {
      const verdict = validatePath({
        leaf: der,
        intermediates: [issuing.der],
        anchors: [{ der: root.der }],
        atMs: NOW_MS,
        purpose,
      });
      t.equal(verdict.valid, expected[profile].fits.includes(purpose), `${profile} for ${purpose}`);
    }
    if (!hasOpenssl) continue;
    const leafFile = file(`${profile}.pem`, toPem('CERTIFICATE', der));
    const { text } = openssl('x509', '-in', leafFile, '-noout', '-text');
    for (const pattern of expected[profile].says) t.match(text, pattern, profile);
    t.match(text, /CA:FALSE/);
    t.match(text, /URI:http:\/\/pki.example.gov\/issuing.crl/);
    t.match(text, /ecdsa-with-SHA256/);
    for (const [purpose, fits] of Object.entries(expected[profile].openssl)) {
      const args = ['verify', '-x509_strict', '-attime', ATTIME, '-purpose', purpose, '-CAfile', rootFile];
      const { status } = openssl(...args, '-untrusted', issuingFile, leafFile);
      t.equal(status === 0, fits, `openssl: ${profile} for ${purpose}`);
    }
  }
  if (hasOpenssl) {
    const { text } = openssl('x509', '-in', issuingFile, '-noout', '-text', '-nameopt', 'utf8,sep_comma_plus');
    t.match(text, /CA:TRUE, pathlen:0/);
    t.match(text, /Issuer: CN=示例城市 Root CA/);
    t.match(text, /ecdsa-with-SHA384/);
  }
});

t.test('revocation lists', async (t) => {
  const setting = await authority();
  const { ledger, issuer, rootIssuer, root, issuing } = setting;
  const [good, bad] = [await certify(setting, 'signing'), await certify(setting, 'authentication')];
  const order = { thisUpdateMs: NOW_MS, nextUpdateMs: NOW_MS + 7 * DAY_MS };
  const empty = await createCrl(issuer, ledger.entries(), { ...order, number: 1 });
  ledger.revoke(bad.serial, { atMs: NOW_MS - 5_250, reason: 'keyCompromise' });
  const list = await createCrl(issuer, ledger.entries(), { ...order, number: 128 });
  const ofRoot = await createCrl(rootIssuer, ledger.entries(), { ...order, number: 70_000 });
  const status = (crl: Buffer, serial: string, atMs = NOW_MS) =>
    checkCrl({ crl, issuer: crl === ofRoot ? root.der : issuing.der, serial, atMs });
  t.same(status(empty, bad.serial), { status: 'good' });
  t.same(status(list, good.serial), { status: 'good' });
  const revokedAtMs = Math.floor((NOW_MS - 5_250) / 1000) * 1000;
  t.same(status(list, bad.serial), { status: 'revoked', revokedAtMs, reason: 'keyCompromise', reasonGiven: true });
  t.same(status(ofRoot, issuing.serial), { status: 'good' });
  t.match(status(list, good.serial, NOW_MS + 8 * DAY_MS), { status: 'unknown', code: 'CRL_STALE' });
  await t.rejects(
    createCrl({ ...issuer, privateKey: generateKeys().privateKey }, ledger.entries(), { ...order, number: 2 }),
    {
      code: 'CERTIFICATE_KEY_MISMATCH',
    },
  );
  if (!hasOpenssl) return;
  const [rootFile, issuingFile, listFile, lists] = [
    file('r.pem', toPem('CERTIFICATE', root.der)),
    file('i.pem', toPem('CERTIFICATE', issuing.der)),
    file('issuing.crl', toPem('X509 CRL', list)),
    file('both.crl', toPem('X509 CRL', list) + toPem('X509 CRL', ofRoot)),
  ];
  const shown = openssl('crl', '-in', listFile, '-noout', '-text', '-CAfile', issuingFile);
  t.match(shown.text, /verify OK/);
  t.match(shown.text, /X509v3 CRL Number:\s+128\n/);
  t.match(shown.text, /Key Compromise/);
  const verify = (der: Buffer, ...more: string[]) => {
    const leafFile = file('leaf.pem', toPem('CERTIFICATE', der));
    const args = ['verify', '-x509_strict', '-attime', ATTIME, '-CAfile', rootFile, '-untrusted', issuingFile];
    return openssl(...args, ...more, leafFile);
  };
  t.equal(verify(bad.der).status, 0);
  t.match(verify(bad.der, '-crl_check', '-CRLfile', listFile).text, /certificate revoked/);
  t.equal(verify(good.der, '-crl_check_all', '-CRLfile', lists).status, 0);
});

t.test('times from 2050 on are written in another form, still in whole seconds', async (t) => {
  const setting = await authority(Date.parse('2048-06-01T12:00:00.750Z'));
  const { issuer, ledger, root, issuing } = setting;
  t.equal(readCertificate(root.der).notAfterSeconds * 1000, root.notAfterMs);
  const leaf = await certify(setting, 'signing');
  const nowMs = Date.parse('2051-06-01T12:00:00.750Z');
  ledger.revoke(leaf.serial, { atMs: nowMs, reason: 'superseded' });
  const order = { number: 1, thisUpdateMs: nowMs, nextUpdateMs: nowMs + DAY_MS + 1 };
  const crl = await createCrl(issuer, ledger.entries(), order);
  const status = checkCrl({ crl, issuer: issuing.der, serial: leaf.serial, atMs: nowMs });
  t.match(status, { status: 'revoked', revokedAtMs: nowMs - 750 });
  if (!hasOpenssl) return;
  const listFile = file('late.crl', toPem('X509 CRL', crl));
  t.match(openssl('crl', '-in', listFile, '-noout', '-text').text, /Last Update: Jun {2}1 12:00:00 2051 GMT/);
});

t.test('the template, and one key for one profile of one holder', async (t) => {
  const setting = await authority();
  const { issuer, ledger, circumstances } = setting;
  const key = generateKeys().privateKey;
  const request = async (names: HolderNames, of = key) => readCsr(Buffer.from(await createCsr(of, names)));
  const judge = (
    profile: HolderProfileName,
    asked: Awaited<ReturnType<typeof request>>,
    approved: HolderNames,
    days?: number,
  ) => planIssue(issuer, profile, asked, approved, circumstances, days);
  const tls = await request(TLS);

  t.throws(
    () => judge('authentication', tls, { ...TLS, id: 'DEV/GOV/1001/ss2' }),
    { code: 'CSR_REFUSED' },
    'other holder',
  );
  t.throws(
    () => judge('authentication', tls, { ...TLS, dnsNames: ['b.example'] }),
    { code: 'CSR_REFUSED' },
    'foreign name',
  );
  t.throws(() => judge('authentication', tls, { ...TLS, ipAddresses: [] }), { code: 'CSR_REFUSED' }, 'foreign address');
  t.throws(() => judge('signing', tls, TLS), { code: 'CSR_REFUSED' }, 'addresses on a signing key');
  t.throws(() => judge('information-system', tls, TLS), { code: 'CSR_REFUSED' }, 'a server is not a system');
  const lookalike: HolderNames = { ...SYSTEM, kind: 'server' };
  const system = await request(SYSTEM);
  t.throws(() => judge('authentication', system, lookalike), { code: 'CSR_REFUSED' }, 'a system is not a server');
  const p384 = await request(SERVER, generateKeys('P-384').privateKey);
  t.throws(() => judge('signing', p384, SERVER), { code: 'KEY_UNSUITABLE' });
  const issuersKey = await request(SERVER, issuer.privateKey);
  t.throws(() => judge('signing', issuersKey, SERVER), { code: 'KEY_ALREADY_CERTIFIED' }, "the authority's own key");
  await t.rejects(createCsr(generateKeys('RSA-2048').privateKey, SERVER), { code: 'KEY_UNSUITABLE' });
  await t.rejects(createCsr(key, { ...SERVER, id: `DEV/GOV/1001/${'s'.repeat(65)}` }), { code: 'CSR_REFUSED' });

  for (const days of [0, -1, 1.5, 826, Number.NaN]) {
    t.throws(() => judge('authentication', tls, TLS, days), { code: 'VALIDITY_REFUSED' }, `${days} days`);
  }
  const longAgo = { ...circumstances, nowMs: NOW_MS + (PROFILES.issuing.defaultDays - 100) * DAY_MS };
  t.throws(() => planIssue(issuer, 'signing', tls, TLS, longAgo, 101), { code: 'CSR_REFUSED' });
  t.throws(() => planIssue(issuer, 'authentication', tls, TLS, longAgo, 101), { code: 'VALIDITY_REFUSED' });
  const cut = planIssue(issuer, 'authentication', tls, TLS, longAgo);
  t.equal(cut.notAfterMs, readCertificate(issuer.der).notAfterSeconds * 1000, 'the default ends with the issuer');
  const tooLate = { ...circumstances, nowMs: NOW_MS + (PROFILES.issuing.defaultDays + 1) * DAY_MS };
  t.throws(
    () => planIssue(issuer, 'authentication', tls, TLS, tooLate),
    { code: 'VALIDITY_REFUSED' },
    'expired issuer',
  );

  ledger.add(await issue(issuer, 'signing', await request(SERVER), SERVER, circumstances));
  t.throws(() => judge('authentication', tls, TLS), { code: 'KEY_ALREADY_CERTIFIED' }, 'profile mix');
  const other = { ...SERVER, id: 'DEV/GOV/1001/ss2' };
  const others = await request(other);
  t.throws(() => judge('signing', others, other), { code: 'KEY_ALREADY_CERTIFIED' }, 'another holder');
  const same = await request(SERVER);
  t.doesNotThrow(() => judge('signing', same, SERVER), 'the same use again');
  await t.rejects(createRoot('Name, O=Other', key, circumstances), { code: 'CSR_REFUSED' });
  await t.rejects(createRoot('x'.repeat(65), key, circumstances), { code: 'CSR_REFUSED' });
  await t.rejects(createRoot('Root', generateKeys('Ed25519').privateKey, circumstances), { code: 'KEY_UNSUITABLE' });
  const stuck = { ...circumstances, ledger: new Ledger(), randomBytes: (count: number) => Buffer.alloc(count) };
  stuck.ledger.add(await createRoot('Root', key, stuck));
  await t.rejects(createRoot('Root', generateKeys().privateKey, stuck), TypeError, 'a serial number is used once');
});

t.test('renewal', async (t) => {
  const setting = await authority();
  const { issuer, ledger } = setting;
  const later = { ...setting.circumstances, nowMs: NOW_MS + 300 * DAY_MS };
  const first = await certify(setting, 'authentication');
  const again = await signPlanned(issuer, planRenewal(issuer, ledger.get(first.serial)!, undefined, later));
  ledger.add(again);
  t.equal(again.keyHash, first.keyHash, 'the same key');
  t.not(again.serial, first.serial);
  t.same(readCertificate(again.der).extensions.subjectAltNames, readCertificate(first.der).extensions.subjectAltNames);
  t.equal(again.notAfterMs - first.notAfterMs, 300 * DAY_MS);

  const newKey = readCsr(Buffer.from(await createCsr(generateKeys().privateKey, TLS)));
  const rekeyed = await signPlanned(issuer, planRenewal(issuer, ledger.get(first.serial)!, newKey, later));
  t.not(rekeyed.keyHash, first.keyHash, 'another key');
  t.match(rekeyed, { profile: 'authentication', holder: TLS.id });
  const foreign = readCsr(Buffer.from(await createCsr(generateKeys().privateKey, { ...TLS, id: 'DEV/GOV/1001/ss2' })));
  t.throws(() => planRenewal(issuer, ledger.get(first.serial)!, foreign, later), { code: 'CSR_REFUSED' });
  const wider = readCsr(Buffer.from(await createCsr(generateKeys().privateKey, { ...TLS, dnsNames: ['b.example'] })));
  t.throws(() => planRenewal(issuer, ledger.get(first.serial)!, wider, later), { code: 'CSR_REFUSED' });

  const encryption = await certify(setting, 'encryption');
  t.throws(() => planRenewal(issuer, ledger.get(encryption.serial)!, undefined, later), { code: 'RENEWAL_REFUSED' });
  t.throws(() => planRenewal(issuer, ledger.get(setting.issuing.serial)!, undefined, later), {
    code: 'RENEWAL_REFUSED',
  });
  ledger.revoke(first.serial, { atMs: NOW_MS, reason: 'keyCompromise' });
  t.throws(() => planRenewal(issuer, ledger.get(first.serial)!, newKey, later), { code: 'RENEWAL_REFUSED' }, 'revoked');
  t.throws(() => planRenewal(issuer, ledger.get(again.serial)!, undefined, later), { code: 'KEY_COMPROMISED' });
});

t.test('what the lint says of a certificate that is not as planned', async (t) => {
  const setting = await authority();
  const { issuer, circumstances } = setting;
  const request = readCsr(Buffer.from(await createCsr(generateKeys().privateKey, TLS)));
  const planned = planIssue(issuer, 'authentication', request, TLS, circumstances);
  const { der } = await signPlanned(issuer, planned);
  t.same(lintCertificate(der, planned), []);
  const { issuer: above, crlUrl: _crlUrl, ...without } = planned;
  const root = readCertificate(setting.root.der);
  const wishes: [string, Parameters<typeof lintCertificate>[1], string[]][] = [
    ['serial', { ...planned, serial: `${planned.serial}40` }, ['serial number']],
    ['profile', { ...planned, profile: 'information-system' }, ['key purposes']],
    ['lifetime', { ...planned, profile: 'encryption' }, ['lifetime', 'extensions', 'key usage', 'key purposes']],
    [
      'authority',
      { ...planned, profile: 'issuing' },
      ['extensions', 'basic constraints', 'path length', 'key usage', 'key purposes'],
    ],
    ['times', { ...planned, notBeforeMs: planned.notBeforeMs + 1, notAfterMs: NOW_MS }, ['notBefore', 'notAfter']],
    ['subject', { ...planned, subject: [['CN', 'ss1']] }, ['subject']],
    [
      'key',
      { ...planned, publicKeyInfo: exportSpki(generateKeys().publicKey) },
      ['public key', 'subject key identifier'],
    ],
    ['algorithm', { ...planned, signatureCurve: 'P-384' }, ['signature algorithm']],
    ['names', { ...planned, names: { ...TLS, dnsNames: [] } }, ['names']],
    ['list', { ...without, ...(above && { issuer: above }) }, ['extensions']],
    ['issuer', { ...planned, issuer: root }, ['issuer', 'authority key identifier']],
  ];
  for (const [name, wish, findings] of wishes) t.same(lintCertificate(der, wish), findings, name);
  t.match(lintCertificate(Buffer.from('rubbish'), planned), [/^unreadable/]);
  await t.rejects(signPlanned({ ...issuer, privateKey: generateKeys().privateKey }, planned), {
    code: 'CERTIFICATE_KEY_MISMATCH',
  });
  await t.rejects(signPlanned(issuer, { ...planned, profile: 'encryption' }), { code: 'PROFILE_VIOLATED' });
});
