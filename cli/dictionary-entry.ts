// One entry of the dictionary as a table for people: every member, long texts in lines, long lists cut with a word on how
// to see all of them.
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import { type DictionaryEntry, refOf } from '#schemas/dictionary-entry.ts';

const MAX_LINES = 30;
const LINE_WIDTH = 100;

/** Rows in the order of the entry's members, its ref first. */
export function describeEntry(entry: DictionaryEntry, dictionary: Dictionary): Record<string, string> {
  const rows: Record<string, string> = { ref: refOf(entry) };
  for (const [name, member] of Object.entries(entry)) if (name !== 'id') rows[name] = show(member);
  const group = dictionary.atomicGroupOf(refOf(entry));
  if (group !== undefined) rows['released with'] = group.members.filter((ref) => ref !== refOf(entry)).join('\n');
  return rows;
}

function show(value: unknown): string {
  if (typeof value === 'string') return wrap(value).join('\n');
  if (typeof value !== 'object' || value === null) return String(value);
  const lines = Array.isArray(value)
    ? value.map(line)
    : Object.entries(value).flatMap(([name, member]) => wrap(`${name}: ${line(member)}`));
  const shown = lines.slice(0, MAX_LINES);
  const rest = lines.length - shown.length;
  return [...shown, ...(rest > 0 ? [`and ${rest} more; --json prints all of them`] : [])].join('\n');
}

/** A list's item, or a member, on one line; names and values without the quotes of JSON. */
function line(value: unknown): string {
  if (Array.isArray(value)) return value.map(line).join(', ');
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([name, member]) => `${name} ${typeof member === 'object' ? JSON.stringify(member) : member}`)
    .join(', ');
}

/** Lines of at most so many columns, broken at spaces where there are any; a Chinese character takes two columns. */
function wrap(text: string): string[] {
  const lines: string[] = [];
  let current = '';
  let columns = 0;
  for (const piece of text.match(/\p{Script=Han}\p{P}*|\S*?(?=\p{Script=Han})|\S+\s*|\s+/gu) ?? []) {
    const width = [...piece].reduce((sum, one) => sum + (/[\u2e80-\uffef]/.test(one) ? 2 : 1), 0);
    if (columns + width > LINE_WIDTH && current !== '') {
      lines.push(current.trimEnd());
      [current, columns] = ['', 0];
    }
    current += piece;
    columns += width;
  }
  return [...lines, current.trimEnd()];
}
