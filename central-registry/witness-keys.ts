// The keys of the registry's witness and of the aggregate log: three sealed key files in the registry's folder, made by
// `accord registry init-witness`. They are online keys, as that of the freshness is: none of them can change what is in
// force, and a witness that lies alone is found out by the others.

import type { KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KeyUse, openKey } from '#certs/key-file.ts';
import type { KeyKind } from '#certs/keys.ts';
import { AccordError } from '#schemas/problems.ts';

export interface WitnessKeys {
  /** What the witness is called on its cosignature lines. */
  name: string;
  /** Private: Ed25519 and, beside it, ML-DSA-44. */
  cosigners: readonly KeyObject[];
  /** Ed25519, private: signs the aggregate log's checkpoints. */
  aggregate: KeyObject;
  /** What takes over when the configuration names it. */
  aggregateNext?: KeyObject;
  /** The aggregate log's origin; its first one unless said. */
  aggregateOrigin?: string;
}

/** The key files by name (`NAME.key.json`), in the order of the lines that they make. */
export const WITNESS_KEY_FILES = {
  witness: { kind: 'Ed25519', use: 'witness' },
  'witness-ml-dsa': { kind: 'ML-DSA-44', use: 'witness' },
  aggregate: { kind: 'Ed25519', use: 'checkpoint' },
} as const satisfies Record<string, { kind: KeyKind; use: KeyUse }>;

/** Beside them during a change of the aggregate log's key: what takes over. */
export const NEXT_AGGREGATE_KEY = 'aggregate-next';

/** The first aggregate log of an instance, or the next where the one before was lost; the key file's label says which. */
export function aggregateOrigin(instance: string, number = 1): string {
  return `accord-aggregate/${instance}${number === 1 ? '' : `/${number}`}`;
}

export function witnessName(instance: string): string {
  return `accord-witness/${instance}`;
}

/**
 * Undefined when the folder has none of the files.
 * @throws KEY_FILE_NOT_FOUND when some of them are missing, KEY_FILE_*
 */
export async function openWitnessKeys(
  folder: string,
  instance: string,
  passphrase: string,
): Promise<WitnessKeys | undefined> {
  const names = Object.keys(WITNESS_KEY_FILES) as (keyof typeof WITNESS_KEY_FILES)[];
  const missing = names.filter((name) => !existsSync(fileOf(folder, name)));
  if (missing.length === names.length) return undefined;
  if (missing.length > 0) throw new AccordError('KEY_FILE_NOT_FOUND', missing.join(', '));
  const [witness, second, aggregate] = await Promise.all(
    names.map(async (name) => {
      const { use, label = '', privateKey } = await openKey(readFileSync(fileOf(folder, name)), passphrase);
      if (use !== WITNESS_KEY_FILES[name].use) throw new AccordError('KEY_UNSUITABLE', `${name} is for ${use}`);
      return { privateKey, label };
    }),
  );
  if (!witness || !second || !aggregate) throw new TypeError('three files');
  const first = aggregateOrigin(instance);
  if (aggregate.label !== first && !aggregate.label.startsWith(`${first}/`)) {
    throw new AccordError('KEY_UNSUITABLE', `the aggregate log's key is for ${aggregate.label}`);
  }
  return {
    ...(await nextKey(folder, passphrase, aggregate.label)),
    name: witnessName(instance),
    cosigners: [witness.privateKey, second.privateKey],
    aggregate: aggregate.privateKey,
    aggregateOrigin: aggregate.label,
  };
}

/** @throws KEY_UNSUITABLE for a key of another log */
async function nextKey(folder: string, passphrase: string, origin: string): Promise<{ aggregateNext?: KeyObject }> {
  const file = fileOf(folder, NEXT_AGGREGATE_KEY);
  if (!existsSync(file)) return {};
  const { use, label, privateKey } = await openKey(readFileSync(file), passphrase);
  if (use !== WITNESS_KEY_FILES.aggregate.use || label !== origin) {
    throw new AccordError('KEY_UNSUITABLE', `${NEXT_AGGREGATE_KEY} is for ${label ?? use}`);
  }
  return { aggregateNext: privateKey };
}

function fileOf(folder: string, name: string): string {
  return join(folder, `${name}.key.json`);
}
