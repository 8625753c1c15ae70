// The keys of a running server, and which certificate of each kind is in use. Keys and certificates can be read in again
// while the server runs (POST /keys/reload); what is registered in the current configuration decides what is used, so
// that nothing is ever signed with a certificate that no peer can know.
//
// A certificate that was registered just now is used only after an overlap: a peer may work with the configuration before
// it for as long as its freshness holds. A server that lost its registration as a whole goes on with the certificate it
// used last: no peer believes it, but what ran already gets its signed record, to be settled when it is back. The
// administrator controls the keys, two approvers what is registered.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { keyAlgorithm, publicKeyOf, thumbprint } from '#certs/keys.ts';
import { certificateHash } from '#certs/path.ts';
import { pemCertificates } from '#certs/pem.ts';
import type { NamedKey } from '#certs/registered-key.ts';
import { readCertificate } from '#certs/x509-read.ts';
import type { Clock } from '#core/clock.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { TlsIdentity } from '#core/http/mtls.ts';
import { FRESHNESS_LIFETIME_MS } from '#schemas/configuration.ts';
import { AccordError } from '#schemas/problems.ts';
import type { SigningKey } from './envelope/signer.ts';

/** PEM chain (leaf first) and its private key. */
export interface CertifiedKey {
  certPem: string;
  key: KeyObject;
}

export interface ServerKeys {
  /** What this server shows to peers and information systems. */
  authentication: TlsIdentity;
  signing: CertifiedKey;
  /** Further certificates of a renewal, used when they are registered. */
  renewed?: { authentication: readonly CertifiedKey[]; signing: readonly CertifiedKey[] };
  /** Private encryption keys by kid; the newest registered one is what peers wrap tickets to. */
  encryption: ReadonlyMap<string, KeyObject>;
  /** Open what receipts say of a person to this provider alone; none in a folder that is older than consent. */
  subject: readonly NamedKey[];
  /** Ed25519; signs the log's checkpoints. */
  checkpoint: KeyObject;
  /** 32 bytes; wraps the record keys. */
  storageKey: Buffer;
}

/** One certificate and whether it is the one in use. */
interface HeldCertificate {
  hash: string;
  notAfterMs: number;
  registered: boolean;
  inUse: boolean;
}

export interface KeyRing {
  /** The TLS identity to show now: the registered one if there is any. The same object until it changes. */
  authentication(): TlsIdentity;
  /** @throws KEY_UNUSABLE when this server is registered, but with none of its valid signing certificates */
  signing(): SigningKey;
  encryptionKey(kid: string): KeyObject | undefined;
  /** For `openSubject`. */
  subjectKeys(): readonly NamedKey[];
  held(): { authentication: HeldCertificate[]; signing: HeldCertificate[]; encryption: string[]; subject: string[] };
  /** Takes over keys that were read in again. Checkpoint and storage key stay. @throws CERTIFICATE_KEY_MISMATCH */
  replace(keys: ServerKeys): void;
}

interface Candidate extends CertifiedKey {
  hash: string;
  notBeforeMs: number;
  notAfterMs: number;
}

type Use = 'authentication' | 'signing';

