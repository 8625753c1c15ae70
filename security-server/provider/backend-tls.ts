// TLS towards a department's own backend: chain (RFC 5280) and host name (RFC 9525) are checked as OpenSSL and Node do it,
// against the public authorities, or those that the service names, or not at all where the service says so. The backend
// controls the certificate that it shows.
import type { ClientTls } from '#core/http/connect.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { BackendTls, LocalService } from '#security-server/state.ts';

/** Connections are shared by the object's identity: one for each setting. A changed service is another setting. */
const made = new WeakMap<BackendTls, ClientTls>();

/** Nothing where the public authorities decide. */
export function backendTls({ tls }: LocalService): { tls?: ClientTls } {
  if (tls == null) return {};
  const known = made.get(tls) ?? clientTls(tls);
  made.set(tls, known);
  return { tls: known };
}

function clientTls(tls: BackendTls): ClientTls {
  return 'caPem' in tls
    ? { ca: tls.caPem, minVersion: 'TLSv1.2' }
    : { checkPeerCertificate: () => true, minVersion: 'TLSv1.2' };
}

// OpenSSL's words for what is wrong with a chain (X509_V_ERR_…, as Node spells them), and Node's for a wrong name.
const CERTIFICATE_CODE =
  /^(?:ERR_TLS_CERT_ALTNAME_INVALID|CERT_[A-Z_]+|UNABLE_TO_[A-Z_]+|(?:DEPTH_ZERO_)?SELF_SIGNED_CERT[A-Z_]*|INVALID_(?:CA|PURPOSE)|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)$/;

/** The code of what was wrong with the backend's certificate; null for every other failure. */
export function certificateProblem(error: unknown): string | null {
  if (!isAccordError(error, 'PEER_UNREACHABLE')) return null;
  for (let cause = error.cause, depth = 0; cause instanceof Error && depth < 4; cause = cause.cause, depth += 1) {
    const { code } = cause as Error & { code?: unknown };
    if (typeof code === 'string' && CERTIFICATE_CODE.test(code)) return code;
  }
  return null;
}
