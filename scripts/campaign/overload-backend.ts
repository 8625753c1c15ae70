// The provider's backend of campaigns `overload` and `soak`, a process of its own: it takes any body and answers with JSON
// of 1 KiB, or with as many bytes as the path's last part says. Prints its URL; ends with its standard input.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const MOST_BYTES = 16 * 1024 * 1024;
const short = Buffer.from(JSON.stringify({ text: 'x'.repeat(1_000) }));
const long = Buffer.alloc(MOST_BYTES, 'answer ');

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  request.resume().once('end', () => {
    const size = Math.min(MOST_BYTES, Number(/\/bytes\/(\d+)$/.exec(request.url ?? '')?.[1] ?? 0));
    const [type, body] = size > 0 ? ['application/octet-stream', long.subarray(0, size)] : ['application/json', short];
    response.writeHead(200, { 'content-type': type, 'content-length': body.length }).end(body);
  });
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
// The campaign may itself be killed; then nobody is left to end this process.
process.stdin.once('end', () => process.exit(0)).resume();
