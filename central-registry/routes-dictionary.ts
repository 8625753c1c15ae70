// Admin API: releases of the shared data dictionary, and the binding tables of services. A release is the whole
// dictionary at once. It is taken only if it passes its own tests, follows the rules of versions against the release
// before, and leaves every bound service bound and every purpose its elements; published it is with the next content, when
// two approvers have signed.

import { dictionaryFiles, entryReader } from '#core/configuration/dictionary-parts.ts';
import { isInUse } from '#policy/binding/leaf.ts';
import { dayOf } from '#policy/calendar.ts';
import { checkDictionary } from '#policy/dictionary/check.ts';
import { type Dictionary, openDictionary } from '#policy/dictionary/dictionary.ts';
import { diffDictionaries } from '#policy/dictionary/diff.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import { MAX_PART_BYTES } from '#schemas/configuration.ts';
import { DictionaryPart } from '#schemas/dictionary-entry.ts';
import { MAX_DICTIONARY_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { Type } from '#schemas/schema-builder.ts';
import { type AdminFrame, PageQuery, pageOf, type RegistryContext } from './admin-frame.ts';
import { purposesWithout } from './purpose-rules.ts';
import { legalDay } from './routes-purposes.ts';
import { putBinding, rebindAll, summary } from './service-binding.ts';

const NewRelease = Type.Object(
  {
    release: DictionaryPart.properties.release,
    releasedOn: DictionaryPart.properties.releasedOn,
    /** Each is judged by the schema of its own kind. */
    entries: Type.Array(Type.Object({}), { minItems: 1, maxItems: DictionaryPart.properties.entries.maximum ?? 0 }),
  },
  { additionalProperties: false },
);
/** One page of tables, in bytes, however many were asked for. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024;

const readEntry = entryReader('DICTIONARY_REFUSED');

export function addDictionaryRoutes(frame: AdminFrame, context: RegistryContext): void {
  const { store, dictionary, clock } = context;
  const release = () => {
    const { release = null, releasedOn = null, entries = 0 } = store.dictionary.release() ?? {};
    return { release, releasedOn, entries };
  };
  frame.read({
    method: 'GET',
    url: '/dictionary',
    summary: 'The newest release of the dictionary, whole',
    permission: 'read',
    read: () => ({ ...release(), entries: dictionary.current()?.entries ?? [] }),
  });
  frame.read({
    method: 'GET',
    url: '/dictionary/release',
    summary: 'Which release is the newest, and how many entries it has',
    permission: 'read',
    read: release,
  });
  frame.change({
    method: 'POST',
    url: '/dictionary',
    summary: 'Release the dictionary: all entries at once',
    permission: 'govern',
    body: NewRelease,
    maxBodyBytes: MAX_DICTIONARY_BYTES,
    prepare: async ({ release, releasedOn, entries }) => {
      if (!dayOf(releasedOn)) throw new AccordError('DICTIONARY_REFUSED', `${releasedOn} is no day`);
      const next = readDictionary(release, entries);
      return { next, files: filesOf(next, releasedOn) };
    },
    change({ body: { release, releasedOn } }, prepared) {
      const { next, files } = prepared as { next: Dictionary; files: Map<string, Buffer> };
      requireSuccessor(dictionary.current(), next);
      requireKnown(context, next);
      const bound = rebindAll(context, next);
      const facts = { release, releasedOn, entries: next.entries.length };
      store.dictionary.putRelease(facts, files, clock.nowMs());
      for (const { service, table, hash } of bound) {
        store.setBindingHash(service, hash);
        putBinding(context, service, table);
      }
      return { status: 201, body: { ...facts, services: bound.length }, target: `dictionary ${release}` };
    },
  });
  frame.read({
    method: 'GET',
    url: '/bindings',
    summary: 'Binding tables, ascending by service; a page may be shorter than was asked for',
    permission: 'read',
    query: PageQuery,
    read(request) {
      const { after, limit } = pageOf(request);
      const items: BindingTable[] = [];
      let bytes = 0;
      const rows = store.dictionary.bindings(after, limit);
      for (const { text } of rows) {
        bytes += text.length;
        if (items.length > 0 && bytes > MAX_PAGE_BYTES) break;
        items.push(JSON.parse(text));
      }
      const more = rows.length === limit || items.length < rows.length;
      return { items, next: more ? (items.at(-1)?.service ?? null) : null };
    },
  });
}

/** By itself: forms, refs, and all rules and tests inside the entries. @throws DICTIONARY_REFUSED */
function readDictionary(release: string, entries: readonly object[]): Dictionary {
  const next = openDictionary(release, entries.map(readEntry));
  const failures = checkDictionary(next);
  if (failures.length > 0) {
    const lines = failures.map(({ entry, code, detail }) => `${entry}: ${code} ${detail}`);
    throw new AccordError('DICTIONARY_REFUSED', summary(lines));
  }
  return next;
}

/** The parts it will be. @throws DICTIONARY_REFUSED when no server would read them */
function filesOf({ release, entries }: Dictionary, releasedOn: string): Map<string, Buffer> {
  const files = dictionaryFiles(release, releasedOn, entries);
  for (const [name, { length }] of files) {
    if (length > MAX_PART_BYTES) throw new AccordError('DICTIONARY_REFUSED', `${name} has ${length} bytes`);
  }
  return files;
}

/** @throws DICTIONARY_REFUSED */
function requireSuccessor(before: Dictionary | null, next: Dictionary): void {
  if (!before) return;
  if (compareVersions(next.release, before.release) <= 0) {
    throw new AccordError('DICTIONARY_REFUSED', `${next.release} does not follow ${before.release}`);
  }
  const { faults } = diffDictionaries(before, next);
  if (faults.length > 0) {
    const lines = faults.map(({ entry, code, detail }) => `${entry}: ${code} ${detail}`);
    throw new AccordError('DICTIONARY_REFUSED', summary(lines));
  }
}

/** Nothing that was approved under the release before loses its words. @throws DICTIONARY_REFUSED */
function requireKnown(context: RegistryContext, next: Dictionary): void {
  const { purposes, identityProviders } = context.store.consent.state();
  const lines = purposesWithout(purposes, next, legalDay(context));
  for (const { issuer, scheme } of identityProviders) {
    const element = next.element(scheme);
    if (!element || !isInUse(element)) lines.push(`identity provider ${issuer} needs ${scheme}`);
  }
  if (lines.length > 0) throw new AccordError('DICTIONARY_REFUSED', summary(lines));
}

/** Three numbers each, as the schema says. */
function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)];
  for (let at = 0; at < 3; at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
