// The published vectors of JWS and of signatures, under Accord's own policy and with the rows for foreign signers enabled.
// Every "valid" vector that is refused is listed with its reason.
import { createPublicKey, verify } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from '#certs/algorithms.ts';
import { isCanonicalRaw, rawToDer } from '#certs/ecdsa-signature.ts';
import { type JwsPolicy, verifyCompact } from '#certs/jws.ts';
import { importPublicJwk, importVerificationJwk } from '#certs/keys.ts';
import { isAccordError } from '#schemas/problems.ts';

const VECTORS = '../shared/vectors';
const needs = (path: string) => ({ skip: existsSync(`${VECTORS}/${path}`) ? false : `${VECTORS}/${path} is not here` });
const vectors = (path: string) => JSON.parse(readFileSync(`${VECTORS}/${path}`, 'utf8'));
const ALL = Object.keys(SIGNATURE_ALGORITHMS) as SignatureAlgorithm[];

/** 'ok', or the code of the refusal; anything but a coded refusal fails the test. */
function verdict(check: () => unknown): string {
  try {
    check();
    return 'ok';
  } catch (error) {
    if (isAccordError(error)) return error.code;
    throw error;
  }
}

t.test('wycheproof json_web_signature', needs('wycheproof/json_web_signature_test.json'), async (t) => {
  // "Valid" vectors that are refused, each with its reason.
  const hmac = {
    code: 'KEY_UNSUITABLE',
    why: 'HMAC is not in the table',
    ids: [1, 348, 352, 357, 358, 359, 372, 373, 376, 377],
  };
  const es512 = {
    code: 'KEY_UNSUITABLE',
    why: 'P-521 is not in the table; the JWK names ES521, which does not exist',
    ids: [347, 351],
  };
  const contradicted = {
    code: 'JWS_ALGORITHM_REFUSED',
    why: 'the JWK declares PS256 and the header PS384, which tcId 338 and 340 call invalid; accepted below without the declaration',
    ids: [346, 350],
  };
  const rsaIds = [33, ...range(259, 275), 287, 288, ...range(320, 323), ...range(325, 328), 345, 346, 349, 350];
  const runs = [
    {
      name: 'default policy',
      policy: { typ: null } as JwsPolicy,
      accepted: 1,
      refused: [
        hmac,
        es512,
        { code: 'JWS_MALFORMED', why: 'high s has a twin', ids: [18] },
        { code: 'JWS_ALGORITHM_REFUSED', why: 'RSA rows are not enabled', ids: rsaIds },
      ],
    },
    {
      name: 'RSA rows enabled, foreign signers',
      policy: { typ: null, algorithms: ALL, allowHighS: true } as JwsPolicy,
      accepted: 32,
      refused: [hmac, es512, contradicted],
    },
  ];
  const { testGroups } = vectors('wycheproof/json_web_signature_test.json');
  for (const { name, policy, accepted, refused } of runs) {
    const seen = { accepted: 0, invalid: 0 };
    for (const group of testGroups) {
      for (const { tcId, jws, result, comment } of group.tests) {
        const text = typeof jws === 'string' ? jws : JSON.stringify(jws);
        const said = verdict(() => verifyCompact(text, importVerificationJwk(group.public ?? group.private), policy));
        if (result === 'valid') {
          const expected = refused.find(({ ids }) => ids.includes(tcId))?.code ?? 'ok';
          if (said !== expected) t.fail(`${name}: tcId ${tcId} ${comment}: ${said}, not ${expected}`);
          if (said === 'ok') seen.accepted++;
        } else {
          seen.invalid++;
          if (said === 'ok') t.fail(`${name}: false accept of tcId ${tcId} ${comment}`);
        }
      }
    }
    t.same(seen, { accepted, invalid: 355 }, name);
    const listed = refused.reduce((sum, { ids }) => sum + ids.length, 0);
    t.equal(accepted + listed, 401 - 355, `${name}: every valid vector is accepted or listed with a reason`);
  }
  for (const group of testGroups) {
    for (const { tcId, jws } of group.tests) {
      if (!contradicted.ids.includes(tcId)) continue;
      const { alg: _, ...bare } = group.public;
      t.ok(verifyCompact(jws, importPublicJwk(bare, 'sig'), { typ: null, algorithms: ['PS384'] }), `tcId ${tcId}`);
    }
  }
});

