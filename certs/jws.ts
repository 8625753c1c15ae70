// Compact JWS (RFC 7515) on node:crypto. A JWS comes from outside: all of it is the sender's until verified.
//
// JOSE libraries accept several spellings of one signature (spare base64 bits, white space, the twin with a high s), and
// the hash of a JWS is an identity only when there is one. So the text's canonical form is checked first, then the header
// against a closed set of names, then the signature. Keys never come out of the token: `jwk`, `jku`, `x5u` and `x5c` are
// refused, as are `crit` and `b64`, whose presence changes what the rest means.
import { constants, createHash, type KeyObject, sign, verify } from 'node:crypto';
import { base64url, fromBase64url } from '#schemas/base64url.ts';
import { type JsonObject, type JsonValue, parseJsonObject } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import {
  DEFAULT_SIGNATURE_ALGORITHMS,
  isSignatureAlgorithm,
  RSA_BITS,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  type SignatureRow,
} from './algorithms.ts';
import { derToLowRaw, isCanonicalRaw, rawToDer } from './ecdsa-signature.ts';

export interface JwsKey {
  alg: SignatureAlgorithm;
  /** The private key. */
  key: KeyObject;
}

/** A public key, with the one algorithm its owner declared for it if there is such a declaration. */
export type VerificationKey = KeyObject | { key: KeyObject; alg: SignatureAlgorithm | null };

export interface JwsPolicy {
  /** Rows of the table that are accepted. Default ES256 and EdDSA. */
  algorithms?: readonly SignatureAlgorithm[];
  /** The `typ` demanded, exactly as written; null accepts any and none, for foreign tokens. */
  typ: string | null;
  /** The only header names that may occur. Default alg, typ, kid, iat, x5t#S256. */
  headers?: readonly string[];
  /** Largest JWS in characters. Default 64 KiB. */
  maxBytes?: number;
  /** Accept ECDSA signatures with a high s, which have a twin: only for tokens of signers outside Accord. */
  allowHighS?: boolean;
}

export type JwsHeader = JsonObject & { alg: SignatureAlgorithm };

declare const parsedHere: unique symbol;

/** A JWS in canonical form that meets its policy and is not yet verified. Only `parseCompact` makes one. */
export interface ParsedJws {
  readonly header: JwsHeader;
  readonly payload: Buffer;
  readonly signature: Buffer;
  readonly signingInput: Buffer;
  readonly [parsedHere]: true;
}

const DEFAULT_HEADERS: readonly string[] = ['alg', 'typ', 'kid', 'iat', 'x5t#S256'];
const DEFAULT_MAX_BYTES = 64 * 1024;
/** Never accepted and never made, whatever a policy lists. */
const FORBIDDEN_HEADERS: readonly string[] = ['crit', 'b64', 'jwk', 'jku', 'x5u', 'x5c', 'x5t', 'zip'];

/**
 * Signs `payload`. The protected header is `alg` followed by `header`'s members in their order.
 * @returns the canonical compact JWS, ASCII; ECDSA signatures with low s
 * @throws TypeError when the key does not fit its algorithm or the header names a forbidden member
 */
export function signCompact(
  payload: Uint8Array,
  header: { typ: string; [name: string]: JsonValue },
  key: JwsKey,
): string {
  const row = SIGNATURE_ALGORITHMS[key.alg];
  if (row === undefined || key.key.type !== 'private' || !fits(key.key, row)) {
    throw new TypeError(`not a private key for ${key.alg}`);
  }
  for (const name of Object.keys(header)) {
    if (name === 'alg' || FORBIDDEN_HEADERS.includes(name)) throw new TypeError(`header ${name} is not the caller's`);
  }
  const text = JSON.stringify({ alg: key.alg, ...header });
  const signingInput = `${base64url(Buffer.from(text))}.${base64url(payload)}`;
  return `${signingInput}.${base64url(makeSignature(Buffer.from(signingInput, 'latin1'), key.key, row))}`;
}

