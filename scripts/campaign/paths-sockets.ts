// Raw HTTP/1.1 for campaign `paths`: a client's library would refuse or rewrite half of the targets. One connection, one
// request at a time.
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  status: number;
  /** Names in lower case; of repeated ones the last. */
  headers: Map<string, string>;
}

export interface RawConnection {
  /** Sends a whole request and waits for its answer. @throws when the connection ends without one */
  ask(request: Buffer): Promise<RawAnswer>;
  close(): void;
}

export function openRawConnection(url: string): RawConnection {
  const { hostname, port } = new URL(url);
  let socket: Socket | undefined;
  let held = '';
  let settle: ((answer: RawAnswer | Error) => void) | undefined;
  const take = () => {
    const end = held.indexOf('\r\n\r\n');
    if (end === -1) return;
    const [line = '', ...lines] = held.slice(0, end).split('\r\n');
    const headers = new Map(
      lines.map((each) => {
        const colon = each.indexOf(':');
        return [each.slice(0, colon).toLowerCase(), each.slice(colon + 1).trim()] as const;
      }),
    );
    const length = Number(headers.get('content-length') ?? 0);
    if (held.length < end + 4 + length) return;
    held = held.slice(end + 4 + length);
    if (headers.get('connection') === 'close') {
      socket?.destroy();
      socket = undefined;
    }
    settle?.({ status: Number(line.split(' ')[1]), headers });
  };
  const open = (): Socket => {
    held = '';
    const opened = connect(Number(port), hostname);
    opened.on('data', (chunk) => {
      held += chunk.toString('latin1');
      take();
    });
    opened.on('error', () => opened.destroy());
    opened.on('close', () => {
      if (socket !== opened) return;
      socket = undefined;
      settle?.(new Error('the connection ended without an answer'));
    });
    return opened;
  };
  return {
    async ask(request) {
      const answer = await new Promise<RawAnswer | Error>((resolve) => {
        settle = resolve;
        socket ??= open();
        socket.write(request);
      });
      settle = undefined;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    close() {
      const last = socket;
      socket = undefined;
      last?.destroy();
    },
  };
}