t.test('wycheproof json_web_key', needs('wycheproof/json_web_key_test.json'), async (t) => {
  // Only one vector of a public key is valid; the other valid ones are HMAC keys, which are refused as such.
  const hmac = [2, 13, 14, 15];
  let seen = 0;
  for (const group of vectors('wycheproof/json_web_key_test.json').testGroups) {
    for (const { tcId, jws, result, comment } of group.tests) {
      const set = (group.public ?? group.private).keys;
      const { kid } = JSON.parse(Buffer.from(jws.split('.')[0], 'base64url').toString());
      const jwk = set.find((key: { kid: string }) => key.kid === kid) ?? set[0];
      const said = verdict(() =>
        verifyCompact(jws, importVerificationJwk(jwk), { typ: null, algorithms: ALL, allowHighS: true }),
      );
      t.equal(said === 'ok', result === 'valid' && !hmac.includes(tcId), `tcId ${tcId} ${comment}: ${said}`);
      seen++;
    }
  }
  t.equal(seen, 26);
});

t.test(
  'wycheproof ed25519 and ecdsa, in a JWS around the same bytes',
  needs('wycheproof/ed25519_test.json'),
  async (t) => {
    // The message of these vectors is not a JWS signing input, so they go to the parts that see signatures: the range
    // and length checks and the library, put together as jws.ts does.
    const files = ['wycheproof/ed25519_test.json', 'wycheproof/ecdsa_secp256r1_sha256_p1363_test.json'];
    const seen = { valid: 0, invalid: 0, high: 0 };
    for (const file of files) {
      for (const group of vectors(file).testGroups) {
        const key = createPublicKey({ key: Buffer.from(group.publicKeyDer, 'hex'), format: 'der', type: 'spki' });
        for (const { tcId, msg, sig, result } of group.tests) {
          const raw = Buffer.from(sig, 'hex');
          const edwards = key.asymmetricKeyType === 'ed25519';
          const low = edwards || isCanonicalRaw(raw, 'prime256v1');
          const inRange = edwards ? raw.length === 64 : isCanonicalRaw(raw, 'prime256v1', true);
          const signature = edwards || !inRange ? raw : rawToDer(raw, 'prime256v1');
          const ok = inRange && verify(edwards ? null : 'sha256', Buffer.from(msg, 'hex'), key, signature);
          if (ok !== (result === 'valid')) t.fail(`${file} tcId ${tcId}`);
          if (ok && low) seen.valid++;
          else if (ok) seen.high++;
          else seen.invalid++;
        }
      }
    }
    t.equal(seen.valid + seen.invalid + seen.high, 151 + 262);
    t.ok(seen.valid > 100 && seen.invalid > 100 && seen.high > 50, JSON.stringify(seen));
  },
);

t.test('RFC 7520 signatures', needs('jose-cookbook/jws'), async (t) => {
  const cases: [string, string][] = [
    ['4_1.rsa_v15_signature', 'ok'],
    ['4_2.rsa-pss_signature', 'ok'],
    ['4_3.ecdsa_signature', 'KEY_UNSUITABLE'], // ES512: P-521 is not in the table
    ['4_4.hmac-sha2_integrity_protection', 'KEY_UNSUITABLE'],
    ['4_5.signature_with_detached_content', 'KEY_UNSUITABLE'], // HMAC too
    ['4_6.protecting_specific_header_fields', 'KEY_UNSUITABLE'],
    ['4_7.protecting_content_only', 'KEY_UNSUITABLE'],
    ['4_8.multiple_signatures', 'JWS_MALFORMED'], // no compact form
  ];
  for (const [name, expected] of cases) {
    const { input, output } = vectors(`jose-cookbook/jws/${name}.json`);
    const jwk = [input.key].flat()[0];
    const { d: _, p, q, dp, dq, qi, alg, ...publicJwk } = jwk;
    const text = output.compact ?? JSON.stringify(output.json ?? output.json_flat);
    const open: JwsPolicy = { typ: null, algorithms: ALL, allowHighS: true };
    t.equal(
      verdict(() => verifyCompact(text, importPublicJwk(publicJwk, 'sig'), open)),
      expected === 'JWS_MALFORMED' ? 'JWS_MALFORMED' : expected,
      name,
    );
    if (output.compact)
      t.not(
        verdict(() => verifyCompact(text, importPublicJwk(publicJwk, 'sig'), { typ: null })),
        'ok',
      );
  }
  const ed = vectors('jose-cookbook/curve25519/jws.json');
  const { d: _, ...edPublic } = ed.input.key;
  t.same(
    verifyCompact(ed.output.compact, importPublicJwk(edPublic, 'sig'), { typ: null }).payload.toString(),
    ed.input.payload,
  );
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
