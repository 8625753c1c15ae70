// The closed table of algorithms (RFC 7518, RFC 8037): every fact about one stands in its row and nowhere else. There is
// no `none` and no HMAC, and nobody can add a row at run time. What may be used where is a policy's choice among rows;
// only the rows in DEFAULT_SIGNATURE_ALGORITHMS are used without somebody naming them.

export type SignatureAlgorithm =
  | 'ES256'
  | 'ES384'
  | 'EdDSA'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512';

export interface SignatureRow {
  /** node:crypto's `asymmetricKeyType`. */
  keyType: 'ec' | 'ed25519' | 'rsa';
  /** node:crypto's `namedCurve`, for EC keys. */
  namedCurve: 'prime256v1' | 'secp384r1' | null;
  /** The digest handed to node:crypto; Ed25519 has its own inside. */
  hash: 'sha256' | 'sha384' | 'sha512' | null;
  /** RSASSA-PKCS1-v1_5 or RSASSA-PSS (salt as long as the hash, MGF1 with the same hash: RFC 7518 section 3.5). */
  padding: 'pkcs1' | 'pss' | null;
  /** Exact length of the raw signature; for RSA the bounds that the size of the key allows. */
  signatureBytes: readonly [min: number, max: number];
}

/** RSA keys outside these bounds are refused: smaller ones are breakable, larger ones are a way to make us compute. */
export const RSA_BITS = { min: 2048, max: 8192 } as const;

export const SIGNATURE_ALGORITHMS: Readonly<Record<SignatureAlgorithm, SignatureRow>> = {
  ES256: { keyType: 'ec', namedCurve: 'prime256v1', hash: 'sha256', padding: null, signatureBytes: [64, 64] },
  ES384: { keyType: 'ec', namedCurve: 'secp384r1', hash: 'sha384', padding: null, signatureBytes: [96, 96] },
  EdDSA: { keyType: 'ed25519', namedCurve: null, hash: null, padding: null, signatureBytes: [64, 64] },
  RS256: rsa('sha256', 'pkcs1'),
  RS384: rsa('sha384', 'pkcs1'),
  RS512: rsa('sha512', 'pkcs1'),
  PS256: rsa('sha256', 'pss'),
  PS384: rsa('sha384', 'pss'),
  PS512: rsa('sha512', 'pss'),
};

/** What Accord's own statements, configuration and receipts are signed with. */
export const DEFAULT_SIGNATURE_ALGORITHMS: readonly SignatureAlgorithm[] = ['ES256', 'EdDSA'];

/** The one way to wrap a ticket's key (RFC 7518 section 4.6) and the one way to encrypt it (section 5.3). */
export const KEY_AGREEMENT = 'ECDH-ES+A256KW';
export const CONTENT_ENCRYPTION = 'A256GCM';

export interface AgreementCurve {
  kty: 'EC' | 'OKP';
  /** node:crypto's `asymmetricKeyType` and `namedCurve`. */
  keyType: 'ec' | 'x25519';
  namedCurve: 'prime256v1' | null;
}

/** Curves of encryption keys, by their JWK name. */
export const AGREEMENT_CURVES: Readonly<Record<'P-256' | 'X25519', AgreementCurve>> = {
  'P-256': { kty: 'EC', keyType: 'ec', namedCurve: 'prime256v1' },
  X25519: { kty: 'OKP', keyType: 'x25519', namedCurve: null },
};

/** True for the names in the table; `name` comes from a header that anyone may have written. */
export function isSignatureAlgorithm(name: unknown): name is SignatureAlgorithm {
  return typeof name === 'string' && Object.hasOwn(SIGNATURE_ALGORITHMS, name);
}

function rsa(hash: 'sha256' | 'sha384' | 'sha512', padding: 'pkcs1' | 'pss'): SignatureRow {
  return {
    keyType: 'rsa',
    namedCurve: null,
    hash,
    padding,
    signatureBytes: [RSA_BITS.min / 8, RSA_BITS.max / 8],
  };
}
