// JSON with one spelling per value: members sorted by name at every level, no white space (RFC 8785, for the strings and
// safe integers that our documents hold). The same state so gives the same bytes, and the same bytes the same hash.
import type { JsonValue } from './json.ts';

/** @throws TypeError for a number that is not a safe integer: its spelling would not be ours to promise */
export function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new TypeError('only safe integers');
  return JSON.stringify(value);
}
