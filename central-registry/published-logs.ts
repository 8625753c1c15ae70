// Which logs the registry's witness stands for: those of the servers in the published content, which two approvers signed.
// What is registered and not approved yet is unknown here. Read again part by part when another content is published.

import { readPart } from '#core/configuration/parts.ts';
import { originNumber } from '#core/log/origin.ts';
import type { NoteVerifier } from '#core/log/signed-note.ts';
import { logVerifier } from '#core/witness/log-keys.ts';
import type { Publisher } from './publisher.ts';
import type { RegistryStore } from './store-sqlite.ts';

interface RegisteredLog {
  origin: string;
  key: string;
}
/** By name of the part: its hash and the logs in it by the base of their origin. */
type LogsByPart = Map<string, { hash: string; logs: readonly [string, RegisteredLog][] }>;

export class PublishedLogs {
  readonly #instance: string;
  readonly #store: RegistryStore;
  readonly #publisher: Publisher;
  #generation = -1;
  #parts: LogsByPart = new Map();
  #logs = new Map<string, RegisteredLog>();

  constructor(instance: string, store: RegistryStore, publisher: Publisher) {
    this.#instance = instance;
    this.#store = store;
    this.#publisher = publisher;
  }

  /** The key of the log; undefined for an origin of nobody. */
  verifiersOf(origin: string): readonly NoteVerifier[] | undefined {
    if (this.#generation !== this.#publisher.generation) this.#read();
    const log = this.#logs.get(originNumber(origin).base);
    const verifier = log && logVerifier(log, origin);
    return verifier && [verifier];
  }

  /** Registered servers. */
  get size(): number {
    if (this.#generation !== this.#publisher.generation) this.#read();
    return this.#logs.size;
  }

  #read(): void {
    const { generation } = this.#publisher;
    const parts: LogsByPart = new Map();
    for (const [name, hash] of Object.entries(this.#publisher.partHashes())) {
      if (!name.startsWith('members/')) continue;
      const known = this.#parts.get(name);
      if (known?.hash === hash) parts.set(name, known);
      else {
        const bytes = this.#store.part(hash);
        if (bytes) parts.set(name, { hash, logs: logsOf(readPart(name, bytes, this.#instance).servers) });
      }
    }
    this.#parts = parts;
    this.#logs = new Map([...parts.values()].flatMap(({ logs }) => logs));
    this.#generation = generation;
  }
}

function logsOf(servers: Iterable<{ log: RegisteredLog }>): [string, RegisteredLog][] {
  return [...servers].map(({ log }) => [originNumber(log.origin).base, { origin: log.origin, key: log.key }]);
}
