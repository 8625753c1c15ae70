// The paths from registered certificates to the anchors of the global configuration (RFC 5280 section 6.1): one trust
// part, made ready once, and the intermediates that may stand above a certificate. Two approvers control the trust part,
// members their certificates.
import { createHash } from 'node:crypto';
import { type PathPurpose, type PathVerdict, validatePath } from '#certs/path.ts';
import { readCertificate } from '#certs/x509-read.ts';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';

export type Trust = ConfigurationSnapshot['trust'];

/** One trust part, made ready: its identity and its intermediates by subject. */
interface ReadyTrust {
  id: string;
  bySubject: Map<string, Buffer[]>;
}

/** `validatePath` looks at 16 intermediates; a configuration may hold more. */
const MAX_CANDIDATES = 16;

const ready = new WeakMap<Trust, ReadyTrust>();

/** Parts of equal certificates and lists have one identity. */
export function trustId(trust: Trust): string {
  return readyTrust(trust).id;
}

/** The intermediates of the part that can stand above `leaf` (DER), nearest first, at most 16. */
export function candidatesFor(leaf: Buffer, trust: Trust): Buffer[] {
  return candidates(leaf, readyTrust(trust).bySubject);
}

/** @param pool the intermediates to look at */
export function pathAmong(
  leaf: Buffer,
  pool: Buffer[],
  trust: Trust,
  judged: { purpose: PathPurpose; atMs: number },
): PathVerdict {
  return validatePath({ leaf, intermediates: pool, anchors: trust.anchors.map((der) => ({ der })), ...judged });
}

function readyTrust(trust: Trust): ReadyTrust {
  let made = ready.get(trust);
  if (made === undefined) {
    made = makeReady(trust);
    ready.set(trust, made);
  }
  return made;
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
