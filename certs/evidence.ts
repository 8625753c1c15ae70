// Evidence of officials as compact JWS (schemas/evidence.ts; DESIGN: who may ask for what, Law and Emergency; RFC 7515):
// made by the asking department's own sign-on, read by the provider's server and, for emergencies, by the registry. Who
// brings a token may have written all of it; nothing in it is believed before a registered key of the department's
// officials is found to have signed it. Whether it fits a request and the hour is for whoever reads it to say.
//
// The form is checked before anything else (jws.ts). A department's sign-on may be anybody's program, so signatures with a
// high s count, which libraries make half of the time: what counts once is a token's `jti` or emergency, never its text.
import { canonicalJson } from '#schemas/canonical-json.ts';
import type { RequestContext } from '#schemas/context.ts';
import {
  type EmergencyEvidence,
  type EmergencyReview,
  EVIDENCE_TYP,
  type EvidencedRequest,
  evidencedText,
  type Official,
  type OfficialEvidence,
  parseEmergencyEvidence,
  parseEmergencyReview,
  parseOfficialEvidence,
} from '#schemas/evidence.ts';
import type { JsonValue } from '#schemas/json.ts';
import { EMERGENCY_LIFETIME_MS, EVIDENCE_LIFETIME_MS, MAX_EVIDENCE_BYTES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { sha256 } from './commitment.ts';
import { type ParsedJws, parseCompact, signCompact } from './jws.ts';
import { type NamedKey, type RegisteredKey, verifiedBy } from './registered-key.ts';

/** A public P-256 key of a department's officials, as the global configuration registers it. */
export type OfficialKey = RegisteredKey;

/** An emergency as two officials signed it; `official` and `iat` are those of the one who opened it. */
export type Emergency = EmergencyEvidence & {
  /** Who opened it and who confirmed it. */
  officials: [Official, Official];
};

/** What a request's own statement says of it. */
interface Stated {
  client: string;
  service: string;
  purpose: string | null;
  basis: EvidencedRequest['basis'];
}

type Kind = keyof typeof EVIDENCE_TYP;

/** Exactly these, in this order. */
const HEADERS: readonly string[] = ['alg', 'typ', 'kid'];

/**
 * What a token for this request is bound to; null without a case number, for which there are no tokens.
 * @param context as it is sent, its path and query as they are forwarded
 * @param body the exact bytes
 */
export function evidencedRequest(stated: Stated, context: RequestContext, body: Uint8Array): EvidencedRequest | null {
  const { client, service, purpose, basis } = stated;
  const { method, path, query, fields, partial, asOf, hiddenUntil, issue } = context;
  if (issue === null) return null;
  const asked = { method, path, query, fields, partial, asOf, hiddenUntil, issue };
  return { v: 1, client, service, purpose, basis, ...asked, body: sha256(body) };
}

/** The `request` of a token for it: SHA-256 of its one spelling, base64url. */
export function evidencedHash(request: EvidencedRequest): string {
  return sha256(evidencedText(request));
}

/**
 * Signs who asks for what; a compact JWS with the header `alg`, `typ`, `kid`.
 * @throws EVIDENCE_MALFORMED when nobody could read it: form, size, times
 */
export function signOfficialEvidence(claims: OfficialEvidence, key: NamedKey): string {
  return signEvidence('official', claims, key, (payload) => checkOfficialTimes(parseOfficialEvidence(payload)));
}

/** Signs one half of an emergency. @throws EVIDENCE_MALFORMED as above */
export function signEmergencyEvidence(claims: EmergencyEvidence, key: NamedKey): string {
  return signEvidence('emergency', claims, key, (payload) => checkEmergencyTimes(parseEmergencyEvidence(payload)));
}

/** Signs what a review found. @throws EVIDENCE_MALFORMED as above */
export function signEmergencyReview(claims: EmergencyReview, key: NamedKey): string {
  return signEvidence('review', claims, key, parseEmergencyReview);
}

/** A token as it stands; says nothing about who made it. */
export type ReadEvidence = { kid: string } & (
  | { kind: 'official'; claims: OfficialEvidence }
  | { kind: 'emergency'; claims: EmergencyEvidence }
  | { kind: 'review'; claims: EmergencyReview }
);

/** What a text says that claims to be a token, for people to look at. @throws EVIDENCE_MALFORMED */
export function readEvidence(token: string): ReadEvidence {
  try {
    const parsed = readForm(token, null);
    const kid = parsed.header['kid'];
    if (typeof kid !== 'string') throw new AccordError('EVIDENCE_MALFORMED', 'no key id');
    const typ = parsed.header['typ'];
    const { payload } = parsed;
    if (typ === EVIDENCE_TYP.official) return { kid, kind: 'official', claims: parseOfficialEvidence(payload) };
    if (typ === EVIDENCE_TYP.emergency) return { kid, kind: 'emergency', claims: parseEmergencyEvidence(payload) };
    if (typ === EVIDENCE_TYP.review) return { kid, kind: 'review', claims: parseEmergencyReview(payload) };
    throw new AccordError('EVIDENCE_MALFORMED', 'another kind of token');
  } catch (error) {
    if (!isAccordError(error)) throw error;
    throw new AccordError('EVIDENCE_MALFORMED', error.detail, { cause: error });
  }
}

/** True when one of `keys` signed exactly this token, of whatever kind. */
export function isSignedBy(token: string, keys: readonly OfficialKey[]): boolean {
  const parsed = readForm(token, null);
  const kid = parsed.header['kid'];
  return typeof kid === 'string' && verifiedBy(parsed, kid, keys);
}

/**
 * Who asks and for what, by one of `keys`. Says nothing about the request at hand or the hour; the token's own times
 * are in order.
 * @throws EVIDENCE_REFUSED whatever is wrong: form, kind, key, signature, a lifetime over ten minutes
 */
export function verifyOfficialEvidence(token: string, keys: readonly OfficialKey[]): OfficialEvidence {
  return alike(() => checkOfficialTimes(parseOfficialEvidence(verified(token, 'official', keys))));
}

/**
 * An emergency by its two tokens, in either order: one opens, one confirms, on exactly the same terms, by two people of
 * two units. Names that differ in letter case, spacing or spelling of the same characters are one name.
 * @throws EVIDENCE_REFUSED whatever is wrong
 */
export function verifyEmergencyPair(tokens: readonly string[], keys: readonly OfficialKey[]): Emergency {
  return alike(() => {
    if (tokens.length !== 2) throw new AccordError('EVIDENCE_REFUSED', 'two tokens');
    const halves = tokens.map((token) => parseEmergencyEvidence(verified(token, 'emergency', keys)));
    const opens = halves.find(({ role }) => role === 'opens');
    const confirms = halves.find(({ role }) => role === 'confirms');
    if (opens === undefined || confirms === undefined) throw new AccordError('EVIDENCE_REFUSED', 'roles');
    if (termsOf(opens) !== termsOf(confirms)) throw new AccordError('EVIDENCE_REFUSED', 'terms');
    for (const half of halves) checkEmergencyTimes(half);
    const [one, other] = [opens.official, confirms.official];
    if (!areApart(one.id, other.id) || !areApart(one.unit, other.unit)) {
      throw new AccordError('EVIDENCE_REFUSED', 'two people of two units');
    }
    return { ...opens, officials: [one, other] };
  });
}

/**
 * How an emergency was reviewed, by somebody who is neither of the two.
 * @throws EVIDENCE_REFUSED whatever is wrong
 */
export function verifyEmergencyReview(
  token: string,
  keys: readonly OfficialKey[],
  { emergency, iss, officials }: Pick<Emergency, 'emergency' | 'iss' | 'officials'>,
): EmergencyReview {
  return alike(() => {
    const review = parseEmergencyReview(verified(token, 'review', keys));
    if (review.emergency !== emergency || review.iss !== iss) throw new AccordError('EVIDENCE_REFUSED', 'another one');
    if (!officials.every(({ id }) => areApart(id, review.official.id))) {
      throw new AccordError('EVIDENCE_REFUSED', 'a third person reviews');
    }
    return review;
  });
}

/** Everything that both officials must have signed alike. */
function termsOf({ role: _role, official: _official, iat: _iat, ...terms }: EmergencyEvidence): string {
  return canonicalJson(terms as unknown as JsonValue);
}

/** True when two names are names at all, and not one name in two spellings (Unicode NFKC, no letter case, no spaces). */
function areApart(one: string, other: string): boolean {
  const [first, second] = [folded(one), folded(other)];
  return first !== '' && second !== '' && first !== second;
}

function folded(name: string): string {
  const shown = name.normalize('NFKC').replace(/[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cc}]+/gu, '');
  // Upper case first: it takes apart what has one small spelling only (ß, final sigma). Folding can leave characters to
  // be composed again.
  return shown.toUpperCase().toLowerCase().normalize('NFKC');
}

