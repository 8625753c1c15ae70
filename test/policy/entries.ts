// Small dictionary entries for the tests of the rules, and those that ship with this exchange.
import { readdirSync, readFileSync } from 'node:fs';
import type { DictionaryEntry, MappingEntry, PredicateEntry } from '#schemas/dictionary-entry.ts';

const text = { zh: '一', en: 'one' };

export function mapping(over: Partial<MappingEntry> = {}): MappingEntry {
  return {
    kind: 'mapping',
    id: 'gx.map.one',
    version: '1.0.0',
    state: 'standard',
    labels: text,
    definition: text,
    from: { value: 'local:a' },
    to: { value: 'local:b' },
    fidelity: 'lossless',
    steps: [{ op: 'trim', at: 'value' }],
    onUnmapped: 'fail',
    examples: [{ in: { value: 'a' }, out: { value: 'a' } }],
    ...over,
  };
}

export function element(id: string, over: Record<string, unknown> = {}): DictionaryEntry {
  const domain = { type: 'string' };
  const base = { kind: 'element', id, version: '1.0.0', state: 'standard', labels: text, definition: text, domain };
  return { ...base, level: 1, authorities: [], tests: [], ...over } as unknown as DictionaryEntry;
}

export function predicate(over: Partial<PredicateEntry> = {}): PredicateEntry {
  return {
    kind: 'predicate',
    id: 'gx.pred.one',
    version: '1.0.0',
    state: 'standard',
    labels: text,
    definition: text,
    level: 1,
    inputs: { x: 'gx.x@1' },
    thresholds: { limit: 18, code: '1' },
    expression: 'x >= thresholds.limit',
    tests: [
      { inputs: { x: 18 }, today: '2026-01-01', result: 'true' },
      { inputs: { x: 17 }, today: '2026-01-01', result: 'false' },
      { inputs: {}, today: '2026-01-01', result: 'unknown' },
    ],
    ...over,
  };
}

/** Every entry in schemas/dictionary. */
export function shippedEntries(): DictionaryEntry[] {
  const files = readdirSync('schemas/dictionary', { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.json'),
  );
  return files.map((name) => JSON.parse(readFileSync(`schemas/dictionary/${name}`, 'utf8')));
}
