// `accord server init-witness`: makes a security server a witness of the aggregate log. Its cosignatures count when the
// registry named it and two approvers signed that.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { openKey } from '#certs/key-file.ts';
import { systemClock } from '#core/clock.ts';
import { readKeyFile } from '#core/key-store.ts';
import { initWitnessKeys } from '#security-server/anchoring/witness-keys.ts';
import { FILES } from '#security-server/data-folder.ts';
import { resolveSettings } from '#security-server/settings.ts';
import { type OutputOptions, print, runAction, withOutput } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

export function initWitnessCommand(): Command {
  return withOutput(
    new Command('init-witness')
      .description('make the keys of a witness of the aggregate log, and say what the registry has to be told')
      .requiredOption('--dir <folder>', "the server's data folder")
      .option('--url <url>', 'where the registry reaches it, as settings.witnessPort says')
      .addOption(passphraseOption(PASSPHRASE_VARIABLE)),
  ).action(runAction(initWitness));
}

async function initWitness(options: OutputOptions & PassphraseOptions & { dir: string; url?: string }): Promise<void> {
  const { dir } = options;
  const { settings } = resolveSettings(readFileSync(join(dir, FILES.settings), 'utf8'), process.env, {});
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the keys: ' });
  // It is that of the other keys, or the server would not start again.
  await openKey(await readKeyFile(join(dir, FILES.keys), 'checkpoint'), passphrase);
  const made = await initWitnessKeys({ folder: dir, server: settings.id, passphrase, nowMs: systemClock.nowMs() });
  print({ ...made, url: options.url ?? null }, options);
}
