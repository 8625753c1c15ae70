// JAdES files of a real exchange, as a stranger reads them: member by member against what ETSI TS 119 182-1 asks, without the
// library, and against jose and openssl.
import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flattenedVerify } from 'jose';
import t from 'tap';
import { JADES_REQUIREMENTS } from '#certs/jades-requirements.ts';
import { verifyJades } from '#certs/jades-verify.ts';
import { exportJades } from '#core/evidence/jades-export.ts';
import { checkJadesFolder } from '#core/evidence/jades-folder.ts';
import { openssl, withOpenssl } from '../certs/chains.ts';
import { pem } from '../certs/make-certificate.ts';
import { closeWorld, FILES, type Json, stamper, strange, world } from './jades-world.ts';

t.setTimeout(60_000);
t.teardown(closeWorld);

const isDer = (val: unknown) => typeof val === 'string' && Buffer.from(val, 'base64')[0] === 0x30 && !/[-_]/.test(val);
const isPkiOb = (one: unknown) => Object.keys(one as Json).join() === 'val' && isDer((one as Json)['val']);
const areXVals = (list: unknown) =>
  Array.isArray(list) &&
  list.length > 0 &&
  list.every((one) => Object.keys(one).join() === 'x509Cert' && isPkiOb(one.x509Cert));
const areRVals = (one: unknown) =>
  Object.entries(one as Json).every(
    ([name, list]) => /^(?:crl|ocsp)Vals$/.test(name) && (list as unknown[]).every(isPkiOb),
  );

// The JSON schemas of Annex B and the shall-clauses of V1.2.1 that concern these shapes.
const CLAUSES: [clause: string, says: string, holds: (read: ReturnType<typeof strange>) => boolean][] = [
  [
    'RFC 7515 7.2.2',
    'flattened',
    ({ file }) => Object.keys(file).sort().join() === 'header,payload,protected,signature',
  ],
  ['5.1.2', 'alg is a registered digital signature', ({ signed }) => signed['alg'] === 'ES256'],
  [
    '5.1.3',
    'cty of the statement, none of the batch',
    ({ signed }) => [undefined, 'json'].includes(signed['cty'] as string),
  ],
  ['5.1.6', 'no x5t', ({ signed }) => !('x5t' in signed)],
  [
    '5.1.7, 6.3',
    'one reference',
    ({ signed }) => /^[\w-]{43}$/.test(String(signed['x5t#S256'])) && !('x5t#o' in signed) && !('sigX5ts' in signed),
  ],
  ['5.1.8', 'x5c is base64 DER', ({ signed }) => ((signed['x5c'] as unknown[]) ?? []).every(isDer)],
  ['5.1.9, 5.1.10', 'no crit, no b64: there is no sigD', ({ signed }) => !('crit' in signed) && !('b64' in signed)],
  ['5.1.11', 'iat is a whole number', ({ signed }) => Number.isInteger(signed['iat']) && Number(signed['iat']) > 1.7e9],
  ['5.2.1', 'no sigT', ({ signed, file }) => !('sigT' in signed) && !JSON.stringify(file).includes('sigT"')],
  ['5.2.8.1', 'no sigD: the payload is attached', ({ signed, file }) => !('sigD' in signed) && file.payload.length > 0],
  [
    '5.3.1',
    'etsiU alone, not empty',
    ({ file, etsiU }) => Object.keys(file.header).join() === 'etsiU' && etsiU.length > 0,
  ],
  [
    '5.3.1',
    'each element base64url of one named value',
    ({ elements, etsiU }) =>
      elements.every((one) => Object.keys(one).length === 1) && etsiU.every((one) => /^[\w-]+$/.test(one)),
  ],
  [
    '5.3.4',
    'sigTst without canonAlg',
    ({ of }) =>
      of('sigTst').length === 1 && of('sigTst').every((one) => Object.keys(one as Json).join() === 'tstTokens'),
  ],
  [
    '5.4.3, 6.3 c',
    'one token in val alone',
    ({ of }) =>
      of('sigTst').every((one) =>
        ((list) => list.length === 1 && list.every(isPkiOb))((one as { tstTokens: unknown[] }).tstTokens),
      ),
  ],
  ['5.3.5.2', 'xVals once', ({ of }) => of('xVals').length === 1 && of('xVals').every(areXVals)],
  ['5.3.5.3', 'rVals once', ({ of }) => of('rVals').length === 1 && of('rVals').every(areRVals)],
  [
    '5.3.6.1',
    'tstVD: xVals, rVals',
    ({ of }) =>
      of('tstVD').length === 1 &&
      (of('tstVD') as Json[]).every((one) => areXVals(one['xVals']) && areRVals(one['rVals'])),
  ],
  [
    '6.3 e',
    'no certificate twice',
    ({ signed, of }) =>
      ((all) => new Set(all).size === all.length)([
        ...((signed['x5c'] as string[]) ?? []),
        ...(of('xVals') as { x509Cert: { val: string } }[][]).flat().map((one) => one.x509Cert.val),
      ]),
  ],
  [
    '6.3 f to h',
    'nothing of Annex A',
    ({ elements }) => elements.every((one) => !/Refs$|RTst$|rfsTst/.test(Object.keys(one).join())),
  ],
];

