// JAdES files of a real exchange: the level that is reached with what is there, each requirement broken, bytes flipped.
import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { encodeJades, NO_VALUES, readJades, signJades } from '#certs/jades-form.ts';
import type { JadesRequirementName } from '#certs/jades-requirements.ts';
import { type JadesTrust, verifyJades } from '#certs/jades-verify.ts';
import { exportJades, type JadesOptions } from '#core/evidence/jades-export.ts';
import { checkJadesFolder } from '#core/evidence/jades-folder.ts';
import { manifestOf } from '#core/evidence/seal.ts';
import { closeWorld, FILES, HOUR_MS, type Json, stamper, stampOf, strange, world } from './jades-world.ts';

t.setTimeout(60_000);
t.teardown(closeWorld);

t.test('a level less for each thing that is not there', async (t) => {
  const { pack, options, trust } = await world();
  const levels = async (change: Partial<JadesOptions>) => {
    const { documents } = await exportJades(pack, { ...options, ...change });
    t.ok(
      documents.every(({ isGood }) => isGood),
      'nothing is wrong',
    );
    return documents.map(({ level, checks }) => [
      level,
      ...checks.filter(({ state }) => state === 'missing').map((one) => one.requirement),
    ]);
  };
  const all = (...one: unknown[]) => [one, one, one, one];
  t.same(await levels({}), all('B-LT'));
  t.same(
    await levels({ crls: options.crls.slice(0, 3) }),
    all('B-T', 'tstVD'),
    'nothing about the time-stamp authority',
  );
  t.same(await levels({ crls: [] }), all('B-T', 'rVals', 'tstVD'), 'the OCSP answer speaks for one certificate');
  const bare = ['sigTst', 'sigTst.tstTokens', 'sigTst imprint', 'sigTst time', 'tstVD'];
  t.same(await levels({ stamp: null }), all('B-B', ...bare));
  t.same(await levels({ stamp: async () => null }), all('B-B', ...bare), 'no authority answers');
  t.equal((await exportJades(pack, { ...options, seal: null })).documents.length, 2);
  const strangers = [{ anchors: [stamper.root.toString('base64url')], intermediates: [], crls: [] }];
  await t.rejects(exportJades(pack, { ...options, trust: strangers }), { code: 'CERTIFICATE_INVALID' });
  const unknown = await exportJades(pack, { ...options, trust: strangers, seal: null });
  t.match(
    unknown.documents,
    [
      { isGood: false, level: null },
      { isGood: false, level: null },
    ],
    'no path to an anchor',
  );
  const ended = new X509Certificate(options.seal?.certificate ?? '').validToDate.getTime();
  const late = async (imprint: Buffer) => stampOf(imprint, ended + HOUR_MS);
  const { files } = await exportJades(pack, { ...options, stamp: late });
  const said = verifyJades(files.get(FILES[0] ?? '') ?? Buffer.alloc(0), { ...trust, nowMs: ended + 2 * HOUR_MS });
  t.match(
    said.checks.find((one) => one.requirement === 'sigTst time'),
    { state: 'missing' },
  );
  t.equal(said.level, 'B-B', 'a time-stamp after the end of the certificate lifts nothing');
});

