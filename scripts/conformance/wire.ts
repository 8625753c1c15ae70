// One HTTP/1.1 request as exact bytes over a socket of its own, and what came back, uninterpreted: no library puts its own
// headers in, joins those that stand twice or follows a redirect. The server under test controls every byte that comes.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export type Header = readonly [name: string, value: string];

export interface Place {
  url: URL;
  /** PEM: authorities of the server under test, own certificate and key; for https only. */
  tls: { ca?: Buffer; cert?: Buffer; key?: Buffer };
  timeoutMs: number;
}

export interface Came {
  status: number;
  /** In the order and spelling in which they came, latin1. */
  headers: Header[];
  body: Buffer;
}

const MAX_ANSWER_BYTES = 1024 * 1024 * 1024;

/** @param head request line and headers, latin1, without the empty line. @throws Error when nothing readable came */
export async function send({ url, tls, timeoutMs }: Place, head: string, body: Buffer): Promise<Came> {
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  const socket: Socket =
    url.protocol === 'https:'
      ? connectTls({ host: url.hostname, port, servername: url.hostname, ...tls })
      : connect(port, url.hostname);
  socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`nothing came for ${timeoutMs} ms`)));
  const method = head.slice(0, head.indexOf(' '));
  try {
    return await new Promise<Came>((resolve, reject) => {
      const chunks: Buffer[] = [];
      let length = 0;
      let failure: Error | undefined;
      const finish = () => {
        const came = parseAnswer(Buffer.concat(chunks), method, true);
        if (came === null) reject(failure ?? new Error('the connection ended before a whole answer'));
        else resolve(came);
      };
      socket.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > MAX_ANSWER_BYTES) socket.destroy(new Error('the answer does not end'));
      });
      // A server that refuses a body half way may reset; what it said before counts.
      socket.on('error', (error: Error) => {
        failure = error;
      });
      socket.on('close', finish);
      socket.write(Buffer.from(`${head}\r\n\r\n`, 'latin1'));
      if (body.length > 0) socket.write(body);
    });
  } finally {
    socket.destroy();
  }
}

/**
 * RFC 9112, as strictly as a caller's library would: null when it is not whole.
 * @param isOver nothing more will come
 */
export function parseAnswer(bytes: Buffer, method: string, isOver: boolean): Came | null {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const [line = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const status = Number(/^HTTP\/1\.[01] ([1-9][0-9]{2})(?: |$)/.exec(line)?.[1] ?? 0);
  if (status === 0) return null;
  const rest = bytes.subarray(end + 4);
  if (status < 200) return parseAnswer(rest, method, isOver);
  const headers = lines.map((each): Header => {
    const colon = each.indexOf(':');
    return [each.slice(0, colon), each.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')];
  });
  const body = bodyOf(rest, headers, method === 'HEAD' || status === 204 || status === 304, isOver);
  return body && { status, headers, body };
}

function bodyOf(rest: Buffer, headers: Header[], isBodiless: boolean, isOver: boolean): Buffer | null {
  if (isBodiless) return rest.length === 0 ? rest : null;
  const all = (name: string) => headers.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
  if (all('transfer-encoding').length > 0) return unchunked(rest);
  const [length] = all('content-length');
  if (length === undefined) return isOver ? rest : null;
  return rest.length === Number(length) ? rest : null;
}

function unchunked(rest: Buffer): Buffer | null {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = rest.indexOf('\r\n', at);
    if (end === -1) return null;
    const size = Number.parseInt(rest.subarray(at, end).toString('latin1'), 16);
    if (size === 0) return Buffer.concat(parts);
    if (!(size > 0) || rest.length < end + 2 + size + 2) return null;
    parts.push(rest.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}
