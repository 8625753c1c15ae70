// What the release of one answer starts from, and what it finds wrong on the way.

import type { AskedField, Binding, BoundOperation } from '#policy/binding/binding.ts';
import { dayAt } from '#policy/calendar.ts';
import type { Dictionary } from '#policy/dictionary/dictionary.ts';
import type { BindingLeaf, DataLeaf } from '#schemas/binding-table.ts';
import type { OmittedElement } from '#schemas/release.ts';

interface Decided {
  /** Only what was permitted. */
  asked: readonly AskedField[];
  omitted: readonly OmittedElement[];
}

export interface BackendAnswer {
  binding: Binding;
  bound: BoundOperation;
  dictionary: Dictionary;
  decided: Decided;
  status: number;
  /** As the backend wrote it. */
  mediaType: string | null;
  body: Buffer;
  /** The backend's `accord-states` header. */
  states: string | null;
  /** Member that answers. */
  source: string;
  nowMs: number;
  /** YYYY-MM-DD for predicates and dated crosswalks; the day of `nowMs` in UTC when it is not given. */
  today?: string;
  /** Whether a doubt about this element (of this subject) is open. */
  doubted: (element: string) => boolean;
}

/** The backend's mistake, without any value; the answer leaves without what was wrong. */
export interface ReleaseFault {
  /** As the table spells it; '' for the states header. */
  path: string;
  why: string;
}

const MAX_FAULTS = 50;

/** Each mistake once, however long the list is in which it stands. */
export class Faults {
  readonly #seen = new Map<string, ReleaseFault>();

  add(path: string, why: string): void {
    if (this.#seen.size < MAX_FAULTS) this.#seen.set(`${path} ${why}`, { path, why });
  }

  all(): ReleaseFault[] {
    return [...this.#seen.values()];
  }
}

export function dayOf({ today, nowMs }: Pick<BackendAnswer, 'today' | 'nowMs'>): string {
  return today ?? dayAt(nowMs, 0);
}

const indexes = new WeakMap<readonly BindingLeaf[], ReadonlyMap<string, DataLeaf>>();

/** Data leaves by path, the first of each; made once for each array. */
export function dataLeaves(leaves: readonly BindingLeaf[]): ReadonlyMap<string, DataLeaf> {
  let index = indexes.get(leaves);
  if (index === undefined) {
    const data = leaves.filter((leaf) => leaf.role === 'data').reverse();
    index = new Map(data.map((leaf) => [leaf.path, leaf]));
    indexes.set(leaves, index);
  }
  return index;
}
