// Endpoint rules in X-Road's semantics: `*` is one segment, possibly empty; `**` any number of characters; `\` takes
// the next character literally; everything else is literal. Matching is linear in path times rule length, whatever the
// provider's administrator wrote, so that no rule can stall the server.
//
// The path is matched as it will be forwarded, but no reading of it by a backend may lead past the rule: an escape is one
// unit (`*20` does not end in the middle of `%20`), and of a path with ';parameters' the rule has to cover what is left
// without them as well (`*.pdf` is not `secret.doc;.pdf`), unless it spells a `;` itself.
import type { EndpointRule } from '#schemas/access-right.ts';

type Token = { any: 'segment' | 'all' } | { literal: string };

function tokens(glob: string): Token[] {
  const out: Token[] = [];
  for (let at = 0; at < glob.length; at += 1) {
    const char = glob.charAt(at);
    if (char === '\\' && at + 1 < glob.length) {
      at += 1;
      out.push({ literal: glob.charAt(at) });
    } else if (char === '*') {
      const isAll = glob.charAt(at + 1) === '*';
      if (isAll) at += 1;
      out.push({ any: isAll ? 'all' : 'segment' });
    } else {
      const [unit = char] = unitsOf(glob.slice(at, at + 3));
      at += unit.length - 1;
      out.push({ literal: unit });
    }
  }
  return out;
}

/** Characters, an escape being one. */
function unitsOf(path: string): string[] {
  return path.match(/%[0-9A-Fa-f]{2}|./gsu) ?? [];
}

const PARAMETERS = /(?:;|%3b)[^/]*/gi;

/** A rule as it is matched; made once for each spelling. */
interface Rule {
  tokens: readonly Token[];
  /** For each token the one character it takes; SEGMENT and ALL for wildcards, ESCAPE for what no single one is. */
  codes: Int32Array;
  /** Where no wildcard takes a slash: what stands between the slashes, text, null for any text, or a rule of its own. */
  segments: readonly (string | null | Int32Array)[] | null;
  hasParameters: boolean;
}

const [SEGMENT, ALL, ESCAPE, SLASH] = [-1, -2, -3, 0x2f];
const MAX_KEPT_RULES = 4_096;
const kept = new Map<string, Rule>();

function ruleOf(glob: string): Rule {
  const known = kept.get(glob);
  if (known !== undefined) return known;
  const list = tokens(glob);
  const codes = Int32Array.from(list, (token) => {
    if ('any' in token) return token.any === 'all' ? ALL : SEGMENT;
    return token.literal.length === 1 ? token.literal.charCodeAt(0) : ESCAPE;
  });
  const segments = codes.includes(ALL) || codes.includes(ESCAPE) ? null : segmentsOf(codes);
  const rule = { tokens: list, codes, segments, hasParameters: glob.search(PARAMETERS) !== -1 };
  if (kept.size >= MAX_KEPT_RULES) kept.clear();
  kept.set(glob, rule);
  return rule;
}

function segmentsOf(codes: Int32Array): NonNullable<Rule['segments']> {
  const segments: (string | null | Int32Array)[] = [];
  for (let from = 0; from <= codes.length; ) {
    const slash = codes.indexOf(SLASH, from);
    const end = slash === -1 ? codes.length : slash;
    const segment = codes.subarray(from, end);
    if (!segment.includes(SEGMENT)) segments.push(String.fromCharCode(...segment));
    else segments.push(segment.length === 1 ? null : segment);
    from = end + 1;
  }
  return segments;
}

/** True when `path` (the exact string that will be forwarded) is covered by `glob`, whoever reads it. */
export function globMatches(glob: string, path: string): boolean {
  const rule = ruleOf(glob);
  // Nearly all: each character is a unit, and nobody cuts anything away.
  if (PLAIN_PATH.test(path)) {
    return rule.segments === null ? coversPlain(rule.codes, path) : coversSegments(rule.segments, path);
  }
  const isPlain = path.search(PARAMETERS) === -1 || rule.hasParameters;
  return covers(rule.tokens, path) && (isPlain || covers(rule.tokens, path.replaceAll(PARAMETERS, '')));
}

/** ASCII without escapes and parameters. */
const PLAIN_PATH = /^[^%;\u0080-\uffff]*$/;

function coversSegments(segments: NonNullable<Rule['segments']>, path: string): boolean {
  let from = 0;
  for (const [at, segment] of segments.entries()) {
    const slash = path.indexOf('/', from);
    if ((slash === -1) !== (at === segments.length - 1)) return false;
    const text = slash === -1 ? path.slice(from) : path.slice(from, slash);
    if (typeof segment === 'string' ? segment !== text : segment !== null && !coversPlain(segment, text)) return false;
    from = slash + 1;
  }
  return true;
}

/** As `covers`; the positions that are reachable stand in `now`, each once. */
function coversPlain(rule: Int32Array, path: string): boolean {
  // When a position was last reached, by the number of characters read.
  const reached = new Int32Array(rule.length + 1).fill(-1);
  let now: number[] = [];
  let next: number[] = [];
  const reach = (from: number, read: number, into: number[]) => {
    // A wildcard may match nothing, so its successor is reachable with it.
    for (let at = from; reached[at] !== read; at += 1) {
      reached[at] = read;
      into.push(at);
      if (rule[at] !== SEGMENT && rule[at] !== ALL) return;
    }
  };
  reach(0, 0, now);
  for (let read = 0; read < path.length; read += 1) {
    const char = path.charCodeAt(read);
    for (const at of now) {
      const takes = rule[at];
      if (takes === char) reach(at + 1, read + 1, next);
      else if (takes === ALL || (takes === SEGMENT && char !== SLASH)) reach(at, read + 1, next);
    }
    if (next.length === 0) return false;
    [now, next] = [next, now];
    next.length = 0;
  }
  return now.includes(rule.length);
}

function covers(rule: readonly Token[], path: string): boolean {
  // Set of rule positions reachable after each character: a nondeterministic automaton, no backtracking.
  let reachable = closure(new Set([0]), rule);
  for (const char of unitsOf(path)) {
    const next = new Set<number>();
    for (const at of reachable) {
      const token = rule[at];
      if (token === undefined) continue;
      if ('literal' in token) {
        if (token.literal === char) next.add(at + 1);
      } else if (token.any === 'all' || char !== '/') {
        next.add(at);
      }
    }
    reachable = closure(next, rule);
    if (reachable.size === 0) return false;
  }
  return reachable.has(rule.length);
}

/** A wildcard may match nothing, so its successor is reachable with it. */
function closure(positions: Set<number>, rule: readonly Token[]): Set<number> {
  for (const at of positions) {
    const token = rule[at];
    if (token !== undefined && 'any' in token) positions.add(at + 1);
  }
  return positions;
}

/**
 * True when every path that `narrow` covers is covered by `glob`. What one character that occurs in no rule stands for,
 * anything stands for: only a wildcard took it, and a wildcard takes any other text in its place.
 * @param narrow without `**`: the template of an operation
 */
export function globCovers(glob: string, narrow: string): boolean {
  const sample = tokens(narrow).map((token) => ('literal' in token ? token.literal : UNUSED));
  return globMatches(glob, sample.join(''));
}
/** In no path, and in no rule that `EndpointRule` takes. */
const UNUSED = '\ue000';

/** True when some rule covers this method and path. */
export function endpointAllowed(rules: readonly EndpointRule[], method: string, path: string): boolean {
  return rules.some((rule) => (rule.method === '*' || rule.method === method) && globMatches(rule.path, path));
}
