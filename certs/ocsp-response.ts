// Reads an answer of the Online Certificate Status Protocol (RFC 6960 section 4.2) into a plain record. Structure only;
// who signed it and whether it is current is judged in ocsp.ts. The signature stands over the DER of ResponseData
// (4.2.1); around it BER is read too, because some responders write it. Whoever answers, or hands an answer on, controls
// the bytes.
import { derOfBer } from './ber.ts';
import { CRL_REASONS } from './crl.ts';
import {
  DerReader,
  type DerValue,
  derError,
  openDer,
  readOid,
  readSmallInteger,
  readTime,
  readWholeBits,
  TAG,
} from './der.ts';
import { type CertId, readCertId } from './ocsp-request.ts';
import { extensionList, type RawExtension } from './x509-extensions.ts';
import { type DistinguishedName, readDistinguishedName } from './x509-name.ts';

/** Answers hold one status and a certificate or two; ours take 0.4 to 1.2 KiB, with RSA 2 KiB. */
export const MAX_OCSP_RESPONSE_BYTES: number = 16 * 1024;
const MAX_ANSWERS = 64;
const MAX_CERTIFICATES = 4;
const OID_BASIC = '1.3.6.1.5.5.7.48.1.1';

/** OCSPResponseStatus (4.2.1). */
const RESPONSE_STATUS: Record<number, string> = {
  1: 'malformedRequest',
  2: 'internalError',
  3: 'tryLater',
  5: 'sigRequired',
  6: 'unauthorized',
};

/** RFC 6960 takes over the whole list. */
const REASONS: Record<number, string> = { ...CRL_REASONS, 8: 'removeFromCRL' };

export interface SingleAnswer {
  id: CertId;
  status: 'good' | 'unknown' | { revokedAtMs: number; reason: string; reasonGiven: boolean };
  thisUpdateMs: number;
  /** Null: newer information is available all the time (4.2.2.1). */
  nextUpdateMs: number | null;
  extensions: RawExtension[];
}

export interface BasicAnswer {
  /** ResponseData in DER: what is signed. */
  tbs: Buffer;
  signatureAlgorithm: Buffer;
  signature: Buffer;
  certificates: Buffer[];
  responder: { name: DistinguishedName } | { keyHash: Buffer };
  producedAtMs: number;
  answers: SingleAnswer[];
  extensions: RawExtension[];
}

/**
 * Exactly one answer, or the status with which the responder refused.
 * @throws DER_INVALID
 */
export function readOcspResponse(bytes: Uint8Array): BasicAnswer | { refused: string } {
  if (bytes.length > MAX_OCSP_RESPONSE_BYTES) throw derError('an answer larger than the limit');
  const outer = openDer(derOfBer(bytes), TAG.SEQUENCE, 'answer');
  const status = readSmallInteger(outer.take(TAG.ENUMERATED, 'status of the answer'));
  const wrapper = outer.maybe(0xa0);
  outer.end('answer');
  if (status !== 0) {
    const refused = RESPONSE_STATUS[status];
    if (refused === undefined || wrapper !== undefined) throw derError('a status of this form');
    return { refused };
  }
  if (wrapper === undefined) throw derError('success without an answer');
  const content = openDer(wrapper.body, TAG.SEQUENCE, 'response bytes');
  if (readOid(content.take(TAG.OID, 'type of the answer')) !== OID_BASIC) throw derError('an answer of another type');
  const basic = content.take(TAG.OCTET_STRING, 'answer').body;
  content.end('response bytes');
  return readBasic(derOfBer(basic));
}

