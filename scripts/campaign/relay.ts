// A wire that the campaign holds in its hand: an HTTP server that passes requests on to where they belong, cuts them off, or
// answers a list as it was when it began to hold lists back.
import { createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Longer than any client of a campaign keeps an idle connection. */
export const KEPT_ALIVE_MS = 60_000;

export type Passage = 'open' | 'cut' | 'held';

export interface Relay {
  url: string;
  /** Origin that requests go on to; whoever is there may have come back at another port. */
  target: string;
  /** How a request for this path fares. */
  passage: (path: string) => Passage;
  close(): void;
}

export async function openRelay(): Promise<Relay> {
  /** The last answer of each path that passed. */
  const kept = new Map<string, { headers: Record<string, string>; body: Buffer }>();
  const relay: Relay = { url: '', target: '', passage: () => 'open', close: () => {} };
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    const passage = relay.passage(path);
    const before = passage === 'held' ? kept.get(path) : undefined;
    if (before !== undefined) {
      response.writeHead(200, before.headers).end(before.body);
      return;
    }
    if (passage !== 'open' || relay.target === '') {
      request.socket.destroy();
      return;
    }
    const { method, headers } = request;
    // A connection of its own each time: one that was kept may just be closing at the other end.
    const onward = send(`${relay.target}${path}`, { method, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', () => response.destroy());
      answer.on('end', () => {
        const body = Buffer.concat(chunks);
        const type = answer.headers['content-type'] ?? '';
        if (type === 'application/statuslist+jwt') kept.set(path, { headers: { 'content-type': type }, body });
        response.writeHead(answer.statusCode ?? 502, answer.headers).end(body);
      });
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.keepAliveTimeout = KEPT_ALIVE_MS;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  relay.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  relay.close = () => {
    server.close();
    server.closeAllConnections();
  };
  return relay;
}
