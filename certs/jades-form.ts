// JAdES signatures (ETSI TS 119 182-1 V1.2.1) as files: the flattened JSON serialization of a JWS (RFC 7515 7.2.2) whose
// unprotected header has one member, `etsiU` (clause 5.3.1), with its elements base64url-encoded. Two ways to make one: a
// signature that already exists is put into this serialization as it is, or bytes are signed anew. The reader takes one
// spelling only, ours, so that no byte of a file can change unseen; it believes nothing. Whoever hands in a file controls
// all of it.
import { createHash, type KeyObject } from 'node:crypto';
import { base64url, fromBase64url } from '#schemas/base64url.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJson, parseJsonObject } from '#schemas/json.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { signInput } from './jws.ts';
import { keyAlgorithm } from './keys.ts';
import { certificateHash } from './path.ts';

/** Two chains, an OCSP answer and some revocation lists of the largest kind, base64 within base64. */
export const MAX_JADES_BYTES = 48 * 1024 * 1024;

/** The three parts of a JWS, base64url as they were signed. */
export interface JadesParts {
  protected: string;
  payload: string;
  signature: string;
}

/** What is known beside a signature (clauses 5.3.4 to 5.3.6), all DER. Empty lists are left out. */
export interface JadesValues {
  /** RFC 3161 tokens over the signature, each in a `sigTst` of its own (clause 6.3, c). */
  signatureTimeStamps: readonly Uint8Array[];
  /** `xVals`: what is missing in `x5c` of the path from the signing certificate to the anchor. */
  certificates: readonly Uint8Array[];
  /** `rVals`, for the certificates of that path. */
  crls: readonly Uint8Array[];
  ocsp: readonly Uint8Array[];
  /** `tstVD`: the same for the time-stamps. */
  timeStampCertificates: readonly Uint8Array[];
  timeStampCrls: readonly Uint8Array[];
}

export const NO_VALUES: JadesValues = {
  signatureTimeStamps: [],
  certificates: [],
  crls: [],
  ocsp: [],
  timeStampCertificates: [],
  timeStampCrls: [],
};

/** A file that was read; nothing in it is verified. */
export interface ReadJades extends JadesParts {
  header: JsonObject;
  payloadBytes: Buffer;
  signatureBytes: Buffer;
  /** The elements of `etsiU` in their order: each has one name. */
  unsigned: readonly { name: string; value: JsonValue }[];
}

/** The parts of a compact JWS. */
export function partsOfCompact(jws: string): JadesParts {
  const [protectedHeader = '', payload = '', signature = ''] = jws.split('.');
  return { protected: protectedHeader, payload, signature };
}

/**
 * Signs bytes as an attached payload: no `sigD`, hence no `crit`, so that any reader of RFC 7515 can verify it.
 * @param path DER, from the signing certificate upwards without the anchor
 * @param contentType `cty`, without `application/` (RFC 7515 4.1.10)
 * @param issuedAtSeconds `iat` (clause 5.1.11): a whole number, in place of `sigT`
 */
export function signJades(
  payload: Uint8Array,
  { key, path }: { key: KeyObject; path: readonly Uint8Array[] },
  contentType: string,
  issuedAtSeconds: number,
): JadesParts {
  const [certificate] = path;
  if (certificate === undefined || !Number.isSafeInteger(issuedAtSeconds))
    throw new TypeError('no certificate or time');
  const alg = keyAlgorithm(key);
  const header = {
    ...{ alg, typ: 'jose+json', cty: contentType, iat: issuedAtSeconds },
    'x5t#S256': certificateHash(certificate),
    x5c: path.map(base64),
  };
  const parts = { protected: base64url(Buffer.from(JSON.stringify(header))), payload: base64url(payload) };
  const signature = signInput(Buffer.from(`${parts.protected}.${parts.payload}`), { alg, key });
  return { ...parts, signature: base64url(signature) };
}

/** What a time-stamp of `sigTst` is over (clause 5.3.4): SHA-256 of the signature value as it is spelled. */
export function signatureImprint({ signature }: Pick<JadesParts, 'signature'>): Buffer {
  return createHash('sha256').update(signature, 'latin1').digest();
}

