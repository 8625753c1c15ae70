// @peculiar/x509, loaded when the first certificate is made. It costs about 140 ms and 15 MB (it brings an ASN.1 schema
// compiler and a dependency container), which a security server, that only reads certificates, must not pay.
import type { KeyObject, webcrypto } from 'node:crypto';
import { AccordError } from '#schemas/problems.ts';

export type X509Library = typeof import('@peculiar/x509');

let loaded: Promise<X509Library> | undefined;

export function loadX509(): Promise<X509Library> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<X509Library> {
  await import('reflect-metadata'); // has to come first: the library's decorators run while it is imported
  return await import('@peculiar/x509');
}

export type AuthorityCurve = 'P-256' | 'P-384';

const CURVES: Record<string, AuthorityCurve> = { prime256v1: 'P-256', secp384r1: 'P-384' };

/** The curve of an EC key, undefined for every key that no certificate of ours is made for (RSA above all). */
export function curveOf(key: KeyObject): AuthorityCurve | undefined {
  return key.asymmetricKeyType === 'ec' ? CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''] : undefined;
}

export interface SigningKey {
  signingKey: webcrypto.CryptoKey;
  signingAlgorithm: { name: 'ECDSA'; hash: 'SHA-256' | 'SHA-384' };
}

/** An EC private key in the library's form; the digest is as long as the curve. @throws KEY_UNSUITABLE */
export function signingKeyOf(privateKey: KeyObject): SigningKey {
  const curve = curveOf(privateKey);
  if (curve === undefined) throw new AccordError('KEY_UNSUITABLE', 'certificates and requests take P-256 or P-384');
  return {
    signingKey: privateKey.toCryptoKey({ name: 'ECDSA', namedCurve: curve }, false, ['sign']),
    signingAlgorithm: { name: 'ECDSA', hash: curve === 'P-256' ? 'SHA-256' : 'SHA-384' },
  };
}

/** PEM (RFC 7468) with the label that belongs there; the library writes `CRL` for `X509 CRL`. */
export function toPem(label: 'CERTIFICATE' | 'CERTIFICATE REQUEST' | 'X509 CRL', der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
