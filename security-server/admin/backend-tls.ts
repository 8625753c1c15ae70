// How a service's https backend is checked, as an administrator writes it (state.ts, BackendTls).
import { pemCertificates } from '#certs/pem.ts';
import { readCertificate } from '#certs/x509-read.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';

const closed = { additionalProperties: false };

export const BackendTlsInput = Type.Union([
  /** Certification authorities, PEM, in place of the public ones. */
  Type.Object({ caPem: Type.String({ minLength: 1, maxLength: 64 * 1024 }) }, closed),
  /** Neither certificate nor host name is checked. */
  Type.Object({ insecure: Type.Literal(true) }, closed),
]);

/** @throws SCHEMA_MISMATCH, PEM_INVALID, CERTIFICATE_MALFORMED, DER_INVALID */
export function requireBackendTls(url: string, tls: Static<typeof BackendTlsInput> | null): void {
  if (tls === null) return;
  if (!url.startsWith('https:')) throw new AccordError('SCHEMA_MISMATCH', '/tls: the backend is not https');
  if (!('caPem' in tls)) return;
  for (const der of pemCertificates(tls.caPem)) readCertificate(der);
}
