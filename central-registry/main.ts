// The central registry as a program: `node central-registry/main.ts --folder DIR`. The folder holds what the ceremony
// made (root.1.jws, anchor.json), the online key (freshness.key.json, sealed) and, once it runs, registry.db and
// published/. Settings come from the options below or the environment; the passphrase of the online key only from
// ACCORD_KEY_PASSPHRASE_FILE or ACCORD_KEY_PASSPHRASE. SIGTERM and SIGINT drain.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { openKey } from '#certs/key-file.ts';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { drainOnSignal, endOnError, keyPassphrase } from '#core/program.ts';
import { openRegistry } from './registry.ts';
import { openWitnessKeys } from './witness-keys.ts';

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: { folder: text, configuration: text, admin: text, 'admin-cert': text, 'admin-key': text },
  });
  const folder = values.folder ?? process.env['ACCORD_REGISTRY_FOLDER'];
  if (folder === undefined) throw new TypeError('--folder DIR is needed');
  const logger = pino({ level: process.env['ACCORD_LOG_LEVEL'] ?? 'info' }, pino.destination(2));
  const passphrase = keyPassphrase(process.env);
  const key = await openKey(readFileSync(join(folder, 'freshness.key.json')), passphrase);
  const anchor = readAnchor(readFileSync(join(folder, 'anchor.json')));
  const witness = await openWitnessKeys(folder, anchor.instance, passphrase);
  if (witness === undefined) logger.warn('no keys of a witness: no log is cosigned (accord registry init-witness)');
  const { 'admin-cert': cert, 'admin-key': tlsKey } = values;
  const tls = cert && tlsKey ? { cert: readFileSync(cert, 'utf8'), key: readFileSync(tlsKey, 'utf8') } : undefined;
  const registry = await openRegistry({
    folder,
    clock: systemClock,
    rootFile: readFileSync(join(folder, 'root.1.jws')),
    anchor,
    ...(witness && { witness }),
    freshnessKey: key.privateKey,
    configuration: address(values.configuration ?? '0.0.0.0:4400'),
    admin: { ...address(values.admin ?? '127.0.0.1:4401'), ...(tls && { tls }) },
    logger,
    onAlarm: (what, error) => logger.error({ err: error }, what),
  });
  let adminKeyFile: string | undefined;
  if (!registry.hasApiKeys()) {
    adminKeyFile = join(folder, 'admin.api-key');
    if (existsSync(adminKeyFile)) throw new TypeError(`${adminKeyFile} is of an earlier registry; take it away first`);
    writeFileSync(adminKeyFile, `${registry.makeApiKey('first administrator', 'registry-admin')}\n`, { mode: 0o600 });
  }
  const { configurationUrl, adminUrl } = registry;
  process.stdout.write(`${JSON.stringify({ ready: true, configurationUrl, adminUrl, adminKeyFile })}\n`);
  drainOnSignal(() => registry.close());
}

function address(hostAndPort: string): { host: string; port: number } {
  const found = /^(\[[0-9a-f:]+\]|[^:]+):(\d{1,5})$/.exec(hostAndPort);
  if (!found?.[1] || !found[2]) throw new TypeError(`${hostAndPort} is not HOST:PORT`);
  return { host: found[1].replace(/^\[|\]$/g, ''), port: Number(found[2]) };
}

main().catch(endOnError);
