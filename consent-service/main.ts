// The consent service as a program: `node consent-service/main.ts --dir FOLDER`. The passphrase of its keys comes from
// ACCORD_KEY_PASSPHRASE or the file that ACCORD_KEY_PASSPHRASE_FILE names, the address of a PostgreSQL from
// ACCORD_CONSENT_DATABASE. SIGTERM and SIGINT drain. One line on standard output says that it is ready.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { systemClock } from '#core/clock.ts';
import { isAccordError, PROBLEMS } from '#schemas/problems.ts';
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
    ...{ folder: dir, settings, passphrase: passphrase(), clock: systemClock, logger },
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
  });
  process.stdout.write(`${JSON.stringify({ ready: true, id: service.id, ...service.urls })}\n`);
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'draining');
    void service.close().then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function passphrase(): string {
  const file = process.env['ACCORD_KEY_PASSPHRASE_FILE'];
  if (file !== undefined) return readFileSync(file, 'utf8').split(/\r?\n/, 1)[0] ?? '';
  return process.env['ACCORD_KEY_PASSPHRASE'] ?? '';
}

main().catch((error: unknown) => {
  const next = isAccordError(error) ? `\nNext: ${PROBLEMS[error.code].next}` : '';
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}${next}\n`);
  process.exitCode = 1;
});
