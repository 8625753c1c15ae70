// The rules by which a configuration is believed, as pure functions over bytes: the chain of roots, content, freshness,
// distrust. The client, `accord config verify`, the approvers and the registry itself call the same ones. Whoever serves
// the files controls their bytes; only the anchor (or a root verified before) is trusted. Time is an argument.
import { hash as digest, type KeyObject } from 'node:crypto';
import { verifyCompact } from '#certs/jws.ts';
import { importPublicJwk, thumbprint } from '#certs/keys.ts';
import { parseSigned, type SignedFile, verifySigned } from '#certs/multi-signature.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import {
  CONFIGURATION_TYP,
  CONTENT_LIFETIME_MS,
  type ConfigurationAnchor,
  ContentConfiguration,
  FRESHNESS_LIFETIME_MS,
  FreshnessStatement,
  MAX_SIGNED_FILE_BYTES,
  RootConfiguration,
} from '#schemas/configuration.ts';
import { parseJson } from '#schemas/json.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { TSchema } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';

/** A document whose signatures and rules held, with its exact file and its hash. */
interface Verified<T> {
  document: T;
  file: Buffer;
  hash: string;
}
export type VerifiedRoot = Verified<RootConfiguration>;
export type VerifiedContent = Verified<ContentConfiguration>;
export type VerifiedFreshness = Verified<FreshnessStatement>;

interface VersionAndHash {
  version: number;
  hash: string;
}

const readRoot = compile(RootConfiguration, 'CONFIGURATION_INVALID');
const readContent = compile(ContentConfiguration, 'CONFIGURATION_INVALID');
const readFreshness = compile(FreshnessStatement, 'CONFIGURATION_INVALID');

/** base64url SHA-256: the name of a file's exact bytes. */
export function fileHash(bytes: Uint8Array): string {
  return digest('sha256', bytes, 'base64url');
}

/**
 * The root that the anchor names: its exact bytes, and its own root threshold (so that an anchor cannot name a file that
 * nobody could have signed).
 * @throws CONFIGURATION_INSTANCE, CONFIGURATION_FORKED, SIGNED_FILE_*, JWS_*, CONFIGURATION_THRESHOLD, CONFIGURATION_INVALID
 */
export function verifyAnchoredRoot(file: Buffer, anchor: ConfigurationAnchor): VerifiedRoot {
  const hash = fileHash(file);
  if (hash !== anchor.root.hash) throw new AccordError('CONFIGURATION_FORKED', 'the root is not the one in the anchor');
  const signed = parseSigned(file, { typ: CONFIGURATION_TYP.root, maxBytes: MAX_SIGNED_FILE_BYTES });
  const document = checkedRoot(readPayload(signed, readRoot));
  if (document.instance !== anchor.instance) throw new AccordError('CONFIGURATION_INSTANCE', 'root');
  if (document.version !== anchor.root.version) throw new AccordError('CONFIGURATION_INVALID', 'version of the root');
  if (canonicalJson(anchor.rootKeys) !== canonicalJson(rootKeysOf(document))) {
    throw new AccordError('CONFIGURATION_INVALID', 'the anchor lists other root keys than the root');
  }
  requireRole(document, 'root', verifySigned(signed, keysOf(document, document.roles.root.kids)));
  return { document, file, hash };
}

/**
 * Root N+1: the root thresholds of N and of N+1 both hold, and it cites N's hash. Roots between the anchor and the newest
 * may have expired; whether the newest has is asked when it is used.
 */
export function verifyNextRoot(file: Buffer, current: VerifiedRoot): VerifiedRoot {
  const signed = parseSigned(file, { typ: CONFIGURATION_TYP.root, maxBytes: MAX_SIGNED_FILE_BYTES });
  const document = checkedRoot(readPayload(signed, readRoot));
  if (document.instance !== current.document.instance) throw new AccordError('CONFIGURATION_INSTANCE', 'root');
  if (document.version !== current.document.version + 1) throw new AccordError('CONFIGURATION_INVALID', 'root version');
  if (document.previousHash !== current.hash) throw new AccordError('CONFIGURATION_FORKED', 'previous root');
  const old = keysOf(current.document, current.document.roles.root.kids);
  const next = keysOf(document, document.roles.root.kids);
  const kids = verifySigned(signed, (kid) => old(kid) ?? next(kid));
  requireRole(current.document, 'root', kids);
  requireRole(document, 'root', kids);
  return { document, file, hash: fileHash(file) };
}

/**
 * Content that is new: as `verifyStoredContent`, and within its lifetime and its root's.
 * @throws CONFIGURATION_EXPIRED and as below
 */
