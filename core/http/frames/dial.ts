// Both ends of a connection before its first frame: dialling a peer's port and asking for frames there, and taking
// those connections out of an HTTPS server's hands whose handshake chose frames (RFC 7301). The peer controls which
// protocol it speaks and which certificate it shows; the pin is the caller's.
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { acceptsPeer, type ClientTls, connector } from '#core/http/connect.ts';
import { AccordError } from '#schemas/problems.ts';
import { FRAMES_PROTOCOL } from './wire.ts';

export interface DialledFrames {
  socket: Socket;
  /** Whether the pin still knows the certificate that this connection showed; ask it for every frame. */
  isPinned(): boolean;
}

/**
 * @param origin `https://host:port`
 * @returns null when the port speaks HTTP/1.1 only
 * @throws PEER_UNREACHABLE
 */
export function dialFrames(origin: string, tls: ClientTls, timeoutMs: number): Promise<DialledFrames | null> {
  const { hostname, port, protocol } = new URL(origin);
  const live = new Map<Socket, Buffer>();
  const connect = connector(tls, live, timeoutMs, [FRAMES_PROTOCOL, 'http/1.1']);
  return new Promise((resolve, reject) => {
    connect({ hostname, port, protocol }, (error, socket) => {
      if (socket === null) return reject(new AccordError('PEER_UNREACHABLE', error.message, { cause: error }));
      const der = live.get(socket);
      const { checkPeerCertificate } = tls;
      if (!(socket instanceof TLSSocket) || socket.alpnProtocol !== FRAMES_PROTOCOL) {
        socket.on('error', () => {});
        socket.destroy();
        return resolve(null);
      }
      const isPinned = () =>
        checkPeerCertificate !== undefined && der !== undefined && acceptsPeer(checkPeerCertificate, der);
      return resolve({ socket, isPinned });
    });
  });
}

/**
 * Hands connections that chose frames to `take`; all others go to HTTP as before. Call it before the server listens.
 * Listeners that stand before HTTP's own (caps, pins) see both kinds.
 */
export function takeFrames(server: Server, take: (socket: TLSSocket) => void): void {
  const http = server.listeners('secureConnection').at(-1) as ((socket: TLSSocket) => void) | undefined;
  if (http === undefined) throw new TypeError('not an HTTPS server');
  server.off('secureConnection', http);
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol === FRAMES_PROTOCOL) take(socket);
    else http.call(server, socket);
  });
}
