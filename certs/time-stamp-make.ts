// Makes time-stamp tokens and answers (RFC 3161 2.4.2, RFC 5816): what the development authority says. Requests arrive
// read; key and certificate are the authority's own.
import { createHash, type KeyObject, sign } from 'node:crypto';
import { TAG } from './der.ts';
import { derInteger, derOf, derOid, derSequence, derSetOf } from './der-write.ts';
import { HASH_OIDS, type TimeStampHash } from './time-stamp-algorithms.ts';
import type { TimeStampRequest } from './time-stamp-request.ts';
import { readCertificate } from './x509-read.ts';

export interface TimeStampSigner {
  /** P-256. */
  privateKey: KeyObject;
  /** DER: the signing certificate first, then what helps to its trusted one. */
  certificates: readonly Uint8Array[];
  /** Object identifier of the policy it stamps under. */
  policy: string;
}

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const ID = {
  signedData: '1.2.840.113549.1.7.2',
  tstInfo: '1.2.840.113549.1.9.16.1.4',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingCertificateV2: '1.2.840.113549.1.9.16.2.47',
} as const;

/** The token (ContentInfo) that answers `request`. @param serial unpredictable bytes, at most 20 */
export function makeTimeStampToken(
  signer: TimeStampSigner,
  request: Pick<TimeStampRequest, 'imprint' | 'nonceHex' | 'wantsCertificates'>,
  said: { genTimeMs: number; accuracyMs: number; serial: Uint8Array },
): Buffer {
  const [leaf = Buffer.alloc(0)] = signer.certificates;
  const info = tstInfo(signer.policy, request, said);
  const attributes = derSetOf(TAG.SET, attributesOf(info, leaf));
  const signature = sign('sha256', attributes, { key: signer.privateKey, dsaEncoding: 'der' });
  const { issuer, serialHex } = readCertificate(leaf);
  const sha256 = derSequence(derOid(HASH_OIDS.sha256));
  const signerInfo = derSequence(
    derInteger(1),
    derSequence(issuer.der, derOf(TAG.INTEGER, Buffer.from(serialHex, 'hex'))),
    sha256,
    Buffer.concat([Buffer.of(0xa0), attributes.subarray(1)]),
    derSequence(derOid(ECDSA_WITH_SHA256)),
    derOf(TAG.OCTET_STRING, signature),
  );
  const signedData = derSequence(
    derInteger(3),
    derOf(TAG.SET, sha256),
    derSequence(derOid(ID.tstInfo), derOf(0xa0, derOf(TAG.OCTET_STRING, info))),
    ...(request.wantsCertificates ? [derSetOf(0xa0, signer.certificates)] : []),
    derOf(TAG.SET, signerInfo),
  );
  return derSequence(derOid(ID.signedData), derOf(0xa0, signedData));
}

function attributesOf(info: Buffer, leaf: Uint8Array): Buffer[] {
  const attribute = (type: string, value: Buffer) => derSequence(derOid(type), derOf(TAG.SET, value));
  const leafHash = derOf(TAG.OCTET_STRING, createHash('sha256').update(leaf).digest());
  return [
    attribute(ID.contentType, derOid(ID.tstInfo)),
    attribute(ID.messageDigest, derOf(TAG.OCTET_STRING, createHash('sha256').update(info).digest())),
    // SHA-256 is the default of an ESSCertIDv2 and is not written.
    attribute(ID.signingCertificateV2, derSequence(derSequence(derSequence(leafHash)))),
  ];
}

function tstInfo(
  policy: string,
  { imprint, nonceHex }: { imprint: { hash: TimeStampHash; digest: Buffer }; nonceHex: string | null },
  { genTimeMs, accuracyMs, serial }: { genTimeMs: number; accuracyMs: number; serial: Uint8Array },
): Buffer {
  const algorithm = derSequence(derOid(HASH_OIDS[imprint.hash]), derOf(TAG.NULL));
  return derSequence(
    derInteger(1),
    derOid(policy),
    derSequence(algorithm, derOf(TAG.OCTET_STRING, imprint.digest)),
    derInteger(serial),
    derOf(TAG.GENERALIZED_TIME, Buffer.from(genTimeText(genTimeMs), 'latin1')),
    accuracy(accuracyMs),
    ...(nonceHex === null ? [] : [derOf(TAG.INTEGER, Buffer.from(nonceHex, 'hex'))]),
  );
}

/** Zulu; a fraction without trailing zeros, and none when it is zero. */
function genTimeText(atMs: number): string {
  const [seconds = '', fraction = ''] = new Date(atMs)
    .toISOString()
    .replace(/[-:TZ]/g, '')
    .split('.');
  const rest = fraction.replace(/0+$/, '');
  return rest === '' ? `${seconds}Z` : `${seconds}.${rest}Z`;
}

function accuracy(accuracyMs: number): Buffer {
  const [seconds, millis] = [Math.floor(accuracyMs / 1000), accuracyMs % 1000];
  return derSequence(
    ...(seconds === 0 ? [] : [derInteger(seconds)]),
    ...(millis === 0 ? [] : [Buffer.concat([Buffer.of(0x80), derInteger(millis).subarray(1)])]),
  );
}

/** TimeStampResp with a token. */
export function grantedResponse(token: Uint8Array): Buffer {
  return derSequence(derSequence(derInteger(0)), token);
}

/** PKIFailureInfo bits that are used here (RFC 3161 2.4.2). */
export const FAILURE = { badRequest: 2, unacceptedPolicy: 15, systemFailure: 25 } as const;

/** TimeStampResp without one: status `rejection`. */
export function rejectedResponse(failure: keyof typeof FAILURE, text: string): Buffer {
  const bit = FAILURE[failure];
  const octets = Buffer.alloc(Math.floor(bit / 8) + 1);
  octets[octets.length - 1] = 0x80 >> (bit % 8);
  const texts = derSequence(derOf(TAG.UTF8_STRING, Buffer.from(text, 'utf8')));
  const bits = derOf(TAG.BIT_STRING, Buffer.of(7 - (bit % 8)), octets);
  return derSequence(derSequence(derInteger(2), texts, bits));
}
