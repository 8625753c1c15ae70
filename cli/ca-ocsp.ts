// `accord ca ocsp`: an authority's OCSP responder (RFC 6960). It answers from the authority's ledger, which is read again
// while it runs, so that a certificate that `accord ca revoke` names is revoked in the next answer. The passphrase is the
// operator's; who asks is anybody.
import { Command, InvalidArgumentError, Option } from 'commander';
import { pino } from 'pino';
import { answerOcsp, type KnownStatus } from '#certs/ocsp-make.ts';
import { CertificationAuthority } from '#core/certification-authority.ts';
import { systemClock } from '#core/clock.ts';
import { addressOf } from '#core/http/server-frame.ts';
import { openOcspResponder } from '#core/ocsp-responder.ts';
import { untilSignal } from '#core/program.ts';
import { isAccordError } from '#schemas/problems.ts';
import { CA_PASSPHRASE } from './ca-files.ts';
import { runAction } from './output.ts';
import { type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

interface OcspOptions extends PassphraseOptions {
  dir: string;
  authority: 'issuing' | 'root';
  listen: { host: string; port: number };
  hours: number;
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
    .addOption(passphraseOption(CA_PASSPHRASE))
    .action(runAction(serve));
}

async function serve(options: OcspOptions): Promise<void> {
  const { dir, authority: role, listen, hours } = options;
  const passphrase = await readPassphrase(options, CA_PASSPHRASE, { prompt: 'Passphrase of the authority: ' });
  const first = new CertificationAuthority(dir, systemClock);
  let responder: Awaited<ReturnType<CertificationAuthority['ocspResponder']>>;
  try {
    responder = await first.ocspResponder(role, hours * HOUR_MS, passphrase);
  } finally {
    first.close();
  }
  const statusOf = ledgerReader(dir, role);
  const app = openOcspResponder({
    answer: (request) => answerOcsp(request, { ...responder, statusOf: statusOf() }, systemClock.nowMs()),
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
