// The storage key wraps the message log's record keys at rest. It lives in a key file like every other key: an X25519
// private key nobody ever agrees with, whose 32 secret bytes are expanded (RFC 5869) into the symmetric key.
import { hkdfSync, type KeyObject } from 'node:crypto';

const INFO = 'accord-storage/1';

/** 32 bytes. @throws TypeError for a key that is not an X25519 private key */
export function storageKeyOf(privateKey: KeyObject): Buffer {
  if (privateKey.asymmetricKeyType !== 'x25519') throw new TypeError('a storage key is an X25519 private key');
  const { d } = privateKey.export({ format: 'jwk' });
  return Buffer.from(hkdfSync('sha256', Buffer.from(d ?? '', 'base64url'), Buffer.alloc(0), INFO, 32));
}

/** A key for another use at rest, 32 bytes: no two uses share one, and none tells anything about the others. */
export function storageSubkeyOf(storageKey: Buffer, use: string): Buffer {
  return Buffer.from(hkdfSync('sha256', storageKey, Buffer.alloc(0), `${INFO} ${use}`, 32));
}