/** The file. @throws TypeError when there is nothing beside the signature: `etsiU` is never empty (clause 5.3.1) */
export function encodeJades({ payload, protected: signed, signature }: JadesParts, values: JadesValues): Buffer {
  const stamps = values.signatureTimeStamps.map((token) => ({ sigTst: { tstTokens: [{ val: base64(token) }] } }));
  const certificates = certificateValues(values.certificates);
  const revocations = revocationValues(values.crls, values.ocsp);
  const forStamps = {
    ...certificateValues(values.timeStampCertificates),
    ...revocationValues(values.timeStampCrls, []),
  };
  const elements = [
    ...stamps,
    certificates,
    revocations,
    Object.keys(forStamps).length > 0 ? { tstVD: forStamps } : {},
  ];
  const etsiU = elements.filter((one) => Object.keys(one).length > 0).map(encodeElement);
  if (etsiU.length === 0) throw new TypeError('nothing to put beside the signature');
  return Buffer.from(`${JSON.stringify({ payload, protected: signed, header: { etsiU }, signature })}\n`);
}

function certificateValues(ders: readonly Uint8Array[]): JsonObject {
  return ders.length === 0 ? {} : { xVals: ders.map((der) => ({ x509Cert: { val: base64(der) } })) };
}

function revocationValues(crls: readonly Uint8Array[], ocsp: readonly Uint8Array[]): JsonObject {
  if (crls.length + ocsp.length === 0) return {};
  const values = (ders: readonly Uint8Array[]) => ders.map((der) => ({ val: base64(der) }));
  return {
    rVals: { ...(crls.length > 0 && { crlVals: values(crls) }), ...(ocsp.length > 0 && { ocspVals: values(ocsp) }) },
  };
}

function encodeElement(element: JsonObject): string {
  return base64url(Buffer.from(JSON.stringify(element)));
}

/** Values of `val` members are base64 with padding (Annex B, `contentEncoding`), not base64url. */
function base64(der: Uint8Array): string {
  return Buffer.from(der).toString('base64');
}

/** Reads a file in our one spelling. @throws JADES_MALFORMED */
export function readJades(bytes: Uint8Array): ReadJades {
  try {
    const text = Buffer.from(bytes).toString('latin1');
    const file = parseJsonObject(bytes, { maxBytes: MAX_JADES_BYTES, maxDepth: 3, maxValues: 64 });
    const { payload, protected: signed, signature, header } = file;
    const etsiU = isJsonObject(header) ? header['etsiU'] : undefined;
    if (!areTexts([payload, signed, signature]) || !Array.isArray(etsiU) || etsiU.length === 0 || !areTexts(etsiU)) {
      throw malformed('not the members of a flattened JWS with etsiU');
    }
    const respelled = JSON.stringify({ payload, protected: signed, header: { etsiU }, signature });
    if (text !== `${respelled}\n`) throw malformed('another spelling, or members that are not known');
    const parts = { payload, protected: signed, signature } as unknown as JadesParts;
    return {
      ...parts,
      header: parseJsonObject(fromBase64url(parts.protected), { maxBytes: 256 * 1024, maxDepth: 4, maxValues: 256 }),
      payloadBytes: fromBase64url(parts.payload),
      signatureBytes: fromBase64url(parts.signature),
      unsigned: (etsiU as string[]).map(readElement),
    };
  } catch (error) {
    if (isAccordError(error, 'JADES_MALFORMED')) throw error;
    if (isAccordError(error)) throw malformed(error.code);
    throw error;
  }
}

function malformed(detail: string): AccordError {
  return new AccordError('JADES_MALFORMED', detail);
}

function areTexts(values: readonly (JsonValue | undefined)[]): boolean {
  return values.every((one) => typeof one === 'string');
}

function readElement(text: string): { name: string; value: JsonValue } {
  const bytes = fromBase64url(text);
  const element = parseJson(bytes, { maxBytes: MAX_JADES_BYTES, maxDepth: 8, maxValues: 1_000 });
  const [entry, second] = isJsonObject(element) ? Object.entries(element) : [];
  if (entry === undefined || second !== undefined || JSON.stringify(element) !== bytes.toString('utf8')) {
    throw malformed('an element of etsiU is not one named value in its shortest spelling');
  }
  const [name, value] = entry;
  return { name, value };
}

/** One DER value (`pkiOb`, clause 5.4.2, or a token, 5.4.3.3) with `val` alone; undefined for anything else. */
export function readValue(value: JsonValue | undefined): Buffer | undefined {
  if (!isJsonObject(value)) return undefined;
  const { val, ...rest } = value;
  if (typeof val !== 'string' || Object.keys(rest).length > 0) return undefined;
  const der = Buffer.from(val, 'base64');
  return der.length > 0 && base64(der) === val ? der : undefined;
}
