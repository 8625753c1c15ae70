// Encrypted key files: one private key as PKCS#8 under AES-256-GCM, with the key of that derived from a passphrase by
// argon2id (RFC 9106). Node's own encrypted PKCS#8 spends 2,048 rounds on a guess; this spends 64 MiB and three passes.
// Whoever can write to the folder controls a file's text: its cost is bounded before it is paid, everything beside the
// ciphertext is authenticated with it, and the public key must belong to the private one.
import { argon2, createCipheriv, createDecipheriv, createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { base64url, fromBase64url } from '#schemas/base64url.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { exportPublicJwk, type PublicJwk, publicKeyOf, thumbprint } from './keys.ts';

export interface KeyFileCost {
  memoryKib: number;
  passes: number;
  lanes: number;
}

export const KEY_USES = [
  'sign',
  'authenticate',
  'encrypt',
  'subject',
  'checkpoint',
  'witness',
  'storage',
  'archive',
  'approve',
  'official',
  'ca',
  'ocsp',
] as const;
export type KeyUse = (typeof KEY_USES)[number];

export interface KeyFileMeta {
  /** What the key is for; authenticated with the rest, so that a file cannot be passed off as another's. */
  use: KeyUse;
  createdAtMs: number;
  /** Free text for people, at most 200 characters; never a secret, it is stored in clear. */
  label?: string;
}

export interface KeyFileHeader extends KeyFileMeta {
  kid: string;
  publicJwk: PublicJwk;
}

export interface OpenedKey extends KeyFileHeader {
  privateKey: KeyObject;
  publicKey: KeyObject;
}

/** RFC 9106 section 4, second recommended option: 64 MiB, 3 passes, 4 lanes. */
const DEFAULT_KEY_FILE_COST: KeyFileCost = { memoryKib: 64 * 1024, passes: 3, lanes: 4 };
const COST_BOUNDS: Readonly<Record<keyof KeyFileCost, readonly [min: number, max: number]>> = {
  memoryKib: [8 * 1024, 256 * 1024],
  passes: [1, 10],
  lanes: [1, 8],
};
const KIND = 'accord-key';
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const MAX_KEY_FILE_BYTES = 16 * 1024;
const MIN_PASSPHRASE_CHARACTERS = 12;
const MAX_PASSPHRASE_BYTES = 1024;
const MEMBERS = 'ciphertext,createdAtMs,kdf,kid,kind,label,nonce,publicJwk,salt,use,v';

const deriveArgon2 = promisify(argon2);

/** Everything but the ciphertext, in the order in which it is authenticated. */
interface Envelope extends KeyFileHeader {
  label: string;
  cost: KeyFileCost;
  salt: Buffer;
  nonce: Buffer;
}

/**
 * Seals a private key. The text is JSON, one object over several lines.
 * @param passphrase at least 12 characters, used in its NFC form as UTF-8
 * @throws PASSPHRASE_REFUSED; TypeError when the key is not private or cost or meta are out of bounds
 */
export async function sealKey(
  privateKey: KeyObject,
  passphrase: string,
  meta: KeyFileMeta,
  cost: KeyFileCost = DEFAULT_KEY_FILE_COST,
): Promise<string> {
  if (privateKey.type !== 'private') throw new TypeError('key files hold private keys');
  const envelope: Envelope = {
    ...meta,
    label: meta.label ?? '',
    kid: thumbprint(privateKey),
    publicJwk: exportPublicJwk(privateKey),
    cost,
    salt: randomBytes(SALT_BYTES),
    nonce: randomBytes(NONCE_BYTES),
  };
  if (!isCost(cost) || !isMeta(envelope)) throw new TypeError('cost or meta out of bounds');
  const key = await deriveKey(passphraseBytes(passphrase), envelope);
  const header = headerOf(envelope);
  const cipher = createCipheriv('aes-256-gcm', key, envelope.nonce).setAAD(Buffer.from(JSON.stringify(header)));
  const plaintext = privateKey.export({ format: 'der', type: 'pkcs8' });
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  plaintext.fill(0);
  key.fill(0);
  return `${JSON.stringify({ ...header, ciphertext: base64url(sealed) }, null, 2)}\n`;
}

/**
 * Opens a key file.
 * @throws KEY_FILE_MALFORMED, KEY_FILE_PASSPHRASE_WRONG (also for an altered file: the two cannot be told apart)
 */
export async function openKey(text: string | Uint8Array, passphrase: string): Promise<OpenedKey> {
  const { envelope, sealed } = readFile(text);
  const key = await deriveKey(Buffer.from(passphrase.normalize('NFC')), envelope);
  const decipher = createDecipheriv('aes-256-gcm', key, envelope.nonce)
    .setAAD(Buffer.from(JSON.stringify(headerOf(envelope))))
    .setAuthTag(sealed.subarray(-TAG_BYTES));
  let plaintext: Buffer;
  try {
    plaintext = Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
  } catch (error) {
    throw new AccordError('KEY_FILE_PASSPHRASE_WRONG', '', { cause: error });
  } finally {
    key.fill(0);
  }
  const privateKey = readPrivateKey(plaintext);
  plaintext.fill(0);
  if (thumbprint(privateKey) !== envelope.kid) throw malformed('the public key is not this private key’s');
  return { ...publicPart(envelope), privateKey, publicKey: publicKeyOf(privateKey) };
}

/** Reads what a key file says of its key, without the passphrase and so without proof. @throws KEY_FILE_MALFORMED */
export function readKeyHeader(text: string | Uint8Array): KeyFileHeader {
  return publicPart(readFile(text).envelope);
}

function publicPart({ use, createdAtMs, label, kid, publicJwk }: Envelope): KeyFileHeader {
  return { use, createdAtMs, label, kid, publicJwk };
}

function headerOf({ use, createdAtMs, label, kid, publicJwk, cost, salt, nonce }: Envelope): JsonObject {
  const { memoryKib, passes, lanes } = cost;
  const kdf = { name: 'argon2id', memoryKib, passes, lanes };
  const opened = { v: 1, kind: KIND, use, label, createdAtMs, kid, publicJwk: { ...publicJwk } };
  return { ...opened, kdf, salt: base64url(salt), nonce: base64url(nonce) };
}

function readFile(text: string | Uint8Array): { envelope: Envelope; sealed: Buffer } {
  const file = strict(() => parseJsonObject(text, { maxBytes: MAX_KEY_FILE_BYTES, maxDepth: 2, maxValues: 64 }));
  if (Object.keys(file).sort().join() !== MEMBERS || file['v'] !== 1 || file['kind'] !== KIND) {
    throw malformed('not a key file of version 1');
  }
  const envelope = {
    use: file['use'],
    createdAtMs: file['createdAtMs'],
    label: file['label'],
    kid: file['kid'],
    publicJwk: file['publicJwk'],
    cost: readCost(file['kdf']),
    salt: bytesOf(file['salt'], SALT_BYTES),
    nonce: bytesOf(file['nonce'], NONCE_BYTES),
  };
  if (!isEnvelope(envelope)) throw malformed('members');
  const sealed = strict(() => fromBase64url(String(file['ciphertext'])));
  if (sealed.length <= TAG_BYTES) throw malformed('ciphertext');
  return { envelope, sealed };
}

function readCost(kdf: JsonValue | undefined): KeyFileCost {
  if (!isJsonObject(kdf) || Object.keys(kdf).sort().join() !== 'lanes,memoryKib,name,passes') throw malformed('kdf');
  const { name, memoryKib, passes, lanes } = kdf;
  const cost = { memoryKib, passes, lanes };
  if (name !== 'argon2id' || !isCost(cost)) throw malformed('the cost of the passphrase is out of bounds');
  return cost;
}

function isCost(cost: Record<keyof KeyFileCost, unknown>): cost is KeyFileCost {
  const names = ['memoryKib', 'passes', 'lanes'] as const;
  return names.every((name) => {
    const [min, max] = COST_BOUNDS[name];
    const value = cost[name];
    return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
  });
}

function isMeta({ use, createdAtMs, label }: Record<'use' | 'createdAtMs' | 'label', unknown>): boolean {
  if (!KEY_USES.some((known) => known === use)) return false;
  if (typeof createdAtMs !== 'number' || !Number.isSafeInteger(createdAtMs)) return false;
  return typeof label === 'string' && label.length <= 200;
}

function isEnvelope(value: Record<keyof Envelope, unknown>): value is Envelope {
  return isMeta(value) && typeof value.kid === 'string' && isJsonObject(value.publicJwk as JsonValue);
}

function bytesOf(value: JsonValue | undefined, length: number): Buffer {
  const bytes = strict(() => fromBase64url(String(value)));
  if (bytes.length !== length) throw malformed('salt or nonce');
  return bytes;
}

function readPrivateKey(pkcs8: Buffer): KeyObject {
  return strict(() => createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }));
}

async function deriveKey(passphrase: Buffer, { cost, salt }: Envelope): Promise<Buffer> {
  const { memoryKib: memory, passes, lanes: parallelism } = cost;
  return await deriveArgon2('argon2id', {
    message: passphrase,
    nonce: salt,
    memory,
    passes,
    parallelism,
    tagLength: 32,
  });
}

function passphraseBytes(passphrase: string): Buffer {
  const normal = passphrase.normalize('NFC');
  const bytes = Buffer.from(normal);
  if ([...normal].length < MIN_PASSPHRASE_CHARACTERS || bytes.length > MAX_PASSPHRASE_BYTES) {
    throw new AccordError('PASSPHRASE_REFUSED', `${MIN_PASSPHRASE_CHARACTERS} characters or more`);
  }
  return bytes;
}

function strict<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new AccordError('KEY_FILE_MALFORMED', '', { cause: error });
  }
}

function malformed(what: string): AccordError {
  return new AccordError('KEY_FILE_MALFORMED', what);
}
