// Purposes, consent services, identity providers and officials' keys as parts of the global configuration: how the
// registered ones become files, how a verified file is read again, and how the snapshot looks them up. One small part
// each; a part that says nothing does not exist.
//
// Approved with their hashes, yet form, order and numbering are checked here: a registry that was broken into could hide a
// second version 3, or a second set of keys for one issuer, where an approver reads past it.
import { createHash } from 'node:crypto';
import { canonicalJson } from '#schemas/canonical-json.ts';
import {
  ConsentPart,
  type ConsentServiceEntry,
  IdentityPart,
  type IdentityProviderEntry,
  type OfficialsEntry,
  OfficialsPart,
} from '#schemas/configuration.ts';
import type { JsonValue } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Purpose, PurposesPart, purposeText } from '#schemas/purpose.ts';
import { compile } from '#schemas/validate.ts';
import type { PartIndex } from './parts.ts';
import type { ConsentLookups } from './snapshot.ts';

const readPurposes = compile(PurposesPart, 'CONFIGURATION_INVALID');
const readConsent = compile(ConsentPart, 'CONFIGURATION_INVALID');
const readIdentity = compile(IdentityPart, 'CONFIGURATION_INVALID');
const readOfficials = compile(OfficialsPart, 'CONFIGURATION_INVALID');

/** SHA-256 (base64url) of a purpose's one spelling: what pins the words that were approved. */
export function purposeHashOf(purpose: Purpose): string {
  let hash = hashes.get(purpose);
  if (hash === undefined) {
    hash = createHash('sha256').update(purposeText(purpose)).digest('base64url');
    hashes.set(purpose, hash);
  }
  return hash;
}
const hashes = new WeakMap<Purpose, string>();

/** What the registry's state says of consent; absent and empty are alike. */
export interface ConsentState {
  /** Every version of each. */
  purposes?: readonly Purpose[];
  consentServices?: readonly ConsentServiceEntry[];
  identityProviders?: readonly IdentityProviderEntry[];
  /** Keys of officials, an entry for each subsystem that has any. */
  officials?: readonly OfficialsEntry[];
}

/** The files by part name; those without an entry do not exist. */
export function consentFiles({
  purposes = [],
  consentServices = [],
  identityProviders = [],
  officials = [],
}: ConsentState): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  if (purposes.length > 0) files.set('purposes', encode({ purposes: purposes.toSorted(byIdAndVersion) }));
  if (consentServices.length > 0) {
    const services = consentServices.toSorted((a, b) => order(a.subsystem, b.subsystem)).map(keysInOrder);
    files.set('consent', encode({ services }));
  }
  if (identityProviders.length > 0) {
    const providers = identityProviders.toSorted((a, b) => order(a.issuer, b.issuer)).map(keysInOrder);
    files.set('identity', encode({ providers }));
  }
  if (officials.length > 0) {
    const subsystems = officials.toSorted((a, b) => order(a.subsystem, b.subsystem)).map(keysInOrder);
    files.set('officials', encode({ subsystems }));
  }
  return files;
}

/** What parts named `purposes`, `consent`, `identity` and `officials` say. */
export type ConsentIndex = Pick<PartIndex, 'purposes' | 'consentServices' | 'identityProviders' | 'officials'>;

/** @param value the part's JSON @throws CONFIGURATION_INVALID */
export function readConsentPart(name: string, value: JsonValue, instance: string): ConsentIndex {
  if (name === 'purposes') {
    const { purposes } = readPurposes(value);
    requireNumbered(purposes);
    return { purposes };
  }
  if (name === 'consent') {
    const { services } = readConsent(value);
    requireSubsystems(services, instance);
    return { consentServices: services };
  }
  if (name === 'officials') {
    const { subsystems } = readOfficials(value);
    requireSubsystems(subsystems, instance);
    return { officials: subsystems };
  }
  const { providers } = readIdentity(value);
  requireAscending(providers.map(({ issuer }) => issuer));
  for (const { keys } of providers) requireAscending(keys.map(({ kid }) => kid));
  return { identityProviders: providers };
}

