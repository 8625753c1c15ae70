// What a citizen is told without asking (DESIGN: who may ask for what, Emergency): that a department answered on an
// emergency about them. The provider's server sends it to every consent service as an exchange on a reserved path; the
// consent service's own server hands it to the service's filing port. The provider's server controls all of it, and can
// speak only of what its own department answered.
import { EntryRef } from './dictionary-entry.ts';
import { SERVICE_ID_PATTERN, SUBSYSTEM_ID_PATTERN } from './identifiers.ts';
import { type Static, Type } from './schema-builder.ts';
import { MESSAGE_ID_PATTERN } from './statement.ts';
import { compile } from './validate.ts';

const closed = { additionalProperties: false };
const Id = Type.String({ pattern: MESSAGE_ID_PATTERN });

/** Where a provider's server brings notices behind any service of a consent service, and where its filing port takes them. */
export const NOTICES_PATH = '/.accord/notices';
export const FILED_NOTICES_PATH = '/notices';

export const EmergencyNotice = Type.Object(
  {
    v: Type.Literal(1),
    /** Whom it was about, by the scheme that the service knows people by. */
    subject: Type.Object({ scheme: EntryRef, value: Type.String({ minLength: 1, maxLength: 1024 }) }, closed),
    /** Who asked, and what answered. */
    client: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    service: Type.String({ pattern: SERVICE_ID_PATTERN }),
    /** Number of the request. */
    exchange: Id,
    emergency: Type.Object({ id: Id, reason: Type.String({ minLength: 1, maxLength: 1000 }) }, closed),
    atMs: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  },
  closed,
);
export type EmergencyNotice = Static<typeof EmergencyNotice>;

/** @throws SCHEMA_MISMATCH */
export const checkEmergencyNotice = compile(EmergencyNotice, 'SCHEMA_MISMATCH');
