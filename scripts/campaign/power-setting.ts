// What the processes of campaign `power` share: the keys, the places in the folder, and the words in which the child says
// what it promised.
import { createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ArchiveKey, archiveKeyOf } from '#certs/archive-cipher.ts';
import { rawEd25519PublicKey } from '#certs/ed25519.ts';
import { generateKeys } from '#certs/keys.ts';
import type { ArchiveDestination } from '#core/archive/destination.ts';
import { folderDestination } from '#core/archive/folder-destination.ts';
import { systemClock } from '#core/clock.ts';
import type { MessageLogOptions } from '#core/log/message-log.ts';
import { formatVerifierKey, noteVerifier } from '#core/log/signed-note.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { MADE_SERVER } from '#scripts/log/made-log.ts';
import { type CampaignLog, SharedTree } from './witness-setting.ts';

/** In the folder on the disk that fails; the layout of a server's data folder, and a witness's file beside. */
export const PLACES = {
  log: 'log',
  recordKeys: 'record-keys',
  checkpointFile: 'checkpoint.txt',
  witness: 'witness.db',
  state: 'state.db',
  archive: 'archive',
  plan: 'archive-plan.json',
} as const;

/** What the child is started with. */
export interface PowerFile {
  folder: string;
  checkpointPem: string;
  witnessedPem: string;
  cosignerPem: string;
  archivePem: string;
  /** base64url. */
  storageKey: string;
  /** Null: until the disk fails. */
  steps: number | null;
  /** Put in by the campaign's own test: records count as durable before they are written. */
  early: boolean;
}

export type Promised =
  | { kind: 'ready' }
  | { kind: 'log'; id: string; seq: number | null; leaf: string | null; sealed: boolean }
  | { kind: 'checkpoint'; size: number }
  | { kind: 'witness'; size: number }
  | { kind: 'evidence'; jti: string }
  | { kind: 'uses'; count: number }
  | { kind: 'object'; name: string; hash: string }
  | { kind: 'archived'; to: number }
  /** No promises: what was refused, and how it ended. */
  | { kind: 'refused'; what: string; code: string }
  | { kind: 'failed'; code: string }
  | { kind: 'end'; ok: boolean };

const WITNESSED = 'accord/DEV/GOV/3003/ss3';
const TREE = 8_192;

export function makePowerFile(folder: string, options: Pick<PowerFile, 'steps' | 'early'>): PowerFile {
  const pem = (kind: 'Ed25519' | 'X25519') =>
    generateKeys(kind).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return {
    folder,
    checkpointPem: pem('Ed25519'),
    witnessedPem: pem('Ed25519'),
    cosignerPem: pem('Ed25519'),
    archivePem: pem('X25519'),
    storageKey: randomBytes(32).toString('base64url'),
    ...options,
  };
}

export function writePowerFile(path: string, file: PowerFile): void {
  writeFileSync(path, JSON.stringify(file), { mode: 0o600 });
}

export function logOptionsOf({ folder, checkpointPem, storageKey }: PowerFile): MessageLogOptions {
  return {
    folder: join(folder, PLACES.log),
    keyFolder: join(folder, PLACES.recordKeys),
    checkpointFile: join(folder, PLACES.checkpointFile),
    origin: `accord/${MADE_SERVER}`,
    checkpointKey: createPrivateKey(checkpointPem),
    storageKey: fromBase64url(storageKey),
    clock: systemClock,
  };
}

export function verifierKeyOf({ checkpointPem }: PowerFile): string {
  const key = rawEd25519PublicKey(createPrivateKey(checkpointPem));
  return formatVerifierKey(noteVerifier(`accord/${MADE_SERVER}`, key));
}

export function archiveOf({ folder, archivePem }: PowerFile): { destination: ArchiveDestination; key: ArchiveKey } {
  const key = archiveKeyOf(createPrivateKey(archivePem));
  return { destination: folderDestination(join(folder, PLACES.archive)), key };
}

/** The log that the witness stands for: the same tree in every process. */
export function witnessedLog({ witnessedPem, cosignerPem }: Pick<PowerFile, 'witnessedPem' | 'cosignerPem'>): {
  log: CampaignLog;
  tree: SharedTree;
  cosignerKey: KeyObject;
} {
  const key = createPrivateKey(witnessedPem);
  const verifier = noteVerifier(WITNESSED, rawEd25519PublicKey(key));
  const log = { origin: WITNESSED, key, verifier, cosigned: 0 };
  return { log, tree: new SharedTree(TREE), cosignerKey: createPrivateKey(cosignerPem) };
}
