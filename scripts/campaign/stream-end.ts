// The two ends of campaign `stream`, each a process of its own, so that what the servers take is theirs alone:
// `node stream-end.ts backend` prints its URL; `node stream-end.ts caller` reads one transfer a line on standard input and
// prints what became of it. The caller's seeds and lengths travel in the query; both ends compare what comes to them.
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { bytesOf, differenceFrom } from './stream-bytes.ts';

export interface Transfer {
  id: number;
  /** Of the service at the consumer's server, and in whose name it is called. */
  url: string;
  client: string;
  /** Bytes of the request and of the answer. */
  up: number;
  down: number;
  /** Sends without saying how much will come. */
  chunked: boolean;
}

export interface Transferred {
  id: number;
  /** What went wrong; null when both ends had exactly the other's bytes. */
  fault: string | null;
  durationMs: number;
}

function backend(): void {
  const server = createServer(async (incoming, answer) => {
    const query = new URL(incoming.url ?? '', 'http://backend').searchParams;
    const [id, up, down] = ['id', 'up', 'down'].map((name) => Number(query.get(name)));
    const fault = await differenceFrom(`up ${id}`, up ?? 0, incoming).catch(String);
    const stated = incoming.headers['content-length'] === String(up) || up === 0;
    answer.setHeader('x-fault', fault ?? (stated ? 'none' : 'no Content-Length'));
    answer.setHeader('content-type', 'application/octet-stream');
    answer.setHeader('content-length', down ?? 0);
    await pipeline(bytesOf(`down ${id}`, down ?? 0), answer).catch(() => {});
  });
  server.requestTimeout = 0;
  server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
}

function transfer({ id, url, client, up, down, chunked }: Transfer): Promise<string | null> {
  return new Promise((resolve) => {
    const headers = {
      'x-road-client': client,
      'content-type': 'application/octet-stream',
      ...(chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': up }),
    };
    const target = `${url}/file?id=${id}&up=${up}&down=${down}`;
    const sent = request(target, { method: 'POST', headers, agent: false });
    sent.on('error', (error) => resolve(String(error)));
    sent.on('response', async (answer) => {
      if (answer.statusCode !== 200) {
        const chunks: Buffer[] = [];
        for await (const chunk of answer) chunks.push(chunk as Buffer);
        resolve(`${answer.statusCode} ${Buffer.concat(chunks).toString('utf8').slice(0, 400)}`);
        return;
      }
      const said = `${answer.statusCode} ${answer.headers['x-road-error'] ?? ''} ${answer.headers['x-fault'] ?? ''}`;
      const fault = await differenceFrom(`down ${id}`, down, answer).catch(String);
      resolve(said === '200  none' ? fault : `${said} ${fault}`);
    });
    pipeline(bytesOf(`up ${id}`, up), sent).catch(() => {});
  });
}

if (process.argv[2] === 'backend') backend();
else if (process.argv[2] === 'caller') {
  createInterface({ input: process.stdin }).on('line', async (line) => {
    const asked = JSON.parse(line) as Transfer;
    const startedMs = performance.now();
    const fault = await transfer(asked);
    const said: Transferred = { id: asked.id, fault, durationMs: Math.round(performance.now() - startedMs) };
    console.log(JSON.stringify(said));
  });
}
// The campaign may itself be killed; then nobody is left to end this process.
process.stdin.once('end', () => process.exit(1)).resume();
