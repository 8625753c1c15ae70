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

/** True when `path` (the exact string that will be forwarded) is covered by `glob`, whoever reads it. */
export function globMatches(glob: string, path: string): boolean {
  const rule = tokens(glob);
  const isPlain = path.search(PARAMETERS) === -1 || glob.search(PARAMETERS) !== -1;
  return covers(rule, path) && (isPlain || covers(rule, path.replaceAll(PARAMETERS, '')));
}

function covers(rule: Token[], path: string): boolean {
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
function closure(positions: Set<number>, rule: Token[]): Set<number> {
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
