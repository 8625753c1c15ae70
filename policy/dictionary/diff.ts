// What a new release of the dictionary changes against the one before, whether it may (Semantic Versioning 2.0.0 for each
// entry; states only go forward), and whom it touches. The registry refuses a release with faults; the editors see the
// same before they send it. Both releases passed check.ts.
import { type DictionaryEntry, refOf } from '#schemas/dictionary-entry.ts';
import type { DictionaryFailure } from './check.ts';
import type { EntryFailure } from './check-element.ts';
import type { Dictionary } from './dictionary.ts';
import { type ChangeSize, changeOf, compareSizes, type EntryChange } from './diff-entry.ts';
import { type Impact, impactOf, type Touched } from './impact.ts';
import { lostMappings } from './lost-mappings.ts';

interface DictionaryChange {
  /** Ref. */
  entry: string;
  change: 'added' | 'removed' | 'changed';
  versionBefore: string | null;
  versionAfter: string | null;
  stateBefore: DictionaryEntry['state'] | null;
  stateAfter: DictionaryEntry['state'] | null;
  /** Somebody who relied on the entry may no longer. */
  breaking: boolean;
  why: string[];
}

export interface DictionaryDiff {
  /** Ascending by ref; entries that stayed the same are not listed. */
  changes: DictionaryChange[];
  impact: Impact[];
  /** Refs of mappings that became lossy, and pairs `a → b` that lost their last lossless way. */
  lossyMappings: string[];
  /** DICT_*: why the release may not follow the one before. */
  faults: DictionaryFailure[];
}

const NOBODY: Touched = { tables: [], purposes: [], rights: [] };

/** @param touched who speaks of entries now; nobody by default, for those who ask only whether it may */
export function diffDictionaries(before: Dictionary, after: Dictionary, touched: Touched = NOBODY): DictionaryDiff {
  const changes: DictionaryChange[] = [];
  const faults: DictionaryFailure[] = [];
  const refs = new Set([...before.entries, ...after.entries].map(refOf));
  for (const entry of [...refs].sort()) {
    const [old, now] = [before.get(entry), after.get(entry)];
    const found = compareEntries(old, now);
    if (found === null) continue;
    changes.push({
      entry,
      change: old === undefined ? 'added' : now === undefined ? 'removed' : 'changed',
      versionBefore: old?.version ?? null,
      versionAfter: now?.version ?? null,
      stateBefore: old?.state ?? null,
      stateAfter: now?.state ?? null,
      breaking: found.size === 'major',
      why: found.why,
    });
    for (const fault of faultsOf(old, now, found)) faults.push({ entry, ...fault });
  }
  const changed = changes.map(({ entry }) => entry);
  return {
    changes,
    impact: impactOf(changed, [before, after], touched),
    lossyMappings: lostMappings(before, after),
    faults,
  };
}

/** Null when nothing changed, not even the version. */
function compareEntries(old: DictionaryEntry | undefined, now: DictionaryEntry | undefined): EntryChange | null {
  if (old === undefined) return { size: 'none', why: [] };
  if (now === undefined)
    return { size: old.state === 'draft' || old.state === 'retired' ? 'none' : 'major', why: ['gone'] };
  const change = changeOf(old, now);
  return change.size === 'none' && old.version === now.version ? null : change;
}

const LIFE: readonly DictionaryEntry['state'][] = ['draft', 'candidate', 'standard', 'deprecated', 'retired'];

function faultsOf(
  old: DictionaryEntry | undefined,
  now: DictionaryEntry | undefined,
  change: EntryChange,
): EntryFailure[] {
  if (old === undefined) return [];
  if (now === undefined) {
    const inUse = old.state === 'standard' || old.state === 'deprecated';
    return inUse ? [{ code: 'DICT_REMOVED', detail: `was ${old.state}: it has to be retired in a release first` }] : [];
  }
  const faults: EntryFailure[] = [];
  if (LIFE.indexOf(now.state) < LIFE.indexOf(old.state)) {
    faults.push({ code: 'DICT_STATE_BACK', detail: `from ${old.state} to ${now.state}` });
  }
  const raised = raisedBy(old.version, now.version);
  if (raised === null) {
    faults.push({
      code: 'DICT_VERSION_NOT_RAISED',
      detail: `${old.version} to ${now.version}: ${change.why.join(', ')}`,
    });
  } else if (change.size === 'minor' && compareSizes(raised, 'minor') < 0) {
    faults.push({ code: 'DICT_VERSION_TOO_LOW', detail: `a minor is needed: ${change.why.join(', ')}` });
  }
  // Nobody relies on a draft: it may still become anything.
  if (change.size === 'major' && old.state !== 'draft') {
    faults.push({ code: 'DICT_BREAKING', detail: `a new major beside this one is needed: ${change.why.join(', ')}` });
  }
  return faults;
}

/** Which of the three numbers rose; null when the second version does not follow the first. */
function raisedBy(before: string, after: string): ChangeSize | null {
  const [left, right] = [before.split('.').map(Number), after.split('.').map(Number)];
  for (const [at, size] of (['major', 'minor', 'patch'] as const).entries()) {
    const difference = (right[at] ?? 0) - (left[at] ?? 0);
    if (difference !== 0) return difference > 0 ? size : null;
  }
  return null;
}
