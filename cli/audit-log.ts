// `accord audit log`: the audit of a log, or of a part of one, by whoever has its folder; also while the server runs. It can
// be stopped and gone on with. The folder's owner controls what is read; who signed is judged by the configuration that the
// auditor's own anchor vouches for.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { openKey } from '#certs/key-file.ts';
import { storageKeyOf } from '#certs/storage-key.ts';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { type PastSigners, pastSigners } from '#core/evidence/past-signers.ts';
import { pastGrace, pastVouchers } from '#core/evidence/past-vouchers.ts';
import { withRegisteredKey } from '#core/evidence/registered-log-key.ts';
import { readKeyFile } from '#core/key-store.ts';
import { bodyAudit } from '#core/log/audit-bodies.ts';
import { auditRange } from '#core/log/audit-range.ts';
import type { RangeReport } from '#core/log/audit-range-report.ts';
import { readRecordKeysSqlite } from '#core/log/record-keys-sqlite.ts';
import { PROBLEMS } from '#schemas/problems.ts';
import { FILES } from '#security-server/data-folder.ts';
import { LOG_PLACES } from '#security-server/log-origin.ts';
import { withArchive } from './archive.ts';
import { readProgress, watchProgress } from './audit-progress.ts';
import { type AuditSource, type SourceOptions, withAuditSource } from './audit-source.ts';
import { tokensUnder } from './log.ts';
import { count } from './option-values.ts';
import { CommandEnd, EXIT, outputFormat, print, runAction, withOutput } from './output.ts';
import { PASSPHRASE_VARIABLE, passphraseOption, readPassphrase } from './passphrase.ts';

type LogOptions = SourceOptions & {
  archive?: string;
  configuration?: string;
  from?: number;
  to?: number;
  anchor?: string;
  timeStampAnchors?: string;
  bodies?: boolean;
  seen?: string[];
  checkpoint: boolean;
  progress?: string;
  threads?: number;
};

export function logAuditCommand(): Command {
  const command = new Command('log')
    .description(
      'verify a log, its archive, or a part of them; goes on where it was stopped; also while the server runs',
    )
    .option('--dir <folder>', "the server's data folder, or a copy of it")
    .option('--archive <destination>', 'the archive of the log, a folder or s3://BUCKET/PREFIX: beside --dir, or alone')
    .option('--origin <origin>', 'a closed log: its origin, or its number; the log, where an archive holds several')
    .option('--from <seq>', 'begin at the last checkpoint at or before this entry', count)
    .option('--to <seq>', 'end at the first checkpoint at or behind this entry', count)
    .option('--key <verifier-key>', 'verifier key of the checkpoints (NAME+ID+KEY); without it the one in the log')
    .option('--anchor <folder>', "the auditor's own folder with anchor.json: then every signature is verified")
    .option('--configuration <folder>', 'a copy of the configuration; by default that of the data folder')
    .option(
      '--time-stamp-anchors <file>',
      'roots of time-stamp authorities, PEM; without them time-stamps are not judged',
    )
    .option('--bodies', 'open what is kept of each record and compare it with what its statement commits to')
    .option('--seen <file...>', 'signed checkpoints of this log that somebody else holds')
    .option('--no-checkpoint', 'do not compare with the checkpoint kept apart (a copy of the log alone)')
    .option('--progress <file>', 'save how far it is there, and go on from it')
    .option('--threads <n>', 'threads beside the first; by default one for each processor', count)
    .addOption(passphraseOption(PASSPHRASE_VARIABLE));
  return withOutput(withArchive(command)).action(runAction(auditAction));
}

async function auditAction(options: LogOptions): Promise<void> {
  const { from, to, key, anchor, timeStampAnchors, progress: file, threads } = options;
  if (from !== undefined && to !== undefined && to < from) throw usage('Give --to an entry behind --from.');
  const signers = anchor === undefined ? null : signersOf(options, anchor);
  const keys = options.bodies ? await keysOf(options) : null;
  const watched = watchProgress(file, process.stderr.isTTY === true && outputFormat(options) === 'table');
  try {
    const progress = file === undefined ? null : readProgress(file);
    const [report, archive] = await withAuditSource(options, async ({ log, folder, checkpointFile, archive }) => {
      const found = await auditRange(log, {
        progress,
        onProgress: watched.follow,
        nowMs: systemClock.nowMs(),
        seen: (options.seen ?? []).map((one) => readFileSync(one, 'utf8')),
        ...(folder === null ? {} : { folder }),
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
        ...(key === undefined ? {} : { verifierKey: key }),
        ...(options.checkpoint && checkpointFile !== null ? { checkpointFile } : {}),
        ...(signers === null ? {} : vouchersOf(signers)),
        ...(timeStampAnchors === undefined ? {} : { verifyToken: tokensUnder(timeStampAnchors) }),
        ...(keys === null ? {} : { bodies: bodyAudit(log, keys) }),
        ...(threads === undefined ? {} : { threads }),
      });
      const report = signers === null ? found : await withRegisteredKey(found, log, signers);
      return [report, archive] as const;
    });
    watched.end();
    if (file !== undefined) rmSync(file, { force: true });
    end(report, archive, signers, options);
  } finally {
    watched.end();
    keys?.close();
  }
}

