// Certificate requests: what our servers make, what openssl makes, and everything that is refused.
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { createRoot } from '#certs/authority.ts';
import { createCsr, readCsr } from '#certs/csr.ts';
import { addressOctets, formatAddress, type HolderNames } from '#certs/holder-names.ts';
import { exportSpki, generateKeys } from '#certs/keys.ts';
import { Ledger } from '#certs/ledger.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-csr-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const OPENSSL = 'openssl';
const hasOpenssl = spawnSync(OPENSSL, ['version']).status === 0;
if (!hasOpenssl) t.test('OPENSSL IS MISSING: no request of its making is read here', { skip: true }, () => {});

const TLS: HolderNames = {
  kind: 'server',
  id: 'DEV/GOV/1001/ss1',
  dnsNames: ['ss1.example.gov'],
  ipAddresses: ['127.0.0.1', '2001:db8::1'],
};

function readPem(pem: string): Buffer {
  return Buffer.from(pem.split('\n').slice(1, -2).join(''), 'base64');
}

t.test('requests that are refused', async (t) => {
  const circumstances = { nowMs: 0, randomBytes, ledger: new Ledger() };
  const root = await createRoot('Root CA', generateKeys().privateKey, circumstances);
  const key = generateKeys().privateKey;
  const fine = readPem(await createCsr(key, TLS));
  const flipped = Buffer.from(fine);
  flipped[flipped.length - 3]! ^= 1;
  const stolen = Buffer.from(fine);
  exportSpki(generateKeys().publicKey).copy(stolen, stolen.indexOf(exportSpki(key)));
  const cases: [string, Buffer, string][] = [
    ['wrong signature', flipped, 'CSR_MALFORMED'],
    ["somebody else's key", stolen, 'CSR_MALFORMED'],
    ['trailing byte', Buffer.concat([fine, Buffer.of(0)]), 'CSR_MALFORMED'],
    ['cut short', fine.subarray(0, -1), 'CSR_MALFORMED'],
    ['empty', Buffer.alloc(0), 'CSR_MALFORMED'],
    ['too large', Buffer.alloc(9_000, 0x30), 'CSR_MALFORMED'],
    ['two requests in one file', Buffer.from((await createCsr(key, TLS)).repeat(2)), 'CSR_MALFORMED'],
    ['a certificate', root.der, 'CSR_MALFORMED'],
  ];
  for (const [name, bytes, code] of cases) t.throws(() => readCsr(bytes), { code }, name);
  t.same(readCsr(fine).names, TLS);
  t.equal(readCsr(fine).publicKeyInfo.compare(exportSpki(key)), 0);

  // Names a server would not write itself, in requests that openssl makes.
  const uri = 'URI:accord:server:DEV/GOV/1001/ss1';
  const made: [string, string[], string | undefined][] = [
    ['plain', ['-addext', `subjectAltName=${uri},DNS:a.example`], undefined],
    ['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-addext', `subjectAltName=${uri}`], undefined],
    ['RSA', ['-newkey', 'rsa:2048', '-addext', `subjectAltName=${uri}`], 'CSR_REFUSED'],
    ['Ed25519', ['-newkey', 'ed25519', '-addext', `subjectAltName=${uri}`], 'CSR_REFUSED'],
    [
      'secp256k1',
      ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1', '-addext', `subjectAltName=${uri}`],
      'CSR_REFUSED',
    ],
    ['SHA-1', ['-sha1', '-addext', `subjectAltName=${uri}`], 'CSR_REFUSED'],
    ['no names', [], 'CSR_MALFORMED'],
    ['no identifier', ['-addext', 'subjectAltName=DNS:a.example'], 'CSR_REFUSED'],
    ['two identifiers', ['-addext', `subjectAltName=${uri},URI:accord:server:DEV/GOV/1001/ss2`], 'CSR_REFUSED'],
    ['foreign URI', ['-addext', `subjectAltName=${uri},URI:https://example.gov`], 'CSR_REFUSED'],
    ['mail address', ['-addext', `subjectAltName=${uri},email:a@example.gov`], 'CSR_REFUSED'],
    ['directory name', ['-addext', `subjectAltName=${uri},otherName:1.2.3;UTF8:x`], 'CSR_REFUSED'],
    ['wildcard', ['-addext', `subjectAltName=${uri},DNS:*.example.gov`], 'CSR_REFUSED'],
    ['upper case', ['-addext', `subjectAltName=${uri},DNS:A.example.gov`], 'CSR_REFUSED'],
    ['long label', ['-addext', `subjectAltName=${uri},DNS:${'a'.repeat(64)}.example`], 'CSR_REFUSED'],
    ['long name', ['-addext', `subjectAltName=${uri},DNS:${'a.'.repeat(127)}example`], 'CSR_REFUSED'],
    ['address as DNS name', ['-addext', `subjectAltName=${uri},DNS:10.0.0.1`], 'CSR_REFUSED'],
    ['twice', ['-addext', `subjectAltName=${uri},DNS:a.example,DNS:a.example`], 'CSR_REFUSED'],
    [
      'too many',
      ['-addext', `subjectAltName=${uri},${Array.from({ length: 17 }, (_, i) => `DNS:a${i}.example`)}`],
      'CSR_REFUSED',
    ],
    ['long identifier', ['-addext', `subjectAltName=URI:accord:server:DEV/GOV/1001/${'s'.repeat(65)}`], 'CSR_REFUSED'],
    ['identifier of five parts', ['-addext', `subjectAltName=${uri}/x`], 'CSR_REFUSED'],
    ['identifier with dots', ['-addext', 'subjectAltName=URI:accord:server:DEV/GOV/../ss1'], 'CSR_REFUSED'],
    [
      'asks to be an authority',
      ['-addext', `subjectAltName=${uri}`, '-addext', 'basicConstraints=CA:TRUE'],
      'CSR_REFUSED',
    ],
    [
      'asks for a purpose',
      ['-addext', `subjectAltName=${uri}`, '-addext', 'extendedKeyUsage=serverAuth'],
      'CSR_REFUSED',
    ],
  ];
  if (!hasOpenssl) return;
  for (const [name, args, code] of made) {
    const key = args.includes('-newkey') ? [] : ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    const out = join(folder, 'made.csr');
    execFileSync(
      OPENSSL,
      ['req', '-new', '-nodes', '-subj', '/', '-keyout', '/dev/null', '-out', out, ...key, ...args],
      {
        stdio: 'pipe',
      },
    );
    const read = () => readCsr(readFileSync(out));
    if (code === undefined) t.doesNotThrow(read, name);
    else t.throws(read, { code }, name);
  }
});

t.test('no changed byte of a request is accepted', async (t) => {
  const fine = readPem(await createCsr(generateKeys().privateKey, TLS));
  for (let at = 0; at < fine.length; at += 1) {
    const changed = Buffer.from(fine);
    changed[at] = (changed[at] ?? 0) ^ 0x01;
    t.throws(() => readCsr(changed), { code: /^CSR_/ }, `byte ${at}`);
  }
});

t.test('an IP address has one text form', (t) => {
  const octets = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(fc.property(octets, (bytes) => addressOctets(formatAddress(bytes)).equals(bytes)));
  const sparse = fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(sparse, (bytes) => addressOctets(formatAddress(Uint8Array.from(bytes))).equals(Buffer.from(bytes))),
  );
  for (const text of ['1.2.3', 'fe80::1%eth0', '::ffff:1.2.3.4', '', 'a', '01.2.3.4']) {
    t.throws(() => addressOctets(text), { code: 'CSR_REFUSED' }, text);
  }
  t.end();
});
