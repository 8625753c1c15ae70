// Verifies a JAdES file of ours (jades-form.ts) against the table of the standard's requirements: structure, signature,
// time-stamps and the values beside them, under trust anchors that the caller brings. Not a validation in the sense of
// EN 319 102-1 (no policy, no trusted lists, no rule about the age of revocation data). Whoever hands in the file controls
// every byte; what is found is data, and only what is no such file is refused.
import { X509Certificate } from 'node:crypto';
import { isJsonObject } from '#schemas/json.ts';
import { isAccordError } from '#schemas/problems.ts';
import { isSignatureAlgorithm } from './algorithms.ts';
import { readSignedData } from './cms.ts';
import { type ReadJades, readJades, signatureImprint } from './jades-form.ts';
import { JADES_LEVELS, JADES_REQUIREMENTS, type JadesLevel, type JadesRequirementName } from './jades-requirements.ts';
import { newestList } from './jades-revocation.ts';
import { certificatesIn, chainIn, elementOf, revocationsIn, tokenIn } from './jades-values.ts';
import { verifyInput } from './jws.ts';
import { verifyOcsp } from './ocsp.ts';
import { certificateHash, validatePath } from './path.ts';
import { MAX_INTERMEDIATES } from './path-limits.ts';
import { type VerifiedTimeStamp, verifyTimeStampToken } from './time-stamp.ts';
import { hashOf } from './time-stamp-algorithms.ts';
import { readCertificate } from './x509-read.ts';

export interface JadesTrust {
  /** DER of authorities that certify signers. */
  anchors: readonly Uint8Array[];
  /** DER of the time-stamp authorities: roots, and what helps to them. */
  timeStampCertificates: readonly Uint8Array[];
  nowMs: number;
}

/** `missing`: a lower level is reached without it. `wrong`: what is there is not good. `absent`: and need not be there. */
type State = 'met' | 'absent' | 'missing' | 'wrong';

interface JadesCheck {
  requirement: JadesRequirementName;
  clause: string;
  level: JadesLevel;
  state: State;
  detail: string;
}

export interface JadesVerdict {
  /** Nothing that is there is wrong. */
  isGood: boolean;
  /** The highest level all of whose requirements are met; null below B-B. */
  level: JadesLevel | null;
  signedAtMs: number | null;
  /** Of the first time-stamp over the signature. */
  stampedAtMs: number | null;
  /** SHA-256 of the signing certificate, base64url. */
  certificate: string | null;
  checks: JadesCheck[];
}

type Said = [state: State, detail: string];
const KNOWN_HEADERS: readonly string[] = ['alg', 'typ', 'cty', 'iat', 'x5t#S256', 'x5c'];
const OTHER_REFERENCES: readonly string[] = ['x5t#o', 'sigX5ts'];
const ANNEX_A: readonly string[] = ['xRefs', 'rRefs', 'axRefs', 'arRefs', 'sigRTst', 'rfsTst'];
const KNOWN_ELEMENTS: readonly string[] = ['sigTst', 'xVals', 'rVals', 'tstVD'];
const OCSP_GRACE_MS = 86_400_000;

/** @throws JADES_MALFORMED for what is no such file at all */
export function verifyJades(bytes: Uint8Array, trust: JadesTrust): JadesVerdict {
  return judgeJades(readJades(bytes), trust);
}

function judgeJades(jades: ReadJades, trust: JadesTrust): JadesVerdict {
  const checks: JadesCheck[] = [];
  const check = (requirement: JadesRequirementName, judge: () => Said) => {
    const { clause, level } = JADES_REQUIREMENTS[requirement];
    const [state, detail] = judged(judge);
    checks.push({ requirement, clause, level, state, detail });
    return state;
  };
  checkHeader(jades, check);
  check('etsiU', () => checkElements(jades));
  const signer = findSigner(jades);
  check('signature', () => checkSignature(jades, signer?.der));
  const issuedAt = jades.header['iat'];
  const signedAtMs = Number.isSafeInteger(issuedAt) ? (issuedAt as number) * 1000 : null;
  const path = signer === undefined || signedAtMs === null ? null : pathOf(signer, trust, signedAtMs);
  check('path', () => path?.said ?? ['wrong', 'no signing certificate or time']);
  const stamps = checkStamps(jades, trust, check);
  const found = path?.path ?? [];
  const revokedAtMs = checkValues(jades, signer, found, signedAtMs ?? 0, check);
  check('sigTst time', () => checkStampTime(stamps, found[0], revokedAtMs));
  check('tstVD', () => checkStampValues(jades, stamps));
  check('Annex A', () => {
    const there = jades.unsigned.find(({ name }) => ANNEX_A.includes(name));
    return there === undefined ? ['met', ''] : ['wrong', there.name];
  });
  const reached = JADES_LEVELS.filter((_, at) => isReached(checks, JADES_LEVELS.slice(0, at + 1)));
  return {
    isGood: checks.every(({ state }) => state !== 'wrong'),
    level: reached.at(-1) ?? null,
    signedAtMs,
    stampedAtMs: stamps[0]?.facts.genTimeMs ?? null,
    certificate: signer === undefined ? null : certificateHash(signer.der),
    checks,
  };
}