function signersOf({ dir, configuration }: LogOptions, anchor: string): PastSigners {
  const folder = configuration ?? (dir === undefined ? undefined : join(dir, 'configuration'));
  if (folder === undefined) throw usage('An archive brings no configuration: name a copy with --configuration.');
  return pastSigners(folder, readAnchor(readFileSync(join(anchor, FILES.anchor))));
}

function vouchersOf(signers: PastSigners) {
  const inForce = pastVouchers(signers, systemClock.nowMs());
  return { signers: signers.keys, inForce, graceAt: pastGrace(signers) };
}

async function keysOf(options: LogOptions) {
  const { dir } = options;
  if (dir === undefined)
    throw usage('What is kept opens with the keys of the server: name its data folder with --dir.');
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the keys: ' });
  const { privateKey } = await openKey(await readKeyFile(join(dir, FILES.keys), 'storage'), passphrase);
  return readRecordKeysSqlite(join(dir, LOG_PLACES.recordKeys), storageKeyOf(privateKey));
}

function usage(next: string): CommandEnd {
  return new CommandEnd(EXIT.usage, `The log is not known.\nNext: ${next}`);
}

function end(
  report: RangeReport,
  archive: AuditSource['archive'],
  signers: PastSigners | null,
  options: LogOptions,
): void {
  const configuration = signers && { versions: signers.versions, unverified: signers.unverified };
  const archived = archive === null ? {} : { archive: `${archive.segments} segments, entries up to ${archive.until}` };
  const all =
    outputFormat(options) === 'table' ? { ...forPeople(report), ...archived } : { ...report, configuration, archive };
  print(all, options);
  const [gap] = report.gaps;
  if (report.code === null && gap !== undefined) {
    const { title, next } = PROBLEMS[gap.code];
    const place = `at entry ${gap.seq} (${gap.detail})`;
    throw new CommandEnd(EXIT.precondition, `INCOMPLETE(${gap.code}): ${title} ${place}\nNext: ${next}`);
  }
  if (report.code === null) return;
  const { code, firstBadSeq, detail } = report;
  const { title, next } = PROBLEMS[code];
  const place = firstBadSeq === null ? '' : ` at entry ${firstBadSeq}`;
  throw new CommandEnd(
    EXIT.verificationFailed,
    `${code}: ${title}${place}${detail === '' ? '' : ` (${detail})`}\nNext: ${next}`,
  );
}

function forPeople({ bodies, heartbeats, heartbeatsMissing, ...report }: RangeReport) {
  const { origin, startedAt, endedAt, size, checkpoints, root, signatures, archivedUntil } = report;
  const { quorum, timeStamps, gaps, gapsFound } = report;
  const wereOpen = heartbeats.filter(({ wasOpen }) => wasOpen);
  const silences = heartbeats.map(
    ({ fromMs, toMs, wasOpen }) =>
      `${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()}${wasOpen ? ', with entries' : ''}`,
  );
  return {
    verdict: report.code ?? (report.incomplete === null ? 'in order' : `INCOMPLETE(${report.incomplete})`),
    origin,
    entries: `${startedAt} to ${endedAt} of ${size}`,
    checkpoints,
    root,
    signatures: signatures ? 'all verified' : 'not verified; see --anchor',
    'quorum of witnesses': coveredOf(quorum, '--anchor'),
    'time-stamps': coveredOf(timeStamps, '--anchor, or --time-stamp-anchors'),
    ...(gapsFound === 0 ? {} : { missing: gaps.slice(0, 10).map(gapOf).join('\n') }),
    ...(bodies === null
      ? {}
      : { 'kept records': `${bodies.opened} opened, ${bodies.erased} erased, ${bodies.none} without` }),
    ...(archivedUntil === 0
      ? {}
      : { 'archived, not looked at': `what lies beside the entries before ${archivedUntil}; see --archive` }),
    'times without a checkpoint': `${heartbeatsMissing}, ${wereOpen.length} of them while the log was open`,
    ...(silences.length === 0 ? {} : { '': silences.slice(0, 10).join('\n') }),
  };
}

function coveredOf(covered: RangeReport['quorum'], option: string): string {
  if (covered === null) return `NOT CHECKED; see ${option}`;
  const { met, below, unknown, coveredUntil } = covered;
  const unjudged = unknown === 0 ? '' : `, ${unknown} not judged`;
  return `${met} anchorings have it, ${below} not${unjudged}; entries before ${coveredUntil} are covered`;
}

function gapOf({ code, seq, detail }: RangeReport['gaps'][number]): string {
  return `${code} at entry ${seq}: ${detail}`;
}