t.test('each file keeps the clauses of the standard, and says of itself that it is B-LT', async (t) => {
  const { pack, options, trust } = await world();
  const { files, documents } = await exportJades(pack, options);
  t.same(
    [...files.keys()].filter((name) => name.endsWith('.jades.json')),
    FILES,
  );
  for (const name of FILES) {
    const read = strange(files.get(name) ?? Buffer.alloc(0));
    for (const [clause, says, holds] of CLAUSES) t.ok(holds(read), `${name}: ${clause}: ${says}`);
    const { level, isGood, checks } = verifyJades(files.get(name) ?? Buffer.alloc(0), trust);
    t.same(
      [isGood, level],
      [true, 'B-LT'],
      `${name}: ${JSON.stringify(checks.filter(({ state }) => state !== 'met'))}`,
    );
    t.same(new Set(checks.map((one) => one.requirement)), new Set(Object.keys(JADES_REQUIREMENTS)), 'all requirements');
  }
  t.same(
    documents.map(({ signs }) => signs),
    ['batch', 'statement', 'batch', 'statement'],
  );
  t.same(JSON.parse(files.get('report.json')?.toString() ?? ''), documents);
  const jws = pack.get('request/signature')?.toString();
  const { protected: signed, payload, signature } = strange(files.get('request.jades.json') ?? Buffer.alloc(0)).file;
  t.equal(`${signed}.${payload}.${signature}`, jws, 'the old signature is not touched');
  const said = checkJadesFolder(files, trust);
  t.same([said.isGood, said.files.map(({ binding }) => binding)], [true, ['signed', 'signed', 'signed', 'signed']]);
});

t.test('the documentation lists the requirements as they are', async (t) => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/evidence.md'), 'utf8');
  for (const [name, { clause, level, says }] of Object.entries(JADES_REQUIREMENTS)) {
    t.ok(page.includes(`| \`${name}\`: ${says} | ${clause} | ${level} |`), name);
  }
});

t.test('jose verifies the files, with the certificate in them', async (t) => {
  const { pack, options } = await world();
  const { files } = await exportJades(pack, options);
  for (const name of FILES) {
    const { file, signed, of } = strange(files.get(name) ?? Buffer.alloc(0));
    const all = [
      ...((signed['x5c'] as string[]) ?? []),
      ...(of('xVals') as { x509Cert: { val: string } }[][]).flat().map((one) => one.x509Cert.val),
    ];
    const ders = all.map((one) => Buffer.from(one, 'base64'));
    const der = ders.find((one) => createHash('sha256').update(one).digest('base64url') === signed['x5t#S256']);
    const key = createPublicKey(new X509Certificate(der ?? '').publicKey.export({ type: 'spki', format: 'pem' }));
    const verified = await flattenedVerify(file, key);
    const message = name.split('.')[0];
    const statement = files.get(`${message}.statement`) ?? Buffer.alloc(0);
    t.equal(Buffer.from(verified.payload).equals(statement), name.includes('sealed'), `${name}: what is signed`);
    const other = { ...file, payload: Buffer.from('{}').toString('base64url') };
    await t.rejects(flattenedVerify(other, key), name);
  }
});

t.test('openssl verifies the time-stamp over the signature value', withOpenssl, async (t) => {
  const { pack, options } = await world();
  const { files } = await exportJades(pack, options);
  const folder = mkdtempSync(join(tmpdir(), 'accord-jades-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const put = (name: string, bytes: string | Uint8Array) => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  const root = put('root.pem', pem(stamper.root));
  for (const name of FILES) {
    const { file, of } = strange(files.get(name) ?? Buffer.alloc(0));
    const [stamp] = of('sigTst') as { tstTokens: { val: string }[] }[];
    const token = put('token', Buffer.from(stamp?.tstTokens[0]?.val ?? '', 'base64'));
    const verify = (data: string) =>
      openssl(['ts', '-verify', '-data', put('data', data), '-in', token, '-token_in', '-CAfile', root]).status;
    t.equal(verify(file.signature), 0, `${name}: over the base64url text of the signature`);
    t.not(verify(`${file.signature}\n`), 0, `${name}: and over nothing else`);
  }
});