export function verifyContent(
  file: Buffer,
  root: VerifiedRoot,
  nowMs: number,
  previous?: VersionAndHash,
): VerifiedContent {
  const content = verifyStoredContent(file, root, previous);
  requireTime(content.document.issuedAtMs, content.document.expiresAtMs, nowMs, 'content');
  if (root.document.expiresAtMs <= nowMs) throw new AccordError('CONFIGURATION_EXPIRED', 'root');
  return content;
}

/**
 * Content: two different approvers (distinct keys and persons) whom this root names. It may have expired since it was
 * stored; the client's `freshness()` judges that.
 * @param previous the newest content verified before: an older one is a rollback, another one of its version a fork
 */
export function verifyStoredContent(file: Buffer, root: VerifiedRoot, previous?: VersionAndHash): VerifiedContent {
  const hash = fileHash(file);
  const signed = parseSigned(file, { typ: CONFIGURATION_TYP.content, maxBytes: MAX_SIGNED_FILE_BYTES });
  const document = readPayload(signed, readContent);
  if (document.instance !== root.document.instance) throw new AccordError('CONFIGURATION_INSTANCE', 'content');
  const kids = verifySigned(signed, keysOf(root.document, root.document.roles.content.kids));
  requireRole(root.document, 'content', kids);
  checkContentRules(document, root);
  refuseOlder({ version: document.version, hash }, previous, 'content');
  if (previous && document.previous?.version === previous.version && document.previous.hash !== previous.hash) {
    throw new AccordError('CONFIGURATION_FORKED', `content ${previous.version}, as its successor cites it`);
  }
  return { document, file, hash };
}

/** What a content must say of itself to be signed or believed under `root`; approvers ask before they sign. */
export function checkContentRules(document: ContentConfiguration, root: VerifiedRoot): void {
  const { root: cited, previous, issuedAtMs, expiresAtMs, version } = document;
  if (cited.version > root.document.version) throw new AccordError('CONFIGURATION_INVALID', 'cites a later root');
  if (cited.version === root.document.version && cited.hash !== root.hash) {
    throw new AccordError('CONFIGURATION_FORKED', 'cites another root of this version');
  }
  if (previous && previous.version >= version) throw new AccordError('CONFIGURATION_INVALID', 'cites a later content');
  if (expiresAtMs <= issuedAtMs || expiresAtMs - issuedAtMs > CONTENT_LIFETIME_MS) {
    throw new AccordError('CONFIGURATION_INVALID', 'the content lives longer than 7 days');
  }
}

/**
 * Freshness: signed by the online key that the root names. It may have expired (then it says how old the news is), but
 * never goes back behind one that was seen before, in any of its numbers.
 */
export function verifyFreshness(
  file: Buffer,
  root: VerifiedRoot,
  nowMs: number,
  newest?: FreshnessStatement,
): VerifiedFreshness {
  const keyOf = keysOf(root.document, root.document.roles.freshness.kids);
  const { payload } = verifyCompact(file.toString('latin1'), (header) => keyOf(String(header['kid'])), {
    typ: CONFIGURATION_TYP.freshness,
    headers: ['alg', 'typ', 'kid'],
  });
  const document = readFreshness(readCanonical(payload));
  const { instance, signedAtMs, expiresAtMs } = document;
  if (instance !== root.document.instance) throw new AccordError('CONFIGURATION_INSTANCE', 'freshness');
  if (expiresAtMs <= signedAtMs || expiresAtMs - signedAtMs > FRESHNESS_LIFETIME_MS) {
    throw new AccordError('CONFIGURATION_INVALID', 'the freshness lives longer than 10 minutes');
  }
  if (signedAtMs > nowMs + CLOCK_WINDOW_MS) throw new AccordError('CONFIGURATION_INVALID', 'freshness from the future');
  if (newest) {
    if (signedAtMs < newest.signedAtMs) throw new AccordError('CONFIGURATION_ROLLBACK', 'freshness');
    refuseOlder(document.root, newest.root, 'root');
    refuseOlder(document.content, newest.content, 'content');
    if (newest.distrust) refuseOlder(document.distrust ?? { version: 0, hash: '' }, newest.distrust, 'distrust');
  }
  return { document, file, hash: fileHash(file) };
}

/** What a freshness says before anything of it is verified: only to know which roots to fetch. @throws CONFIGURATION_INVALID */
export function readUnverifiedFreshness(file: Buffer): FreshnessStatement {
  const middle = file.toString('latin1').split('.', 4)[1] ?? '';
  return readFreshness(readCanonical(Buffer.from(middle, 'base64url')));
}

