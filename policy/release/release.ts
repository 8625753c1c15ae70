// What of a backend's answer leaves the provider's server (DESIGN: Release, the dictionary). The order: is it bound; can it
// be read strictly; what was decided is mapped into the dictionary's form, and must fit it; the rest is cut away;
// predicates are answered from what was there before; and each decided place is explained. The backend controls status,
// media type, body and the states header; the operation's table, the dictionary and the decision were verified before.
import {
  type AskedField,
  type BoundOperation,
  bareMediaType,
  isJsonType,
  responseFor,
} from '#policy/binding/binding.ts';
import { isUnchanging } from '#policy/unchanging.ts';
import type { BindingLeaf, DataLeaf } from '#schemas/binding-table.ts';
import { type JsonValue, parseJson } from '#schemas/json.ts';
import { MAX_RELEASED_PATHS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { ElementState, Release, ReleasedElement } from '#schemas/release.ts';
import { type BackendAnswer, dataLeaves, dayOf, Faults, type ReleaseFault } from './answer.ts';
import { isStale, oldestOf, readStates, type SaidState } from './element-states.ts';
import { type HiddenValues, hiddenValues, NOTHING_HIDDEN } from './hidden-values.ts';
import { predicateResults } from './predicate-results.ts';
import { selectValues } from './select.ts';
import { type Form, formOf, inForm } from './value-form.ts';

export type Released =
  | { ok: true; body: Buffer; mediaType: string; release: Release; faults: ReleaseFault[] }
  | { ok: false; detail: string };

/**
 * `ok: false`: nothing of this answer may leave, a problem document goes instead; its detail quotes no value. An answer
 * without content is `mediaType: ''` and leaves unless the table binds content to its very status.
 */
export function releaseAnswer(given: BackendAnswer): Released {
  const answer = { ...given, today: dayOf(given) };
  if (answer.decided.asked.length > MAX_RELEASED_PATHS) throw new TypeError('more was decided than can be released');
  const { bound, status, mediaType, body } = answer;
  const faults = new Faults();
  if (body.length === 0) {
    if (mustHaveContent(bound, status)) return { ok: false, detail: `status ${status} came without its body` };
    const release = explained(answer, new Set(), NOTHING_HIDDEN, faults);
    return { ok: true, body, mediaType: '', release, faults: faults.all() };
  }
  const essence = bareMediaType(mediaType ?? '');
  const leaves = responseFor(bound, status, essence);
  if (leaves === null) return { ok: false, detail: `status ${status} with ${quotable(essence)} is not bound` };
  if (!isJsonType(essence) || !isUtf8(mediaType ?? '')) return { ok: false, detail: `${essence} is not JSON in UTF-8` };
  let value: JsonValue;
  try {
    value = parseJson(body);
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return { ok: false, detail: `the body cannot be read: ${error.code}` };
  }
  const present = new Set<string>();
  const left = selectDecided(answer, value, leaves, present, faults);
  const hidden = hiddenValues(answer, value, leaves, faults);
  const release = explained(answer, present, hidden, faults);
  const text = JSON.stringify(left ?? (Array.isArray(value) ? [] : {}));
  return { ok: true, body: Buffer.from(text, 'utf8'), mediaType: essence, release, faults: faults.all() };
}

/** Answers without content (RFC 9110 15.3.5, 15.3.6, 15.4.5). */
const WITHOUT_CONTENT: ReadonlySet<number> = new Set([204, 205, 304]);

/** Whether the table binds content to this very status or its class: then an empty body is no answer. */
function mustHaveContent({ operation }: BoundOperation, status: number): boolean {
  if (operation.method === 'HEAD' || WITHOUT_CONTENT.has(status)) return false;
  const own = [String(status), `${Math.floor(status / 100)}XX`];
  return operation.responses.some((response) => own.includes(response.status));
}

/** A charset, where one is named, has to be UTF-8 (RFC 8259 8.1). */
function isUtf8(mediaType: string): boolean {
  const [, ...parameters] = mediaType.toLowerCase().split(';');
  return parameters.every((parameter) => {
    const [name = '', value = ''] = parameter.split('=').map((part) => part.trim());
    return name !== 'charset' || value === 'utf-8' || value === '"utf-8"';
  });
}

/** A backend's media type is no place for a value to slip into a detail. */
function quotable(essence: string): string {
  return /^[a-z0-9.+-]{1,40}\/[a-z0-9.+-]{1,60}$/.test(essence) ? essence : 'no usable media type';
}

/** Cuts the answer down to what was decided, in the form that was asked for, and notes where a value left. */
function selectDecided(
  answer: BackendAnswer,
  value: JsonValue,
  leaves: readonly BindingLeaf[],
  present: Set<string>,
  faults: Faults,
): JsonValue | undefined {
  const { asked, forms } = formsOf(answer);
  return selectValues(value, leaves, (leaf, scalar) => {
    let form = forms.get(leaf);
    if (form === undefined) {
      form = releasedForm(answer, leaf, asked.get(leaf.path));
      forms.set(leaf, form);
    }
    if (form === 'missing') faults.add(leaf.path, 'the dictionary lacks its element or a mapping');
    if (form === null || form === 'missing') return undefined;
    const formed = inForm(form, scalar);
    if (formed.fault !== null) faults.add(leaf.path, formed.fault);
    if (formed.value !== undefined && formed.value !== null) present.add(leaf.path);
    return formed.value;
  });
}

/** In which form each leaf leaves, as far as answers held it. */
interface Forms {
  asked: ReadonlyMap<string, AskedField>;
  forms: Map<DataLeaf, Form | null | 'missing'>;
}

/** The last of each list of fields: for the same operation, dictionary and day it is the same. */
const formsBefore = new WeakMap<readonly AskedField[], Forms & { of: BackendAnswer }>();

function formsOf(answer: BackendAnswer): Forms {
  const fields = answer.decided.asked;
  const before = formsBefore.get(fields);
  const isSame =
    before?.of.bound.leaves === answer.bound.leaves &&
    before.of.dictionary === answer.dictionary &&
    dayOf(before.of) === dayOf(answer);
  if (isSame) return before;
  const asked = new Map<string, AskedField>();
  for (const field of fields) {
    if (field.path !== null && !asked.has(field.path)) asked.set(field.path, field);
  }
  const made = { asked, forms: new Map<DataLeaf, Form | null | 'missing'>() };
  if (isUnchanging(fields)) formsBefore.set(fields, { ...made, of: { ...answer, body: NO_BODY } });
  return made;
}

const NO_BODY = Buffer.alloc(0);

/**
 * The form in which this leaf leaves, or null when it does not. A decision about a path is about the element that the
 * operation's good answers bind there: an error's document may bind another one at the same path.
 */
function releasedForm(answer: BackendAnswer, leaf: DataLeaf, field: AskedField | undefined): Form | null | 'missing' {
  const decided = dataLeaves(answer.bound.leaves).get(leaf.path);
  if (field === undefined || decided === undefined || decided.element !== leaf.element) return null;
  // `maps` begins with the own form of the leaf that was decided; this answer's leaf may have another one.
  const further = field.maps.slice(decided.map === undefined ? 0 : 1);
  const maps = leaf.map === undefined ? further : [leaf.map, ...further];
  return formOf(answer.dictionary, field.element, maps, dayOf(answer)) ?? 'missing';
}

/** What is said about the answer: each decided place, each predicate, and what was left out. */
function explained(answer: BackendAnswer, present: ReadonlySet<string>, hidden: HiddenValues, faults: Faults): Release {
  const states = readStates(answer.states);
  if (states === null) faults.add('', 'the header accord-states cannot be used');
  const elements = new Map<string, ReleasedElement>();
  const now = new Date(answer.nowMs).toISOString();
  for (const { path, element } of answer.decided.asked) {
    if (path === null || elements.has(path)) continue;
    const beside = oldestOf(hidden.asOfBeside(path));
    elements.set(path, stateOf(answer, { path, element, beside, now }, present.has(path), states?.get(path)));
  }
  return {
    table: answer.binding.hash,
    dictionary: answer.dictionary.release,
    elements: [...elements.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
    predicates: predicateResults(answer, hidden),
    omitted: [...answer.decided.omitted],
  };
}

function stateOf(
  { dictionary, source, nowMs, doubted }: BackendAnswer,
  { path, element, beside, now }: { path: string; element: string; beside: string | null; now: string },
  isPresent: boolean,
  said: SaidState | undefined,
): ReleasedElement {
  const asOf = beside ?? said?.asOf ?? (isPresent ? now : null);
  let state: ElementState = said?.state === undefined || said.state === 'present' ? 'unknown' : said.state;
  // A value that is here is here, whatever else the backend says; only a doubt can stand beside it.
  if (isPresent && state !== 'underInvestigation') state = doubted(element) ? 'underInvestigation' : 'present';
  const stale = asOf !== now && isStale(asOf, dictionary.element(element)?.maxAgeDays, nowMs);
  return { path, element, source: said?.source ?? source, asOf, state, stale };
}
