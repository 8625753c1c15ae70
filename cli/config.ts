// `accord config`: the global configuration from the side of persons: roots, drafts, approvals with keys that stay on
// the approver's own machine, distrust, and verifying a published set from an anchor alone.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { type PublishedSet, verifyPublished } from '#core/configuration/gather.ts';
import { anchorOf, planRoot, signFile } from '#core/configuration/sign.ts';
import { fileHash, verifyAnchoredRoot } from '#core/configuration/verify.ts';
import { parseJson } from '#schemas/json.ts';
import { type AccordError, isAccordError, PROBLEMS } from '#schemas/problems.ts';
import { approveCommand } from './config-approve.ts';
import { distrustCommands } from './config-distrust.ts';
import { holderOf, openHolderKey } from './config-keys.ts';
import { rotateRootCommand } from './config-rotate-root.ts';
import { fromFirst } from './config-source.ts';
import { collect, personAndFile, wholeNumber } from './option-values.ts';
import { CommandEnd, EXIT, type OutputOptions, print, runAction, withOutput } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption } from './passphrase.ts';
import { callRegistry, type RegistryCallOptions, withChange, withRegistry } from './registry-call.ts';

const DAY_MS = 86_400_000;

export function configCommand(): Command {
  const config = new Command('config').description('the signed global configuration');
  config.addCommand(initRootCommand());
  withChange(config.command('draft').description('make a draft of the next content from what is registered')).action(
    runAction(async (options: RegistryCallOptions) => {
      print(await callRegistry(options, 'POST', '/configuration/drafts'), options);
    }),
  );
  withRegistry(config.command('show').description('what is published, and the newest draft')).action(
    runAction(async (options: RegistryCallOptions) => {
      print(await callRegistry(options, 'GET', '/configuration'), options);
    }),
  );
  config.addCommand(approveCommand());
  withChange(
    config.command('publish <version>').description('publish an approved draft, or write its files again'),
  ).action(
    runAction(async (version: string, options: RegistryCallOptions) => {
      print(await callRegistry(options, 'POST', `/configuration/drafts/${version}/publish`), options);
    }),
  );
  for (const command of distrustCommands()) config.addCommand(command);
  return config.addCommand(rotateRootCommand()).addCommand(verifyCommand());
}

interface InitRootOptions extends OutputOptions, PassphraseOptions {
  instance: string;
  root: string[];
  approver: string[];
  freshness: string;
  threshold: string;
  url: string[];
  days: string;
  out: string;
}

function initRootCommand(): Command {
  const command = new Command('init-root')
    .description('make root 1 and the configuration anchor')
    .requiredOption('--instance <code>', 'the instance')
    .requiredOption('--root <person=keyfile>', 'a root holder, who signs now; repeatable', collect)
    .requiredOption('--approver <person=file>', 'an approver: key file or public key; at least two persons', collect)
    .requiredOption('--freshness <file>', "the registry's online key: key file or public key")
    .requiredOption('--url <url>', 'where the configuration is published; repeatable', collect)
    .option('--threshold <n>', 'root holders who must sign a root', '1')
    .option('--days <n>', 'how long the root is valid', '365')
    .option('--out <folder>', 'where root.1.jws and anchor.json are written', '.')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE));
  return withOutput(command).action(runAction(initRoot));
}

async function initRoot(options: InitRootOptions): Promise<void> {
  const rootKeys = options.root.map(personAndFile);
  const holders = rootKeys.map(({ person, file }) => ({ person, key: holderOf(file) }));
  const payload = planRoot({
    instance: options.instance,
    rootKeys: holders,
    rootThreshold: wholeNumber(options.threshold, '--threshold'),
    approvers: options.approver.map(personAndFile).map(({ person, file }) => ({ person, key: holderOf(file) })),
    freshness: [{ person: 'registry', key: holderOf(options.freshness) }],
    expiresAtMs: systemClock.nowMs() + wholeNumber(options.days, '--days') * DAY_MS,
  });
  const keys = [];
  for (const { person, file } of rootKeys) keys.push(await openHolderKey(file, options, `Passphrase of ${person}: `));
  const rootFile = signFile('root', payload, keys);
  const root = { document: parseJson(payload) as never, file: rootFile, hash: fileHash(rootFile) };
  const anchor = anchorOf(root, options.url);
  verifyAnchoredRoot(rootFile, anchor);
  const [rootPath, anchorPath] = [join(options.out, 'root.1.jws'), join(options.out, 'anchor.json')];
  writeFileSync(rootPath, rootFile, { flag: 'wx' });
  writeFileSync(anchorPath, `${JSON.stringify(anchor, null, 2)}\n`, { flag: 'wx' });
  print({ root: rootPath, anchor: anchorPath, hash: root.hash }, options);
}

function verifyCommand(): Command {
  const command = new Command('verify')
    .argument('<source>', 'folder or URL of a published configuration')
    .description('verify a published configuration from its anchor alone')
    .requiredOption('--anchor <file>', 'configuration anchor')
    .option('--at <time>', 'judge at this time, e.g. 2027-01-31T12:00:00Z; default now');
  return withOutput(command).action(
    runAction(async (source: string, options: OutputOptions & { anchor: string; at?: string }) => {
      const nowMs = options.at === undefined ? systemClock.nowMs() : Date.parse(options.at);
      if (Number.isNaN(nowMs)) throw new CommandEnd(EXIT.usage, `--at ${options.at} is no time.`);
      const anchor = readAnchor(readFileSync(options.anchor));
      try {
        const published = await fromFirst([source], (fetch) => verifyPublished(fetch, anchor, nowMs));
        print({ valid: true, code: 'OK', ...summaryOf(published) }, options);
      } catch (error) {
        if (!isAccordError(error) || PROBLEMS[error.code].status === 503) throw error;
        print({ valid: false, code: error.code, detail: error.detail }, options);
        throw new CommandEnd(EXIT.verificationFailed, nextOf(error));
      }
    }),
  );
}

function summaryOf({ root, content, distrust, locks, freshness, parts }: PublishedSet): object {
  return {
    instance: content.document.instance,
    version: content.document.version,
    hash: content.hash,
    root: root.document.version,
    distrust: distrust?.version ?? 0,
    locked: locks?.locks.length ?? 0,
    parts: parts.size,
    freshUntil: new Date(freshness.document.expiresAtMs).toISOString(),
    expires: new Date(content.document.expiresAtMs).toISOString(),
  };
}

function nextOf(error: AccordError): string {
  return `${error.code}: ${PROBLEMS[error.code].title}${error.detail ? ` (${error.detail})` : ''}\nNext: ${PROBLEMS[error.code].next}`;
}
