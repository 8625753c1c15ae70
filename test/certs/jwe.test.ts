// Tickets: what jose seals we open and the other way round, an independent construction from node:crypto agrees, and a
// ticket has one spelling, one header and one pair of parties.
import { createCipheriv, createHash, diffieHellman, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import * as jose from 'jose';
import t from 'tap';
import { decryptCompact, encryptCompact } from '#certs/jwe.ts';
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import { MAX_TICKET_BYTES } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';

const VECTORS = '../shared/vectors';
const TYP = 'accord-ticket+jwe';
const [apu, apv] = [Buffer.from('DEV/GOV/1001/ss1'), Buffer.from('DEV/GOV/2002/ss1')];
const secret = randomBytes(32);
const b64 = (value: Uint8Array | string) => Buffer.from(value).toString('base64url');

async function verdict(open: Promise<unknown>): Promise<string> {
  try {
    await open;
    return 'ok';
  } catch (error) {
    if (isAccordError(error)) return error.code;
    throw error;
  }
}

/** ECDH-ES+A256KW with A256GCM from RFC 7516 and RFC 7518 section 4.6.2, without the library under test. */
function construct(
  receiver: KeyObject,
  header: Record<string, unknown>,
  plaintext: Uint8Array,
  spelt?: string,
): string {
  const curve = receiver.asymmetricKeyType === 'x25519' ? 'X25519' : 'P-256';
  const ephemeral = generateKeys(curve);
  const z = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: receiver });
  const sized = (value: Uint8Array) => Buffer.concat([uint32(value.length), value]);
  const party = (name: string) => Buffer.from(String(header[name] ?? ''), 'base64url');
  const info = [sized(Buffer.from('ECDH-ES+A256KW')), sized(party('apu')), sized(party('apv')), uint32(256)];
  const wrapping = createHash('sha256')
    .update(Buffer.concat([uint32(1), z, ...info]))
    .digest();
  const [key, nonce] = [randomBytes(32), randomBytes(12)];
  const wrap = createCipheriv('id-aes256-wrap', wrapping, Buffer.alloc(8, 0xa6));
  const wrapped = Buffer.concat([wrap.update(key), wrap.final()]);
  const full = { ...header, epk: header['epk'] ?? exportPublicJwk(ephemeral.publicKey) };
  const protectedHeader = b64(
    spelt === undefined ? JSON.stringify(full) : spelt.replace('EPK', JSON.stringify(full.epk)),
  );
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(protectedHeader));
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return [protectedHeader, ...[wrapped, nonce, sealed, cipher.getAuthTag()].map(b64)].join('.');
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

