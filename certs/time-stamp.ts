// Time-stamp tokens (RFC 3161, RFC 5816): what a token says, and whether an authority that is trusted signed it. Pure over
// bytes: trusted certificates and the verifier's time are arguments. Whoever hands in a token controls its bytes.
import { createHash } from 'node:crypto';
import { base64url } from '#schemas/base64url.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import { AccordError, isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { derOfBer } from './ber.ts';
import { readSignedData, type SignedData } from './cms.ts';
import { TAG } from './der.ts';
import { derOf, derOid } from './der-write.ts';
import { validatePath } from './path.ts';
import { MAX_INTERMEDIATES } from './path-limits.ts';
import { hashOf, verifyTokenSignature } from './time-stamp-algorithms.ts';
import { namesSigner } from './time-stamp-attribute.ts';
import { readTimeStampInfo, type TimeStampInfo } from './time-stamp-info.ts';
import { plainToken } from './time-stamp-plain.ts';
import { asMalformed, MAX_TIME_STAMP_BYTES, malformed } from './time-stamp-request.ts';
import { requireNotRevoked, revokesIn, type TimeStampStatus } from './time-stamp-revocation.ts';
import { readCertificateKey } from './x509-algorithms.ts';
import { type Certificate, readCertificate } from './x509-read.ts';

export { MAX_TIME_STAMP_BYTES, makeTimeStampRequest, readTimeStampResponse } from './time-stamp-request.ts';

const ID_TST_INFO = '1.2.840.113549.1.9.16.1.4';
const ATTRIBUTE = { contentType: '1.2.840.113549.1.9.3', messageDigest: '1.2.840.113549.1.9.4' } as const;

export interface VerifiedTimeStamp extends TimeStampInfo {
  /** SHA-256 (base64url) of the signing certificate, and its subject for people. */
  signerHash: string;
  signerName: string;
  /** DER from the signing certificate to the trusted one. */
  path: Uint8Array[];
}

/** What a token says; nothing about it is verified. @throws TIME_STAMP_MALFORMED */
export function readTimeStampToken(token: Uint8Array): TimeStampInfo {
  return readToken(token).info;
}

/** Whose certificate a token carries for its signer, for people; null for none. Nothing is verified. @throws TIME_STAMP_MALFORMED */
export function timeStampSignerName(token: Uint8Array): string | null {
  const { signed } = readToken(token);
  const [named] = asUntrusted(() => signed.certificates.map((der) => readCertificate(der))).filter((one) =>
    isNamed(signed, one),
  );
  return named?.subject.text ?? null;
}

/**
 * Verifies a token: form, imprint, digest, signing certificate, signature, and the authority's certification path at the
 * time the token names. Trust: the self-signed CA certificates among `certificates`; the others only help.
 * @param imprint SHA-256 of what was stamped, 32 bytes
 * @param certificates DER, as the configuration part `time-stamps` (or the auditor) names them for the authorities
 * @param atMs the verifier's time: a token may be of any age, but not from more than five minutes ahead
 * @param status what is known of the certificates of the path; lists that lie in the token are looked at as well
 * @throws TIME_STAMP_MALFORMED, TIME_STAMP_IMPRINT_WRONG, TIME_STAMP_DIGEST_WRONG, TIME_STAMP_SIGNER_WRONG,
 *   TIME_STAMP_ALGORITHM_REFUSED, TIME_STAMP_SIGNATURE_WRONG, TIME_STAMP_UNTRUSTED (the path; its code in the detail),
 *   TIME_STAMP_FROM_FUTURE, TIME_STAMP_REVOKED; TypeError for an imprint of another length or a configured certificate that is none
 */
export function verifyTimeStampToken(
  token: Uint8Array,
  imprint: Uint8Array,
  certificates: readonly Uint8Array[],
  atMs: number,
  status: TimeStampStatus = {},
): VerifiedTimeStamp {
  if (imprint.length !== 32) throw new TypeError('an imprint is 32 bytes of SHA-256');
  const { info, signed } = readToken(token);
  if (info.imprint.hash !== 'sha256' || !info.imprint.digest.equals(imprint)) throw refusal('TIME_STAMP_IMPRINT_WRONG');
  checkDigest(signed);
  const known = readKnown(certificates);
  const signer = findSigner(signed, known);
  checkSignature(signed, signer);
  // Before the path: an authority that was distrusted is mostly taken out of the configuration as well.
  requireNotRevoked({ ...info, path: [signer.der] }, status, atMs);
  const path = checkPath(signer, signed.certificates, known, info.genTimeMs);
  if (info.genTimeMs - (info.accuracyMs ?? 0) > atMs + CLOCK_WINDOW_MS) {
    throw refusal('TIME_STAMP_FROM_FUTURE', new Date(info.genTimeMs).toISOString());
  }
  const { crls = [] } = status;
  requireNotRevoked({ ...info, path }, { ...status, crls: [...crls, ...signed.crls] }, atMs);
  const signerHash = base64url(createHash('sha256').update(signer.der).digest());
  return { ...info, signerHash, signerName: signer.subject.text, path };
}

/**
 * The same token without anything that no signature covers (time-stamp-plain.ts); it is not verified by this.
 * @param certificates as above
 * @param lists revocation lists that are known beside, DER: those that revoke a certificate of the path go along, where there is room
 * @throws TIME_STAMP_MALFORMED, TIME_STAMP_SIGNER_WRONG, TIME_STAMP_UNTRUSTED; TypeError for a configured certificate that is none
 */
