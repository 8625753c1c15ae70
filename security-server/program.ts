// What the program of the security server does, with its arguments and environment handed in by `main.ts`. The
// passphrase of the keys comes from ACCORD_KEY_PASSPHRASE or the file that ACCORD_KEY_PASSPHRASE_FILE names. SIGTERM and
// SIGINT drain. One line on standard output says that it is ready; the structured log goes to standard error.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { systemClock } from '#core/clock.ts';
import { collectWhenIdle } from '#core/idle-heap.ts';
import { drainOnSignal, type Environment, keyPassphrase } from '#core/program.ts';
import { FILES } from './data-folder.ts';
import { OVERRIDES, resolveSettings } from './settings.ts';
import { startServer } from './start.ts';

/** Runs until a signal; resolves when the server is ready. @throws what `startServer` and `resolveSettings` throw */
export async function runProgram(args: string[], environment: Environment): Promise<void> {
  const named = Object.fromEntries(Object.keys(OVERRIDES).map((name) => [name, { type: 'string' as const }]));
  const { values } = parseArgs({ args, options: { ...named, dir: { type: 'string' }, print: { type: 'boolean' } } });
  const { dir, print, ...flags } = values as Record<string, string | undefined> & { print?: boolean };
  if (dir === undefined) throw new TypeError('--dir FOLDER is needed');
  const text = readFileSync(join(dir, FILES.settings), 'utf8');
  const { settings, origins } = resolveSettings(text, environment, flags as Record<string, string>);
  if (print) {
    process.stdout.write(`${JSON.stringify({ settings, origins }, null, 2)}\n`);
    return;
  }
  const logger = pino({ level: settings.logLevel, base: { server: settings.id } }, pino.destination(2));
  const server = await startServer({
    folder: dir,
    settings,
    passphrase: keyPassphrase(environment),
    clock: systemClock,
    logger,
  });
  process.stdout.write(`${JSON.stringify({ ready: true, id: server.id, ...server.urls })}\n`);
  collectWhenIdle();
  drainOnSignal((signal) => {
    logger.info({ signal }, 'draining');
    return server.close();
  });
}
