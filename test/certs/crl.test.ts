// Revocation lists: what openssl makes is understood, and every list that does not speak for the whole CA at the time
// of the check is `unknown`, never `good`.
import { sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { type CrlRequest, checkCrl } from '#certs/crl.ts';
import { ca, keys, openssl, root, withOpenssl } from './chains.ts';
import {
  ALGORITHMS,
  der,
  type Extension,
  ext,
  integer,
  type KeyPair,
  name,
  oid,
  pair,
  pem,
  sequence,
} from './make-certificate.ts';

const AT_MS = Date.parse('2026-06-01T00:00:00Z');
const REVOKED_MS = Date.parse('2026-05-20T10:00:00Z');
const issuer = ca();

interface ListSpec {
  signer?: KeyPair;
  issuer?: string;
  version?: Buffer[];
  thisUpdate?: string;
  nextUpdate?: Buffer[];
  entries?: Buffer[];
  extensions?: Extension[];
  inner?: Buffer;
}

const utc = (text: string) => der(0x17, Buffer.from(text));
const number: Extension = { oid: '2.5.29.20', value: integer(7) };
const usual = [ext.authorityKey(keys.ca.id), number];
const encoded = (list: Extension[]) =>
  sequence(...list.map((e) => sequence(oid(e.oid), ...(e.critical ? [der(1, [0xff])] : []), der(4, e.value))));
const reason = (code: number): Extension => ({ oid: '2.5.29.21', value: der(0x0a, [code]) });
const entry = (serial: Buffer, ...extensions: Extension[]) =>
  sequence(serial, utc('260520100000Z'), ...(extensions.length === 0 ? [] : [encoded(extensions)]));

function list(spec: ListSpec = {}): Buffer {
  const entries = spec.entries ?? [entry(integer(5), reason(1)), entry(integer(0x1234))];
  const tbs = sequence(
    ...(spec.version ?? [integer(1)]),
    spec.inner ?? ALGORITHMS.es256.id,
    name(spec.issuer ?? 'CN=CA'),
    utc(spec.thisUpdate ?? '260531000000Z'),
    ...(spec.nextUpdate ?? [utc('260607000000Z')]),
    ...(spec.entries?.length === 0 ? [] : [sequence(...entries)]),
    der(0xa0, encoded(spec.extensions ?? usual)),
  );
  return sequence(tbs, ALGORITHMS.es256.id, der(3, [0], sign('sha256', tbs, (spec.signer ?? keys.ca).privateKey)));
}

function ask(crl: Uint8Array, more: Partial<CrlRequest> = {}) {
  const status = checkCrl({ crl, issuer, serial: '05', atMs: AT_MS, ...more });
  return status.status === 'unknown' ? status.code : status.status;
}

t.test('a complete list of the CA is believed', async (t) => {
  t.same(checkCrl({ crl: list(), issuer, serial: '05', atMs: AT_MS }), {
    status: 'revoked',
    revokedAtMs: REVOKED_MS,
    reason: 'keyCompromise',
    reasonGiven: true,
  });
  t.match(checkCrl({ crl: list(), issuer, serial: '001234', atMs: AT_MS }), {
    status: 'revoked',
    reason: 'unspecified',
    reasonGiven: false,
  });
  t.same(checkCrl({ crl: list(), issuer, serial: '06', atMs: AT_MS }), { status: 'good' });
  t.equal(ask(list({ entries: [] })), 'good');
  t.equal(ask(list({ entries: [entry(der(2, [0, 0xab]), reason(6))] }), { serial: 'AB' }), 'revoked');
  t.equal(ask(list(), { atMs: Date.parse('2026-05-31T00:00:00Z') }), 'revoked', 'from its first second');
  t.throws(() => ask(list(), { serial: 'xyz' }), TypeError);
  t.throws(() => ask(list(), { atMs: Number.NaN }), TypeError);
});

t.test('a list that does not speak for the CA now says nothing', async (t) => {
  const other = pair('P-521');
  const rows: [string, string, Buffer, Partial<CrlRequest>?][] = [
    ['stale', 'CRL_STALE', list(), { atMs: Date.parse('2026-06-07T00:00:01Z') }],
    ['future', 'CRL_NOT_YET_VALID', list(), { atMs: Date.parse('2026-05-30T23:59:59Z') }],
    ['signed by another key', 'CRL_SIGNATURE_INVALID', list({ signer: keys.other })],
    ['of another CA', 'CRL_ISSUER_MISMATCH', list({ issuer: 'CN=Root' })],
    ['for another CA', 'CRL_ISSUER_MISMATCH', list(), { issuer: root() }],
    ['CA that may not sign lists', 'CRL_ISSUER_INVALID', list(), { issuer: ca({ with: [ext.usage(5)] }) }],
    ['issuer that is no CA', 'CRL_ISSUER_INVALID', list(), { issuer: ca({ with: [ext.basic(false)] }) }],
    ['issuer that is rubbish', 'CRL_ISSUER_INVALID', list(), { issuer: Buffer.from('rubbish') }],
    ['key outside the table', 'CRL_ALGORITHM_UNSUPPORTED', list({ signer: other }), { issuer: ca({ key: other }) }],
    ['another key identifier', 'CRL_UNSUPPORTED', list({ extensions: [ext.authorityKey(keys.other.id), number] })],
    ['no key identifier', 'CRL_UNSUPPORTED', list({ extensions: [number] })],
    ['no number', 'CRL_UNSUPPORTED', list({ extensions: [ext.authorityKey(keys.ca.id)] })],
    [
      'a delta',
      'CRL_UNSUPPORTED',
      list({ extensions: [...usual, { oid: '2.5.29.27', critical: true, value: integer(1) }] }),
    ],
    [
      'indirect',
      'CRL_UNSUPPORTED',
      list({ extensions: [...usual, { oid: '2.5.29.28', critical: true, value: sequence(der(0x84, [0xff])) }] }),
    ],
    [
      'partitioned',
      'CRL_UNSUPPORTED',
      list({ extensions: [...usual, { oid: '2.5.29.28', value: sequence(der(0x81, [0xff])) }] }),
    ],
    [
      'unknown critical extension',
      'CRL_UNSUPPORTED',
      list({ extensions: [...usual, { oid: '1.2.3', critical: true, value: sequence() }] }),
    ],
    [
      'entry of another issuer',
      'CRL_UNSUPPORTED',
      list({
        entries: [entry(integer(9), { oid: '2.5.29.29', critical: true, value: sequence(der(0xa4, name('CN=X'))) })],
      }),
    ],
    ['entry removed', 'CRL_MALFORMED', list({ entries: [entry(integer(5), reason(8))] })],
    [
      'entry with a bad reason after the one asked for',
      'CRL_MALFORMED',
      list({ entries: [entry(integer(5)), entry(integer(6), reason(77))] }),
    ],
    ['no next update', 'CRL_MALFORMED', list({ nextUpdate: [] })],
    ['version 1', 'CRL_MALFORMED', list({ version: [] })],
    ['inner algorithm differs', 'CRL_MALFORMED', list({ inner: ALGORITHMS.es384.id })],
    ['an extension twice', 'CRL_MALFORMED', list({ extensions: [...usual, number] })],
    ['an octet after it', 'CRL_MALFORMED', Buffer.concat([list(), Buffer.from([0])])],
    ['too large', 'CRL_MALFORMED', Buffer.alloc(4 * 1024 * 1024 + 1)],
    ['nothing', 'CRL_MALFORMED', Buffer.alloc(0)],
  ];
  for (const [what, code, crl, more] of rows) t.equal(ask(crl, more), code, what);
});

t.test('no changed octet turns revoked into anything but unknown', async (t) => {
  const good = list();
  for (let at = 0; at < good.length; at += 1) {
    const changed = Buffer.from(good);
    changed[at]! ^= 1 << (at % 8);
    if (!ask(changed).startsWith('CRL_')) t.fail(`octet ${at}`);
  }
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const changed = Buffer.from(good);
      changed[at]! ^= mask;
      return ask(changed).startsWith('CRL_');
    }),
  );
});

