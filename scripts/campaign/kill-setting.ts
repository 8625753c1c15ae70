import { closeSync, mkdirSync, mkdtempSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openThrowAwayAuthority, type ServerIdentity } from '#cli/dev/throw-away-authority.ts';
import { systemClock } from '#core/clock.ts';
import { base64url } from '#schemas/base64url.ts';
import { freePort } from '#scripts/free-port.ts';
import type { KillServerFile } from './kill-server.ts';
import { accessRight, CLIENT, CONSUMER, PROVIDER, SERVICE } from './pair.ts';

export interface KillSetting {
  folder: string;
  consumerUrl: string;
  /** Where each server tells its metrics. */
  metricsUrls: { consumer: string; provider: string };
  files: { consumer: string; provider: string };
  folders: { consumer: string; provider: string };
  /** Where the backend writes the id of every request it executes, one a line. */
  executions: string;
  close(): void;
}

/**
 * Outside the range that outgoing connections take theirs from, so that a port stays free while its server is dead; and not
 * from the campaign's seed, because another with the same seed may run beside it.
 */
async function openExecutingBackend(file: string): Promise<{ url: string; close(): void }> {
  const descriptor = openSync(file, 'a');
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      writeSync(descriptor, `${String(request.headers['accord-message-id'])}\n`);
      response.setHeader('content-type', 'application/json').end('{"done":true}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
    closeSync(descriptor);
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

function keysOf({ keys }: ServerIdentity): KillServerFile['keys'] {
  const pem = (key: { export(options: object): string | Buffer }) =>
    key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const { authentication, signing, encryption, subject, checkpoint, storageKey } = keys;
  const keyPem = 'key' in authentication ? pem(authentication.key) : authentication.keyPem;
  return {
    authentication: { certPem: authentication.certPem, keyPem },
    signing: { certPem: signing.certPem, keyPem: pem(signing.key) },
    encryption: [...encryption].map(([kid, key]) => ({ kid, pem: pem(key) })),
    subject: subject.map(({ kid, privateKey }) => ({ kid, pem: pem(privateKey) })),
    checkpointPem: pem(checkpoint),
    storageKey: base64url(storageKey),
  };
}

interface KillSettingOptions {
  /** Whether the service only reads. */
  safe?: boolean;
  /** A backend of the campaign's own. */
  backendUrl?: string;
}

export async function openKillSetting(options: KillSettingOptions = {}): Promise<KillSetting> {
  const { safe = false, backendUrl } = options;
  const folder = mkdtempSync(join(tmpdir(), 'accord-kill-'));
  const executions = join(folder, 'executions.txt');
  const backend = backendUrl === undefined ? await openExecutingBackend(executions) : { url: backendUrl, close() {} };
  const authority = await openThrowAwayAuthority(systemClock);
  const identities = { consumer: await authority.server(CONSUMER), provider: await authority.server(PROVIDER) };
  const ports = { consumer: { peer: 0, loopback: 0, health: 0 }, provider: { peer: 0, loopback: 0, health: 0 } };
  for (const one of [ports.consumer, ports.provider]) {
    one.peer = await freePort();
    one.loopback = await freePort();
    one.health = await freePort();
  }
  const servers = (
    [
      ['consumer', CONSUMER, CLIENT],
      ['provider', PROVIDER, 'DEV/GOV/2002/provider'],
    ] as const
  ).map(([which, id, subsystem]) => ({
    id,
    address: `https://127.0.0.1:${ports[which].peer}`,
    subsystems: [subsystem],
    registration: identities[which].registration,
  }));
  const facts = { id: SERVICE, title: 'Echo', personalData: false, safe };
  const local = {
    service: {
      ...facts,
      url: backend.url,
      enabled: true,
      notice: null,
      timeoutMs: backendUrl === undefined ? 5_000 : 60_000,
    },
    right: accessRight(),
  };
  const files = { consumer: join(folder, 'consumer.json'), provider: join(folder, 'provider.json') };
  const folders = { consumer: join(folder, 'consumer'), provider: join(folder, 'provider') };
  const { trust } = authority;
  for (const which of ['consumer', 'provider'] as const) {
    const file: KillServerFile = {
      id: which === 'consumer' ? CONSUMER : PROVIDER,
      folder: folders[which],
      ports: ports[which],
      keys: keysOf(identities[which]),
      trust: { anchors: trust.anchors.map(base64url), intermediates: trust.intermediates.map(base64url) },
      servers,
      services: [{ ...facts, type: 'REST', descriptionHash: null, bindingHash: null }],
      local: which === 'provider' ? local : null,
    };
    mkdirSync(folders[which]);
    writeFileSync(files[which], JSON.stringify(file), { mode: 0o600 });
  }
  const consumerUrl = `http://127.0.0.1:${ports.consumer.loopback}`;
  const metricsUrl = ({ health }: { health: number }) => `http://127.0.0.1:${health}/metrics`;
  const metricsUrls = { consumer: metricsUrl(ports.consumer), provider: metricsUrl(ports.provider) };
  return { folder, consumerUrl, metricsUrls, files, folders, executions, close: backend.close };
}
