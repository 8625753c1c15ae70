// Batch signatures (DESIGN: what is signed): one compact JWS over the RFC 9162 root of 1…256 statements, and for each
// statement its index and audit path, so that a statement leaves with a proof of its own. The peer controls all of it.
import type { KeyObject } from 'node:crypto';
import { base64url, fromBase64url } from '#schemas/base64url.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_BATCH_PATH, MAX_BATCH_STATEMENTS, MAX_SIGNATURE_BYTES, MAX_STATEMENT_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { SignatureAlgorithm } from './algorithms.ts';
import { type ParsedJws, parseCompact, signCompact, verifyParsed } from './jws.ts';
import { InclusionChecker, nodeHash, sha256Of, verifyInclusion } from './merkle.ts';

const BATCH_TYP = 'accord-batch+jws';
/** What stands before a statement's bytes in its leaf. */
export const LEAF_LABEL = Buffer.concat([Buffer.from([0]), Buffer.from('accord-statement/1'), Buffer.from([0])]);
const POLICY = {
  algorithms: ['ES256', 'EdDSA'] as readonly SignatureAlgorithm[],
  typ: BATCH_TYP,
  headers: ['alg', 'typ', 'x5t#S256', 'iat'],
  maxBytes: MAX_SIGNATURE_BYTES,
};

/** The signature of one statement: the batch's JWS and where the statement stands in it. */
export interface StatementSignature {
  jws: string;
  index: number;
  size: number;
  /** Sibling hashes from the leaf upwards, 32 bytes each. */
  path: Buffer[];
}

/** What the JWS of a batch says, read but not yet verified. */
export interface BatchClaims {
  parsed: ParsedJws;
  /** SHA-256 of the signing certificate, base64url. */
  certificateHash: string;
  issuedAtSeconds: number;
  size: number;
  root: Buffer;
}

// Filled anew by every call; hashing is synchronous.
const labelled = Buffer.alloc(LEAF_LABEL.length + MAX_STATEMENT_BYTES);
LEAF_LABEL.copy(labelled);

/** A statement as a leaf of its batch. One call without a stream object, as in merkle.ts. */
export function statementLeaf(statement: Uint8Array): Buffer {
  const length = LEAF_LABEL.length + statement.length;
  if (length > labelled.length) return sha256Of(Buffer.concat([LEAF_LABEL, statement]));
  labelled.set(statement, LEAF_LABEL.length);
  return sha256Of(labelled.subarray(0, length));
}

/** All levels of the RFC 9162 tree, leaves first. A lone last node is promoted unchanged. */
function levels(leaves: Buffer[]): Buffer[][] {
  const out = [leaves];
  let level = leaves;
  while (level.length > 1) {
    const above: Buffer[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] as Buffer;
      const right = level[i + 1];
      above.push(right === undefined ? left : nodeHash(left, right));
    }
    out.push(above);
    level = above;
  }
  return out;
}

function auditPath(tree: Buffer[][], index: number): Buffer[] {
  const path: Buffer[] = [];
  let at = index;
  for (const level of tree.slice(0, -1)) {
    const sibling = level[at ^ 1];
    if (sibling !== undefined) path.push(sibling);
    at >>= 1;
  }
  return path;
}

/** The path of the statement at `index` among all statements of its batch, leaf upwards. */
export function batchPath(statements: readonly Uint8Array[], index: number): Buffer[] {
  return auditPath(levels(statements.map(statementLeaf)), index);
}

/**
 * Signs 1…256 statements at once.
 * @param certificateHash x5t#S256 of the signing certificate, base64url
 * @param issuedAtSeconds NumericDate, integer seconds
 */
export function signBatch(
  statements: readonly Uint8Array[],
  key: { alg: SignatureAlgorithm; key: KeyObject },
  certificateHash: string,
  issuedAtSeconds: number,
): StatementSignature[] {
  const size = statements.length;
  if (size < 1 || size > MAX_BATCH_STATEMENTS) throw new TypeError(`a batch has 1 to ${MAX_BATCH_STATEMENTS} members`);
  const tree = levels(statements.map(statementLeaf));
  const root = base64url(tree.at(-1)?.[0] as Buffer);
  const payload = Buffer.from(JSON.stringify({ v: 1, size, root }));
  const jws = signCompact(payload, { typ: BATCH_TYP, 'x5t#S256': certificateHash, iat: issuedAtSeconds }, key);
  return statements.map((_, index) => ({ jws, index, size, path: auditPath(tree, index) }));
}

/** Reads a batch JWS in its one canonical form. @throws JWS_MALFORMED, JWS_ALGORITHM_REFUSED, BATCH_MALFORMED */
export function readBatch(jws: string): BatchClaims {
  const parsed = parseCompact(jws, POLICY);
  const certificateHash = parsed.header['x5t#S256'];
  const issuedAtSeconds = parsed.header['iat'];
  const payload = parseJson(parsed.payload, { maxBytes: 256, maxDepth: 1, maxValues: 8 }) as Record<string, unknown>;
  const { size, root } = payload;
  const fits =
    typeof certificateHash === 'string' &&
    Number.isSafeInteger(issuedAtSeconds) &&
    Number.isSafeInteger(size) &&
    typeof root === 'string' &&
    root.length === 43 &&
    JSON.stringify({ v: 1, size, root }) === parsed.payload.toString('utf8');
  if (!fits || (size as number) < 1 || (size as number) > MAX_BATCH_STATEMENTS) {
    throw new AccordError('BATCH_MALFORMED', 'payload or header is not {v, size, root} with x5t#S256 and iat');
  }
  return {
    parsed,
    certificateHash,
    issuedAtSeconds: issuedAtSeconds as number,
    size: size as number,
    root: fromBase64url(root),
  };
}

/** True when `statement` stands at `index` of the batch (RFC 9162 section 2.1.3.2). */
export function standsIn(
  claims: BatchClaims,
  statement: Uint8Array,
  index: number,
  path: readonly Uint8Array[],
): boolean {
  if (path.length > MAX_BATCH_PATH) return false;
  return verifyInclusion(statementLeaf(statement), index, claims.size, path, claims.root);
}

/** `standsIn` for many statements of one batch: what one path has shown is not hashed again for the next. */
export function batchMembers(
  claims: BatchClaims,
): (statement: Uint8Array, index: number, path: readonly Uint8Array[]) => boolean {
  const checker = new InclusionChecker(claims.size, claims.root);
  return (statement, index, path) => batchHolds(checker, statementLeaf(statement), index, path);
}

/** `standsIn` for many leaves of one batch: what one path has shown is not hashed again for the next. */
export function batchHolds(
  checker: InclusionChecker,
  leaf: Uint8Array,
  index: number,
  path: readonly Uint8Array[],
): boolean {
  return path.length <= MAX_BATCH_PATH && checker.verify(leaf, index, path);
}

/** True when the batch was signed by `key`. */
export function verifyBatch(claims: BatchClaims, key: KeyObject): boolean {
  return verifyParsed(claims.parsed, key);
}
