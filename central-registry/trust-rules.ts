// What must hold before something becomes trust of the instance: certificates are readable, a revocation list is signed by
// an authority that is trusted already, speaks for now, and is newer than every list of that authority taken before, also
// than one that was removed since (RFC 5280 sections 5.2.3 and 6.3.3). The administrator's client controls the bytes.
import { checkCrl, readCrlNumber } from '#certs/crl.ts';
import { judgeRevocation } from '#certs/revocation.ts';
import { readCertificate } from '#certs/x509-read.ts';
import { fileHash } from '#core/configuration/verify.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import type { TrustPart } from '#schemas/configuration.ts';
import { AccordError } from '#schemas/problems.ts';
import type { RegistryStore } from './store-sqlite.ts';

export type TrustKind = 'anchor' | 'intermediate' | 'crl';

const LISTS = { anchor: 'anchors', intermediate: 'intermediates', crl: 'crls' } as const;
/** As the trust part allows (schemas/configuration.ts). */
const MAX_OF_A_KIND = 256;
/** Any number does to ask what a list says of itself. */
const NO_SERIAL = '0';

/**
 * Inside a transaction. A newer list takes the place of the older one of its authority.
 * @param text DER in base64url
 * @returns the SHA-256 of the DER
 * @throws CERTIFICATE_MALFORMED, CRL_REFUSED, REGISTRATION_LIMIT, ENCODING_NOT_CANONICAL
 */
export function addTrust(store: RegistryStore, kind: TrustKind, text: string, nowMs: number): string {
  const der = fromBase64url(text);
  const hash = fileHash(der);
  if (kind === 'crl') replaceCrl(store, der, hash, nowMs);
  else readCertificate(der);
  if (store.trust()[LISTS[kind]].length >= MAX_OF_A_KIND) {
    throw new AccordError('REGISTRATION_LIMIT', `${MAX_OF_A_KIND} of kind ${kind}`);
  }
  store.putTrust(hash, kind, text);
  return hash;
}

/**
 * A list stays as long as its authority: without it, what it names would count again.
 * @throws REGISTRATION_UNKNOWN, REGISTRATION_IN_USE
 */
export function removeTrust(store: RegistryStore, hash: string): void {
  const issuer = store.crlIssuer(hash);
  if (issuer !== undefined && authorities(store.trust()).some((der) => keyHashOf(der) === issuer)) {
    throw new AccordError('REGISTRATION_IN_USE', 'the authority of this revocation list is trusted; send a newer list');
  }
  if (!store.removeTrust(hash)) throw new AccordError('REGISTRATION_UNKNOWN', hash);
}

/** The code of a path's first certificate that a list of the instance names; undefined when none does. */
export function revokedIn(path: readonly Uint8Array[], trust: TrustPart, nowMs: number): string | undefined {
  const crls = trust.crls.map(fromBase64url);
  for (let at = 0; at + 1 < path.length; at += 1) {
    const [der, issuer] = [path[at], path[at + 1]];
    if (!der || !issuer) return undefined;
    const said = judgeRevocation(der, issuer, crls, nowMs);
    if (said.status === 'revoked') return `revoked (${said.reason})`;
  }
  return undefined;
}

function replaceCrl(store: RegistryStore, crl: Buffer, hash: string, nowMs: number): void {
  const issuer = keyHashOf(issuerOf(crl, authorities(store.trust()), nowMs));
  const number = readCrlNumber(crl);
  if (number === undefined) throw new AccordError('CRL_REFUSED', 'no list number');
  const newest = store.newestCrl(issuer);
  if (newest && number <= BigInt(newest.number) && newest.crl !== hash) {
    throw new AccordError('CRL_REFUSED', `number ${number} is not above ${newest.number}, which was taken before`);
  }
  if (newest) store.removeTrust(newest.crl);
  store.setNewestCrl(issuer, String(number), hash);
}

/** @throws CRL_REFUSED with the code that got furthest */
function issuerOf(crl: Buffer, candidates: readonly Buffer[], nowMs: number): Buffer {
  let problem = 'CRL_ISSUER_MISMATCH';
  for (const issuer of candidates) {
    const said = checkCrl({ crl, issuer, serial: NO_SERIAL, atMs: nowMs });
    if (said.status !== 'unknown') return issuer;
    if (said.code !== 'CRL_ISSUER_MISMATCH') problem = `${said.code}: ${said.detail}`;
  }
  throw new AccordError('CRL_REFUSED', problem);
}

function authorities({ anchors, intermediates }: TrustPart): Buffer[] {
  return [...anchors, ...intermediates].map(fromBase64url);
}

function keyHashOf(der: Buffer): string {
  return fileHash(readCertificate(der).publicKeyInfo);
}