/**
 * Checks form and header, in the order size, three parts, canonical base64url, strict JSON, closed header, algorithm,
 * `typ`, signature length and range. Proves nothing about who signed.
 * @throws JWS_MALFORMED, JWS_HEADER_REFUSED, JWS_ALGORITHM_REFUSED
 */
export function parseCompact(jws: string, policy: JwsPolicy): ParsedJws {
  if (jws.length > (policy.maxBytes ?? DEFAULT_MAX_BYTES)) throw new AccordError('JWS_MALFORMED', 'too large');
  const parts = jws.split('.', 4);
  const [first, second, third] = parts;
  if (parts.length !== 3 || first === undefined || second === undefined || third === undefined) {
    throw new AccordError('JWS_MALFORMED', 'not three parts');
  }
  const headerBytes = decode(first, 'header');
  const payload = decode(second, 'payload');
  const signature = decode(third, 'signature');
  const header = readHeader(headerBytes, policy);
  const row = SIGNATURE_ALGORITHMS[header.alg];
  const [min, max] = row.signatureBytes;
  if (signature.length < min || signature.length > max) throw new AccordError('JWS_MALFORMED', 'signature length');
  if (row.namedCurve !== null && !isCanonicalRaw(signature, row.namedCurve, policy.allowHighS)) {
    throw new AccordError('JWS_MALFORMED', 'signature is not canonical');
  }
  const signingInput = Buffer.from(`${first}.${second}`, 'latin1');
  return { header, payload, signature, signingInput } as ParsedJws;
}

/**
 * True when the signature was made with the private half of `key`.
 * @throws JWS_ALGORITHM_REFUSED when the key is of another kind, or declared for another algorithm, than the header's
 *   `alg`; TypeError when it is not public
 */
export function verifyParsed(parsed: ParsedJws, verificationKey: VerificationKey): boolean {
  const declared = 'alg' in verificationKey ? verificationKey : { key: verificationKey, alg: null };
  const { key } = declared;
  if (key.type !== 'public') throw new TypeError('signatures are verified with public keys');
  const { alg } = parsed.header;
  const row = SIGNATURE_ALGORITHMS[alg];
  if (!fits(key, row) || (declared.alg !== null && declared.alg !== alg)) {
    throw new AccordError('JWS_ALGORITHM_REFUSED', `the key is not for ${alg}`);
  }
  return checkSignature(parsed, key, row);
}

/**
 * Parses and verifies in one call. `key` may be a function that finds the registered key for a header it has not yet
 * any reason to believe; it returns undefined when there is none.
 * @throws JWS_MALFORMED, JWS_HEADER_REFUSED, JWS_ALGORITHM_REFUSED, JWS_SIGNATURE_WRONG
 */
export function verifyCompact(
  jws: string,
  key: VerificationKey | ((header: JwsHeader) => VerificationKey | undefined),
  policy: JwsPolicy,
): { header: JwsHeader; payload: Buffer } {
  const parsed = parseCompact(jws, policy);
  const found = typeof key === 'function' ? key(parsed.header) : key;
  if (found === undefined) throw new AccordError('JWS_SIGNATURE_WRONG', 'no key is known for this header');
  if (!verifyParsed(parsed, found)) throw new AccordError('JWS_SIGNATURE_WRONG');
  return { header: parsed.header, payload: parsed.payload };
}

/**
 * The signature alone, for a JWS whose header and serialization are made elsewhere (jades-form.ts); ECDSA with low s.
 * @throws TypeError when the key does not fit its algorithm
 */
export function signInput(signingInput: Uint8Array, { alg, key }: JwsKey): Buffer {
  const row = SIGNATURE_ALGORITHMS[alg];
  if (row === undefined || key.type !== 'private' || !fits(key, row)) {
    throw new TypeError(`not a private key for ${alg}`);
  }
  return makeSignature(Buffer.from(signingInput), key, row);
}

