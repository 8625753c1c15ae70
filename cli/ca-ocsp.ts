// `accord ca ocsp`: an authority's OCSP responder (RFC 6960). It answers from the authority's ledger, which is read again
// while it runs, so that a certificate that `accord ca revoke` names is revoked in the next answer. With an appointed key
// (ca-responder.ts) the authority's own may be kept elsewhere. The passphrase is the operator's; who asks is anybody.
import { Command, InvalidArgumentError, Option } from 'commander';
import { answerOcsp, type KnownStatus } from '#certs/ocsp-make.ts';
import { CertificationAuthority } from '#core/certification-authority.ts';
import { systemClock } from '#core/clock.ts';
import { untilSignal } from '#core/program.ts';
import { isAccordError } from '#schemas/problems.ts';
import { CA_PASSPHRASE } from './ca-files.ts';
import { endOf, openAppointed, type Signs } from './ca-responder.ts';
import { CommandEnd, EXIT, runAction } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

interface OcspOptions extends PassphraseOptions {
  dir: string;
  authority: 'issuing' | 'root';
  listen: { host: string; port: number };
  hours: number;
  responderKey?: string;
  responderCertificate?: string;
}

const HOUR_MS = 3_600_000;
/** How old what is known of the ledger may be. */
const READ_AGAIN_MS = 1_000;

export function caOcspCommand(): Command {
  return new Command('ocsp')
    .description('answer OCSP requests from the ledger until SIGTERM')
    .requiredOption('--dir <folder>', "the authority's folder")
    .addOption(
      new Option('--authority <which>', 'about whose certificates').choices(['issuing', 'root']).default('issuing'),
    )
    .option('--listen <host:port>', 'where it is asked', hostAndPort, { host: '127.0.0.1', port: 4402 })
    .option('--hours <n>', 'how long an answer holds', wholeHours, 24)
    .option('--responder-key <file>', "sign with this appointed key; its passphrase is asked for, not the authority's")
    .option(
      '--responder-certificate <file>',
      'its certificate, of `accord ca appoint-responder`; read again when it changes',
    )
    .addOption(passphraseOption(CA_PASSPHRASE))
    .action(runAction(serve));
}

async function serve(options: OcspOptions): Promise<void> {
  const [{ openOcspResponder }, { addressOf }, { pino }] = await Promise.all([
    import('#core/ocsp-responder.ts'),
    import('#core/http/server-frame.ts'),
    import('pino'),
  ]);
  const { dir, authority: role, listen, hours } = options;
  const signs = await signer(options);
  const statusOf = ledgerReader(dir, role);
  const app = openOcspResponder({
    answer: (request) =>
      answerOcsp(request, { ...signs(), validityMs: hours * HOUR_MS, statusOf: statusOf() }, systemClock.nowMs()),
    logger: pino({ level: 'warn' }, pino.destination(2)),
  });
  try {
    await app.listen(listen);
    process.stderr.write(`OCSP answers of the ${role} authority on ${addressOf(app, 'http')}\n`);
    await untilSignal();
  } finally {
    await app.close();
  }
}

/** The authority's own key, or the one it appointed. */
async function signer(options: OcspOptions): Promise<() => Signs> {
  const { dir, authority: role, responderKey: key, responderCertificate: certificate } = options;
  if ((key === undefined) !== (certificate === undefined)) {
    throw new CommandEnd(EXIT.usage, 'Give both --responder-key and --responder-certificate, or none of them.');
  }
  const isAppointed = key !== undefined && certificate !== undefined;
  const passphrase = await (isAppointed
    ? readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the responder: ' })
    : readPassphrase(options, CA_PASSPHRASE, { prompt: 'Passphrase of the authority: ' }));
  const authority = new CertificationAuthority(dir, systemClock);
  try {
    if (!isAppointed) {
      const own = await authority.ocspResponder(role, passphrase);
      return () => own;
    }
    const tell = (text: string) => process.stderr.write(`${text}\n`);
    const chain = (role === 'root' ? ['root' as const] : (['issuing', 'root'] as const)).map((one) =>
      authority.certificate(one),
    );
    const signs = await openAppointed({ key, certificate }, chain, passphrase, tell);
    tell(`Signed by an appointed responder, whose certificate ends ${endOf(signs().certificate)}`);
    return signs;
  } finally {
    authority.close();
  }
}

/** The folder is not kept locked: other verbs go on working in it; while one does, what is known goes on. */
function ledgerReader(dir: string, role: OcspOptions['authority']): () => (serial: string) => KnownStatus {
  let known: { statusOf: (serial: string) => KnownStatus; atMs: number } | undefined;
  return () => {
    const nowMs = systemClock.monotonicMs();
    if (known !== undefined && nowMs - known.atMs < READ_AGAIN_MS) return known.statusOf;
    try {
      const authority = new CertificationAuthority(dir, systemClock);
      known = { statusOf: authority.ocspStatus(role), atMs: nowMs };
      authority.close();
    } catch (error) {
      if (known === undefined || !isAccordError(error, 'AUTHORITY_BUSY')) throw error;
    }
    return known.statusOf;
  };
}

function hostAndPort(text: string): { host: string; port: number } {
  const found = /^\[?([^\]]+)\]?:([0-9]{1,5})$/.exec(text);
  if (found === null || Number(found[2]) > 65_535) throw new InvalidArgumentError('Write it like 127.0.0.1:4402.');
  return { host: found[1] ?? '', port: Number(found[2]) };
}

function wholeHours(text: string): number {
  if (!/^[1-9][0-9]{0,3}$/.test(text)) throw new InvalidArgumentError('A whole number of hours.');
  return Number(text);
}
