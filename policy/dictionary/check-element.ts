// The rules for elements: a domain that says something, exactly one authority in each jurisdiction at each time, and
// tests that come out as written. Element entries are the dictionary editors'.
import { dayOf } from '#policy/calendar.ts';
import type { ElementEntry, ValueDomain } from '#schemas/dictionary-entry.ts';
import type { Dictionary } from './dictionary.ts';
import { domainMisfit, misfit, patternOf } from './value-domain.ts';

/** What one rule says about one entry. */
export interface EntryFailure {
  /** DICT_*, or MAP_* and PRED_* for what only mappings and predicates can get wrong. */
  code: string;
  detail: string;
}

export function elementFailures(element: ElementEntry, dictionary: Dictionary): EntryFailure[] {
  const domain = domainFailures(element);
  const isTestable = domain.length === 0 && (element.codelist === undefined || dictionary.codelist(element.codelist));
  return [...domain, ...authorityFailures(element), ...(isTestable ? testFailures(element, dictionary) : [])];
}

function domainFailures({ domain, codelist }: ElementEntry): EntryFailure[] {
  const said: string[] = [];
  const isNumber = domain.type === 'integer' || domain.type === 'number';
  for (const word of STRING_WORDS) {
    if (domain[word] !== undefined && domain.type !== 'string')
      said.push(`${word} says nothing about a ${domain.type}`);
  }
  for (const word of NUMBER_WORDS) {
    if (domain[word] !== undefined && !isNumber) said.push(`${word} says nothing about a ${domain.type}`);
  }
  if (domain.pattern !== undefined && patternOf(domain) === null) said.push('pattern is no regular expression');
  if ((domain.minLength ?? 0) > (domain.maxLength ?? Number.POSITIVE_INFINITY))
    said.push('minLength is over maxLength');
  if ((domain.minimum ?? -Infinity) > (domain.maximum ?? Infinity)) said.push('minimum is over maximum');
  if (codelist !== undefined && domain.type !== 'string') said.push('the codes of a codelist are strings');
  if (said.length === 0) said.push(...enumFaults(domain));
  return said.map((detail) => ({ code: 'DICT_DOMAIN', detail }));
}

const STRING_WORDS = ['format', 'pattern', 'minLength', 'maxLength'] as const;
const NUMBER_WORDS = ['minimum', 'maximum', 'multipleOf'] as const;

function enumFaults(domain: ValueDomain): string[] {
  const values = domain.enum ?? [];
  const said = values.flatMap((value, index) => {
    const wrong = misfit(value, domain);
    return wrong === null ? [] : [`enum ${index + 1} ${wrong}`];
  });
  return new Set(values).size === values.length ? said : [...said, 'enum lists a value twice'];
}

/** Half-open periods [from, until); an element that is in use has somebody who says what is true. */
function authorityFailures({ authorities, state }: ElementEntry): EntryFailure[] {
  const failures: EntryFailure[] = [];
  if (authorities.length === 0 && (state === 'standard' || state === 'candidate')) {
    failures.push({ code: 'DICT_AUTHORITY_MISSING', detail: `${state} without an authority` });
  }
  for (const { jurisdiction, member, from, until } of authorities) {
    const isPeriod = dayOf(from) !== null && (until === null || (dayOf(until) !== null && from < until));
    if (!isPeriod) {
      failures.push({ code: 'DICT_AUTHORITY_PERIOD', detail: `${jurisdiction} ${member}: ${from} until ${until}` });
    }
  }
  const inOrder = authorities.toSorted(
    (a, b) => order(a.jurisdiction, b.jurisdiction) || order(a.from, b.from) || order(a.member, b.member),
  );
  // In order of their beginnings: when any two share a day, two neighbours do.
  for (const [at, next] of inOrder.entries()) {
    const last = inOrder[at - 1];
    if (last?.jurisdiction === next.jurisdiction && (last.until === null || next.from < last.until)) {
      const detail = `${next.jurisdiction}: ${last.member} and ${next.member} from ${next.from}`;
      failures.push({ code: 'DICT_AUTHORITY_OVERLAP', detail });
    }
  }
  return failures;
}

function testFailures(element: ElementEntry, dictionary: Dictionary): EntryFailure[] {
  const failures = element.tests.flatMap(({ value, valid }, index): EntryFailure[] => {
    const wrong = domainMisfit(value, element, dictionary);
    if ((wrong === null) === valid) return [];
    return [{ code: 'DICT_TEST_FAILED', detail: `test ${index + 1}: ${wrong ?? 'fits'}` }];
  });
  return [...failures, ...oneSided(element.tests)];
}

/** Tests of one kind would also pass against a domain that takes everything, or nothing. */
export function oneSided(tests: readonly { valid: boolean }[]): EntryFailure[] {
  return [true, false]
    .filter((valid) => !tests.some((test) => test.valid === valid))
    .map((valid) => ({
      code: 'DICT_TEST_MISSING',
      detail: `no test of a value that ${valid ? 'fits' : 'does not fit'}`,
    }));
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
