// Sealed subjects (DESIGN: who may ask for what, Consent): the provider's own identifier of a citizen, encrypted to one of
// the provider's subject keys, so that neither the asking department, which carries the receipt, nor an onlooker learns
// it. A compact JWE (RFC 7516): ECDH-ES+A256KW on P-256 (RFC 7518 section 4.6, no party info) and A256GCM.
//
// On node:crypto and without waiting, because the provider's server opens one on the way of each request under consent;
// the tests hold it against jose. Anyone can encrypt to a public key: what is inside says which receipt it belongs to, and
// counts only inside that receipt, once its signature is verified.
import { createCipheriv, createDecipheriv, createHash, diffieHellman, type KeyObject, randomBytes } from 'node:crypto';
import { base64url, fromBase64url } from '#schemas/base64url.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJson, parseJsonObject } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { SealedSubject } from '#schemas/receipt.ts';
import type { EncryptionKey } from '#schemas/registrations.ts';
import { compile } from '#schemas/validate.ts';
import { CONTENT_ENCRYPTION, KEY_AGREEMENT } from './algorithms.ts';
import { exportPublicJwk, generateKeys, importPublicJwk } from './keys.ts';
import type { NamedKey } from './registered-key.ts';

const SUBJECT_TYP = 'accord-subject+jwe';
/** As the receipt's schema has it. */
const MAX_SEALED_BYTES = 2_000;
/** The plaintext is filled up with spaces to a multiple of this: its length does not tell one kind of number by another. */
const PADDED_TO_BYTES = 128;
const KEY_BYTES = 32;
const WRAPPED_KEY_BYTES = KEY_BYTES + 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** RFC 3394 section 2.2.3.1. */
const KEY_WRAP_IV = Buffer.alloc(8, 0xa6);
const HEADER_NAMES = 'alg,enc,epk,kid,typ';

const check: (value: unknown) => SealedSubject = compile(SealedSubject, 'SUBJECT_SEAL_REFUSED');

/**
 * Seals a subject to a registered subject key of the provider.
 * @returns compact JWE, at most 2,000 characters
 * @throws SUBJECT_SEAL_REFUSED when the subject is none, or too long; KEY_MALFORMED, KEY_UNSUITABLE
 */
export function sealSubject(subject: SealedSubject, { kid, jwk }: EncryptionKey): string {
  const text = Buffer.from(JSON.stringify(check(subject)));
  const plaintext = Buffer.alloc(Math.ceil(text.length / PADDED_TO_BYTES) * PADDED_TO_BYTES, ' ');
  text.copy(plaintext);
  const recipient = importPublicJwk({ ...jwk }, 'enc');
  const ephemeral = generateKeys('P-256');
  const { kty, crv, x, y } = exportPublicJwk(ephemeral.publicKey);
  const header = { alg: KEY_AGREEMENT, enc: CONTENT_ENCRYPTION, typ: SUBJECT_TYP, kid, epk: { kty, crv, x, y } };
  const protectedHeader = base64url(Buffer.from(JSON.stringify(header)));
  const contentKey = randomBytes(KEY_BYTES);
  const wrap = createCipheriv('aes256-wrap', wrappingKey(ephemeral.privateKey, recipient), KEY_WRAP_IV);
  const wrappedKey = Buffer.concat([wrap.update(contentKey), wrap.final()]);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', contentKey, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(protectedHeader, 'latin1'));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const parts = [wrappedKey, nonce, ciphertext, cipher.getAuthTag()].map(base64url);
  const jwe = [protectedHeader, ...parts].join('.');
  if (jwe.length > MAX_SEALED_BYTES) throw refused('the subject is too long');
  return jwe;
}

/**
 * Opens a sealed subject with the one of `keys` that it names. Whether its `jti` is that of the receipt it stood in is
 * the caller's comparison.
 * @throws SUBJECT_SEAL_REFUSED, always without saying why it did not open
 */
