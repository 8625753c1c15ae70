// A whole Accord on loopback with throw-away keys: certification authority, registry with both approvers' keys in this
// process (a real instance never does that), and security servers, in this process or each in one of its own. Used by
// `accord dev up`, the demonstration and the tests; every step goes through the code that a real instance uses.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { FastifyBaseLogger } from 'fastify';
import { openThrowawayRegistry, type ThrowawayRegistry } from '#central-registry/throwaway.ts';
import type { Clock } from '#core/clock.ts';
import {
  type DevelopmentTimeStampAuthority,
  openDevelopmentTimeStampAuthority,
} from '#core/development-time-stamp-authority.ts';
import { type BoundedClient, openClient } from '#core/http/client.ts';
import { base64url } from '#schemas/base64url.ts';
import type { DictionaryEntry } from '#schemas/dictionary-entry.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Purpose } from '#schemas/purpose.ts';
import { initWitnessKeys } from '#security-server/anchoring/witness-keys.ts';
import { addAuditorKey, FILES, initServerFolder } from '#security-server/data-folder.ts';
import { readRegistration } from '#security-server/folder-keys.ts';
import type { SecurityServer } from '#security-server/server.ts';
import { resolveSettings } from '#security-server/settings.ts';
import { startServer } from '#security-server/start.ts';
import { openDevelopmentResponder } from './development-responder.ts';
import { openThrowAwayAuthority, type ThrowAwayAuthority } from './throw-away-authority.ts';

/** Development keys protect nothing, so their files need not be slow to open. */
export const DEV_KEY_FILE_COST = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
/** Seconds on a quiet machine; one that compiles and tests beside it is given time. */
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
/** Whose security server is a witness of the aggregate log, by its place; a single member is none. */
const WITNESS_MEMBER = 1;

/**
 * Environment for a process of ours: glibc gives back what key derivation and start-up took for a moment, instead of
 * keeping it in one arena per thread. About 35 MiB less per security server; elsewhere the names mean nothing.
 */
export const LEAN_MEMORY = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_TRIM_THRESHOLD_: '131072',
  MALLOC_MMAP_THRESHOLD_: '131072',
} as const;

/**
 * Likewise for a security server: where compiled code is kept is named before the program's first file is read. Otherwise
 * that one file is compiled anew at each start, for which Node loads a compiler of TypeScript that stays in memory (15 MiB).
 * A folder of its own: the program tells V8 how to grow, and what was compiled under other flags is thrown away.
 */
export const LEAN_SERVER = {
  ...LEAN_MEMORY,
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/accord-server'),
} as const;

export interface DevMember {
  /** INSTANCE/CLASS/MEMBER */
  id: string;
  name: string;
  /** Subsystem code. */
  subsystem: string;
  /** Security server code. */
  server: string;
}

export interface DevServer {
  id: string;
  subsystem: string;
  folder: string;
  urls: SecurityServer['urls'];
  /** Process id of its own process; null when it runs in this one. */
  pid: number | null;
  adminKey: string;
  /** One call of its admin API. @throws Error with the problem's code when it refuses */
  call(method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: object): Promise<unknown>;
  /** Drains and ends; a server that is not ended in time is killed. */
  stop(): Promise<void>;
}

export interface DevNetwork {
  folder: string;
  registry: ThrowawayRegistry;
  authority: ThrowAwayAuthority;
  /** Two, so that one may be away. */
  timeStampAuthorities: readonly DevelopmentTimeStampAuthority[];
  servers: DevServer[];
  passphraseFile: string;
  /** Releases the whole dictionary; services that are bound to it are added afterwards. In force with `publish`. */
  releaseDictionary(release: string, entries: readonly DictionaryEntry[]): Promise<void>;
  /** Registers purposes, each the next version of its own; after the dictionary. In force with `publish`. */
  addPurposes(purposes: readonly Purpose[]): Promise<void>;
  /** Registers a service, gives it a backend and publishes; `right` names who may use it. */
  addService(server: DevServer, service: DevService): Promise<void>;
  /** Draft, both approvals, publication, and every server fetches it. */
  publish(): Promise<void>;
  close(): Promise<void>;
}

interface DevService {
  id: string;
  title: string;
  url: string;
  personalData: boolean;
  safe: boolean;
  description?: object;
}

export interface DevNetworkOptions {
  folder: string;
  instance: string;
  members: readonly DevMember[];
  clock: Clock;
  logger: FastifyBaseLogger;
  /** Each security server in a process of its own. */
  processes: boolean;
}

