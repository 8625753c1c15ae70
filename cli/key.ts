// `accord key generate|show|export|import`: keys in encrypted key files. A private key leaves its file only sealed anew,
// as PKCS#12 for other software; public keys leave it in any form.
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { KEY_USES, type KeyUse, openKey, readKeyHeader, sealKey } from '#certs/key-file.ts';
import {
  exportPublicJwk,
  exportPublicPem,
  exportSpki,
  generateKeys,
  importPublicJwk,
  thumbprint,
} from '#certs/keys.ts';
import { pemCertificates } from '#certs/pem.ts';
import { exportPkcs12, importPkcs12, MAX_PKCS12_BYTES } from '#certs/pkcs12.ts';
import { systemClock } from '#core/clock.ts';
import { listKeyFiles, readKeyFile, writeKeyFile } from '#core/key-store.ts';
import { AccordError } from '#schemas/problems.ts';
import { CommandEnd, EXIT, type OutputOptions, print, runAction, withOutput } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

interface KeyOptions extends OutputOptions, PassphraseOptions {
  dir: string;
}

interface GenerateOptions extends KeyOptions {
  kind: 'P-256' | 'Ed25519' | 'X25519' | 'ML-DSA-44';
  use: KeyUse;
  label?: string;
}

interface Pkcs12Options {
  p12?: string;
  p12PassphraseFile?: string;
}

interface ExportOptions extends KeyOptions, Pkcs12Options {
  format: 'pem' | 'spki' | 'jwk';
  cert?: string;
  out?: string;
}

interface ImportOptions extends KeyOptions, Pkcs12Options {
  p12: string;
  use: KeyUse;
  label?: string;
  certOut?: string;
}

/** Uses that are no signatures; a storage or archive key is an X25519 key whose secret is expanded. */
const KINDS_OF_USE: Partial<Record<string, readonly string[]>> = {
  encrypt: ['P-256', 'X25519'],
  subject: ['P-256'],
  storage: ['X25519'],
  archive: ['X25519'],
  ocsp: ['P-256'],
  witness: ['Ed25519', 'ML-DSA-44'],
};
const P12_VARIABLE = 'ACCORD_P12_PASSPHRASE';

/** The noun `key`, for the main program to mount. */
export function keyCommand(): Command {
  const command = new Command('key').description('keys in encrypted key files');
  const kinds = new Option('--kind <kind>', 'what to generate')
    .choices(['P-256', 'Ed25519', 'X25519', 'ML-DSA-44'])
    .default('P-256');
  sealed(command.command('generate'))
    .description('make a key pair and store it sealed')
    .argument('<name>', 'lower-case letters, digits and hyphens')
    .addOption(kinds)
    .addOption(useOption())
    .option('--label <text>', 'a note for people, stored in clear')
    .action(runAction(generate));
  withOutput(command.command('show'))
    .description('list the keys of a folder, or show one; asks for no passphrase and so proves nothing')
    .argument('[name]')
    .option('--dir <folder>', 'where the key files are', 'keys')
    .action(runAction(show));
  pkcs12Options(sealed(command.command('export')))
    .description('write the public key, or with --p12 the private key and its certificates')
    .argument('<name>')
    .addOption(new Option('--format <format>', 'of the public key').choices(['pem', 'spki', 'jwk']).default('pem'))
    .option('--out <file>', 'write the public key to this new file instead of standard output')
    .option('--p12 <file>', 'write a PKCS#12 file with the private key to this new file')
    .option('--cert <file>', "PEM file with the key's certificate first, then its issuers, for --p12")
    .action(runAction(exportKey));
  pkcs12Options(sealed(command.command('import')))
    .description('take the private key of a PKCS#12 file into a key file')
    .argument('<name>')
    .requiredOption('--p12 <file>', 'PKCS#12 file to read')
    .addOption(useOption())
    .option('--label <text>', 'a note for people, stored in clear')
    .option('--cert-out <file>', 'write the certificates to this new PEM file')
    .action(runAction(importKey));
  return command;
}

function sealed(command: Command): Command {
  return withOutput(command)
    .option('--dir <folder>', 'where the key files are', 'keys')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE));
}

function pkcs12Options(command: Command): Command {
  return command.option(
    '--p12-passphrase-file <file>',
    `file with the passphrase of the PKCS#12 file; else ${P12_VARIABLE}, else a question`,
  );
}

function useOption(): Option {
  return new Option('--use <use>', 'what the key is for; it is refused for anything else')
    .choices(KEY_USES)
    .makeOptionMandatory();
}

