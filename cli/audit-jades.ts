// `accord audit jades EXCHANGE` writes the signatures of one exchange as JAdES files (ETSI TS 119 182-1) for validators that
// do not know Accord, also while the server runs; `accord audit jades-verify FOLDER` checks such a folder under the reader's
// own anchors (docs/evidence.md, JAdES). The folder's owner controls what is exported, whoever hands in a folder what is
// verified.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { MAX_JADES_BYTES } from '#certs/jades-form.ts';
import { openKey } from '#certs/key-file.ts';
import { certificateHash } from '#certs/path.ts';
import { pemCertificates } from '#certs/pem.ts';
import { systemClock } from '#core/clock.ts';
import { exportPack } from '#core/evidence/export-pack.ts';
import { exportJades, type JadesOptions } from '#core/evidence/jades-export.ts';
import { checkJadesFolder } from '#core/evidence/jades-folder.ts';
import { knownTrust } from '#core/evidence/jades-trust.ts';
import { openClient } from '#core/http/client.ts';
import { readKeyFile } from '#core/key-store.ts';
import { openTimeStampClient, type TimeStampAuthority } from '#core/time-stamp-client.ts';
import { AccordError, isAccordError, PROBLEMS } from '#schemas/problems.ts';
import { readAnswers } from '#security-server/certificate-status/answer-file.ts';
import { FILES } from '#security-server/data-folder.ts';
import { signingKeyOf } from '#security-server/folder-keys.ts';
import { currentLogOrigin, LOG_PLACES } from '#security-server/log-origin.ts';
import { placeOf } from './log.ts';
import { CommandEnd, EXIT, type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

const NOT_VALIDATED =
  'No third party has validated this form. `*.jades.json` is the signature of that day, over a batch: it says nothing of the ' +
  'statement without the place beside it. `report.json` says what is met and what is not.\n';

type ExportOptions = OutputOptions &
  PassphraseOptions & {
    dir: string;
    out: string;
    origin?: string;
    peer?: string;
    sign?: true;
    offline?: true;
    crl: string[];
  };

export function jadesCommand(): Command {
  const command = new Command('jades')
    .description(
      'write the signatures of one exchange as JAdES files, for eIDAS validators; also while the server runs',
    )
    .argument('<exchange>', 'message id of the request')
    .requiredOption('--dir <folder>', "the server's data folder")
    .requiredOption('--out <folder>', 'a new folder for the files')
    .option('--origin <origin>', 'a closed log: its origin, or its number')
    .option('--peer <id>', 'the other security server, where two of them used the same id')
    .option('--sign', "sign the statements anew with this server's signing key, as validators expect a document signed")
    .option('--offline', 'ask no time-stamp authority: level B-B at the most')
    .option(
      '--crl <file>',
      "a revocation list to put in, PEM, such as a time-stamp authority's; may be repeated",
      more,
      [],
    )
    .addOption(passphraseOption(PASSPHRASE_VARIABLE));
  return withOutput(command).action(runAction(exportAction));
}

async function exportAction(exchange: string, options: ExportOptions): Promise<void> {
  const { dir, peer } = options;
  const { id } = JSON.parse(readFileSync(join(dir, FILES.settings), 'utf8')) as { id: string };
  const configuration = join(dir, 'configuration');
  const place = {
    server: id,
    log: placeOf(options).folder,
    inUse: { folder: join(dir, LOG_PLACES.log), origin: currentLogOrigin(id, dir) },
    recordKeys: join(dir, LOG_PLACES.recordKeys),
    configuration,
  };
  const nowMs = systemClock.nowMs();
  const pack = await exportPack(place, { exchange, storageKey: null, nowMs, ...(peer === undefined ? {} : { peer }) });
  const { trust, authorities } = knownTrust(configuration, pack);
  const seal = options.sign === true ? await sealOf(options) : null;
  const crls = options.crl.map(listIn);
  const http = openClient();
  try {
    const stamp = options.offline === true || authorities.length === 0 ? null : stamping(authorities, http);
    const timeStampCertificates = authorities.flatMap(({ certificates }) => certificates);
    const made = { trust, timeStampCertificates, stamp, crls, seal, nowMs: systemClock.nowMs() };
    const { files, documents } = await exportJades(pack, made);
    mkdirSync(options.out, { mode: 0o700 });
    for (const [name, bytes] of files) writeFileSync(join(options.out, name), bytes, { mode: 0o600, flag: 'wx' });
    const rows = documents.map(({ file, signs, level, stampedAtMs, checks }) => ({
      ...{ file, signs, level: level ?? 'below B-B' },
      stampedAt: stampedAtMs === null ? null : new Date(stampedAtMs).toISOString(),
      notMet: checks.filter(({ state }) => state === 'missing' || state === 'wrong').map((one) => one.requirement),
    }));
    print(outputFormat(options) === 'table' ? rows : { out: options.out, exchange, documents }, options);
    process.stderr.write(NOT_VALIDATED);
  } finally {
    await http.close();
  }
}

/** Asks until one round of all authorities failed: then the files are made without time-stamps, and this is said. */
function stamping(
  authorities: readonly TimeStampAuthority[],
  http: ReturnType<typeof openClient>,
): JadesOptions['stamp'] {
  const client = openTimeStampClient({ authorities: () => authorities, clock: systemClock, http, randomBytes });
  let isAway = false;
  return async (imprint) => {
    if (isAway) return null;
    try {
      return await client.stamp(imprint);
    } catch (error) {
      if (!isAccordError(error, 'TIME_STAMP_UNAVAILABLE')) throw error;
      isAway = true;
      process.stderr.write(`${error.code}: ${PROBLEMS[error.code].title} (${error.detail}); made without sigTst.\n`);
      return null;
    }
  };
}

async function sealOf(options: ExportOptions): Promise<NonNullable<JadesOptions['seal']>> {
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the keys: ' });
  const { keyName, der } = await signingKeyOf(options.dir, systemClock.nowMs());
  const { privateKey } = await openKey(await readKeyFile(join(options.dir, FILES.keys), keyName), passphrase);
  const hash = certificateHash(der);
  const answers = readAnswers(join(options.dir, 'certificate-status.json'));
  const good = answers.filter(({ certificate, status }) => certificate === hash && status === 'good');
  const [newest] = good.sort((a, b) => b.thisUpdateMs - a.thisUpdateMs);
  return { key: privateKey, certificate: der, ocsp: newest?.der ?? null };
}

function more(value: string, before: string[]): string[] {
  return [...before, value];
}

function listIn(file: string): Buffer {
  const text = readFileSync(file, 'utf8');
  const [, body = ''] = /^-----BEGIN X509 CRL-----\s([A-Za-z0-9+/=\s]+)-----END X509 CRL-----\s*$/.exec(text) ?? [];
  if (body === '') throw new AccordError('PEM_INVALID', `${file} is not one revocation list`);
  return Buffer.from(body, 'base64');
}

type VerifyOptions = OutputOptions & { trust: string; timeStampAnchors?: string };

export function jadesVerifyCommand(): Command {
  const command = new Command('jades-verify')
    .description('check a folder that `accord audit jades` wrote, under the own anchors')
    .argument('<folder>', 'where the files are')
    .requiredOption('--trust <file>', 'PEM: roots of the authorities that certify security servers')
    .option('--time-stamp-anchors <file>', 'PEM: roots of the time-stamp authorities, and what helps to them');
  return withOutput(command).action(runAction(verifyAction));
}

function verifyAction(folder: string, options: VerifyOptions): void {
  const { timeStampAnchors, trust } = options;
  const files = new Map<string, Buffer>();
  for (const name of readdirSync(folder).slice(0, 100)) {
    const path = join(folder, name);
    const { size } = statSync(path);
    if (size > MAX_JADES_BYTES) throw new AccordError('JADES_MALFORMED', `${name} is too large`);
    files.set(name, readFileSync(path));
  }
  const said = checkJadesFolder(files, {
    anchors: pemCertificates(readFileSync(trust, 'utf8')),
    timeStampCertificates:
      timeStampAnchors === undefined ? [] : pemCertificates(readFileSync(timeStampAnchors, 'utf8')),
    nowMs: systemClock.nowMs(),
  });
  if (outputFormat(options) === 'table') {
    const rows = said.files.flatMap(({ file, verdict }) =>
      (verdict?.checks ?? []).map(({ requirement, clause, state, detail }) => ({
        file,
        requirement,
        clause,
        state,
        detail,
      })),
    );
    print(rows, options);
    for (const { file, binding, verdict } of said.files) {
      process.stdout.write(`${file}: ${verdict?.level ?? 'no level'}; the statement is ${binding}\n`);
    }
  } else print(said, options);
  if (said.isGood) return;
  const why = said.isAsListed
    ? 'a signature, a time-stamp or what stands beside it is wrong'
    : 'not the files of the manifest';
  throw new CommandEnd(EXIT.verificationFailed, `INVALID: ${why}`);
}
