// What the registry is told of a security server, read from its data folder: settings, certificates and the open halves of
// its keys. No passphrase is asked for, so whoever registers need not be able to open a key. The server's administrator
// controls the folder; the registry judges every byte of what is sent.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#core/clock.ts';
import type { JsonObject } from '#schemas/json.ts';
import { FILES } from '#security-server/data-folder.ts';
import { readRegistration } from '#security-server/folder-keys.ts';
import { resolveSettings } from '#security-server/settings.ts';

/**
 * A registration without its subsystems, which the folder does not know.
 * @throws CERTIFICATE_MISSING, CERTIFICATE_KEY_MISMATCH, KEY_FILE_*, KEY_UNUSABLE, SETTINGS_INVALID
 */
export async function registrationOfFolder(folder: string): Promise<JsonObject> {
  const { settings } = resolveSettings(readFileSync(join(folder, FILES.settings), 'utf8'), process.env, {});
  const { id, address } = settings;
  return { id, address, ...(await readRegistration(folder, id, systemClock.nowMs())) };
}
