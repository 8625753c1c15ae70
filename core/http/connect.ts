// How the bounded client makes one connection: TCP, or TLS 1.3 (RFC 8446) with the peer's certificate pinned by the
// caller. The peer controls the certificate that it shows.

import net from 'node:net';
import tls from 'node:tls';

/**
 * Keys and trust for one peer. Connections are shared between requests that pass the same object (by identity), so
 * make one per peer and a new one when the keys change.
 */
export interface ClientTls {
  /** PEM. Without it, Node's built-in roots. */
  ca?: string | Buffer | (string | Buffer)[];
  cert?: string | Buffer;
  key?: string | Buffer;
  servername?: string;
  /** TLS 1.3 unless an older one is said to be enough. */
  minVersion?: 'TLSv1.2';
  /**
   * Pins the server: gets the DER of its certificate and alone decides, in place of chain and name checks. Asked when a
   * connection is made, before a byte of HTTP leaves, and again for the open connections on every request, so that a
   * peer that lost its registration also loses its live connections.
   */
  checkPeerCertificate?: (der: Buffer) => boolean;
}

interface ConnectTo {
  hostname: string;
  protocol: string;
  port: string;
}
type Connected = (...result: [null, net.Socket] | [Error, null]) => void;

/**
 * Makes one connection. With a pin, chain errors are not fatal in TLS itself, because the pin decides; undici is handed
 * the socket only after it did, so an unpinned peer sees a handshake and no request.
 */
export function connector(
  tlsOptions: ClientTls | undefined,
  live: Map<net.Socket, Buffer>,
  connectTimeoutMs: number,
  protocols: string[] = ['http/1.1'],
) {
  const { servername, checkPeerCertificate, ...keys } = tlsOptions ?? {};
  const secureContext = tlsOptions && tls.createSecureContext({ minVersion: 'TLSv1.3', ...keys });
  return ({ hostname, protocol, port }: ConnectTo, done: Connected): void => {
    const secure = protocol === 'https:';
    const to = { host: hostname, port: Number(port) || (secure ? 443 : 80) };
    const name = servername ?? (net.isIP(hostname) === 0 ? hostname : undefined);
    const socket = secure
      ? tls.connect({
          ...to,
          ...(secureContext && { secureContext }),
          ...(name !== undefined && { servername: name }),
          ALPNProtocols: protocols,
          rejectUnauthorized: checkPeerCertificate === undefined,
        })
      : net.connect(to);
    const timer = setTimeout(() => socket.destroy(new Error('connecting took too long')), connectTimeoutMs);
    const fail = (error: Error) => {
      clearTimeout(timer);
      done(error, null);
    };
    socket.setNoDelay(true);
    socket.once('error', fail);
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      const der = socket instanceof tls.TLSSocket ? peerDer(socket) : undefined;
      if (checkPeerCertificate && !(der && acceptsPeer(checkPeerCertificate, der))) {
        socket.on('error', () => {});
        socket.destroy();
        done(new Error('the server showed another certificate than the registered one'), null);
        return;
      }
      if (der) {
        live.set(socket, der);
        socket.once('close', () => live.delete(socket));
      }
      done(null, socket);
    });
  };
}

function peerDer(socket: tls.TLSSocket): Buffer | undefined {
  return socket.getPeerX509Certificate()?.raw;
}

/** A check that throws refuses: it runs inside a socket event, where an exception would end the process. */
export function acceptsPeer(checkPeerCertificate: (der: Buffer) => boolean, der: Buffer): boolean {
  try {
    return checkPeerCertificate(der) === true;
  } catch {
    return false;
  }
}
