// `accord config distrust`: a statement that a server or a key is no longer trusted, signed by one approver, or with
// `--own` by the very key (a server's signing key speaks for the server and its other keys too). It counts at once; only
// a content that two approvers sign lifts it.
import { readFileSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { exportSpki } from '#certs/keys.ts';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { signDistrust } from '#core/configuration/sign.ts';
import { fileHash } from '#core/configuration/verify.ts';
import { isJsonObject } from '#schemas/json.ts';
import { openHolderKey } from './config-keys.ts';
import { CommandEnd, EXIT, print, runAction } from './output.ts';
import { confirm, PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption } from './passphrase.ts';
import { callRegistry, type RegistryCallOptions, withChange, withRegistry } from './registry-call.ts';

type DistrustOptions = RegistryCallOptions &
  PassphraseOptions & {
    key: string;
    anchor: string;
    server?: string;
    keyHash?: string;
    own?: true;
    reason: string;
    out?: string;
    yes?: true;
  };

const PATH = '/configuration/distrust';

/** The verbs `distrust`, `distrust-send`, `distrust-list`, `distrust-lift`. */
export function distrustCommands(): Command[] {
  const make = withChange(
    new Command('distrust').description('stop trusting a server or a key at once; only a new content lifts it'),
  )
    .requiredOption('--key <file>', "an approver's key file; with --own the server's signing or TLS key")
    .requiredOption('--anchor <file>', 'configuration anchor')
    .option('--own', 'as the owner: names --key itself, or its server, or another key of that server')
    .option('--server <id>', 'the security server')
    .option('--key-hash <hash>', 'SHA-256 (base64url) of a certificate or public key, or kid of an encryption key')
    .requiredOption('--reason <text>', 'why; everybody can read it')
    .option('--out <file>', 'write the signed statement there, for somebody else to hand in')
    .option('--yes', 'do not ask')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE))
    .action(runAction(distrust));
  const send = withChange(
    new Command('distrust-send').argument('<file>').description('hand in a statement made with `distrust --out`'),
  ).action(
    runAction(async (file: string, options: RegistryCallOptions) => {
      print(await callRegistry(options, 'POST', PATH, { statement: readFileSync(file, 'latin1').trim() }), options);
    }),
  );
  const list = withRegistry(
    new Command('distrust-list').description('statements of distrust, and whether they count'),
  ).action(
    runAction(async (options: RegistryCallOptions) => {
      const answer = await callRegistry(options, 'GET', PATH);
      print(isJsonObject(answer) ? answer['items'] : answer, options, [
        'hash',
        'kind',
        'value',
        'by',
        'counts',
        'reason',
      ]);
    }),
  );
  const lift = withChange(
    new Command('distrust-lift')
      .argument('<hash>', 'of the statement, as distrust-list shows it; last and behind -- where it begins with a dash')
      .description('let the next draft lift a statement; in force when two approvers signed that content'),
  )
    .option('--undo', 'let the next draft not lift it')
    .action(
      runAction(async (hash: string, options: RegistryCallOptions & { undo?: true }) => {
        const method = options.undo ? 'DELETE' : 'POST';
        print(await callRegistry(options, method, `${PATH}/${encodeURIComponent(hash)}/lifted`), options);
      }),
    );
  return [make, send, list, lift];
}

async function distrust(options: DistrustOptions): Promise<void> {
  const named = options.server ?? options.keyHash;
  const both = options.server !== undefined && options.keyHash !== undefined;
  if (both || (named === undefined && !options.own)) {
    throw new CommandEnd(
      EXIT.usage,
      'Name one thing.\nNext: Give --server ID or --key-hash HASH, or --own for the key itself.',
    );
  }
  if (!options.dryRun) await confirm(`Distrust ${named ?? 'this key'}, until a content lifts it?`, options.yes);
  const { instance } = readAnchor(readFileSync(options.anchor));
  const key = await openHolderKey(options.key, options, 'Passphrase of the key: ');
  const statement = signDistrust(
    {
      instance,
      kind: options.server === undefined ? 'key' : 'server',
      value: named ?? fileHash(exportSpki(key)),
      atMs: systemClock.nowMs(),
      reason: options.reason,
    },
    key,
    options.own ? 'owner' : 'approver',
  );
  if (options.out !== undefined) {
    if (!options.dryRun) writeFileSync(options.out, `${statement}\n`, { flag: 'wx' });
    print({ statement: options.out, hash: fileHash(Buffer.from(statement, 'latin1')) }, options);
    return;
  }
  print(await callRegistry(options, 'POST', PATH, { statement }), options);
}
