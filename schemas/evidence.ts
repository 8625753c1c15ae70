// What officials sign themselves (DESIGN: who may ask for what, Law and Emergency): who asks and for which case, bound to one
// request; that an emergency is opened, by two of them; and how it was reviewed. The keys are registered for the asking
// department's subsystem and lie with the department's own sign-on, not with its security server. The department
// controls every value; the provider's server verifies signature, form and binding.
import { canonicalJson } from './canonical-json.ts';
import { RequestContext } from './context.ts';
import { SERVICE_ID_PATTERN, SUBSYSTEM_ID_PATTERN } from './identifiers.ts';
import { type JsonValue, parseJson } from './json.ts';
import { MAX_EMERGENCY_PERSONS, MAX_EMERGENCY_SERVICES, MAX_EVIDENCE_BYTES } from './limits.ts';
import { Sha256 } from './registrations.ts';
import { type Static, Type } from './schema-builder.ts';
import { Basis, MESSAGE_ID_PATTERN, PURPOSE_PATTERN } from './statement.ts';
import { compile } from './validate.ts';

const closed = { additionalProperties: false };
const Text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
const Seconds = Type.Integer({ minimum: 0, maximum: 99_999_999_999 });
const Id = Type.String({ pattern: MESSAGE_ID_PATTERN });
const Subsystem = Type.String({ pattern: SUBSYSTEM_ID_PATTERN });
const { method, path, query, fields, partial, asOf, hiddenUntil } = RequestContext.properties;

/** `typ` of each kind: a signature for one is worth nothing for another. */
export const EVIDENCE_TYP = {
  official: 'accord-evidence+jwt',
  emergency: 'accord-emergency+jwt',
  review: 'accord-emergency-review+jwt',
} as const;

/** The person as the department knows them; `id` is the request's `userId`. */
const Official = Type.Object({ id: Text(256), name: Text(200), unit: Text(200) }, closed);
export type Official = Static<typeof Official>;

/** What one token of an official is bound to: a request as the provider will see it. */
export const EvidencedRequest = Type.Object(
  {
    v: Type.Literal(1),
    client: Subsystem,
    service: Type.String({ pattern: SERVICE_ID_PATTERN }),
    purpose: Type.Union([Type.String({ pattern: PURPOSE_PATTERN }), Type.Null()]),
    basis: Basis,
    method,
    path,
    query,
    fields,
    partial,
    asOf,
    hiddenUntil,
    /** Case number. */
    issue: Text(256),
    /** SHA-256 of the body's exact bytes. */
    body: Sha256,
  },
  closed,
);
export type EvidencedRequest = Static<typeof EvidencedRequest>;

/** The one spelling whose SHA-256 (base64url) a token carries as `request`. */
export function evidencedText(request: EvidencedRequest): string {
  return canonicalJson(request as unknown as JsonValue);
}

/** What a department's sign-on is told of a lookup: the request, and the hash that a token for it carries. */
export const RequestDigest = Type.Object({ request: Sha256, asked: EvidencedRequest }, closed);
export type RequestDigest = Static<typeof RequestDigest>;
/** @throws SCHEMA_MISMATCH */
export const checkRequestDigest = compile(RequestDigest, 'SCHEMA_MISMATCH');

/** One official for one request. */
export const OfficialEvidence = Type.Object(
  {
    v: Type.Literal(1),
    /** Worth something once at one provider. */
    jti: Id,
    iss: Subsystem,
    official: Official,
    issue: Text(256),
    request: Sha256,
    iat: Seconds,
    /** At most 10 minutes after `iat`. */
    exp: Seconds,
  },
  closed,
);
export type OfficialEvidence = Static<typeof OfficialEvidence>;

/** One of the two tokens of an emergency; both hold the same terms, that is everything but `role`, `official`, `iat`. */
export const EmergencyEvidence = Type.Object(
  {
    v: Type.Literal(1),
    emergency: Id,
    iss: Subsystem,
    role: Type.Union([Type.Literal('opens'), Type.Literal('confirms')]),
    official: Official,
    purpose: Type.String({ pattern: PURPOSE_PATTERN }),
    services: Type.Array(Type.String({ pattern: SERVICE_ID_PATTERN }), {
      minItems: 1,
      maxItems: MAX_EMERGENCY_SERVICES,
      uniqueItems: true,
    }),
    /** Different persons it may be used for at one provider. */
    persons: Type.Integer({ minimum: 1, maximum: MAX_EMERGENCY_PERSONS }),
    /** What happened, for the citizen and the review. */
    reason: Text(1000),
    iat: Seconds,
    nbf: Seconds,
    /** At most two hours after `nbf`. */
    exp: Seconds,
  },
  closed,
);
export type EmergencyEvidence = Static<typeof EmergencyEvidence>;

/** What a third official found, who is neither of the two. */
export const EmergencyReview = Type.Object(
  {
    v: Type.Literal(1),
    emergency: Id,
    iss: Subsystem,
    official: Official,
    finding: Type.Union([Type.Literal('justified'), Type.Literal('not-justified')]),
    text: Text(4000),
    iat: Seconds,
  },
  closed,
);
export type EmergencyReview = Static<typeof EmergencyReview>;

const LIMITS = { maxBytes: MAX_EVIDENCE_BYTES, maxDepth: 3, maxValues: 64 };
const checkOfficial = compile(OfficialEvidence, 'EVIDENCE_MALFORMED');
const checkEmergency = compile(EmergencyEvidence, 'EVIDENCE_MALFORMED');
const checkReview = compile(EmergencyReview, 'EVIDENCE_MALFORMED');

/** @throws EVIDENCE_MALFORMED, JSON_* */
export function parseOfficialEvidence(payload: Uint8Array): OfficialEvidence {
  return checkOfficial(parseJson(payload, LIMITS));
}

/** @throws EVIDENCE_MALFORMED, JSON_* */
export function parseEmergencyEvidence(payload: Uint8Array): EmergencyEvidence {
  return checkEmergency(parseJson(payload, LIMITS));
}

/** @throws EVIDENCE_MALFORMED, JSON_* */
export function parseEmergencyReview(payload: Uint8Array): EmergencyReview {
  return checkReview(parseJson(payload, LIMITS));
}
