// `accord registry init-witness|witness|witness-forks`: the keys of the registry's witness and of the aggregate log, how the
// two are, and the evidence of logs with two histories.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { aggregateOrigin, NEXT_AGGREGATE_KEY, WITNESS_KEY_FILES, witnessName } from '#central-registry/witness-keys.ts';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import { openKey, sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { readKeyFile, writeKeyFile } from '#core/key-store.ts';
import { formatVerifierKey, noteVerifier } from '#core/log/signed-note.ts';
import { makeHandover } from '#core/witness/aggregate-handover.ts';
import { cosignerKey, formatCosignerKey } from '#core/witness/cosignature.ts';
import { isJsonObject } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { CommandEnd, EXIT, type OutputOptions, print, runAction, withOutput } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';
import { callRegistry, type RegistryCallOptions, withRegistry } from './registry-call.ts';

interface InitOptions extends PassphraseOptions, OutputOptions {
  dir: string;
  url: string;
  number: string;
}

export function witnessStateCommands(): Command[] {
  const init = new Command('init-witness')
    .description("make the keys of the registry's witness and of the aggregate log")
    .requiredOption('--dir <folder>', "the registry's folder")
    .requiredOption('--url <url>', 'where the configuration is served, as others reach it')
    .option('--number <n>', 'of the aggregate log: the next one where witness.db is lost', '1')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE));
  const state = new Command('witness').description("how the registry's witness and the aggregate log are");
  const forks = new Command('witness-forks').description('checkpoints of one log that do not fit together');
  const rotate = new Command('rotate-aggregate-key')
    .description('make the next key of the aggregate log and the note by which both keys say so')
    .requiredOption('--dir <folder>', "the registry's folder")
    .addOption(passphraseOption(PASSPHRASE_VARIABLE));
  return [
    withOutput(init).action(runAction(makeKeys)),
    withOutput(rotate).action(runAction(makeNextKey)),
    withRegistry(state).action(
      runAction(async (options: RegistryCallOptions) => {
        print(await callRegistry(options, 'GET', '/witness'), options);
      }),
    ),
    withRegistry(forks).action(
      runAction(async (options: RegistryCallOptions) => {
        const answer = await callRegistry(options, 'GET', '/witness/forks');
        print(isJsonObject(answer) ? (answer['items'] ?? []) : answer, options);
      }),
    ),
  ];
}

/** Prints what `accord registry witnesses-set` takes; departments' witnesses are added by hand. */
async function makeKeys(options: InitOptions): Promise<void> {
  const { dir, url } = options;
  const { instance } = readAnchor(readFileSync(join(dir, 'anchor.json')));
  const files = Object.entries(WITNESS_KEY_FILES);
  const there = files.find(([name]) => existsSync(join(dir, `${name}.key.json`)));
  if (there !== undefined) throw new AccordError('KEY_FILE_EXISTS', there[0]);
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the online keys: ' });
  const name = witnessName(instance);
  if (!/^[1-9][0-9]{0,3}$/.test(options.number)) throw new CommandEnd(EXIT.usage, '--number is a whole number.');
  const origin = aggregateOrigin(instance, Number(options.number));
  const verifierKeys: string[] = [];
  let verifierKey = '';
  for (const [file, { kind, use }] of files) {
    const { privateKey } = generateKeys(kind);
    const label = use === 'witness' ? name : origin;
    await writeKeyFile(
      dir,
      file,
      await sealKey(privateKey, passphrase, { use, createdAtMs: systemClock.nowMs(), label }),
    );
    if (use === 'witness') verifierKeys.push(formatCosignerKey(cosignerKey(name, privateKey)));
    else verifierKey = formatVerifierKey(noteVerifier(origin, rawEd25519PublicKey(privateKey)));
  }
  const aggregate = { origin, verifierKey, url: url.replace(/\/$/, '') };
  print({ aggregate, registryWitness: { name, verifierKeys }, witnesses: [], quorum: 0 }, options);
}

/** Prints what of the part `witnesses` changes; the registry signs with the new key once two approvers published it. */
async function makeNextKey(options: PassphraseOptions & OutputOptions & { dir: string }): Promise<void> {
  const { dir } = options;
  if (existsSync(join(dir, `${NEXT_AGGREGATE_KEY}.key.json`))) {
    throw new AccordError('KEY_FILE_EXISTS', NEXT_AGGREGATE_KEY);
  }
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the online keys: ' });
  const { use, label = '', privateKey } = await openKey(await readKeyFile(dir, 'aggregate'), passphrase);
  if (use !== WITNESS_KEY_FILES.aggregate.use) throw new AccordError('KEY_UNSUITABLE', `aggregate is for ${use}`);
  const next = generateKeys(WITNESS_KEY_FILES.aggregate.kind).privateKey;
  const [from, to] = [privateKey, next].map((key) => ({
    verifier: noteVerifier(label, rawEd25519PublicKey(key)),
    sign: (bytes: Buffer) => signEd25519(key, bytes),
  }));
  if (from === undefined || to === undefined) throw new TypeError('two keys');
  await writeKeyFile(
    dir,
    NEXT_AGGREGATE_KEY,
    await sealKey(next, passphrase, { use, createdAtMs: systemClock.nowMs(), label }),
  );
  print(
    { aggregate: { origin: label, verifierKey: formatVerifierKey(to.verifier) }, handover: makeHandover(from, to) },
    options,
  );
}
