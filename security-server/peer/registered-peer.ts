// Who stands behind a TLS certificate (DESIGN: authenticate the peer, exact registered certificate, on every request).
// Registered and not distrusted is the configuration's word; chain, validity and revocation are checked here, for both
// ends of a connection. The peer controls nothing but which certificate it shows.
import type { FastifyBaseLogger } from 'fastify';
import type { ConfigurationSnapshot, ServerEntry } from '#core/configuration/snapshot.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { CertificateTrust } from '#security-server/certificate-trust.ts';

/**
 * The registered server whose TLS certificate has this SHA-256 (base64url), or undefined.
 * @param end what the certificate is used as: a peer that connects is a client
 */
export type PeerByCertificate = (
  hash: string,
  end: 'client' | 'server',
  snapshot: ConfigurationSnapshot,
  nowMs: number,
) => ServerEntry | undefined;

const MAX_TOLD = 1_000;

export function openRegisteredPeers(trust: CertificateTrust, logger: FastifyBaseLogger): PeerByCertificate {
  const told = new Set<string>();

  function tell(peer: string, hash: string, reason: string): void {
    const line = `${hash} ${reason}`;
    if (told.has(line)) return;
    if (told.size >= MAX_TOLD) told.clear();
    told.add(line);
    logger.warn({ peer, certificate: hash, reason }, 'a registered TLS certificate is not accepted');
  }

  return (hash, end, snapshot, nowMs) => {
    const peer = snapshot.serverByAuthenticationHash(hash);
    const certificate = peer?.authenticationCertificates.find((one) => one.hash === hash);
    if (peer === undefined || certificate === undefined) return undefined;
    try {
      trust.keyOf(certificate, end, snapshot, nowMs);
      return peer;
    } catch (error) {
      if (!isAccordError(error, 'CERTIFICATE_INVALID')) throw error;
      tell(peer.id, hash, error.detail);
      return undefined;
    }
  };
}
