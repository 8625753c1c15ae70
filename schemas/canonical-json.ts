// JSON with one spelling per value: members sorted by name at every level, no white space, numbers as ECMAScript writes
// them (RFC 8785). The same state so gives the same bytes, and the same bytes the same hash.
import type { JsonValue } from './json.ts';

/** @throws TypeError for a number that JSON cannot write, or an integer that other readers would round */
export function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
  }
  if (typeof value === 'number' && (!Number.isFinite(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER)) {
    throw new TypeError('not a number with one spelling');
  }
  return JSON.stringify(value);
}
