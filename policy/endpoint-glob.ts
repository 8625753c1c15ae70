// Endpoint rules in X-Road's semantics: `*` is one segment, possibly empty; `**` any number of characters; `\` takes
// the next character literally; everything else is literal. Matching is linear in path times rule length, whatever the
// provider's administrator wrote, so that no rule can stall the server.
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
      out.push({ literal: char });
    }
  }
  return out;
}

/** True when `path` (the exact string that will be forwarded) is covered by `glob`. */
export function globMatches(glob: string, path: string): boolean {
  const rule = tokens(glob);
  // Set of rule positions reachable after each character: a nondeterministic automaton, no backtracking.
  let reachable = closure(new Set([0]), rule);
  for (const char of path) {
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

/** True when some rule covers this method and path. */
export function endpointAllowed(rules: readonly EndpointRule[], method: string, path: string): boolean {
  return rules.some((rule) => (rule.method === '*' || rule.method === method) && globMatches(rule.path, path));
}
