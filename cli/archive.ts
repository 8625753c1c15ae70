// `accord archive`: segments of the message log in a folder or an S3-compatible store. `run` and `status` ask the running
// server; `list`, `verify` and `restore` read the destination and need neither a server nor its disk: the archive key, and for
// a bucket its credentials, are enough. Whoever holds the destination controls what is read.
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type ArchiveKey, archiveKeyOf } from '#certs/archive-cipher.ts';
import { openKey } from '#certs/key-file.ts';
import { newestArchived } from '#core/archive/audit-archived.ts';
import { readChain } from '#core/archive/chain.ts';
import { archivedLater } from '#core/archive/closed-log.ts';
import type { ArchiveDestination } from '#core/archive/destination.ts';
import { isS3, openDestination } from '#core/archive/open-destination.ts';
import { restoreArchive } from '#core/archive/restore.ts';
import { verifyArchive } from '#core/archive/verify-archive.ts';
import { systemClock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { readKeyFile } from '#core/key-store.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { AccordError, PROBLEMS, type ProblemCode } from '#schemas/problems.ts';
import { ARCHIVE_FILES, credentialsIn, DEFAULT_ARCHIVE, destinationIn } from '#security-server/archive/settings.ts';
import { FILES } from '#security-server/data-folder.ts';
import { resolveSettings } from '#security-server/settings.ts';
import { type AdminOptions, callAdmin, withAdmin } from './admin-client.ts';
import { placeOf as logIn } from './log.ts';
import { CommandEnd, EXIT, type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

const ASKED_EVERY_MS = 200;

export type PlaceOptions = OutputOptions & {
  dir?: string;
  from?: string;
  origin?: string;
  s3Endpoint?: string;
  s3Region?: string;
  s3Credentials?: string;
};
export type KeyedOptions = PlaceOptions & PassphraseOptions & { archiveKey?: string; key?: string };

const S3_ENDPOINT = new Option('--s3-endpoint <url>', 'address of the S3-compatible store');
const S3_REGION = new Option('--s3-region <region>', 'region of the bucket').default(DEFAULT_ARCHIVE.s3Region);
const S3_CREDENTIALS = new Option('--s3-credentials <file>', 'file with accessKeyId and secretAccessKey, as JSON');
const ARCHIVE_KEY = new Option('--archive-key <file>', 'key file of the archive key');

/** How an archive is reached and opened, for a command that names its destination otherwise than with --from. */
export function withArchive(command: Command): Command {
  for (const option of [S3_ENDPOINT, S3_REGION, S3_CREDENTIALS, ARCHIVE_KEY]) command.addOption(option);
  return command;
}

export function archiveCommand(): Command {
  const archive = new Command('archive').description('old parts of the message log in a folder or a bucket');
  const run = withAdmin(archive.command('run').description('archive now what is old enough, and wait for it')).option(
    '--after-days <n>',
    'what is older than so many days; as the settings say when not given',
    days,
  );
  run.action(runAction(runNow));
  withAdmin(archive.command('status').description('how far the log is archived, and what went wrong')).action(
    runAction(async (options: AdminOptions) => print(await callAdmin(options, 'GET', '/archive'), options)),
  );
  placed(archive.command('list').description('the segments at a destination')).action(runAction(list));
  keyed(archive.command('verify'))
    .description(
      'read a whole archive and verify every entry, all evidence and every checkpoint; with --dir beside the log',
    )
    .option('--key <verifier-key>', 'verifier key of the checkpoints (NAME+ID+KEY); without it the one in the archive')
    .action(runAction(verify));
  keyed(archive.command('restore'))
    .description('put a log back from its archive into a new folder, and verify it')
    .requiredOption('--to <folder>', 'a new data folder')
    .option('--key <verifier-key>', 'verifier key of the checkpoints (NAME+ID+KEY); without it the one in the archive')
    .action(runAction(restore));
  return archive;
}

function placed(command: Command): Command {
  return withOutput(command)
    .option('--dir <folder>', "the server's data folder: destination, archive key and credentials are read there")
    .option('--from <destination>', 'the destination itself: a folder, or s3://BUCKET/PREFIX')
    .option('--origin <origin>', 'the log, where a destination holds several: its origin')
    .addOption(S3_ENDPOINT)
    .addOption(S3_REGION)
    .addOption(S3_CREDENTIALS);
}

function keyed(command: Command): Command {
  return placed(command).addOption(ARCHIVE_KEY).addOption(passphraseOption(PASSPHRASE_VARIABLE));
}

async function runNow(options: AdminOptions & { afterDays?: number }): Promise<void> {
  await callAdmin(options, 'POST', '/archive', { afterDays: options.afterDays ?? null });
  let state = await callAdmin(options, 'GET', '/archive');
  while (isRunning(state)) {
    await sleep(ASKED_EVERY_MS);
    state = await callAdmin(options, 'GET', '/archive');
  }
  print(state, options);
  const { trouble } = state as { trouble: { code: ProblemCode; detail: string } | null };
  if (trouble === null) return;
  const { title, next } = PROBLEMS[trouble.code];
  throw new CommandEnd(EXIT.failed, `${trouble.code}: ${title} (${trouble.detail})\nNext: ${next}`);
}

function isRunning(state: unknown): boolean {
  return (state as { running: boolean }).running;
}

async function list(options: PlaceOptions): Promise<void> {
  await reaching(options, async (destination) => {
    const { origin, segments, loose } = await readChain(destination, chosen(options));
    const rows = segments.map(({ manifest: { from, to, firstMs, lastMs, key, files }, hash }) => ({
      ...{ from, to, first: new Date(firstMs).toISOString(), last: new Date(lastMs).toISOString() },
      ...{ bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), key, hash },
    }));
    print(outputFormat(options) === 'table' ? rows : { origin, segments: rows, loose }, options);
  });
}

async function verify(options: KeyedOptions): Promise<void> {
  const key = await archiveKey(options);
  await reaching(options, async (destination) => {
    const folder = options.dir === undefined ? null : logIn({ ...options, dir: options.dir }).folder;
    const log = folder === null ? null : openLogAuditSqlite(folder);
    try {
      const newest = log === null || folder === null ? undefined : (archivedLater(folder) ?? newestArchived(log))?.hash;
      const origin = log?.identity()?.origin ?? options.origin;
      const said = newest === undefined ? {} : { newest };
      const chain = await readChain(destination, { ...chosen({ ...options, ...(origin && { origin }) }), ...said });
      const given = options.key === undefined ? {} : { verifierKey: options.key };
      const report = await verifyArchive({ destination, key, chain, log, ...given });
      print(report, options);
      end(report.code, report.firstBadSeq, report.detail);
    } finally {
      log?.close();
    }
  });
}

async function restore(options: KeyedOptions & { to: string }): Promise<void> {
  const key = await archiveKey(options);
  await reaching(options, async (destination) => {
    const chain = await readChain(destination, chosen(options));
    const given = options.key === undefined ? {} : { verifierKey: options.key };
    const audit = await restoreArchive({ destination, key, chain, folder: options.to, ...given });
    print({ folder: options.to, segments: chain.segments.length, ...audit }, options);
    end(audit.code, audit.firstBadSeq, audit.detail);
  });
}

function end(code: ProblemCode | null, seq: number | null, said: string): void {
  if (code === null) return;
  const place = seq === null ? '' : ` at entry ${seq}`;
  const { title, next } = PROBLEMS[code];
  const detail = said === '' ? '' : ` (${said})`;
  throw new CommandEnd(EXIT.verificationFailed, `${code}: ${title}${place}${detail}\nNext: ${next}`);
}

function chosen({ origin }: PlaceOptions): { origin?: string } {
  return origin === undefined ? {} : { origin };
}

export async function reaching<T>(
  options: PlaceOptions,
  use: (destination: ArchiveDestination) => Promise<T>,
): Promise<T> {
  const found = placeOf(options);
  if (found === null) throw new AccordError('ARCHIVE_OFF');
  const http = openClient({ maxConnectionsPerOrigin: 2 });
  const destination = openDestination(found.words, found.credentials, { clock: systemClock, http });
  try {
    return await use(destination);
  } finally {
    await destination.close();
    await http.close();
  }
}

/** Given in words, or as the settings of a data folder say. Reading needs no lock. */
function placeOf(options: PlaceOptions): ReturnType<typeof destinationIn> {
  const { dir, from, s3Endpoint = null, s3Region = DEFAULT_ARCHIVE.s3Region, s3Credentials } = options;
  if (from !== undefined) {
    const words = { ...DEFAULT_ARCHIVE, destination: from, s3Endpoint, s3Region };
    if (isS3(from) && s3Credentials === undefined) throw usage('Say with --s3-credentials how the bucket is opened.');
    return { words, credentials: s3Credentials === undefined ? null : credentialsIn(s3Credentials) };
  }
  if (dir === undefined) throw usage('Say with --from where the archive is, or with --dir whose it is.');
  const { settings } = resolveSettings(readFileSync(join(dir, FILES.settings), 'utf8'), process.env, {});
  const { destination, s3Endpoint: endpoint, s3Region: region } = settings.archive;
  return destinationIn(dir, { ...DEFAULT_ARCHIVE, destination, s3Endpoint: endpoint, s3Region: region });
}

export async function archiveKey(options: KeyedOptions): Promise<ArchiveKey> {
  const file =
    options.archiveKey ??
    (options.dir === undefined ? undefined : join(options.dir, FILES.keys, `${ARCHIVE_FILES.key}.key.json`));
  if (file === undefined) throw usage('Give the archive key with --archive-key, or the data folder with --dir.');
  if (!existsSync(file)) throw new AccordError('KEY_FILE_NOT_FOUND', file);
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the archive key: ' });
  const name = basename(file).replace(/\.key\.json$/, '');
  const { privateKey, use } = await openKey(await readKeyFile(dirname(file), name), passphrase);
  if (use !== 'archive') throw new AccordError('KEY_UNSUITABLE', `${name} is for ${use}`);
  return archiveKeyOf(privateKey);
}

function usage(next: string): CommandEnd {
  return new CommandEnd(EXIT.usage, `The archive is not known.\nNext: ${next}`);
}

function days(text: string): number {
  if (!/^[0-9]{1,5}$/.test(text)) throw new InvalidArgumentError('Write a whole number of days.');
  return Number(text);
}
