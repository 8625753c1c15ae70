// Which regular expressions of a service's author are run by others: the names that patternProperties allows and the
// closed domains of technical values are judged at the registry, at the provider's server and at every consumer's. A
// backtracking matcher can be made to run for years by a short expression, so only those are taken whose worst case is
// small for texts of up to 256 characters. The author controls the expression.

/** Longest text that such an expression is run on (a segment of a path; technical values are shorter). */
const TEXT_LENGTH = 256;
const MAX_STEPS = 2 ** 18;
const MAX_PATTERN_LENGTH = 200;

/** Null when the expression may be used; else why not. */
export function patternRefusal(pattern: string): string | null {
  if (pattern.length > MAX_PATTERN_LENGTH) return `a pattern is longer than ${MAX_PATTERN_LENGTH} characters`;
  try {
    new RegExp(pattern, 'u');
  } catch {
    return 'a pattern is no regular expression';
  }
  const steps = worstSteps(pattern);
  if (steps === null) return 'a pattern repeats a group, looks around or refers back';
  return steps > MAX_STEPS ? 'a pattern could take too long' : null;
}

/** Ways in which a matcher may have to try, as a product over all choices; null for what multiplies without bound. */
function worstSteps(pattern: string): number | null {
  if (/\\[1-9k]/.test(pattern)) return null;
  // Classes and escapes are one character each, whatever stands in them.
  const bare = pattern.replaceAll(/\\[pP]\{[^}]*\}|\\u\{[^}]*\}|\\./gs, 'x').replaceAll(/\[[^\]]*\]/gs, 'x');
  if (/\(\?(?!:)/.test(bare) || /\)(?:[*+]|\{)/.test(bare)) return null;
  let steps = bare.startsWith('^') && !bare.includes('|') ? 1 : TEXT_LENGTH;
  for (const [, from, comma, to] of bare.matchAll(/\{(\d+)(,)?(\d*)\}/g)) {
    if (comma !== undefined) steps *= to === '' ? TEXT_LENGTH : Math.max(1, Number(to) - Number(from) + 1);
  }
  const unbounded = bare.match(/[*+]/g)?.length ?? 0;
  const optional = bare.replaceAll('(?:', '(').match(/\?/g)?.length ?? 0;
  return steps * TEXT_LENGTH ** unbounded * 2 ** optional * alternatives(bare);
}

/** The product of the numbers of alternatives, over all groups. */
function alternatives(bare: string): number {
  const open = [1];
  let product = 1;
  for (const char of bare) {
    if (char === '(') open.push(1);
    else if (char === ')') product *= open.pop() ?? 1;
    else if (char === '|') open.push((open.pop() ?? 1) + 1);
  }
  return open.reduce((a, b) => a * b, product);
}