/** @throws CONFIGURATION_ROLLBACK, CONFIGURATION_FORKED */
export function refuseOlder(offered: VersionAndHash, newest: VersionAndHash | undefined, what: string): void {
  if (!newest) return;
  if (offered.version < newest.version) throw new AccordError('CONFIGURATION_ROLLBACK', `${what} ${offered.version}`);
  if (offered.version === newest.version && offered.hash !== newest.hash) {
    throw new AccordError('CONFIGURATION_FORKED', `${what} ${offered.version}`);
  }
}

/** @throws CONFIGURATION_EXPIRED, CONFIGURATION_INVALID when it is from the future */
function requireTime(issuedAtMs: number, expiresAtMs: number, nowMs: number, what: string): void {
  if (issuedAtMs > nowMs + CLOCK_WINDOW_MS) throw new AccordError('CONFIGURATION_INVALID', `${what} from the future`);
  if (expiresAtMs <= nowMs) throw new AccordError('CONFIGURATION_EXPIRED', what);
}

/** The root keys with their holders, as an anchor lists them. */
export function rootKeysOf(root: RootConfiguration): ConfigurationAnchor['rootKeys'] {
  return Object.fromEntries(
    root.roles.root.kids.flatMap((kid) => {
      const key = root.keys[kid];
      return key ? [[kid, key] as const] : [];
    }),
  );
}

/** Rules inside one root: keys carry their thumbprints, roles can be met, online and offline keys are different ones. */
export function checkedRoot(root: RootConfiguration): RootConfiguration {
  for (const [kid, { jwk }] of Object.entries(root.keys)) {
    if (thumbprint(importPublicJwk(jwk, 'sig')) !== kid) throw new AccordError('CONFIGURATION_INVALID', `kid ${kid}`);
  }
  for (const role of ['root', 'content', 'freshness'] as const) {
    const { kids } = root.roles[role];
    if (kids.some((kid) => root.keys[kid] === undefined)) throw new AccordError('CONFIGURATION_INVALID', `${role} key`);
    if (role !== 'freshness' && personsOf(root, kids).size < root.roles[role].threshold) {
      throw new AccordError('CONFIGURATION_INVALID', `fewer persons than the threshold of ${role}`);
    }
  }
  const offline = new Set([...root.roles.root.kids, ...root.roles.content.kids]);
  if (root.roles.freshness.kids.some((kid) => offline.has(kid))) {
    throw new AccordError('CONFIGURATION_INVALID', 'the online key may not also approve');
  }
  return root;
}

/** A kid is a thumbprint, so distinct kids are distinct keys; each key has one holder, so persons bound keys from below. */
function requireRole(root: RootConfiguration, role: 'root' | 'content', signed: readonly string[]): void {
  const { threshold, kids } = root.roles[role];
  const counted = signed.filter((kid) => kids.includes(kid));
  const persons = personsOf(root, counted).size;
  if (new Set(counted).size < threshold || persons < threshold) {
    throw new AccordError('CONFIGURATION_THRESHOLD', `${role}: ${persons} of ${threshold} persons signed`);
  }
}

function personsOf(root: RootConfiguration, kids: readonly string[]): Set<string> {
  return new Set(kids.flatMap((kid) => root.keys[kid]?.person.trim().toLowerCase() ?? []));
}

/** Finds the public key of a kid among `kids`. */
export function keysOf(root: RootConfiguration, kids: readonly string[]): (kid: string) => KeyObject | undefined {
  return (kid) => {
    const key = kids.includes(kid) ? root.keys[kid] : undefined;
    return key && importPublicJwk(key.jwk, 'sig');
  };
}

function readPayload<T extends TSchema['static']>(signed: SignedFile, read: (value: unknown) => T): T {
  return read(readCanonical(signed.payload));
}

/** Strict JSON in canonical spelling, so that a payload's hash depends on what it says alone. */
export function readCanonical(payload: Buffer): unknown {
  const value = parseJson(payload, { maxBytes: MAX_SIGNED_FILE_BYTES });
  if (canonicalSpelling(value) !== payload.toString('utf8')) {
    throw new AccordError('CONFIGURATION_INVALID', 'the payload is not canonical JSON');
  }
  return value;
}

function canonicalSpelling(value: Parameters<typeof canonicalJson>[0]): string {
  try {
    return canonicalJson(value);
  } catch (error) {
    throw new AccordError('CONFIGURATION_INVALID', 'a number is not an integer', { cause: error });
  }
}
