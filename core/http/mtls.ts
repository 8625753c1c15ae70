// Mutual TLS 1.3 (RFC 8446) for fastify, and 1.2 (RFC 5246) where a port says so: who the peer is, is decided by the exact certificate it showed, pinned by hash
// in the global configuration, and decided again on every request. Chain building is left out on purpose: Node accepts
// CA:TRUE client leaves and certificates minted below a leaf, and a chain cannot say that a certificate was withdrawn a
// minute ago. OpenSSL still proves that the peer holds the private key (CertificateVerify, RFC 8446 4.4.3).
//
// Whoever reaches the port controls the certificate and the moment; nothing but its SHA-256 and its validity is used
// from it, and the validity only by a pin owner who registered that very hash. On a port whose routes judge callers by more
// than a certificate (`unpinned`), a connection that no pin knows reaches the routes as nobody: they see what it showed.
import { constants, type KeyObject } from 'node:crypto';
import type { Server as HttpsServer, ServerOptions as HttpsServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import { createSecureContext, type TLSSocket } from 'node:tls';
import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import { certificateHash } from '#certs/x509-read.ts';
import { MAX_CONNECTIONS_PER_PEER } from '#schemas/limits.ts';
import { AccordError, PROBLEMS } from '#schemas/problems.ts';
import type { ClientTls } from './connect.ts';
import { sourceOf } from './source-of.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What `pin` returned for the certificate of this connection; typed access: `request.getDecorator<P>('peer')`. */
    peer: unknown;
    /** base64url SHA-256 of the DER of the certificate that the pin knows; empty where `unpinned` let it pass. */
    peerHash: string;
    /** What a connection that was let pass without a pin showed; null when it showed nothing, or is pinned. */
    shownCertificate: ShownCertificate | null;
  }
  interface FastifyInstance {
    /** Destroys the live connections of one certificate (base64url SHA-256); returns how many there were. */
    closePeer(hash: string): number;
    /** base64url SHA-256 of every certificate that has a live connection. */
    livePeers(): string[];
    /** Serves new connections with another certificate; open ones go on. @throws CERTIFICATE_KEY_MISMATCH */
    replaceTlsIdentity(identity: TlsIdentity): void;
  }
}

export interface MtlsOptions {
  /**
   * The pin owner's answer for the certificate with this base64url SHA-256, asked on every request; undefined refuses.
   * It is also the pin owner who refuses expired, revoked and distrusted certificates.
   */
  pin(hash: string, validity: CertificateValidity): object | undefined;
  /** Live connections of one certificate; one more is closed before it said anything. */
  maxConnectionsPerPeer?: number;
  /**
   * Lets connections through to the routes that the pin does not know: `request.peer` is null, and every route has to judge
   * by `shownCertificate` and the address. Absent, as on the peers' port, they are refused here. An address that is
   * not expected gets one answer and the end of the connection, as it does without this.
   */
  unpinned?: { isExpected(address: string): boolean };
  /** As given to `mtlsServerOptions`: a certificate that is replaced changes nothing of it. */
  oldestTls?: OldestTls;
}

/** TLS 1.2 is for a port whose clients nobody here can renew. */
export type OldestTls = '1.2' | '1.3';

/** The certificate of a connection: base64url SHA-256 of its DER, and its validity. */
interface ShownCertificate {
  hash: string;
  validity: CertificateValidity;
}

/** What the certificate itself says, milliseconds since the epoch; NaN where it says no time. */
interface CertificateValidity {
  notBeforeMs: number;
  notAfterMs: number;
}

/** A PEM chain, leaf first, and its private key; give `key` or `keyPem`. */
export type TlsIdentity = { certPem: string } & ({ key: KeyObject } | { keyPem: string });

/** A connection with an unknown certificate gets one answer, and this long to ask for it. */
const UNKNOWN_PEER_MS = 2_000;
/** Unknown connections that may wait for that answer at once; one more is closed without it. */
const MAX_UNKNOWN_CONNECTIONS = 256;

