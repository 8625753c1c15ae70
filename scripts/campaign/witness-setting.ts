// What campaign `witness` works on: logs that all have the same entries under names and keys of their own, the keys of the
// two witnesses and of the aggregate log, and the files that the processes are started with.
import type { KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import { generateKeys } from '#certs/keys.ts';
import { consistencyProof, leafHash, nodeHash } from '#certs/merkle.ts';
import { checkpointText, formatVerifierKey, type NoteVerifier, noteVerifier, signNote } from '#core/log/signed-note.ts';
import { type CosignerKey, cosignerKey, formatCosignerKey } from '#core/witness/cosignature.ts';
import { base64url } from '#schemas/base64url.ts';
import type { WitnessesPart } from '#schemas/configuration.ts';
import type { WitnessProcessFile } from './witness-process.ts';

export const INSTANCE = 'XC';

export interface CampaignLog {
  origin: string;
  key: KeyObject;
  verifier: NoteVerifier;
  /** The largest size for which a cosignature came. */
  cosigned: number;
}

/** The entries of every log, hashed once, and of a history that parts from them. */
export class SharedTree {
  readonly #levels: Buffer[][];

  constructor(size: number, partsAt = size) {
    let level = Array.from({ length: size }, (_, at) => leafHash(at < partsAt ? `entry ${at}` : `other ${at}`));
    this.#levels = [level];
    while (level.length > 1) {
      const above: Buffer[] = [];
      for (let at = 0; at + 1 < level.length; at += 2) {
        above.push(nodeHash(level[at] ?? Buffer.alloc(0), level[at + 1] ?? Buffer.alloc(0)));
      }
      this.#levels.push(above);
      level = above;
    }
  }

  readonly #subtree = (height: number, index: number): Buffer => {
    const hash = this.#levels[height]?.[index];
    if (hash === undefined) throw new RangeError(`${height}/${index}`);
    return hash;
  };

  proof(from: number, to: number): Buffer[] {
    return consistencyProof(from, to, this.#subtree);
  }

  root(size: number): Buffer {
    let hash: Buffer | undefined;
    for (let [end, height] = [size, 0]; end > 0; end = Math.floor(end / 2), height++) {
      if (end % 2 === 0) continue;
      const left = this.#subtree(height, end - 1);
      hash = hash === undefined ? left : nodeHash(left, hash);
    }
    if (hash === undefined) throw new RangeError('no entries');
    return hash;
  }
}

export function makeLogs(count: number): CampaignLog[] {
  return Array.from({ length: count }, (_, at) => {
    const origin = `accord/${INSTANCE}/GOV/${String(1_000 + Math.floor(at / 32))}/SS${at % 32}`;
    const key = generateKeys('Ed25519').privateKey;
    return { origin, key, verifier: noteVerifier(origin, rawEd25519PublicKey(key)), cosigned: 0 };
  });
}

/** The log's signed checkpoint. */
export function noteOf({ origin, key, verifier }: CampaignLog, size: number, root: Buffer): string {
  return signNote(checkpointText({ origin, size, root }), verifier, (bytes) => signEd25519(key, bytes));
}

interface WitnessIdentity {
  name: string;
  pems: string[];
  keys: CosignerKey[];
}

export interface WitnessSetting {
  folder: string;
  logs: CampaignLog[];
  registry: WitnessIdentity;
  department: WitnessIdentity;
  aggregate: NoteVerifier;
  aggregatePem: string;
}

export function makeSetting(folder: string, logs: CampaignLog[]): WitnessSetting {
  const key = generateKeys('Ed25519').privateKey;
  return {
    folder,
    logs,
    registry: identity('registry.example/witness'),
    department: identity('department.example/witness'),
    aggregate: noteVerifier(`accord-aggregate/${INSTANCE}`, rawEd25519PublicKey(key)),
    aggregatePem: pemOf(key),
  };
}

function identity(name: string): WitnessIdentity {
  const keys = (['Ed25519', 'ML-DSA-44'] as const).map((kind) => generateKeys(kind).privateKey);
  return { name, pems: keys.map(pemOf), keys: keys.map((key) => cosignerKey(name, key)) };
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Writes the file of one process. @returns its path */
export function writeProcessFile(
  setting: WitnessSetting,
  role: 'registry' | 'department',
  ports: { registry: number; department: number },
  database: string,
) {
  const { name, pems } = setting[role];
  const file: WitnessProcessFile = {
    ...{ role, name, database, instance: INSTANCE },
    cosigners: pems,
    aggregateKey: setting.aggregatePem,
    aggregate: { verifierKey: formatVerifierKey(setting.aggregate), url: `http://127.0.0.1:${ports.registry}` },
    port: ports[role],
    logs: setting.logs.map(({ origin, verifier }) => ({ origin, key: base64url(verifier.publicKey) })),
  };
  const path = join(setting.folder, `${role}.json`);
  writeFileSync(path, JSON.stringify(file), { mode: 0o600 });
  return path;
}

/** The configuration's part: one department has to cosign. */
export function partOf(
  { registry, department, aggregate }: WitnessSetting,
  url: string,
  departmentUrl: string,
): WitnessesPart {
  const named = ({ name, keys }: WitnessIdentity) => ({ name, verifierKeys: keys.map(formatCosignerKey) });
  return {
    aggregate: { origin: aggregate.name, verifierKey: formatVerifierKey(aggregate), url },
    registryWitness: named(registry),
    witnesses: [{ ...named(department), url: departmentUrl }],
    quorum: 1,
  };
}
