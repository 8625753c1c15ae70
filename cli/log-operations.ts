// `accord log new-origin` and `accord log rotate-key`: what an operator does to the log of a server that does not run.
// Both end with what the registry has to be told.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { rawEd25519PublicKey } from '#certs/ed25519.ts';
import { openKey, sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { openClient } from '#core/http/client.ts';
import { destroyKeyFile, listKeyFiles, readKeyFile, writeKeyFile } from '#core/key-store.ts';
import { newestHeld, openNewOrigin } from '#core/log/new-origin.ts';
import { rotateCheckpointKey } from '#core/log/rotate-key.ts';
import { noteVerifier } from '#core/log/signed-note.ts';
import { newestWitnessed } from '#core/witness/witnessed-checkpoint.ts';
import { isAccordError } from '#schemas/problems.ts';
import { FILES } from '#security-server/data-folder.ts';
import { currentLogOrigin, LOG_PLACES } from '#security-server/log-origin.ts';
import { resolveSettings } from '#security-server/settings.ts';
import { CommandEnd, EXIT, type OutputOptions, print, runAction, withOutput } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

const KEY = 'checkpoint';
const NEXT_KEY = 'checkpoint-next';

type Options = OutputOptions & PassphraseOptions & { dir: string; yes?: boolean };

function operation(name: string, description: string): Command {
  const command = new Command(name)
    .description(description)
    .requiredOption('--dir <folder>', "the server's data folder")
    .option('--yes', 'really do it')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE));
  return withOutput(command);
}

export function newOriginCommand(): Command {
  const what = 'close a log that cannot go on (restored, damaged) and open another that cites its last checkpoint';
  return operation('new-origin', what).action(runAction(newOrigin));
}

export function rotateKeyCommand(): Command {
  const what = 'go over to a new checkpoint key; the old one signs for it, and is destroyed';
  return operation('rotate-key', what).action(runAction(rotateKey));
}

async function opened({ dir, ...options }: Options, why: string) {
  if (!options.yes) {
    throw new CommandEnd(
      EXIT.precondition,
      `Nothing was done. ${why}\nNext: Run it again with --yes if you want that.`,
    );
  }
  const { settings } = resolveSettings(readFileSync(join(dir, FILES.settings), 'utf8'), process.env, {});
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the keys: ' });
  const keys = join(dir, FILES.keys);
  const open = async (name: string) => (await openKey(await readKeyFile(keys, name), passphrase)).privateKey;
  const folder = join(dir, LOG_PLACES.log);
  const checkpointFile = join(dir, LOG_PLACES.checkpointFile);
  const origin = currentLogOrigin(settings.id, dir);
  return { id: settings.id, passphrase, keys, open, log: { folder, checkpointFile, origin, clock: systemClock } };
}

async function newOrigin(options: Options): Promise<void> {
  const why =
    'The log is closed for ever, and for ten minutes the server refuses requests, whose ids it has forgotten.';
  const { id, open, log } = await opened(options, why);
  const checkpointKey = await open(KEY);
  const { witnessed, detail } = await askedWitness(options.dir, { ...log, checkpointKey });
  const { origin, closed, cited } = openNewOrigin({ ...log, checkpointKey, ...(witnessed && { witnessed }) });
  const cites = { size: cited.size, root: cited.root.toString('base64url') };
  print({ origin, closed, cites, witness: detail, register: registering(id, options.dir) }, options);
}

/** What the registry's witness saw last: a log from a backup knows less than others do. Without an answer it is cited alone. */
async function askedWitness(
  dir: string,
  log: Parameters<typeof newestHeld>[0],
): Promise<{ witnessed?: string; detail: string }> {
  const held = newestHeld(log);
  if (held === null) return { detail: 'not asked' };
  const verifier = noteVerifier(log.origin, rawEd25519PublicKey(log.checkpointKey));
  const http = openClient();
  try {
    const { urls } = readAnchor(readFileSync(join(dir, FILES.anchor)));
    const url = (urls[0] ?? '').replace(/\/$/, '');
    const found = await newestWitnessed(http, url, held, verifier);
    if (found === null) return { detail: 'it knows no more' };
    return { witnessed: found.note, detail: `it knows ${found.size} entries` };
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return { detail: `it could not be asked: ${error.code}` };
  } finally {
    await http.close();
  }
}

/** Each step can be run again: the next key lies beside the old one until the log has gone over to it. */
async function rotateKey(options: Options): Promise<void> {
  const why = 'Until the new key is registered and approved, `accord doctor` says that another one is registered.';
  const { id, passphrase, keys, open, log } = await opened(options, why);
  const names = await listKeyFiles(keys);
  if (!names.includes(NEXT_KEY)) {
    await open(KEY); // the passphrase is that of the other keys, or the server would not start again
    const about = { use: 'checkpoint' as const, createdAtMs: systemClock.nowMs(), label: id };
    await writeKeyFile(keys, NEXT_KEY, await sealKey(generateKeys('Ed25519').privateKey, passphrase, about));
  }
  const oldKey = names.includes(KEY) ? await open(KEY) : null;
  const { verifierKey, size } = rotateCheckpointKey({ ...log, oldKey, nextKey: await open(NEXT_KEY) });
  const text = await readKeyFile(keys, NEXT_KEY);
  if (oldKey !== null) await destroyKeyFile(keys, KEY);
  await writeKeyFile(keys, KEY, text.toString('utf8'));
  await destroyKeyFile(keys, NEXT_KEY);
  print({ origin: log.origin, verifierKey, size, register: registering(id, options.dir) }, options);
}

function registering(id: string, dir: string): string {
  return `accord server renew ${id} --dir ${dir}`;
}