async function generate(name: string, options: GenerateOptions): Promise<void> {
  const { kind, use, label } = options;
  const fitting = KINDS_OF_USE[use] ?? ['P-256', 'Ed25519'];
  if (!fitting.includes(kind)) throw new AccordError('KEY_UNSUITABLE', `${kind} for ${use}: ${fitting.join(' or ')}`);
  const passphrase = await keyPassphrase(name, options, true);
  const { privateKey } = generateKeys(kind);
  const meta = { use, createdAtMs: systemClock.nowMs(), ...(label === undefined ? {} : { label }) };
  await writeKeyFile(options.dir, name, await sealKey(privateKey, passphrase, meta));
  print({ name, use, kid: thumbprint(privateKey), publicJwk: exportPublicJwk(privateKey) }, options);
}

async function show(name: string | undefined, options: KeyOptions): Promise<void> {
  if (name !== undefined) {
    print(await shown(options.dir, name), options);
    return;
  }
  const names = await listKeyFiles(options.dir);
  const rows = await Promise.all(names.map((each) => shown(options.dir, each)));
  print(rows, options, ['name', 'use', 'kind', 'kid', 'createdAt', 'label']);
}

async function shown(folder: string, name: string) {
  const { use, kid, createdAtMs, label, publicJwk } = readKeyHeader(await readKeyFile(folder, name));
  const key = importPublicJwk(publicJwk, isAgreement(use) ? 'enc' : 'sig');
  if (thumbprint(key) !== kid) throw new AccordError('KEY_FILE_MALFORMED', `${name}: kid is not the key's thumbprint`);
  const kind = publicJwk.crv ?? publicJwk.kty;
  return { name, use, kind, kid, createdAt: new Date(createdAtMs).toISOString(), label: label ?? '', publicJwk };
}

async function exportKey(name: string, options: ExportOptions): Promise<void> {
  const text = await readKeyFile(options.dir, name);
  const { privateKey, publicKey, kid } = await openKey(text, await keyPassphrase(name, options, false));
  if (options.p12 !== undefined) {
    const certificates = options.cert === undefined ? [] : readCertificates(options.cert);
    const passphrase = await pkcs12Passphrase(options, true);
    writeNew(options.p12, exportPkcs12({ privateKey, certificates }, passphrase, name), 0o600);
    print({ name, kid, p12: options.p12, certificates: certificates.length }, options);
    return;
  }
  const written = {
    pem: () => exportPublicPem(publicKey),
    spki: () => exportSpki(publicKey),
    jwk: () => `${JSON.stringify({ ...exportPublicJwk(publicKey), kid })}\n`,
  }[options.format]();
  if (options.out === undefined) process.stdout.write(written);
  else writeNew(options.out, written, 0o644);
}

async function importKey(name: string, options: ImportOptions): Promise<void> {
  if (statSync(options.p12).size > MAX_PKCS12_BYTES) throw new AccordError('PKCS12_MALFORMED', 'too large');
  const { privateKey, certificates } = importPkcs12(readFileSync(options.p12), await pkcs12Passphrase(options, false));
  // As for any key of another's making: only kinds of the algorithm table, and none that protect nothing.
  const kid = thumbprint(importPublicJwk({ ...exportPublicJwk(privateKey) }, isAgreement(options.use) ? 'enc' : 'sig'));
  const passphrase = await keyPassphrase(name, options, true);
  const { use, label } = options;
  const meta = { use, createdAtMs: systemClock.nowMs(), ...(label === undefined ? {} : { label }) };
  await writeKeyFile(options.dir, name, await sealKey(privateKey, passphrase, meta));
  if (options.certOut !== undefined) writeNew(options.certOut, certificates.map(String).join(''), 0o644);
  print({ name, use, kid, certificates: certificates.map(({ subject }) => subject.replaceAll('\n', ', ')) }, options);
}

function isAgreement(use: KeyUse): boolean {
  return use === 'encrypt' || use === 'subject';
}

function readCertificates(file: string): X509Certificate[] {
  return pemCertificates(readFileSync(file, 'utf8')).map((der) => new X509Certificate(der));
}

async function keyPassphrase(name: string, options: KeyOptions, twice: boolean): Promise<string> {
  return await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: `Passphrase of the key ${name}: `, twice });
}

async function pkcs12Passphrase({ p12PassphraseFile }: Pkcs12Options, twice: boolean): Promise<string> {
  const source = p12PassphraseFile === undefined ? {} : { passphraseFile: p12PassphraseFile };
  return await readPassphrase(source, P12_VARIABLE, { prompt: 'Passphrase of the PKCS#12 file: ', twice });
}

/** Never over a file that is there: it might be the only copy of something. */
function writeNew(file: string, content: string | Uint8Array, mode: number): void {
  try {
    writeFileSync(file, content, { flag: 'wx', mode });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') {
      throw new CommandEnd(EXIT.precondition, `${file} is there already\nNext: Choose another file; none is replaced.`);
    }
    throw error;
  }
}
