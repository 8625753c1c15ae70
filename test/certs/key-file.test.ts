// Encrypted key files and the folder that holds them.
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { type KeyFileCost, openKey, readKeyHeader, sealKey } from '#certs/key-file.ts';
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import { destroyKeyFile, listKeyFiles, readKeyFile, writeKeyFile } from '#core/key-store.ts';
import { isAccordError } from '#schemas/problems.ts';

const cheap: KeyFileCost = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
const passphrase = 'correct horse battery';
const meta = { use: 'sign', createdAtMs: 1_700_000_000_000, label: 'first 一号' } as const;
const folder = mkdtempSync(join(tmpdir(), 'accord-keys-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

async function verdict(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'ok';
  } catch (error) {
    if (isAccordError(error)) return error.code;
    throw error;
  }
}

t.test('what was sealed opens, with its passphrase only', async (t) => {
  for (const kind of ['P-256', 'Ed25519', 'X25519', 'RSA-2048'] as const) {
    const { privateKey, publicKey } = generateKeys(kind);
    const text = await sealKey(privateKey, passphrase, meta, cheap);
    const opened = await openKey(text, passphrase);
    t.ok(opened.privateKey.equals(privateKey) && opened.publicKey.equals(publicKey), kind);
    const { use, createdAtMs, label, kid } = opened;
    t.same({ use, createdAtMs, label }, meta);
    t.equal(kid, thumbprint(publicKey));
    t.same(readKeyHeader(text).publicJwk, exportPublicJwk(publicKey));
    t.equal(await verdict(openKey(text, `${passphrase}!`)), 'KEY_FILE_PASSPHRASE_WRONG');
    t.notMatch(text, privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64url').slice(-40));
  }
  const { privateKey, publicKey } = generateKeys();
  const composed = await sealKey(privateKey, 'caf\u00e9 caf\u00e9 caf\u00e9', meta, cheap);
  t.equal(await verdict(openKey(composed, 'cafe\u0301 cafe\u0301 cafe\u0301')), 'ok', 'however the letters are typed');
  t.equal(await verdict(sealKey(privateKey, 'eleven char', meta, cheap)), 'PASSPHRASE_REFUSED');
  await t.rejects(sealKey(publicKey, passphrase, meta, cheap), TypeError);
  await t.rejects(sealKey(privateKey, passphrase, meta, { ...cheap, memoryKib: 1024 }), TypeError);
  await t.rejects(sealKey(privateKey, passphrase, { ...meta, label: 'x'.repeat(201) }, cheap), TypeError);
  const { kdf } = JSON.parse(await sealKey(privateKey, passphrase, meta));
  t.same(kdf, { name: 'argon2id', memoryKib: 65_536, passes: 3, lanes: 4 }, 'RFC 9106 section 4, second option');
});

t.test('an altered key file does not open, and costs no more than its bounds', async (t) => {
  const { privateKey } = generateKeys();
  const text = await sealKey(privateKey, passphrase, meta, cheap);
  const file = JSON.parse(text);
  const other = JSON.parse(await sealKey(generateKeys().privateKey, passphrase, meta, cheap));
  const cases: [string, object, string][] = [
    ['as written', {}, 'ok'],
    ['another use', { use: 'encrypt' }, 'KEY_FILE_PASSPHRASE_WRONG'],
    ['another label', { label: '' }, 'KEY_FILE_PASSPHRASE_WRONG'],
    ['another time', { createdAtMs: 1 }, 'KEY_FILE_PASSPHRASE_WRONG'],
    ['another public key', { publicJwk: other.publicJwk, kid: other.kid }, 'KEY_FILE_PASSPHRASE_WRONG'],
    ['another ciphertext', { ciphertext: other.ciphertext }, 'KEY_FILE_PASSPHRASE_WRONG'],
    ['a salt of its own', { salt: other.salt }, 'KEY_FILE_PASSPHRASE_WRONG'],
    ['more passes', { kdf: { ...file.kdf, passes: 2 } }, 'KEY_FILE_PASSPHRASE_WRONG'],
    ['too many passes', { kdf: { ...file.kdf, passes: 11 } }, 'KEY_FILE_MALFORMED'],
    ['too much memory', { kdf: { ...file.kdf, memoryKib: 2 ** 20 } }, 'KEY_FILE_MALFORMED'],
    ['too little memory', { kdf: { ...file.kdf, memoryKib: 8 } }, 'KEY_FILE_MALFORMED'],
    ['too many lanes', { kdf: { ...file.kdf, lanes: 64 } }, 'KEY_FILE_MALFORMED'],
    ['a fraction', { kdf: { ...file.kdf, lanes: 1.5 } }, 'KEY_FILE_MALFORMED'],
    ['another derivation', { kdf: { ...file.kdf, name: 'argon2i' } }, 'KEY_FILE_MALFORMED'],
    ['a member more', { hint: 'x' }, 'KEY_FILE_MALFORMED'],
    ['a member less', { label: undefined }, 'KEY_FILE_MALFORMED'],
    ['another version', { v: 2 }, 'KEY_FILE_MALFORMED'],
    ['an unknown use', { use: 'everything' }, 'KEY_FILE_MALFORMED'],
    ['padding', { nonce: `${file.nonce}=` }, 'KEY_FILE_MALFORMED'],
    ['no ciphertext', { ciphertext: '' }, 'KEY_FILE_MALFORMED'],
  ];
  for (const [name, more, code] of cases) {
    t.equal(await verdict(openKey(JSON.stringify({ ...file, ...more }), passphrase)), code, name);
  }
  t.equal(
    await verdict(openKey(JSON.stringify(Object.fromEntries(Object.entries(file).reverse())), passphrase)),
    'ok',
    'another order',
  );
  for (const rubbish of [
    '',
    '{}',
    '[]',
    'null',
    text.repeat(2),
    text.slice(0, -4),
    `\ufeff${text}`,
    ' '.repeat(20_000),
  ]) {
    t.equal(await verdict(openKey(rubbish, passphrase)), 'KEY_FILE_MALFORMED');
  }
  await fc.assert(
    fc.asyncProperty(fc.nat(text.length - 1), fc.nat(6), async (at, bit) => {
      const flipped = Buffer.from(text);
      flipped[at]! ^= 1 << bit;
      const said = await verdict(openKey(flipped, passphrase));
      if (said === 'ok') t.same(JSON.parse(flipped.toString()), file, 'only white space may differ');
    }),
    { numRuns: 60 },
  );
});

t.test('the folder of keys', async (t) => {
  const store = join(folder, 'store');
  const text = await sealKey(generateKeys().privateKey, passphrase, meta, cheap);
  t.same(await listKeyFiles(store), []);
  await writeKeyFile(store, 'signing-1', text);
  t.equal(statSync(store).mode & 0o777, 0o700);
  t.equal(statSync(join(store, 'signing-1.key.json')).mode & 0o777, 0o600);
  t.equal((await readKeyFile(store, 'signing-1')).toString(), text);
  t.same(readdirSync(store), ['signing-1.key.json'], 'nothing is left beside it');
  t.equal(await verdict(writeKeyFile(store, 'signing-1', 'other')), 'KEY_FILE_EXISTS');
  t.equal((await readKeyFile(store, 'signing-1')).toString(), text, 'and it is as it was');
  t.same(readdirSync(store), ['signing-1.key.json']);
  const both = await Promise.all(['a', 'b'].map((one) => verdict(writeKeyFile(store, 'raced', one))));
  t.same(both.sort(), ['KEY_FILE_EXISTS', 'ok'], 'one of two writers wins');
  t.equal(await verdict(readKeyFile(store, 'absent')), 'KEY_FILE_NOT_FOUND');
  for (const name of ['', '../x', 'a/b', 'A', '.a', 'a\0', '-a', 'a-', 'a'.repeat(65)]) {
    t.equal(await verdict(readKeyFile(store, name)), 'IDENTIFIER_INVALID', JSON.stringify(name));
  }
  for (const mode of [0o640, 0o604, 0o644, 0o620]) {
    chmodSync(join(store, 'signing-1.key.json'), mode);
    t.equal(await verdict(readKeyFile(store, 'signing-1')), 'KEY_FILE_MODE', mode.toString(8));
  }
  chmodSync(join(store, 'signing-1.key.json'), 0o600);
  symlinkSync(join(store, 'signing-1.key.json'), join(store, 'linked.key.json'));
  t.equal(await verdict(readKeyFile(store, 'linked')), 'KEY_FILE_MALFORMED', 'a symbolic link');
  writeFileSync(join(store, 'large.key.json'), 'x'.repeat(20_000), { mode: 0o600 });
  t.equal(await verdict(readKeyFile(store, 'large')), 'KEY_FILE_MALFORMED', 'too large');
  t.same(await listKeyFiles(store), ['large', 'linked', 'raced', 'signing-1']);
  await destroyKeyFile(store, 'raced');
  t.equal(await verdict(destroyKeyFile(store, 'raced')), 'KEY_FILE_NOT_FOUND');
  chmodSync(store, 0o770);
  t.equal(await verdict(writeKeyFile(store, 'more', text)), 'KEY_FILE_MODE', 'a folder that others write to');
});
