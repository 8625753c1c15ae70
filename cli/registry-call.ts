// How commands talk to the central registry's admin API: its address, the API key (from a file or the environment, never
// from the arguments) and one request with an Idempotency-Key of its own.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { openClient } from '#core/http/client.ts';
import { isJsonObject, type JsonValue, parseJson } from '#schemas/json.ts';
import { MAX_DICTIONARY_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { CommandEnd, EXIT, type OutputOptions, RemoteProblem, withOutput } from './output.ts';

export interface RegistryCallOptions extends OutputOptions {
  registry?: string;
  apiKeyFile?: string;
  dryRun?: true;
}

/** A whole dictionary, or one part of the configuration in base64url. */
const MAX_ANSWER_BYTES = 2 * MAX_DICTIONARY_BYTES;
const DEFAULT_REGISTRY = 'http://127.0.0.1:4401';

/** Adds where the registry is and how to print. */
export function withRegistry(command: Command): Command {
  return withOutput(command)
    .option('--registry <url>', `admin API of the registry; or set ACCORD_REGISTRY (${DEFAULT_REGISTRY})`)
    .option('--api-key-file <file>', 'file whose first line is the API key; or set ACCORD_API_KEY');
}

/** The same for commands that change something. */
export function withChange(command: Command): Command {
  return withRegistry(command).option('--dry-run', 'ask the registry to judge it, change nothing');
}

/** One request. @throws RemoteProblem when the registry refuses, PEER_UNREACHABLE when it is away */
export async function callRegistry(
  options: RegistryCallOptions,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: object,
): Promise<JsonValue> {
  const origin = options.registry ?? process.env['ACCORD_REGISTRY'] ?? DEFAULT_REGISTRY;
  if (!URL.canParse(origin)) throw new CommandEnd(EXIT.usage, `--registry ${origin} is no URL.`);
  const url = new URL(path, origin);
  if (options.dryRun && method !== 'GET') url.searchParams.set('dryRun', 'true');
  const client = openClient();
  try {
    const answer = await client.request({
      method,
      url: url.href,
      headers: [
        ['authorization', `Bearer ${apiKey(options)}`],
        ...(method === 'GET' ? [] : ([['idempotency-key', randomUUID()]] as const)),
        ...(body ? ([['content-type', 'application/json']] as const) : []),
      ],
      ...(body && { body: Buffer.from(JSON.stringify(body)) }),
      maxResponseBytes: MAX_ANSWER_BYTES,
    });
    const parsed = parseJson(answer.body, { maxBytes: MAX_ANSWER_BYTES, maxValues: MAX_ANSWER_BYTES / 8 });
    if (answer.status >= 400) throw remoteProblem(answer.status, parsed);
    return parsed;
  } finally {
    await client.close();
  }
}

/** All pages of a list. */
export async function listRegistry(options: RegistryCallOptions, path: string): Promise<JsonValue[]> {
  const items: JsonValue[] = [];
  let after: JsonValue | undefined = '';
  while (typeof after === 'string') {
    const page = await callRegistry(
      options,
      'GET',
      `${path}?limit=1000${after ? `&after=${encodeURIComponent(after)}` : ''}`,
    );
    if (!isJsonObject(page) || !Array.isArray(page['items'])) throw new AccordError('SCHEMA_MISMATCH', path);
    items.push(...page['items']);
    after = page['next'];
  }
  return items;
}

function remoteProblem(status: number, body: JsonValue): Error {
  if (!isJsonObject(body)) return new AccordError('PEER_BROKE_OFF', `the registry answered ${status}`);
  const text = (name: string) => (typeof body[name] === 'string' ? body[name] : '');
  const [code, title, next, detail] = [text('code') || `HTTP_${status}`, text('title'), text('next'), text('detail')];
  return new RemoteProblem({ code, title, status, next, ...(detail && { detail }) });
}

function apiKey({ apiKeyFile }: RegistryCallOptions): string {
  const key =
    apiKeyFile === undefined ? process.env['ACCORD_API_KEY'] : readFileSync(apiKeyFile, 'utf8').split('\n', 1)[0];
  if (!key) throw new CommandEnd(EXIT.usage, 'No API key.\nNext: Give --api-key-file FILE or set ACCORD_API_KEY.');
  return key.trim();
}