export function plainTimeStampToken(
  token: Uint8Array,
  certificates: readonly Uint8Array[],
  lists: readonly Buffer[] = [],
): Buffer {
  const { info, signed } = readToken(token);
  const known = readKnown(certificates);
  const signer = findSigner(signed, known);
  const path = checkPath(signer, signed.certificates, known, info.genTimeMs);
  const crls = [...signed.crls, ...lists.filter((crl) => revokesIn(crl, path))];
  const plain = plainToken({ ...signed, crls }, path);
  return plain.length > MAX_TIME_STAMP_BYTES ? plainToken(signed, path) : plain;
}

function refusal(code: ProblemCode, detail = ''): AccordError {
  return new AccordError(code, detail);
}

function readToken(token: Uint8Array): { info: TimeStampInfo; signed: SignedData } {
  if (token.length > MAX_TIME_STAMP_BYTES) throw malformed('a token that is too long');
  return asMalformed(() => {
    const signed = readSignedData(derOfBer(token));
    if (signed.contentType !== ID_TST_INFO) throw malformed('the content is not a time-stamp');
    return { info: readTimeStampInfo(signed.content), signed };
  });
}

/** RFC 5652 11.1 and 11.2: the signed attributes are about this content. */
function checkDigest({ content, signer }: SignedData): void {
  const hash = hashOf(signer.digestAlgorithm);
  if (hash === undefined) throw refusal('TIME_STAMP_ALGORITHM_REFUSED', 'digest');
  const type = signer.attributes.get(ATTRIBUTE.contentType);
  const digest = signer.attributes.get(ATTRIBUTE.messageDigest);
  if (type === undefined || digest === undefined) throw malformed('without content type or digest');
  if (!type.equals(derOid(ID_TST_INFO))) throw malformed('signed for another type of content');
  const expected = createHash(hash).update(content).digest();
  if (!digest.equals(derOf(TAG.OCTET_STRING, expected))) throw refusal('TIME_STAMP_DIGEST_WRONG');
}

/** Certificates that the configuration or the auditor names. */
function readKnown(certificates: readonly Uint8Array[]): Certificate[] {
  try {
    return certificates.map((der) => readCertificate(der));
  } catch (error) {
    if (!isAccordError(error, 'CERTIFICATE_MALFORMED')) throw error;
    throw new TypeError('a certificate of a time-stamp authority cannot be read', { cause: error });
  }
}

/** The certificate that the signer names twice: by issuer and serial number, or key identifier, and by its hash. */
function findSigner({ certificates, signer }: SignedData, known: readonly Certificate[]): Certificate {
  const carried = asUntrusted(() => certificates.map((der) => readCertificate(der)));
  const named = [...carried, ...known].filter((one) => isNamed({ signer }, one));
  if (named.length === 0) throw refusal('TIME_STAMP_SIGNER_WRONG', 'its certificate is not here');
  const found = asMalformed(() => named.find((one) => namesSigner(signer.attributes, one)));
  if (found === undefined) throw refusal('TIME_STAMP_SIGNER_WRONG', 'the signed attributes name another certificate');
  return found;
}

function isNamed({ signer: { identifier } }: Pick<SignedData, 'signer'>, one: Certificate): boolean {
  if ('keyId' in identifier) return one.extensions.subjectKeyId?.equals(identifier.keyId) === true;
  return one.serialHex === identifier.serialHex && one.issuer.key === identifier.issuerKey;
}

function asUntrusted<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isAccordError(error, 'CERTIFICATE_MALFORMED')) throw error;
    throw new AccordError('TIME_STAMP_UNTRUSTED', `CERTIFICATE_MALFORMED: ${error.detail}`, { cause: error });
  }
}

function checkSignature({ signer }: SignedData, certificate: Certificate): void {
  const key = readCertificateKey(certificate.publicKeyInfo, true);
  const good = key === undefined ? undefined : verifyTokenSignature(signer, key);
  if (good === undefined) throw refusal('TIME_STAMP_ALGORITHM_REFUSED', 'signature');
  if (!good) throw refusal('TIME_STAMP_SIGNATURE_WRONG');
}

/** RFC 3161 2.3: a critical extended key usage of time-stamping alone; the path holds at the time of the token. */
function checkPath(signer: Certificate, carried: readonly Buffer[], known: readonly Certificate[], genTimeMs: number) {
  const isAnchor = (one: Certificate) => one.subject.key === one.issuer.key;
  const others = [...known.filter((one) => !isAnchor(one)).map(({ der }) => der), ...carried];
  const fresh = others.filter(
    (der, at) => !der.equals(signer.der) && others.findIndex((one) => one.equals(der)) === at,
  );
  const verdict = validatePath({
    leaf: signer.der,
    intermediates: fresh.slice(0, MAX_INTERMEDIATES),
    anchors: known.filter(isAnchor).map(({ der }) => ({ der })),
    atMs: genTimeMs,
    purpose: 'timestamp',
    allowRsa: true,
    profile: 'rfc5280',
  });
  if (!verdict.valid) throw refusal('TIME_STAMP_UNTRUSTED', `${verdict.code}: ${verdict.detail}`);
  return verdict.path;
}
