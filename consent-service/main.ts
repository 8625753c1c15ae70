// The consent service as a program: `node consent-service/main.ts --dir FOLDER`. The passphrase of its keys comes from
// ACCORD_KEY_PASSPHRASE or the file that ACCORD_KEY_PASSPHRASE_FILE names, the address of a PostgreSQL from
// ACCORD_CONSENT_DATABASE. SIGTERM and SIGINT drain. One line on standard output says that it is ready.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { systemClock } from '#core/clock.ts';
import { drainOnSignal, endOnError, keyPassphrase } from '#core/program.ts';
import { CONSENT_FILES } from './data-folder.ts';
import { readConsentSettings } from './settings.ts';
import { startConsentService } from './start.ts';

async function main(): Promise<void> {
  const { dir } = parseArgs({ options: { dir: { type: 'string' } } }).values;
  if (dir === undefined) throw new TypeError('--dir FOLDER is needed');
  const settings = readConsentSettings(readFileSync(join(dir, CONSENT_FILES.settings), 'utf8'));
  const logger = pino({ level: settings.logLevel, base: { server: settings.subsystem } }, pino.destination(2));
  const databaseUrl = process.env['ACCORD_CONSENT_DATABASE'];
  const service = await startConsentService({
    ...{ folder: dir, settings, passphrase: keyPassphrase(process.env), clock: systemClock, logger },
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
  });
  process.stdout.write(`${JSON.stringify({ ready: true, id: service.id, ...service.urls })}\n`);
  drainOnSignal((signal) => {
    logger.info({ signal }, 'draining');
    return service.close();
  });
}

main().catch(endOnError);
