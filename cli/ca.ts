// `accord ca`: a certification authority for development and small deployments, in a folder. It certifies the keys of
// security servers and information systems from their requests; the rules are in certs/authority.ts. Requests are other
// people's files; the folder, the options and the passphrase are the operator's.
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { PlannedCertificate } from '#certs/authority.ts';
import type { CertificateRequest } from '#certs/csr.ts';
import type { HolderNames } from '#certs/holder-names.ts';
import {
  HOLDER_PROFILES,
  type HolderProfileName,
  PROFILES,
  REVOCATION_REASONS,
  type RevocationReason,
} from '#certs/profiles.ts';
import { toPem } from '#certs/x509-library.ts';
import { CertificationAuthority, initAuthority } from '#core/certification-authority.ts';
import { systemClock } from '#core/clock.ts';
import { SEGMENT_PATTERN } from '#schemas/identifiers.ts';
import { CA_PASSPHRASE, describeCertificate, describeFile, entryRow, outputFile, readRequestFile } from './ca-files.ts';
import { caOcspCommand } from './ca-ocsp.ts';
import { caAppointResponderCommand } from './ca-responder.ts';
import { caVerifyCommand } from './ca-verify.ts';
import { type OutputOptions, print, runAction, withOutput } from './output.ts';
import { confirm, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

const PASSPHRASE = CA_PASSPHRASE;

interface FolderOptions extends OutputOptions, PassphraseOptions {
  dir: string;
}
interface SignOptions extends FolderOptions {
  out: string;
  days?: number;
  dryRun?: true;
  yes?: true;
}

export function caCommand(): Command {
  const ca = new Command('ca').description('certification authority: certify keys, renew, revoke, verify chains');
  for (const command of [initCommand(), issueCommand(), renewCommand(), revokeCommand(), crlCommand()]) {
    ca.addCommand(command);
  }
  return ca
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(caOcspCommand())
    .addCommand(caAppointResponderCommand())
    .addCommand(caVerifyCommand());
}

function initCommand(): Command {
  const command = new Command('init')
    .description('make a root and an issuing authority in a new folder')
    .requiredOption('--dir <folder>', 'where the authority will live; absent or empty')
    .requiredOption('--name <name>', 'whose authority it is, like "Example City"', authorityName)
    .option('--instance <code>', 'certify holders of this instance only', instanceCode)
    .option('--crl-url <url>', 'where the revocation list will be published', webAddress)
    .addOption(passphraseOption(PASSPHRASE));
  return withOutput(command).action(runAction(init));
}

async function init(options: FolderOptions & { name: string; instance?: string; crlUrl?: string }): Promise<void> {
  const { dir, name, instance, crlUrl } = options;
  const passphrase = await readPassphrase(options, PASSPHRASE, { prompt: 'New passphrase: ', twice: true });
  const clock = systemClock;
  const { root, issuing } = await initAuthority({
    dir,
    name,
    passphrase,
    clock,
    ...(instance !== undefined && { instance }),
    ...(crlUrl !== undefined && { crlUrl }),
  });
  const rows = [root, issuing].map((certificate) => ({
    ...entryRow({ certificate }, clock.nowMs()),
    file: join(dir, `${certificate.profile}.crt`),
  }));
  print(rows, options, ['profile', 'holder', 'notAfter', 'file', 'certificateHash']);
  process.stderr.write(`Next: Take ${join(dir, 'root.key')} off this machine; issuing does not need it.\n`);
}

function issueCommand(): Command {
  const command = new Command('issue')
    .description('certify the key of a certificate request')
    .argument('<csr>', 'the request, PEM or DER')
    .addOption(new Option('--profile <profile>', 'what the key is for').choices(HOLDER_PROFILES).makeOptionMandatory())
    .option(
      '--id <identifier>',
      'the server or subsystem it must be for; without it, what the request says is confirmed',
    )
    .option(
      '--dns <name>',
      'a DNS name it may carry; may repeat; without --dns and --ip, those of the request',
      collect,
    )
    .option('--ip <address>', 'an IP address it may carry; may repeat', collect);
  return signing(command).action(runAction(issue));
}

async function issue(
  csr: string,
  options: SignOptions & { profile: HolderProfileName; id?: string; dns?: string[]; ip?: string[] },
): Promise<void> {
  const request = readRequestFile(csr);
  const { names } = request;
  const limited = options.dns !== undefined || options.ip !== undefined;
  const approved: HolderNames = {
    kind: PROFILES[options.profile].holder === 'subsystem' ? 'subsystem' : 'server',
    id: options.id ?? names.id,
    dnsNames: limited ? (options.dns ?? []) : names.dnsNames,
    ipAddresses: limited ? (options.ip ?? []) : names.ipAddresses,
  };
  const who = [names.id, ...names.dnsNames, ...names.ipAddresses].join(', ');
  const asks = options.id === undefined && !options.dryRun;
  if (asks) await confirm(`Certify ${options.profile} for ${who}?`, options.yes);
  await sign(options, (authority) => authority.plan(options.profile, request, approved, options.days));
}

function renewCommand(): Command {
  const command = new Command('renew')
    .description('certify a holder once more, for the same key or for the new one of a request')
    .argument('<serial>', 'serial number of the certificate to renew', serialNumber)
    .option('--csr <file>', 'request with the new key');
  return signing(command).action(runAction(renew));
}

async function renew(serial: string, options: SignOptions & { csr?: string }): Promise<void> {
  const request: CertificateRequest | undefined = options.csr === undefined ? undefined : readRequestFile(options.csr);
  await sign(options, (authority) => authority.planRenewal(serial, request, options.days));
}

function signing(command: Command): Command {
  command
    .requiredOption('--dir <folder>', "the authority's folder")
    .requiredOption('--out <file>', 'where the certificate goes, followed by that of the issuing authority; PEM')
    .option('--days <n>', 'validity; each profile has a default and a maximum', wholeNumber)
    .option('--dry-run', 'say what would be certified, and stop')
    .option('--yes', 'do not ask')
    .addOption(passphraseOption(PASSPHRASE));
  return withOutput(command);
}

async function sign(
  options: SignOptions,
  plan: (authority: CertificationAuthority) => PlannedCertificate,
): Promise<void> {
  await withAuthority(options, async (authority) => {
    const planned = plan(authority);
    if (options.dryRun) {
      const { profile, holder, names, notBeforeMs, notAfterMs } = planned;
      const [notBefore, notAfter] = [notBeforeMs, notAfterMs].map((atMs) => new Date(atMs).toISOString());
      print({ dryRun: true, profile, holder, names, notBefore, notAfter }, options);
      return;
    }
    const passphrase = await readPassphrase(options, PASSPHRASE, { prompt: 'Passphrase of the authority: ' });
    const out = outputFile(options.out);
    try {
      const certificate = await authority.sign(planned, passphrase);
      out.write(toPem('CERTIFICATE', certificate.der) + authority.chainPem());
      print({ ...entryRow({ certificate }, systemClock.nowMs()), file: options.out }, options);
    } finally {
      out.close();
    }
  });
}

function revokeCommand(): Command {
  const reasons = new Option('--reason <reason>', 'why').choices(Object.keys(REVOCATION_REASONS)).makeOptionMandatory();
  const command = new Command('revoke')
    .description('revoke a certificate; publish a new list with `accord ca crl` afterwards')
    .argument('<serial>', 'serial number of the certificate', serialNumber)
    .requiredOption('--dir <folder>', "the authority's folder")
    .addOption(reasons)
    .option('--dry-run', 'say what would be revoked, and stop')
    .option('--yes', 'do not ask');
  return withOutput(command).action(runAction(revoke));
}

async function revoke(
  serial: string,
  options: FolderOptions & { reason: RevocationReason; dryRun?: true; yes?: true },
): Promise<void> {
  await withAuthority(options, async (authority) => {
    const { certificate, revocation } = authority.find(serial);
    if (options.dryRun && !revocation) {
      print({ dryRun: true, ...entryRow({ certificate }, systemClock.nowMs()), reason: options.reason }, options);
      return;
    }
    if (!revocation) await confirm(`Revoke ${certificate.profile} of ${certificate.holder} for good?`, options.yes);
    print(entryRow(authority.revoke(serial, options.reason), systemClock.nowMs()), options);
    process.stderr.write(
      'Next: Publish a new list with `accord ca crl`, and distrust the certificate in the registry.\n',
    );
  });
}

function crlCommand(): Command {
  const command = new Command('crl')
    .description('sign a new certificate revocation list')
    .requiredOption('--dir <folder>', "the authority's folder")
    .requiredOption('--out <file>', 'where the list goes')
    .addOption(new Option('--authority <which>', 'whose list').choices(['issuing', 'root']).default('issuing'))
    .option('--days <n>', 'until the next list', wholeNumber, 7)
    .addOption(passphraseOption(PASSPHRASE));
  return withOutput(command).action(runAction(crl));
}

async function crl(
  options: FolderOptions & { out: string; authority: 'issuing' | 'root'; days: number },
): Promise<void> {
  await withAuthority(options, async (authority) => {
    const passphrase = await readPassphrase(options, PASSPHRASE, { prompt: 'Passphrase of the authority: ' });
    const out = outputFile(options.out);
    try {
      const { number, nextUpdateMs, pem } = await authority.crl(options.authority, options.days, passphrase);
      out.write(pem);
      const nextUpdate = new Date(nextUpdateMs).toISOString();
      print({ authority: options.authority, number, nextUpdate, file: options.out }, options);
    } finally {
      out.close();
    }
  });
}

function listCommand(): Command {
  const command = new Command('list')
    .description('list what was certified')
    .requiredOption('--dir <folder>', "the authority's folder");
  return withOutput(command).action(
    runAction(async (options: FolderOptions) => {
      await withAuthority(options, async (authority) => {
        const rows = authority.entries().map((entry) => entryRow(entry, systemClock.nowMs()));
        print(rows, options, ['serial', 'profile', 'holder', 'notAfter', 'state']);
      });
    }),
  );
}

function showCommand(): Command {
  const command = new Command('show')
    .description('show a certificate or a request')
    .argument('<what>', 'a file, or with --dir the serial number of a certificate')
    .option('--dir <folder>', "the authority's folder")
    .option('--pem', 'with --dir: print the certificate as PEM');
  return withOutput(command).action(
    runAction(async (what: string, options: OutputOptions & { dir?: string; pem?: true }) => {
      if (options.dir === undefined) {
        print(describeFile(what), options);
        return;
      }
      await withAuthority({ ...options, dir: options.dir }, async (authority) => {
        const entry = authority.find(what.toLowerCase().replaceAll(':', ''));
        if (options.pem) process.stdout.write(toPem('CERTIFICATE', entry.certificate.der));
        else print({ ...describeCertificate(entry.certificate.der), ...entryRow(entry, systemClock.nowMs()) }, options);
      });
    }),
  );
}

async function withAuthority(
  options: { dir: string },
  work: (authority: CertificationAuthority) => Promise<void>,
): Promise<void> {
  const authority = new CertificationAuthority(options.dir, systemClock);
  try {
    await work(authority);
  } finally {
    authority.close();
  }
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function serialNumber(text: string): string {
  const serial = text.toLowerCase().replaceAll(':', '');
  if (!/^[0-9a-f]{2,40}$/.test(serial)) throw new InvalidArgumentError('Write it as `accord ca list` does.');
  return serial;
}

function wholeNumber(text: string): number {
  if (!/^[1-9][0-9]{0,3}$/.test(text)) throw new InvalidArgumentError('Write a whole number of days, 1 to 9999.');
  return Number(text);
}

function authorityName(text: string): string {
  if (text.length > 48) throw new InvalidArgumentError('At most 48 characters.');
  return text;
}

function instanceCode(text: string): string {
  if (!new RegExp(`^${SEGMENT_PATTERN}$`).test(text)) throw new InvalidArgumentError('Write it like DEV.');
  return text;
}

function webAddress(text: string): string {
  if (!/^https?:\/\/[!-~]{1,500}$/.test(text)) throw new InvalidArgumentError('Write an http or https address.');
  return text;
}