export async function openDevNetwork(options: DevNetworkOptions): Promise<DevNetwork> {
  const { folder, instance, clock, members } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const authority = await openThrowAwayAuthority(clock);
  const registry = await openThrowawayRegistry({ folder: join(folder, 'registry'), instance, clock });
  const timeStampAuthorities = await openTimeStampAuthorities(clock);
  const responder = await openDevelopmentResponder(authority, options.logger);
  const http = openClient();
  const passphrase = base64url(randomBytes(24));
  const passphraseFile = join(folder, 'passphrase');
  writeFileSync(passphraseFile, `${passphrase}\n`, { mode: 0o600 });
  const servers: DevServer[] = [];
  async function close(): Promise<void> {
    await Promise.all(servers.map((server) => server.stop()));
    await registry.close();
    await http.close();
    await Promise.all([...timeStampAuthorities, responder].map((one) => one.close()));
  }
  const network: DevNetwork = {
    folder,
    registry,
    authority,
    timeStampAuthorities,
    servers,
    passphraseFile,
    async releaseDictionary(release, entries) {
      const releasedOn = new Date(clock.nowMs()).toISOString().slice(0, 10);
      await registry.call('POST', '/dictionary', { release, releasedOn, entries });
    },
    async addPurposes(purposes) {
      for (const purpose of purposes) await registry.call('POST', '/purposes', purpose);
    },
    addService: (server, service) => addService(registry, server, service),
    publish: () => publish(registry, servers),
    close,
  };
  try {
    for (const der of authority.trust.anchors) await putTrust(registry, 'anchor', der);
    for (const der of authority.trust.intermediates) await putTrust(registry, 'intermediate', der);
    await putTimeStamps(registry, timeStampAuthorities);
    await registry.call('POST', '/ocsp', responder.rules);
    const context = { ...options, authority, registry, http, passphrase, passphraseFile };
    const added = await Promise.all(members.map((member, at) => addMember(context, member, at === WITNESS_MEMBER)));
    servers.push(...added.map(({ server }) => server));
    await putWitnesses(registry, added);
    await network.publish();
    return network;
  } catch (error) {
    await close();
    throw error;
  }
}

interface Context extends DevNetworkOptions {
  authority: ThrowAwayAuthority;
  registry: ThrowawayRegistry;
  http: BoundedClient;
  passphrase: string;
  passphraseFile: string;
}

async function putTrust(registry: ThrowawayRegistry, kind: string, der: Buffer): Promise<void> {
  await registry.call('POST', '/trust', { kind, der: base64url(der) });
}

/** Where nobody else is asked for the time, two processes' worth of it live in this one. */
function openTimeStampAuthorities(clock: Clock): Promise<DevelopmentTimeStampAuthority[]> {
  const names = ['development-time-1', 'development-time-2'];
  return Promise.all(names.map((name) => openDevelopmentTimeStampAuthority({ name, clock })));
}

async function putTimeStamps(
  registry: ThrowawayRegistry,
  authorities: readonly DevelopmentTimeStampAuthority[],
): Promise<void> {
  // One of them has a list and the other a responder, so that both ways are gone.
  const named = authorities.map(({ name, url, certificates, crlUrl, ocspUrl }, at) => ({
    ...{ name, url, ...(at === 0 ? { crlUrls: [crlUrl] } : { ocspUrl }) },
    certificates: certificates.map(base64url),
  }));
  await registry.call('POST', '/time-stamps', { authorities: named });
}

interface Added {
  server: DevServer;
  /** Where it is a witness of the aggregate log. */
  witness: { name: string; verifierKeys: string[] } | null;
}

/** The registry's witness, and those departments' that are one; all of them have to cosign. */
async function putWitnesses(registry: ThrowawayRegistry, added: readonly Added[]): Promise<void> {
  const own = registry.witness?.identity;
  if (own === undefined) return;
  const { aggregate, ...registryWitness } = own;
  const witnesses = added.flatMap(({ server, witness }) =>
    witness === null ? [] : [{ ...witness, url: server.urls.witness }],
  );
  const url = registry.configurationUrl.replace(/\/$/, '');
  const named = { aggregate: { ...aggregate, url }, registryWitness, witnesses, quorum: witnesses.length };
  await registry.call('POST', '/witnesses', named);
}

