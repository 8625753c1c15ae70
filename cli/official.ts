// `accord official key new|show`: the key that a department's sign-on signs with for its officials (docs/protocol.md, law
// and emergency), kept as a sealed key file. Its public half goes to the registry, where two approvers let it count.
import { Command } from 'commander';
import { readKeyHeader, sealKey } from '#certs/key-file.ts';
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import { systemClock } from '#core/clock.ts';
import { readKeyFile, writeKeyFile } from '#core/key-store.ts';
import { AccordError } from '#schemas/problems.ts';
import { type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

interface KeyOptions extends OutputOptions, PassphraseOptions {
  dir: string;
}

export function officialCommand(): Command {
  const official = new Command('official').description("officials of the department: the sign-on's keys");
  const key = official.command('key').description("keys of the department's sign-on");
  const folder = ['--dir <folder>', 'where the key files are', 'keys'] as const;
  withOutput(key.command('new'))
    .description('make a key and store it sealed; its public half is for `accord registry official-keys-set`')
    .argument('<name>', 'lower-case letters, digits and hyphens')
    .option(...folder)
    .addOption(passphraseOption(PASSPHRASE_VARIABLE))
    .action(runAction(newKey));
  withOutput(key.command('show'))
    .description('print the public half; asks for no passphrase and so proves nothing')
    .argument('<name>')
    .option(...folder)
    .option(
      '--subsystem <id>',
      'print the entry of this subsystem with this key, for `accord registry official-keys-set`',
    )
    .action(runAction(showKey));
  return official;
}

async function newKey(name: string, options: KeyOptions): Promise<void> {
  const ask = { prompt: `Passphrase of the key ${name}: `, twice: true };
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, ask);
  const { privateKey } = generateKeys('P-256');
  const meta = { use: 'official' as const, createdAtMs: systemClock.nowMs() };
  await writeKeyFile(options.dir, name, await sealKey(privateKey, passphrase, meta));
  print({ name, kid: thumbprint(privateKey), jwk: exportPublicJwk(privateKey) }, options);
}

async function showKey(name: string, options: OutputOptions & { dir: string; subsystem?: string }): Promise<void> {
  const { use, kid, publicJwk } = readKeyHeader(await readKeyFile(options.dir, name));
  if (use !== 'official') throw new AccordError('KEY_UNSUITABLE', `${name} was made to ${use}`);
  const { subsystem } = options;
  if (subsystem === undefined) return print({ name, kid, jwk: publicJwk }, options);
  // A file for the registry: JSON unless YAML is asked for.
  const entry = { subsystem, keys: [{ kid, jwk: publicJwk }] };
  print(entry, outputFormat(options) === 'table' ? { ...options, json: true } : options);
}
