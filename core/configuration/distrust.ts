// The distrust list (DESIGN: global configuration): statements "this server, or this key, is no longer trusted", each a
// compact JWS of its own, in the order in which they were handed in. A list only grows; its version is the number of its
// statements, so a list is nothing but its statements and every prefix of it is an earlier list.
//
// One signature suffices, so what one key can do is bounded, by rules that the registry and every client apply alike and
// that need no clock, which a thief would set as he likes:
// - A content, signed by two approvers, confirms the list as of some version and may lift single statements of it.
// - Of what no content confirmed yet, each approver's first few count (`distrustPerApprover`), and not at all what names
//   a certification authority, or what an approver said whom the newest root no longer names.
// - An owner's statement is signed with a key of the owner. It counts for that very key always, for the server and its
//   other keys as long as the key is registered as that server's signing key: registering new keys, which two approvers
//   sign, brings the server back.
//
// Whoever serves the files controls their bytes; the freshness names the hash of the newest list.
import type { KeyObject } from 'node:crypto';
import { type JwsHeader, verifyCompact } from '#certs/jws.ts';
import { exportSpki, importPublicJwk, thumbprint } from '#certs/keys.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import {
  CONFIGURATION_TYP,
  type ContentConfiguration,
  DistrustList,
  DistrustStatement,
  MAX_SIGNED_FILE_BYTES,
} from '#schemas/configuration.ts';
import { type JsonValue, parseJson } from '#schemas/json.ts';
import { MAX_DISTRUST_STATEMENT_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { compile } from '#schemas/validate.ts';
import { fileHash, keysOf, readCanonical, refuseOlder, type VerifiedRoot } from './verify.ts';

export interface DistrustEntry {
  /** The exact statement, and its SHA-256: what a content names to lift it. */
  jws: string;
  hash: string;
  statement: DistrustStatement;
  /** kid of the key that signed. */
  by: string;
  /** SHA-256 (base64url) of the owner's public key (SPKI); null for an approver's statement. */
  ownKey: string | null;
  /** False when no approver whom the root names signed it: only a content's confirmation can make it count. */
  proven: boolean;
}

export interface VerifiedDistrust {
  instance: string;
  version: number;
  entries: readonly DistrustEntry[];
  file: Buffer;
  hash: string;
}

const readList = compile(DistrustList, 'CONFIGURATION_INVALID');
const readStatement = compile(DistrustStatement, 'CONFIGURATION_INVALID');

/** The one file of these statements, `distrust.N.jws` with N their number. */
export function distrustFile(instance: string, entries: readonly string[]): Buffer {
  const list: DistrustList = { v: 1, instance, version: entries.length, entries: [...entries] };
  return Buffer.from(`${canonicalJson(list as unknown as JsonValue)}\n`);
}

/**
 * Verifies a whole list. Statements that stand in `previous` were verified before and are not verified again when the
 * root is the same.
 * @throws CONFIGURATION_INVALID, CONFIGURATION_INSTANCE, CONFIGURATION_ROLLBACK (shorter, or a statement is gone),
 *   CONFIGURATION_FORKED (another list of the same length), JWS_*
 */
export function verifyDistrust(file: Buffer, root: VerifiedRoot, previous?: VerifiedDistrust): VerifiedDistrust {
  const { instance } = root.document;
  const list = readList(parseJson(file, { maxBytes: MAX_SIGNED_FILE_BYTES }));
  if (list.instance !== instance) throw new AccordError('CONFIGURATION_INSTANCE', 'distrust');
  if (list.version !== list.entries.length || !distrustFile(instance, list.entries).equals(file)) {
    throw new AccordError('CONFIGURATION_INVALID', 'the distrust list is not in its one form');
  }
  const hash = fileHash(file);
  refuseOlder({ version: list.version, hash }, previous, 'distrust');
  const known = previous?.entries ?? [];
  if (known.some(({ jws }, at) => jws !== list.entries[at])) {
    throw new AccordError('CONFIGURATION_ROLLBACK', 'a statement of the distrust list is gone');
  }
  const added = list.entries.slice(known.length).map((jws) => verifyDistrustStatement(jws, root));
  return { instance, version: list.version, entries: [...known, ...added], file, hash };
}

/** One statement. @throws as `verifyDistrust` */
function verifyDistrustStatement(jws: string, root: VerifiedRoot): DistrustEntry {
  const policy = {
    typ: CONFIGURATION_TYP.distrust,
    headers: ['alg', 'typ', 'kid'],
    maxBytes: MAX_DISTRUST_STATEMENT_BYTES,
  };
  const approver = keysOf(root.document, root.document.roles.content.kids);
  const statement = readStatement(readCanonical(unverifiedPayload(jws)));
  const owner = statement.key === undefined ? undefined : importPublicJwk(statement.key, 'sig');
  let by = '';
  let proven = true;
  const keyOf = (header: JwsHeader): KeyObject | undefined => {
    by = String(header['kid']);
    return owner ? (thumbprint(owner) === by ? owner : undefined) : approver(by);
  };
  try {
    verifyCompact(jws, keyOf, policy);
  } catch (error) {
    // A removed approver's key is in no root at hand. The statement is kept, uncounted: a content may have confirmed it,
    // and a list must not become unreadable by a change of root.
    if (owner || !isAccordError(error, 'JWS_SIGNATURE_WRONG') || !/^[A-Za-z0-9_-]{43}$/.test(by)) throw error;
    proven = false;
  }
  if (statement.instance !== root.document.instance) throw new AccordError('CONFIGURATION_INSTANCE', 'distrust');
  const ownKey = owner ? fileHash(exportSpki(owner)) : null;
  return { jws, hash: fileHash(Buffer.from(jws, 'latin1')), statement, by, ownKey, proven };
}

function unverifiedPayload(jws: string): Buffer {
  if (jws.length > MAX_DISTRUST_STATEMENT_BYTES) throw new AccordError('JWS_MALFORMED', 'too large');
  return Buffer.from(jws.split('.', 4)[1] ?? '', 'base64url');
}

/**
 * That the list is at least the one the content confirms, and that the content lifts only what it confirms.
 * @throws CONFIGURATION_ROLLBACK, CONFIGURATION_FORKED, CONFIGURATION_INVALID
 */
export function requireConfirmed(
  { instance, distrust: confirmed, distrustLifted }: ContentConfiguration,
  list: VerifiedDistrust | undefined,
): void {
  const entries = list?.entries.slice(0, confirmed?.version ?? 0) ?? [];
  if (confirmed && entries.length < confirmed.version) {
    throw new AccordError('CONFIGURATION_ROLLBACK', `distrust ${list?.version ?? 0}, older than the content's`);
  }
  const texts = entries.map(({ jws }) => jws);
  if (confirmed && fileHash(distrustFile(instance, texts)) !== confirmed.hash) {
    throw new AccordError('CONFIGURATION_FORKED', 'the content confirms another distrust list');
  }
  const hashes = new Set(entries.map(({ hash }) => hash));
  const strange = distrustLifted.find((hash) => !hashes.has(hash));
  if (strange !== undefined) throw new AccordError('CONFIGURATION_INVALID', `lifts ${strange}, which is not confirmed`);
}
