// A port for a program that is started later. The system gives out ports from 32,768 on by itself: one of those that is free
// now may be some connection's a moment later, so this one is from below.
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

const TRIES = 100;

/** @returns a port of 127.0.0.1 that nobody listens on now */
export async function freePort(): Promise<number> {
  for (let left = TRIES; ; left -= 1) {
    const port = randomInt(12_000, 32_000);
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch (error) {
      if (left > 1) continue;
      throw error;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}
