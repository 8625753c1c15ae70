// The data folder of a consent service: settings, the configuration anchor, two encrypted key files, and what the registry
// is handed. Made once by `accord consent-service init`, opened at every start. Whoever can write here is the service;
// whoever can read still needs the passphrase.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KeyFileCost, openKey, sealKey } from '#certs/key-file.ts';
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import type { NamedKey } from '#certs/registered-key.ts';
import { storageKeyOf } from '#certs/storage-key.ts';
import { readKeyFile, writeKeyFile } from '#core/key-store.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ConsentSettings } from './settings.ts';

export const CONSENT_FILES = {
  settings: 'consent.json',
  anchor: 'anchor.json',
  keys: 'keys',
  /** What `accord registry consent-service-set` takes. */
  registration: 'consent-service.json',
  database: 'database',
  sessions: 'sessions.db',
  archive: 'status-archive',
  configuration: 'configuration',
} as const;

export interface ConsentInitOptions {
  folder: string;
  settings: ConsentSettings;
  /** The text of the configuration anchor. */
  anchorText: string;
  passphrase: string;
  nowMs: number;
  /** Development instances may spend less on key files. */
  keyFileCost?: KeyFileCost;
}

/** @throws FOLDER_IN_USE, PASSPHRASE_REFUSED, KEY_FILE_* */
export async function initConsentFolder(options: ConsentInitOptions): Promise<{ registration: string; kid: string }> {
  const { folder, settings, passphrase, nowMs, keyFileCost } = options;
  if (existsSync(join(folder, CONSENT_FILES.settings))) throw new AccordError('FOLDER_IN_USE', folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const keys = join(folder, CONSENT_FILES.keys);
  const { subsystem, citizenUrl } = settings;
  const signing = generateKeys('P-256');
  for (const [name, key, use] of [
    ['receipt-1', signing.privateKey, 'sign'],
    ['storage', generateKeys('X25519').privateKey, 'storage'],
  ] as const) {
    const text = await sealKey(key, passphrase, { use, createdAtMs: nowMs, label: subsystem }, keyFileCost);
    await writeKeyFile(keys, name, text);
  }
  const kid = thumbprint(signing.publicKey);
  const { kty, crv, x, y } = exportPublicJwk(signing.publicKey);
  const statusUrl = `${citizenUrl}/status`;
  const registration = { subsystem, keys: [{ kid, jwk: { kty, crv, x, y } }], statusUrl, citizenUrl };
  const file = join(folder, CONSENT_FILES.registration);
  writeFileSync(file, `${JSON.stringify(registration, null, 2)}\n`);
  writeFileSync(join(folder, CONSENT_FILES.anchor), options.anchorText);
  // Last: a folder with settings is whole.
  writeFileSync(join(folder, CONSENT_FILES.settings), `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600 });
  return { registration: file, kid };
}

/** @throws KEY_FILE_* */
export async function openConsentKeys(
  folder: string,
  passphrase: string,
): Promise<{ receipt: NamedKey; storageKey: Buffer }> {
  const open = async (name: string) =>
    (await openKey(await readKeyFile(join(folder, CONSENT_FILES.keys), name), passphrase)).privateKey;
  const privateKey = await open('receipt-1');
  return { receipt: { kid: thumbprint(privateKey), privateKey }, storageKey: storageKeyOf(await open('storage')) };
}
