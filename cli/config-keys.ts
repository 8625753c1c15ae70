// Keys of persons for the configuration: a sealed key file (`accord key new --use approve`), or for naming somebody just
// the public key as PEM.
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { openKey, readKeyHeader } from '#certs/key-file.ts';
import { importPublicJwk, importPublicPem } from '#certs/keys.ts';
import type { JsonValue } from '#schemas/json.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, readPassphrase } from './passphrase.ts';

/** The public key in a key file or a PEM file. */
export function holderOf(file: string): KeyObject {
  const text = readFileSync(file, 'utf8');
  if (text.startsWith('-----BEGIN PUBLIC KEY-----')) return importPublicPem(text);
  return importPublicJwk(readKeyHeader(text).publicJwk as JsonValue, 'sig');
}

/** The private key of a sealed key file. */
export async function openHolderKey(file: string, options: PassphraseOptions, prompt: string): Promise<KeyObject> {
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt });
  return (await openKey(readFileSync(file), passphrase)).privateKey;
}
