// How commands talk to the admin API of a security server: from its data folder on the same machine (--dir, with the
// administrator's key in it), or at an address with a key of one's own. The key comes from a file or the environment,
// never from the arguments, and never travels in clear beyond this machine. The server controls what comes back.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type BoundedResponse, openClient } from '#core/http/client.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { resolveSettings } from '#security-server/settings.ts';
import { readSecretFile } from './argument-secrets.ts';
import { CommandEnd, EXIT, type OutputOptions, RemoteProblem, withOutput } from './output.ts';

export interface AdminOptions extends OutputOptions {
  /** The server's data folder. */
  dir?: string;
  admin?: string;
  apiKeyFile?: string;
}

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** Adds which security server is meant, and how to print. */
export function withAdmin(command: Command): Command {
  return withOutput(command)
    .option('--dir <folder>', "the server's data folder: its address and key are read there")
    .option('--admin <url>', 'admin API of the server; or set ACCORD_ADMIN')
    .option('--api-key-file <file>', 'file whose first line is the API key; or set ACCORD_API_KEY');
}

/**
 * One request; the answer's JSON, null when it has none.
 * @throws RemoteProblem when the server refuses, PEER_UNREACHABLE when it is away, CommandEnd for a usage error
 */
export async function callAdmin(
  options: AdminOptions,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: object,
): Promise<JsonValue> {
  const origin = adminOrigin(options);
  const client = openClient({ maxResponseBytes: MAX_ANSWER_BYTES });
  try {
    const answer = await client.request({
      method,
      origin,
      path,
      headers: [
        ['authorization', `Bearer ${apiKey(options)}`],
        ['accept', 'application/json, application/problem+json'],
        ...(body ? ([['content-type', 'application/json']] as const) : []),
      ],
      ...(body && { body: Buffer.from(JSON.stringify(body)) }),
    });
    return read(answer);
  } finally {
    await client.close();
  }
}

/** All items of a list. */
export async function listAdmin(options: AdminOptions, path: string): Promise<JsonObject[]> {
  const answer = await callAdmin(options, 'GET', path);
  const items = isJsonObject(answer) ? answer['items'] : undefined;
  if (!Array.isArray(items) || !items.every(isJsonObject)) throw new AccordError('SCHEMA_MISMATCH', path);
  return items;
}

function read({ status, body }: BoundedResponse): JsonValue {
  const parsed = body.length === 0 ? null : parseJson(body, { maxBytes: MAX_ANSWER_BYTES, maxValues: 1_000_000 });
  if (status < 400) return parsed;
  if (!isJsonObject(parsed)) throw new AccordError('PEER_BROKE_OFF', `the server answered ${status}`);
  const text = (name: string) => (typeof parsed[name] === 'string' ? parsed[name] : '');
  const [code, title, next, detail] = [text('code') || `HTTP_${status}`, text('title'), text('next'), text('detail')];
  throw new RemoteProblem({ code, title, status, next, ...(detail && { detail }) });
}

function adminOrigin({ dir, admin }: AdminOptions): string {
  const given = admin ?? (dir === undefined ? process.env['ACCORD_ADMIN'] : undefined) ?? originOf(dir);
  const url = URL.parse(given);
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== '/') {
    throw usage(`--admin ${given} is no http or https address.`, 'Write it like http://127.0.0.1:4000.');
  }
  if (url.protocol === 'http:' && !/^(?:127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(url.hostname)) {
    throw usage(
      'Plain HTTP would show the API key to the network.',
      `Reach it through a tunnel: ssh -L 4000:127.0.0.1:${url.port || 4000} ${url.hostname}, then --admin http://127.0.0.1:4000.`,
    );
  }
  return url.origin;
}

/** The address that the folder's settings give; the admin port is always on loopback. */
function originOf(dir: string | undefined): string {
  if (dir === undefined) throw usage('Which security server?', 'Give --dir DATADIR, or --admin URL with an API key.');
  const { settings } = resolveSettings(readFileSync(join(dir, 'server.json'), 'utf8'), process.env, {});
  const { admin } = settings.ports;
  if (admin === 0) throw usage('The admin port is chosen at each start.', 'Give its address with --admin URL as well.');
  return `http://127.0.0.1:${admin}`;
}

function apiKey({ apiKeyFile, dir }: AdminOptions): string {
  const file = apiKeyFile ?? (dir === undefined ? undefined : join(dir, 'admin.key'));
  const key = file === undefined ? process.env['ACCORD_API_KEY'] : readSecretFile(file);
  if (!key) throw usage('No API key.', 'Give --api-key-file FILE or --dir DATADIR, or set ACCORD_API_KEY.');
  return key;
}

function usage(what: string, next: string): CommandEnd {
  return new CommandEnd(EXIT.usage, `${what}\nNext: ${next}`);
}
