// Cosignatures of witnesses (https://c2sp.org/tlog-cosignature): signature lines of a checkpoint that say "I checked that
// this tree contains all I saw of this log". Ed25519 (type 0x04, cosignature/v1) and ML-DSA-44 (type 0x06, subtree/v1).
// The signature in a line is  u64 seconds since 1970, big-endian ‖ the signature of what messageOf makes.
// Notes and keys read here may come from anyone.
import { createHash, type KeyObject } from 'node:crypto';
import { ED25519_KEY_BYTES, rawEd25519PublicKey, signEd25519, verifyEd25519 } from '#certs/ed25519.ts';
import { ML_DSA_44_KEY_BYTES, rawMlDsa44PublicKey, signMlDsa44, verifyMlDsa44 } from '#certs/ml-dsa.ts';
import { parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import { AccordError } from '#schemas/problems.ts';

type CosignatureAlgorithm = 'ed25519' | 'ml-dsa-44';

const ALGORITHMS = {
  ed25519: { type: 0x04, keyBytes: ED25519_KEY_BYTES, sign: signEd25519, verify: verifyEd25519 },
  'ml-dsa-44': { type: 0x06, keyBytes: ML_DSA_44_KEY_BYTES, sign: signMlDsa44, verify: verifyMlDsa44 },
} as const;

const KEY_ID_BYTES = 4;
const TIME_BYTES = 8;
/** Seconds after which a time is no date any more (year 275760). */
const LAST_SECOND = 8_640_000_000_000n;
// No spaces, no plus, printable; short enough for the one length byte of cosigned_message.
const NAME = /^[!-*,-~]{1,255}$/;
const SUBTREE_LABEL = Buffer.from('subtree/v1\n\0', 'latin1');

/** Whose cosignatures count: name, key id, algorithm and raw public key. */
export interface CosignerKey {
  name: string;
  keyId: Buffer;
  algorithm: CosignatureAlgorithm;
  publicKey: Buffer;
}

export interface Cosigner {
  key: CosignerKey;
  privateKey: KeyObject;
}

/** A cosignature that verifies. */
export interface Cosignature {
  name: string;
  algorithm: CosignatureAlgorithm;
  /** When it was made, as the cosigner says: whole seconds, in ms since 1970. */
  timeMs: number;
}

/** @param key Ed25519 or ML-DSA-44, private or public @throws TypeError for other keys and names */
export function cosignerKey(name: string, key: KeyObject): CosignerKey {
  const algorithm = key.asymmetricKeyType as string;
  if (algorithm === 'ed25519') return keyOf(name, 'ed25519', rawEd25519PublicKey(key));
  if (algorithm === 'ml-dsa-44') return keyOf(name, 'ml-dsa-44', rawMlDsa44PublicKey(key));
  throw new TypeError('cosigners have Ed25519 or ML-DSA-44 keys');
}

export function cosigner(name: string, privateKey: KeyObject): Cosigner {
  return { key: cosignerKey(name, privateKey), privateKey };
}

function keyOf(name: string, algorithm: CosignatureAlgorithm, publicKey: Buffer): CosignerKey {
  if (!NAME.test(name)) throw new TypeError('a cosigner is named in printable ASCII without spaces and plus');
  const typed = Buffer.concat([Buffer.from([ALGORITHMS[algorithm].type]), publicKey]);
  const keyId = createHash('sha256').update(`${name}\n`).update(typed).digest().subarray(0, KEY_ID_BYTES);
  return { name, keyId, algorithm, publicKey };
}

/** `<name>+<8 hex digits>+<base64(type ‖ key)>` */
export function formatCosignerKey({ name, keyId, algorithm, publicKey }: CosignerKey): string {
  const typed = Buffer.concat([Buffer.from([ALGORITHMS[algorithm].type]), publicKey]);
  return `${name}+${keyId.toString('hex')}+${typed.toString('base64')}`;
}

/** @throws NOTE_MALFORMED for another form, another type, or an id that is not the key's */
export function parseCosignerKey(text: string): CosignerKey {
  const [, name = '', id = '', encoded = ''] =
    /^([^+]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44,1752})$/.exec(text) ?? [];
  const typed = Buffer.from(encoded, 'base64');
  const algorithm = (Object.keys(ALGORITHMS) as CosignatureAlgorithm[]).find((each) => {
    return ALGORITHMS[each].type === typed[0] && ALGORITHMS[each].keyBytes === typed.length - 1;
  });
  if (!NAME.test(name) || algorithm === undefined || typed.toString('base64') !== encoded) {
    throw new AccordError('NOTE_MALFORMED', "not a cosigner's verifier key NAME+ID+KEY");
  }
  const key = keyOf(name, algorithm, typed.subarray(1));
  if (key.keyId.toString('hex') !== id) throw new AccordError('NOTE_MALFORMED', 'the key id is not of this key');
  return key;
}

/** One signature line with its line feed. @param text a checkpoint's text @param atMs the time it states */
export function cosignatureLine(text: string, { key, privateKey }: Cosigner, atMs: number): string {
  const time = BigInt(Math.floor(atMs / 1000));
  const signature = ALGORITHMS[key.algorithm].sign(privateKey, messageOf(text, key, time));
  return `\u2014 ${key.name} ${Buffer.concat([key.keyId, timeBytes(time), signature]).toString('base64')}\n`;
}

/**
 * The cosignatures of these keys that verify, at most one for each key; everything else in the note is ignored.
 * @param note a signed checkpoint with cosignature lines
 * @throws NOTE_MALFORMED when it is no signed note of a checkpoint
 */
export function goodCosignatures(note: Uint8Array | string, keys: readonly CosignerKey[]): Cosignature[] {
  const { text, signatures } = parseNote(note);
  parseCheckpointText(text);
  return keys.flatMap((key): Cosignature[] => {
    for (const { name, keyId, signature } of signatures) {
      if (name !== key.name || !keyId.equals(key.keyId) || signature.length <= TIME_BYTES) continue;
      const time = signature.readBigUInt64BE(0);
      if (time > LAST_SECOND) continue;
      const isGood = ALGORITHMS[key.algorithm].verify(
        key.publicKey,
        messageOf(text, key, time),
        signature.subarray(TIME_BYTES),
      );
      if (isGood) return [{ name, algorithm: key.algorithm, timeMs: Number(time) * 1000 }];
    }
    return [];
  });
}

function messageOf(text: string, { name, algorithm }: CosignerKey, time: bigint): Buffer {
  if (algorithm === 'ed25519') return Buffer.from(`cosignature/v1\ntime ${time}\n${text}`, 'utf8');
  const { origin, size, root } = parseCheckpointText(text);
  const [start, end] = [timeBytes(0n), timeBytes(BigInt(size))];
  return Buffer.concat([SUBTREE_LABEL, opaque(name), timeBytes(time), opaque(origin), start, end, root]);
}

/** opaque<1..255> of RFC 8446 section 3.4 */
function opaque(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length < 1 || bytes.length > 255) throw new AccordError('NOTE_MALFORMED', 'an origin of 1 to 255 bytes');
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function timeBytes(value: bigint): Buffer {
  const bytes = Buffer.alloc(TIME_BYTES);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
