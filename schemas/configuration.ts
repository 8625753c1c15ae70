// The documents of the global configuration (DESIGN.md 5): root.N, content.M, distrust.K, locks.V, freshness, the
// configuration anchor and the parts. Made by the central registry and by approvers offline, read by every security server. Payloads
// are canonical JSON (canonical-json.ts); hashes are base64url SHA-256 of a file's exact bytes.
import { BindingTable } from './binding-table.ts';
import { type DictionaryEntry, EntryRef, Level } from './dictionary-entry.ts';
import { SEGMENT_PATTERN, SUBSYSTEM_ID_PATTERN } from './identifiers.ts';
import { MAX_DISTRUST_ENTRIES, MAX_DISTRUST_STATEMENT_BYTES, MAX_LOCKS, MAX_OFFICIAL_KEYS } from './limits.ts';
import { EcJwk, RegisteredMember, RegisteredService, Sha256 } from './registrations.ts';
import { type Static, Type } from './schema-builder.ts';
import { MESSAGE_ID_PATTERN } from './statement.ts';

const closed = { additionalProperties: false };
const Instance = Type.String({ pattern: `^${SEGMENT_PATTERN}$` });
const Version = Type.Integer({ minimum: 1 });
const TimeMs = Type.Integer({ minimum: 0 });
const Text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
const Der = Type.String({ pattern: '^[A-Za-z0-9_-]{4,}$', maxLength: 16_384 });
const VersionAndHash = Type.Object({ version: Version, hash: Sha256 }, closed);

/** A key of a person (or of the online signer); `kid` elsewhere is its RFC 7638 thumbprint. */
export const PersonKey = Type.Object(
  {
    jwk: Type.Object(
      {
        kty: Type.Union([Type.Literal('EC'), Type.Literal('OKP')]),
        crv: Type.Union([Type.Literal('P-256'), Type.Literal('Ed25519')]),
        x: Type.String({ maxLength: 64 }),
        y: Type.Optional(Type.String({ maxLength: 64 })),
      },
      closed,
    ),
    /** Who holds it: thresholds count persons. For the online key, the name of the service. */
    person: Type.String({ minLength: 1, maxLength: 200 }),
  },
  closed,
);

const Kids = Type.Array(Sha256, { minItems: 1, maxItems: 32, uniqueItems: true });
const Role = (minimum: number) =>
  Type.Object({ threshold: Type.Integer({ minimum, maximum: 32 }), kids: Kids }, closed);
const PersonKeys = Type.Record(Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }), PersonKey, {
  ...closed,
  maxProperties: 96,
});

export const RootConfiguration = Type.Object(
  {
    v: Type.Literal(1),
    instance: Instance,
    version: Version,
    /** Hash of root N-1's file; null in the first. */
    previousHash: Type.Union([Sha256, Type.Null()]),
    keys: PersonKeys,
    roles: Type.Object({ root: Role(1), content: Role(2), freshness: Type.Object({ kids: Kids }, closed) }, closed),
    expiresAtMs: TimeMs,
  },
  closed,
);

/**
 * `members/XX`, `services/XX` and `bindings/XX` by the first byte of SHA-256 of the member's id; `dictionary` and
 * `dictionary/X` by the first four bits of SHA-256 of the entry's id; `trust`, `limits`, `purposes`, `consent`, `identity`,
 * `officials`, `witnesses`, `time-stamps`.
 */
const PART_NAME_PATTERN = '^(?:(?:members|services|bindings)/[0-9a-f]{2}|dictionary/[0-9a-f]|[a-z][a-z-]{0,31})$';
/** 3 × 256 + 16 shards and the single parts of this and later releases. */
const MAX_PARTS = 900;

export const ContentConfiguration = Type.Object(
  {
    v: Type.Literal(1),
    instance: Instance,
    version: Version,
    root: VersionAndHash,
    /** The content published before; null in the first. Versions may have gaps: a draft's number is never used twice. */
    previous: Type.Union([VersionAndHash, Type.Null()]),
    parts: Type.Record(Type.String({ pattern: PART_NAME_PATTERN }), Sha256, { ...closed, maxProperties: MAX_PARTS }),
    /** The distrust list as the approvers confirm it; null while there is none. */
    distrust: Type.Union([VersionAndHash, Type.Null()]),
    /** SHA-256 of statements of that list that are no longer in force. */
    distrustLifted: Type.Array(Sha256, { maxItems: MAX_DISTRUST_ENTRIES, uniqueItems: true }),
    issuedAtMs: TimeMs,
    expiresAtMs: TimeMs,
  },
  closed,
);