export function openSubject(jwe: string, keys: readonly NamedKey[]): SealedSubject {
  const { header, bytes, aad } = readForm(jwe);
  const key = keys.find(({ kid }) => kid === header['kid']);
  if (key === undefined) throw refused('sealed to a key this server does not hold');
  const ephemeral = ephemeralKey(header['epk']);
  try {
    const unwrap = createDecipheriv('aes256-wrap', wrappingKey(key.privateKey, ephemeral), KEY_WRAP_IV);
    const contentKey = Buffer.concat([unwrap.update(bytes.wrappedKey), unwrap.final()]);
    const decipher = createDecipheriv('aes-256-gcm', contentKey, bytes.nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(aad).setAuthTag(bytes.tag);
    const plaintext = Buffer.concat([decipher.update(bytes.ciphertext), decipher.final()]);
    return check(parseJson(plaintext, { maxBytes: MAX_SEALED_BYTES, maxDepth: 1, maxValues: 8 }));
  } catch (error) {
    throw new AccordError('SUBJECT_SEAL_REFUSED', 'cannot be opened', { cause: error });
  }
}

interface SealedParts {
  wrappedKey: Buffer;
  nonce: Buffer;
  ciphertext: Buffer;
  tag: Buffer;
}

function readForm(jwe: string): { header: JsonObject; bytes: SealedParts; aad: Buffer } {
  if (jwe.length > MAX_SEALED_BYTES) throw refused('too large');
  const texts = jwe.split('.', 6);
  if (texts.length !== 5) throw refused('not five parts');
  const [headerBytes, wrappedKey, nonce, ciphertext, tag] = texts.map(decode) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  if (wrappedKey.length !== WRAPPED_KEY_BYTES || nonce.length !== NONCE_BYTES || tag.length !== TAG_BYTES) {
    throw refused('a part of a wrong length');
  }
  const header = strictHeader(headerBytes);
  if (Object.keys(header).sort().join() !== HEADER_NAMES) throw refused('header members');
  const { alg, enc, typ } = header;
  if (alg !== KEY_AGREEMENT || enc !== CONTENT_ENCRYPTION || typ !== SUBJECT_TYP) throw refused('alg, enc or typ');
  const aad = Buffer.from(jwe.slice(0, jwe.indexOf('.')), 'latin1');
  return { header, bytes: { wrappedKey, nonce, ciphertext, tag }, aad };
}

/** Exactly a public key on P-256; that its point is on the curve is checked by the import. */
function ephemeralKey(epk: JsonValue | undefined): KeyObject {
  if (!isJsonObject(epk) || Object.keys(epk).sort().join() !== 'crv,kty,x,y' || epk['crv'] !== 'P-256') {
    throw refused('epk');
  }
  try {
    return importPublicJwk(epk, 'enc');
  } catch (error) {
    throw new AccordError('SUBJECT_SEAL_REFUSED', 'epk', { cause: error });
  }
}

/** RFC 7518 section 4.6.2: the concatenation KDF of NIST SP 800-56A, one round of SHA-256, for a key of 256 bits. */
function wrappingKey(privateKey: KeyObject, publicKey: KeyObject): Buffer {
  const algorithm = Buffer.from(KEY_AGREEMENT);
  const noParty = uint32(0);
  return createHash('sha256')
    .update(uint32(1))
    .update(diffieHellman({ privateKey, publicKey }))
    .update(uint32(algorithm.length))
    .update(algorithm)
    .update(noParty)
    .update(noParty)
    .update(uint32(KEY_BYTES * 8))
    .digest();
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function decode(part: string): Buffer {
  try {
    return fromBase64url(part);
  } catch (error) {
    throw new AccordError('SUBJECT_SEAL_REFUSED', 'a part is not canonical base64url', { cause: error });
  }
}

function strictHeader(bytes: Buffer): JsonObject {
  try {
    return parseJsonObject(bytes, { maxBytes: MAX_SEALED_BYTES, maxDepth: 2, maxValues: 16 });
  } catch (error) {
    throw new AccordError('SUBJECT_SEAL_REFUSED', 'the header is not strict JSON', { cause: error });
  }
}

function refused(what: string): AccordError {
  return new AccordError('SUBJECT_SEAL_REFUSED', what);
}
