// What changed between two versions of one entry of the dictionary, and how much that is (Semantic Versioning 2.0.0,
// read for data): words are a patch, more values or another promise are a minor, and whatever may turn a value that
// fitted into one that does not, or moves the meaning, needs a new major beside the old one.
import { canonicalJson } from '#schemas/canonical-json.ts';
import type {
  CodelistEntry,
  DictionaryEntry,
  ElementEntry,
  PredicateEntry,
  ValueDomain,
} from '#schemas/dictionary-entry.ts';
import type { JsonValue } from '#schemas/json.ts';
import { isMultiple } from './value-domain.ts';

export type ChangeSize = 'none' | 'patch' | 'minor' | 'major';

export interface EntryChange {
  size: ChangeSize;
  /** What changed, in words; a raised level begins with DICT_LEVEL_RAISED. */
  why: string[];
}

const SIZES: readonly ChangeSize[] = ['none', 'patch', 'minor', 'major'];

export function compareSizes(a: ChangeSize, b: ChangeSize): number {
  return SIZES.indexOf(a) - SIZES.indexOf(b);
}

/** Compares two entries with the same ref. */
export function changeOf(before: DictionaryEntry, after: DictionaryEntry): EntryChange {
  if (before.kind !== after.kind) return { size: 'major', why: [`${before.kind} became ${after.kind}`] };
  const major = breakingChanges(before, after);
  const minor: string[] = [];
  const patch: string[] = [];
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (name === 'version' || sameMember(before, after, name)) continue;
    if (WORDS.has(name)) patch.push(`${name} changed`);
    else minor.push(name === 'level' ? levelChange(before, after) : `${name} changed`);
  }
  const size = major.length > 0 ? 'major' : minor.length > 0 ? 'minor' : patch.length > 0 ? 'patch' : 'none';
  return { size, why: [...major, ...minor, ...patch] };
}

/** Members that say nothing new about values. */
const WORDS: ReadonlySet<string> = new Set([
  'state',
  'labels',
  'definition',
  'synonyms',
  'replacedBy',
  'matches',
  'source',
  'tests',
  'examples',
]);

function sameMember(before: object, after: object, name: string): boolean {
  const [left, right] = [before, after].map((entry) => (entry as Record<string, JsonValue | undefined>)[name]);
  if (left === undefined || right === undefined) return left === right;
  return canonicalJson(left) === canonicalJson(right);
}

function levelChange(before: DictionaryEntry, after: DictionaryEntry): string {
  const [from, to] = [before, after].map((entry) => ('level' in entry ? entry.level : 0));
  return `${(to ?? 0) > (from ?? 0) ? 'DICT_LEVEL_RAISED' : 'DICT_LEVEL_LOWERED'} from ${from} to ${to}`;
}

function breakingChanges(before: DictionaryEntry, after: DictionaryEntry): string[] {
  if (before.kind === 'element' && after.kind === 'element') return elementBreaks(before, after);
  if (before.kind === 'codelist' && after.kind === 'codelist') return codelistBreaks(before, after);
  if (before.kind === 'mapping' && after.kind === 'mapping') return otherMembers(before, after, ['from', 'to']);
  if (before.kind === 'predicate' && after.kind === 'predicate') return predicateBreaks(before, after);
  return [];
}

function elementBreaks(before: ElementEntry, after: ElementEntry): string[] {
  return [...otherMembers(before, after, ['codelist', 'unit']), ...domainBreaks(before.domain, after.domain)];
}

/** A threshold may follow the law that sets it; another expression or other inputs are another question. */
function predicateBreaks(before: PredicateEntry, after: PredicateEntry): string[] {
  return otherMembers(before, after, ['inputs', 'expression']);
}

function otherMembers(before: object, after: object, names: readonly string[]): string[] {
  return names.filter((name) => !sameMember(before, after, name)).map((name) => `another ${name}`);
}

function codelistBreaks(before: CodelistEntry, after: CodelistEntry): string[] {
  const kept = new Set(after.codes.map(({ code }) => code));
  const gone = before.codes.filter(({ code }) => !kept.has(code)).map(({ code }) => code);
  if (gone.length === 0) return [];
  return [
    `without the codes ${gone.slice(0, 10).join(', ')}${gone.length > 10 ? ` and ${gone.length - 10} more` : ''}`,
  ];
}

/** Where a value may have fitted before and does not now. Whether one pattern includes another is not decided: it moved. */
function domainBreaks(before: ValueDomain, after: ValueDomain): string[] {
  const breaks: string[] = [];
  if (before.type !== after.type) breaks.push(`type ${before.type} became ${after.type}`);
  for (const word of ['format', 'pattern'] as const) {
    if (after[word] !== undefined && after[word] !== before[word]) breaks.push(`another ${word}`);
  }
  for (const word of ['minLength', 'minimum'] as const) {
    const [low, high] = [before[word] ?? LEAST[word], after[word] ?? LEAST[word]];
    if (high > low) breaks.push(`${word} rose to ${high}`);
  }
  for (const word of ['maxLength', 'maximum'] as const) {
    const [high, low] = [before[word] ?? Infinity, after[word] ?? Infinity];
    if (low < high) breaks.push(`${word} fell to ${low}`);
  }
  const { multipleOf } = after;
  if (multipleOf !== undefined && (before.multipleOf === undefined || !isMultiple(before.multipleOf, multipleOf))) {
    breaks.push(`only multiples of ${multipleOf}`);
  }
  const listed = after.enum;
  if (listed !== undefined && (before.enum === undefined || before.enum.some((value) => !listed.includes(value)))) {
    breaks.push('fewer values in enum');
  }
  return breaks;
}

const LEAST = { minLength: 0, minimum: -Infinity };