t.test('lists made by openssl', withOpenssl, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-crl-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const write = (file: string, text: string | Buffer) => writeFileSync(join(folder, file), text);
  write('ca.pem', pem(issuer));
  write('ca.key', keys.ca.privateKey.export({ format: 'pem', type: 'pkcs8' }));
  write('number', '2A\n');
  const line = (serial: string, why: string) => `R\t270101000000Z\t260520100000Z${why}\t${serial}\tunknown\t/CN=x\n`;
  write('index', `${line('0A', ',superseded')}${line('8000000000000001', '')}V\t270101000000Z\t\t0B\tunknown\t/CN=y\n`);
  const make = (extensions: string) => {
    write('conf', `[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\n[x]\n${extensions}\n`);
    const more = [
      '-cert',
      'ca.pem',
      '-keyfile',
      'ca.key',
      '-crl_lastupdate',
      '260531000000Z',
      '-crl_nextupdate',
      '260607000000Z',
    ];
    const done = openssl(['ca', '-gencrl', '-config', 'conf', '-crlexts', 'x', ...more, '-out', 'crl.pem'], folder);
    t.equal(done.status, 0, done.stderr);
    const text = readFileSync(join(folder, 'crl.pem'), 'utf8').replace(/-----[^-]+-----/g, '');
    return Buffer.from(text, 'base64');
  };
  const crl = make('authorityKeyIdentifier=keyid:always');
  t.match(checkCrl({ crl, issuer, serial: '0A', atMs: AT_MS }), { revokedAtMs: REVOKED_MS, reason: 'superseded' });
  t.equal(ask(crl, { serial: '8000000000000001' }), 'revoked');
  t.equal(ask(crl, { serial: '0b' }), 'good');
  t.equal(
    ask(make('authorityKeyIdentifier=keyid:always\nissuingDistributionPoint=critical,indirectCRL:TRUE'), {
      serial: '0A',
    }),
    'CRL_UNSUPPORTED',
  );
});
