// The certification paths of BoringSSL's test suite, twice: under Accord's own profile and under plain RFC 5280. No path
// that they refuse may be accepted; a path that they accept may be refused only for a reason that stands in the tables.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import t from 'tap';
import { type PathCode, type PathPurpose, type PathRequest, type PathVerdict, validatePath } from '#certs/path.ts';
import { pemCertificates } from '#certs/pem.ts';

const VECTORS = '../shared/vectors/boringssl-chain';

// Purposes of other ecosystems are no purposes here: a caller cannot ask for them.
const FOREIGN_PURPOSE = 'no such purpose in the profile';
const PURPOSES: Record<string, PathPurpose> = {
  SERVER_AUTH: 'server',
  SERVER_AUTH_STRICT: 'server',
  SERVER_AUTH_STRICT_LEAF: 'server',
  CLIENT_AUTH: 'client',
  CLIENT_AUTH_STRICT: 'client',
  CLIENT_AUTH_STRICT_LEAF: 'client',
  ANY_EKU: 'any',
};

type Refused = PathCode | typeof FOREIGN_PURPOSE;

/** Valid vectors that both profiles refuse, and why. */
const STRICTER: Record<string, Refused> = {
  // SHA-1 is in no table.
  'intermediate-eku-server-gated-crypto/sha1-eku-any': 'ALGORITHM_UNSUPPORTED',
  'issuer-and-subject-not-byte-for-byte-equal/anchor': 'ALGORITHM_UNSUPPORTED',
  'issuer-and-subject-not-byte-for-byte-equal/target': 'ALGORITHM_UNSUPPORTED',
  // Content provenance and group messaging are not what keys of an exchange are for.
  'intermediate-eku-c2pamanifest/c2pamanifest': FOREIGN_PURPOSE,
  'intermediate-eku-c2patimestamping/c2patimestamp': FOREIGN_PURPOSE,
  'intermediate-eku-mlsclientauth/mlsclientauth': FOREIGN_PURPOSE,
  // The leaf carries t171.test to t340.test, the CA permits only t0.test to t170.test: not valid by RFC 5280 (upstream
  // does not run this vector, openssl refuses it).
  'many-names/ok-all-types': 'NAME_NOT_PERMITTED',
};

/** What Accord's own profile refuses beyond that: the leniencies that `rfc5280` grants. */
const STRICTER_ACCORD: Record<string, Refused> = {
  ...STRICTER,
  // RFC 5280 4.2.1.9 demands the critical flag of the CA; openssl -x509_strict refuses too.
  'intermediate-basic-constraints-not-critical/main': 'BASIC_CONSTRAINTS_NOT_CRITICAL',
  // anyExtendedKeyUsage does not stand for a purpose; neither does it for openssl.
  'intermediate-eku-any-and-clientauth/serverauth': 'EXTENDED_KEY_USAGE',
  'intermediate-eku-any-and-clientauth/serverauth-strict-leaf': 'EXTENDED_KEY_USAGE',
};

/** Refusals whose reason must be the one the vector is about, so that no accident hides a missing check. */
const REASONS: Record<string, PathCode> = {
  'expired-intermediate/not-after': 'EXPIRED',
  'expired-intermediate/not-before': 'NOT_YET_VALID',
  'expired-root/not-after-ta-with-expiration-and-constraints': 'EXPIRED',
  'expired-root/not-after-ta-with-expiration': 'EXPIRED',
  'expired-root/not-before-ta-with-expiration': 'NOT_YET_VALID',
  'expired-target/not-after': 'EXPIRED',
  'expired-target/not-before': 'NOT_YET_VALID',
  'incorrect-trust-anchor/main': 'ISSUER_NOT_FOUND',
  'intermediate-basic-constraints-ca-false/main': 'NOT_A_CA',
  'intermediate-lacks-basic-constraints/main': 'NOT_A_CA',
  'intermediate-lacks-signing-key-usage/main': 'KEY_USAGE',
  'intermediate-signed-with-sha1/main': 'ALGORITHM_UNSUPPORTED',
  'intermediate-unknown-critical-extension/main': 'EXTENSION_UNKNOWN_CRITICAL',
  'intermediate-eku-clientauth/serverauth': 'EXTENDED_KEY_USAGE',
  'intermediate-eku-server-gated-crypto/sha256-eku-clientAuth': 'EXTENDED_KEY_USAGE',
  'intermediate-eku-server-gated-crypto/sha256-eku-serverAuth': 'EXTENDED_KEY_USAGE',
  'intermediate-eku-mlsclientauth/any': 'EXTENSION_UNKNOWN_CRITICAL',
  'many-names/toomany-all-types': 'NAME_CHECKS_EXHAUSTED',
  'many-names/toomany-dirnames-excluded': 'NAME_CHECKS_EXHAUSTED',
  'many-names/toomany-dirnames-permitted': 'NAME_CHECKS_EXHAUSTED',
  'many-names/toomany-dns-excluded': 'NAME_CHECKS_EXHAUSTED',
  'many-names/toomany-dns-permitted': 'NAME_CHECKS_EXHAUSTED',
  'many-names/toomany-ips-excluded': 'NAME_CHECKS_EXHAUSTED',
  'many-names/toomany-ips-permitted': 'NAME_CHECKS_EXHAUSTED',
};

interface Vector {
  name: string;
  valid: boolean;
  keyPurpose: string;
  request: Omit<PathRequest, 'purpose'>;
}