type Check = (requirement: JadesRequirementName, judge: () => Said) => State;

function isReached(checks: readonly JadesCheck[], levels: readonly JadesLevel[]): boolean {
  return checks.every(({ level, state }) => !levels.includes(level) || state === 'met' || state === 'absent');
}

/** Rubbish inside is a finding. */
function judged(judge: () => Said): Said {
  try {
    return judge();
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return ['wrong', error.detail === '' ? error.code : `${error.code}: ${error.detail}`];
  }
}

function checkHeader({ header }: ReadJades, check: Check): void {
  const { alg, cty, iat, x5c } = header;
  const isAbsent = (name: string): Said => (header[name] === undefined ? ['met', ''] : ['wrong', `${name} is there`]);
  check('alg', () => (isSignatureAlgorithm(alg) ? ['met', alg] : ['wrong', 'none that is known']));
  check('cty', () => {
    if (cty === undefined) return ['absent', ''];
    return typeof cty === 'string' && /^[a-z0-9.+/-]{1,100}$/.test(cty) ? ['met', cty] : ['wrong', 'no media type'];
  });
  check('x5t', () => isAbsent('x5t'));
  check('x5t#S256', () => {
    const named = header['x5t#S256'];
    const isOne = OTHER_REFERENCES.every((name) => header[name] === undefined);
    return isOne && typeof named === 'string' && named.length === 43 ? ['met', named] : ['wrong', 'not x5t#S256 alone'];
  });
  check('x5c', () => {
    if (x5c === undefined) return ['absent', 'the certificates stand in xVals'];
    const [first] = chainIn(header) ?? [];
    const isFirst = first !== undefined && certificateHash(first) === header['x5t#S256'];
    return isFirst ? ['met', ''] : ['wrong', 'it does not begin with the certificate of x5t#S256'];
  });
  check('crit', () => {
    const known = [...KNOWN_HEADERS, ...OTHER_REFERENCES, 'x5t', 'sigT', 'sigD'];
    const other = Object.keys(header).find((name) => !known.includes(name));
    return other === undefined ? ['met', ''] : ['wrong', other];
  });
  check('iat', () => (Number.isSafeInteger(iat) ? ['met', String(iat)] : ['wrong', 'no whole number']));
  check('sigT', () => isAbsent('sigT'));
  check('sigD', () => isAbsent('sigD'));
}

function checkElements({ unsigned }: ReadJades): Said {
  const names = unsigned.map(({ name }) => name);
  const other = names.find((name) => !KNOWN_ELEMENTS.includes(name) && !ANNEX_A.includes(name));
  if (other !== undefined) return ['wrong', `${other} is not known`];
  const twice = names.find((name, at) => name !== 'sigTst' && names.indexOf(name) !== at);
  return twice === undefined ? ['met', names.join(', ')] : ['wrong', `${twice} is there twice`];
}

interface Signer {
  der: Buffer;
  /** What else came with it. */
  others: Buffer[];
}

function findSigner(jades: ReadJades): Signer | undefined {
  const all = [...(chainIn(jades.header) ?? []), ...(certificatesIn(elementOf(jades, 'xVals')) ?? [])];
  const der = all.find((one) => certificateHash(one) === jades.header['x5t#S256']);
  return der && { der, others: all.filter((one) => one !== der) };
}

