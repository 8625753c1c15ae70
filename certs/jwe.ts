// Tickets: compact JWE (RFC 7516) with ECDH-ES+A256KW (RFC 7518 section 4.6) and A256GCM, by jose. Everything in a JWE
// is the sender's, and anyone can encrypt to a public key: a ticket says nothing about who made it until the signature
// inside the seal is verified. What is checked here is that it has one spelling, exactly the header members of the
// protocol, and the parties (apu = from, apv = to) and the key that the receiver expects. There is no `zip`: nothing is
// ever decompressed.
import type { KeyObject } from 'node:crypto';
import type { JWEKeyManagementHeaderParameters } from 'jose';
import { compactDecrypt } from 'jose/jwe/compact/decrypt';
import { CompactEncrypt } from 'jose/jwe/compact/encrypt';
import { base64url, fromBase64url } from '#schemas/base64url.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from '#schemas/json.ts';
import { MAX_TICKET_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { AGREEMENT_CURVES, CONTENT_ENCRYPTION, KEY_AGREEMENT } from './algorithms.ts';
import { agreementCurve } from './keys.ts';

export interface TicketParties {
  typ: string;
  /** Thumbprint of the receiver's encryption key. */
  kid: string;
  /** Who sends, as bytes (PartyUInfo of the key derivation). */
  apu: Uint8Array;
  /** Who receives (PartyVInfo). */
  apv: Uint8Array;
}

export interface TicketHeader {
  readonly alg: typeof KEY_AGREEMENT;
  readonly enc: typeof CONTENT_ENCRYPTION;
  readonly typ: string;
  readonly kid: string;
  /** Base64url, as they stand in the header. */
  readonly apu: string;
  readonly apv: string;
  /** Seconds since the epoch. The caller, who has a clock, refuses a ticket that is past it or too far ahead. */
  readonly exp: number;
}

const HEADER_NAMES = ['alg', 'apu', 'apv', 'enc', 'epk', 'exp', 'kid', 'typ'];
/** A256KW adds 8 bytes to the 32 of the key (RFC 3394); A256GCM takes a 96-bit nonce and gives a 128-bit tag. */
const WRAPPED_KEY_BYTES = 40;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts to the receiver's P-256 or X25519 key.
 * @returns compact JWE, ASCII
 * @throws KEY_UNSUITABLE for another kind of key; TypeError when the key is not public, a party is empty or `expSeconds` is no integer
 */
export async function encryptCompact(
  plaintext: Uint8Array,
  { typ, kid, apu, apv, expSeconds }: TicketParties & { expSeconds: number },
  recipientPublicKey: KeyObject,
): Promise<string> {
  if (recipientPublicKey.type !== 'public') throw new TypeError('tickets are encrypted to public keys');
  if (!Number.isSafeInteger(expSeconds) || expSeconds < 0) throw new TypeError('expSeconds is an integer');
  if (apu.length === 0 || apv.length === 0) throw new TypeError('a ticket names both parties');
  agreementCurve(recipientPublicKey);
  // jose's types know these parameters, its description warns of them: it cannot know that the parties are compared.
  const parties: JWEKeyManagementHeaderParameters = { apu, apv };
  return await new CompactEncrypt(plaintext)
    .setProtectedHeader({ alg: KEY_AGREEMENT, enc: CONTENT_ENCRYPTION, typ, kid, exp: expSeconds })
    .setKeyManagementParameters(parties)
    .encrypt(recipientPublicKey);
}

/**
 * Checks form and header, then decrypts. `exp` is returned, not compared: time is the caller's.
 * @throws JWE_MALFORMED, JWE_HEADER_REFUSED, JWE_DECRYPT_FAILED; TypeError when the key is not private
 */
export async function decryptCompact(
  jwe: string,
  recipientPrivateKey: KeyObject,
  expected: TicketParties,
): Promise<{ plaintext: Buffer; header: TicketHeader }> {
  if (recipientPrivateKey.type !== 'private') throw new TypeError('tickets are opened with private keys');
  const header = readHeader(checkForm(jwe), expected, agreementCurve(recipientPrivateKey));
  try {
    const { plaintext } = await compactDecrypt(jwe, recipientPrivateKey, {
      keyManagementAlgorithms: [KEY_AGREEMENT],
      contentEncryptionAlgorithms: [CONTENT_ENCRYPTION],
    });
    return { plaintext: Buffer.from(plaintext), header };
  } catch (error) {
    // One code and no detail: which step failed is nobody's business outside.
    throw new AccordError('JWE_DECRYPT_FAILED', '', { cause: error });
  }
}

/** The protected header's bytes, once the whole text has the one form it may have. */
function checkForm(jwe: string): Buffer {
  if (jwe.length > MAX_TICKET_BYTES) throw new AccordError('JWE_MALFORMED', 'too large');
  const parts = jwe.split('.', 6);
  if (parts.length !== 5) throw new AccordError('JWE_MALFORMED', 'not five parts');
  const [header, wrappedKey, nonce, ciphertext, tag] = parts.map(decode);
  if (wrappedKey?.length !== WRAPPED_KEY_BYTES) throw new AccordError('JWE_MALFORMED', 'encrypted key length');
  if (nonce?.length !== NONCE_BYTES) throw new AccordError('JWE_MALFORMED', 'nonce length');
  if (tag?.length !== TAG_BYTES) throw new AccordError('JWE_MALFORMED', 'tag length');
  if (header === undefined || ciphertext === undefined) throw new AccordError('JWE_MALFORMED', 'not five parts');
  return header;
}

function decode(part: string): Buffer {
  try {
    return fromBase64url(part);
  } catch (error) {
    throw new AccordError('JWE_MALFORMED', 'a part is not canonical base64url', { cause: error });
  }
}

function readHeader(bytes: Buffer, expected: TicketParties, curve: keyof typeof AGREEMENT_CURVES): TicketHeader {
  const header = strictHeader(bytes);
  if (Object.keys(header).sort().join() !== HEADER_NAMES.join()) throw refused('its members');
  const { alg, enc, typ, kid, exp, epk } = header;
  if (alg !== KEY_AGREEMENT || enc !== CONTENT_ENCRYPTION) throw refused('alg or enc');
  if (typ !== expected.typ) throw refused('typ');
  if (kid !== expected.kid) throw refused('kid');
  const apu = base64url(expected.apu);
  const apv = base64url(expected.apv);
  if (header['apu'] !== apu || header['apv'] !== apv) throw refused('apu or apv');
  if (typeof exp !== 'number' || !Number.isSafeInteger(exp) || exp < 0) throw refused('exp');
  checkEphemeralKey(epk, curve);
  return { alg, enc, typ, kid, apu, apv, exp };
}

/** Exactly a public key of the receiver's curve; whether its point is on the curve is checked where it is imported. */
function checkEphemeralKey(epk: JsonValue | undefined, curve: keyof typeof AGREEMENT_CURVES): void {
  const { kty } = AGREEMENT_CURVES[curve];
  const names = kty === 'EC' ? 'crv,kty,x,y' : 'crv,kty,x';
  if (!isJsonObject(epk) || Object.keys(epk).sort().join() !== names) throw refused('epk');
  if (epk['kty'] !== kty || epk['crv'] !== curve) throw refused('epk');
  for (const name of kty === 'EC' ? ['x', 'y'] : ['x']) {
    const coordinate = epk[name];
    if (typeof coordinate !== 'string' || decode(coordinate).length !== 32) throw refused('epk');
  }
}

function strictHeader(bytes: Buffer): JsonObject {
  try {
    return parseJsonObject(bytes, { maxDepth: 2, maxValues: 32 });
  } catch (error) {
    throw new AccordError('JWE_MALFORMED', 'the header is not strict JSON', { cause: error });
  }
}

function refused(what: string): AccordError {
  return new AccordError('JWE_HEADER_REFUSED', what);
}
