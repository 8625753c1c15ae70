// `accord audit export EXCHANGE` makes an evidence pack of one exchange from a server's data folder, also while the server
// runs; `accord audit verify FILE|FOLDER --anchor DIR` checks one, with the auditor's own anchor and nothing else
// (docs/evidence.md). The folder's owner controls what is exported, whoever hands in a pack what is verified.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { openKey } from '#certs/key-file.ts';
import { storageKeyOf } from '#certs/storage-key.ts';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import type { PackVerdict, Verdict } from '#core/evidence/check-run.ts';
import { exportPack } from '#core/evidence/export-pack.ts';
import { PACK_CODES, PackFinding } from '#core/evidence/finding.ts';
import { readPackFiles } from '#core/evidence/read-pack.ts';
import { sealPack } from '#core/evidence/seal.ts';
import { refusedPack, verifyPack } from '#core/evidence/verify-pack.ts';
import { writeZip } from '#core/evidence/zip.ts';
import { readKeyFile } from '#core/key-store.ts';
import { TIME_STAMP_STATUS_FILE } from '#core/time-stamp-status-file.ts';
import { FILES } from '#security-server/data-folder.ts';
import { signingKeyOf } from '#security-server/folder-keys.ts';
import { currentLogOrigin, LOG_PLACES } from '#security-server/log-origin.ts';
import { placeOf } from './log.ts';
import { CommandEnd, EXIT, type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

type ExportOptions = OutputOptions &
  PassphraseOptions & {
    dir: string;
    origin?: string;
    peer?: string;
    out?: string;
    requestBody?: string;
    answerBody?: string;
    withoutBody?: boolean;
  };

export function exportCommand(): Command {
  const command = new Command('export')
    .description('make an evidence pack of one exchange; also while the server runs')
    .argument('<exchange>', 'message id of the request')
    .requiredOption('--dir <folder>', "the server's data folder")
    .option('--out <file>', 'the zip to write; EXCHANGE.zip here when not given')
    .option('--origin <origin>', 'a closed log: its origin, or its number')
    .option('--peer <id>', 'the other security server, where two of them used the same id')
    .option('--request-body <file>', "the request's body, when it was too large to be kept")
    .option('--answer-body <file>', "the answer's body, likewise")
    .option('--without-body', 'leave out contexts and bodies: nobody is named, and the verdict will be INCOMPLETE')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE));
  return withOutput(command).action(runAction(exportAction));
}

async function exportAction(exchange: string, options: ExportOptions): Promise<void> {
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the keys: ' });
  const open = async (name: string) =>
    (await openKey(await readKeyFile(join(options.dir, FILES.keys), name), passphrase)).privateKey;
  const { id } = JSON.parse(readFileSync(join(options.dir, FILES.settings), 'utf8')) as { id: string };
  const place = {
    server: id,
    log: placeOf(options).folder,
    inUse: { folder: join(options.dir, LOG_PLACES.log), origin: currentLogOrigin(id, options.dir) },
    recordKeys: join(options.dir, LOG_PLACES.recordKeys),
    configuration: join(options.dir, 'configuration'),
    stampStatus: join(options.dir, TIME_STAMP_STATUS_FILE),
  };
  const storageKey = options.withoutBody === true ? null : storageKeyOf(await open('storage'));
  const { peer, requestBody, answerBody } = options;
  const bodies = {
    ...(requestBody === undefined ? {} : { request: readFileSync(requestBody) }),
    ...(answerBody === undefined ? {} : { answer: readFileSync(answerBody) }),
  };
  const nowMs = systemClock.nowMs();
  const files = await exportPack(place, {
    exchange,
    storageKey,
    nowMs,
    bodies,
    ...(peer === undefined ? {} : { peer }),
  });
  const { keyName, der } = await signingKeyOf(options.dir, nowMs);
  const zip = writeZip(sealPack(files, { key: await open(keyName), certificate: der }, nowMs));
  const out = options.out ?? `${exchange}.zip`;
  // What is in it may name a person: nobody else's to read, and no file that is there is overwritten.
  writeFileSync(out, zip, { mode: 0o600, flag: 'wx' });
  print({ file: out, bytes: zip.length, exchange, files: files.size + 3, personalData: storageKey !== null }, options);
}

export function verifyCommand(): Command {
  const command = new Command('verify')
    .description('check an evidence pack, trusting nobody but the own anchor')
    .argument('<pack>', 'the zip, or the folder it was unpacked to')
    .requiredOption('--anchor <folder>', "the auditor's own folder with anchor.json");
  return withOutput(command).action(runAction(verifyAction));
}

const ENDS: Record<Verdict, number> = {
  VALID: EXIT.ok,
  'COMMITMENT-ONLY': EXIT.ok,
  INCOMPLETE: EXIT.precondition,
  INVALID: EXIT.verificationFailed,
};

function verifyAction(path: string, options: OutputOptions & { anchor: string }): void {
  const anchor = readAnchor(readFileSync(join(options.anchor, 'anchor.json')));
  const { verdict, code, checks } = judged(path, () => ({ anchor, nowMs: systemClock.nowMs() }));
  if (outputFormat(options) === 'table') {
    print(
      checks.map(({ number, name, state, code, detail }) => ({ number, check: name, state, code, detail })),
      options,
    );
    process.stdout.write(`${code === null ? verdict : `${verdict}(${code})`}\n`);
  } else print({ verdict, code, checks }, options);
  if (ENDS[verdict] === EXIT.ok) return;
  throw new CommandEnd(ENDS[verdict], code === null ? verdict : `${verdict}(${code}): ${PACK_CODES[code]}`);
}

function judged(path: string, auditor: () => Parameters<typeof verifyPack>[1]): PackVerdict {
  try {
    return verifyPack(readPackFiles(path), auditor());
  } catch (error) {
    if (error instanceof PackFinding) return refusedPack(error);
    throw error;
  }
}
