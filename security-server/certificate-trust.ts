// Is a registered certificate good for its purpose now: chain (RFC 5280 section 6.1), validity, distrust, revocation. Used
// for signing certificates (envelope/verify.ts) and TLS certificates (peer/registered-peer.ts) alike, on every message, so
// the answer is remembered: per certificate, purpose and trust part of the configuration, within the times it holds for.
//
// What an OCSP answer means (docs/certificates.md, "Certificate status in the exchange"), where the configuration names
// rules for it: one that says `revoked` refuses, whatever else is at hand and whatever its date. One that says `good`
// counts for as long as the rules say, in grace with an alarm. Then the lists are looked at, which may still refuse; only
// where neither an answer nor a list speaks for a signing certificate the mode decides.
//
// What a revocation list means:
// - A list of the issuer in the configuration decides, and what it names is refused from the moment it is known, whatever
//   its date of revocation says: a stolen key writes any date.
// - A list that is over still counts for `crlGraceMs`, with an alarm. That is the age the configuration itself may reach,
//   so a registry that is away stops nothing earlier than the configuration would. After it the certificate is refused,
//   unless an answer speaks for it.
// - An issuer without a list is accepted with one alarm: its certificates are withdrawn by registration and distrust.
import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import { certificateHash, type PathPurpose } from '#certs/path.ts';
import { judgeRevocation } from '#certs/revocation.ts';
import { readCertificate } from '#certs/x509-read.ts';
import type { ConfigurationSnapshot, RegisteredCertificate } from '#core/configuration/snapshot.ts';
import { AccordError } from '#schemas/problems.ts';
import { candidatesFor, pathAmong, type Trust, trustId } from './certificate-paths.ts';
import { countsUntilMs, type HeldAnswer, type HeldAnswers, holdAnswers } from './certificate-status/answers.ts';

/** A certificate that may be used now. */
interface Judged {
  key: KeyObject;
  /** The OCSP answer it was judged with; null when none counted. */
  answer: HeldAnswer | null;
}

export interface CertificateTrust {
  /**
   * The certificate's public key, when it may be used for `purpose` now, and what showed its status.
   * @throws CERTIFICATE_INVALID; its detail is a code of certs/path-codes.ts, `revoked`, `distrusted` or `revocation list
   *   too old`. CERTIFICATE_STATUS_MISSING for signatures, where the configuration requires an answer or a list
   */
  judge(
    certificate: RegisteredCertificate,
    purpose: PathPurpose,
    snapshot: ConfigurationSnapshot,
    nowMs: number,
  ): Judged;
  /** The key alone. @throws as `judge` */
  keyOf(...judged: Parameters<CertificateTrust['judge']>): KeyObject;
}

export interface CertificateTrustOptions {
  /** How long a list counts after its next update. */
  crlGraceMs: number;
  /** CRL_MISSING, CRL_STALE, OCSP_STALE, or why a list does not count; once per issuer and trust part. */
  onAlarm: (code: string, detail: string) => void;
  /** None by default. */
  answers?: HeldAnswers;
}

/** When a list is over, and its issuer. */
interface ListEnd {
  endsMs: number;
  of: string;
}

interface Good {
  key: KeyObject;
  /** Hashes of the certificates and keys of the path, as a distrust list names them. */
  names: readonly string[];
  fromMs: number;
  untilMs: number;
  /** Of the certificate itself; null without one. */
  ownList: ListEnd | null;
  /** The first of the authorities above it to be over. */
  upperList: ListEnd | null;
}
type Known = Good | { refusal: string; atMs: number };

const MAX_REMEMBERED = 20_000;
const MAX_ALARMS_REMEMBERED = 1_000;
/** A refusal holds so long, so that a peer cannot buy a chain validation with every request. */
const REFUSAL_REMEMBERED_MS = 1_000;