/** What six commands do in a real instance: init, certify twice, register, approve (later), start. */
async function addMember(context: Context, member: DevMember, isWitness: boolean): Promise<Added> {
  const { registry, authority, clock, passphrase } = context;
  const id = `${member.id}/${member.server}`;
  const subsystem = `${member.id}/${member.subsystem}`;
  const folder = join(context.folder, id.replaceAll('/', '-'));
  const ports = { peer: 0, systems: 0, loopback: 0, admin: 0, health: 0 };
  const { requests } = await initServerFolder({
    folder,
    settings: {
      id,
      address: 'https://127.0.0.1:5500',
      host: '127.0.0.1',
      ports,
      logLevel: 'warn',
      ...(isWitness && { witnessPort: 0 }),
    },
    anchorText: JSON.stringify(registry.anchor),
    passphrase,
    nowMs: clock.nowMs(),
    dnsNames: [],
    ipAddresses: ['127.0.0.1'],
    keyFileCost: DEV_KEY_FILE_COST,
  });
  addAuditorKey(folder, 'first auditor');
  for (const profile of ['authentication', 'signing'] as const) {
    const pem = await authority.certify(profile, id, requests[profile] ?? '');
    writeFileSync(join(folder, FILES.certificates, `${profile}.pem`), pem);
  }
  const about = { folder, server: id, passphrase, nowMs: clock.nowMs(), keyFileCost: DEV_KEY_FILE_COST };
  const witness = isWitness ? await initWitnessKeys(about) : null;
  const started = context.processes ? await startProcess(context, folder) : await startHere(context, folder);
  await registry.call('POST', '/members', { id: member.id, name: member.name });
  await registry.call('POST', '/subsystems', { id: subsystem, name: member.name });
  const registration = await readRegistration(folder, id, clock.nowMs());
  await registry.call('POST', '/servers', { id, address: started.urls.peer, subsystems: [subsystem], ...registration });
  const adminKey = readFileSync(join(folder, FILES.adminKey), 'utf8').trim();
  const call: DevServer['call'] = (method, path, body) =>
    adminCall(context.http, started.urls.admin, adminKey, method, path, body);
  return { server: { id, subsystem, folder, ...started, adminKey, call }, witness };
}

type Started = Pick<DevServer, 'urls' | 'pid' | 'stop'>;

async function startHere({ passphrase, clock, logger }: Context, folder: string): Promise<Started> {
  const { settings } = resolveSettings(readFileSync(join(folder, FILES.settings), 'utf8'), {}, {});
  const server = await startServer({ folder, settings, passphrase, clock, logger });
  return { urls: server.urls, pid: null, stop: () => server.close(2_000) };
}

async function startProcess({ passphraseFile }: Context, folder: string): Promise<Started> {
  const env = { ...process.env, ...LEAN_SERVER, ACCORD_KEY_PASSPHRASE_FILE: passphraseFile };
  const child = spawn(process.execPath, [...process.execArgv, 'security-server/main.ts', '--dir', folder], {
    cwd: join(import.meta.dirname, '../..'),
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  endWithUs(child);
  const ready = await firstLine(child);
  const urls = parseJson(ready) as unknown as DevServer['urls'];
  return { urls, pid: child.pid ?? null, stop: () => stopProcess(child) };
}

const children = new Set<ChildProcess>();
const endChildren = () => {
  for (const child of children) child.kill('SIGTERM');
};

/** Ends a child with this process, however this one ends short of kill -9. */
export function endWithUs(child: ChildProcess): void {
  if (children.size === 0) process.once('exit', endChildren);
  children.add(child);
  child.once('exit', () => {
    children.delete(child);
    if (children.size === 0) process.off('exit', endChildren);
  });
}

/** The ready line of a program, or an error when it ends or stays silent. */
export async function firstLine(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the program did not get ready in time')), START_TIMEOUT_MS);
    lines.once('line', (line) => {
      clearTimeout(timer);
      resolve(line);
    });
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`the program ended with ${code} before it was ready`));
    });
  });
}

export async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

async function adminCall(
  http: BoundedClient,
  url: string,
  adminKey: string,
  method: string,
  path: string,
  body: object | undefined,
): Promise<unknown> {
  const answer = await http.request({
    url: `${url}${path}`,
    method,
    headers: [
      ['authorization', `Bearer ${adminKey}`],
      ...(body === undefined ? [] : ([['content-type', 'application/json']] as const)),
    ],
    ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
  });
  const value = answer.body.length === 0 ? null : parseJson(answer.body);
  if (answer.status >= 400) throw new Error(`${method} ${path}: ${JSON.stringify(value)}`);
  return value;
}

async function addService(registry: ThrowawayRegistry, server: DevServer, service: DevService): Promise<void> {
  const { id, title, url, personalData, safe, description } = service;
  const type = description === undefined ? 'REST' : 'OPENAPI';
  await registry.call('POST', '/services', { id, title, type, personalData, safe, description: description ?? null });
  const local = { id, title, url, enabled: true, notice: null, timeoutMs: 10_000, personalData, safe };
  await server.call('PUT', '/services', local);
}

async function publish(registry: ThrowawayRegistry, servers: readonly DevServer[]): Promise<void> {
  const version = await registry.publish();
  const refresh = async ({ call }: DevServer) => (await call('POST', '/configuration/refresh')) as { version: number };
  const fetched = async (server: DevServer) => {
    const first = await refresh(server);
    // A connection that was closed just then; by itself a server would ask again in a minute.
    const result = first.version === version ? first : await refresh(server);
    if (result.version !== version) throw new AccordError('CONFIGURATION_UNAVAILABLE', JSON.stringify(result));
  };
  await Promise.all(servers.map(fetched));
}