for (const curve of ['P-256', 'X25519'] as const) {
  const receiver = generateKeys(curve);
  const kid = thumbprint(receiver.publicKey);
  const expected = { typ: TYP, kid, apu, apv };
  const header = { alg: 'ECDH-ES+A256KW', enc: 'A256GCM', typ: TYP, kid, apu: b64(apu), apv: b64(apv), exp: 600 };
  const open = (text: string, more: object = {}) => decryptCompact(text, receiver.privateKey, { ...expected, ...more });

  t.test(`${curve}: three implementations open each other's tickets`, async (t) => {
    const ours = await encryptCompact(secret, { ...expected, expSeconds: 600 }, receiver.publicKey);
    const opened = await open(ours);
    t.same(opened.plaintext, secret);
    t.same(opened.header, header);
    const theirs = await jose.compactDecrypt(ours, receiver.privateKey);
    t.same(Object.keys(theirs.protectedHeader).sort(), ['alg', 'apu', 'apv', 'enc', 'epk', 'exp', 'kid', 'typ']);
    t.same((await open(construct(receiver.publicKey, header, secret))).plaintext, secret, 'from node:crypto');
    t.ok(ours.length <= 1024, `${ours.length} characters`);
    t.not(await encryptCompact(secret, { ...expected, expSeconds: 600 }, receiver.publicKey), ours, 'a key of its own');
  });

  t.test(`${curve}: headers`, async (t) => {
    const epk = exportPublicJwk(generateKeys(curve).publicKey);
    const otherCurve = exportPublicJwk(generateKeys(curve === 'P-256' ? 'X25519' : 'P-256').publicKey);
    const cases: [string, Record<string, unknown>, string][] = [
      ['as expected', {}, 'ok'],
      ['another typ', { typ: 'JWT' }, 'JWE_HEADER_REFUSED'],
      ['another kid', { kid: 'x' }, 'JWE_HEADER_REFUSED'],
      ['another sender', { apu: b64('DEV/GOV/6666/ss1') }, 'JWE_HEADER_REFUSED'],
      ['another receiver', { apv: b64('DEV/GOV/6666/ss1') }, 'JWE_HEADER_REFUSED'],
      ['the parties exchanged', { apu: b64(apv), apv: b64(apu) }, 'JWE_HEADER_REFUSED'],
      ['no sender', { apu: undefined }, 'JWE_HEADER_REFUSED'],
      ['zip', { zip: 'DEF' }, 'JWE_HEADER_REFUSED'],
      ['crit', { crit: ['exp'] }, 'JWE_HEADER_REFUSED'],
      ['jwk', { jwk: epk }, 'JWE_HEADER_REFUSED'],
      ['another enc', { enc: 'A128GCM' }, 'JWE_HEADER_REFUSED'],
      ['direct agreement', { alg: 'ECDH-ES' }, 'JWE_HEADER_REFUSED'],
      ['RSA', { alg: 'RSA-OAEP' }, 'JWE_HEADER_REFUSED'],
      ['passwords', { alg: 'PBES2-HS256+A128KW', p2c: 1e9 }, 'JWE_HEADER_REFUSED'],
      ['exp as text', { exp: '600' }, 'JWE_HEADER_REFUSED'],
      ['exp as a fraction', { exp: 600.5 }, 'JWE_HEADER_REFUSED'],
      ['exp before the epoch', { exp: -1 }, 'JWE_HEADER_REFUSED'],
      ['exp past 2^53', { exp: 2 ** 60 }, 'JWE_MALFORMED'],
      ['an ephemeral key of another curve', { epk: otherCurve }, 'JWE_HEADER_REFUSED'],
      ['an ephemeral key that is not the one used', { epk }, 'JWE_DECRYPT_FAILED'],
      ['an ephemeral key with a private part', { epk: { ...epk, d: epk.x } }, 'JWE_HEADER_REFUSED'],
      ['a short coordinate', { epk: { ...epk, x: b64(Buffer.alloc(31, 7)) } }, 'JWE_HEADER_REFUSED'],
      ['a coordinate in another encoding', { epk: { ...epk, x: `${epk.x}=` } }, 'JWE_MALFORMED'],
      ['a point off the curve or of small order', { epk: { ...epk, x: b64(Buffer.alloc(32)) } }, 'JWE_DECRYPT_FAILED'],
      ['an ephemeral key that is no object', { epk: [] }, 'JWE_HEADER_REFUSED'],
    ];
    for (const [name, more, code] of cases) {
      t.equal(await verdict(open(construct(receiver.publicKey, { ...header, ...more }, secret))), code, name);
    }
    const text = JSON.stringify(header).slice(0, -1);
    const spellings: [string, string, string][] = [
      ['plain', `${text},"epk":EPK}`, 'ok'],
      ['a name twice', `${text},"epk":EPK,"typ":"${TYP}"}`, 'JWE_MALFORMED'],
      ['__proto__', `${text},"epk":EPK,"__proto__":{}}`, 'JWE_MALFORMED'],
      ['a byte order mark', `\ufeff${text},"epk":EPK}`, 'JWE_MALFORMED'],
    ];
    for (const [name, spelt, code] of spellings) {
      t.equal(await verdict(open(construct(receiver.publicKey, header, secret, spelt))), code, name);
    }
    for (const more of [{ typ: 'x' }, { kid: 'x' }, { apu: apv }, { apv: apu }]) {
      t.equal(await verdict(open(construct(receiver.publicKey, header, secret), more)), 'JWE_HEADER_REFUSED');
    }
    const stranger = generateKeys(curve).privateKey;
    t.equal(
      await verdict(decryptCompact(construct(receiver.publicKey, header, secret), stranger, expected)),
      'JWE_DECRYPT_FAILED',
    );
  });

  t.test(`${curve}: a ticket has one spelling`, async (t) => {
    const jwe = await encryptCompact(secret, { ...expected, expSeconds: 600 }, receiver.publicKey);
    // Every position; the kind of change rotates, so that each part meets each of them many times.
    const codes = new Map<string, number>();
    for (let i = 0; i < jwe.length; i++) {
      const flipped = String.fromCharCode(jwe.charCodeAt(i) ^ (1 << (i % 8)));
      const kinds = [flipped, '', `${jwe[i]}\n`, `${jwe[i]}${jwe[i]}`, `=${jwe[i]}`];
      for (const put of [flipped, kinds[1 + (i % 4)]]) {
        const code = await verdict(open(jwe.slice(0, i) + put + jwe.slice(i + 1)));
        codes.set(code, (codes.get(code) ?? 0) + 1);
      }
    }
    t.notOk(codes.has('ok'), JSON.stringify([...codes]));
    t.same([...codes.keys()].sort(), ['JWE_DECRYPT_FAILED', 'JWE_HEADER_REFUSED', 'JWE_MALFORMED']);
    const parts = jwe.split('.');
    for (const [i, part] of parts.entries()) {
      for (const last of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') {
        const text = parts.with(i, part.slice(0, -1) + last).join('.');
        if (text !== jwe && (await verdict(open(text))) === 'ok') t.fail(`spare bits in part ${i}`);
      }
      t.not(await verdict(open(parts.with(i, '').join('.'))), 'ok', `without part ${i}`);
    }
    for (const text of [`${jwe}.`, `${jwe}=`, `.${jwe}`, 'a'.repeat(MAX_TICKET_BYTES + 1), '', '....']) {
      t.equal(await verdict(open(text)), 'JWE_MALFORMED');
    }
  });
}

