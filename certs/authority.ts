// The certification authority (RFC 5280): makes a root, an issuing authority below it, and certificates for keys that a
// request proved possession of. The profile decides every extension; time and randomness are arguments; what was issued
// before is asked of the ledger. Each certificate is first signed with a throw-away key and examined, and only bytes that
// passed are signed with the real one (as boulder does), because a signature cannot be taken back.
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { AccordError } from '#schemas/problems.ts';
import { type ExpectedCertificate, toBeSigned } from './authority-contents.ts';
import { lintCertificate } from './authority-lint.ts';
import type { CertificateRequest } from './csr.ts';
import { checkHolderNames, type HolderNames, holderSubject, readHolderNames } from './holder-names.ts';
import type { IssuedCertificate, Ledger, LedgerEntry } from './ledger.ts';
import { BACKDATE_MS, DAY_MS, type HolderProfileName, PROFILES, type ProfileName } from './profiles.ts';
import { curveOf, loadX509, signingKeyOf } from './x509-library.ts';
import { type Certificate, readCertificate } from './x509-read.ts';

/** A certification authority as its certificates show it. */
export interface Authority {
  role: 'root' | 'issuing';
  der: Uint8Array;
  /** Where its revocation list will be published; written into what it issues. */
  crlUrl?: string;
}

/** One that can sign. */
export interface Issuer extends Authority {
  privateKey: KeyObject;
}

/** What every act of signing needs from outside. */
export interface Circumstances {
  nowMs: number;
  /** `count` unpredictable bytes. */
  randomBytes: (count: number) => Uint8Array;
  ledger: Ledger;
}

interface Order {
  profile: ProfileName;
  publicKey: KeyObject;
  subject: readonly (readonly [string, string])[];
  names?: HolderNames;
  days?: number;
}

/** A certificate that every rule allows, not signed yet. */
export interface PlannedCertificate extends ExpectedCertificate {
  issuerRole: 'root' | 'issuing';
  /** The holder's identifier, or an authority's name. */
  holder: string;
}

/** A self-signed root. @param name its commonName. @throws KEY_UNSUITABLE, VALIDITY_REFUSED, CSR_REFUSED for the name */
export async function createRoot(
  name: string,
  privateKey: KeyObject,
  circumstances: Circumstances,
  days?: number,
): Promise<IssuedCertificate> {
  const planned = plan(undefined, authorityOrder('root', name, privateKey, days), circumstances);
  return await signPlanned({ role: 'root', der: Buffer.alloc(0), privateKey }, planned);
}

/** An issuing authority below `root`. @throws KEY_UNSUITABLE, VALIDITY_REFUSED, CSR_REFUSED for the name */
export async function createIssuing(
  root: Issuer,
  name: string,
  publicKey: KeyObject,
  circumstances: Circumstances,
  days?: number,
): Promise<IssuedCertificate> {
  return await signPlanned(root, plan(root, authorityOrder('issuing', name, publicKey, days), circumstances));
}

/**
 * Appoints a responder that signs OCSP answers about what `issuer` issued (RFC 6960 4.2.2.2). The key is the operator's own.
 * @throws KEY_UNSUITABLE, KEY_ALREADY_CERTIFIED, KEY_COMPROMISED, VALIDITY_REFUSED, CSR_REFUSED for the name
 */
export async function createResponder(
  issuer: Issuer,
  name: string,
  publicKey: KeyObject,
  circumstances: Circumstances,
  days?: number,
): Promise<IssuedCertificate> {
  checkKeyHistory(publicKey, 'ocsp-responder', name, circumstances.ledger);
  return await signPlanned(
    issuer,
    plan(issuer, authorityOrder('ocsp-responder', name, publicKey, days), circumstances),
  );
}

/** Certifies the key of a request under a profile: `planIssue`, then `signPlanned`. @throws what both throw */
export async function issue(
  issuer: Issuer,
  profile: HolderProfileName,
  request: CertificateRequest,
  approved: HolderNames,
  circumstances: Circumstances,
  days?: number,
): Promise<IssuedCertificate> {
  return await signPlanned(issuer, planIssue(issuer, profile, request, approved, circumstances, days));
}

/**
 * Judges a request. Nothing is taken from it but the public key and, checked against the template, the names.
 * @param approved the template: the request's identifier must be the same, and its addresses must all stand here
 * @throws CSR_REFUSED, KEY_ALREADY_CERTIFIED, KEY_COMPROMISED, KEY_UNSUITABLE, VALIDITY_REFUSED
 */
