// A configuration that a test or a campaign holds in its hand: what both servers see, changed by assignment. The real
// client of the registry has tests of its own.
import { createHash, X509Certificate } from 'node:crypto';
import type { ServerIdentity } from '#cli/dev/throw-away-authority.ts';
import { consentLookups } from '#core/configuration/consent-parts.ts';
import { bindingHashOf } from '#core/configuration/dictionary-parts.ts';
import type {
  ConfigurationSnapshot,
  ConfigurationSource,
  DictionaryRelease,
  Freshness,
  ServerEntry,
} from '#core/configuration/snapshot.ts';
import type { TimeStampRules } from '#core/configuration/time-stamp-parts.ts';
import type { WitnessPolicy } from '#core/witness/policy.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import type { BindingTable } from '#schemas/binding-table.ts';
import type { ConsentServiceEntry, IdentityProviderEntry, OfficialKeyEntry } from '#schemas/configuration.ts';
import { memberOf } from '#schemas/identifiers.ts';
import type { Purpose } from '#schemas/purpose.ts';
import type { RegisteredService } from '#schemas/registrations.ts';

/** The configuration both servers see; change it and call `changed`. */
export class HeldConfiguration implements ConfigurationSource {
  version = 1;
  hash = createHash('sha256').update('held').digest('base64url');
  state: Freshness = 'fresh';
  entries = new Map<string, ServerEntry>();
  services = new Map<string, RegisteredService>();
  dictionary: DictionaryRelease | null = null;
  /** By service; `bind` sets the registered hash too. */
  tables = new Map<string, BindingTable>();
  purposes: Purpose[] = [];
  consentServices: ConsentServiceEntry[] = [];
  identityProviders: IdentityProviderEntry[] = [];
  /** By subsystem: keys of its officials, and the emergency that locks it. */
  officials = new Map<string, OfficialKeyEntry[]>();
  locks = new Map<string, string>();
  /** Global groups: code → members. */
  groups = new Map<string, string[]>();
  trust: ConfigurationSnapshot['trust'] = { anchors: [], intermediates: [] };
  utcOffsetMinutes = 0;
  distrusted = new Set<string>();
  witnesses: WitnessPolicy | null = null;
  timeStamps: TimeStampRules | null = null;
  #listeners = new Set<() => void>();

  current(): ConfigurationSnapshot {
    const { version, hash, entries, services, trust, distrusted, dictionary, tables } = this;
    const live = () => [...entries.values()].filter((one) => !distrusted.has(one.id));
    return {
      instance: 'DEV',
      version,
      hash,
      server: (id) => entries.get(id),
      serverByAuthenticationHash: (wanted) =>
        live().find((one) => one.authenticationCertificates.some((c) => c.hash === wanted && !distrusted.has(wanted))),
      serversOf: (subsystem) => live().filter((one) => one.subsystems.has(subsystem)),
      memberName: (id) =>
        live().some(({ id: server }) => server.startsWith(`${id}/`)) ? `Department ${id}` : undefined,
      members: () =>
        [...Map.groupBy(new Set(live().flatMap((one) => [...one.subsystems])), memberOf)]
          .map(([id, subsystems]) => ({
            id,
            name: `Department ${id}`,
            subsystems: subsystems.map((one) => ({ code: one.slice(id.length + 1), name: `System of ${one}` })),
          }))
          .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      globalGroups: (id) =>
        [...this.groups].flatMap(([code, members]) => (members.includes(id) ? [`DEV/${code}`] : [])).sort(),
      hasGlobalGroup: (id) => this.groups.has(id.slice('DEV/'.length)) && id.startsWith('DEV/'),
      hasSubsystem: (id) => live().some((one) => one.subsystems.has(id)),
      service: (id) => services.get(id),
      services: () => [...services.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      dictionary: () => dictionary,
      binding: (id) => {
        const table = tables.get(id);
        return table && bindingHashOf(table) === services.get(id)?.bindingHash ? table : undefined;
      },
      ...consentLookups({
        purposes: [...this.purposes],
        consentServices: this.consentServices,
        identityProviders: this.identityProviders,
      }),
      officialKeys: (id) => (this.officials.get(id) ?? []).filter(({ kid }) => !distrusted.has(kid)),
      lockedFor: (id) => this.locks.get(id) ?? null,
      utcOffsetMinutes: this.utcOffsetMinutes,
      trust,
      witnesses: () => this.witnesses,
      timeStamps: () => this.timeStamps,
      isDistrusted: (what) => distrusted.has(what),
    };
  }

  freshness(): Freshness {
    return this.state;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Registers the table and its hash for the service, which is registered already. */
  bind(table: BindingTable): void {
    const service = this.services.get(table.service);
    if (!service) throw new TypeError(`${table.service} is not registered`);
    this.tables.set(table.service, table);
    this.services.set(table.service, { ...service, bindingHash: bindingHashOf(table) });
  }

  register(id: string, address: string, subsystems: string[], { registration }: Pick<ServerIdentity, 'registration'>) {
    const certificate = (text: string) => {
      const der = fromBase64url(text);
      return { der, hash: createHash('sha256').update(new X509Certificate(der).raw).digest('base64url') };
    };
    this.entries.set(id, {
      id,
      address,
      authenticationCertificates: registration.authenticationCertificates.map(certificate),
      signingCertificates: registration.signingCertificates.map(certificate),
      encryptionKeys: registration.encryptionKeys,
      subjectKeys: registration.subjectKeys,
      subsystems: new Set(subsystems),
      log: registration.log,
    });
  }
}