function checkOfficialTimes(claims: OfficialEvidence): OfficialEvidence {
  const { iat, exp } = claims;
  if (exp <= iat || (exp - iat) * 1000 > EVIDENCE_LIFETIME_MS) throw new AccordError('EVIDENCE_MALFORMED', 'iat, exp');
  return claims;
}

function checkEmergencyTimes(claims: EmergencyEvidence): EmergencyEvidence {
  const { iat, nbf, exp } = claims;
  if (exp <= nbf || (exp - nbf) * 1000 > EMERGENCY_LIFETIME_MS || iat > exp) {
    throw new AccordError('EVIDENCE_MALFORMED', 'iat, nbf, exp');
  }
  return claims;
}

function signEvidence(
  kind: Kind,
  claims: OfficialEvidence | EmergencyEvidence | EmergencyReview,
  { kid, privateKey }: NamedKey,
  read: (payload: Buffer) => unknown,
): string {
  const payload = Buffer.from(JSON.stringify(claims));
  try {
    read(payload);
  } catch (error) {
    if (!isAccordError(error)) throw error;
    throw new AccordError('EVIDENCE_MALFORMED', error.detail, { cause: error });
  }
  const token = signCompact(payload, { typ: EVIDENCE_TYP[kind], kid }, { alg: 'ES256', key: privateKey });
  if (token.length > MAX_EVIDENCE_BYTES) throw new AccordError('EVIDENCE_MALFORMED', 'too large');
  return token;
}

/** The payload of a token of this kind that one of `keys` signed. */
function verified(token: string, kind: Kind, keys: readonly OfficialKey[]): Buffer {
  const parsed = readForm(token, kind);
  const kid = parsed.header['kid'];
  if (typeof kid !== 'string' || !verifiedBy(parsed, kid, keys)) throw new AccordError('EVIDENCE_REFUSED', 'signature');
  return parsed.payload;
}

function readForm(token: string, kind: Kind | null): ParsedJws {
  return parseCompact(token, {
    algorithms: ['ES256'],
    typ: kind && EVIDENCE_TYP[kind],
    headers: HEADERS,
    maxBytes: MAX_EVIDENCE_BYTES,
    allowHighS: true,
  });
}

/** Whoever brings a token must not learn how far it came: every fault of it is one code. */
function alike<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isAccordError(error)) throw error;
    throw new AccordError('EVIDENCE_REFUSED', '', { cause: error });
  }
}