/** Whether `signature` is the canonical one of `key` over `signingInput`; false also for a key of another kind. */
export function verifyInput(
  signingInput: Uint8Array,
  signature: Buffer,
  alg: SignatureAlgorithm,
  key: KeyObject,
): boolean {
  const row = SIGNATURE_ALGORITHMS[alg];
  const [min, max] = row.signatureBytes;
  if (!fits(key, row) || signature.length < min || signature.length > max) return false;
  if (row.namedCurve !== null && !isCanonicalRaw(signature, row.namedCurve)) return false;
  return checkSignature({ signature, signingInput: Buffer.from(signingInput) }, key, row);
}

/** SHA-256 of a JWS's text, base64url: its identity, if `parseCompact` accepted exactly this text without `allowHighS`. */
export function jwsHash(jws: string): string {
  return createHash('sha256').update(jws, 'latin1').digest('base64url');
}

function decode(part: string, name: string): Buffer {
  try {
    return fromBase64url(part);
  } catch (error) {
    throw new AccordError('JWS_MALFORMED', `${name} is not canonical base64url`, { cause: error });
  }
}

function readHeader(bytes: Buffer, policy: JwsPolicy): JwsHeader {
  const header = strictHeader(bytes);
  const allowed = policy.headers ?? DEFAULT_HEADERS;
  for (const name of Object.keys(header)) {
    if (!allowed.includes(name) || FORBIDDEN_HEADERS.includes(name)) {
      throw new AccordError('JWS_HEADER_REFUSED', 'a header member is not allowed');
    }
  }
  const { alg } = header;
  if (!isSignatureAlgorithm(alg) || !(policy.algorithms ?? DEFAULT_SIGNATURE_ALGORITHMS).includes(alg)) {
    throw new AccordError('JWS_ALGORITHM_REFUSED', 'not among the algorithms enabled here');
  }
  if (policy.typ !== null && header['typ'] !== policy.typ) {
    throw new AccordError('JWS_HEADER_REFUSED', `typ is not ${policy.typ}`);
  }
  return { ...header, alg };
}

function strictHeader(bytes: Buffer): JsonObject {
  try {
    return parseJsonObject(bytes, { maxBytes: 4096, maxDepth: 4, maxValues: 64 });
  } catch (error) {
    throw new AccordError('JWS_MALFORMED', 'the header is not strict JSON', { cause: error });
  }
}

function fits(key: KeyObject, row: SignatureRow): boolean {
  if (key.asymmetricKeyType !== row.keyType) return false;
  const details = key.asymmetricKeyDetails;
  if (row.keyType === 'ec') return details?.namedCurve === row.namedCurve;
  if (row.keyType === 'rsa') {
    const bits = details?.modulusLength ?? 0;
    return bits >= RSA_BITS.min && bits <= RSA_BITS.max && (details?.publicExponent ?? 0n) >= 3n;
  }
  return true;
}

// A bare KeyObject is the fast path of node:crypto; any options object beside the key is the slow one. RSA needs it.
function rsaOptions(key: KeyObject, row: SignatureRow) {
  return row.padding === 'pss'
    ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { key, padding: constants.RSA_PKCS1_PADDING };
}

function makeSignature(signingInput: Buffer, key: KeyObject, row: SignatureRow): Buffer {
  if (row.namedCurve !== null) return derToLowRaw(sign(row.hash, signingInput, key), row.namedCurve);
  if (row.padding !== null) return sign(row.hash, signingInput, rsaOptions(key, row));
  return sign(null, signingInput, key);
}

function checkSignature(
  { signature, signingInput }: Pick<ParsedJws, 'signature' | 'signingInput'>,
  key: KeyObject,
  row: SignatureRow,
): boolean {
  if (row.namedCurve !== null) return verify(row.hash, signingInput, key, rawToDer(signature, row.namedCurve));
  if (row.padding === null) return verify(null, signingInput, key, signature);
  return verify(row.hash, signingInput, rsaOptions(key, row), signature);
}
