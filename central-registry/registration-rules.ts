// What a registration must satisfy before it is written: certificates chain to the instance's trust anchors for their
// purpose and name the server, and one key serves one use of one server. The administrator's client controls the bytes.
import { createHash } from 'node:crypto';
import { readHolderNames } from '#certs/holder-names.ts';
import { exportSpki, importPublicJwk, thumbprint } from '#certs/keys.ts';
import { type PathPurpose, validatePath } from '#certs/path.ts';
import { readCertificate } from '#certs/x509-read.ts';
import { fileHash } from '#core/configuration/verify.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import type { TrustPart } from '#schemas/configuration.ts';
import type { ServerId } from '#schemas/identifiers.ts';
import { MAX_REGISTERED_KEYS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { EncryptionKey } from '#schemas/registrations.ts';
import type { RegisteredKey, RegistryStore } from './store-sqlite.ts';
import { revokedIn } from './trust-rules.ts';

type CertifiedUse = 'authentication' | 'signing';
/** A server's TLS certificate is used from both ends. */
const PURPOSES: Record<CertifiedUse, readonly PathPurpose[]> = {
  authentication: ['client', 'server'],
  signing: ['sign'],
};
/**
 * Encryption keys live at most 30 days, then their private parts are destroyed. Subject keys live as long as the longest
 * receipt whose subject is sealed to them. One day more for clocks that differ.
 */
const LONGEST_DAYS = { encryption: 31, subject: 3_654 } as const;

/** @param text DER in base64url @throws REGISTRATION_CERTIFICATE_REFUSED, CERTIFICATE_MALFORMED, ENCODING_NOT_CANONICAL */
export function judgeCertificate(
  text: string,
  use: CertifiedUse,
  server: ServerId,
  trust: TrustPart,
  nowMs: number,
): RegisteredKey {
  const der = fromBase64url(text);
  for (const purpose of PURPOSES[use]) {
    const verdict = validatePath({
      leaf: der,
      intermediates: trust.intermediates.map(fromBase64url),
      anchors: trust.anchors.map((anchor) => ({ der: fromBase64url(anchor) })),
      atMs: nowMs,
      purpose,
    });
    if (!verdict.valid) throw refused(`${use}: ${verdict.code}`);
    const revoked = revokedIn(verdict.path, trust, nowMs);
    if (revoked !== undefined) throw refused(`${use}: ${revoked}`);
  }
  const { extensions, publicKeyInfo, notAfterSeconds } = readCertificate(der);
  const names = readHolderNames(extensions.subjectAltNames ?? []);
  if (names.kind !== 'server' || names.id !== server) throw refused(`${use}: the certificate names ${names.id}`);
  return {
    hash: fileHash(der),
    server,
    use,
    keyHash: fileHash(publicKeyInfo),
    der: text,
    jwk: null,
    notAfterMs: notAfterSeconds * 1000,
  };
}

/** A key without a certificate. @throws KEY_MALFORMED, KEY_UNSUITABLE, REGISTRATION_KEY_REFUSED */
export function judgeBareKey(
  key: EncryptionKey,
  use: keyof typeof LONGEST_DAYS,
  server: ServerId,
  nowMs: number,
): RegisteredKey {
  const publicKey = importPublicJwk(key.jwk, 'enc');
  if (thumbprint(publicKey) !== key.kid) throw new AccordError('REGISTRATION_KEY_REFUSED', 'kid is not the thumbprint');
  if (key.notAfterMs <= nowMs || key.notAfterMs > nowMs + LONGEST_DAYS[use] * 86_400_000) {
    const longest = use === 'encryption' ? '30 days' : '10 years';
    throw new AccordError('REGISTRATION_KEY_REFUSED', `${use}: the key has ended, or lives longer than ${longest}`);
  }
  return {
    hash: key.kid,
    server,
    use,
    keyHash: createHash('sha256').update(exportSpki(publicKey)).digest('base64url'),
    der: null,
    jwk: JSON.stringify(key.jwk),
    notAfterMs: key.notAfterMs,
  };
}

/**
 * Registers keys of one server. A renewal may certify the same key once more for the same use; everything else that
 * shares a key with a registered one is refused.
 * @throws REGISTRATION_KEY_REFUSED
 */
export function registerKeys(store: RegistryStore, keys: readonly RegisteredKey[]): void {
  for (const key of keys) {
    for (const other of store.keysWith(key.hash, key.keyHash)) {
      if (other.hash === key.hash) throw new AccordError('REGISTRATION_KEY_REFUSED', `${key.use}: registered already`);
      if (other.server !== key.server || other.use !== key.use) {
        throw new AccordError(
          'REGISTRATION_KEY_REFUSED',
          `${key.use}: the key is registered for another server or use`,
        );
      }
    }
    store.addKey(key);
  }
  for (const id of new Set(keys.map(({ server }) => server))) checkCount(store, id);
}

/** More would make the whole part unreadable for every server (schemas/registrations.ts). */
function checkCount(store: RegistryStore, id: ServerId): void {
  const server = store.server(id);
  if (server === undefined) return;
  const { authenticationCertificates, signingCertificates, encryptionKeys, subjectKeys } = server;
  for (const list of [authenticationCertificates, signingCertificates, encryptionKeys, subjectKeys]) {
    if (list.length > MAX_REGISTERED_KEYS) {
      throw new AccordError('REGISTRATION_KEY_REFUSED', `more than ${MAX_REGISTERED_KEYS} of one use; end an old one`);
    }
  }
}

function refused(detail: string): AccordError {
  return new AccordError('REGISTRATION_CERTIFICATE_REFUSED', detail);
}