t.test('keys that do not fit', async (t) => {
  const [signing, receiver] = [generateKeys('Ed25519'), generateKeys()];
  const ticket = { typ: TYP, kid: 'k', apu, apv, expSeconds: 1 };
  await t.rejects(encryptCompact(secret, ticket, signing.publicKey), { code: 'KEY_UNSUITABLE' });
  await t.rejects(encryptCompact(secret, ticket, generateKeys('P-384').publicKey), { code: 'KEY_UNSUITABLE' });
  await t.rejects(encryptCompact(secret, ticket, receiver.privateKey), TypeError);
  await t.rejects(encryptCompact(secret, { ...ticket, expSeconds: 1.5 }, receiver.publicKey), TypeError);
  await t.rejects(encryptCompact(secret, { ...ticket, apu: Buffer.alloc(0) }, receiver.publicKey), TypeError);
  await t.rejects(decryptCompact('....', receiver.publicKey, ticket), TypeError);
});

t.test('any secret and any parties come back', async (t) => {
  const receiver = generateKeys();
  const bytes = fc.uint8Array({ maxLength: 64 });
  const party = fc.uint8Array({ minLength: 1, maxLength: 64 });
  await fc.assert(
    fc.asyncProperty(bytes, party, party, fc.nat(), async (plaintext, apu, apv, expSeconds) => {
      const expected = { typ: TYP, kid: 'k', apu, apv };
      const opened = await decryptCompact(
        await encryptCompact(plaintext, { ...expected, expSeconds }, receiver.publicKey),
        receiver.privateKey,
        expected,
      );
      t.same([...opened.plaintext], [...plaintext]);
      t.equal(opened.header.exp, expSeconds);
    }),
    { numRuns: 30 },
  );
});

const cookbook = `${VECTORS}/jose-cookbook`;
t.test('RFC 7520 encryption', { skip: existsSync(cookbook) ? false : `${cookbook} is not here` }, async (t) => {
  // None of them is ECDH-ES+A256KW with A256GCM, so each has to be refused, before any key of it is looked at.
  const { privateKey } = generateKeys();
  const cases: [string, string][] = [
    ['jwe/5_1.key_encryption_using_rsa_v15_and_aes-hmac-sha2', 'JWE_MALFORMED'],
    ['jwe/5_2.key_encryption_using_rsa-oaep_with_aes-gcm', 'JWE_MALFORMED'],
    ['jwe/5_3.key_wrap_using_pbes2-aes-keywrap_with-aes-cbc-hmac-sha2', 'JWE_MALFORMED'],
    ['jwe/5_4.key_agreement_with_key_wrapping_using_ecdh-es_and_aes-keywrap_with_aes-gcm', 'JWE_MALFORMED'],
    ['jwe/5_5.key_agreement_using_ecdh-es_with_aes-cbc-hmac-sha2', 'JWE_MALFORMED'],
    ['jwe/5_6.direct_encryption_using_aes-gcm', 'JWE_MALFORMED'],
    ['jwe/5_7.key_wrap_using_aes-gcm_keywrap_with_aes-cbc-hmac-sha2', 'JWE_MALFORMED'],
    ['jwe/5_8.key_wrap_using_aes-keywrap_with_aes-gcm', 'JWE_MALFORMED'],
    ['jwe/5_9.compressed_content', 'JWE_MALFORMED'],
    // These have only a JSON form.
    ['jwe/5_10.including_additional_authentication_data', 'JWE_MALFORMED'],
    ['jwe/5_11.protecting_specific_header_fields', 'JWE_MALFORMED'],
    ['jwe/5_12.protecting_content_only', 'JWE_MALFORMED'],
    ['jwe/5_13.encrypting_to_multiple_recipients', 'JWE_MALFORMED'],
    ['curve25519/ecdh-es', 'JWE_MALFORMED'],
  ];
  for (const [name, expected] of cases) {
    const { output } = JSON.parse(readFileSync(`${cookbook}/${name}.json`, 'utf8'));
    const said = await verdict(
      decryptCompact(output.compact ?? JSON.stringify(output.json), privateKey, { typ: TYP, kid: 'k', apu, apv }),
    );
    t.equal(said, expected, name);
  }
});
