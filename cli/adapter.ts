// `accord adapter serve|openapi|check FILE.yaml`: the department's own programs in front of its database or backend.
// Exit codes: 0 ok, 1 failed, 3 file not found, 5 the file does not fit the database.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { describeAdapter, openAdapter } from '#adapters/adapter-file.ts';
import { type AdapterContext, listen } from '#adapters/listen.ts';
import { systemClock } from '#core/clock.ts';
import { isAccordError, PROBLEMS } from '#schemas/problems.ts';

/** How long running requests may take after SIGTERM. */
const drainMs = 10_000;

interface ServeOptions {
  host?: string;
  port?: number;
  json?: boolean;
}

export function adapterCommand(): Command {
  const command = new Command('adapter').description("programs in front of a department's own database or backend");
  command
    .command('serve')
    .description('answer lookups from the database or backend that FILE names, until SIGTERM')
    .argument('<file>', 'adapter file (YAML)')
    .option('--port <n>', 'port to listen on, 0 for any free one', portOf)
    .option('--host <host>', 'address to listen on; other than loopback needs listen.tls in FILE')
    .option('--json', 'print one JSON line when ready')
    .action((file: string, options: ServeOptions) => reporting(() => serve(file, options)));
  command
    .command('openapi')
    .description('print the OpenAPI 3.1 document of the service')
    .argument('<file>', 'adapter file (YAML)')
    .action((file: string) =>
      reporting(async () => {
        const [text, context] = await readAdapterFile(file);
        console.log(JSON.stringify(await describeAdapter(text, context), null, 2));
      }),
    );
  command
    .command('check')
    .description('check FILE against the database that it names')
    .argument('<file>', 'adapter file (YAML)')
    .option('--json', 'print one JSON line')
    .action((file: string, options: { json?: boolean }) => reporting(() => check(file, options.json === true)));
  return command;
}

async function serve(file: string, options: ServeOptions): Promise<void> {
  const [text, context] = await readAdapterFile(file);
  const adapter = await openAdapter(text, context, systemClock);
  let url: string;
  try {
    url = await listen(adapter, options.host, options.port);
  } catch (error) {
    await adapter.server.close();
    throw error;
  }
  for (const warning of adapter.warnings) {
    console.error(`warning: ${warning}`);
  }
  console.log(options.json ? JSON.stringify({ ready: true, url }) : `ready on ${url} (SIGTERM stops it)`);
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  setTimeout(() => process.exit(1), drainMs).unref();
  await adapter.server.close();
}

async function check(file: string, json: boolean): Promise<void> {
  const [text, context] = await readAdapterFile(file);
  const adapter = await openAdapter(text, context, systemClock);
  await adapter.server.close();
  const { warnings } = adapter;
  console.log(
    json ? JSON.stringify({ ok: true, warnings }) : ['ok', ...warnings.map((one) => `warning: ${one}`)].join('\n'),
  );
}

async function readAdapterFile(file: string): Promise<[string, AdapterContext]> {
  return [await readFile(file, 'utf8'), { file: resolve(file), environment: process.env }];
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) {
    throw new InvalidArgumentError('a port is a number from 0 to 65535');
  }
  return port;
}

async function reporting(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (!missing && !isAccordError(error)) {
      throw error;
    }
    console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
    console.error(`next:  ${isAccordError(error) ? PROBLEMS[error.code].next : 'Check the file name.'}`);
    process.exitCode = missing ? 3 : isAccordError(error, 'ADAPTER_SCHEMA_MISMATCH') ? 5 : 1;
  }
}
