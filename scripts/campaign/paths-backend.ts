// A backend that keeps the first line of every request as bytes, without an HTTP parser that could have an opinion about
// it. Requests without a body only.

import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';

export interface LineBackend {
  /** E.g. `http://127.0.0.1:1234`. */
  origin: string;
  /** By the header `x-case`: the request targets that came, latin1, in their order. */
  targets: Map<string, string[]>;
  /** Requests in all, and what came that is no request. */
  counted: { requests: number; malformed: number };
  close(): void;
}

export async function openLineBackend(): Promise<LineBackend> {
  const sockets = new Set<Socket>();
  const targets = new Map<string, string[]>();
  const counted = { requests: 0, malformed: 0 };
  const server = createServer((socket) => {
    sockets.add(socket);
    let held = '';
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      held += chunk.toString('latin1');
      for (let end = held.indexOf('\r\n\r\n'); end !== -1; end = held.indexOf('\r\n\r\n')) {
        const [line = '', ...headers] = held.slice(0, end).split('\r\n');
        held = held.slice(end + 4);
        const target = /^[A-Z]+ (.*) HTTP\/1\.1$/s.exec(line)?.[1];
        const name = headers.find((header) => header.startsWith('x-case: '))?.slice(8);
        counted.requests += 1;
        if (target === undefined || name === undefined) counted.malformed += 1;
        else targets.set(name, [...(targets.get(name) ?? []), target]);
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    targets,
    counted,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
