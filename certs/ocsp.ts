// What an OCSP answer says about one certificate (RFC 6960 section 3.2, RFC 5019 section 4): who signed it, that it speaks
// for this certificate, and that its times fit ours. The answer comes from whoever has an interest in it, the
// certificate's own holder above all; the path is one that `validatePath` found.
//
// Signed by the CA that issued the certificate, or by a responder with id-kp-OCSPSigning in a certificate that this CA
// itself issued (4.2.2.2). Whether such a responder was itself revoked is either excluded by id-pkix-ocsp-nocheck, or
// shown by a list of the CA at hand; a list that names it refuses in both cases.
import { isAccordError } from '#schemas/problems.ts';
import { OID_NO_CHECK } from './authority-contents.ts';
import { DerReader, TAG } from './der.ts';
import { keyHash, namesCertificate } from './ocsp-request.ts';
import { type BasicAnswer, readOcspResponse, type SingleAnswer } from './ocsp-response.ts';
import { validatePath } from './path.ts';
import type { PathProfile } from './path-rules.ts';
import { judgeRevocation } from './revocation.ts';
import { readCertificateKey, signatureAlgorithmName, verifyCertificateSignature } from './x509-algorithms.ts';
import { extensionList, type RawExtension } from './x509-extensions.ts';
import { type Certificate, readCertificate } from './x509-read.ts';

export interface OcspRequest {
  /** The answer's DER, at most 16 KiB. */
  response: Uint8Array;
  /** A validated path, DER, from the certificate asked about to the anchor; two certificates or more. */
  path: readonly Uint8Array[];
  /** The time to judge at, milliseconds since the Unix epoch. */
  atMs: number;
  /** How far the responder's clock may be ahead of ours; default 5 minutes. */
  skewMs?: number;
  /** How old a good answer may be, counted from its thisUpdate; default: only nextUpdate counts. */
  freshnessMs?: number;
  /** How long a good answer still counts when it is over; default 0. */
  graceMs?: number;
  /** Lists of the CA, for a responder without id-pkix-ocsp-nocheck. */
  crls?: readonly Uint8Array[];
  /** Enables the RSA rows of the algorithm table. Default false. */
  allowRsa?: boolean;
  /** Of the responder's certificate; default: Accord's own. */
  profile?: PathProfile;
}

/** Why an answer says nothing. */
export const OCSP_CODES = {
  OCSP_MALFORMED: 'The answer is no OCSP response, larger than the limit, or has bytes behind it.',
  OCSP_REFUSED: 'The responder did not answer: its status stands in the detail.',
  OCSP_EXTENSION_CRITICAL: 'The answer has a critical extension.',
  OCSP_CERTIFICATE_MISMATCH: 'The answer does not speak for this certificate, or speaks twice.',
  OCSP_ALGORITHM_UNSUPPORTED: 'The signature or key is outside the closed table.',
  OCSP_RESPONDER_UNAUTHORISED: 'Who signed is neither the issuer nor a responder that the issuer appointed.',
  OCSP_RESPONDER_UNCHECKED: 'The responder may be revoked: there is neither id-pkix-ocsp-nocheck nor a list.',
  OCSP_RESPONDER_REVOKED: 'The responder is revoked.',
  OCSP_SIGNATURE_INVALID: 'The signature does not verify.',
  OCSP_TIMES_WRONG: 'The times of the answer contradict each other.',
  OCSP_NOT_YET_VALID: 'The answer begins in the future.',
  OCSP_STALE: 'The answer is too old.',
} as const;

type OcspCode = keyof typeof OCSP_CODES;

interface Times {
  thisUpdateMs: number;
  producedAtMs: number;
  /** Until when a good answer counts without grace. */
  endsMs: number;
}

/**
 * `good` holds until `endsMs`, in grace after it. `revoked` holds whatever the time; `unknown`: the responder does not
 * know the certificate; `refused`: the answer says nothing at all.
 */
export type OcspVerdict =
  | ({ status: 'good'; inGrace: boolean } & Times)
  | ({ status: 'revoked'; revokedAtMs: number; reason: string; reasonGiven: boolean } & Times)
  | ({ status: 'unknown' } & Times)
  | { status: 'refused'; code: OcspCode; detail: string };

