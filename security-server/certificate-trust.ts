// Is a registered certificate good for its purpose now: chain (RFC 5280 section 6.1), validity, distrust, revocation. Used
// for signing certificates (envelope/verify.ts) and TLS certificates (peer/registered-peer.ts) alike, on every message, so
// the answer is remembered: per certificate, purpose and trust part of the configuration, within the times it holds for.
//
// What a revocation list means, until OCSP answers come along (docs/certificates.md, "Revocation in the exchange"):
// - A list of the issuer in the configuration decides, and what it names is refused from the moment it is known, whatever
//   its date of revocation says: a stolen key writes any date.
// - A list that is over still counts for `crlGraceMs`, with an alarm. That is the age the configuration itself may reach,
//   so a registry that is away stops nothing earlier than the configuration would. After it the certificate is refused.
// - An issuer without a list is accepted with one alarm: its certificates are withdrawn by registration and distrust.
import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import { certificateHash, type PathPurpose, validatePath } from '#certs/path.ts';
import { judgeRevocation } from '#certs/revocation.ts';
import { readCertificate } from '#certs/x509-read.ts';
import type { ConfigurationSnapshot, RegisteredCertificate } from '#core/configuration/snapshot.ts';
import { AccordError } from '#schemas/problems.ts';

export interface CertificateTrust {
  /**
   * The certificate's public key, when it may be used for `purpose` now.
   * @throws CERTIFICATE_INVALID; its detail is a code of certs/path-codes.ts, `revoked`, `distrusted` or `revocation list too old`
   */
  keyOf(
    certificate: RegisteredCertificate,
    purpose: PathPurpose,
    snapshot: ConfigurationSnapshot,
    nowMs: number,
  ): KeyObject;
}

export interface CertificateTrustOptions {
  /** How long a list counts after its next update. */
  crlGraceMs: number;
  /** CRL_MISSING, CRL_STALE, or why a list does not count; once per issuer and trust part. */
  onAlarm: (code: string, detail: string) => void;
}

type Trust = ConfigurationSnapshot['trust'];

/** One trust part, made ready: its identity and its intermediates by subject. */
interface ReadyTrust {
  id: string;
  bySubject: Map<string, Buffer[]>;
}

interface Good {
  key: KeyObject;
  /** Hashes of the certificates and keys of the path, as a distrust list names them. */
  names: readonly string[];
  fromMs: number;
  untilMs: number;
  /** When the first list of the path is over, and its issuer. */
  listEndsMs: number;
  listOf: string;
}
type Known = Good | { refusal: string; atMs: number };

const MAX_REMEMBERED = 20_000;
const MAX_ALARMS_REMEMBERED = 1_000;
/** A refusal holds so long, so that a peer cannot buy a chain validation with every request. */
const REFUSAL_REMEMBERED_MS = 1_000;
/** `validatePath` looks at 16 intermediates; a configuration may hold more. */
const MAX_CANDIDATES = 16;

export function openCertificateTrust({ crlGraceMs, onAlarm }: CertificateTrustOptions): CertificateTrust {
  const known = new Map<string, Known>();
  const ready = new WeakMap<Trust, ReadyTrust>();
  const alarmed = new Set<string>();

  function alarm(trustId: string, code: string, issuer: string): void {
    const key = `${trustId} ${code} ${issuer}`;
    if (alarmed.has(key)) return;
    if (alarmed.size >= MAX_ALARMS_REMEMBERED) alarmed.clear();
    alarmed.add(key);
    onAlarm(code, issuer);
  }

  function readyTrust(trust: Trust): ReadyTrust {
    let made = ready.get(trust);
    if (made === undefined) {
      made = makeReady(trust);
      ready.set(trust, made);
    }
    return made;
  }

  function judge(leaf: Buffer, purpose: PathPurpose, trust: Trust, nowMs: number): Known {
    const { id, bySubject } = readyTrust(trust);
    let pool = candidates(leaf, bySubject);
    for (;;) {
      const anchors = trust.anchors.map((der) => ({ der }));
      const verdict = validatePath({ leaf, intermediates: pool, anchors, atMs: nowMs, purpose });
      if (!verdict.valid) return { refusal: verdict.code, atMs: nowMs };
      const good = within(verdict.path);
      const revoked = checkLists(verdict.path, good, trust.crls ?? [], id, nowMs);
      if (revoked === undefined) return good;
      // Another path may lead round an authority that was revoked; there is none round the certificate itself.
      const rest = pool.filter((der) => !der.equals(revoked));
      if (rest.length === pool.length) return { refusal: 'revoked', atMs: nowMs };
      pool = rest;
    }
  }

  /** Notes when the lists of a path end; returns the certificate that is revoked, if one is. */
  function checkLists(
    path: readonly Uint8Array[],
    good: Good,
    crls: readonly Buffer[],
    trustId: string,
    nowMs: number,
  ): Uint8Array | undefined {
    for (let at = 0; at + 1 < path.length; at += 1) {
      const [der, issuer] = [path[at], path[at + 1]];
      if (der === undefined || issuer === undefined) break;
      const said = judgeRevocation(der, issuer, crls, nowMs);
      if (said.status === 'revoked') return der;
      const name = readCertificate(issuer).subject.text;
      if (said.status === 'no-list') alarm(trustId, said.problems[0] ?? 'CRL_MISSING', name);
      else if (said.nextUpdateMs < good.listEndsMs)
        Object.assign(good, { listEndsMs: said.nextUpdateMs, listOf: name });
    }
    return undefined;
  }

  function keyOf(
    certificate: RegisteredCertificate,
    purpose: PathPurpose,
    snapshot: ConfigurationSnapshot,
    nowMs: number,
  ): KeyObject {
    const trustId = readyTrust(snapshot.trust).id;
    const cacheKey = `${certificate.hash} ${purpose} ${trustId}`;
    let found = known.get(cacheKey);
    if (found === undefined || !holds(found, nowMs)) {
      found = judge(certificate.der, purpose, snapshot.trust, nowMs);
      remember(known, cacheKey, found);
    }
    if ('refusal' in found) throw new AccordError('CERTIFICATE_INVALID', found.refusal);
    if (found.names.some((name) => snapshot.isDistrusted(name))) {
      throw new AccordError('CERTIFICATE_INVALID', 'distrusted');
    }
    if (nowMs > found.listEndsMs) alarm(trustId, 'CRL_STALE', found.listOf);
    if (nowMs > found.listEndsMs + crlGraceMs) throw new AccordError('CERTIFICATE_INVALID', 'revocation list too old');
    return found.key;
  }

  return { keyOf };
}

