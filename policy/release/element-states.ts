// What each released value is worth: for when it is true, whether that is older than the dictionary promises, and why a
// value is missing (DESIGN: the dictionary). A backend can say it in its header `accord-states`, a JSON object from path
// to `{state, asOf, source}`, each optional, characters outside ASCII escaped. The header is the backend's: it is read
// strictly, all of it or nothing, and never forwarded.
import { fitsFormat } from '#policy/dictionary/value-format.ts';
import { MEMBER_ID_PATTERN } from '#schemas/identifiers.ts';
import { parseJsonObject } from '#schemas/json.ts';
import { MAX_HEADER_VALUE_BYTES, MAX_RELEASED_PATHS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import { ElementState } from '#schemas/release.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';

const DAY_MS = 86_400_000;
const MAX_AS_OF_LENGTH = 35;

const SaidState = Type.Object(
  {
    state: Type.Optional(ElementState),
    /** A day or an RFC 3339 time. */
    asOf: Type.Optional(Type.String({ minLength: 10, maxLength: MAX_AS_OF_LENGTH })),
    source: Type.Optional(Type.String({ pattern: MEMBER_ID_PATTERN, maxLength: 200 })),
  },
  { additionalProperties: false },
);
const checkStates = compile(
  // Its pattern does not cover line ends; what it does not cover would pass unseen.
  Type.Record(Type.String(), SaidState, { maxProperties: MAX_RELEASED_PATHS, additionalProperties: false }),
  'SCHEMA_MISMATCH',
);

export type SaidState = Static<typeof SaidState>;

/** @returns null when the header cannot be used */
export function readStates(header: string | null): ReadonlyMap<string, SaidState> | null {
  if (header === null) return new Map();
  try {
    const limits = { maxBytes: MAX_HEADER_VALUE_BYTES, maxDepth: 2 };
    const said = checkStates(parseJsonObject(header, limits));
    const states = new Map(Object.entries(said));
    return [...states.values()].every(({ asOf }) => asOf === undefined || momentOf(asOf) !== null) ? states : null;
  } catch (error) {
    if (isAccordError(error)) return null;
    throw error;
  }
}

/** The oldest of several: what is said about a list is true of all of it. Null when none is a day or a time. */
export function oldestOf(texts: readonly unknown[]): string | null {
  let oldest: { text: string; ms: number } | null = null;
  for (const text of texts) {
    const ms = typeof text === 'string' ? momentOf(text) : null;
    if (ms !== null && (oldest === null || ms < oldest.ms)) oldest = { text: String(text), ms };
  }
  return oldest?.text ?? null;
}

/** True when `asOf` is more than `maxAgeDays` back: a day counts in whole days, in UTC, a time to the millisecond. */
export function isStale(asOf: string | null, maxAgeDays: number | undefined, nowMs: number): boolean {
  const ms = asOf === null ? null : momentOf(asOf);
  if (ms === null || maxAgeDays === undefined) return false;
  const ageDays = (nowMs - ms) / DAY_MS;
  return (isDay(asOf) ? Math.floor(ageDays) : ageDays) > maxAgeDays;
}

function isDay(asOf: string | null): boolean {
  return asOf?.length === 10;
}

/** Milliseconds since the Unix epoch of a day's begin (UTC) or an RFC 3339 time; null for anything else. */
function momentOf(text: string): number | null {
  if (text.length > MAX_AS_OF_LENGTH) return null;
  if (fitsFormat(text, 'date')) return Date.parse(`${text}T00:00:00Z`);
  if (!fitsFormat(text, 'date-time')) return null;
  // A leap second is one that Date does not know.
  const ms = Date.parse(text.toUpperCase().replace(/:60(?=[.Z+-])/, ':59'));
  return Number.isNaN(ms) ? null : ms;
}
