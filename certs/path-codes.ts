// Why a certification path is refused: the closed set of codes, one sentence each. A refusal is data, not an exception;
// the codes are shown to administrators (`accord ca verify`), logged, and never change their meaning.

export const PATH_CODES = {
  CERTIFICATE_MALFORMED: 'A certificate is not strict DER of version 3, or exceeds a limit.',
  TOO_MANY_CERTIFICATES: 'More certificates were handed in than one validation looks at.',
  ALGORITHM_UNSUPPORTED: 'A certificate is signed with an algorithm outside the closed table.',
  KEY_UNSUPPORTED: 'A public key is of a kind or size outside the closed table, or not a valid key.',
  SIGNATURE_INVALID: 'A signature does not verify with the key of the named issuer.',
  NOT_YET_VALID: 'A certificate is not valid yet at the time of the check.',
  EXPIRED: 'A certificate has expired at the time of the check.',
  ISSUER_NOT_FOUND: 'No certificate handed in, and no anchor, is the issuer.',
  ANCHOR_INVALID: 'An anchor is not a self-signed certificate under the profile.',
  LEAF_IS_CA: 'The end-entity certificate is a CA certificate.',
  LEAF_IS_ANCHOR: 'The end-entity certificate is itself an anchor.',
  NOT_A_CA: 'An issuer is not a CA: its basic constraints are absent or say so.',
  BASIC_CONSTRAINTS_NOT_CRITICAL: 'The basic constraints of a CA are not marked critical.',
  KEY_USAGE: 'The key usage is absent or does not allow this use.',
  EXTENDED_KEY_USAGE: 'The extended key usage does not allow this purpose.',
  EXTENSION_UNKNOWN_CRITICAL: 'A critical extension is not understood.',
  EXTENSION_REFUSED: 'An extension is understood, but has no place here under the profile.',
  KEY_IDENTIFIER: 'A key identifier that RFC 5280 demands is missing or critical.',
  NAME_EMPTY: 'A subject or issuer is empty where it must not be.',
  NAME_INVALID: 'A name cannot be compared with the constraints that apply to it.',
  NAME_NOT_PERMITTED: 'A name lies outside the permitted subtrees.',
  NAME_EXCLUDED: 'A name lies inside an excluded subtree.',
  NAME_CONSTRAINT_UNSUPPORTED: 'A constraint applies to a kind of name that is not compared.',
  NAME_CHECKS_EXHAUSTED: 'There are more names and constraints than one validation compares.',
  PATH_LENGTH_EXCEEDED: 'A CA stands deeper than the path length of a CA above it allows.',
  PATH_TOO_LONG: 'The path has more certificates than allowed.',
  SEARCH_EXHAUSTED: 'No path was found within the budget of signature checks and steps.',
} as const;

export type PathCode = keyof typeof PATH_CODES;

/** A refusal: the code and which certificate or name it is about. `detail` holds text from certificates. */
export interface PathRefusal {
  code: PathCode;
  detail: string;
}

export function refuse(code: PathCode, detail: string): PathRefusal {
  return { code, detail };
}
