// An official of the department at the command line: a file that says who they are (`id`, `name`, `unit`, and `key`: their
// key file, from the file's own folder), and the sealed key itself. For development and for small departments; a larger one
// signs in its own sign-on, where each official proves who they are. Whoever holds the file and the passphrase is believed.
import { readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { openKey } from '#certs/key-file.ts';
import { keyAlgorithm } from '#certs/keys.ts';
import type { NamedKey } from '#certs/registered-key.ts';
import { readKeyFile } from '#core/key-store.ts';
import type { Official } from '#schemas/evidence.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, readPassphrase } from './passphrase.ts';

const Text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
const Form = Type.Object(
  { id: Text(256), name: Text(200), unit: Text(200), key: Text(1024) },
  { additionalProperties: false },
);
const check: (value: unknown) => Static<typeof Form> = compile(Form, 'SCHEMA_MISMATCH');
const KEY_SUFFIX = /\.key\.json$/;

export interface OfficialFile {
  official: Official;
  /** Where the sealed key is. */
  folder: string;
  keyName: string;
}

/** @throws SCHEMA_MISMATCH, JSON_*, and the file system's errors */
export function readOfficialFile(file: string): OfficialFile {
  const { key, ...official } = check(parseJson(readFileSync(file), { maxBytes: 16_384, maxDepth: 2, maxValues: 8 }));
  const place = resolve(dirname(file), key);
  return { official, folder: dirname(place), keyName: basename(place).replace(KEY_SUFFIX, '') };
}

/** @throws KEY_UNSUITABLE for a key that was made for something else, KEY_FILE_* */
export async function openOfficialKey(
  { folder, keyName }: OfficialFile,
  options: PassphraseOptions,
): Promise<NamedKey> {
  const text = await readKeyFile(folder, keyName);
  const prompt = `Passphrase of the key ${keyName}: `;
  const { use, kid, privateKey } = await openKey(text, await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt }));
  if (use !== 'official' || keyAlgorithm(privateKey) !== 'ES256') {
    throw new AccordError(
      'KEY_UNSUITABLE',
      `${join(folder, keyName)} was made to ${use}; see \`accord official key new\``,
    );
  }
  return { kid, privateKey };
}
