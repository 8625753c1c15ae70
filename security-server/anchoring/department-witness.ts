// A security server as a witness of the aggregate log (DESIGN: witnesses): POST /add-checkpoint of C2SP tlog-witness on a
// port of its own, off unless the settings name one. It cosigns a checkpoint only after it fetched every leaf that came
// since and checked that each server's log in it only grew (core/witness/aggregate-witness.ts). Its memory, witness.db, is
// never put back from a backup. Whoever reaches the port controls every byte of a body.
import type { KeyObject } from 'node:crypto';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSnapshot, ConfigurationSource } from '#core/configuration/snapshot.ts';
import { openClient } from '#core/http/client.ts';
import { addressOf, openServer } from '#core/http/server-frame.ts';
import { originNumber } from '#core/log/origin.ts';
import type { NoteVerifier } from '#core/log/signed-note.ts';
import { openAggregateWitness } from '#core/witness/aggregate-witness.ts';
import { cosigner, formatCosignerKey } from '#core/witness/cosignature.ts';
import { logVerifier } from '#core/witness/log-keys.ts';
import type { Witness } from '#core/witness/witness.ts';
import { openWitnessStoreSqlite } from '#core/witness/witness-store-sqlite.ts';
import type { ServerId } from '#schemas/identifiers.ts';
import { MAX_ADD_CHECKPOINT_BYTES } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import { departmentWitnessName } from './witness-keys.ts';

const ORIGIN = 'accord/';
const MAX_CONNECTIONS = 64;

export interface DepartmentWitnessOptions {
  host: string;
  port: number;
  /** Private: Ed25519 and ML-DSA-44. */
  keys: { ed25519: KeyObject; mlDsa44: KeyObject };
}

export interface DepartmentWitnessPorts {
  server: string;
  /** witness.db */
  file: string;
  clock: Clock;
  logger: FastifyBaseLogger;
  configuration: Pick<ConfigurationSource, 'current'>;
}

export interface DepartmentWitness {
  name: string;
  /** C2SP text form, for the part `witnesses` of the configuration. */
  verifierKeys: string[];
  url: string;
  state(): { running: boolean; origins: number; cosigned: number; refused: number };
  close(): Promise<void>;
}

/** @throws LOG_DATABASE_DAMAGED, TypeError for keys of another kind, EADDRINUSE */
export async function openDepartmentWitness(
  { host, port, keys }: DepartmentWitnessOptions,
  { server, file, clock, logger, configuration }: DepartmentWitnessPorts,
): Promise<DepartmentWitness> {
  const name = departmentWitnessName(server);
  const cosigners = [cosigner(name, keys.ed25519), cosigner(name, keys.mlDsa44)];
  const store = openWitnessStoreSqlite(file);
  const http = openClient({ maxConnectionsPerOrigin: 2, maxOrigins: 8 });
  const alarm = (code: string, more: object) => logger.error({ alarm: code, ...more }, 'alarm of the witness');
  const witness = openAggregateWitness({
    ...{ store, cosigners, clock, http },
    aggregate: () => inForce(configuration)?.witnesses()?.aggregate ?? null,
    rules: {
      instance: server.split('/', 1)[0] ?? '',
      verifierOf: (origin) => registeredLog(inForce(configuration), origin),
      contentHash: (version) => heldHash(inForce(configuration), version),
    },
    onFork: ({ origin, kind }) => alarm('WITNESS_UNPROVEN', { origin, kind }),
    onWrong: (detail) => alarm('WITNESS_FEED_WRONG', { detail }),
    onStrange: (origins) => logger.warn({ origins }, 'checkpoints that no key registered now signed'),
    onStopped: (err) => alarm('WITNESS_STOPPED', { err }),
  });
  const app = openPort(witness, logger);
  const close = async () => {
    await app.close();
    await http.close();
    store.close();
  };
  try {
    await app.listen({ host, port });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    ...{ name, url: addressOf(app, 'http'), close },
    verifierKeys: cosigners.map(({ key }) => formatCosignerKey(key)),
    state: () => ({ running: witness.isRunning, origins: store.origins(), ...pickCounts(witness) }),
  };
}

function openPort(witness: Witness, logger: FastifyBaseLogger): FastifyInstance {
  const bodyLimit = MAX_ADD_CHECKPOINT_BYTES;
  const app = openServer({ name: 'witness', bodyLimit, maxConnections: MAX_CONNECTIONS, logger });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.post('/add-checkpoint', async (request, reply) => {
    const answer = await witness.add(Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0));
    return reply.code(answer.status).type(answer.type).send(answer.body);
  });
  return app;
}

function pickCounts({ counts: { cosigned, refused } }: Witness) {
  return { cosigned, refused };
}

/** Null before the first configuration was verified. */
function inForce(configuration: Pick<ConfigurationSource, 'current'>): ConfigurationSnapshot | null {
  try {
    return configuration.current();
  } catch (error) {
    if (isAccordError(error, 'CONFIGURATION_MISSING')) return null;
    throw error;
  }
}

function registeredLog(snapshot: ConfigurationSnapshot | null, origin: string): NoteVerifier | undefined {
  const { base } = originNumber(origin);
  if (!base.startsWith(ORIGIN)) return undefined;
  const registered = snapshot?.server(base.slice(ORIGIN.length) as ServerId)?.log;
  return registered && logVerifier(registered, origin);
}

/** Only the version in force is held with its hash; base64, as a leaf writes it. */
function heldHash(snapshot: ConfigurationSnapshot | null, version: number): string | undefined {
  return snapshot?.version === version ? Buffer.from(snapshot.hash, 'base64url').toString('base64') : undefined;
}
