// What the global configuration says of members, subsystems, security servers and services (DESIGN: parts). Written by
// the central registry, approved by two persons, read by every security server; nothing here is trusted before the
// content that names its hash was verified.
import { MEMBER_ID_PATTERN, SEGMENT_PATTERN, SERVICE_ID_PATTERN, SUBSYSTEM_ID_PATTERN } from './identifiers.ts';
import { type Static, Type } from './schema-builder.ts';

const closed = { additionalProperties: false };
const Segment = Type.String({ pattern: `^${SEGMENT_PATTERN}$` });
const Title = Type.String({ minLength: 1, maxLength: 200 });
/** DER bytes in canonical base64url. */
const Der = Type.String({ pattern: '^[A-Za-z0-9_-]{4,8192}$' });
/** A SHA-256 in base64url. */
export const Sha256 = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' });

/** An EC key on P-256. */
export const EcJwk = Type.Object(
  {
    kty: Type.Literal('EC'),
    crv: Type.Literal('P-256'),
    x: Type.String({ maxLength: 64 }),
    y: Type.String({ maxLength: 64 }),
  },
  closed,
);

/** A P-256 public key another server wraps its tickets to (ECDH-ES+A256KW); `kid` is its RFC 7638 thumbprint. */
export const EncryptionKey = Type.Object(
  {
    kid: Sha256,
    jwk: EcJwk,
    notAfterMs: Type.Integer({ minimum: 0 }),
  },
  closed,
);

/** Maintenance of a server that its member announces: others ask its other servers first. */
export const AnnouncedMaintenance = Type.Object(
  {
    notice: Type.String({ minLength: 1, maxLength: 500 }),
    /** When it is expected to be over, milliseconds since the epoch; null while that is open. */
    untilMs: Type.Union([Type.Integer({ minimum: 0, maximum: 8_640_000_000_000_000 }), Type.Null()]),
  },
  closed,
);

export const RegisteredServer = Type.Object(
  {
    code: Segment,
    /** Where peers reach it, e.g. https://ss1.example.gov:5500 */
    address: Type.String({ pattern: '^https://[^/?#\\s]{1,255}$' }),
    /** TLS certificates (DER) whose exact hash a peer pins; two during a renewal. */
    authenticationCertificates: Type.Array(Der, { maxItems: 4 }),
    signingCertificates: Type.Array(Der, { maxItems: 4 }),
    encryptionKeys: Type.Array(EncryptionKey, { maxItems: 4 }),
    /** Keys that the consent service seals a citizen's identifier to; they live as long as the longest receipt. */
    subjectKeys: Type.Array(EncryptionKey, { maxItems: 4 }),
    /** Subsystem codes of this member (or full identifiers of other members' subsystems) this server speaks for. */
    subsystems: Type.Array(Type.String({ pattern: SUBSYSTEM_ID_PATTERN }), { maxItems: 1000 }),
    /** The message log's origin and its Ed25519 checkpoint key (raw 32 bytes, base64url). */
    log: Type.Object({ origin: Type.String({ minLength: 1, maxLength: 255 }), key: Sha256 }, closed),
    maintenance: Type.Optional(Type.Union([AnnouncedMaintenance, Type.Null()])),
  },
  closed,
);

export const RegisteredMember = Type.Object(
  {
    id: Type.String({ pattern: MEMBER_ID_PATTERN }),
    name: Title,
    subsystems: Type.Array(Type.Object({ code: Segment, name: Title }, closed), { maxItems: 1000 }),
    servers: Type.Array(RegisteredServer, { maxItems: 32 }),
  },
  closed,
);

export const RegisteredService = Type.Object(
  {
    id: Type.String({ pattern: SERVICE_ID_PATTERN }),
    title: Title,
    type: Type.Union([Type.Literal('REST'), Type.Literal('OPENAPI')]),
    /** SHA-256 of the service's OpenAPI document, or null when it has none. */
    descriptionHash: Type.Union([Sha256, Type.Null()]),
    /** SHA-256 of its binding table's one spelling (binding-table.ts), or null while it is not bound to the dictionary. */
    bindingHash: Type.Union([Sha256, Type.Null()]),
    /** False only when the provider declares that no answer ever holds personal data. */
    personalData: Type.Boolean(),
    /** True when every operation only reads, so that a repeated call after a crash does no harm. */
    safe: Type.Boolean(),
  },
  closed,
);

export type AnnouncedMaintenance = Static<typeof AnnouncedMaintenance>;
export type EncryptionKey = Static<typeof EncryptionKey>;
export type RegisteredServer = Static<typeof RegisteredServer>;
export type RegisteredMember = Static<typeof RegisteredMember>;
export type RegisteredService = Static<typeof RegisteredService>;
