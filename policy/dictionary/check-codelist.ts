// The rules for codelists: every code once, parents and successors that exist, no code above itself, periods that are
// periods, and tests that come out as written. Codelists are the dictionary editors', taken from published standards.
import { dayOf } from '#policy/calendar.ts';
import type { CodelistEntry } from '#schemas/dictionary-entry.ts';
import { type EntryFailure, oneSided } from './check-element.ts';

export function codelistFailures({ codes, tests }: CodelistEntry): EntryFailure[] {
  const failures: EntryFailure[] = [];
  const parents = new Map<string, string | undefined>();
  for (const { code, parent } of codes) {
    if (parents.has(code)) failures.push({ code: 'DICT_CODE_DUPLICATE', detail: code });
    parents.set(code, parent);
  }
  for (const { code, parent, from, until, replacedBy } of codes) {
    if (parent !== undefined && !parents.has(parent)) {
      failures.push({ code: 'DICT_CODE_PARENT', detail: `${code}: there is no ${parent}` });
    }
    if (replacedBy !== undefined && (replacedBy === code || !parents.has(replacedBy))) {
      failures.push({ code: 'DICT_CODE_REPLACED', detail: `${code}: ${replacedBy} cannot replace it` });
    }
    const days = [from, until].filter((day) => day !== undefined);
    if (!days.every((day) => dayOf(day) !== null) || (from !== undefined && until !== undefined && from >= until)) {
      failures.push({ code: 'DICT_CODE_PERIOD', detail: `${code}: ${from ?? ''} until ${until ?? ''}` });
    }
  }
  for (const code of inCycles(parents)) failures.push({ code: 'DICT_CODE_CYCLE', detail: code });
  for (const [index, { value, valid }] of tests.entries()) {
    const isCode = typeof value === 'string' && parents.has(value);
    if (isCode !== valid) {
      failures.push({ code: 'DICT_TEST_FAILED', detail: `test ${index + 1}: ${isCode ? 'is a code' : 'is no code'}` });
    }
  }
  return [...failures, ...oneSided(tests)];
}

/** Codes whose way up does not end; every code is walked over once. */
function inCycles(parents: ReadonlyMap<string, string | undefined>): string[] {
  const ends = new Map<string, boolean>();
  for (const start of parents.keys()) {
    const way = new Set<string>();
    let code: string | undefined = start;
    while (code !== undefined && !ends.has(code) && !way.has(code)) {
      way.add(code);
      code = parents.get(code);
    }
    const doesEnd = code === undefined || ends.get(code) === true;
    for (const one of way) ends.set(one, doesEnd);
  }
  return [...ends].filter(([, doesEnd]) => !doesEnd).map(([code]) => code);
}
