// `accord log`: what an operator or an auditor does with a message log on disk, with or without its server running.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { pemCertificatesAndLists } from '#certs/pem.ts';
import { verifyTimeStampToken } from '#certs/time-stamp.ts';
import { readCertificate } from '#certs/x509-read.ts';
import { systemClock } from '#core/clock.ts';
import { acceptStoredCheckpoint } from '#core/log/accept-checkpoint.ts';
import { verifyLog } from '#core/log/audit.ts';
import { closedLogFolder } from '#core/log/new-origin.ts';
import { originNumber, originOfFolder } from '#core/log/origin.ts';
import type { RecordView } from '#core/log/record.ts';
import { MAX_SHOWN, showLog } from '#core/log/show.ts';
import { base64url } from '#schemas/base64url.ts';
import { PROBLEMS } from '#schemas/problems.ts';
import { LOG_PLACES } from '#security-server/log-origin.ts';
import { anchoringCommands } from './log-anchoring.ts';
import { newOriginCommand, rotateKeyCommand } from './log-operations.ts';
import { tilesCommand } from './log-tiles.ts';
import { CommandEnd, EXIT, type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';

interface LogOptions extends OutputOptions {
  /** The server's data folder: log/messages.db, checkpoint.txt, record-keys/record-keys.db. */
  dir: string;
  origin?: string;
}

export function logCommand(): Command {
  const log = new Command('log').description('read and verify the message log of a security server');
  withOutput(
    log
      .command('verify')
      .description('verify every entry, all evidence and every checkpoint; also while the server runs')
      .requiredOption('--dir <folder>', "the server's data folder")
      .option('--origin <origin>', 'a closed log: its origin, or its number')
      .option('--key <verifier-key>', 'verifier key of the checkpoints (NAME+ID+KEY); without it the one in the log')
      .option(
        '--time-stamp-anchors <file>',
        'roots of time-stamp authorities that are trusted, PEM; without them time-stamps are not judged',
      )
      .option('--no-checkpoint', 'do not compare with the checkpoint kept apart (a copy of the log alone)'),
  ).action(runAction(verify));
  withOutput(
    log
      .command('show')
      .description('show entries')
      .requiredOption('--dir <folder>', "the server's data folder")
      .option('--origin <origin>', 'a closed log: its origin, or its number')
      .option('--id <id>', 'only the records of this exchange, newest first')
      .option('--from <seq>', 'first entry to show', count, 0)
      .option('--limit <n>', `at most so many, up to ${MAX_SHOWN}`, count, 50),
  ).action(runAction(show));
  withOutput(
    log
      .command('accept-checkpoint')
      .description('when the checkpoint file is lost: take the newest checkpoint stored in the log')
      .requiredOption('--dir <folder>', "the server's data folder")
      .option('--yes', 'really do it'),
  ).action(runAction(accept));
  for (const command of [...anchoringCommands(placeOf), tilesCommand(placeOf)]) log.addCommand(command);
  return log.addCommand(newOriginCommand()).addCommand(rotateKeyCommand());
}

/** The log in use, or a closed one, which has its last checkpoint in its own folder. */
export function placeOf({ dir, origin }: { dir: string; origin?: string }): { folder: string; checkpointFile: string } {
  const current = { folder: join(dir, LOG_PLACES.log), checkpointFile: join(dir, LOG_PLACES.checkpointFile) };
  if (origin === undefined || origin === originOfFolder(current.folder, current.checkpointFile)) return current;
  const number = /^[1-9][0-9]{0,8}$/.test(origin) ? Number(origin) : originNumber(origin).number;
  const folder = closedLogFolder(current.folder, number);
  return { folder, checkpointFile: join(folder, LOG_PLACES.checkpointFile) };
}

async function verify(
  options: LogOptions & { key?: string; timeStampAnchors?: string; checkpoint: boolean },
): Promise<void> {
  const { folder, checkpointFile } = placeOf(options);
  const audit = await verifyLog({
    folder,
    ...(options.checkpoint ? { checkpointFile } : {}),
    ...(options.key === undefined ? {} : { verifierKey: options.key }),
    ...(options.timeStampAnchors === undefined ? {} : { verifyToken: tokensUnder(options.timeStampAnchors) }),
  });
  const { ok, entries, firstBadSeq, code, ...more } = audit;
  print({ ok, entries, firstBadSeq, code, ...more }, options);
  if (code === null) return;
  const place = firstBadSeq === null ? '' : ` at entry ${firstBadSeq}`;
  const detail = audit.detail === '' ? '' : ` (${audit.detail})`;
  const { title, next } = PROBLEMS[code];
  throw new CommandEnd(EXIT.verificationFailed, `${code}: ${title}${place}${detail}\nNext: ${next}`);
}

/** Judges tokens by the certificates and revocation lists in a PEM file. @throws PEM_INVALID, CERTIFICATE_MALFORMED */
export function tokensUnder(file: string) {
  const { certificates, crls } = pemCertificatesAndLists(readFileSync(file, 'utf8'));
  for (const der of certificates) readCertificate(der);
  return (token: Buffer, imprint: Buffer) =>
    verifyTimeStampToken(token, imprint, certificates, systemClock.nowMs(), { crls });
}

function show(options: LogOptions & { id?: string; from: number; limit: number }): void {
  const which = options.id === undefined ? { fromSeq: options.from } : { id: options.id };
  const records = showLog(placeOf(options).folder, which, options.limit);
  print(outputFormat(options) === 'table' ? records.map(brief) : records.map(full), options);
}

function brief({ entry }: RecordView) {
  const { seq, t, kind, id, peer, service, purpose, basis, code } = entry;
  return { seq, time: new Date(t).toISOString(), kind, id, peer, service, purpose, basis, code };
}

/** Evidence as a person or a script can use it: the statement as the text that was signed. */
function full({ entry, leafHash, evidence }: RecordView) {
  if (evidence === null) return { ...entry, leafHash, evidence: null };
  const { statement, signature } = evidence;
  const path = signature.path.map(base64url);
  return { ...entry, leafHash, evidence: { statement: statement.toString('utf8'), signature: { ...signature, path } } };
}

function accept(options: LogOptions & { yes?: boolean }): void {
  if (!options.yes) {
    const why = 'The start then no longer notices a log older than its lost checkpoint.';
    throw new CommandEnd(
      EXIT.precondition,
      `Nothing was done. ${why}\nNext: Run it again with --yes if you accept that.`,
    );
  }
  const checkpoint = acceptStoredCheckpoint(join(options.dir, 'log'), join(options.dir, 'checkpoint.txt'));
  print({ origin: checkpoint.origin, size: checkpoint.size, root: checkpoint.root.toString('base64url') }, options);
}

/** A whole number of at most 15 digits. */
function count(text: string): number {
  if (!/^[0-9]{1,15}$/.test(text)) throw new InvalidArgumentError('Write a whole number.');
  return Number(text);
}