t.test('each requirement is seen to be broken', async (t) => {
  const { pack, options, trust } = await world();
  const { files } = await exportJades(pack, options);
  const bytes = files.get('request.sealed.jades.json') ?? Buffer.alloc(0);
  const { file, signed, elements } = strange(bytes);
  const seal = options.seal as NonNullable<JadesOptions['seal']>;
  const states = (made: Buffer, name: JadesRequirementName, now = trust) =>
    verifyJades(made, now).checks.find((one) => one.requirement === name)?.state;
  const encode = (header: Json, unsigned: Json[] = elements) => {
    const text = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const made = {
      payload: file.payload,
      protected: text(header),
      header: { etsiU: unsigned.map(text) },
      signature: file.signature,
    };
    return Buffer.from(`${JSON.stringify(made)}\n`);
  };
  const { alg: _, ...withoutAlg } = signed;
  const { iat: __, ...withoutIat } = signed;
  const [sigTst, xVals, rVals, tstVD] = elements as [Json, Json, Json, Json];
  const token = (sigTst as { sigTst: { tstTokens: { val: string }[] } }).sigTst.tstTokens[0];
  const x5c = signed['x5c'] as string[];
  const one = (xVals['xVals'] as unknown[])[0];
  const lists = rVals['rVals'] as Record<string, unknown[]>;
  const broken: [JadesRequirementName, Buffer][] = [
    ['alg', encode(withoutAlg)],
    ['alg', encode({ ...signed, alg: 'HS256' })],
    ['cty', encode({ ...signed, cty: 7 })],
    ['x5t', encode({ ...signed, x5t: 'abc' })],
    ['x5t#S256', encode({ ...signed, sigX5ts: [] })],
    ['x5c', encode({ ...signed, x5c: x5c.toReversed() })],
    ['crit', encode({ ...signed, crit: ['exp'], exp: 1 })],
    ['crit', encode({ ...signed, b64: false })],
    ['iat', encode(withoutIat)],
    ['iat', encode({ ...signed, iat: 1_800_000_000.5 })],
    ['iat', encode({ ...signed, iat: '1800000000' })],
    ['sigT', encode({ ...signed, sigT: '2026-01-01T00:00:00Z' })],
    ['sigD', encode({ ...signed, sigD: { mId: 'http://uri.etsi.org/19182/ObjectIdByURIHash' } })],
    ['etsiU', encode(signed, [...elements, { other: 1 }])],
    ['etsiU', encode(signed, [...elements, rVals])],
    ['signature', encode({ ...signed, typ: 'JOSE' })],
    ['sigTst.tstTokens', encode(signed, [{ sigTst: { tstTokens: [token, token] } }, xVals, rVals, tstVD])],
    ['sigTst.tstTokens', encode(signed, [{ sigTst: { tstTokens: [token], canonAlg: 'x' } }, xVals])],
    ['sigTst.tstTokens', encode(signed, [{ sigTst: { tstTokens: [{ ...token, type: 'x' }] } }, xVals])],
    [
      'sigTst imprint',
      encode(signed, [{ sigTst: { tstTokens: [{ val: stampOf(Buffer.alloc(32)).token.toString('base64') }] } }]),
    ],
    ['xVals', encode(signed, [sigTst, { xVals: [one, one] }, rVals, tstVD])],
    [
      'xVals',
      encode(signed, [sigTst, { xVals: [one, { x509Cert: { val: stamper.root.toString('base64') } }] }, rVals]),
    ],
    [
      'rVals',
      encode(signed, [
        sigTst,
        xVals,
        {
          rVals: {
            crlVals: [...(lists['crlVals'] ?? []), { val: (options.crls[3] ?? Buffer.alloc(0)).toString('base64') }],
          },
        },
      ]),
    ],
    ['rVals', encode(signed, [sigTst, xVals, { rVals: {} }, tstVD])],
    ['tstVD', encode(signed, [sigTst, xVals, rVals, { tstVD: { xVals: [one] } }])],
    ['tstVD', encode(signed, [sigTst, xVals, rVals, { tstVD: {} }])],
    ['Annex A', encode(signed, [...elements, { xRefs: [] }])],
  ];
  for (const [name, made] of broken)
    t.equal(states(made, name), 'wrong', `${name}: ${JSON.stringify(readJades(made).header).slice(0, 40)}`);
  t.equal(states(bytes, 'path', { ...trust, anchors: [stamper.root] }), 'wrong');
  t.equal(states(bytes, 'sigTst imprint', { ...trust, timeStampCertificates: trust.anchors }), 'wrong');
  const bareParts = signJades(Buffer.from('x'), { key: seal.key, path: [seal.certificate] }, 'json', 1_800_000_000);
  t.throws(() => encodeJades(bareParts, NO_VALUES), TypeError, 'etsiU is never empty');
  t.throws(() => readJades(Buffer.from(`${bytes} `)), { code: 'JADES_MALFORMED' });
});

