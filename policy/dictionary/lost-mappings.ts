// Which mappings a release makes lossy, and which forms can no longer be brought into one another without a loss.
import { planMapping } from '#policy/mapping/plan.ts';
import { type MappingEntry, refOf } from '#schemas/dictionary-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Dictionary } from './dictionary.ts';

/** Refs of mappings that became lossy, then pairs of forms (`a → b`) whose last lossless way is gone. */
export function lostMappings(before: Dictionary, after: Dictionary): string[] {
  const becameLossy: string[] = [];
  const lost: MappingEntry[] = [];
  for (const mapping of before.mappings) {
    const now = after.mapping(refOf(mapping));
    if (mapping.fidelity === 'lossless' && now?.fidelity === 'lossy') becameLossy.push(refOf(mapping));
    if (now === undefined || edgeOf(now) !== edgeOf(mapping)) lost.push(mapping);
  }
  return [...becameLossy, ...lostPairs(before, after, lost)];
}

/** What a plan depends on; mappings of the same edge stand for one another in it. */
function edgeOf({ from, to, fidelity, state }: MappingEntry): string {
  return JSON.stringify([from, to, fidelity, state]);
}

/** A pair can only be lost when its way led over a mapping that was lost: from what leads there to where that leads. */
function lostPairs(before: Dictionary, after: Dictionary, lost: readonly MappingEntry[]): string[] {
  const forward = new Map<string, Set<string>>();
  const backward = new Map<string, Set<string>>();
  for (const { from, to } of before.mappings) {
    for (const source of Object.values(from)) {
      for (const target of Object.values(to)) {
        forward.set(source, (forward.get(source) ?? new Set()).add(target));
        backward.set(target, (backward.get(target) ?? new Set()).add(source));
      }
    }
  }
  const pairs = new Set<string>();
  for (const { from, to } of lost) {
    for (const source of reach(Object.values(from), backward)) {
      for (const target of reach(Object.values(to), forward)) {
        if (source === target || !hasWay(before, source, target) || hasWay(after, source, target)) continue;
        pairs.add(`${source} → ${target}`);
      }
    }
  }
  return [...pairs].sort();
}

function reach(starts: readonly string[], edges: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const reached = new Set(starts);
  for (const form of reached) for (const next of edges.get(form) ?? []) reached.add(next);
  return reached;
}

function hasWay(dictionary: Dictionary, from: string, to: string): boolean {
  try {
    planMapping(dictionary, from, to);
    return true;
  } catch (error) {
    if (isAccordError(error) && error.code === 'MAP_NO_PATH') return false;
    throw error;
  }
}