export const FreshnessStatement = Type.Object(
  {
    v: Type.Literal(1),
    instance: Instance,
    root: VersionAndHash,
    content: VersionAndHash,
    /** The newest distrust list; null while there is none. */
    distrust: Type.Union([VersionAndHash, Type.Null()]),
    /** The newest list of locks; absent at a registry that signs none yet. */
    locks: Type.Optional(VersionAndHash),
    signedAtMs: TimeMs,
    expiresAtMs: TimeMs,
  },
  closed,
);

/** The payload of one statement of the distrust list: a compact JWS by one approver, or by the owner of a key. */
export const DistrustStatement = Type.Object(
  {
    v: Type.Literal(1),
    instance: Instance,
    kind: Type.Union([Type.Literal('key'), Type.Literal('server')]),
    /** A security server's id; or SHA-256 (base64url) of a certificate or of a public key (SPKI), or a key's thumbprint. */
    value: Type.String({ pattern: '^[\\x21-\\x7e]{1,300}$' }),
    atMs: TimeMs,
    reason: Type.String({ minLength: 1, maxLength: 200 }),
    /** The owner's public key, which the signature is verified with; absent in an approver's statement. */
    key: Type.Optional(PersonKey.properties.jwk),
  },
  closed,
);

/** The statements in the order in which they were handed in; the version is their number. */
export const DistrustList = Type.Object(
  {
    v: Type.Literal(1),
    instance: Instance,
    version: Version,
    entries: Type.Array(Type.String({ pattern: '^[A-Za-z0-9_.-]+$', maxLength: MAX_DISTRUST_STATEMENT_BYTES }), {
      minItems: 1,
      maxItems: MAX_DISTRUST_ENTRIES,
      uniqueItems: true,
    }),
  },
  closed,
);

/** Subsystems that get nothing until an emergency of theirs is reviewed; signed with the online key. */
export const LocksList = Type.Object(
  {
    v: Type.Literal(1),
    instance: Instance,
    /** The second in which it was signed, since 1970. */
    version: Version,
    /** Ascending by subsystem; each once, for its oldest emergency. */
    locks: Type.Array(
      Type.Object(
        {
          subsystem: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
          emergency: Type.String({ pattern: MESSAGE_ID_PATTERN }),
          /** When the review was due. */
          sinceMs: TimeMs,
        },
        closed,
      ),
      { maxItems: MAX_LOCKS },
    ),
  },
  closed,
);

/** What a security server is handed by a person it trusts, once: everything else follows from it. */
export const ConfigurationAnchor = Type.Object(
  {
    v: Type.Literal(1),
    instance: Instance,
    root: VersionAndHash,
    /** The root keys of that version, for reading; the hash decides. */
    rootKeys: PersonKeys,
    urls: Type.Array(Type.String({ pattern: '^https?://[^?#\\s]{1,500}$' }), { minItems: 1, maxItems: 16 }),
  },
  closed,
);

export const MembersPart = Type.Object({ members: Type.Array(RegisteredMember, { maxItems: 10_000 }) }, closed);
export const ServicesPart = Type.Object({ services: Type.Array(RegisteredService, { maxItems: 50_000 }) }, closed);
/** What OCSP answers (RFC 6960) mean to the members' servers; where it is absent, nothing. */
export const OcspRules = Type.Object(
  {
    /** `prefer`: an answer is asked for and counts; `require`: without one, or a list, a signature is refused. */
    mode: Type.Union([Type.Literal('off'), Type.Literal('prefer'), Type.Literal('require')]),
    /** Ascending by issuer, the SHA-256 of the issuing CA's certificate. */
    responders: Type.Array(
      Type.Object({ issuer: Sha256, url: Type.String({ pattern: '^https?://[^?#\\s]{1,500}$' }) }, closed),
      { maxItems: 256 },
    ),
    /** Whether a server asks the responder that its certificate names, where none is listed for its issuer. */
    namedInCertificate: Type.Boolean(),
    /** How long an answer counts after its thisUpdate, its own end aside, and how much longer with an alarm. */
    freshnessMs: Type.Integer({ minimum: 60_000, maximum: 30 * 86_400_000 }),
    graceMs: Type.Integer({ minimum: 0, maximum: 30 * 86_400_000 }),
  },
  closed,
);
export const TrustPart = Type.Object(
  {
    anchors: Type.Array(Der, { maxItems: 256 }),
    intermediates: Type.Array(Der, { maxItems: 256 }),
    crls: Type.Array(Type.String({ pattern: '^[A-Za-z0-9_-]{4,}$', maxLength: 6_000_000 }), { maxItems: 256 }),
    ocsp: Type.Optional(OcspRules),
  },
  closed,
);
/** Tables ascending by service; each counts only where its hash is the registered one. */
export const BindingsPart = Type.Object({ tables: Type.Array(BindingTable, { maxItems: 50_000 }) }, closed);
/** Entries ascending by `id@major`; each is judged by the schema of its own kind (dictionary-entry.ts). */
export const DictionaryShardPart = Type.Object(
  {
    entries: Type.Array(Type.Unsafe<DictionaryEntry>(Type.Object({ kind: Type.String({ maxLength: 16 }) })), {
      minItems: 1,
      maxItems: 200_000,
    }),
  },
  closed,
);
/** Limits that the whole instance agrees on, by name; a server may be stricter. */
export const LimitsPart = Type.Object(
  {
    maxStaleMs: Type.Optional(Type.Integer({ minimum: 600_000, maximum: 7 * 86_400_000 })),
    /** Statements of distrust that one approver's word alone puts in force. */
    distrustPerApprover: Type.Optional(Type.Integer({ minimum: 1, maximum: 256 })),
    /** Minutes its legal day is ahead of UTC, 480 in China: ages and periods of authorities are counted in that day. */
    utcOffsetMinutes: Type.Optional(Type.Integer({ minimum: -720, maximum: 840 })),
    /** An emergency is reviewed within so many minutes after its end; three days unless said otherwise. */
    emergencyReviewMinutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 43_200 })),
  },
  closed,
);