function readVector(file: string): Vector {
  const [head = '', errors] = readFileSync(file, 'utf8').split('expected_errors:');
  if (errors === undefined) throw new Error(`${file}: no expected_errors`);
  const field = (key: string) => new RegExp(`^${key}: (.*)$`, 'm').exec(head)?.[1] ?? '';
  const trust = field('last_cert_trust');
  const certificates = pemCertificates(readFileSync(join(dirname(file), field('chain')), 'utf8'));
  const time = field('utc_time') === 'DEFAULT' ? '211005120000Z' : field('utc_time');
  const [year, month, day, hour, minute, second] = time.match(/\d\d/g) ?? [];
  if (!trust.startsWith('TRUSTED_ANCHOR')) throw new Error(`${file}: ${trust}`);
  return {
    name: `${basename(dirname(file))}/${basename(file, '.test')}`,
    valid: !/^ERROR:/m.test(errors),
    keyPurpose: field('key_purpose'),
    request: {
      leaf: certificates[0]!,
      intermediates: certificates.slice(1, -1),
      anchors: [
        {
          der: certificates.at(-1)!,
          honourExpiry: trust.includes('EXPIRATION'),
          honourConstraints: trust.includes('CONSTRAINTS'),
        },
      ],
      atMs: Date.parse(`20${year}-${month}-${day}T${hour}:${minute}:${second}Z`),
    },
  };
}

const files = existsSync(VECTORS) ? globSync(`${VECTORS}/*/*.test`).sort() : [];
const options = files.length === 0 ? { skip: `no vectors at ${VECTORS}` } : {};

for (const profile of ['accord', 'rfc5280'] as const) {
  t.test(`chain vectors under the profile ${profile}`, options, async (t) => {
    const counts = { valid: 0, accepted: 0, stricter: 0, refused: 0, falseAccepts: 0 };
    for (const { name, valid, keyPurpose, request } of files.map(readVector)) {
      const purpose = PURPOSES[keyPurpose];
      // The strict purposes of the vectors ask for what is the rule in Accord's profile.
      const by = keyPurpose.endsWith('_STRICT') ? 'accord' : profile;
      const verdict: PathVerdict | undefined =
        purpose && validatePath({ ...request, purpose, allowRsa: true, profile: by });
      const accepted = verdict?.valid === true;
      const code = verdict === undefined ? FOREIGN_PURPOSE : verdict.valid ? undefined : verdict.code;
      const expected = (profile === 'accord' ? STRICTER_ACCORD : STRICTER)[name];
      if (valid) {
        counts.valid += 1;
        counts[accepted ? 'accepted' : 'stricter'] += 1;
        t.equal(code, expected, `${name}: accepted, or refused for the reason in the table`);
      } else {
        counts[accepted ? 'falseAccepts' : 'refused'] += 1;
        t.notOk(accepted, `${name}: refused`);
        if (profile === 'accord' && REASONS[name] !== undefined)
          t.equal(code, REASONS[name], `${name}: for its reason`);
      }
    }
    t.comment(profile, JSON.stringify(counts));
    const expected = profile === 'accord' ? { accepted: 20, stricter: 10 } : { accepted: 23, stricter: 7 };
    t.match(counts, { valid: 30, refused: 46, falseAccepts: 0, ...expected });
  });
}

t.test('without the RSA rows every RSA path is refused', options, async (t) => {
  const codes = new Map<string, number>();
  for (const { keyPurpose, request } of files.map(readVector)) {
    const verdict = validatePath({ ...request, purpose: PURPOSES[keyPurpose] ?? 'any' });
    const code = verdict.valid ? 'accepted' : verdict.code;
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  // Only the elliptic curve chains of the vectors (inspected for any purpose) remain.
  t.equal(codes.get('accepted'), 6);
  t.ok((codes.get('ALGORITHM_UNSUPPORTED') ?? 0) > 50);
});

t.test('vectors that are refused early for a lesser reason are refused for the deeper one too', options, async (t) => {
  const at = (name: string) => readVector(`${VECTORS}/${name}.test`).request;
  const code = (request: Omit<PathRequest, 'purpose'>, profile: 'accord' | 'rfc5280') => {
    const verdict = validatePath({ ...request, purpose: 'server', allowRsa: true, profile });
    return verdict.valid ? 'accepted' : verdict.code;
  };
  // Without key identifiers to tell the issuers apart, the wrong signature itself must be seen.
  t.equal(code(at('intermediate-wrong-signature-no-authority-key-identifier/main'), 'rfc5280'), 'SIGNATURE_INVALID');
  // At the time of this vector the leaf has expired as well.
  const spki = at('intermediate-invalid-spki/main');
  t.equal(code({ ...spki, atMs: Date.parse('2015-06-01T00:00:00Z') }, 'accord'), 'KEY_UNSUPPORTED');
});

t.test('anchors are honoured in full unless the caller says not to', options, async (t) => {
  const { request } = readVector(`${VECTORS}/expired-root/not-after.test`);
  const relaxed = validatePath({ ...request, purpose: 'server', allowRsa: true });
  const honoured = validatePath({
    ...request,
    anchors: [{ der: request.anchors[0]!.der }],
    purpose: 'server',
    allowRsa: true,
  });
  t.equal(relaxed.valid, true);
  t.match(honoured, { valid: false, code: 'EXPIRED' });
});