// draft-ietf-tls-ecdhe-mlkem: recorded traffic stays closed to a later quantum computer.
const HYBRID_GROUPS = 'X25519MLKEM768:X25519:P-256';
const CLASSIC_GROUPS = 'X25519:P-256';

// RFC 9325 4.2: forward secrecy and AEAD only. Naming suites of TLS 1.2 alone would switch 1.3 off.
const BOTH_VERSIONS_SUITES = [
  'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256',
].join(':');

const REFUSAL = JSON.stringify({
  type: 'urn:accord:problem:PEER_UNKNOWN',
  title: PROBLEMS.PEER_UNKNOWN.title,
  status: PROBLEMS.PEER_UNKNOWN.status,
  code: 'PEER_UNKNOWN',
});

/**
 * The `https` options of a fastify server for this plugin.
 * @throws CERTIFICATE_KEY_MISMATCH
 */
export function mtlsServerOptions(identity: TlsIdentity, oldestTls: OldestTls = '1.3'): HttpsServerOptions {
  return {
    ...contextOptions(identity, oldestTls),
    requestCert: true,
    rejectUnauthorized: false, // the pin decides; a chain that OpenSSL likes proves nothing here
    ALPNProtocols: ['http/1.1'],
  };
}

/** Keys and pin for the bounded client. @param pinned asked for every request, with the hash of the server's certificate */
export function tlsClientOptions(identity: TlsIdentity, pinned: (hash: string) => boolean): ClientTls {
  const { cert, key } = keyPair(identity);
  return { cert, key, checkPeerCertificate: (der) => pinned(certificateHash(der)) };
}

/** Register it on the root instance before any other hook, so that nothing runs for an unknown peer. */
export const mtls: FastifyPluginCallback<MtlsOptions> = (fastify, options, done) => {
  const { pin, maxConnectionsPerPeer = MAX_CONNECTIONS_PER_PEER, unpinned, oldestTls = '1.3' } = options;
  const server = fastify.server as unknown as HttpsServer;
  const live = new Map<string, Set<TLSSocket>>();
  const liveAddresses = new Map<string, Set<TLSSocket>>();
  const shown = new WeakMap<object, ShownCertificate>();
  const isExpected = (socket: Socket) =>
    unpinned !== undefined && answers(() => unpinned.isExpected(addressOf(socket)));
  let unknown = 0;

  server.prependListener('secureConnection', (socket) => {
    const certificate = readShown(socket);
    const known = () => (certificate !== undefined && isPinned(pin, certificate)) || isExpected(socket);
    if (!known()) {
      unknown += 1;
      socket.once('close', () => {
        unknown -= 1;
      });
      if (unknown > MAX_UNKNOWN_CONNECTIONS) socket.destroy();
      setTimeout(() => known() || socket.destroy(), UNKNOWN_PEER_MS).unref();
    }
    if (socket.destroyed) return;
    // No post-handshake authentication, no renegotiation: the certificate of a connection cannot change any more.
    if (certificate !== undefined) shown.set(socket, certificate);
    if (certificate !== undefined) hold(live, certificate.hash, socket, maxConnectionsPerPeer);
    else if (isExpected(socket)) hold(liveAddresses, sourceOf(addressOf(socket)), socket, maxConnectionsPerPeer);
  });

  const check = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const certificate = shown.get(request.raw.socket);
    const peer = certificate && pin(certificate.hash, certificate.validity);
    const isKnown = certificate !== undefined && peer !== undefined;
    if (!isKnown && unpinned === undefined) return refuse(request, reply);
    if (!isKnown && !isExpected(request.raw.socket)) endAfter(request, reply);
    request.peer = peer ?? null;
    request.peerHash = isKnown ? certificate.hash : '';
    request.shownCertificate = isKnown ? null : (certificate ?? null);
    return undefined;
  };
  fastify.decorateRequest('peer', null);
  fastify.decorateRequest('peerHash', '');
  fastify.decorateRequest('shownCertificate', null);
  fastify.addHook('onRequest', check);
  // Once more when the body is complete: a slow body must not outlive the registration it began under.
  fastify.addHook('preHandler', check);

  fastify.decorate('livePeers', () => [...live.keys()]);
  fastify.decorate('closePeer', (hash: string) => {
    const sockets = [...(live.get(hash) ?? [])];
    for (const socket of sockets) socket.destroy();
    return sockets.length;
  });
  fastify.decorate('replaceTlsIdentity', (identity: TlsIdentity) => {
    server.setSecureContext(contextOptions(identity, oldestTls));
  });
  done();
};
// Fastify keeps decorators and hooks of a plugin to itself unless it carries this mark (what fastify-plugin sets).
Object.assign(mtls, { [Symbol.for('skip-override')]: true });

