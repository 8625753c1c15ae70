// The dictionary and the binding tables as parts of the global configuration: how a release and the registered tables
// become files, and how a verified file is read again. The dictionary is one small part that names the release and 16
// shards by the first four bits of SHA-256 of an entry's id, so that a changed entry changes one file; tables lie in
// shards as services do.
//
// Approved with their hashes, yet nobody reads 20,000 entries by eye: form, order, shard and number are checked here.
// Whether the entries make sense together is judged before they are released (policy/dictionary).
import { createHash } from 'node:crypto';
import { type BindingTable, bindingTableText } from '#schemas/binding-table.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import { BindingsPart, DictionaryShardPart } from '#schemas/configuration.ts';
import {
  type DictionaryEntry,
  DictionaryPart,
  ENTRY_SCHEMAS,
  type EntryKind,
  refOf,
} from '#schemas/dictionary-entry.ts';
import { memberOf, subsystemOfService } from '#schemas/identifiers.ts';
import type { JsonValue } from '#schemas/json.ts';
import { AccordError, type ProblemCode } from '#schemas/problems.ts';
import { compile } from '#schemas/validate.ts';
import type { PartIndex } from './parts.ts';
import type { DictionaryRelease } from './snapshot.ts';

const readRelease = compile(DictionaryPart, 'CONFIGURATION_INVALID');
const readShard = compile(DictionaryShardPart, 'CONFIGURATION_INVALID');
const readBindings = compile(BindingsPart, 'CONFIGURATION_INVALID');

/** Reads entries by the schema of their kind; the code and the entry's id stand in what it throws. */
export function entryReader(code: ProblemCode): (value: unknown) => DictionaryEntry {
  const readers = new Map(Object.entries(ENTRY_SCHEMAS).map(([kind, schema]) => [kind, compile(schema, code)]));
  return (value) => {
    const { kind, id } = Object(value) as { kind: EntryKind; id: unknown };
    const read = readers.get(kind);
    if (!read) throw new AccordError(code, `${String(id).slice(0, 127)}: no such kind of entry`);
    try {
      return read(value);
    } catch (error) {
      const detail = error instanceof AccordError ? error.detail : '';
      throw new AccordError(code, `${String(id).slice(0, 127)}: ${detail}`, { cause: error });
    }
  };
}

const readEntry = entryReader('CONFIGURATION_INVALID');

/** One hexadecimal digit. */
function dictionaryShardOf(id: string): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 1);
}

/**
 * SHA-256 of the table's one spelling, in base64url: what a service's registration carries. A table with a number that
 * has none (1e300) has the empty hash, which no registration carries.
 */
export function bindingHashOf(table: BindingTable): string {
  const known = hashes.get(table);
  if (known !== undefined) return known;
  let hash = '';
  try {
    hash = createHash('sha256').update(bindingTableText(table)).digest('base64url');
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  hashes.set(table, hash);
  return hash;
}
const hashes = new WeakMap<BindingTable, string>();

/**
 * The files of a release by part name; shards without an entry do not exist.
 * @param releasedOn YYYY-MM-DD
 * @param entries in any order, each ref once
 */
export function dictionaryFiles(
  release: string,
  releasedOn: string,
  entries: readonly DictionaryEntry[],
): Map<string, Buffer> {
  const part: DictionaryPart = { v: 1, release, releasedOn, entries: entries.length };
  const files = new Map([['dictionary', encode(canonicalJson(part))]]);
  const sorted = entries.map((entry) => ({ ref: refOf(entry), entry })).sort((a, b) => (a.ref < b.ref ? -1 : 1));
  for (const [shard, list] of Map.groupBy(sorted, ({ entry }) => dictionaryShardOf(entry.id))) {
    const texts = list.map(({ entry }) => canonicalJson(entry as unknown as JsonValue));
    files.set(`dictionary/${shard}`, encode(`{"entries":[${texts.join(',')}]}`));
  }
  return files;
}

/**
 * The file of one shard of tables.
 * @param texts in their one spelling, ascending by service
 */
export function bindingsFile(texts: readonly string[]): Buffer {
  return encode(`{"tables":[${texts.join(',')}]}`);
}

/** What parts named `dictionary`, `dictionary/X` and `bindings/XX` say. */
export type DictionaryIndex = Pick<PartIndex, 'dictionary' | 'entries' | 'tables'>;

/**
 * @param value the part's JSON
 * @param requireMember refuses a member whose part this is not
 * @throws CONFIGURATION_INVALID, IDENTIFIER_INVALID
 */
export function readDictionaryPart(
  name: string,
  value: JsonValue,
  requireMember: (member: string) => void,
): DictionaryIndex {
  if (name === 'dictionary') return { dictionary: readRelease(value), entries: [], tables: [] };
  if (name.startsWith('dictionary/')) return { entries: readEntries(name.slice(11), value), tables: [] };
  const { tables } = readBindings(value);
  for (const { service } of tables) requireMember(memberOf(subsystemOfService(service)));
  requireAscending(tables.map(({ service }) => service));
  return { entries: [], tables };
}

function readEntries(shard: string, value: JsonValue): DictionaryEntry[] {
  const entries = readShard(value).entries.map(readEntry);
  for (const { id } of entries) {
    if (dictionaryShardOf(id) !== shard) throw new AccordError('CONFIGURATION_INVALID', `${id} lies in another shard`);
  }
  requireAscending(entries.map(refOf));
  return entries;
}

function requireAscending(names: readonly string[]): void {
  for (let at = 1; at < names.length; at++) {
    const [before, here] = [names[at - 1], names[at]];
    if (before !== undefined && here !== undefined && before >= here) {
      throw new AccordError('CONFIGURATION_INVALID', `${here} is out of order or occurs twice`);
    }
  }
}

/**
 * All parts of one content together: the shards hold exactly as many entries as the release says. A part of a release
 * would bind services to elements that nobody can look up.
 * @throws CONFIGURATION_INVALID
 */
export function requireWholeDictionary(parts: readonly PartIndex[]): void {
  const stated = parts.find(({ dictionary }) => dictionary)?.dictionary?.entries;
  const held = parts.reduce((sum, { entries }) => sum + entries.length, 0);
  if (held === (stated ?? 0)) return;
  const says = stated === undefined ? 'no release' : `a release of ${stated}`;
  throw new AccordError('CONFIGURATION_INVALID', `${held} dictionary entries, but ${says}`);
}

/** The release that the parts hold. Versions of the configuration that share its parts share the object. */
export function releaseOf(parts: readonly PartIndex[]): DictionaryRelease | null {
  const named = parts.find(({ dictionary }) => dictionary);
  if (!named?.dictionary) return null;
  const shards = parts.filter(({ entries }) => entries.length > 0);
  const known = releases.get(named);
  const same = known?.shards.length === shards.length && known.shards.every((shard) => shards.includes(shard));
  if (known && same) return known.release;
  const { release } = named.dictionary;
  const made = { release, entries: shards.flatMap(({ entries }) => entries) };
  releases.set(named, { shards, release: made });
  return made;
}
const releases = new WeakMap<PartIndex, { shards: readonly PartIndex[]; release: DictionaryRelease }>();

function encode(text: string): Buffer {
  return Buffer.from(`${text}\n`);
}
