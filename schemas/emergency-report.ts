// What the registry is told of emergencies (DESIGN: who may ask for what, Emergency), over its public port: the two tokens
// that opened one, by the provider's server that answered on them or by anybody else who has them, and the token of its
// review. The tokens prove themselves; who brings them proves nothing. They name no citizen.
import { EvidenceToken } from './evidence-token.ts';
import { SUBSYSTEM_ID_PATTERN } from './identifiers.ts';
import { MAX_DUE_REVIEWS } from './limits.ts';
import { type Static, Type } from './schema-builder.ts';
import { MESSAGE_ID_PATTERN } from './statement.ts';
import { compile } from './validate.ts';

const closed = { additionalProperties: false };
const Id = Type.String({ pattern: MESSAGE_ID_PATTERN });
const Subsystem = Type.String({ pattern: SUBSYSTEM_ID_PATTERN });
const TimeMs = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** Body of POST /emergencies. */
export const EmergencyReport = Type.Object(
  {
    v: Type.Literal(1),
    /** In either order. */
    tokens: Type.Array(EvidenceToken, { minItems: 2, maxItems: 2 }),
    /** Security server (INSTANCE/CLASS/MEMBER/SERVER) that says it answered on them: a hint for the review, not proven. */
    by: Type.Union([Subsystem, Type.Null()]),
  },
  closed,
);
export type EmergencyReport = Static<typeof EmergencyReport>;

/** Body of POST /emergencies/{id}/reviews. */
export const ReviewReport = Type.Object({ v: Type.Literal(1), token: EvidenceToken }, closed);

/** `open`: it lasts; `due`: it is over and waits for its review; `overdue`: its department gets nothing until then. */
const EmergencyState = Type.Union([
  Type.Literal('open'),
  Type.Literal('due'),
  Type.Literal('overdue'),
  Type.Literal('reviewed'),
]);

/** What anybody may know of one. */
export const KnownEmergency = Type.Object(
  { emergency: Id, subsystem: Subsystem, untilMs: TimeMs, reviewDueAtMs: TimeMs, state: EmergencyState },
  closed,
);
export type KnownEmergency = Static<typeof KnownEmergency>;

/** Answer of GET /emergencies: those of one subsystem that are not reviewed, the oldest first. */
const DueReviews = Type.Object({ items: Type.Array(KnownEmergency, { maxItems: MAX_DUE_REVIEWS }) }, closed);

/** @throws SCHEMA_MISMATCH */
export const checkKnownEmergency = compile(KnownEmergency, 'SCHEMA_MISMATCH');
/** @throws SCHEMA_MISMATCH */
export const checkDueReviews = compile(DueReviews, 'SCHEMA_MISMATCH');
