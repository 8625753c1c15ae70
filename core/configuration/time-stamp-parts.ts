// Time-stamp authorities as a part of the global configuration (RFC 3161): how it becomes a file, how a verified file is
// read again, and what approvers are shown of it, one line for each authority and certificate. A part that names none
// does not exist. Approved with its hash, yet judged here: a registry that was broken into could name one authority twice.

import { sha256 } from '#certs/commitment.ts';
import { readCrlTimes } from '#certs/crl.ts';
import { certificateHash } from '#certs/path.ts';
import { readCertificate } from '#certs/x509-read.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import type { JsonValue } from '#schemas/json.ts';
import { DEFAULT_GRACE_MS } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { TimeStampsPart } from '#schemas/time-stamps-part.ts';
import { compile } from '#schemas/validate.ts';

const read = compile(TimeStampsPart, 'CONFIGURATION_INVALID');

/** The part as the servers use it. */
export interface TimeStampRules {
  /** In the order in which they are asked. */
  authorities: readonly {
    name: string;
    url: string;
    certificates: readonly Buffer[];
    /** Where to learn whether its certificates were revoked; none: nowhere. */
    crlUrls?: readonly string[];
    ocspUrl?: string | null;
  }[];
  /** The certificates of all of them: a token counts whichever of them gave it. */
  certificates: readonly Buffer[];
  /** Revocation lists that were approved with it. */
  crls?: readonly Buffer[];
  /** So long may the oldest entry wait for a time-stamp before new exchanges stop. */
  graceMs: number;
}

/** The file of the part. The order of the authorities is a preference and stays. */
export function timeStampsFile(part: TimeStampsPart): Buffer {
  return Buffer.from(`${canonicalJson(part)}\n`);
}

/**
 * What an administrator hands in, or the part's JSON.
 * @throws CONFIGURATION_INVALID for two of one name or address, for certificates and lists that cannot be read, and for an authority without a root
 */
export function readTimeStampsPart(value: JsonValue): TimeStampsPart {
  const part = read(value);
  for (const member of ['name', 'url'] as const) {
    const all = part.authorities.map((authority) => authority[member]);
    const twice = all.find((one, at) => all.indexOf(one) !== at);
    if (twice !== undefined) throw new AccordError('CONFIGURATION_INVALID', `two time-stamp authorities: ${twice}`);
  }
  if (part.crls?.some((crl) => readCrlTimes(fromBase64url(crl)) === undefined)) {
    throw new AccordError('CONFIGURATION_INVALID', 'a revocation list of time-stamp authorities cannot be read');
  }
  for (const { name, certificates } of part.authorities) {
    if (!certificates.map((one) => isRoot(one, name)).includes(true)) {
      throw new AccordError('CONFIGURATION_INVALID', `${name}: none of its certificates is a self-signed CA`);
    }
  }
  return part;
}

function isRoot(der: string, authority: string): boolean {
  try {
    const { subject, issuer, extensions } = readCertificate(fromBase64url(der));
    return subject.key === issuer.key && extensions.basicConstraints?.ca === true;
  } catch (error) {
    if (!isAccordError(error)) throw error;
    throw new AccordError('CONFIGURATION_INVALID', `${authority}: ${error.code}: ${error.detail}`, { cause: error });
  }
}

/** Versions that share the part share the object. */
export function timeStampRulesOf(part: TimeStampsPart): TimeStampRules {
  let rules = made.get(part);
  if (rules === undefined) {
    const authorities = part.authorities.map(({ name, url, certificates, crlUrls = [], ocspUrl = null }) => ({
      ...{ name, url, crlUrls, ocspUrl },
      certificates: certificates.map(fromBase64url),
    }));
    const certificates = authorities.flatMap((authority) => authority.certificates);
    const crls = (part.crls ?? []).map(fromBase64url);
    rules = { authorities, certificates, crls, graceMs: part.graceMs ?? DEFAULT_GRACE_MS };
    made.set(part, rules);
  }
  return rules;
}
const made = new WeakMap<TimeStampsPart, TimeStampRules>();

/** Facts by name for `changesBetween`. */
export function addTimeStampFacts(found: Map<string, string>, part: TimeStampsPart | undefined): void {
  if (part === undefined) return;
  found.set('time-stamp-grace ms', String(part.graceMs ?? DEFAULT_GRACE_MS));
  for (const crl of part.crls ?? []) {
    const bytes = fromBase64url(crl);
    const atMs = readCrlTimes(bytes)?.thisUpdateMs ?? 0;
    found.set(`time-stamp-crl ${new Date(atMs).toISOString()} ${sha256(bytes)}`, '');
  }
  part.authorities.forEach(({ name, url, certificates, crlUrls = [], ocspUrl }, at) => {
    found.set(`time-stamp-authority ${name} ${url}`, String(at));
    for (const from of [...crlUrls, ...(ocspUrl === undefined ? [] : [ocspUrl])]) {
      found.set(`time-stamp-status ${name} ${from}`, '');
    }
    for (const der of certificates) {
      const bytes = fromBase64url(der);
      found.set(`time-stamp-certificate ${name} ${readCertificate(bytes).subject.text} ${certificateHash(bytes)}`, '');
    }
  });
}
