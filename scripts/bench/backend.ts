// The provider's backend of the benchmark, a process of its own and the same for every variant: it knows each request
// that may come, compares what came, and answers with bytes that were made once. Prints its URL.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerOf, fileOf, isFile, pathOf, requestOf, residents, SIZES, type Size } from './assistance.ts';

interface Known {
  request: Buffer;
  answer: Buffer;
  type: string;
}

/** Every so many requests are compared byte by byte; of the others the length. */
const COMPARED = 16;

/** By path, made when it is first asked for: a run asks for few of the sizes. */
const known = new Map<string, () => Known>();
for (const size of Object.keys(SIZES) as Size[]) {
  if (isFile(size)) {
    const whole = (): Known => ({ request: fileOf(size), answer: fileOf(size), type: 'application/octet-stream' });
    known.set(pathOf(size, ''), once(whole));
  } else {
    for (const resident of residents) {
      const request = () => Buffer.from(JSON.stringify(requestOf(size, resident)));
      const both = (): Known => ({ request: request(), answer: answerOf(size, resident), type: 'application/json' });
      known.set(pathOf(size, resident), once(both));
    }
  }
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

let served = 0;
function take(incoming: IncomingMessage, answer: ServerResponse): void {
  const expected = known.get(incoming.url ?? '')?.();
  served += 1;
  const isCompared = expected !== undefined && (served % COMPARED === 0 || expected.request.length > SIZES['100k']);
  let came = 0;
  let same = true;
  incoming.on('data', (chunk: Buffer) => {
    if (isCompared) same &&= expected.request.subarray(came, came + chunk.length).equals(chunk);
    came += chunk.length;
  });
  incoming.on('end', () => {
    if (expected === undefined || came !== expected.request.length || !same) {
      answer.writeHead(500, { 'content-type': 'text/plain' }).end(`${incoming.url}: ${came} bytes, not what was sent`);
      return;
    }
    answer.writeHead(200, { 'content-type': expected.type, 'content-length': expected.answer.length });
    answer.end(expected.answer);
  });
}

const server = createServer({ keepAliveTimeout: 60_000 }, take);
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
// The benchmark may itself be killed; then nobody is left to end this process.
process.stdin.once('end', () => process.exit(1)).resume();
