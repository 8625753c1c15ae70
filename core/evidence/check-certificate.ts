// Whose signature it is: the certificate was registered to the server the statement names, it chains to an authority of the
// configuration, it was valid when the statement was signed, and it had not been revoked. The pack's maker controls the
// certificate and the answer about it; keys and lists come from the approved configuration.

import type { KeyObject } from 'node:crypto';
import { X509Certificate } from 'node:crypto';
import { sha256 } from '#certs/commitment.ts';
import { readHolderNames } from '#certs/holder-names.ts';
import { verifyOcsp } from '#certs/ocsp.ts';
import { certificateHash, validatePath } from '#certs/path.ts';
import { judgeRevocation } from '#certs/revocation.ts';
import { readCertificate } from '#certs/x509-read.ts';
import type { TrustPart } from '#schemas/configuration.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Statement } from '#schemas/statement.ts';
import { derOf, type PackConfiguration } from './check-configuration.ts';
import { PackFinding, PackGap } from './finding.ts';

/** A server may use a configuration so long after its end (`maxStaleMs` at the most). */
const MAX_STALE_MS = 7 * 86_400_000;
/** A list or an answer counts so long after its next update, when the configuration says nothing. */
const DEFAULT_GRACE_MS = 86_400_000;
const MAX_CANDIDATES = 16;

/**
 * @param subsystem whom the server speaks for in this statement
 * @returns the certification path, DER, leaf first
 * @throws PackFinding CONFIGURATION_NOT_IN_FORCE, CERTIFICATE_NOT_REGISTERED, SUBSYSTEM_NOT_ON_SERVER, CERTIFICATE_INVALID
 */
export function checkCertificate(
  certificate: Buffer,
  statement: Statement,
  subsystem: string,
  configuration: PackConfiguration,
): Uint8Array[] {
  const { content } = configuration;
  const { issuedAtMs, expiresAtMs, version } = content.document;
  const { at, from } = statement;
  if (statement.configuration.version === version && statement.configuration.hash !== content.hash) {
    throw new PackFinding('CONFIGURATION_NOT_IN_FORCE', `the statement names another content ${version}`);
  }
  if (at < issuedAtMs - CLOCK_WINDOW_MS || at > expiresAtMs + MAX_STALE_MS) {
    throw new PackFinding('CONFIGURATION_NOT_IN_FORCE', `content ${version}`);
  }
  const server = configuration.server(from);
  const hash = certificateHash(certificate);
  if (server === undefined || !server.signingCertificates.some((one) => one.hash === hash)) {
    throw new PackFinding('CERTIFICATE_NOT_REGISTERED', from);
  }
  if (!server.subsystems.has(subsystem)) throw new PackFinding('SUBSYSTEM_NOT_ON_SERVER', subsystem);
  return signingPath(certificate, configuration.trust, at);
}

/** @throws PackFinding CERTIFICATE_INVALID */
export function signingPath(leaf: Buffer, trust: TrustPart, atMs: number): Uint8Array[] {
  const anchors = derOf(trust.anchors).map((der) => ({ der }));
  const intermediates = candidates(leaf, derOf(trust.intermediates));
  const verdict = validatePath({ leaf, intermediates, anchors, atMs, purpose: 'sign' });
  if (!verdict.valid) throw new PackFinding('CERTIFICATE_INVALID', verdict.code);
  return verdict.path;
}

/** The security server that a certificate names. @throws CERTIFICATE_MALFORMED, CSR_REFUSED */
export function holderOf(certificate: Buffer): string {
  const { kind, id } = readHolderNames(readCertificate(certificate).extensions.subjectAltNames ?? []);
  return kind === 'server' ? id : '';
}

export function publicKeyOf(certificate: Buffer): KeyObject {
  return new X509Certificate(certificate).publicKey;
}

/** The intermediates that can stand above a leaf: a validation looks at 16, a configuration may hold more. */
export function candidates(leaf: Buffer, intermediates: readonly Buffer[]): Buffer[] {
  const found: Buffer[] = [];
  for (let level = [leaf]; level.length > 0 && found.length < MAX_CANDIDATES; ) {
    const issuers = new Set(level.flatMap((der) => nameOf(der, 'issuer') ?? []));
    level = intermediates.filter((der) => !found.includes(der) && issuers.has(nameOf(der, 'subject') ?? ''));
    found.push(...level);
  }
  return found.slice(0, MAX_CANDIDATES);
}

function nameOf(der: Buffer, which: 'issuer' | 'subject'): string | undefined {
  try {
    return readCertificate(der)[which].key;
  } catch (error) {
    if (isAccordError(error)) return undefined;
    throw error;
  }
}

/**
 * The OCSP answer that the entry names; where it names none, the list of the issuer in the configuration.
 * @returns which of them said so
 * @throws PackFinding CERTIFICATE_REVOKED, CERTIFICATE_STATUS_WRONG; PackGap CERTIFICATE_STATUS_MISSING
 */
export function checkStatus(
  answer: Buffer | undefined,
  path: readonly Uint8Array[],
  entry: LogEntry,
  { trust }: PackConfiguration,
  atMs: number,
): string {
  const [certificate, issuer] = path;
  if (certificate === undefined || issuer === undefined) throw new PackFinding('CERTIFICATE_INVALID', 'no issuer');
  if ((answer === undefined ? null : sha256(answer)) !== entry.ocsp) {
    if (answer === undefined) throw new PackGap('CERTIFICATE_STATUS_MISSING', 'the answer that the entry names');
    throw new PackFinding('CERTIFICATE_STATUS_WRONG', 'the entry names another answer');
  }
  const crls = derOf(trust.crls);
  if (answer !== undefined) {
    const { freshnessMs = Number.POSITIVE_INFINITY, graceMs = DEFAULT_GRACE_MS } = trust.ocsp ?? {};
    const said = verifyOcsp({ response: answer, path, atMs, freshnessMs, graceMs, crls });
    if (said.status === 'revoked') throw new PackFinding('CERTIFICATE_REVOKED', 'its authority said so');
    if (said.status === 'good') return 'good, by its authority';
    throw new PackFinding('CERTIFICATE_STATUS_WRONG', said.status === 'refused' ? said.code : 'unknown');
  }
  const said = judgeRevocation(certificate, issuer, crls, atMs);
  if (said.status === 'revoked') throw new PackFinding('CERTIFICATE_REVOKED', 'it is on the list of its authority');
  if (said.status === 'good' && atMs <= said.nextUpdateMs + DEFAULT_GRACE_MS) return 'not on the list of its authority';
  throw new PackGap('CERTIFICATE_STATUS_MISSING', said.status === 'good' ? 'the list is too old' : 'no list');
}
