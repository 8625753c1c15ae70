// What the registry is told of a security server, read from its data folder: certificates and the open halves of its
// keys. No passphrase is asked for, so whoever registers need not be able to open a key. The server's administrator
// controls the folder; the registry judges every byte of what is sent.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readKeyHeader } from '#certs/key-file.ts';
import { pemCertificates } from '#certs/pem.ts';
import { listKeyFiles, readKeyFile } from '#core/key-store.ts';
import { base64url } from '#schemas/base64url.ts';
import type { JsonObject } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { FILES } from '#security-server/data-folder.ts';
import { logOrigin } from '#security-server/server.ts';
import { resolveSettings } from '#security-server/settings.ts';

/** Encryption keys live at most this long from their making. */
const ENCRYPTION_KEY_LIFETIME_MS = 30 * 86_400_000;

/**
 * A registration without its subsystems, which the folder does not know.
 * @throws CERTIFICATE_MISSING, KEY_FILE_*, KEY_UNUSABLE, SETTINGS_INVALID
 */
export async function registrationOfFolder(folder: string): Promise<JsonObject> {
  const { settings } = resolveSettings(readFileSync(join(folder, FILES.settings), 'utf8'), process.env, {});
  const keys = join(folder, FILES.keys);
  const header = async (name: string) => readKeyHeader(await readKeyFile(keys, name));
  const encryptionKeys: JsonObject[] = [];
  for (const name of await listKeyFiles(keys)) {
    if (!name.startsWith('encryption-')) continue;
    const { kid, publicJwk, createdAtMs } = await header(name);
    encryptionKeys.push({ kid, jwk: { ...publicJwk }, notAfterMs: createdAtMs + ENCRYPTION_KEY_LIFETIME_MS });
  }
  if (encryptionKeys.length === 0) throw new AccordError('KEY_UNUSABLE', 'no encryption key');
  const { publicJwk } = await header('checkpoint');
  return {
    id: settings.id,
    address: settings.address,
    authenticationCertificates: [leaf(folder, 'authentication')],
    signingCertificates: [leaf(folder, 'signing')],
    encryptionKeys,
    log: { origin: logOrigin(settings.id), key: publicJwk.x ?? '' },
  };
}

/** The first certificate of a chain, DER in base64url. */
function leaf(folder: string, name: string): string {
  const file = join(folder, FILES.certificates, `${name}.pem`);
  const [der] = existsSync(file) ? pemCertificates(readFileSync(file, 'utf8')) : [];
  if (der === undefined) throw new AccordError('CERTIFICATE_MISSING', file);
  return base64url(der);
}
