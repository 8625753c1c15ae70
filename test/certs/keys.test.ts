// Public keys in each of their forms: one encoding each, no unknown kinds, none that are known to protect nothing.
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import * as jose from 'jose';
import t from 'tap';
import {
  exportPublicJwk,
  exportPublicPem,
  exportSpki,
  generateKeys,
  importPublicJwk,
  importPublicPem,
  importSpki,
  keyAlgorithm,
  thumbprint,
} from '#certs/keys.ts';
import { isWeakEd25519, isWeakRsa } from '#certs/weak-keys.ts';

const rsa = generateKeys('RSA-2048');
const ec = generateKeys();

t.test('public keys: one encoding each, and no worthless ones', async (t) => {
  for (const kind of ['P-256', 'P-384', 'Ed25519', 'X25519', 'RSA-2048'] as const) {
    const { privateKey, publicKey } = kind === 'RSA-2048' ? rsa : generateKeys(kind);
    const use = kind === 'X25519' ? 'enc' : 'sig';
    const jwk = exportPublicJwk(privateKey);
    t.ok(importPublicJwk(jwk, use).equals(publicKey), kind);
    t.ok(importSpki(exportSpki(privateKey)).equals(publicKey));
    t.ok(importPublicPem(exportPublicPem(publicKey)).equals(publicKey));
    t.equal(thumbprint(publicKey), await jose.calculateJwkThumbprint(jwk as jose.JWK), 'as jose computes it');
    t.throws(() => importSpki(Buffer.concat([exportSpki(publicKey), Buffer.alloc(1)])), { code: 'KEY_MALFORMED' });
    t.throws(() => importPublicJwk({ ...jwk, d: 'AA' }, use), { code: 'KEY_UNSUITABLE' });
    t.throws(() => importPublicJwk({ ...jwk, use: use === 'sig' ? 'enc' : 'sig' }, use), { code: 'KEY_UNSUITABLE' });
    const member = jwk.kty === 'RSA' ? 'n' : 'x';
    t.throws(() => importPublicJwk({ ...jwk, [member]: `${jwk[member]}=` }, use), { code: 'KEY_MALFORMED' });
    t.throws(() => importPublicJwk({ ...jwk, [member]: ` ${jwk[member]}` }, use), { code: 'KEY_MALFORMED' });
    if (kind === 'X25519' || kind === 'RSA-2048') t.throws(() => keyAlgorithm(publicKey), { code: 'KEY_UNSUITABLE' });
    else t.equal(keyAlgorithm(publicKey), { 'P-256': 'ES256', 'P-384': 'ES384', Ed25519: 'EdDSA' }[kind]);
  }
  const compressed = Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex');
  const { x = '', y = '' } = exportPublicJwk(ec.publicKey);
  const odd = Buffer.from(y, 'base64url').at(-1)! & 1;
  const point = Buffer.concat([compressed, Buffer.from([2 + odd]), Buffer.from(x, 'base64url')]);
  t.ok(
    createPublicKey({ key: point, format: 'der', type: 'spki' }).equals(ec.publicKey),
    'node takes a compressed point',
  );
  t.throws(() => importSpki(point), { code: 'KEY_MALFORMED' });
  t.throws(
    () =>
      importSpki(
        generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'der', type: 'spki' }),
      ),
    { code: 'KEY_UNSUITABLE' },
  );
  t.throws(() => importPublicPem(exportPublicPem(ec.publicKey).repeat(2)), { code: 'KEY_MALFORMED' });
  t.throws(
    () => importPublicJwk({ ...exportPublicJwk(ec.publicKey), x: y, y: x }, 'sig'),
    { code: 'KEY_MALFORMED' },
    'off the curve',
  );
  const cheapRsa = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).publicKey;
  t.throws(() => importSpki(exportSpki(cheapRsa)), { code: 'KEY_UNSUITABLE' }, 'exponent 3');
  t.ok(isWeakRsa(3n, 65_538n), 'an even exponent');
  const order8 = Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex');
  const identity = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]);
  for (const encoded of [order8, Buffer.alloc(32), identity, Buffer.alloc(32, 0xff)]) t.ok(isWeakEd25519(encoded));
  t.throws(() => importPublicJwk({ kty: 'OKP', crv: 'Ed25519', x: order8.toString('base64url') }, 'sig'), {
    code: 'KEY_UNSUITABLE',
  });
  t.notOk(isWeakEd25519(Buffer.from(exportPublicJwk(generateKeys('Ed25519').publicKey).x!, 'base64url')));
});
