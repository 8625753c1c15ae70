// One process of campaign `witness`: the registry's witness with the aggregate log, or a department's witness of it, so that
// each one's processor time is its own and the first can be killed. Its first argument is a file with its settings; it
// answers its parent over their channel, one answer to each message.
import { createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { Aggregate } from '#central-registry/aggregate.ts';
import { addAggregateRoutes } from '#central-registry/aggregate-face.ts';
import { AggregateStore } from '#central-registry/aggregate-store-sqlite.ts';
import { systemClock } from '#core/clock.ts';
import { type BoundedClient, openClient } from '#core/http/client.ts';
import { addressOf, openServer } from '#core/http/server-frame.ts';
import { type NoteVerifier, noteVerifier, parseVerifierKey } from '#core/log/signed-note.ts';
import { openAggregateWitness } from '#core/witness/aggregate-witness.ts';
import { type Cosigner, cosigner } from '#core/witness/cosignature.ts';
import { readWitnessPolicy, type WitnessPolicy } from '#core/witness/policy.ts';
import { Witness } from '#core/witness/witness.ts';
import { openWitnessStoreSqlite } from '#core/witness/witness-store-sqlite.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import type { WitnessesPart } from '#schemas/configuration.ts';

export interface WitnessProcessFile {
  role: 'registry' | 'department';
  instance: string;
  name: string;
  database: string;
  /** PKCS#8 PEM: of the witness, and of the aggregate log. */
  cosigners: string[];
  aggregateKey: string;
  /** Of the registry, where it listens and what it stands for. */
  aggregate: { verifierKey: string; url: string };
  /** Where this one listens: the same again after a restart. */
  port: number;
  logs: { origin: string; key: string }[];
}

export type WitnessOrder = { do: 'policy'; part: WitnessesPart } | { do: 'tick' } | { do: 'usage' };

export interface WitnessAnswerOfProcess {
  cpuMs: number;
  rssMib: number;
  databaseBytes: number;
  finished: number;
  turns: number;
  cosigned: number;
  forks: number;
  alarms: string[];
}

interface Role {
  witness: Witness;
  tick?: () => Promise<unknown>;
  finished: () => number;
  policy?: (part: WitnessesPart) => void;
  parts?: Parameters<typeof addAggregateRoutes>[1];
}

const alarms: string[] = [];
let forks = 0;

function registry(file: WitnessProcessFile, cosigners: Cosigner[], http: BoundedClient): Role {
  const store = new AggregateStore(file.database);
  const keys = new Map(file.logs.map(({ origin, key }) => [origin, noteVerifier(origin, fromBase64url(key))]));
  const witness = new Witness({
    store: store.witness,
    cosigners,
    clock: systemClock,
    verifiersOf: (origin) => one(keys.get(origin)),
    onFork: ({ kind }) => {
      if (kind === 'fork') forks++;
    },
  });
  let policy: WitnessPolicy | null = null;
  const aggregate = new Aggregate({
    instance: file.instance,
    store,
    clock: systemClock,
    origin: `accord-aggregate/${file.instance}`,
    key: createPrivateKey(file.aggregateKey),
    http,
    policy: () => policy,
    stamp: () => null,
    contents: () => [],
    onAlarm: (what) => alarms.push(what),
  });
  return {
    witness,
    parts: { witness, aggregate, store },
    tick: () => aggregate.tick(),
    finished: () => aggregate.newestFinished()?.size ?? 0,
    policy(part) {
      policy = readWitnessPolicy(part);
    },
  };
}

function department(file: WitnessProcessFile, cosigners: Cosigner[], http: BoundedClient): Role {
  const store = openWitnessStoreSqlite(file.database);
  const { verifierKey, url } = file.aggregate;
  const verifier = parseVerifierKey(verifierKey);
  const keys = new Map(file.logs.map(({ origin, key }) => [origin, noteVerifier(origin, fromBase64url(key))]));
  const witness = openAggregateWitness({
    ...{ store, cosigners, clock: systemClock, http },
    aggregate: () => ({ verifier, url }),
    rules: { instance: file.instance, verifierOf: (origin) => keys.get(origin), contentHash: () => undefined },
    onWrong: (detail) => alarms.push(detail),
    onStrange: (origins) => alarms.push(`not signed: ${origins[0]}`),
  });
  return { witness, finished: () => store.latest(verifier.name)?.size ?? 0 };
}

function one(verifier: NoteVerifier | undefined): NoteVerifier[] | undefined {
  return verifier && [verifier];
}

async function main(): Promise<void> {
  flushCompileCache(); // a process that will be killed has no end at which this would happen
  const file = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as WitnessProcessFile;
  const cosigners = file.cosigners.map((pem) => cosigner(file.name, createPrivateKey(pem)));
  const http = openClient();
  const face = openServer({ name: file.role });
  const role = file.role === 'registry' ? registry(file, cosigners, http) : department(file, cosigners, http);
  if (role.parts !== undefined) addAggregateRoutes(face, role.parts, systemClock);
  else {
    face.removeAllContentTypeParsers();
    face.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    face.post('/add-checkpoint', async (request, reply) => {
      const { status, type, body } = await role.witness.add(request.body as Buffer);
      return reply.code(status).type(type).send(body);
    });
  }
  await face.listen({ host: '127.0.0.1', port: file.port });
  process.on('message', async (order: WitnessOrder) => {
    if (order.do === 'policy') role.policy?.(order.part);
    if (order.do === 'tick') await role.tick?.();
    process.send?.(answer(role, file.database));
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.({ url: addressOf(face) });
}

function answer({ witness, finished }: Role, database: string): WitnessAnswerOfProcess {
  const { user, system } = process.cpuUsage();
  const sizes = [database, `${database}-wal`].map((path) => (existsSync(path) ? statSync(path).size : 0));
  return {
    cpuMs: (user + system) / 1000,
    rssMib: Math.round(process.memoryUsage.rss() / 1024 ** 2),
    databaseBytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    finished: finished(),
    turns: witness.counts.turns,
    cosigned: witness.counts.cosigned,
    forks,
    alarms: alarms.splice(0),
  };
}

void main();