export function planIssue(
  authority: Authority,
  profile: HolderProfileName,
  request: Pick<CertificateRequest, 'publicKey' | 'names'>,
  approved: HolderNames,
  circumstances: Circumstances,
  days?: number,
): PlannedCertificate {
  const names = namesUnder(profile, request.names, approved);
  checkKeyHistory(request.publicKey, profile, names.id, circumstances.ledger);
  const order = { profile, publicKey: request.publicKey, subject: holderSubject(names.id), names };
  return plan(authority, days === undefined ? order : { ...order, days }, circumstances);
}

/**
 * Judges a renewal: the same profile and names once more, for the same key or, with `request`, for a new one.
 * @throws RENEWAL_REFUSED for revoked certificates, authorities and keys that are not kept; and as `planIssue`
 */
export function planRenewal(
  authority: Authority,
  previous: LedgerEntry,
  request: CertificateRequest | undefined,
  circumstances: Circumstances,
  days?: number,
): PlannedCertificate {
  const { certificate, revocation } = previous;
  const { profile } = certificate;
  if (profile === 'root' || profile === 'issuing' || profile === 'ocsp-responder')
    throw new AccordError('RENEWAL_REFUSED', 'authorities are made anew');
  if (revocation) throw new AccordError('RENEWAL_REFUSED', 'the certificate was revoked');
  if (!request && !PROFILES[profile].keepsKey) throw new AccordError('RENEWAL_REFUSED', `${profile} keys are not kept`);
  const approved = readHolderNames(readCertificate(certificate.der).extensions.subjectAltNames ?? []);
  const again = request ?? { publicKey: new X509Certificate(certificate.der).publicKey, names: approved };
  return planIssue(authority, profile, again, approved, circumstances, days);
}

/** Checks the names of a request against the template of what was approved for this holder. @throws CSR_REFUSED */
function namesUnder(profile: HolderProfileName, asked: HolderNames, approved: HolderNames): HolderNames {
  const names = checkHolderNames(asked);
  const row = PROFILES[profile];
  if (names.kind !== row.holder) throw new AccordError('CSR_REFUSED', `${profile} certificates name a ${row.holder}`);
  if (names.kind !== approved.kind || names.id !== approved.id) {
    throw new AccordError('CSR_REFUSED', 'the request is for another holder than was approved');
  }
  const addresses = [...names.dnsNames, ...names.ipAddresses];
  if (addresses.length > 0 && !row.addresses) throw new AccordError('CSR_REFUSED', `${profile}: no addresses`);
  const foreign = addresses.find((one) => !approved.dnsNames.includes(one) && !approved.ipAddresses.includes(one));
  if (foreign !== undefined) throw new AccordError('CSR_REFUSED', `the address ${foreign} was not approved`);
  return names;
}

// One key serves one profile of one holder: else a TLS handshake could be made to sign what passes for a statement, or
// one holder's statements would verify with another's certificate.
function checkKeyHistory(publicKey: KeyObject, profile: ProfileName, holder: string, ledger: Ledger): void {
  for (const { certificate, revocation } of ledger.ofKey(keyHashOf(publicKey))) {
    if (revocation?.reason === 'keyCompromise') throw new AccordError('KEY_COMPROMISED', certificate.serial);
    if (certificate.profile !== profile || certificate.holder !== holder) {
      throw new AccordError('KEY_ALREADY_CERTIFIED', `${certificate.profile} ${certificate.holder}`);
    }
  }
}

// CN of at most 64 characters (ub-common-name), of letters, digits and a little punctuation in any script: no control
// characters, nothing that looks like the separator of another attribute.
const AUTHORITY_NAME = /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N} ()._-]{0,62}[\p{L}\p{M}\p{N})])?$/u;

function authorityOrder(
  profile: 'root' | 'issuing' | 'ocsp-responder',
  name: string,
  key: KeyObject,
  days?: number,
): Order {
  if (!AUTHORITY_NAME.test(name)) throw new AccordError('CSR_REFUSED', 'the name of an authority: 1 to 64 letters');
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const order = { profile, publicKey, subject: [['CN', name] as const] };
  return days === undefined ? order : { ...order, days };
}

function plan(authority: Authority | undefined, order: Order, circumstances: Circumstances): PlannedCertificate {
  const issuer = authority && readCertificate(authority.der);
  checkKey(order);
  const signer = authority ? new X509Certificate(authority.der).publicKey : order.publicKey;
  return {
    issuerRole: authority?.role ?? 'root',
    holder: order.names?.id ?? order.subject[0]?.[1] ?? '',
    profile: order.profile,
    serial: freshSerial(circumstances),
    subject: order.subject,
    publicKeyInfo: order.publicKey.export({ type: 'spki', format: 'der' }),
    ...validity(order, issuer, circumstances.nowMs),
    ...(order.names && { names: order.names }),
    ...(issuer && { issuer }),
    ...(authority?.crlUrl !== undefined && { crlUrl: authority.crlUrl }),
    signatureCurve: curveOf(signer) ?? 'P-256',
  };
}

