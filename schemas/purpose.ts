// A purpose (DESIGN: who may ask for what): why data may be asked for at all, in words a citizen reads, with its bounds.
// Registered in the central registry and approved by two persons with the configuration. A version never changes: what
// was read and agreed to is named by its hash, and whoever wants other words publishes the next version.
import { canonicalJson } from './canonical-json.ts';
import { EntryRef } from './dictionary-entry.ts';
import type { JsonValue } from './json.ts';
import { type Static, Type } from './schema-builder.ts';
import { Basis, PURPOSE_PATTERN } from './statement.ts';

const closed = { additionalProperties: false };
const Text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
const Bilingual = (maxLength: number) => Type.Object({ zh: Text(maxLength), en: Text(maxLength) }, closed);
const Day = Type.String({ pattern: '^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$' });

export const Purpose = Type.Object(
  {
    id: Type.String({ pattern: PURPOSE_PATTERN }),
    version: Type.Integer({ minimum: 1, maximum: 9999 }),
    title: Bilingual(200),
    /** Plain text: what the data are needed for, and what happens without them. */
    text: Bilingual(4000),
    bases: Type.Array(Basis, { minItems: 1, maxItems: 4, uniqueItems: true }),
    /** Elements and predicates it may ever need; no access right and no consent goes beyond. */
    elements: Type.Array(EntryRef, { minItems: 1, maxItems: 500, uniqueItems: true }),
    /** Longest time the asking department may keep what it got. */
    retentionDays: Type.Integer({ minimum: 0, maximum: 36_500 }),
    /** Requests a day (UTC) of one client at one provider, or null. */
    quotaPerDay: Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000_000 }), Type.Null()]),
    from: Day,
    /** Exclusive end; null while it lasts. */
    until: Type.Union([Day, Type.Null()]),
  },
  closed,
);

/** Ascending by id, then version; the newest version that has begun is the one in force. */
export const PurposesPart = Type.Object({ purposes: Type.Array(Purpose, { maxItems: 10_000 }) }, closed);

export type Purpose = Static<typeof Purpose>;
export type PurposesPart = Static<typeof PurposesPart>;

/** The one spelling of a purpose; its SHA-256 (base64url) pins it wherever it is used. */
export function purposeText(purpose: Purpose): string {
  return canonicalJson(purpose as unknown as JsonValue);
}