/** One more connection of that name; above the cap it is closed before it said anything. */
function hold(live: Map<string, Set<TLSSocket>>, name: string, socket: TLSSocket, most: number): void {
  const sockets = live.get(name) ?? new Set();
  if (sockets.size >= most) return void socket.destroy();
  live.set(name, sockets.add(socket));
  socket.once('close', () => {
    sockets.delete(socket);
    if (sockets.size === 0 && live.get(name) === sockets) live.delete(name);
  });
}

function isPinned(pin: MtlsOptions['pin'], { hash, validity }: ShownCertificate): boolean {
  return answers(() => pin(hash, validity) !== undefined);
}

/** In an event of a socket an exception would end the process: what cannot answer knows nobody. */
function answers(ask: () => boolean): boolean {
  try {
    return ask();
  } catch {
    return false;
  }
}

function addressOf(socket: Socket): string {
  return socket.remoteAddress ?? '';
}

function readShown(socket: TLSSocket): ShownCertificate | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const validity = { notBeforeMs: Date.parse(certificate.validFrom), notAfterMs: Date.parse(certificate.validTo) };
  return { hash: certificateHash(certificate.raw), validity };
}

/** One answer that says nothing about who would be known, then the end of the connection. */
function refuse(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  endAfter(request, reply);
  return reply.code(PROBLEMS.PEER_UNKNOWN.status).header('content-type', 'application/problem+json').send(REFUSAL);
}

function endAfter(request: FastifyRequest, reply: FastifyReply): void {
  const socket = request.raw.socket;
  reply.header('connection', 'close');
  reply.raw.once('finish', () => setTimeout(() => socket.destroy(), 100).unref());
}

function contextOptions(identity: TlsIdentity, oldestTls: OldestTls) {
  return {
    ...keyPair(identity),
    ...(oldestTls === '1.3' ? { minVersion: 'TLSv1.3' as const } : OLDER),
    maxVersion: 'TLSv1.3' as const,
    ecdhCurve: groups(),
    // With stateless tickets a session would carry an old authentication along. This makes them stateful, and without a
    // 'resumeSession' listener Node keeps none: every connection is a full handshake. A second one in TLS 1.2 is none.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}

const OLDER = { minVersion: 'TLSv1.2' as const, ciphers: BOTH_VERSIONS_SUITES };

function keyPair(identity: TlsIdentity): { cert: string; key: string } {
  const key = 'key' in identity ? identity.key.export({ type: 'pkcs8', format: 'pem' }).toString() : identity.keyPem;
  try {
    createSecureContext({ cert: identity.certPem, key });
  } catch (cause) {
    throw new AccordError('CERTIFICATE_KEY_MISMATCH', 'the TLS certificate and its key', { cause });
  }
  return { cert: identity.certPem, key };
}

/** The hybrid post-quantum group first, where this OpenSSL (3.5 and newer) has it. */
function groups(): string {
  try {
    createSecureContext({ ecdhCurve: HYBRID_GROUPS });
    return HYBRID_GROUPS;
  } catch {
    return CLASSIC_GROUPS;
  }
}
