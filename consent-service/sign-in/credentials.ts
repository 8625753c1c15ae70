// How this service authenticates to the identity providers, from its data folder: a key file `keys/sign-in-SLUG`
// (private_key_jwt) or a secret in `sign-in/SLUG.secret`, where SLUG is the provider's name in this service's paths.
// Whoever can read a secret can play this service at the provider, so a file that others may read is not used.
import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openKey } from '#certs/key-file.ts';
import { listKeyFiles, readKeyFile } from '#core/key-store.ts';
import { AccordError } from '#schemas/problems.ts';
import { type ClientCredential, slugOf } from './providers.ts';

const KEY = /^sign-in-([0-9a-f]{12})$/;
const SECRET = /^([0-9a-f]{12})\.secret$/;
const MAX_SECRET_BYTES = 1024;

/**
 * Reads all of them once; a key goes before a secret.
 * @returns the credential of an issuer, or null: then PKCE alone proves that a code is ours
 * @throws KEY_FILE_MODE, KEY_FILE_MALFORMED, KEY_FILE_PASSPHRASE_WRONG
 */
export async function readCredentials(
  folder: string,
  passphrase: string,
): Promise<(issuer: string) => ClientCredential | null> {
  const found = new Map<string, ClientCredential>();
  const secrets = await readdir(join(folder, 'sign-in')).catch(() => []);
  for (const name of secrets) {
    const slug = SECRET.exec(name)?.[1];
    if (slug !== undefined) found.set(slug, { secret: await readSecret(join(folder, 'sign-in', name)) });
  }
  const keys = join(folder, 'keys');
  for (const name of await listKeyFiles(keys)) {
    const slug = KEY.exec(name)?.[1];
    if (slug === undefined) continue;
    const { privateKey } = await openKey(await readKeyFile(keys, name), passphrase);
    found.set(slug, { privateKey });
  }
  return (issuer) => found.get(slugOf(issuer)) ?? null;
}

async function readSecret(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const stat = await file.stat();
    if ((stat.mode & 0o077) !== 0) throw new AccordError('KEY_FILE_MODE', path);
    if (!stat.isFile() || stat.size > MAX_SECRET_BYTES) throw new AccordError('KEY_FILE_MALFORMED', path);
    const secret = (await file.readFile('utf8')).trim();
    if (secret === '') throw new AccordError('KEY_FILE_MALFORMED', `${path} is empty`);
    return secret;
  } finally {
    await file.close();
  }
}
