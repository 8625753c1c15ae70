// Does a private key belong to this public key? Proved by signing and verifying, as a health probe must: a key that can
// be read may still not work (a hardware token that was pulled, a file that was exchanged).
import { type KeyObject, sign, verify } from 'node:crypto';

/** True when what `privateKey` signs over `bytes` verifies under `publicKey`. EC or Ed25519. */
export function keysMatch(privateKey: KeyObject, publicKey: KeyObject, bytes: Uint8Array): boolean {
  const hash = privateKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  try {
    return verify(hash, bytes, publicKey, sign(hash, bytes, privateKey));
  } catch {
    return false;
  }
}