/**
 * Builds, examines, signs, and compares: the order in which a certificate comes to be. Record it before handing it out.
 * @throws PROFILE_VIOLATED, CERTIFICATE_KEY_MISMATCH
 */
export async function signPlanned(issuer: Issuer, planned: PlannedCertificate): Promise<IssuedCertificate> {
  const rehearsal = await sign(planned, rehearsalKey(planned.signatureCurve));
  const findings = lintCertificate(rehearsal, planned);
  if (findings.length > 0) throw new AccordError('PROFILE_VIOLATED', findings.join('; '));
  const der = await sign(planned, issuer.privateKey);
  checkSigned(der, rehearsal, issuer);
  const { serial, profile, holder, notBeforeMs, notAfterMs, issuerRole } = planned;
  const keyHash = createHash('sha256').update(planned.publicKeyInfo).digest('base64url');
  return { serial, issuer: issuerRole, profile, holder, keyHash, notBeforeMs, notAfterMs, der };
}

function checkKey({ profile, publicKey }: Order): void {
  const curve = curveOf(publicKey);
  if (curve === undefined || !PROFILES[profile].curves.includes(curve)) {
    throw new AccordError('KEY_UNSUITABLE', `${profile} keys are on ${PROFILES[profile].curves.join(' or ')}`);
  }
}

/** 18 octets, 142 of their bits random: positive without padding, and never long enough to be refused (4.1.2.2). */
function freshSerial({ randomBytes, ledger }: Circumstances): string {
  const octets = Buffer.from(randomBytes(18));
  octets[0] = ((octets[0] ?? 0) & 0x3f) | 0x40;
  const serial = octets.toString('hex');
  if (octets.length !== 18 || ledger.get(serial)) throw new TypeError('randomBytes has to give 18 unpredictable bytes');
  return serial;
}

// Whole seconds: a fraction is not allowed in a certificate (4.1.2.5), and the records say what the certificate says.
function validity({ profile, days }: Order, issuer: Certificate | undefined, nowMs: number) {
  const { defaultDays, maxDays } = PROFILES[profile];
  if (days !== undefined && !(Number.isSafeInteger(days) && days >= 1 && days <= maxDays)) {
    throw new AccordError('VALIDITY_REFUSED', `${profile}: 1 to ${maxDays} days`);
  }
  const issuerEndsMs = issuer === undefined ? Number.POSITIVE_INFINITY : issuer.notAfterSeconds * 1000;
  const issuerBeginsMs = issuer === undefined ? 0 : issuer.notBeforeSeconds * 1000;
  const wishedMs = Math.floor(nowMs / 1000) * 1000 + (days ?? defaultDays) * DAY_MS;
  if (wishedMs > issuerEndsMs && days !== undefined) {
    throw new AccordError('VALIDITY_REFUSED', 'it would outlive the certificate of its issuer');
  }
  const notBeforeMs = Math.max(Math.floor((nowMs - BACKDATE_MS) / 1000) * 1000, issuerBeginsMs);
  const notAfterMs = Math.min(wishedMs, issuerEndsMs);
  if (notAfterMs <= nowMs) throw new AccordError('VALIDITY_REFUSED', 'the certificate of the issuer has expired');
  return { notBeforeMs, notAfterMs };
}

async function sign(expected: ExpectedCertificate, privateKey: KeyObject): Promise<Buffer> {
  const x509 = await loadX509();
  const made = await x509.X509CertificateGenerator.create({
    ...toBeSigned(x509, expected),
    ...signingKeyOf(privateKey),
  });
  return Buffer.from(made.rawData);
}

const rehearsalKeys = new Map<string, KeyObject>();

/** A throw-away key on the issuer's curve, so that the rehearsed bytes are the ones to be signed. */
function rehearsalKey(namedCurve: 'P-256' | 'P-384'): KeyObject {
  const known = rehearsalKeys.get(namedCurve);
  if (known) return known;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve });
  rehearsalKeys.set(namedCurve, privateKey);
  return privateKey;
}

/** The signed bytes are the examined ones, and the signature is the issuer's: a wrong key file shows here. */
function checkSigned(der: Buffer, rehearsal: Buffer, issuer: Issuer): void {
  const issuerKey =
    issuer.der.length === 0 ? createPublicKey(issuer.privateKey) : new X509Certificate(issuer.der).publicKey;
  if (!readCertificate(der).tbs.equals(readCertificate(rehearsal).tbs)) {
    throw new AccordError('PROFILE_VIOLATED', 'the signed bytes are not the examined ones');
  }
  if (!new X509Certificate(der).verify(issuerKey)) {
    throw new AccordError('CERTIFICATE_KEY_MISMATCH', 'the key of the authority does not belong to its certificate');
  }
}

function keyHashOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}