/** Every byte was tried once; a test of seconds tries some, other ones each time, because the lengths differ. */
const STRIDE = 61;

t.test('a flipped byte is found', async (t) => {
  const { pack, options, trust } = await world();
  const { files } = await exportJades(pack, options);
  for (const name of ['request.jades.json', 'answer.sealed.jades.json']) {
    const bytes = files.get(name) ?? Buffer.alloc(0);
    const { level: before } = verifyJades(bytes, trust);
    const missed: number[] = [];
    for (let at = bytes.length % STRIDE; at < bytes.length; at += STRIDE) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      if (!isFound(changed, trust, before)) missed.push(at);
    }
    t.same(missed, [], `${name}: ${missed.length} of ${bytes.length} bytes`);
  }
  const { file, etsiU, of } = strange(files.get('request.jades.json'));
  const [stamp] = of('sigTst') as { tstTokens: { val: string }[] }[];
  const token = Buffer.from(stamp?.tstTokens[0]?.val ?? '', 'base64');
  const other = (changed: Buffer) => {
    const element = JSON.stringify({ sigTst: { tstTokens: [{ val: changed.toString('base64') }] } });
    const header = { etsiU: [Buffer.from(element).toString('base64url'), ...etsiU.slice(1)] };
    return Buffer.from(`${JSON.stringify({ ...file, header })}\n`);
  };
  t.notOk(isFound(other(token), trust, 'B-LT'), 'as it is');
  const unseen: string[] = [];
  for (let bit = 0; bit < token.length * 8; bit += bit >> 3 >= 565 && bit >> 3 < 580 ? 3 : 71) {
    const changed = Buffer.from(token);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    if (!isFound(other(changed), trust, 'B-LT')) unseen.push(`${bit >> 3}.${bit & 7}`);
  }
  t.same(unseen, [], 'bits of the token');
  for (const [name, bytes] of files) {
    for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      t.notOk(
        checkJadesFolder(new Map([...files, [name, changed]]), trust).isGood,
        `${name}, byte ${at}, in the folder`,
      );
    }
  }
  const swapped = new Map([...files, ['request.statement', files.get('answer.statement') ?? Buffer.alloc(0)]]);
  swapped.set('manifest', manifestOf(swapped));
  const { isAsListed, files: judged } = checkJadesFolder(swapped, trust);
  t.same(
    [isAsListed, judged.map(({ binding }) => binding)],
    [true, ['wrong', 'wrong', 'signed', 'signed']],
    'another statement',
  );
});

function isFound(bytes: Buffer, trust: JadesTrust, level: string | null): boolean {
  try {
    const said = verifyJades(bytes, trust);
    return !said.isGood || said.level !== level;
  } catch (error) {
    return (error as { code?: string }).code === 'JADES_MALFORMED';
  }
}

// The last case: lists name whole seconds, and the exchange is some seconds old by now.
t.test('a certificate that was revoked after it had signed', async (t) => {
  const { made, pack, options } = await world();
  const seal = options.seal as NonNullable<JadesOptions['seal']>;
  const revoked = { number: 3, thisUpdateMs: Date.now(), nextUpdateMs: Date.now() + HOUR_MS };
  made.pair.authority.revoke(seal.certificate);
  const list = await made.pair.authority.revocationList(revoked);
  const after = await exportJades(pack, { ...options, crls: [...options.crls, list], nowMs: Date.now() + 5_000 });
  const answer = after.documents.find((one) => one.file === 'answer.jades.json');
  t.match(
    answer?.checks.find((one) => one.requirement === 'sigTst time'),
    { state: 'missing' },
    'stamped too late',
  );
  t.match(answer, { isGood: true, level: 'B-B' });
  t.match(
    after.documents.find((one) => one.file === 'answer.sealed.jades.json'),
    { isGood: false },
    'signed too late',
  );
});