/** @param registered this server as the current configuration names it */
export function openKeyRing(first: ServerKeys, registered: () => ServerEntry | undefined, clock: Clock): KeyRing {
  let { encryption, subject } = first;
  let candidates = candidatesOf(first);
  /** Since when this process has seen a certificate registered. */
  const since = new Map<string, number>();
  for (const hash of registeredHashes()) since.set(hash, Number.NEGATIVE_INFINITY);

  const last: Partial<Record<Use, Candidate>> = {};

  function registeredHashes(entry = registered()): Set<string> {
    return new Set(
      [...(entry?.authenticationCertificates ?? []), ...(entry?.signingCertificates ?? [])].map(({ hash }) => hash),
    );
  }

  /** The newest that is registered, valid and known to the peers by now; else the one registered longest. */
  function choose(use: Use): Candidate | undefined {
    const nowMs = clock.nowMs();
    const entry = registered();
    if (entry === undefined) return last[use] ?? candidates[use].find((one) => isValid(one, nowMs));
    const hashes = registeredHashes(entry);
    for (const hash of since.keys()) if (!hashes.has(hash)) since.delete(hash);
    for (const hash of hashes) if (!since.has(hash)) since.set(hash, nowMs);
    const usable = candidates[use].filter((one) => hashes.has(one.hash) && isValid(one, nowMs));
    const sinceMs = ({ hash }: Candidate) => since.get(hash) ?? nowMs;
    const settled = usable.filter((one) => nowMs - sinceMs(one) >= FRESHNESS_LIFETIME_MS);
    const longest = usable.toSorted((a, b) => sinceMs(a) - sinceMs(b) || newestFirst(a, b));
    const chosen = settled.toSorted(newestFirst)[0] ?? longest[0];
    if (chosen === undefined) delete last[use];
    else last[use] = chosen;
    return chosen;
  }

  /** The port must be reachable whatever is registered. */
  function authentication(): Candidate {
    return choose('authentication') ?? (candidates.authentication[0] as Candidate);
  }

  function held(use: Use, inUse: Candidate | undefined): HeldCertificate[] {
    const hashes = registeredHashes();
    return candidates[use].map(({ hash, notAfterMs }) => {
      return { hash, notAfterMs, registered: hashes.has(hash), inUse: hash === inUse?.hash };
    });
  }

  return {
    authentication,
    signing() {
      const chosen = choose('signing');
      if (chosen === undefined) {
        throw new AccordError('KEY_UNUSABLE', 'no signing certificate of this server is registered and valid');
      }
      return { alg: keyAlgorithm(chosen.key), key: chosen.key, certificateHash: chosen.hash };
    },
    encryptionKey: (kid) => encryption.get(kid),
    subjectKeys: () => subject,
    held: () => ({
      authentication: held('authentication', authentication()),
      signing: held('signing', choose('signing')),
      encryption: [...encryption.keys()],
      subject: subject.map(({ kid }) => kid),
    }),
    replace(keys) {
      const next = candidatesOf(keys);
      ({ encryption, subject } = keys);
      candidates = {
        authentication: keepSame(next.authentication, candidates.authentication),
        signing: keepSame(next.signing, candidates.signing),
      };
    },
  };
}

function candidatesOf({ authentication, signing, renewed }: ServerKeys): Record<Use, Candidate[]> {
  return {
    authentication: [authentication, ...(renewed?.authentication ?? [])].map(candidateOf),
    signing: [signing, ...(renewed?.signing ?? [])].map(candidateOf),
  };
}

function candidateOf(identity: TlsIdentity): Candidate {
  const { certPem } = identity;
  const key = 'key' in identity ? identity.key : createPrivateKey(identity.keyPem);
  const [der] = pemCertificates(certPem);
  if (der === undefined) throw new AccordError('KEY_UNUSABLE', 'no certificate');
  if (thumbprint(new X509Certificate(der).publicKey) !== thumbprint(publicKeyOf(key))) {
    throw new AccordError('CERTIFICATE_KEY_MISMATCH', certificateHash(der));
  }
  const { notBeforeSeconds, notAfterSeconds } = readCertificate(der);
  return {
    certPem,
    key,
    hash: certificateHash(der),
    notBeforeMs: notBeforeSeconds * 1000,
    notAfterMs: notAfterSeconds * 1000,
  };
}

/** A certificate that is read again is the same object, so that live connections are not opened anew for nothing. */
function keepSame(next: readonly Candidate[], before: readonly Candidate[]): Candidate[] {
  return next.map((one) => before.find(({ hash, certPem }) => hash === one.hash && certPem === one.certPem) ?? one);
}

function isValid({ notBeforeMs, notAfterMs }: Candidate, nowMs: number): boolean {
  return nowMs >= notBeforeMs && nowMs < notAfterMs;
}

function newestFirst(a: Candidate, b: Candidate): number {
  return b.notBeforeMs - a.notBeforeMs || b.notAfterMs - a.notAfterMs;
}
