// `accord server rotate-encryption-key`, `rotate-subject-key` and `reload-keys`: keys and certificates renewed while the
// server runs. The order matters: the key is on the disk, then in the running server, and only then told to the registry, so that
// no peer ever wraps a ticket to a key that the server does not hold.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { systemClock } from '#core/clock.ts';
import { isJsonObject, type JsonValue } from '#schemas/json.ts';
import { MAX_REGISTERED_KEYS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { EncryptionKey } from '#schemas/registrations.ts';
import { FILES } from '#security-server/data-folder.ts';
import { type BareUse, makeBareKey } from '#security-server/folder-keys.ts';
import { resolveSettings } from '#security-server/settings.ts';
import { type AdminOptions, callAdmin, withAdmin } from './admin-client.ts';
import { CommandEnd, print, runAction } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';
import { callRegistry, type RegistryCallOptions, withRegistry } from './registry-call.ts';

export function reloadKeysCommand(): Command {
  const command = new Command('reload-keys').description('have a running server read its keys and certificates again');
  return withAdmin(command).action(
    runAction(async (options: AdminOptions) => print(await callAdmin(options, 'POST', '/keys/reload'), options)),
  );
}

type RotateOptions = RegistryCallOptions & PassphraseOptions & { dir: string; admin?: string };

/** What a kind of key is called in a registration. */
const MEMBERS: Readonly<Record<BareUse, string>> = { encryption: 'encryptionKeys', subject: 'subjectKeys' };

export function rotateEncryptionKeyCommand(): Command {
  return rotateCommand('encryption');
}

/** Old and new stand side by side: receipts that were sealed to the old one still open until it ends. */
export function rotateSubjectKeyCommand(): Command {
  return rotateCommand('subject');
}

function rotateCommand(use: BareUse): Command {
  const command = new Command(`rotate-${use}-key`)
    .description(`make the next ${use} key, hand it to the running server and register it`)
    .requiredOption('--dir <folder>', "the server's data folder")
    .option('--admin <url>', 'admin API of the server, when the settings leave its port to the system')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE));
  return withRegistry(command).action(runAction((options: RotateOptions) => rotate(use, options)));
}

async function rotate(use: BareUse, options: RotateOptions): Promise<void> {
  const { dir, admin } = options;
  const { settings } = resolveSettings(readFileSync(join(dir, FILES.settings), 'utf8'), process.env, {});
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the keys: ' });
  const nowMs = systemClock.nowMs();
  const key = await makeBareKey(dir, use, settings.id, passphrase, nowMs);
  const reloaded = await tryReload({ dir, ...(admin === undefined ? {} : { admin }) });
  const made = { kid: key.kid, notAfterMs: key.notAfterMs, reloaded };
  const toRegister = options.registry !== undefined || (process.env['ACCORD_REGISTRY'] ?? '') !== '';
  if (!toRegister) return print({ ...made, registered: false, [MEMBERS[use]]: [key] }, options);
  try {
    const removed = await register(use, settings.id, key, nowMs, options);
    print({ ...made, registered: true, removed }, options);
  } catch (error) {
    const next = `accord server renew ${settings.id} --dir ${dir}`;
    process.stderr.write(`The key ${key.kid} is made but not registered; register it with: ${next}\n`);
    throw error;
  }
}

/** A server that does not run reads the key when it starts. */
async function tryReload(options: AdminOptions): Promise<boolean> {
  try {
    await callAdmin(options, 'POST', '/keys/reload');
    return true;
  } catch (error) {
    if (error instanceof CommandEnd || isAccordError(error, 'PEER_UNREACHABLE')) return false;
    throw error;
  }
}

/** Registers the key; ends those whose time is over, and the oldest when there would be too many. */
async function register(
  use: BareUse,
  id: string,
  key: EncryptionKey,
  nowMs: number,
  options: RotateOptions,
): Promise<string[]> {
  const server = await callRegistry(options, 'GET', `/servers/${id}`);
  const listed = isJsonObject(server) ? server[MEMBERS[use]] : undefined;
  const registered = (Array.isArray(listed) ? listed : []).filter(isEncryptionKey);
  const live = registered.filter(({ notAfterMs }) => notAfterMs > nowMs).sort((a, b) => b.notAfterMs - a.notAfterMs);
  const kept = new Set(live.slice(0, MAX_REGISTERED_KEYS - 1).map(({ kid }) => kid));
  const remove = registered.map(({ kid }) => kid).filter((kid) => !kept.has(kid));
  const body = { [MEMBERS[use]]: [key], ...(remove.length > 0 && { remove }) };
  await callRegistry(options, 'POST', `/servers/${id}/renewals`, body);
  return remove;
}

function isEncryptionKey(value: JsonValue): value is JsonValue & { kid: string; notAfterMs: number } {
  return isJsonObject(value) && typeof value['kid'] === 'string' && typeof value['notAfterMs'] === 'number';
}
