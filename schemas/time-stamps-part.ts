// The part `time-stamps` of the global configuration: whose time-stamps (RFC 3161) count, where it is learnt that one of their
// certificates was revoked, and how long a log may wait for one. Two approvers sign its hash; what it says of
// certificates is judged in core/configuration/time-stamp-parts.ts.
import { type Static, Type } from './schema-builder.ts';

const closed = { additionalProperties: false };
const Text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
const Der = Type.String({ pattern: '^[A-Za-z0-9_-]{4,}$', maxLength: 16_384 });
const StatusUrl = Type.String({ pattern: '^https?://[^#\\s]{1,400}$' });
/** Short ones: whoever revokes many time-stamp certificates in one list publishes it at an address. */
const List = Type.String({ pattern: '^[A-Za-z0-9_-]{4,}$', maxLength: 65_536 });

/** Time-stamp authorities (RFC 3161) in the order in which they are asked. */
export const TimeStampsPart = Type.Object(
  {
    authorities: Type.Array(
      Type.Object(
        {
          name: Text(100),
          url: Type.String({ pattern: '^https?://[^#\\s]{1,400}$' }),
          /** DER: self-signed CA certificates are trusted for its tokens, the others help to them. */
          certificates: Type.Array(Der, { minItems: 1, maxItems: 16, uniqueItems: true }),
          /** Where revocation lists of its certificates are fetched, and who is asked by OCSP about its signing certificate. */
          crlUrls: Type.Optional(Type.Array(StatusUrl, { minItems: 1, maxItems: 4, uniqueItems: true })),
          ocspUrl: Type.Optional(StatusUrl),
        },
        closed,
      ),
      { minItems: 1, maxItems: 16 },
    ),
    /** Revocation lists about certificates of authorities, DER, also of authorities that are not named any more. */
    crls: Type.Optional(Type.Array(List, { minItems: 1, maxItems: 16, uniqueItems: true })),
    /** So long may an entry of a message log wait for a time-stamp before new exchanges stop; four hours unless said. */
    graceMs: Type.Optional(Type.Integer({ minimum: 60_000, maximum: 7 * 86_400_000 })),
  },
  closed,
);
export type TimeStampsPart = Static<typeof TimeStampsPart>;
