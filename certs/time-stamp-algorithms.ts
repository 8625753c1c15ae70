// The closed table of what time-stamp tokens may be signed with (RFC 5652 10.1, RFC 4056, RFC 5754, RFC 5758): RSA from
// 2048 bits with PKCS#1 v1.5 or PSS, ECDSA on P-256 or P-384; SHA-256, SHA-384, SHA-512. SHA-1 appears only where RFC
// 2634's signing-certificate attribute has it built in, as a second name of a certificate, never below a signature.
// The token's maker chose the identifiers.
import { constants, verify } from 'node:crypto';
import { isAccordError } from '#schemas/problems.ts';
import { DerReader, openDer, readOid, readSmallInteger, TAG } from './der.ts';
import { derOf, derOid, derSequence } from './der-write.ts';
import type { CertificateKey } from './x509-algorithms.ts';

export type TimeStampHash = 'sha256' | 'sha384' | 'sha512';

export const HASH_OIDS: Readonly<Record<TimeStampHash, string>> = {
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
};
const HASHES = Object.keys(HASH_OIDS) as TimeStampHash[];
export const HASH_OCTETS: Readonly<Record<TimeStampHash, number>> = { sha256: 32, sha384: 48, sha512: 64 };

interface Scheme {
  key: 'rsa' | 'ec';
  padding?: 'pkcs1' | 'pss';
  /** Null where the identifier leaves it to the digest algorithm beside it. */
  hash: TimeStampHash | null;
}

const ID_PSS = '1.2.840.113549.1.1.10';
const ID_MGF1 = '1.2.840.113549.1.1.8';
const SCHEMES: Readonly<Record<string, Scheme>> = {
  '1.2.840.113549.1.1.1': { key: 'rsa', padding: 'pkcs1', hash: null },
  '1.2.840.113549.1.1.11': { key: 'rsa', padding: 'pkcs1', hash: 'sha256' },
  '1.2.840.113549.1.1.12': { key: 'rsa', padding: 'pkcs1', hash: 'sha384' },
  '1.2.840.113549.1.1.13': { key: 'rsa', padding: 'pkcs1', hash: 'sha512' },
  '1.2.840.10045.4.3.2': { key: 'ec', hash: 'sha256' },
  '1.2.840.10045.4.3.3': { key: 'ec', hash: 'sha384' },
  '1.2.840.10045.4.3.4': { key: 'ec', hash: 'sha512' },
};

/** The hash an AlgorithmIdentifier names, parameters absent or NULL (RFC 5754 2); undefined outside the table. */
export function hashOf(algorithm: Uint8Array): TimeStampHash | undefined {
  return quietly(() => {
    const { oid, parameters } = readAlgorithm(algorithm);
    return isBare(parameters) ? HASHES.find((hash) => HASH_OIDS[hash] === oid) : undefined;
  });
}

/**
 * True when `signature` by `key` over `bytes` verifies; undefined when the algorithms are outside the table, do not fit
 * together or do not fit the key.
 */
export function verifyTokenSignature(
  signed: { digestAlgorithm: Buffer; signatureAlgorithm: Buffer; signedBytes: Buffer; signature: Buffer },
  key: CertificateKey,
): boolean | undefined {
  const hash = hashOf(signed.digestAlgorithm);
  const scheme = quietly(() => schemeOf(signed.signatureAlgorithm));
  if (hash === undefined || scheme === undefined || scheme.key !== key.row.kind) return undefined;
  if (scheme.hash !== null && scheme.hash !== hash) return undefined;
  const options =
    scheme.padding === 'pss'
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: HASH_OCTETS[hash] }
      : scheme.padding === 'pkcs1'
        ? { padding: constants.RSA_PKCS1_PADDING }
        : { dsaEncoding: 'der' as const };
  return verify(hash, signed.signedBytes, { key: key.key, ...options }, signed.signature);
}

/** The one spelling of what a token is signed with, which the signature itself does not cover; PSS stays as it is. */
export function plainSignatureAlgorithm({
  digestAlgorithm,
  signatureAlgorithm,
}: {
  digestAlgorithm: Buffer;
  signatureAlgorithm: Buffer;
}): Buffer {
  const hash = hashOf(digestAlgorithm);
  const scheme = quietly(() => schemeOf(signatureAlgorithm));
  if (hash === undefined || scheme === undefined || scheme.padding === 'pss') return signatureAlgorithm;
  const [oid = ''] = Object.entries(SCHEMES).find(([, one]) => one.key === scheme.key && one.hash === hash) ?? [];
  return derSequence(derOid(oid), ...(scheme.key === 'rsa' ? [derOf(TAG.NULL)] : []));
}

function schemeOf(algorithm: Uint8Array): Scheme | undefined {
  const { oid, parameters } = readAlgorithm(algorithm);
  if (oid === ID_PSS) return pssScheme(parameters);
  const scheme = SCHEMES[oid];
  // ECDSA has no parameters (RFC 5758 3.2), RSA has NULL, which some leave out.
  const fits = scheme?.key === 'ec' ? parameters.length === 0 : isBare(parameters);
  return fits ? scheme : undefined;
}

/** RSASSA-PSS-params (RFC 4055 3.1): one hash for both, MGF1, a salt as long as the hash, the default trailer. */
function pssScheme(parameters: Buffer): Scheme | undefined {
  const list = openDer(parameters, TAG.SEQUENCE, 'PSS parameters');
  const hash = hashOf(only(list, 0xa0));
  const mask = readAlgorithm(only(list, 0xa1));
  const salt = new DerReader(only(list, 0xa2)).take(TAG.INTEGER, 'salt length');
  const trailer = list.maybe(0xa3);
  list.end('PSS parameters');
  if (trailer !== undefined && trailer.body.toString('hex') !== '020101') return undefined;
  if (hash === undefined || mask.oid !== ID_MGF1 || hashOf(mask.parameters) !== hash) return undefined;
  return readSmallInteger(salt) === HASH_OCTETS[hash] ? { key: 'rsa', padding: 'pss', hash } : undefined;
}

/** The one value inside an explicit tag. */
function only(list: DerReader, tag: number): Buffer {
  const inner = list.open(tag, 'PSS parameter');
  const { raw } = inner.next();
  inner.end('PSS parameter');
  return raw;
}

function readAlgorithm(algorithm: Uint8Array): { oid: string; parameters: Buffer } {
  const inner = openDer(algorithm, TAG.SEQUENCE, 'algorithm');
  const oid = readOid(inner.take(TAG.OID, 'algorithm identifier'));
  const parameters = inner.done ? Buffer.alloc(0) : inner.next().raw;
  inner.end('algorithm');
  return { oid, parameters };
}

function isBare(parameters: Buffer): boolean {
  return parameters.length === 0 || parameters.toString('hex') === '0500';
}

function quietly<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isAccordError(error, 'DER_INVALID')) return undefined;
    throw error;
  }
}
