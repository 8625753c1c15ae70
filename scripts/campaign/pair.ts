// Two real security servers with a real certification authority, real logs and real sockets, under a configuration that
// the test holds in its hand. For tests and campaigns of the exchange itself; the registry has tests of its own.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { openThrowAwayAuthority, type ServerIdentity, type ThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import { type Clock, systemClock } from '#core/clock.ts';
import { type AccessRight, PLAIN_TERMS } from '#schemas/access-right.ts';
import { openSecurityServer, type SecurityServer, type SecurityServerOptions } from '#security-server/server.ts';
import { HeldConfiguration } from './held-configuration.ts';

export const CLIENT = 'DEV/GOV/1001/consumer';
export const SERVICE = 'DEV/GOV/2002/provider/echo';
export const CONSUMER = 'DEV/GOV/1001/ss1';
export const PROVIDER = 'DEV/GOV/2002/ss2';
export const ADMIN_KEY = 'test-administrator-key-000000';
export const AUDITOR_KEY = 'test-auditor-key-00000000000';

type Handler = (request: IncomingMessage, body: Buffer, response: ServerResponse) => void;

export interface Backend {
  url: string;
  /** Every request that reached it, in order. */
  seen: { method: string; url: string; headers: string[]; body: Buffer }[];
  answer: Handler;
  close(): void;
}

/** A department's backend that records what reaches it and, unless told otherwise, echoes it as JSON. */
export async function openBackend(): Promise<Backend> {
  const backend: Backend = {
    url: '',
    seen: [],
    answer: (request, body, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ method: request.method, url: request.url, body: body.toString('base64') }));
    },
    close: () => server.closeAllConnections(),
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      backend.seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.rawHeaders, body });
      backend.answer(request, body, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  backend.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  backend.close = () => {
    server.close();
    server.closeAllConnections();
  };
  return backend;
}

export function accessRight(over: Partial<AccessRight> = {}): AccessRight {
  return {
    id: '00000000-0000-4000-8000-000000000001',
    client: CLIENT,
    service: SERVICE,
    endpoints: [{ method: '*', path: '/**' }],
    bases: ['open'],
    pins: {},
    ...PLAIN_TERMS,
    ...over,
  };
}

export interface Pair {
  authority: ThrowAwayAuthority;
  configuration: HeldConfiguration;
  consumer: SecurityServer;
  provider: SecurityServer;
  identities: { consumer: ServerIdentity; provider: ServerIdentity };
  backend: Backend;
  folder: string;
  /** Opens one of the two again on the same folder, after `close`. */
  reopen(which: 'consumer' | 'provider', over?: Partial<SecurityServerOptions>): Promise<SecurityServer>;
  close(): Promise<void>;
}

interface Certified {
  authority: ThrowAwayAuthority;
  identities: Pair['identities'];
}

/**
 * To certify is a third of what a pair takes: those by the system's clock have one authority and the same certificates, until
 * something is revoked.
 */
let shared: Promise<Certified> | null = null;

async function certify(clock: Clock): Promise<Certified> {
  const authority = await openThrowAwayAuthority(clock);
  return {
    authority,
    identities: { consumer: await authority.server(CONSUMER), provider: await authority.server(PROVIDER) },
  };
}

async function certified(clock: Clock | undefined): Promise<Certified> {
  if (clock !== undefined) return await certify(clock);
  shared ??= certify(systemClock);
  const { authority, identities } = await shared;
  const revoke = (der: Uint8Array) => {
    shared = null;
    authority.revoke(der);
  };
  // Of its own is what a test may change.
  const copied = ({ keys, registration }: ServerIdentity): ServerIdentity => ({
    keys: { ...keys, encryption: new Map(keys.encryption), subject: [...keys.subject] },
    registration: structuredClone(registration),
  });
  const { consumer, provider } = identities;
  return {
    authority: { ...authority, revoke },
    identities: { consumer: copied(consumer), provider: copied(provider) },
  };
}

export interface PairOptions {
  clock?: Clock;
  safe?: boolean;
  consumer?: Partial<SecurityServerOptions>;
  provider?: Partial<SecurityServerOptions>;
  right?: AccessRight | null;
}

const at = { host: '127.0.0.1', port: 0 };

/** Both servers up, one service `echo` on a recording backend, one access right for it. */
export async function openPair(options: PairOptions = {}): Promise<Pair> {
  const folder = mkdtempSync(join(tmpdir(), 'accord-pair-'));
  const clock = options.clock ?? systemClock;
  const { authority, identities } = await certified(options.clock);
  const configuration = new HeldConfiguration();
  configuration.trust = { anchors: [...authority.trust.anchors], intermediates: [...authority.trust.intermediates] };
  const backend = await openBackend();
  const open = (which: 'consumer' | 'provider', over: Partial<SecurityServerOptions> = {}) =>
    openSecurityServer({
      id: which === 'consumer' ? CONSUMER : PROVIDER,
      folder: join(folder, which),
      keys: identities[which].keys,
      configuration,
      ports: { peer: at, systems: at, loopback: at, admin: at, health: at },
      clock,
      logger: pino({ level: process.env['ACCORD_TEST_LOG'] ?? 'silent' }),
      adminKeys: [
        { hash: createHash('sha256').update(ADMIN_KEY).digest('base64url'), role: 'administrator', name: 'test' },
        { hash: createHash('sha256').update(AUDITOR_KEY).digest('base64url'), role: 'auditor', name: 'audit' },
      ],
      ...over,
    });
  const register = (server: SecurityServer, which: 'consumer' | 'provider') => {
    const subsystem = which === 'consumer' ? CLIENT : 'DEV/GOV/2002/provider';
    configuration.register(server.id, server.urls.peer, [subsystem], identities[which]);
  };
  const pair: Pair = {
    authority,
    configuration,
    consumer: await open('consumer', options.consumer),
    provider: await open('provider', options.provider),
    identities,
    backend,
    folder,
    async reopen(which, over) {
      pair[which] = await open(which, { ...options[which], ...over });
      register(pair[which], which);
      return pair[which];
    },
    async close() {
      await Promise.all([pair.consumer.close(2_000), pair.provider.close(2_000)]);
      backend.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  register(pair.consumer, 'consumer');
  register(pair.provider, 'provider');
  const safe = options.safe ?? false;
  configuration.services.set(SERVICE, {
    id: SERVICE,
    title: 'Echo',
    type: 'REST',
    descriptionHash: null,
    bindingHash: null,
    personalData: false,
    safe,
  });
  pair.provider.parts.state.putService({
    id: SERVICE,
    title: 'Echo',
    url: `${backend.url}/base`,
    enabled: true,
    notice: null,
    timeoutMs: 5_000,
    personalData: false,
    safe,
  });
  if (options.right !== null) pair.provider.parts.state.putRight(options.right ?? accessRight());
  return pair;
}
