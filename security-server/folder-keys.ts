// The keys and certificates in a data folder: opened for the running server, read without the passphrase for the
// registry, renewed side by side with those in use, and destroyed when their time is over.
//
// `keys/authentication`, `keys/signing` and their later forms `-2`, `-3`, … are matched with the certificates of the same
// beginning by public key, so a renewed certificate lies beside the old one until it is registered and in use. Encryption
// keys are `encryption-N`; each ends 30 days after it was made. Subject keys are `subject-N` and last for five years, as
// long as the longest receipt; a folder made before there were any has none. Whoever can write here is the server.
import { type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KeyFileCost, type KeyFileHeader, type KeyUse, openKey, readKeyHeader, sealKey } from '#certs/key-file.ts';
import { generateKeys, thumbprint } from '#certs/keys.ts';
import { pemCertificates } from '#certs/pem.ts';
import { storageKeyOf } from '#certs/storage-key.ts';
import { readCertificate } from '#certs/x509-read.ts';
import { destroyKeyFile, listKeyFiles, readKeyFile, writeKeyFile } from '#core/key-store.ts';
import { base64url } from '#schemas/base64url.ts';
import {
  CLOCK_WINDOW_MS,
  ENCRYPTION_KEY_LIFETIME_MS,
  MAX_REGISTERED_KEYS,
  SUBJECT_KEY_LIFETIME_MS,
  TICKET_LIFETIME_MS,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { EncryptionKey, RegisteredServer } from '#schemas/registrations.ts';
import { FILES } from './data-folder.ts';
import type { CertifiedKey, ServerKeys } from './key-ring.ts';
import type { KeySource } from './key-source.ts';
import { currentLogOrigin } from './log-origin.ts';

type Use = 'authentication' | 'signing';
/** Keys without a certificate that others encrypt to; they end by themselves. */
export type BareUse = 'encryption' | 'subject';

interface BareKind {
  /** Its files are named so, with a number. */
  name: RegExp;
  use: KeyUse;
  lifetimeMs: number;
  /** How long after its end something sealed to it in time may still arrive. */
  guardMs: number;
}

const BARE: Readonly<Record<BareUse, BareKind>> = {
  encryption: {
    name: /^encryption-([1-9][0-9]{0,8})$/,
    use: 'encrypt',
    lifetimeMs: ENCRYPTION_KEY_LIFETIME_MS,
    guardMs: TICKET_LIFETIME_MS + CLOCK_WINDOW_MS,
  },
  subject: {
    name: /^subject-([1-9][0-9]{0,8})$/,
    use: 'subject',
    lifetimeMs: SUBJECT_KEY_LIFETIME_MS,
    guardMs: CLOCK_WINDOW_MS,
  },
};

interface Named extends KeyFileHeader {
  name: string;
}

/**
 * Reads and opens the keys of a folder, and reads them again. Opening a key file is dear on purpose, so a file that says
 * what it said is not opened again; nothing is held here that the last reading did not find.
 */
export function folderKeySource(folder: string, passphrase: string): KeySource {
  let held = new Map<string, KeyObject>();
  return {
    open: async () => {
      const found = new Map<string, KeyObject>();
      const keys = await openServerKeys(folder, async (bytes) => {
        const text = bytes.toString('latin1');
        const key = found.get(text) ?? held.get(text) ?? (await openKey(bytes, passphrase)).privateKey;
        found.set(text, key);
        return key;
      });
      held = found;
      return keys;
    },
    destroyEnded: async (nowMs) => {
      const destroyed = await destroyEndedKeys(folder, nowMs);
      if (destroyed.length > 0) held.clear();
      return destroyed;
    },
  };
}

/**
 * Opens all keys of a folder.
 * @param openFile the private key in a key file's bytes
 * @throws KEY_FILE_*, CERTIFICATE_MISSING, CERTIFICATE_KEY_MISMATCH
 */
async function openServerKeys(folder: string, openFile: (bytes: Buffer) => Promise<KeyObject>): Promise<ServerKeys> {
  const keys = join(folder, FILES.keys);
  const open = async (name: string) => openFile(await readKeyFile(keys, name));
  const certified = async (use: Use): Promise<[CertifiedKey, ...CertifiedKey[]]> => {
    const found = await certificatesOf(folder, use);
    const opened: CertifiedKey[] = [];
    for (const { certPem, keyName } of found) opened.push({ certPem, key: await open(keyName) });
    const [first, ...rest] = opened;
    if (first === undefined) throw new AccordError('CERTIFICATE_MISSING', certificateFile(folder, use));
    return [first, ...rest];
  };
  const encryption: ServerKeys['encryption'] = new Map(
    await Promise.all(
      (await bareKeysOf(folder, 'encryption')).map(async ({ kid, name }) => [kid, await open(name)] as const),
    ),
  );
  const subject = await Promise.all(
    (await bareKeysOf(folder, 'subject')).map(async ({ kid, name }) => ({ kid, privateKey: await open(name) })),
  );
  const [authentication, ...moreAuthentication] = await certified('authentication');
  const [signing, ...moreSigning] = await certified('signing');
  return {
    authentication,
    signing,
    renewed: { authentication: moreAuthentication, signing: moreSigning },
    encryption,
    subject,
    checkpoint: await open('checkpoint'),
    storageKey: storageKeyOf(await open('storage')),
  };
}

/**
 * What the registry is told of this server, from the public parts of its keys; no passphrase is needed.
 * @throws CERTIFICATE_MISSING, CERTIFICATE_KEY_MISMATCH, KEY_UNUSABLE, KEY_FILE_*
 */
export async function readRegistration(
  folder: string,
  id: string,
  nowMs: number,
): Promise<Omit<RegisteredServer, 'code' | 'address' | 'subsystems'>> {
  const leaves = async (use: Use): Promise<string[]> => {
    const found = await certificatesOf(folder, use);
    if (found.length === 0) throw new AccordError('CERTIFICATE_MISSING', certificateFile(folder, use));
    const valid = found.filter(({ notAfterMs }) => notAfterMs > nowMs);
    return (valid.length === 0 ? found : valid).slice(-MAX_REGISTERED_KEYS).map(({ der }) => base64url(der));
  };
  const live = async (use: BareUse) => {
    const keys = (await bareKeysOf(folder, use)).map((key) => publicPart(key, use));
    return keys.filter(({ notAfterMs }) => notAfterMs > nowMs).slice(-MAX_REGISTERED_KEYS);
  };
  const encryptionKeys = await live('encryption');
  if (encryptionKeys.length === 0) {
    throw new AccordError('KEY_UNUSABLE', 'no encryption key; make one with `accord server rotate-encryption-key`');
  }
  const { publicJwk } = readKeyHeader(await readKeyFile(join(folder, FILES.keys), 'checkpoint'));
  return {
    authenticationCertificates: await leaves('authentication'),
    signingCertificates: await leaves('signing'),
    encryptionKeys,
    subjectKeys: await live('subject'),
    log: { origin: currentLogOrigin(id, folder), key: publicJwk.x ?? '' },
  };
}

/** Makes the next key of a kind in a folder. @returns its public part. @throws PASSPHRASE_REFUSED, KEY_FILE_* */
export async function makeBareKey(
  folder: string,
  use: BareUse,
  label: string,
  passphrase: string,
  nowMs: number,
  cost?: KeyFileCost,
): Promise<EncryptionKey> {
  const keys = join(folder, FILES.keys);
  // The passphrase has to be that of the other keys, or the server would not start again.
  await openKey(await readKeyFile(keys, 'checkpoint'), passphrase);
  const numbers = (await listKeyFiles(keys)).map((name) => Number(BARE[use].name.exec(name)?.[1] ?? 0));
  const name = `${use}-${Math.max(0, ...numbers) + 1}`;
  const { privateKey } = generateKeys('P-256');
  const text = await sealKey(privateKey, passphrase, { use: BARE[use].use, createdAtMs: nowMs, label }, cost);
  await writeKeyFile(keys, name, text);
  return publicPart({ ...readKeyHeader(text), name }, use);
}

/**
 * Destroys the private keys that nothing can be sealed to any more: past their end, the lifetime of the last ticket and
 * the window of the clocks. @returns their kids
 */
async function destroyEndedKeys(folder: string, nowMs: number): Promise<string[]> {
  const destroyed: string[] = [];
  for (const use of ['encryption', 'subject'] as const) {
    const { lifetimeMs, guardMs } = BARE[use];
    for (const { name, kid, createdAtMs } of await bareKeysOf(folder, use)) {
      if (createdAtMs + lifetimeMs + guardMs >= nowMs) continue;
      await destroyKeyFile(join(folder, FILES.keys), name);
      destroyed.push(kid);
    }
  }
  return destroyed;
}

function publicPart({ kid, publicJwk, createdAtMs }: Named, use: BareUse): EncryptionKey {
  return { kid, jwk: publicJwk as EncryptionKey['jwk'], notAfterMs: createdAtMs + BARE[use].lifetimeMs };
}

/** Oldest first. */
async function bareKeysOf(folder: string, bareUse: BareUse): Promise<Named[]> {
  const kind = BARE[bareUse];
  const found = (await headersOf(folder)).filter(({ name, use }) => kind.name.test(name) && use === kind.use);
  return found.sort((a, b) => a.createdAtMs - b.createdAtMs);
}

async function headersOf(folder: string): Promise<Named[]> {
  const keys = join(folder, FILES.keys);
  const names = await listKeyFiles(keys);
  return Promise.all(names.map(async (name) => ({ name, ...readKeyHeader(await readKeyFile(keys, name)) })));
}

interface FoundCertificate {
  certPem: string;
  der: Buffer;
  keyName: string;
  notAfterMs: number;
}

/** The certificates of one use with their keys, the first one first. @throws CERTIFICATE_KEY_MISMATCH, PEM_INVALID */
async function certificatesOf(folder: string, use: Use): Promise<FoundCertificate[]> {
  const place = join(folder, FILES.certificates);
  const form = new RegExp(`^${use}(?:-([1-9][0-9]{0,8}))?\\.pem$`);
  const files = (existsSync(place) ? readdirSync(place) : []).flatMap((file) => {
    const match = form.exec(file);
    return match === null ? [] : [{ file, number: Number(match[1] ?? 1) }];
  });
  const ofUse = (await headersOf(folder)).filter(({ name }) => name === use || name.startsWith(`${use}-`));
  const byKid = new Map(ofUse.map(({ name, kid }) => [kid, name]));
  return files
    .sort((a, b) => a.number - b.number)
    .map(({ file }) => {
      const certPem = readFileSync(join(place, file), 'utf8');
      const der = pemCertificates(certPem)[0] as Buffer;
      const keyName = byKid.get(thumbprint(new X509Certificate(der).publicKey));
      if (keyName === undefined) throw new AccordError('CERTIFICATE_KEY_MISMATCH', file);
      return { certPem, der, keyName, notAfterMs: readCertificate(der).notAfterSeconds * 1000 };
    });
}

/**
 * The newest signing certificate that is valid, and the name of its key file.
 * @throws CERTIFICATE_MISSING, CERTIFICATE_KEY_MISMATCH, KEY_FILE_*
 */
export async function signingKeyOf(folder: string, nowMs: number): Promise<{ keyName: string; der: Buffer }> {
  const valid = (await certificatesOf(folder, 'signing')).filter(({ notAfterMs }) => notAfterMs > nowMs);
  const newest = valid.at(-1);
  if (newest === undefined) throw new AccordError('CERTIFICATE_MISSING', certificateFile(folder, 'signing'));
  return newest;
}

function certificateFile(folder: string, use: Use): string {
  return join(folder, FILES.certificates, `${use}.pem`);
}
