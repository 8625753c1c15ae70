// How `accord emergency` speaks to the registry's public port: no API key, because tokens prove themselves and what is owed
// is public. Whoever answers at the address controls the answer.
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { readAnchor } from '#core/configuration/anchor.ts';
import { openClient } from '#core/http/client.ts';
import { isJsonObject, type JsonValue, parseJson } from '#schemas/json.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { CommandEnd, EXIT, RemoteProblem } from './output.ts';

export interface PublicRegistryOptions {
  anchor?: string;
  at?: string;
}

/** Largest answer: some dozen emergencies. */
const MAX_ANSWER_BYTES = 64 * 1024;
const TIMEOUT_MS = 10_000;

export function withPublicRegistry(command: Command): Command {
  return command
    .option('--anchor <file>', 'configuration anchor, whose addresses are asked in turn')
    .option('--at <url>', "the registry's public address, instead of the anchor's");
}

/** Before anything is signed. @throws CommandEnd (usage) */
export function requireRegistry({ anchor, at }: PublicRegistryOptions): void {
  if (anchor === undefined && at === undefined) {
    throw new CommandEnd(EXIT.usage, 'Where is the registry?\nNext: Give --anchor FILE, or --at URL.');
  }
}

/**
 * One request at the first address that answers as the registry does: a mirror of the files has no such path.
 * @throws RemoteProblem when the registry refuses; CommandEnd (usage) without an address; PEER_UNREACHABLE and the like
 */
export async function askRegistry(options: PublicRegistryOptions, path: string, body?: object): Promise<JsonValue> {
  const client = openClient({ timeoutMs: TIMEOUT_MS, maxResponseBytes: MAX_ANSWER_BYTES });
  let failure: unknown = new AccordError('PEER_UNREACHABLE', 'no address');
  try {
    for (const base of addressesOf(options)) {
      try {
        const { status, body: bytes } = await client.request({
          method: body === undefined ? 'GET' : 'POST',
          url: new URL(path, base.endsWith('/') ? base : `${base}/`).href,
          ...(body && { headers: [['content-type', 'application/json']], body: Buffer.from(JSON.stringify(body)) }),
        });
        const answer = parseJson(bytes, { maxBytes: MAX_ANSWER_BYTES });
        if (status < 400) return answer;
        failure = problemOf(status, answer);
        if (!(failure instanceof RemoteProblem) || failure.problem.code !== 'NOT_FOUND') throw failure;
      } catch (error) {
        if (!isAccordError(error)) throw error;
        failure = error;
      }
    }
    throw failure;
  } finally {
    await client.close();
  }
}

function addressesOf(options: PublicRegistryOptions): readonly string[] {
  requireRegistry(options);
  const { anchor, at } = options;
  if (at !== undefined) {
    if (!URL.canParse(at)) throw new CommandEnd(EXIT.usage, `--at ${at} is no URL.`);
    return [at];
  }
  return anchor === undefined ? [] : readAnchor(readFileSync(anchor)).urls;
}

function problemOf(status: number, body: JsonValue): Error {
  if (!isJsonObject(body)) return new AccordError('PEER_BROKE_OFF', `the registry answered ${status}`);
  const text = (name: string) => (typeof body[name] === 'string' ? body[name] : '');
  const [code, title, next, detail] = [text('code') || `HTTP_${status}`, text('title'), text('next'), text('detail')];
  return new RemoteProblem({ code, title, status, next, ...(detail && { detail }) });
}