const DEFAULT_SKEW_MS = 5 * 60_000;

/** Nothing that is in the answer makes it throw. @throws TypeError for a path or time that is none */
export function verifyOcsp(request: OcspRequest): OcspVerdict {
  const { path, atMs } = request;
  if (path.length < 2 || !Number.isFinite(atMs)) throw new TypeError('a validated path and a time');
  try {
    const answer = readOcspResponse(request.response);
    if ('refused' in answer) return refuse('OCSP_REFUSED', answer.refused);
    return judge(answer, request);
  } catch (error) {
    if (isAccordError(error, 'DER_INVALID')) return refuse('OCSP_MALFORMED', error.detail);
    throw error;
  }
}

function refuse(code: OcspCode, detail: string): Extract<OcspVerdict, { status: 'refused' }> {
  return { status: 'refused', code, detail };
}

// The signature comes before anything inside is believed, but for what is needed to find who signed.
function judge(answer: BasicAnswer, request: OcspRequest): OcspVerdict {
  const certificate = readCertificate(request.path[0] as Uint8Array);
  const issuer = readCertificate(request.path[1] as Uint8Array);
  const refusal = checkSigner(answer, issuer, request);
  if (refusal !== undefined) return refusal;
  const critical = [answer, ...answer.answers].flatMap(({ extensions }) => extensions).find((one) => one.critical);
  if (critical !== undefined) return refuse('OCSP_EXTENSION_CRITICAL', critical.oid);
  const named = answer.answers.filter(({ id }) => namesCertificate(id, certificate.serialHex, issuer));
  const [single, second] = named;
  if (single === undefined || second !== undefined) {
    return refuse('OCSP_CERTIFICATE_MISMATCH', `${named.length} answers for it`);
  }
  return judgeTimes(single, answer.producedAtMs, request);
}

function judgeTimes(single: SingleAnswer, producedAtMs: number, request: OcspRequest): OcspVerdict {
  const { atMs, skewMs = DEFAULT_SKEW_MS, freshnessMs = Number.POSITIVE_INFINITY, graceMs = 0 } = request;
  const { status, thisUpdateMs, nextUpdateMs } = single;
  if (nextUpdateMs !== null && nextUpdateMs < thisUpdateMs)
    return refuse('OCSP_TIMES_WRONG', 'next before this update');
  if (producedAtMs < thisUpdateMs) return refuse('OCSP_TIMES_WRONG', 'made before what it knows');
  if (thisUpdateMs > atMs + skewMs || producedAtMs > atMs + skewMs) {
    return refuse('OCSP_NOT_YET_VALID', 'made in the future');
  }
  // Without a next update the answer was true when it was made; the freshness says how long that is enough.
  const endsMs = Math.min(
    nextUpdateMs ?? (Number.isFinite(freshnessMs) ? Infinity : thisUpdateMs + skewMs),
    thisUpdateMs + freshnessMs,
  );
  const times = { thisUpdateMs, producedAtMs, endsMs };
  if (typeof status === 'object') return { status: 'revoked', ...status, ...times };
  if (atMs > endsMs + graceMs) return refuse('OCSP_STALE', `over since ${Math.round((atMs - endsMs) / 1000)} s`);
  return status === 'unknown' ? { status, ...times } : { status, inGrace: atMs > endsMs, ...times };
}

function checkSigner(answer: BasicAnswer, issuer: Certificate, request: OcspRequest): OcspVerdict | undefined {
  const allowRsa = request.allowRsa ?? false;
  if (signatureAlgorithmName(answer.signatureAlgorithm, allowRsa) === undefined) {
    return refuse('OCSP_ALGORITHM_UNSUPPORTED', 'signature algorithm');
  }
  if (isResponder(answer, issuer)) {
    const byIssuer = checkSignature(answer, issuer, allowRsa);
    // A responder may bear its CA's name: then its own certificate lies in the answer.
    if (byIssuer === undefined || answer.certificates.length === 0) return byIssuer;
  }
  return checkDelegated(answer, request, allowRsa);
}

