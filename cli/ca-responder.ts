// `accord ca appoint-responder`: the authority certifies a key that signs OCSP answers for it (RFC 6960 4.2.2.2), so that
// its own key is needed for this every few days only and can lie offline meanwhile; and how the running responder reads
// key and certificate. Folder, files and passphrases are the operator's.
import type { KeyObject } from 'node:crypto';
import { createPublicKey } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { openKey, readKeyHeader } from '#certs/key-file.ts';
import type { OcspResponder } from '#certs/ocsp-make.ts';
import { validatePath } from '#certs/path.ts';
import { pemCertificates } from '#certs/pem.ts';
import { toPem } from '#certs/x509-library.ts';
import { readCertificate } from '#certs/x509-read.ts';
import { CertificationAuthority } from '#core/certification-authority.ts';
import { systemClock } from '#core/clock.ts';
import { AccordError } from '#schemas/problems.ts';
import { CA_PASSPHRASE, entryRow, outputFile } from './ca-files.ts';
import { type OutputOptions, print, runAction, withOutput } from './output.ts';
import { type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

interface AppointOptions extends OutputOptions, PassphraseOptions {
  dir: string;
  key: string;
  out: string;
  authority: 'issuing' | 'root';
  days?: number;
}

export function caAppointResponderCommand(): Command {
  const command = new Command('appoint-responder')
    .description("certify a key for OCSP answers, so that the authority's own key need not be online")
    .requiredOption('--dir <folder>', "the authority's folder")
    .requiredOption('--key <file>', 'key file of `accord key generate --use ocsp`; its passphrase is not needed')
    .requiredOption('--out <file>', 'where the certificate goes, PEM')
    .addOption(
      new Option('--authority <which>', 'for whose certificates').choices(['issuing', 'root']).default('issuing'),
    )
    .option('--days <n>', 'how long, at most 30 (default: 14)', wholeDays)
    .addOption(passphraseOption(CA_PASSPHRASE));
  return withOutput(command).action(runAction(appoint));
}

async function appoint(options: AppointOptions): Promise<void> {
  const { use, publicJwk } = readKeyHeader(readFileSync(options.key, 'utf8'));
  requireUse(use, options.key);
  const publicKey = createPublicKey({ key: { ...publicJwk }, format: 'jwk' });
  const passphrase = await readPassphrase(options, CA_PASSPHRASE, { prompt: 'Passphrase of the authority: ' });
  const authority = new CertificationAuthority(options.dir, systemClock);
  const out = outputFile(options.out);
  try {
    const certificate = await authority.appointResponder(options.authority, publicKey, passphrase, options.days);
    out.write(toPem('CERTIFICATE', certificate.der));
    print({ ...entryRow({ certificate }, systemClock.nowMs()), file: options.out }, options);
  } finally {
    out.close();
    authority.close();
  }
}

function requireUse(use: string, file: string): void {
  if (use !== 'ocsp') throw new AccordError('KEY_UNSUITABLE', `${file} is for ${use}`);
}

function wholeDays(text: string): number {
  if (!/^[1-9][0-9]?$/.test(text)) throw new InvalidArgumentError('A whole number of days.');
  return Number(text);
}

export type Signs = Pick<OcspResponder, 'issuer' | 'certificate' | 'privateKey'>;

const LOOKED_EVERY_MS = 1_000;

/**
 * Who signs the answers: the appointed key, and its certificate as the file says it now. A new certificate for the same
 * key is taken up while the responder runs; one that does not fit is told once and passed over.
 * @param chain DER of the authority that appointed it, up to its root
 * @throws KEY_FILE_*, KEY_UNSUITABLE, PEM_INVALID, CERTIFICATE_KEY_MISMATCH, CERTIFICATE_INVALID for the first one
 */
export async function openAppointed(
  files: { key: string; certificate: string },
  chain: readonly Buffer[],
  passphrase: string,
  tell: (text: string) => void,
): Promise<() => Signs> {
  const { privateKey, use } = await openKey(readFileSync(files.key, 'utf8'), passphrase);
  requireUse(use, files.key);
  const issuer = chain[0] ?? Buffer.alloc(0);
  let signs: Signs = { issuer, certificate: readAppointed(files.certificate, privateKey, chain), privateKey };
  let changedMs = statSync(files.certificate).mtimeMs;
  let lookedMs = systemClock.monotonicMs();
  return () => {
    const nowMs = systemClock.monotonicMs();
    if (nowMs - lookedMs < LOOKED_EVERY_MS) return signs;
    lookedMs = nowMs;
    try {
      const { mtimeMs } = statSync(files.certificate);
      if (mtimeMs === changedMs) return signs;
      changedMs = mtimeMs;
      signs = { ...signs, certificate: readAppointed(files.certificate, privateKey, chain) };
      tell(`the certificate of the responder is another one, until ${endOf(signs.certificate)}`);
    } catch (error) {
      tell(`the certificate of the responder is not taken up: ${error instanceof AccordError ? error.code : error}`);
    }
    return signs;
  };
}

/** When the certificate is over, for people. */
export function endOf(certificate: Uint8Array): string {
  return new Date(readCertificate(certificate).notAfterSeconds * 1000).toISOString();
}

function readAppointed(file: string, privateKey: KeyObject, chain: readonly Buffer[]): Buffer {
  const [leaf = Buffer.alloc(0)] = pemCertificates(readFileSync(file, 'utf8'));
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  if (!readCertificate(leaf).publicKeyInfo.equals(spki)) throw new AccordError('CERTIFICATE_KEY_MISMATCH', file);
  const atMs = systemClock.nowMs();
  const anchors = chain.slice(-1).map((der) => ({ der }));
  const verdict = validatePath({ leaf, intermediates: chain.slice(0, -1), anchors, atMs, purpose: 'ocsp' });
  if (!verdict.valid) throw new AccordError('CERTIFICATE_INVALID', `${file}: ${verdict.code}`);
  if (!chain[0]?.equals(verdict.path[1] ?? Buffer.alloc(0)))
    throw new AccordError('CERTIFICATE_INVALID', `${file}: another issuer`);
  return leaf;
}
