// `accord audit reconcile A B`: what one department's log has of the exchanges between two servers and the other lacks; each is
// a server's data folder or an export of one. `accord audit entries` makes such an export: entries and signatures, no
// contexts and no bodies, and of exchanges with others nothing but hashes. Each department controls its own log only.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { readAnchor } from '#core/configuration/anchor.ts';
import { pastSigners } from '#core/evidence/past-signers.ts';
import type { SignerKeys } from '#core/log/audit-batches.ts';
import { sideOfExport, sideOfLog, writeLogExport } from '#core/log/log-export.ts';
import { type LogSide, type ReconcileItem, type ReconcileReport, reconcile } from '#core/log/reconcile.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { FILES } from '#security-server/data-folder.ts';
import { placeOf } from './log.ts';
import { CommandEnd, EXIT, type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';

const MAX_LINES = 50;

export function entriesCommand(): Command {
  const command = new Command('entries')
    .description("export a log for one other server's department: entries and signatures, without bodies")
    .requiredOption('--dir <folder>', "the server's data folder")
    .requiredOption('--peer <server>', 'the other security server')
    .requiredOption('--out <file>', 'a new file')
    .option('--origin <origin>', 'a closed log: its origin, or its number');
  return withOutput(command).action(runAction(entriesAction));
}

function entriesAction(options: OutputOptions & { dir: string; peer: string; out: string; origin?: string }): void {
  const log = openLogAuditSqlite(placeOf(options).folder);
  try {
    const { size, shown } = writeLogExport(log, options.peer, options.out);
    print({ file: options.out, entries: size, shown, peer: options.peer }, options);
  } finally {
    log.close();
  }
}

type ReconcileOptions = OutputOptions & {
  keyA?: string;
  keyB?: string;
  originA?: string;
  originB?: string;
  anchor?: string;
  configuration?: string;
};

export function reconcileCommand(): Command {
  const command = new Command('reconcile')
    .description('hold two logs against each other: what one has and the other lacks')
    .argument('<a>', 'a data folder, or an export')
    .argument('<b>', 'the other')
    .option('--origin-a <origin>', 'a closed log of a folder')
    .option('--origin-b <origin>', 'the same of the other')
    .option('--key-a <verifier-key>', 'verifier key of the checkpoint in an export; without it the one it names')
    .option('--key-b <verifier-key>', 'the same of the other')
    .option('--anchor <folder>', "the auditor's own folder with anchor.json: signatures are verified")
    .option('--configuration <folder>', 'a copy of the configuration; by default that of the first data folder');
  return withOutput(command).action(runAction(reconcileAction));
}

async function reconcileAction(a: string, b: string, options: ReconcileOptions): Promise<void> {
  const [one, two] = [opened(a, options.originA, options.keyA), opened(b, options.originB, options.keyB)];
  try {
    const report = await reconcile(one.side, two.side, signersOf([a, b], options));
    end(report, options);
  } finally {
    one.close();
    two.close();
  }
}

function opened(
  place: string,
  origin: string | undefined,
  key: string | undefined,
): { side: LogSide; close: () => void } {
  if (!statSync(place).isDirectory()) return { side: sideOfExport(place, key), close: () => undefined };
  const log = openLogAuditSqlite(placeOf({ dir: place, ...(origin === undefined ? {} : { origin }) }).folder);
  return { side: sideOfLog(log), close: () => log.close() };
}

function signersOf(places: string[], { anchor, configuration }: ReconcileOptions): SignerKeys | undefined {
  if (anchor === undefined) return undefined;
  const folder = configuration ?? places.find((place) => statSync(place).isDirectory());
  if (folder === undefined) {
    throw new CommandEnd(EXIT.usage, 'Two exports bring no configuration.\nNext: Name one with --configuration.');
  }
  const of = configuration ?? join(folder, 'configuration');
  return pastSigners(of, readAnchor(readFileSync(join(anchor, FILES.anchor)))).keys;
}

function end(report: ReconcileReport, options: OutputOptions): void {
  const isTable = outputFormat(options) === 'table';
  const { items, a, b, agreed, outside, settled, open } = report;
  if (!isTable) print(report, options);
  else {
    print(
      { A: sideLine(a), B: sideLine(b), 'in both': agreed, settled, open, 'not reached by the other': outside },
      options,
    );
    if (items.length > 0) print(items.slice(0, MAX_LINES).map(line), options);
    if (items.length > MAX_LINES) process.stdout.write(`${items.length - MAX_LINES} more: see --json\n`);
  }
  if (settled > 0) {
    const next = 'Next: Show it to the department that lacks it; its own signature stands against its log.';
    throw new CommandEnd(
      EXIT.verificationFailed,
      `${settled} records are missing in a log though a signature says they were there.\n${next}`,
    );
  }
  if (open > 0) {
    const next = 'Next: Ask the other department; `accord log show --id` shows what there is of an exchange.';
    throw new CommandEnd(
      EXIT.precondition,
      `${open} records are in one log only, and nothing signed says more.\n${next}`,
    );
  }
}

function sideLine({ server, entries, fromMs, toMs }: ReconcileReport['a']): string {
  const time = (ms: number | null) => (ms === null ? '' : new Date(ms).toISOString());
  return `${server}: ${entries} entries, ${time(fromMs)} to ${time(toMs)}`;
}

const SIGNATURE = { true: 'verified', false: 'NOT GOOD', null: 'not verified' } as const;

function line({ code, has, lacks, exchange, kind, seq, atMs, by, signature }: ReconcileItem) {
  const cites = by?.cites ? `, cites ${by.cites.origin} ${by.cites.index}` : '';
  return {
    time: new Date(atMs).toISOString(),
    exchange,
    kind,
    has: `${has} ${seq}`,
    lacks,
    why: code,
    by: by === null ? '' : `${by.in} ${by.seq}${cites}`,
    signature: by === null ? '' : SIGNATURE[`${signature}`],
  };
}