function holds(known: Known, nowMs: number): boolean {
  if ('refusal' in known) return known.refusal === 'revoked' || Math.abs(nowMs - known.atMs) < REFUSAL_REMEMBERED_MS;
  return nowMs >= known.fromMs && nowMs <= known.untilMs;
}

/** The times a valid path holds for, and what a distrust list could call its members. */
function within(path: readonly Uint8Array[]): Good {
  const read = path.map((der) => readCertificate(der));
  const leaf = new X509Certificate(path[0] as Uint8Array);
  return {
    key: leaf.publicKey,
    names: read.flatMap(({ der, publicKeyInfo }) => [certificateHash(der), sha256(publicKeyInfo)]),
    fromMs: Math.max(...read.map((one) => one.notBeforeSeconds)) * 1000,
    // `validatePath` refuses the second of notAfter itself (docs/certificates.md).
    untilMs: Math.min(...read.map((one) => one.notAfterSeconds)) * 1000 - 1,
    listEndsMs: Number.POSITIVE_INFINITY,
    listOf: '',
  };
}

function makeReady(trust: Trust): ReadyTrust {
  const hash = createHash('sha256');
  for (const [kind, list] of Object.entries({ a: trust.anchors, i: trust.intermediates, c: trust.crls ?? [] })) {
    for (const der of list) hash.update(`${kind}${der.length}.`).update(der);
  }
  const bySubject = new Map<string, Buffer[]>();
  for (const der of trust.intermediates) {
    const subject = subjectOf(der);
    if (subject === undefined) continue;
    const list = bySubject.get(subject);
    if (list === undefined) bySubject.set(subject, [der]);
    else list.push(der);
  }
  return { id: hash.digest('base64url'), bySubject };
}

/** An approved part may hold one certificate nobody can read; the others still serve. */
function subjectOf(der: Buffer): string | undefined {
  try {
    return readCertificate(der).subject.key;
  } catch {
    return undefined;
  }
}

/** The intermediates that can stand above a leaf, nearest first, at most as many as one validation looks at. */
function candidates(leaf: Buffer, bySubject: ReadonlyMap<string, Buffer[]>): Buffer[] {
  const found: Buffer[] = [];
  let level = [leaf];
  while (level.length > 0 && found.length < MAX_CANDIDATES) {
    const above = level.flatMap((der) => issuersOf(der, bySubject)).filter((der) => !found.includes(der));
    level = [...new Set(above)];
    found.push(...level);
  }
  return found.slice(0, MAX_CANDIDATES);
}

function issuersOf(der: Buffer, bySubject: ReadonlyMap<string, Buffer[]>): Buffer[] {
  try {
    const { issuer, extensions } = readCertificate(der);
    const wanted = extensions.authorityKeyId?.keyId;
    const named = bySubject.get(issuer.key) ?? [];
    const ofKey = named.filter((one) => wanted === undefined || keyIdOf(one)?.equals(wanted));
    return ofKey.length > 0 ? ofKey : named;
  } catch {
    return [];
  }
}

function keyIdOf(der: Buffer): Buffer | undefined {
  return readCertificate(der).extensions.subjectKeyId;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url');
}

function remember(map: Map<string, Known>, key: string, value: Known): void {
  map.delete(key);
  if (map.size >= MAX_REMEMBERED) {
    const oldest = map.keys().next();
    if (!oldest.done) map.delete(oldest.value);
  }
  map.set(key, value);
}
