// What a new content changes against the one before, in words that an approver can judge: the approver's own program
// works it out from the parts, because the registry that asks for the signature is the one that is being checked.
import { canonicalJson } from '#schemas/canonical-json.ts';
import type { OcspRules } from '#schemas/configuration.ts';
import { refOf } from '#schemas/dictionary-entry.ts';
import type { JsonValue } from '#schemas/json.ts';
import { purposeHashOf } from './consent-parts.ts';
import type { PartIndex } from './parts.ts';
import { addTimeStampFacts } from './time-stamp-parts.ts';
import { addWitnessFacts } from './witness-parts.ts';

export interface ConfigurationChange {
  change: 'added' | 'removed' | 'changed';
  kind: string;
  id: string;
}

/**
 * Members, subsystems, servers, their announced maintenance, certificates and keys, services and their binding tables, the dictionary's release
 * and entries, trust and limits, purposes, consent services and identity providers with their
 * keys, officials' keys, global groups with their members, witnesses, time-stamp authorities; sorted by kind and id. Parts that are in both (the same object) are not looked into.
 */
export function changesBetween(before: readonly PartIndex[], after: readonly PartIndex[]): ConfigurationChange[] {
  const [kept, wanted] = [new Set(before), new Set(after)];
  const old = facts(before.filter((part) => !wanted.has(part)));
  const next = facts(after.filter((part) => !kept.has(part)));
  const changes: ConfigurationChange[] = [];
  for (const [name, value] of next) {
    const was = old.get(name);
    if (was !== value) changes.push(change(was === undefined ? 'added' : 'changed', name));
  }
  for (const name of old.keys()) if (!next.has(name)) changes.push(change('removed', name));
  return changes.sort((a, b) => (`${a.kind} ${a.id}` < `${b.kind} ${b.id}` ? -1 : 1));
}

function change(what: ConfigurationChange['change'], name: string): ConfigurationChange {
  const space = name.indexOf(' ');
  return { change: what, kind: name.slice(0, space), id: name.slice(space + 1) };
}

function facts(parts: readonly PartIndex[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of parts) {
    const { members, servers, services, trust, limits } = part;
    addDictionary(found, part);
    addConsent(found, part);
    addWitnessFacts(found, part.witnesses);
    addTimeStampFacts(found, part.timeStamps);
    for (const { id, name, subsystems } of members) {
      found.set(`member ${id}`, name);
      for (const each of subsystems) found.set(`subsystem ${id}/${each.code}`, each.name);
    }
    for (const server of servers) {
      const { id, address, subsystems, log } = server;
      found.set(`server ${id}`, canonicalJson(log));
      // One line each: whom a server speaks for, and where messages for it go, is what an approver must see.
      found.set(`address ${id} ${address}`, '');
      for (const subsystem of subsystems) found.set(`speaks-for ${id} ${subsystem}`, '');
      if (server.maintenance) {
        const { notice, untilMs } = server.maintenance;
        const until = untilMs === null ? 'open-ended' : `until ${new Date(untilMs).toISOString()}`;
        found.set(`maintenance ${id} ${until}: ${notice}`, '');
      }
      for (const { hash } of server.authenticationCertificates)
        found.set(`authentication-certificate ${id} ${hash}`, '');
      for (const { hash } of server.signingCertificates) found.set(`signing-certificate ${id} ${hash}`, '');
      for (const { kid, notAfterMs } of server.encryptionKeys)
        found.set(`encryption-key ${id} ${kid}`, `${notAfterMs}`);
      for (const { kid, notAfterMs } of server.subjectKeys) found.set(`subject-key ${id} ${kid}`, `${notAfterMs}`);
    }
    for (const { code, title, members: inGroup } of part.groups ?? []) {
      found.set(`global-group ${code}`, title);
      for (const subsystem of inGroup) found.set(`global-group-member ${code} ${subsystem}`, '');
    }
    for (const service of services) found.set(`service ${service.id}`, canonicalJson(service as unknown as JsonValue));
    for (const kind of ['anchors', 'intermediates', 'crls'] as const) {
      for (const der of trust?.[kind] ?? []) found.set(`trust-${kind} ${der.slice(0, 24)}…${der.slice(-24)}`, der);
    }
    addOcspFacts(found, trust?.ocsp);
    for (const [name, value] of Object.entries(limits ?? {})) found.set(`limit ${name}`, String(value));
  }
  return found;
}

/** One line each: who is asked about certificates is what an approver must see. */
function addOcspFacts(found: Map<string, string>, rules: OcspRules | undefined): void {
  if (rules === undefined) return;
  const { mode, responders, namedInCertificate, freshnessMs, graceMs } = rules;
  const asked = namedInCertificate ? ', responders named in certificates as well' : '';
  found.set(`ocsp-rules ${mode}, fresh ${freshnessMs / 60_000} min, grace ${graceMs / 60_000} min${asked}`, '');
  for (const { issuer, url } of responders) found.set(`ocsp-responder ${issuer} ${url}`, '');
}

/**
 * Every entry by its kind and ref: an approver sees which words of the dictionary change meaning, not that a release
 * does. What was read from canonical JSON has its names in order, so that equal entries are equal texts.
 */
function addDictionary(found: Map<string, string>, { dictionary, entries, tables }: PartIndex): void {
  if (dictionary) found.set(`dictionary-release ${dictionary.release}`, JSON.stringify(dictionary));
  for (const entry of entries) found.set(`${entry.kind} ${refOf(entry)}`, JSON.stringify(entry));
  for (const table of tables) found.set(`binding ${table.service}`, JSON.stringify(table));
}

/** A version of a purpose never changes, so its hash says enough; a key is a line of its own. */
function addConsent(found: Map<string, string>, part: PartIndex): void {
  const { purposes = [], consentServices = [], identityProviders = [], officials = [] } = part;
  for (const purpose of purposes) found.set(`purpose ${purpose.id}@${purpose.version}`, purposeHashOf(purpose));
  for (const { subsystem, keys, mandateRegisters = [], ...places } of consentServices) {
    found.set(`consent-service ${subsystem}`, canonicalJson(places));
    for (const register of mandateRegisters) found.set(`mandate-register ${subsystem} ${register}`, '');
    for (const { kid } of keys) found.set(`consent-key ${subsystem} ${kid}`, '');
  }
  for (const { subsystem, keys } of officials) {
    for (const { kid } of keys) found.set(`official-key ${subsystem} ${kid}`, '');
  }
  for (const { issuer, keys, ...terms } of identityProviders) {
    found.set(`identity-provider ${issuer}`, canonicalJson(terms as JsonValue));
    for (const { kid, jwk } of keys) found.set(`identity-key ${issuer} ${kid}`, canonicalJson(jwk as JsonValue));
  }
}