function checkSignature(jades: ReadJades, certificate: Buffer | undefined): Said {
  const { alg } = jades.header;
  if (certificate === undefined) return ['wrong', 'the certificate of x5t#S256 is not here'];
  if (!isSignatureAlgorithm(alg)) return ['wrong', 'alg'];
  readCertificate(certificate);
  const key = new X509Certificate(certificate).publicKey;
  const input = Buffer.from(`${jades.protected}.${jades.payload}`, 'latin1');
  return verifyInput(input, jades.signatureBytes, alg, key) ? ['met', ''] : ['wrong', 'it does not verify'];
}

function pathOf({ der, others }: Signer, trust: JadesTrust, atMs: number): { path: Uint8Array[]; said: Said } {
  const verdict = validatePath({
    leaf: der,
    intermediates: others.slice(0, MAX_INTERMEDIATES),
    anchors: trust.anchors.map((one) => ({ der: one })),
    atMs,
    purpose: 'sign',
  });
  if (!verdict.valid) return { path: [], said: ['wrong', `${verdict.code}: ${verdict.detail}`] };
  return { path: verdict.path, said: ['met', `${verdict.path.length} certificates`] };
}

interface Stamp {
  token: Buffer;
  facts: VerifiedTimeStamp;
}

function checkStamps(jades: ReadJades, trust: JadesTrust, check: Check): Stamp[] {
  const values = jades.unsigned.filter(({ name }) => name === 'sigTst').map(({ value }) => value);
  check('sigTst', () => (values.length > 0 ? ['met', String(values.length)] : ['missing', 'no time-stamp']));
  const tokens = values.map(tokenIn);
  const areTokens = !tokens.includes(undefined);
  check('sigTst.tstTokens', () => {
    if (values.length === 0) return ['missing', ''];
    return areTokens ? ['met', ''] : ['wrong', 'not one token in val alone'];
  });
  const stamps: Stamp[] = [];
  check('sigTst imprint', () => {
    if (values.length === 0) return ['missing', ''];
    for (const token of tokens) {
      if (token === undefined) return ['wrong', 'not one token'];
      const facts = verifyTimeStampToken(token, signatureImprint(jades), trust.timeStampCertificates, trust.nowMs);
      if (!fitsItself(token, facts.path))
        return ['wrong', 'version, digests or name of the signer do not fit the token'];
      stamps.push({ token, facts });
    }
    return ['met', stamps.map(({ facts }) => facts.signerName).join('; ')];
  });
  return stamps;
}

/**
 * No signature covers version, list of digest algorithms and the signer's name (RFC 5652 5.1, 5.3; the signed attributes name
 * the certificate again), so they are compared with what is there. @param path of the token, its signer's first
 */
function fitsItself(token: Buffer, [certificate]: readonly Uint8Array[]): boolean {
  const { version, digestAlgorithms, hasRevocationData, signer } = readSignedData(token);
  const used = hashOf(signer.digestAlgorithm);
  const areUsed = digestAlgorithms.length > 0 && digestAlgorithms.every((one) => hashOf(one) === used);
  const { identifier } = signer;
  const isNamed =
    'keyId' in identifier ||
    (certificate !== undefined && identifier.issuerDer.equals(readCertificate(certificate).issuer.der));
  return areUsed && isNamed && (version === 3 || (version === 5 && hasRevocationData));
}