export function openCertificateTrust({
  crlGraceMs,
  onAlarm,
  answers = holdAnswers(),
}: CertificateTrustOptions): CertificateTrust {
  const known = new Map<string, Known>();
  const alarmed = new Set<string>();

  function alarm(trust: Trust, code: string, about: string): void {
    const key = `${trustId(trust)} ${code} ${about}`;
    if (alarmed.has(key)) return;
    if (alarmed.size >= MAX_ALARMS_REMEMBERED) alarmed.clear();
    alarmed.add(key);
    onAlarm(code, about);
  }

  function judgePath(leaf: Buffer, purpose: PathPurpose, trust: Trust, nowMs: number): Known {
    let pool = candidatesFor(leaf, trust);
    for (;;) {
      const verdict = pathAmong(leaf, pool, trust, { purpose, atMs: nowMs });
      if (!verdict.valid) return { refusal: verdict.code, atMs: nowMs };
      const good = within(verdict.path);
      const revoked = checkLists(verdict.path, good, trust, nowMs);
      if (revoked === undefined) return good;
      // Another path may lead round an authority that was revoked; there is none round the certificate itself.
      const rest = pool.filter((der) => !der.equals(revoked));
      if (rest.length === pool.length) return { refusal: 'revoked', atMs: nowMs };
      pool = rest;
    }
  }

  /** Notes when the lists of a path end; returns the certificate that is revoked, if one is. */
  function checkLists(path: readonly Uint8Array[], good: Good, trust: Trust, nowMs: number): Uint8Array | undefined {
    for (let at = 0; at + 1 < path.length; at += 1) {
      const [der, issuer] = [path[at], path[at + 1]];
      if (der === undefined || issuer === undefined) break;
      const said = judgeRevocation(der, issuer, trust.crls ?? [], nowMs);
      if (said.status === 'revoked') return der;
      const of = readCertificate(issuer).subject.text;
      if (said.status === 'no-list') alarm(trust, said.problems[0] ?? 'CRL_MISSING', of);
      else if (at === 0) good.ownList = { endsMs: said.nextUpdateMs, of };
      else if (said.nextUpdateMs < (good.upperList?.endsMs ?? Number.POSITIVE_INFINITY)) {
        good.upperList = { endsMs: said.nextUpdateMs, of };
      }
    }
    return undefined;
  }

  /** @throws CERTIFICATE_INVALID */
  function requireList(list: ListEnd | null, trust: Trust, nowMs: number): void {
    if (list === null) return;
    if (nowMs > list.endsMs) alarm(trust, 'CRL_STALE', list.of);
    if (nowMs > list.endsMs + crlGraceMs) throw new AccordError('CERTIFICATE_INVALID', 'revocation list too old');
  }

  /** The answer, when it counts now. @throws CERTIFICATE_INVALID */
  function countingAnswer(certificate: string, trust: Trust, nowMs: number): HeldAnswer | null {
    const { ocsp } = trust;
    if (ocsp === undefined || ocsp.mode === 'off') return null;
    const answer = answers.of(certificate);
    if (answer === undefined) return null;
    if (answer.status === 'revoked') throw new AccordError('CERTIFICATE_INVALID', 'revoked');
    const untilMs = countsUntilMs(answer, ocsp.freshnessMs);
    if (nowMs <= untilMs) return answer;
    if (nowMs > untilMs + ocsp.graceMs) return null;
    alarm(trust, 'OCSP_STALE', certificate);
    return answer;
  }

  function judge(
    certificate: RegisteredCertificate,
    purpose: PathPurpose,
    snapshot: ConfigurationSnapshot,
    nowMs: number,
  ): Judged {
    const { trust } = snapshot;
    const cacheKey = `${certificate.hash} ${purpose} ${trustId(trust)}`;
    let found = known.get(cacheKey);
    if (found === undefined || !holds(found, nowMs)) {
      found = judgePath(certificate.der, purpose, trust, nowMs);
      remember(known, cacheKey, found);
    }
    if ('refusal' in found) throw new AccordError('CERTIFICATE_INVALID', found.refusal);
    if (found.names.some((name) => snapshot.isDistrusted(name))) {
      throw new AccordError('CERTIFICATE_INVALID', 'distrusted');
    }
    requireList(found.upperList, trust, nowMs);
    const answer = countingAnswer(certificate.hash, trust, nowMs);
    if (answer === null) {
      // A TLS certificate is shown before an answer can be: it is judged by what came since, and by lists.
      if (found.ownList === null && purpose === 'sign' && trust.ocsp?.mode === 'require') {
        throw new AccordError('CERTIFICATE_STATUS_MISSING', certificate.hash);
      }
      requireList(found.ownList, trust, nowMs);
    }
    return { key: found.key, answer };
  }

  return { judge, keyOf: (...judged) => judge(...judged).key };
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
    ownList: null,
    upperList: null,
  };
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