/** Of this instance, each once and in order, and so its keys. */
function requireSubsystems(
  entries: readonly { subsystem: string; keys: readonly { kid: string }[] }[],
  instance: string,
): void {
  for (const { subsystem } of entries) {
    if (!subsystem.startsWith(`${instance}/`)) throw new AccordError('CONFIGURATION_INSTANCE', subsystem);
  }
  requireAscending(entries.map(({ subsystem }) => subsystem));
  for (const { keys } of entries) requireAscending(keys.map(({ kid }) => kid));
}

/** Ids ascending, and the versions of each 1, 2, 3, …: a version that was approved never vanishes. */
function requireNumbered(purposes: readonly Purpose[]): void {
  let [id, version] = ['', 0];
  for (const next of purposes) {
    const follows = next.id === id ? next.version === version + 1 : next.id > id && next.version === 1;
    if (!follows) {
      throw new AccordError(
        'CONFIGURATION_INVALID',
        `purpose ${next.id}@${next.version} is out of order or missing one`,
      );
    }
    [id, version] = [next.id, next.version];
  }
}

function requireAscending(names: readonly string[]): void {
  for (const [at, name] of names.entries()) {
    const before = names[at - 1];
    if (before !== undefined && before >= name) {
      throw new AccordError('CONFIGURATION_INVALID', `${name} is out of order or occurs twice`);
    }
  }
}

/**
 * The lookups of a snapshot over lists as a part holds them. Versions of the configuration that share a list share its
 * index; a list never changes.
 */
export function consentLookups({
  purposes = NO_PURPOSES,
  consentServices = [],
  identityProviders = [],
  officials = NO_OFFICIALS,
}: ConsentState): ConsentLookups {
  return {
    purpose: (id, day) => {
      const newest = indexOf(purposes)
        .versions.get(id)
        ?.findLast(({ from }) => from <= day);
      if (newest === undefined || (newest.until !== null && newest.until <= day)) return undefined;
      return { purpose: newest, hash: purposeHashOf(newest) };
    },
    purposes: () => purposes,
    purposeByHash: (hash) => indexOf(purposes).byHash().get(hash),
    consentService: (wanted) => consentServices.find(({ subsystem }) => subsystem === wanted),
    consentServices: () => consentServices,
    identityProvider: (wanted) => identityProviders.find(({ issuer }) => issuer === wanted),
    identityProviders: () => identityProviders,
    officialKeys: (wanted) => keysBySubsystem(officials).get(wanted) ?? [],
  };
}

interface PurposeIndex {
  /** Ascending by version. */
  versions: Map<string, Purpose[]>;
  byHash: () => Map<string, Purpose>;
}
const NO_PURPOSES: readonly Purpose[] = [];
const indexes = new WeakMap<readonly Purpose[], PurposeIndex>();

function indexOf(purposes: readonly Purpose[]): PurposeIndex {
  const known = indexes.get(purposes);
  if (known) return known;
  let hashed: Map<string, Purpose> | undefined;
  const made = {
    versions: Map.groupBy(purposes.toSorted(byIdAndVersion), ({ id }) => id),
    byHash: () => {
      hashed ??= new Map(purposes.map((purpose) => [purposeHashOf(purpose), purpose]));
      return hashed;
    },
  };
  indexes.set(purposes, made);
  return made;
}

function keysBySubsystem(officials: readonly OfficialsEntry[]): Map<string, OfficialsEntry['keys']> {
  let made = officialIndexes.get(officials);
  if (!made) {
    made = new Map(officials.map(({ subsystem, keys }) => [subsystem, keys]));
    officialIndexes.set(officials, made);
  }
  return made;
}
const NO_OFFICIALS: readonly OfficialsEntry[] = [];
const officialIndexes = new WeakMap<readonly OfficialsEntry[], Map<string, OfficialsEntry['keys']>>();

function byIdAndVersion(a: Purpose, b: Purpose): number {
  return a.id === b.id ? a.version - b.version : order(a.id, b.id);
}

function keysInOrder<T extends { keys: readonly { kid: string }[] }>(entry: T): T {
  return { ...entry, keys: entry.keys.toSorted((a, b) => order(a.kid, b.kid)) };
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function encode(part: object): Buffer {
  return Buffer.from(`${canonicalJson(part as JsonValue)}\n`);
}
