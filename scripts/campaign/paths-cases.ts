// Paths and queries of campaign `paths`: a grammar of what clients send and attackers try, changed at random, and strings of
// a list of naughty ones where that is at hand. Each case has a seed of its own, so that one can be run alone.
import { readFileSync } from 'node:fs';
import type { Source } from '#scripts/demo/random.ts';

export interface PathCase {
  method: 'GET' | 'DELETE' | 'POST';
  /** What stands behind `/r1/` and the five identifiers, one character a byte as a server reads it. */
  tail: string;
}

const words = (text: string) => text.split(' ');
const PLAIN = words(
  'a b 1 42 pets files admin public index.html report.pdf .well-known ~subject v1 x=1 a,b (c) * ! $ :@ -._~ & + people search',
);
const ESCAPED = words(
  '%20 %61 %7e %7E %C3%A9 %c3%a9 %E4%BA%BA %2B %3D %26 %40 %3a %22 %25 100%25 %25zz %2D %F0%9F%90%88 %35 %30',
);
const TRICKY = [
  ...words(
    '. .. ... %2e %2E %2e%2e .%2e %2e. ..; .; ; ;v=1 ;.pdf %3b %3B.pdf ;x=../.. %2f %2F %5c %5C \\ ..%2f ..%5c %00 %0a %0d%0a',
  ),
  ...words(
    '%09 %7f %c2%85 %252e %252f %255c %2500 %25%32%65 %u002e %25u002e %c0%ae %c0%af %e0%80%af %ff %e9 %ed%a0%80 %f4%90%80%80 %c3',
  ),
  ...words(
    '%ef%bc%8e %ef%bc%8f %ef%bc%bc %ef%bc%9b %ef%bc%852e %e2%80%a4 %e2%80%a5 %e2%84%85 %e2%88%95 %e2%81%84 % %2 %zz %3f %23 ? # é 人 . //',
  ),
  ...[
    '',
    ' ',
    '\t',
    '\0',
    '"',
    '<',
    '{',
    '|',
    '^',
    '`',
    '[',
    ']',
    '..%20',
    '%20.',
    '.accord',
    '%2eaccord',
    '.ACCORD;x',
    'http://h',
  ],
];
const QUERY = [
  ...words(
    'a=1 a=2 a b= = & ? / .. %2e%2e%2f %00 %ff %e9 %252e + ; ;a=1 [x]= [] # %0d%0a \' " \\ %25 %zz % :@ ~ %C3%A9',
  ),
  '',
];

/** @param naughty further strings, taken as they are and percent-encoded */
export function makePath(chance: Source, naughty: readonly string[]): PathCase {
  const kind = chance.integer(0, 9);
  const atoms = kind < 6 ? [PLAIN, PLAIN, ESCAPED] : kind < 9 ? [PLAIN, ESCAPED, TRICKY] : [TRICKY];
  const atom = () => {
    if (naughty.length > 0 && chance.chance(0.03)) {
      const text = chance.pick(naughty);
      return chance.chance(0.7) ? encodeURIComponent(text) : text;
    }
    return chance.pick(chance.pick(atoms));
  };
  const repeated = (most: number, make: () => string, between: string) =>
    Array.from({ length: chance.integer(1, most) }, make).join(between);
  const method = chance.pick(['GET', 'GET', 'DELETE', 'POST'] as const);
  const start = method === 'GET' || chance.chance(0.2) ? '' : method === 'DELETE' ? '/pets' : '/files';
  const segments = chance.chance(0.04) ? '' : `/${repeated(4, () => repeated(2, atom, ''), '/')}`;
  const end = method === 'POST' && chance.chance(0.5) ? '.pdf' : '';
  let tail = start + segments + end + (chance.chance(0.15) ? '/' : '');
  if (chance.chance(0.5))
    tail += `?${chance.chance(0.1) ? '' : repeated(4, () => chance.pick(QUERY), chance.pick(['&', '&', '']))}`;
  if (chance.chance(0.25))
    for (let left = chance.integer(1, 3); left > 0; left -= 1) tail = changed(chance, tail, atom);
  return { method, tail: Buffer.from(tail.toWellFormed(), 'utf8').toString('latin1') };
}

function changed(chance: Source, text: string, atom: () => string): string {
  const at = chance.integer(0, text.length);
  const [before, char, after] = [text.slice(0, at), text.charAt(at), text.slice(at + 1)];
  const escaped = [...Buffer.from(char.toWellFormed())]
    .map((byte) => `%${byte.toString(16).padStart(2, '0')}`)
    .join('');
  const kinds = [
    () => before + atom() + char + after,
    () => before + after,
    () => before + escaped + after,
    () => before + escaped.replaceAll('%', '%25') + after,
    () => before + (char === char.toLowerCase() ? char.toUpperCase() : char.toLowerCase()) + after,
    () => before + char + text.slice(at, at + chance.integer(1, 6)) + after,
    () => before + String.fromCharCode(chance.integer(0, 255)) + after,
  ];
  return chance.pick(kinds)();
}

/** The list of naughty strings, where the vectors lie beside the project; else none. */
export function naughtyStrings(file: string): string[] {
  try {
    const all: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return Array.isArray(all) ? all.filter((one) => typeof one === 'string').map((one) => one.toWellFormed()) : [];
  } catch {
    return [];
  }
}
