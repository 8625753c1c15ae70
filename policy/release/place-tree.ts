// The bound places of one answer as a tree, so that an answer is walked once whatever the number of its leaves (paths:
// schemas/binding-table.ts; names in them are JSON Pointer tokens, RFC 6901). The table was approved with the global
// configuration; the names that are looked up in the tree are the backend's, or another server's.
import type { BindingLeaf, DataLeaf, OtherLeaf } from '#schemas/binding-table.ts';

export interface Place {
  /** Path of the binding table that leads here. */
  path: string;
  named: ReadonlyMap<string, Place>;
  /** What `patternProperties` allows here. */
  patterns: readonly PatternPlace[];
  /** The data leaf bound here. */
  data: DataLeaf | null;
  /** The leaves bound here that hold no data; several when branches of a schema close the same place differently. */
  others: readonly OtherLeaf[];
}

interface PatternPlace {
  source: string;
  expression: RegExp | null;
  place: Place;
}

/** Names longer than a segment of a path may be are bound nowhere, and never reach a pattern. */
const MAX_NAME_LENGTH = 256;

const trees = new WeakMap<readonly BindingLeaf[], Place>();

/** The tree of these leaves; made once for each array, which must not change afterwards. */
export function placeTree(leaves: readonly BindingLeaf[]): Place {
  const known = trees.get(leaves);
  if (known !== undefined) return known;
  const root = emptyPlace('');
  for (const leaf of leaves) {
    const place = placeAt(root, leaf.path);
    if (leaf.role !== 'data') {
      place.others = [...place.others, leaf];
      continue;
    }
    place.data ??= leaf;
    // Where the day stands must be found too, bound or not.
    if (leaf.asOf !== undefined) placeAt(root, leaf.asOf);
  }
  trees.set(leaves, root);
  return root;
}

/**
 * Where a member of that name leads, or null when the table does not know it: a named place goes before patterns. A name
 * that several patterns allow stands at no one place, so it counts as unknown; so does `__proto__`, which no reader of
 * ours accepts.
 */
export function memberPlace(place: Place, name: string): Place | null {
  const named = place.named.get(name);
  if (named !== undefined) return name === '__proto__' ? null : named;
  if (place.patterns.length === 0 || name.length > MAX_NAME_LENGTH || name === '__proto__') return null;
  let found: Place | null = null;
  for (const { expression, place: next } of place.patterns) {
    if (expression?.test(name) !== true) continue;
    if (found !== null) return null;
    found = next;
  }
  return found;
}

/** One more segment for a literal member name. */
export function memberPath(path: string, name: string): string {
  const token = name.replaceAll('~', '~0').replaceAll('/', '~1');
  return `${path}/${token.startsWith('{') ? `~2${token.slice(1)}` : token}`;
}

function placeAt(root: Place, path: string): Place {
  let place = root;
  for (const segment of path.split('/').slice(1)) place = nextPlace(place, segment);
  return place;
}

function nextPlace(place: Place, segment: string): Place {
  const path = `${place.path}/${segment}`;
  if (segment.startsWith('{')) {
    // Without its closing brace it is no segment of ours, and allows nothing.
    const source = segment.endsWith('}') ? unescaped(segment.slice(1, -1)) : '[^\\s\\S]';
    let known = place.patterns.find((one) => one.source === source)?.place;
    if (known === undefined) {
      known = emptyPlace(path);
      place.patterns = [...place.patterns, { source, expression: expressionOf(source), place: known }];
    }
    return known;
  }
  const name = segment.startsWith('~2') ? `{${unescaped(segment.slice(2))}` : unescaped(segment);
  const known = place.named.get(name);
  if (known !== undefined) return known;
  const next = emptyPlace(path);
  // Only the shared one must stay as it is.
  if (place.named === NOTHING.named) place.named = new Map([[name, next]]);
  else (place.named as Map<string, Place>).set(name, next);
  return next;
}

/** JSON Schema's reading: by code points, unanchored. What is no expression allows nothing. */
function expressionOf(source: string): RegExp | null {
  try {
    return new RegExp(source, 'u');
  } catch {
    return null;
  }
}

function unescaped(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** Most places are leaves: a server with a thousand services keeps some hundred thousand, so they share what is empty. */
const NOTHING: Pick<Place, 'named' | 'patterns' | 'others'> = { named: new Map(), patterns: [], others: [] };

function emptyPlace(path: string): Place {
  return { path, ...NOTHING, data: null };
}