/** Without a slash at its end: what is asked for is put behind one. */
const BaseUrl = Type.String({ pattern: '^https?://[^?#\\s]{1,400}[^?#\\s/]$' });

/** A consent service: the subsystem it is reached as, what its receipts and status lists are signed with, its places. */
export const ConsentServiceEntry = Type.Object(
  {
    subsystem: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    /** Ascending by kid, the RFC 7638 thumbprint; several during a renewal. */
    keys: Type.Array(Type.Object({ kid: Sha256, jwk: EcJwk }, closed), { minItems: 1, maxItems: 4 }),
    /** Where the status lists lie: `{statusUrl}/{list}`. */
    statusUrl: BaseUrl,
    /** Where citizens go. */
    citizenUrl: BaseUrl,
    /** Subsystems that may say who acts for whom: a register of guardians, a court. */
    mandateRegisters: Type.Optional(
      Type.Array(Type.String({ pattern: SUBSYSTEM_ID_PATTERN }), { maxItems: 64, uniqueItems: true }),
    ),
  },
  closed,
);
/** Ascending by subsystem. */
export const ConsentPart = Type.Object({ services: Type.Array(ConsentServiceEntry, { maxItems: 64 }) }, closed);

/** What an official signs tokens of evidence with; `kid` is the RFC 7638 thumbprint. */
export const OfficialKeyEntry = Type.Object({ kid: Sha256, jwk: EcJwk }, closed);
/** Keys of one department's officials (evidence.ts), for one of its subsystems. */
export const OfficialsEntry = Type.Object(
  {
    subsystem: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    /** Ascending by kid. */
    keys: Type.Array(OfficialKeyEntry, { minItems: 1, maxItems: MAX_OFFICIAL_KEYS }),
  },
  closed,
);
/** Ascending by subsystem. */
export const OfficialsPart = Type.Object({ subsystems: Type.Array(OfficialsEntry, { maxItems: 10_000 }) }, closed);

const Base64url = (maxLength: number) => Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength });
/** What ID tokens are signed with (RFC 7517): an RSA key says which algorithm it is for. */
const IdentityKeyJwk = Type.Union([
  EcJwk,
  Type.Object({ kty: Type.Literal('OKP'), crv: Type.Literal('Ed25519'), x: Base64url(64) }, closed),
  Type.Object(
    {
      kty: Type.Literal('RSA'),
      n: Base64url(1400),
      e: Base64url(8),
      alg: Type.Union([Type.Literal('RS256'), Type.Literal('PS256')]),
    },
    closed,
  ),
]);

/** An OpenID Connect provider that citizens sign in with, and that a provider's server believes about who asks. */
export const IdentityProviderEntry = Type.Object(
  {
    /** Exactly as in the `iss` of its ID tokens. */
    issuer: Type.String({ pattern: '^https?://[^?#\\s]{1,400}$' }),
    /** What it is called on the sign-in page. */
    name: Type.Optional(Type.Object({ zh: Text(100), en: Text(100) }, closed)),
    clientId: Type.String({ pattern: '^[\\x21-\\x7e]{1,200}$' }),
    /** Ascending by kid, which is the provider's own name for the key. */
    keys: Type.Array(
      Type.Object({ kid: Type.String({ pattern: '^[\\x21-\\x7e]{1,200}$' }), jwk: IdentityKeyJwk }, closed),
      {
        minItems: 1,
        maxItems: 8,
      },
    ),
    /** Which identifier of the dictionary the claim holds. */
    scheme: EntryRef,
    claim: Type.String({ pattern: '^[A-Za-z0-9_.:/-]{1,100}$' }),
    /** `acr` value → how sure the sign-in makes it who the person is; what is not listed is not accepted. */
    levels: Type.Record(Type.String({ pattern: '^[\\x21-\\x7e]{1,200}$' }), Level, {
      ...closed,
      minProperties: 1,
      maxProperties: 32,
    }),
  },
  closed,
);
/** Ascending by issuer. */
export const IdentityPart = Type.Object({ providers: Type.Array(IdentityProviderEntry, { maxItems: 64 }) }, closed);

