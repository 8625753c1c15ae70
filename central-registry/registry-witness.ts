// The registry's witness and the aggregate log as one thing: the memory in witness.db, who is witnessed (the published
// servers), who cosigns and stamps (the published parts `witnesses` and `time-stamps`), and the minute's work.
//
// A crash anywhere is taken up by the next start: what was stored and not answered is asked for again by whoever waits
// for it (core/witness/store.ts), what was signed and not cosigned goes to the witnesses with the next minute.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Clock, everyUnref } from '#core/clock.ts';
import { timeStampRulesOf } from '#core/configuration/time-stamp-parts.ts';
import { policyOf } from '#core/configuration/witness-parts.ts';
import { type BoundedClient, openClient } from '#core/http/client.ts';
import { formatVerifierKey, parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import { openTimeStampClient } from '#core/time-stamp-client.ts';
import { openTimeStampStatus } from '#core/time-stamp-status.ts';
import { TIME_STAMP_STATUS_FILE } from '#core/time-stamp-status-file.ts';
import { type Cosigner, cosigner, formatCosignerKey } from '#core/witness/cosignature.ts';
import type { WitnessPolicy } from '#core/witness/policy.ts';
import type { ForkEvidence } from '#core/witness/store.ts';
import { Witness } from '#core/witness/witness.ts';
import { Aggregate, type Stamp } from './aggregate.ts';
import { AggregateStore } from './aggregate-store-sqlite.ts';
import { PublishedLogs } from './published-logs.ts';
import type { Publisher } from './publisher.ts';
import type { RegistryStore } from './store-sqlite.ts';
import { aggregateOrigin, type WitnessKeys } from './witness-keys.ts';

export interface RegistryWitnessPorts {
  instance: string;
  /** Where witness.db lies. */
  folder: string;
  keys: WitnessKeys;
  store: RegistryStore;
  publisher: Publisher;
  clock: Clock;
  /** Instead of the authorities that are published. */
  stamp?: Stamp | undefined;
  everyMs?: number | undefined;
  onAlarm(what: string, error: unknown): void;
}

const EVERY_MS = 60_000;

export class RegistryWitness {
  readonly witness: Witness;
  readonly aggregate: Aggregate;
  readonly #store: AggregateStore;
  readonly #logs: PublishedLogs;
  readonly #cosigners: readonly Cosigner[];
  readonly #http: BoundedClient;
  readonly #stop: () => void;

  /** @throws LOG_DATABASE_DAMAGED, TypeError for keys of another kind */
  constructor(ports: RegistryWitnessPorts) {
    const { instance, keys, store, publisher, clock, onAlarm } = ports;
    this.#cosigners = keys.cosigners.map((key) => cosigner(keys.name, key));
    this.#store = new AggregateStore(join(ports.folder, 'witness.db'));
    this.#logs = new PublishedLogs(instance, store, publisher);
    this.#http = openClient();
    this.witness = new Witness({
      store: this.#store.witness,
      cosigners: this.#cosigners,
      clock,
      verifiersOf: (origin) => this.#logs.verifiersOf(origin),
      onFork: (evidence) => onAlarm(forkText(evidence), null),
      onAhead: (origin, oldSize, size) =>
        onAlarm(`${origin} says it was cosigned at ${oldSize}, here it has ${size}: was witness.db put back?`, null),
      onStopped: (error) => onAlarm('the witness cannot write witness.db and cosigns nothing any more', error),
    });
    const published = publishedStamp(publisher, clock, this.#http, ports.folder, onAlarm);
    this.aggregate = new Aggregate({
      instance,
      store: this.#store,
      clock,
      origin: keys.aggregateOrigin ?? aggregateOrigin(instance),
      key: keys.aggregate,
      nextKey: keys.aggregateNext,
      http: this.#http,
      policy: () => publishedPolicy(publisher),
      stamp: () => ports.stamp ?? published(),
      contents: (after) => store.publishedSince('content', after),
      onAlarm,
    });
    this.#stop = everyUnref(ports.everyMs ?? EVERY_MS, () => void this.aggregate.tick());
  }

  /** What others have to know of it, as verifier keys in C2SP's text form. */
  get identity(): { name: string; verifierKeys: string[]; aggregate: { origin: string; verifierKey: string } } {
    const [first] = this.#cosigners;
    const { verifier } = this.aggregate;
    return {
      name: first?.key.name ?? '',
      verifierKeys: this.#cosigners.map(({ key }) => formatCosignerKey(key)),
      aggregate: { origin: verifier.name, verifierKey: formatVerifierKey(verifier) },
    };
  }

  /** For administrators. */
  state() {
    const { verifierKeyOf: _, ...aggregate } = this.aggregate.state();
    const forks = this.#store.witness.forks();
    return {
      ...this.identity,
      running: this.witness.isRunning,
      servers: this.#logs.size,
      origins: this.#store.witness.origins(),
      forks: forks.filter(({ kind }) => kind === 'fork').length,
      unproven: forks.filter(({ kind }) => kind === 'unproven').length,
      sinceStart: { ...this.witness.counts },
      log: aggregate,
    };
  }

  forks(): ForkEvidence[] {
    return this.#store.witness.forks();
  }

  /** @throws TypeError when it was closed; see `AggregateStore` */
  get store(): AggregateStore {
    return this.#store;
  }

  async close(): Promise<void> {
    this.#stop();
    await this.aggregate.close();
    await this.#http.close();
    this.#store.close();
  }
}

function forkText({ origin, kind, held, shown }: ForkEvidence): string {
  const [one, other] = [held, shown].map((note) => parseCheckpointText(parseNote(note).text).size);
  return kind === 'fork'
    ? `${origin} has two histories: two roots at size ${other}; both checkpoints are kept (accord registry witness-forks)`
    : `${origin} did not prove that ${other} leaves grew out of ${one}; both checkpoints are kept`;
}

function publishedPolicy(publisher: Publisher): WitnessPolicy | null {
  const part = publisher.part('witnesses')?.witnesses;
  return part === undefined ? null : policyOf(part);
}

function publishedStamp(
  publisher: Publisher,
  clock: Clock,
  http: BoundedClient,
  folder: string,
  onAlarm: RegistryWitnessPorts['onAlarm'],
): () => Stamp | null {
  const rules = () => {
    const part = publisher.part('time-stamps')?.timeStamps;
    return part === undefined ? null : timeStampRulesOf(part);
  };
  const authorities = () => rules()?.authorities ?? [];
  const client = openTimeStampClient({
    authorities,
    status: openTimeStampStatus({
      ...{ authorities, clock, http },
      crls: () => rules()?.crls ?? [],
      isDistrusted: (hash) => publisher.isListed(hash),
      kept: {
        file: join(folder, TIME_STAMP_STATUS_FILE),
        onNotKept: (error) => onAlarm('lists about time-stamp authorities could not be kept', error),
      },
      onAlarm: (authority, detail) =>
        onAlarm(`time-stamp authority ${authority}: TIME_STAMP_STATUS_UNKNOWN ${detail}`, null),
    }),
    clock,
    http,
    randomBytes: (count) => randomBytes(count),
    onAlarm: (authority, code, detail) => onAlarm(`time-stamp authority ${authority}: ${code} ${detail}`, null),
  });
  return () => (authorities().length === 0 ? null : (imprint, options) => client.stamp(imprint, options));
}
