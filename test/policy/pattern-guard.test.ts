// Regular expressions of a service's author that others run: none that a backtracking matcher could be stalled with.
import fc from 'fast-check';
import t from 'tap';
import { patternRefusal } from '#policy/binding/pattern-guard.ts';
import { cpuMs } from '#test/cpu-time.ts';

t.test('patterns that others run', async (t) => {
  const allowed = [
    '^x',
    '^[A-Z]{2}$',
    '^[a-z]+$',
    '-x$',
    '^(?:zh|en|fr)$',
    '^\\d{4}-\\d{2}$',
    '^a?b?c{1,9}$',
    '^[^/]+/[^/]+$',
    '\\p{L}',
    '^[(*)]$',
    '^\\(a\\)\\*$',
  ];
  const refused = [
    '(a+)+$',
    '(a|a)*',
    '(?:a?){30}a{30}',
    '^(a|aa){9}$',
    '(?=a)',
    '(?<!a)b',
    '(a)\\1',
    '[',
    '(a|a)'.repeat(20),
    'a*'.repeat(3),
    `${'a?'.repeat(20)}$`,
    'a'.repeat(201),
    '^a*a*a*$',
    'a{1,256}a{1,256}a{1,256}',
    '(?<n>a)\\k<n>',
  ];
  for (const pattern of allowed) t.equal(patternRefusal(pattern), null, pattern);
  for (const pattern of refused) t.type(patternRefusal(pattern), 'string', pattern);
  const before = cpuMs();
  const pieces = fc.constantFrom(
    'a',
    'a',
    '[ab]',
    '.',
    'a*',
    'a+',
    'a?',
    '(a|a)',
    '(?:a|b|ab)',
    '(?:a?)',
    'a{0,9}',
    '^',
    '$',
    '|',
    '\\w',
  );
  fc.assert(
    fc.property(fc.array(pieces, { minLength: 1, maxLength: 12 }), (parts) => {
      const pattern = `${parts.join('')}!`;
      if (patternRefusal(pattern) !== null) return true;
      const started = cpuMs();
      new RegExp(pattern, 'u').test('a'.repeat(256));
      return cpuMs() - started < 1000;
    }),
    { numRuns: 300 },
  );
  t.ok(cpuMs() - before < 20_000);
});
