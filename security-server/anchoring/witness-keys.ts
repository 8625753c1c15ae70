// The keys of a department's witness in the server's data folder: two sealed key files, made by `accord server
// init-witness`. They are for cosignatures of the aggregate log and nothing else.
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { type KeyFileCost, openKey, sealKey } from '#certs/key-file.ts';
import { generateKeys, type KeyKind } from '#certs/keys.ts';
import { listKeyFiles, readKeyFile, writeKeyFile } from '#core/key-store.ts';
import { cosignerKey, formatCosignerKey } from '#core/witness/cosignature.ts';
import { AccordError } from '#schemas/problems.ts';
import { FILES } from '#security-server/data-folder.ts';
import type { DepartmentWitnessOptions } from './department-witness.ts';

const KINDS = { witness: 'Ed25519', 'witness-ml-dsa': 'ML-DSA-44' } as const satisfies Record<string, KeyKind>;
const NAMES = Object.keys(KINDS) as (keyof typeof KINDS)[];

/** What a server's witness is called on its cosignature lines. */
export function departmentWitnessName(server: string): string {
  return `accord-witness/${server}`;
}

/**
 * Makes the two key files.
 * @returns the witness's name and its verifier keys, for the part `witnesses` of the configuration
 * @throws FOLDER_IN_USE when there are some, PASSPHRASE_REFUSED
 */
export async function initWitnessKeys(options: {
  folder: string;
  server: string;
  passphrase: string;
  nowMs: number;
  keyFileCost?: KeyFileCost;
}): Promise<{ name: string; verifierKeys: string[] }> {
  const { folder, server, passphrase, nowMs } = options;
  const keys = join(folder, FILES.keys);
  const known = await listKeyFiles(keys);
  const there = NAMES.find((name) => known.includes(name));
  if (there !== undefined) throw new AccordError('FOLDER_IN_USE', there);
  const name = departmentWitnessName(server);
  const verifierKeys: string[] = [];
  for (const file of NAMES) {
    const { privateKey } = generateKeys(KINDS[file]);
    const about = { use: 'witness' as const, createdAtMs: nowMs, label: name };
    await writeKeyFile(keys, file, await sealKey(privateKey, passphrase, about, options.keyFileCost));
    verifierKeys.push(formatCosignerKey(cosignerKey(name, privateKey)));
  }
  return { name, verifierKeys };
}

/** @throws KEY_FILE_* */
export async function openWitnessKeyFiles(
  folder: string,
  passphrase: string,
): Promise<DepartmentWitnessOptions['keys']> {
  const open = async (name: (typeof NAMES)[number]): Promise<KeyObject> =>
    (await openKey(await readKeyFile(join(folder, FILES.keys), name), passphrase)).privateKey;
  return { ed25519: await open('witness'), mlDsa44: await open('witness-ml-dsa') };
}
