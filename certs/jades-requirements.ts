// What ETSI TS 119 182-1 V1.2.1 asks of a JAdES signature of the shapes made here (an attached payload, base64url-encoded
// elements in `etsiU`, levels B-B to B-LT), member by member, with its clauses; Table 1 is in clause 6.3. One table: the
// verification, the report of an export, the documentation and the tests go through it.

export type JadesLevel = 'B-B' | 'B-T' | 'B-LT';

interface JadesRequirement {
  clause: string;
  /** The first level that needs it. */
  level: JadesLevel;
  says: string;
}

// biome-ignore format: one row, one line, so that the table stays a table
export const JADES_REQUIREMENTS = {
  alg: { clause: '5.1.2', level: 'B-B', says: 'alg is there and names a digital signature' },
  cty: { clause: '5.1.3', level: 'B-B', says: 'cty, when it is there, is a media type' },
  x5t: { clause: '5.1.6', level: 'B-B', says: 'x5t (SHA-1) is not there' },
  'x5t#S256': { clause: '5.1.7, 5.2.2', level: 'B-B', says: 'exactly one reference to the signing certificate is signed' },
  x5c: { clause: '5.1.8', level: 'B-B', says: 'x5c, when it is there, begins with the signing certificate' },
  crit: { clause: '5.1.9, 5.1.10', level: 'B-B', says: 'neither crit nor b64 nor a member that is not known is there' },
  iat: { clause: '5.1.11', level: 'B-B', says: 'iat is there, a whole number of seconds' },
  sigT: { clause: '5.2.1', level: 'B-B', says: 'sigT is not there: iat took its place' },
  sigD: { clause: '5.2.8.1', level: 'B-B', says: 'sigD is not there: the payload is attached' },
  etsiU: { clause: '5.3.1', level: 'B-B', says: 'etsiU is the one unprotected member, and its elements are known here' },
  signature: { clause: '4', level: 'B-B', says: 'the signature verifies under the referenced certificate (RFC 7515 5.2)' },
  path: { clause: 'EN 319 102-1, 5.2.6', level: 'B-B', says: 'the certificate chains to a given authority at the time of iat' },
  sigTst: { clause: '5.3.4', level: 'B-T', says: 'a time-stamp over the signature is there' },
  'sigTst.tstTokens': { clause: '5.4.3, 6.3 c', level: 'B-T', says: 'each sigTst holds one RFC 3161 token, without canonAlg' },
  'sigTst imprint': { clause: '5.3.4', level: 'B-T', says: 'the imprint is of the base64url-encoded signature value; the token is of a given authority' },
  'sigTst time': { clause: '6.3 d', level: 'B-T', says: 'it was stamped before the signing certificate expired or was revoked' },
  xVals: { clause: '5.3.5.2, 6.3 e', level: 'B-LT', says: 'every certificate of the path is in x5c or xVals, and no other' },
  rVals: { clause: '5.3.5.3, 6.3 i', level: 'B-LT', says: 'a list or an OCSP answer for every certificate of the path below the anchor' },
  tstVD: { clause: '5.3.6.1, 6.3 j', level: 'B-LT', says: 'certificates and revocation data for the time-stamp' },
  'Annex A': { clause: '6.3 f to h, A.1', level: 'B-LT', says: 'no xRefs, rRefs, axRefs, arRefs, sigRTst, rfsTst' },
} as const satisfies Record<string, JadesRequirement>;

export type JadesRequirementName = keyof typeof JADES_REQUIREMENTS;
export const JADES_LEVELS: readonly JadesLevel[] = ['B-B', 'B-T', 'B-LT'];