/** @returns when the signing certificate was revoked, as far as the values say; null if not */
function checkValues(
  jades: ReadJades,
  signer: Signer | undefined,
  path: readonly Uint8Array[],
  signedAtMs: number,
  check: Check,
): number | null {
  check('xVals', () => {
    const there = certificatesIn(elementOf(jades, 'xVals'));
    if (there === undefined) return ['wrong', 'not a list of X.509 certificates'];
    if (path.length === 0) return ['missing', 'there is no path'];
    const all = signer === undefined ? there : [signer.der, ...signer.others];
    const missing = path.filter((one) => !all.some((other) => other.equals(one)));
    const areOne = all.length === new Set(all.map(certificateHash)).size;
    if (!areOne || all.some((one) => !path.some((other) => one.equals(other))))
      return ['wrong', 'certificates beside the path'];
    return missing.length === 0 ? ['met', ''] : ['missing', `${missing.length} of the path`];
  });
  let revokedAtMs: number | null = null;
  check('rVals', () => {
    const there = revocationsIn(elementOf(jades, 'rVals'));
    if (there === undefined) return ['wrong', 'not lists and OCSP answers'];
    const { crls, ocsp } = there;
    if (path.length === 0) return ['missing', 'there is no path'];
    const answers = ocsp.map((response) =>
      verifyOcsp({ response, path, atMs: signedAtMs, graceMs: OCSP_GRACE_MS, crls }),
    );
    const strange = answers.find(({ status }) => status === 'refused' || status === 'unknown');
    if (strange !== undefined)
      return ['wrong', strange.status === 'refused' ? strange.code : 'an OCSP answer: unknown'];
    const lists = listsFor(path, crls);
    if (crls.some((der) => !lists.some((one) => one?.der === der)))
      return ['wrong', 'a list that is not for this path'];
    const times = [
      ...answers.flatMap((one) => (one.status === 'revoked' ? [one.revokedAtMs] : [])),
      ...lists.flatMap((one) => one?.revokedAtMs ?? []),
    ];
    revokedAtMs = times.length === 0 ? null : Math.min(...times);
    if (revokedAtMs !== null && revokedAtMs <= signedAtMs) return ['wrong', 'revoked before it signed'];
    const bare = lists.filter((one, at) => one === undefined && !(at === 0 && answers.length > 0)).length;
    if (bare > 0) return ['missing', `${bare} of ${lists.length} certificates`];
    return ['met', `${ocsp.length} OCSP answers, ${crls.length} lists`];
  });
  return revokedAtMs;
}

/** One place for each certificate below the anchor. */
function listsFor(path: readonly Uint8Array[], crls: readonly Uint8Array[]) {
  return path.slice(0, -1).map((one, at) => newestList(one, path[at + 1] ?? one, crls));
}

function checkStampTime(stamps: readonly Stamp[], leaf: Uint8Array | undefined, revokedAtMs: number | null): Said {
  if (stamps.length === 0 || leaf === undefined) return ['missing', ''];
  const { notAfterSeconds } = readCertificate(leaf);
  const endMs = Math.min(notAfterSeconds * 1000, revokedAtMs ?? Number.POSITIVE_INFINITY);
  const first = Math.min(...stamps.map(({ facts }) => facts.genTimeMs));
  return first < endMs ? ['met', new Date(first).toISOString()] : ['missing', 'the certificate had ended before'];
}

function checkStampValues(jades: ReadJades, stamps: readonly Stamp[]): Said {
  const value = elementOf(jades, 'tstVD');
  const { xVals, rVals, ...rest } = isJsonObject(value) ? value : {};
  const [certificates, revocations] = [certificatesIn(xVals), revocationsIn(rVals)];
  const isOne = value === undefined || (isJsonObject(value) && Object.keys(value).length > 0);
  if (!isOne || certificates === undefined || revocations === undefined || Object.keys(rest).length > 0) {
    return ['wrong', 'not xVals and rVals'];
  }
  const paths = stamps.map(({ facts }) => facts.path);
  if (certificates.some((one) => !paths.flat().some((other) => one.equals(other)))) {
    return ['wrong', 'certificates beside the path of the time-stamp'];
  }
  const lists = paths.flatMap((path) => listsFor(path, revocations.crls));
  if (revocations.ocsp.length > 0 || revocations.crls.some((der) => !lists.some((one) => one?.der === der))) {
    return ['wrong', 'revocation data that is not for the time-stamp'];
  }
  if (stamps.length === 0) return ['missing', ''];
  const revoked = stamps.some(({ facts }) =>
    listsFor(facts.path, revocations.crls).some(
      (one) => (one?.revokedAtMs ?? Number.POSITIVE_INFINITY) <= facts.genTimeMs,
    ),
  );
  if (revoked) return ['wrong', 'its certificate had been revoked'];
  const known = [...certificates, ...stamps.flatMap(({ token }) => readSignedData(token).certificates)];
  const bare = paths.flat().filter((one) => !known.some((other) => other.equals(one))).length;
  if (bare > 0) return ['missing', `${bare} certificates of its path`];
  const unlisted = lists.filter((one) => one === undefined).length;
  return unlisted === 0
    ? ['met', '']
    : ['missing', 'nothing says whether the certificate of the time-stamp was revoked'];
}