/** C2SP signed-note: NAME+ID+KEY, of Ed25519 (44 characters) or ML-DSA-44. */
const VerifierKey = Type.String({ pattern: '^[^+\\s]{1,255}\\+[0-9a-f]{8}\\+[A-Za-z0-9+/=]{44,1752}$' });
const CosignerName = Type.String({ pattern: '^[^+\\s]{1,255}$' });
/** Each names the cosigner itself; two of a kind during a renewal. */
const CosignerKeys = Type.Array(VerifierKey, { minItems: 1, maxItems: 4, uniqueItems: true });

/** Who vouches for message logs (DESIGN: witnesses): whose cosignatures count, and how many an anchoring needs. */
export const WitnessesPart = Type.Object(
  {
    /** The log of all servers' checkpoints; `url` + `/aggregate/…` and `/witness/add-checkpoint`. */
    aggregate: Type.Union([
      Type.Object({ origin: CosignerName, verifierKey: VerifierKey, url: BaseUrl }, closed),
      Type.Null(),
    ]),
    /** The one that every server's checkpoint goes to. */
    registryWitness: Type.Union([Type.Object({ name: CosignerName, verifierKeys: CosignerKeys }, closed), Type.Null()]),
    /** Those of the aggregate log, ascending by name; `url` + `/add-checkpoint`, null for one that is not asked. */
    witnesses: Type.Array(
      Type.Object({ name: CosignerName, verifierKeys: CosignerKeys, url: Type.Union([BaseUrl, Type.Null()]) }, closed),
      { maxItems: 64 },
    ),
    /** After a change of the aggregate log's key: a note that says so, signed with the key before and with this one. */
    handover: Type.Optional(Type.String({ minLength: 1, maxLength: 2_000 })),
    /** So many of them have to cosign an aggregate checkpoint, or evidence that rests on it is incomplete. */
    quorum: Type.Integer({ minimum: 0, maximum: 64 }),
  },
  closed,
);

export type PersonKey = Static<typeof PersonKey>;
export type ConsentServiceEntry = Static<typeof ConsentServiceEntry>;
export type OfficialKeyEntry = Static<typeof OfficialKeyEntry>;
export type OfficialsEntry = Static<typeof OfficialsEntry>;
export type IdentityProviderEntry = Static<typeof IdentityProviderEntry>;
export type RootConfiguration = Static<typeof RootConfiguration>;
export type ContentConfiguration = Static<typeof ContentConfiguration>;
export type FreshnessStatement = Static<typeof FreshnessStatement>;
export type DistrustStatement = Static<typeof DistrustStatement>;
export type DistrustList = Static<typeof DistrustList>;
export type LocksList = Static<typeof LocksList>;
export type ConfigurationAnchor = Static<typeof ConfigurationAnchor>;
export type MembersPart = Static<typeof MembersPart>;
export type ServicesPart = Static<typeof ServicesPart>;
export type OcspRules = Static<typeof OcspRules>;
export type TrustPart = Static<typeof TrustPart>;
export type LimitsPart = Static<typeof LimitsPart>;
export type WitnessesPart = Static<typeof WitnessesPart>;

/** `typ` of each signed file: a signature for one kind is worth nothing for another. */
export const CONFIGURATION_TYP = {
  root: 'accord-root+jws',
  content: 'accord-content+jws',
  distrust: 'accord-distrust+jws',
  freshness: 'accord-freshness+jws',
  locks: 'accord-locks+jws',
} as const;

/** Longest lifetimes, in milliseconds; stale configuration is used for the last, unless a server's settings say less. */
export const CONTENT_LIFETIME_MS = 7 * 86_400_000;
export const FRESHNESS_LIFETIME_MS = 10 * 60_000;
export const DEFAULT_MAX_STALE_MS = 24 * 3_600_000;
/** Largest files, in bytes. */
export const MAX_SIGNED_FILE_BYTES = 4 * 1024 * 1024;
export const MAX_FRESHNESS_BYTES = 8 * 1024;
export const MAX_PART_BYTES = 16 * 1024 * 1024;
