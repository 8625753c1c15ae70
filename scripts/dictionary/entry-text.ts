// How an entry of the dictionary is written into its file: JSON in the order of the form (schemas/dictionary-entry.ts), two
// spaces, and what fits into a line on one line, so that a list of 3,000 codes has a line for each and a change of one
// code is a change of one line.
import type { DictionaryEntry } from '#schemas/dictionary-entry.ts';
import type { JsonValue } from '#schemas/json.ts';

const LINE_COLUMNS = 120;

/** The text of the file, with the last newline. */
export function entryText(entry: DictionaryEntry): string {
  return `${block(JSON.parse(JSON.stringify(entry)), 0)}\n`;
}

/** `value` over several lines, its parts on one line each where they fit behind `depth` + 1 indents and their name. */
function block(value: JsonValue, depth: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const indent = '  '.repeat(depth + 1);
  const parts = Array.isArray(value)
    ? value.map((part) => indent + fitted(part, depth, 0))
    : Object.entries(value).map(([name, part]) => {
        const label = `${JSON.stringify(name)}: `;
        return indent + label + fitted(part, depth, label.length);
      });
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return parts.length === 0 ? `${open}${close}` : `${open}\n${parts.join(',\n')}\n${'  '.repeat(depth)}${close}`;
}

function fitted(value: JsonValue, depth: number, labelColumns: number): string {
  const line = onOneLine(value);
  const columns = 2 * (depth + 1) + labelColumns + columnsOf(line) + 1;
  return columns <= LINE_COLUMNS ? line : block(value, depth + 1);
}

function onOneLine(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(onOneLine).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const parts = Object.entries(value).map(([name, part]) => `${JSON.stringify(name)}: ${onOneLine(part)}`);
  return parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`;
}

/** A Chinese character takes two columns of a terminal. */
function columnsOf(text: string): number {
  return text.length + (text.match(/[\u2e80-\uffef]/g)?.length ?? 0);
}
