// Requests to time-stamp authorities and their answers (RFC 3161 2.4.1 and 2.4.2; over HTTP: 3.4). Requests are made by us
// and read by the development authority; answers are the authority's, capped, and strict after BER was rewritten.
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { derOfBer } from './ber.ts';
import { type DerReader, openDer, readBoolean, readOid, readSmallInteger, TAG } from './der.ts';
import { derInteger, derOf, derOid, derSequence } from './der-write.ts';
import { HASH_OIDS } from './time-stamp-algorithms.ts';
import { readBoundedInteger, readImprint, type TimeStampInfo } from './time-stamp-info.ts';

/** Longest answer, and longest token, that is read; real ones with their chains are 2 to 12 KiB. */
export const MAX_TIME_STAMP_BYTES = 32 * 1024;
export const MAX_TIME_STAMP_REQUEST_BYTES = 4 * 1024;
/** What openssl, and many authorities, cope with. */
const MAX_NONCE_OCTETS = 32;

/** MessageImprint of a SHA-256 hash. */
function imprintDer(imprint: Uint8Array): Buffer {
  if (imprint.length !== 32) throw new TypeError('an imprint is 32 bytes of SHA-256');
  return derSequence(derSequence(derOid(HASH_OIDS.sha256), derOf(TAG.NULL)), derOf(TAG.OCTET_STRING, imprint));
}

/**
 * A TimeStampReq that asks for the authority's certificates too.
 * @param imprint SHA-256 of what is stamped, 32 bytes
 * @param nonce 1 to 32 unpredictable bytes, a positive integer big-endian
 */
export function makeTimeStampRequest(imprint: Uint8Array, nonce: Uint8Array): Buffer {
  if (nonce.length === 0 || nonce.length > MAX_NONCE_OCTETS) throw new TypeError('a nonce of 1 to 32 bytes');
  return derSequence(derInteger(1), imprintDer(imprint), derInteger(nonce), derOf(TAG.BOOLEAN, Buffer.of(0xff)));
}

export interface TimeStampRequest {
  imprint: TimeStampInfo['imprint'];
  /** Content octets in lower-case hexadecimal; null when there is none. */
  nonceHex: string | null;
  policy: string | null;
  wantsCertificates: boolean;
}

/** @throws TIME_STAMP_MALFORMED also for an unknown hash, for extensions and for what is too long */
export function readTimeStampRequest(der: Uint8Array): TimeStampRequest {
  return asMalformed(() => {
    if (der.length > MAX_TIME_STAMP_REQUEST_BYTES) throw new AccordError('TIME_STAMP_MALFORMED', 'too long');
    const request = openDer(der, TAG.SEQUENCE, 'request');
    if (readSmallInteger(request.take(TAG.INTEGER, 'version')) !== 1) throw malformed('a request of another version');
    const imprint = readImprint(request.open(TAG.SEQUENCE, 'imprint'));
    const policy = request.maybe(TAG.OID);
    const nonceHex = request.peek() === TAG.INTEGER ? readBoundedInteger(request, MAX_NONCE_OCTETS + 1, 'nonce') : null;
    const flag = request.maybe(TAG.BOOLEAN);
    request.end('request');
    const wantsCertificates = flag !== undefined && readBoolean(flag);
    return { imprint, nonceHex, policy: policy === undefined ? null : readOid(policy), wantsCertificates };
  });
}

/** PKIStatus (RFC 3161 2.4.2): only the first two come with a token. */
const GRANTED = [0, 1];

/**
 * The token out of a TimeStampResp, in DER and not yet verified.
 * @throws TIME_STAMP_REFUSED when the authority gave none, with its status and text; TIME_STAMP_MALFORMED
 */
export function readTimeStampResponse(bytes: Uint8Array): Buffer {
  return asMalformed(() => {
    if (bytes.length > MAX_TIME_STAMP_BYTES) throw malformed('an answer that is too long');
    const response = openDer(derOfBer(bytes), TAG.SEQUENCE, 'response');
    const { status, text } = readStatus(response.open(TAG.SEQUENCE, 'status'));
    const token = response.maybe(TAG.SEQUENCE);
    response.end('response');
    if (!GRANTED.includes(status)) throw new AccordError('TIME_STAMP_REFUSED', `status ${status}${text}`);
    if (token === undefined) throw malformed('granted, yet without a token');
    return Buffer.from(token.raw);
  });
}

function readStatus(info: DerReader): { status: number; text: string } {
  const status = readSmallInteger(info.take(TAG.INTEGER, 'status'));
  const texts = info.maybe(TAG.SEQUENCE);
  const failure = info.maybe(TAG.BIT_STRING);
  info.end('status');
  const said = texts === undefined ? '' : `: ${openText(texts.raw)}`;
  return { status, text: `${said}${failure === undefined ? '' : ` (failure ${failure.body.toString('hex')})`}` };
}

/** The first of the texts, as far as it can be shown. */
function openText(der: Buffer): string {
  const list = openDer(der, TAG.SEQUENCE, 'status texts');
  const first = list.take(TAG.UTF8_STRING, 'status text').body;
  return first.toString('utf8').slice(0, 200).replace(/\p{C}/gu, '?');
}

export function malformed(detail: string): AccordError {
  return new AccordError('TIME_STAMP_MALFORMED', detail);
}

/** Runs a reader; what is no DER is a malformed time-stamp to whoever handed it in. */
export function asMalformed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isAccordError(error, 'DER_INVALID')) throw error;
    throw new AccordError('TIME_STAMP_MALFORMED', error.detail, { cause: error });
  }
}
