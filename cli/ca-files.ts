// Reading and writing the files of `accord ca`. What is read is capped first; what is written is whole or not there.

import { X509Certificate } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type CertificateRequest, readCsr } from '#certs/csr.ts';
import { readHolderNames } from '#certs/holder-names.ts';
import type { LedgerEntry } from '#certs/ledger.ts';
import { pemCertificates } from '#certs/pem.ts';
import { certificateHash, readCertificate } from '#certs/x509-read.ts';
import { AccordError } from '#schemas/problems.ts';

/** Where `accord ca` finds the passphrase of an authority. */
export const CA_PASSPHRASE = 'ACCORD_CA_PASSPHRASE';

const MAX_FILE_BYTES = 256 * 1024;

/** @throws BODY_TOO_LARGE */
function readCapped(file: string): Buffer {
  if (statSync(file).size > MAX_FILE_BYTES) throw new AccordError('BODY_TOO_LARGE', file);
  return readFileSync(file);
}

/** @throws CSR_MALFORMED, CSR_REFUSED */
export function readRequestFile(file: string): CertificateRequest {
  return readCsr(readCapped(file));
}

/**
 * Opens `file` for what is to be written before the work that cannot be undone is done; nothing appears under its name
 * before `write`.
 */
export function outputFile(file: string): { write(text: string): void; close(): void } {
  const next = `${file}.${process.pid}.new`;
  const fd = openSync(next, 'wx', 0o644);
  let written = false;
  return {
    write(text) {
      writeFileSync(fd, text);
      fsyncSync(fd);
      renameSync(next, file);
      written = true;
    },
    close() {
      closeSync(fd);
      if (!written) rmSync(next, { force: true });
    },
  };
}

const iso = (atMs: number) => new Date(atMs).toISOString().replace('.000Z', 'Z');

/** One line of `accord ca list`. */
export function entryRow({ certificate, revocation }: LedgerEntry, nowMs: number) {
  const state = revocation ? 'revoked' : certificate.notAfterMs < nowMs ? 'expired' : 'valid';
  return {
    serial: certificate.serial,
    profile: certificate.profile,
    holder: certificate.holder,
    notBefore: iso(certificate.notBeforeMs),
    notAfter: iso(certificate.notAfterMs),
    state,
    ...(revocation && { revokedAt: iso(revocation.atMs), reason: revocation.reason }),
    keyHash: certificate.keyHash,
    certificateHash: certificateHash(certificate.der),
  };
}

/** What a file of ours says: the certificates in it, or a request. It is shown, not judged: see `accord ca verify`. */
export function describeFile(file: string): object | object[] {
  const bytes = readCapped(file);
  const text = bytes.toString('latin1');
  if (text.includes('-----BEGIN CERTIFICATE REQUEST-----')) {
    const { names, publicKeyInfo } = readCsr(bytes);
    return { kind: 'request', names, publicKeyInfo: publicKeyInfo.toString('base64url'), signature: 'correct' };
  }
  const ders = text.includes('-----BEGIN') ? pemCertificates(text) : [bytes];
  const shown = ders.map(describeCertificate);
  return shown.length === 1 ? (shown[0] ?? {}) : shown;
}

export function describeCertificate(der: Buffer): object {
  const read = readCertificate(der);
  const { subjectAltNames = [], basicConstraints } = read.extensions;
  const x509 = new X509Certificate(der);
  return {
    kind: 'certificate',
    serial: read.serialHex,
    subject: read.subject.text,
    issuer: read.issuer.text,
    notBefore: iso(read.notBeforeSeconds * 1000),
    notAfter: iso(read.notAfterSeconds * 1000),
    authority: basicConstraints?.ca === true,
    names: subjectAltNames.some(({ kind }) => kind === 'uri')
      ? readHolderNames(subjectAltNames)
      : (x509.subjectAltName ?? ''),
    certificateHash: certificateHash(der),
    sha256: x509.fingerprint256,
  };
}
