// Search over the dictionary in Chinese and English: labels, synonyms, ids and definitions of all entries (DESIGN: the
// dictionary). The index lives in memory and is built once for a release; whoever may read the catalogue writes queries.
import MiniSearch, { type SearchResult } from 'minisearch';
import { type DictionaryEntry, refOf } from '#schemas/dictionary-entry.ts';
import type { Dictionary } from './dictionary.ts';

export interface DictionarySearch {
  /** The entries that fit best, best first; scores compare only within one answer. */
  search(text: string, limit: number): { ref: string; score: number }[];
}

const MAX_QUERY_LENGTH = 200;
const MAX_TERMS = 16;
/** Words that stand in every definition: they find nothing and cost most. */
const STOP_WORDS = new Set(
  'a an and as at be by for from has have in is it its of on or s that the their this to was which with'.split(' '),
);
const STOP_PAIR = /[的或及和与是由了之]/u;
/** How much of a definition is looked at, in characters: its beginning says what the thing is. */
const DEFINITION_LENGTH = { zh: 50, en: 180 };
const RUN = /\p{Script=Han}+|[[\p{L}\p{N}\p{M}]--\p{Script=Han}]+/gv;
const HAN = /^\p{Script=Han}/u;
/** What is on its way out stands behind what replaces it. */
const WEIGHT: Record<DictionaryEntry['state'], number> = {
  standard: 1,
  candidate: 0.9,
  draft: 0.7,
  deprecated: 0.4,
  retired: 0.2,
};

/** Entries that are put into the index in one step. */
const STEP_ENTRIES = 16;

export function openSearch(dictionary: Dictionary): DictionarySearch {
  const steps = openSearchInSteps(dictionary);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** As `openSearch`, and pauses: thousands of entries take seconds, a step some milliseconds. */
export function* openSearchInSteps(dictionary: Dictionary): Generator<undefined, DictionarySearch> {
  // Every id begins with the instance's namespace; as a word it would fit everything.
  const namespaces = new Set(dictionary.entries.map(({ id }) => id.slice(0, id.search(/[._]/))));
  const keys = new Map<string, string>();
  const index = new MiniSearch<Document>({
    fields: ['labels', 'synonyms', 'id', 'definition'],
    idField: 'ref',
    tokenize: (text, field) => {
      const terms = words(text, field !== 'definition');
      return field === 'definition' ? [...new Set(terms)] : terms;
    },
    processTerm: (term) => {
      let key = keys.get(term);
      if (key === undefined) {
        key = namespaces.has(term) ? '' : keyOf(term);
        keys.set(term, key);
      }
      return key;
    },
  });
  const documents = documentsOf(dictionary);
  for (let from = 0; from < documents.length; from += STEP_ENTRIES) {
    index.addAll(documents.slice(from, from + STEP_ENTRIES));
    yield;
  }
  keys.clear();
  const query = (terms: string[], fields: (keyof Document)[], combineWith: 'AND' | 'OR') =>
    index.search('', {
      tokenize: () => terms,
      processTerm: keyOf,
      fields,
      boost: { labels: 4, synonyms: 3, id: 2, definition: 1 },
      prefix: (term) => term.length >= 2 && !term.startsWith(HAN_KEY),
      fuzzy: (term) => (term.length >= 4 && !term.startsWith(HAN_KEY) ? 0.2 : false),
      combineWith,
    });
  return {
    search: (text, limit) => {
      const asked = text.slice(0, MAX_QUERY_LENGTH);
      const terms = [...new Set(queryTerms(asked).filter((term) => !namespaces.has(term)))].slice(0, MAX_TERMS);
      // Names first: what only a definition mentions is looked for when names do not fill the answer.
      let found = query(terms, NAMES, 'AND');
      if (found.length < limit) found = query(terms, ALL, 'AND');
      // Nothing has all the words: what has some of them.
      if (found.length === 0) found = query(terms, NAMES, 'OR');
      if (found.length === 0) found = query(terms, ALL, 'OR');
      return rank(dictionary, found, asked.trim()).slice(0, limit);
    },
  };
}

const NAMES: (keyof Document)[] = ['labels', 'synonyms', 'id'];
const ALL: (keyof Document)[] = [...NAMES, 'definition'];
const HAN_KEY = '~';

/**
 * How a term stands in the index. The index is a radix tree that looks at every child of a node in turn: thousands of
 * Chinese characters below its root would make each step slow, their code points in hexadecimal digits do not.
 */
function keyOf(term: string): string {
  if (!HAN.test(term)) return term;
  return HAN_KEY + Array.from(term, (character) => character.codePointAt(0)?.toString(16)).join('');
}

interface Document {
  ref: string;
  labels: string;
  synonyms: string;
  id: string;
  definition: string;
}

function documentsOf({ entries }: Dictionary): Document[] {
  const byRef = new Map<string, Document>();
  for (const entry of entries) {
    const { id, labels, definition, synonyms } = entry;
    byRef.set(refOf(entry), {
      ref: refOf(entry),
      labels: `${labels.zh}\n${labels.en}`,
      synonyms: [...(synonyms?.zh ?? []), ...(synonyms?.en ?? [])].join('\n'),
      id,
      definition: `${definition.zh.slice(0, DEFINITION_LENGTH.zh)}\n${definition.en.slice(0, DEFINITION_LENGTH.en)}`,
    });
  }
  return [...byRef.values()];
}

/** By score and state; an entry that was asked for by its own id or ref stands first. */
function rank(dictionary: Dictionary, found: SearchResult[], asked: string): { ref: string; score: number }[] {
  const top = found[0]?.score ?? 1;
  const scored = found.map(({ id, score }) => {
    const state = dictionary.get(id)?.state ?? 'standard';
    const exact = asked === id || asked === id.slice(0, id.indexOf('@')) ? top * 10 : 0;
    return { ref: id as string, score: (score + exact) * WEIGHT[state] };
  });
  return scored.sort((a, b) => b.score - a.score || (a.ref < b.ref ? -1 : 1));
}

/** Latin words in lower case; Chinese, which has no spaces, as pairs of characters and, for short texts, characters. */
function words(text: string, singles: boolean): string[] {
  const terms: string[] = [];
  for (const run of runsOf(text)) {
    if (!HAN.test(run)) {
      if (!STOP_WORDS.has(run)) terms.push(run);
      continue;
    }
    const characters = [...run];
    if (singles || characters.length === 1) terms.push(...characters);
    for (let i = 1; i < characters.length; i++) {
      const pair = `${characters[i - 1]}${characters[i]}`;
      if (singles || !STOP_PAIR.test(pair)) terms.push(pair);
    }
  }
  return terms;
}

/** A query's pairs say enough; its single characters would only bring noise, unless there is nothing else. */
function queryTerms(text: string): string[] {
  const terms = words(text, false);
  return terms.length > 0 ? terms : words(text, true);
}

function runsOf(text: string): string[] {
  return text.normalize('NFKC').toLowerCase().match(RUN) ?? [];
}