// BasicOCSPResponse.
function readBasic(der: Buffer): BasicAnswer {
  const outer = openDer(der, TAG.SEQUENCE, 'basic answer');
  const tbs = outer.take(TAG.SEQUENCE, 'to-be-signed part');
  const signatureAlgorithm = outer.take(TAG.SEQUENCE, 'signature algorithm').raw;
  const signature = readWholeBits(outer.take(TAG.BIT_STRING, 'signature'));
  const wrapper = outer.maybe(0xa0);
  outer.end('basic answer');
  const certificates: Buffer[] = [];
  const list = wrapper && openDer(wrapper.body, TAG.SEQUENCE, 'certificates');
  while (list !== undefined && !list.done) {
    if (certificates.length >= MAX_CERTIFICATES) throw derError('too many certificates');
    certificates.push(list.take(TAG.SEQUENCE, 'certificate').raw);
  }
  return { tbs: tbs.raw, signatureAlgorithm, signature, certificates, ...readResponseData(tbs) };
}

function readResponseData(tbs: DerValue) {
  const inner = new DerReader(tbs.body);
  // Version 1 is the default and is not written; there is no other.
  if (inner.peek() === 0xa0) throw derError('another version');
  const responder = readResponder(inner.next());
  const producedAtMs = readGeneralized(inner);
  const list = inner.open(TAG.SEQUENCE, 'answers');
  const extensions = readWrapped(inner.maybe(0xa1), 'extensions of the answer');
  inner.end('to-be-signed part');
  const answers: SingleAnswer[] = [];
  while (!list.done) {
    if (answers.length >= MAX_ANSWERS) throw derError('too many answers');
    answers.push(readSingle(list.open(TAG.SEQUENCE, 'single answer')));
  }
  if (answers.length === 0) throw derError('an answer about nothing');
  return { responder, producedAtMs, answers, extensions };
}

function readResponder({ tag, body }: DerValue): BasicAnswer['responder'] {
  const inner = new DerReader(body);
  if (tag === 0xa1) {
    const name = readDistinguishedName(inner.next());
    inner.end('name of the responder');
    return { name };
  }
  if (tag !== 0xa2) throw derError('a responder of another form');
  const keyHash = inner.take(TAG.OCTET_STRING, 'key of the responder').body;
  inner.end('key of the responder');
  return { keyHash };
}

function readSingle(inner: DerReader): SingleAnswer {
  const id = readCertId(inner.take(TAG.SEQUENCE, 'certificate identifier'));
  const status = readStatus(inner.next());
  const thisUpdateMs = readGeneralized(inner);
  const wrapper = inner.maybe(0xa0);
  const next = wrapper && new DerReader(wrapper.body);
  const nextUpdateMs = next === undefined ? null : readGeneralized(next);
  next?.end('next update');
  const extensions = readWrapped(inner.maybe(0xa1), 'extensions of a single answer');
  inner.end('single answer');
  return { id, status, thisUpdateMs, nextUpdateMs, extensions };
}

function readStatus({ tag, body }: DerValue): SingleAnswer['status'] {
  if (tag === 0x80 && body.length === 0) return 'good';
  if (tag === 0x82 && body.length === 0) return 'unknown';
  if (tag !== 0xa1) throw derError('a status of another form');
  const inner = new DerReader(body);
  const revokedAtMs = readGeneralized(inner);
  const wrapper = inner.maybe(0xa0);
  inner.end('revocation');
  if (wrapper === undefined) return { revokedAtMs, reason: 'unspecified', reasonGiven: false };
  const holder = new DerReader(wrapper.body);
  const reason = REASONS[readSmallInteger(holder.take(TAG.ENUMERATED, 'reason'))];
  holder.end('reason');
  if (reason === undefined) throw derError('an unknown reason');
  return { revokedAtMs, reason, reasonGiven: true };
}

/** Whole seconds in GeneralizedTime (4.2.2.2.1 of RFC 5280's profile): a fraction is refused. */
function readGeneralized(inner: DerReader): number {
  return readTime(inner.take(TAG.GENERALIZED_TIME, 'time')) * 1000;
}

function readWrapped(wrapper: DerValue | undefined, what: string): RawExtension[] {
  return wrapper === undefined ? [] : extensionList(openDer(wrapper.body, TAG.SEQUENCE, what));
}
