// Entries that pass every rule of the dictionary until a test changes them.
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import type { DictionaryEntry, ElementEntry } from '#schemas/dictionary-entry.ts';

export const WORDS = { zh: '词', en: 'word' };
const common = (id: string) => ({ id, version: '1.0.0', state: 'standard' as const, labels: WORDS, definition: WORDS });
export const GX = { jurisdiction: 'GX', member: 'GX/GOV/1', from: '2020-01-01', until: null };
export const TESTS = [
  { value: '1', valid: true },
  { value: 'xxxxxxxxxx', valid: false },
];

export function element(id: string, over: object = {}): ElementEntry {
  const domain = { type: 'string', maxLength: 9 };
  return { kind: 'element', ...common(id), domain, level: 2, authorities: [GX], tests: TESTS, ...over } as ElementEntry;
}

export function codelist(id: string, codes: string[] | object[] = ['1', '2'], over: object = {}): DictionaryEntry {
  const rows = codes.map((code) => (typeof code === 'string' ? { code, labels: { en: code } } : code));
  const source = { name: 'x', date: '2020-01-01' };
  return { kind: 'codelist', ...common(id), source, codes: rows, tests: TESTS, ...over } as DictionaryEntry;
}

export function group(id: string, members: string[], over: object = {}): DictionaryEntry {
  return { kind: 'group', ...common(id), members, atomic: true, ...over } as DictionaryEntry;
}

export const open = (...entries: DictionaryEntry[]) => openDictionary('1.0.0', entries);
