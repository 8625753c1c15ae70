// The catalogue (DESIGN: the dictionary): which element or predicate means what, which service gives it, at which level
// of sensitivity and for which purposes. Made from a release of the dictionary and the binding tables of the registered
// services; whoever may call this server's services may search it, and controls the text.
import type { BindingOperation, BindingTable } from '#schemas/binding-table.ts';
import type { ElementEntry, Level, PredicateEntry } from '#schemas/dictionary-entry.ts';
import { refOf } from '#schemas/dictionary-entry.ts';
import type { Dictionary } from './dictionary/dictionary.ts';
import { type DictionarySearch, openSearch, openSearchInSteps } from './dictionary/search.ts';

interface CatalogueService {
  service: string;
  method: string;
  /** OpenAPI path template. */
  path: string;
  /** Which identifier it asks for; null when it is about nobody in particular. */
  subjectScheme: string | null;
  /** Empty: whatever an access right names. */
  purposes: readonly string[];
  /** Where it stands in the answer; null for a predicate. */
  leafPath: string | null;
}

export interface CatalogueItem {
  /** `id@major` of the element or predicate. */
  element: string;
  kind: 'element' | 'predicate';
  labels: { zh: string; en: string };
  definition: { zh: string; en: string };
  level: Level;
  state: ElementEntry['state'];
  unit: string | null;
  codelist: string | null;
  /** Compares only within one answer; 0 where nothing was searched for. */
  score: number;
  services: readonly CatalogueService[];
  /** How many further ones there are. */
  moreServices: number;
}

interface CatalogueQuery {
  limit: number;
  /** Nothing more sensitive than this. */
  level?: Level;
  kind?: CatalogueItem['kind'];
}

export interface Catalogue {
  /** Best first; an empty text lists everything, by ref. */
  search(text: string, query: CatalogueQuery): CatalogueItem[];
  item(ref: string): CatalogueItem | undefined;
}

type Shown = ElementEntry | PredicateEntry;

/** An identifier may stand in every service there is. */
const MAX_SERVICES_IN_LIST = 20;
const MAX_SERVICES_OF_ITEM = 1_000;

// Services change every day, releases seldom: the index of a release is made once (a second for 20,000 elements).
const indexes = new WeakMap<Dictionary, DictionarySearch>();

function indexOf(dictionary: Dictionary): DictionarySearch {
  const index = indexes.get(dictionary) ?? openSearch(dictionary);
  indexes.set(dictionary, index);
  return index;
}

/**
 * As `openCatalogue`, with the search index, and pauses: thousands of entries and tables take seconds, a step some
 * milliseconds.
 */
export function* openCatalogueInSteps(
  dictionary: Dictionary,
  tables: readonly BindingTable[],
): Generator<undefined, Catalogue> {
  if (!indexes.has(dictionary)) indexes.set(dictionary, yield* openSearchInSteps(dictionary));
  return catalogueOf(dictionary, yield* placesInSteps(dictionary, tables));
}

/** Pure; the search index is built with the first text that is searched for. */
export function openCatalogue(dictionary: Dictionary, tables: readonly BindingTable[]): Catalogue {
  const steps = placesInSteps(dictionary, tables);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return catalogueOf(dictionary, step.value);
  }
}

function catalogueOf(dictionary: Dictionary, places: ReadonlyMap<string, CatalogueService[]>): Catalogue {
  const all = dictionary.entries
    .filter(isShown)
    .map((entry) => ({ ref: refOf(entry), entry }))
    .sort((a, b) => (a.ref < b.ref ? -1 : 1))
    .map(({ entry }) => entry);
  const itemOf = (entry: Shown, score: number, maxServices = MAX_SERVICES_IN_LIST) =>
    describe(entry, score, places.get(refOf(entry)) ?? [], maxServices);

  return {
    search(text, { limit, level, kind }) {
      const wanted = (entry: Shown) =>
        (level === undefined || entry.level <= level) && (kind === undefined || entry.kind === kind);
      if (text.trim() === '') {
        return all
          .filter(wanted)
          .slice(0, limit)
          .map((entry) => itemOf(entry, 0));
      }
      const index = indexOf(dictionary);
      // The search also finds what has no place here; a longer answer of its own makes up for that.
      for (let asked = limit; ; asked *= 4) {
        const found = index.search(text, asked);
        const items = found.flatMap(({ ref, score }) => {
          const entry = dictionary.get(ref);
          return entry !== undefined && isShown(entry) && wanted(entry) ? [itemOf(entry, score)] : [];
        });
        if (items.length >= limit || found.length < asked) return items.slice(0, limit);
      }
    },
    item(ref) {
      const entry = dictionary.get(ref);
      return entry !== undefined && isShown(entry) ? itemOf(entry, 0, MAX_SERVICES_OF_ITEM) : undefined;
    },
  };
}

function isShown(entry: { kind: string }): entry is Shown {
  return entry.kind === 'element' || entry.kind === 'predicate';
}

function describe(
  entry: Shown,
  score: number,
  places: readonly CatalogueService[],
  maxServices: number,
): CatalogueItem {
  const { kind, labels, definition, level, state } = entry;
  const unit = entry.kind === 'element' ? (entry.unit ?? null) : null;
  const codelist = entry.kind === 'element' ? (entry.codelist ?? null) : null;
  const services = places.slice(0, maxServices);
  const moreServices = places.length - services.length;
  return {
    element: refOf(entry),
    kind,
    labels,
    definition,
    level,
    state,
    unit,
    codelist,
    score,
    services,
    moreServices,
  };
}

/** By ref, where it can be asked for: services ascending, their operations as the table has them. */
function* placesInSteps(
  dictionary: Dictionary,
  tables: readonly BindingTable[],
): Generator<undefined, Map<string, CatalogueService[]>> {
  const places = new Map<string, CatalogueService[]>();
  const put = (ref: string, place: CatalogueService) => {
    const known = places.get(ref);
    if (known === undefined) places.set(ref, [place]);
    else known.push(place);
  };
  for (const table of [...tables].sort((a, b) => (a.service < b.service ? -1 : 1))) {
    for (const operation of table.operations) {
      const { method, path, subject, purposes } = operation;
      const place = { service: table.service, method, path, subjectScheme: subject?.scheme ?? null, purposes };
      const bound = boundPaths(operation);
      for (const [ref, leafPaths] of bound) for (const leafPath of leafPaths) put(ref, { ...place, leafPath });
      for (const predicate of dictionary.predicates) {
        // As a request has it: an input that stands at two places does not say which is meant.
        const isAskable = Object.values(predicate.inputs).every((input) => bound.get(input)?.length === 1);
        if (isAskable) put(refOf(predicate), { ...place, leafPath: null });
      }
    }
    yield;
  }
  return places;
}

/** Element to its places in successful answers, ascending. */
function boundPaths({ responses }: BindingOperation): Map<string, string[]> {
  const successful = responses.filter(({ status }) => status.startsWith('2'));
  const elements = new Map<string, string>();
  for (const { leaves } of successful.length > 0 ? successful : responses.filter((one) => one.status === 'default')) {
    for (const leaf of leaves) if (leaf.role === 'data') elements.set(leaf.path, leaf.element);
  }
  const paths = new Map<string, string[]>();
  for (const [path, element] of [...elements].sort(([a], [b]) => (a < b ? -1 : 1))) {
    paths.set(element, [...(paths.get(element) ?? []), path]);
  }
  return paths;
}
