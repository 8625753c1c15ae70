// One payload signed by several persons: JWS general JSON serialisation (RFC 7515 section 7.2.1) narrowed to one form.
// Libraries that read this form accept a file when any one signature verifies, and take members from headers that nobody
// signed; here there are no unprotected headers, every signature is put back into its compact form and verified by our
// own code, and one that is unknown or wrong refuses the whole file. How many are needed is the caller's rule: a distinct
// signature is a distinct key, and who holds which key is written in the root.
//
// The file comes from a web server that anyone may run.
import type { KeyObject } from 'node:crypto';
import { base64url } from '#schemas/base64url.ts';
import { isJsonObject, parseJsonObject } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { type JwsKey, type ParsedJws, parseCompact, signCompact, verifyParsed } from './jws.ts';
import { thumbprint } from './keys.ts';

/** One signature beside its key's name. `protected` and `signature` are canonical base64url. */
export interface DetachedSignature {
  kid: string;
  protected: string;
  signature: string;
}

export interface SignedFile {
  payload: Buffer;
  /** One per key, ascending by kid. */
  signatures: readonly (DetachedSignature & { parsed: ParsedJws })[];
}

const MAX_SIGNATURES = 64;

/** Signs `payload` as one of several signers; `typ` is the kind of file. */
export function signPayload(payload: Uint8Array, typ: string, key: JwsKey): DetachedSignature {
  const kid = thumbprint(key.key);
  const [head = '', , signature = ''] = signCompact(payload, { typ, kid }, key).split('.');
  return { kid, protected: head, signature };
}

/** The file's bytes: members in fixed order, signatures ascending by kid, one line feed at the end. */
export function assembleSigned(payload: Uint8Array, signatures: readonly DetachedSignature[]): Buffer {
  const sorted = signatures.toSorted((a, b) => (a.kid < b.kid ? -1 : 1));
  const listed = sorted.map(({ protected: head, signature }) => ({ protected: head, signature }));
  return Buffer.from(`${JSON.stringify({ payload: base64url(payload), signatures: listed })}\n`);
}

/**
 * Reads a file in its one canonical form; verifies nothing.
 * @throws SIGNED_FILE_MALFORMED (form, order, two signatures of one key, an unprotected header), JWS_* (one signature)
 */
export function parseSigned(file: Uint8Array, expected: { typ: string; maxBytes: number }): SignedFile {
  const document = readDocument(file, expected.maxBytes);
  const payload = document['payload'];
  const listed = document['signatures'];
  if (typeof payload !== 'string' || !Array.isArray(listed) || listed.length === 0 || listed.length > MAX_SIGNATURES) {
    throw new AccordError('SIGNED_FILE_MALFORMED', 'payload or signatures');
  }
  const signatures = listed.map((each) => {
    if (!isJsonObject(each) || typeof each['protected'] !== 'string' || typeof each['signature'] !== 'string') {
      throw new AccordError('SIGNED_FILE_MALFORMED', 'a signature has other members than protected and signature');
    }
    return readSignature(payload, each['protected'], each['signature'], expected);
  });
  const bytes = signatures[0]?.parsed.payload;
  // The exact re-serialisation refuses white space, further members, another order and signatures out of order.
  if (bytes === undefined || !assembleSigned(bytes, signatures).equals(file)) {
    throw new AccordError('SIGNED_FILE_MALFORMED', 'not the canonical form');
  }
  if (new Set(signatures.map(({ kid }) => kid)).size !== signatures.length) {
    throw new AccordError('SIGNED_FILE_MALFORMED', 'two signatures of one key');
  }
  return { payload: bytes, signatures };
}

/**
 * Verifies every signature and returns the kids.
 * @param keyOf the public key with this kid, among those that may sign this file at all
 * @throws SIGNED_FILE_SIGNATURE_WRONG when one is by an unknown key or does not verify
 */
export function verifySigned(file: SignedFile, keyOf: (kid: string) => KeyObject | undefined): string[] {
  for (const { kid, parsed } of file.signatures) {
    const key = keyOf(kid);
    if (key === undefined) throw new AccordError('SIGNED_FILE_SIGNATURE_WRONG', `${kid} may not sign this`);
    if (!verifyParsed(parsed, key)) throw new AccordError('SIGNED_FILE_SIGNATURE_WRONG', kid);
  }
  return file.signatures.map(({ kid }) => kid);
}

/** Reads one signature over `payload` (bytes) that arrived alone. @throws JWS_*, SIGNED_FILE_MALFORMED */
export function parseSignature(payload: Uint8Array, one: DetachedSignature, typ: string): SignedFile {
  const maxBytes = payload.length * 2 + 4096;
  const read = readSignature(base64url(payload), one.protected, one.signature, { typ, maxBytes });
  if (read.kid !== one.kid) throw new AccordError('SIGNED_FILE_MALFORMED', 'kid differs from the protected header');
  return { payload: Buffer.from(payload), signatures: [read] };
}

function readDocument(file: Uint8Array, maxBytes: number) {
  try {
    return parseJsonObject(file, { maxBytes, maxDepth: 4, maxValues: 4 * MAX_SIGNATURES });
  } catch (error) {
    throw new AccordError('SIGNED_FILE_MALFORMED', 'not one strict JSON object', { cause: error });
  }
}

function readSignature(payload: string, head: string, signature: string, expected: { typ: string; maxBytes: number }) {
  const parsed = parseCompact(`${head}.${payload}.${signature}`, {
    typ: expected.typ,
    headers: ['alg', 'typ', 'kid'],
    maxBytes: expected.maxBytes,
  });
  const { kid } = parsed.header;
  if (typeof kid !== 'string') throw new AccordError('SIGNED_FILE_MALFORMED', 'no kid');
  return { kid, protected: head, signature, parsed };
}
