// How the tests of the exchange ask and look: lookups over the loopback port, entries of both logs, audits of both.
import { join } from 'node:path';
import type { Test } from 'tap';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import { type Pair, PROVIDER } from '#scripts/campaign/pair.ts';
import { foldersOf } from '#security-server/data-folder.ts';
import type { SignedMessage } from '#security-server/envelope/outgoing.ts';
import { type PeerLink, sealedFor } from '#security-server/peer/link.ts';
import type { SecurityServer } from '#security-server/server.ts';
import { auditLog } from '#test/core/audited.ts';

export interface Asked {
  status: number;
  headers: Headers;
  json: Record<string, unknown> & { id: string; code: string; outcome?: string };
}

/** POST to the consumer's loopback port; text goes as it is. */
export async function post(pair: Pair, path: string, body?: unknown): Promise<Asked> {
  const answer = await fetch(`${pair.consumer.urls.loopback}${path}`, {
    method: 'POST',
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' } }),
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: answer.status, headers: answer.headers, json: (await answer.json()) as Asked['json'] };
}

export function entries(server: SecurityServer, id: string): LogEntry[] {
  return server.parts.log.find(null, id).map(({ entry }) => entry);
}

/** Kinds of the entries of an exchange, oldest first. */
export function kinds(server: SecurityServer, id: string): string {
  return entries(server, id)
    .map(({ kind }) => kind)
    .reverse()
    .join();
}

/** The whole log of both servers. */
export async function auditBoth(t: Test, pair: Pair): Promise<void> {
  for (const which of ['consumer', 'provider'] as const) {
    const { log, checkpointFile } = foldersOf(join(pair.folder, which));
    const unused = { origin: '', keyFolder: '', checkpointKey: undefined, storageKey: undefined, clock: undefined };
    await auditLog(t, pair[which].parts.log, { ...unused, folder: log, checkpointFile } as never);
  }
}

/**
 * What a message brought over the peer port gets: `answered`, or status and code of the unsigned refusal. A sealed one goes
 * over HTTP/1.1, one that is only signed over the pair's link.
 */
export async function deliver(pair: Pair, frame: Buffer | SignedMessage): Promise<string> {
  const peer = pair.configuration.entries.get(PROVIDER);
  if (peer === undefined) throw new TypeError('the provider is not registered');
  const delivery = await pair.consumer.parts.link.send(peer, frame, 10_000);
  return delivery.state === 'answered' ? 'answered' : delivery.detail;
}

/** A message of the consumer as somebody who recorded it could send it again, sealed on its own. */
export async function recorded(
  pair: Pair,
  peer: ServerEntry,
  message: Parameters<PeerLink['send']>[1],
): Promise<Buffer> {
  if (!('statementBytes' in message)) return message as Buffer;
  return (await sealedFor(pair.consumer.parts.channels, peer, message)) as Buffer;
}