function checkDelegated(answer: BasicAnswer, request: OcspRequest, allowRsa: boolean): OcspVerdict | undefined {
  let refusal: OcspVerdict = refuse('OCSP_RESPONDER_UNAUTHORISED', 'no certificate of the responder');
  for (const der of answer.certificates) {
    const candidate = readOrNone(der);
    if (candidate === undefined) return refuse('OCSP_MALFORMED', 'a certificate in the answer');
    if (!isResponder(answer, candidate)) continue;
    const found =
      checkAppointed(der, request, allowRsa) ??
      checkSignature(answer, candidate, allowRsa) ??
      checkResponderStatus(candidate, request);
    if (found === undefined) return undefined;
    refusal = found;
  }
  return refusal;
}

function readOrNone(der: Buffer): Certificate | undefined {
  try {
    return readCertificate(der);
  } catch (error) {
    if (isAccordError(error, 'CERTIFICATE_MALFORMED')) return undefined;
    throw error;
  }
}

function isResponder({ responder }: BasicAnswer, candidate: Certificate): boolean {
  if ('name' in responder) return responder.name.key === candidate.subject.key;
  return responder.keyHash.equals(keyHash('sha1', candidate.publicKeyInfo));
}

function checkSignature(answer: BasicAnswer, signer: Certificate, allowRsa: boolean): OcspVerdict | undefined {
  const key = readCertificateKey(signer.publicKeyInfo, allowRsa);
  if (key === undefined) return refuse('OCSP_ALGORITHM_UNSUPPORTED', 'key of the responder');
  const { signatureAlgorithm, signature, tbs } = answer;
  if (verifyCertificateSignature(signatureAlgorithm, key, tbs, signature)) return undefined;
  return refuse('OCSP_SIGNATURE_INVALID', signer.subject.text);
}

// The CA that issued the certificate issued the responder's too, itself: not one above it, and no other below the anchor.
function checkAppointed(leaf: Buffer, request: OcspRequest, allowRsa: boolean): OcspVerdict | undefined {
  const { path, atMs } = request;
  const above = path.slice(1).map((der) => Buffer.from(der));
  const [issuer, anchor] = [above[0] as Buffer, above.at(-1) as Buffer];
  const verdict = validatePath({
    leaf,
    intermediates: above.slice(0, -1),
    anchors: [{ der: anchor }],
    atMs,
    purpose: 'ocsp',
    allowRsa,
    profile: request.profile ?? 'accord',
  });
  if (!verdict.valid) return refuse('OCSP_RESPONDER_UNAUTHORISED', verdict.code);
  if (issuer.equals(verdict.path[1] as Uint8Array)) return undefined;
  return refuse('OCSP_RESPONDER_UNAUTHORISED', 'appointed by another authority');
}

function checkResponderStatus(responder: Certificate, request: OcspRequest): OcspVerdict | undefined {
  const { path, crls = [], atMs, allowRsa } = request;
  const said = judgeRevocation(responder.der, path[1] as Uint8Array, crls, atMs, allowRsa);
  if (said.status === 'revoked') return refuse('OCSP_RESPONDER_REVOKED', responder.subject.text);
  const listed = said.status === 'good' && atMs <= said.nextUpdateMs;
  return listed || hasNoCheck(responder) ? undefined : refuse('OCSP_RESPONDER_UNCHECKED', responder.subject.text);
}

/** id-pkix-ocsp-nocheck (4.2.2.2.1), whose value is NULL. */
function hasNoCheck({ extensions, tbs }: Certificate): boolean {
  if (!extensions.critical.has(OID_NO_CHECK)) return false;
  const inner = new DerReader(new DerReader(tbs).next().body);
  while (inner.peek() !== 0xa3) inner.next();
  const list: RawExtension[] = extensionList(inner.open(0xa3, 'extensions').open(TAG.SEQUENCE, 'extensions'));
  return list.some(({ oid, value }) => oid === OID_NO_CHECK && value.equals(Buffer.of(TAG.NULL, 0)));
}
