// Tokens of officials: read back by us and by jose, refused alike after any change, and an emergency needs two people.
import fc from 'fast-check';
import * as jose from 'jose';
import t from 'tap';
import {
  signEmergencyEvidence,
  signEmergencyReview,
  signOfficialEvidence,
  verifyEmergencyPair,
  verifyEmergencyReview,
  verifyOfficialEvidence,
} from '#certs/evidence.ts';
import { signCompact } from '#certs/jws.ts';
import { generateKeys } from '#certs/keys.ts';
import { type EmergencyEvidence, EVIDENCE_TYP, type Official } from '#schemas/evidence.ts';
import { isAccordError } from '#schemas/problems.ts';
import { emergencyOf, LI, officialOf, reviewOf, WANG, ZHAO } from './evidence-cases.ts';
import { testKey } from './receipt-cases.ts';

const AT = 1_800_000_000_000;
const ISS = 'DEV/GOV/1002/window';
const [key, second, stranger] = [testKey(), testKey(), testKey()];
const keys = [second, key];
const claims = officialOf(ISS, 'A'.repeat(43), 'AB-12', AT);
const token = signOfficialEvidence(claims, key);
const [opens, confirms] = emergencyOf(ISS, { purpose: 'gx.rescue', services: ['DEV/GOV/1001/population/person'] }, AT);
const pair = [signEmergencyEvidence(opens, key), signEmergencyEvidence(confirms, second)];
const review = signEmergencyReview(reviewOf(opens), second);

/** The code, or `ok`. */
function verdict(verify: () => unknown): string {
  try {
    verify();
    return 'ok';
  } catch (error) {
    if (isAccordError(error)) return error.message;
    throw error;
  }
}

const official = (text: string, held = keys) => verdict(() => verifyOfficialEvidence(text, held));
const emergency = (texts: readonly string[], held = keys) => verdict(() => verifyEmergencyPair(texts, held));
const reviewed = (text: string, held = keys) =>
  verdict(() => verifyEmergencyReview(text, held, { ...opens, officials: [WANG, LI] }));
/** Signed as it stands, whatever it says. */
const raw = (payload: unknown, typ: string, by = key, header = {}) =>
  signCompact(
    Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)),
    { typ, kid: by.kid, ...header },
    { alg: 'ES256', key: by.privateKey },
  );
const REFUSED = 'EVIDENCE_REFUSED';

t.test('each kind is read back, and verified by jose', async (t) => {
  t.same(verifyOfficialEvidence(token, keys), claims);
  t.same(verifyEmergencyPair(pair, keys), { ...opens, officials: [WANG, LI] });
  t.same(verifyEmergencyPair(pair.toReversed(), keys), { ...opens, officials: [WANG, LI] });
  t.same(verifyEmergencyReview(review, keys, { ...opens, officials: [WANG, LI] }), reviewOf(opens));
  const head = { alg: 'ES256', typ: 'accord-evidence+jwt', kid: key.kid };
  t.equal(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString(), JSON.stringify(head));
  const byJose = await jose.compactVerify(token, await jose.importJWK(key.jwk, 'ES256'));
  t.same(JSON.parse(Buffer.from(byJose.payload).toString()), claims);
  const foreign = new jose.SignJWT({ ...claims }).setProtectedHeader(head);
  const made = await Promise.all(Array.from({ length: 8 }, () => foreign.sign(key.privateKey)));
  // A sign-on made with another library signs with a high s half of the time.
  t.same(new Set(made.map((text) => official(text))), new Set(['ok']));
});

t.test('whatever is wrong with a token is told alike', async (t) => {
  const typ = EVIDENCE_TYP.official;
  const p384 = generateKeys('P-384');
  const cases: [string, string, (typeof key)[]?][] = [
    ['not a token', 'x'],
    ['empty', ''],
    ['too large', raw({ ...claims, issue: 'x'.repeat(9000) }, typ)],
    ['key of nobody', signOfficialEvidence(claims, stranger)],
    ['named after another key', signOfficialEvidence(claims, { ...stranger, kid: key.kid })],
    ['no keys', token, []],
    ['another kind of token', pair[0] ?? ''],
    ['another typ', raw(claims, EVIDENCE_TYP.emergency)],
    ['typ in capitals', raw(claims, typ.toUpperCase())],
    ['one more header', raw(claims, typ, key, { iat: 1 })],
    [
      'key of another curve',
      signCompact(Buffer.from(JSON.stringify(claims)), { typ, kid: key.kid }, { alg: 'ES384', key: p384.privateKey }),
    ],
    ['no JSON', raw('{', typ)],
    ['a name twice', raw(JSON.stringify(claims).replace('{', '{"v":1,'), typ)],
    ['one more member', raw({ ...claims, role: 'opens' }, typ)],
    ['one less', raw({ ...claims, issue: undefined }, typ)],
    ['eleven minutes', raw({ ...claims, exp: claims.iat + 660 }, typ)],
    ['ten minutes and a second', raw({ ...claims, exp: claims.iat + 601 }, typ)],
    ['over before it began', raw({ ...claims, exp: claims.iat }, typ)],
    ['no seconds', raw({ ...claims, iat: claims.iat + 0.5 }, typ)],
  ];
  for (const [name, text, held] of cases) t.equal(official(text, held), REFUSED, name);
  t.equal(official(raw({ ...claims, exp: claims.iat + 600 }, typ)), 'ok', 'ten minutes');
  t.equal(official(raw(claims, typ, second)), 'ok', 'any of the keys');
});

t.test('any other character anywhere in any token', async () => {
  const all: [string, (text: string) => string][] = [
    [token, official],
    [pair[0] ?? '', (text) => emergency([text, pair[1] ?? ''])],
    [review, reviewed],
  ];
  for (const [text, judge] of all) {
    const places = fc.tuple(
      fc.nat(text.length),
      fc.constantFrom(...'AZaz09-_.= \n'),
      fc.constantFrom('set', 'insert', 'cut'),
    );
    fc.assert(
      fc.property(places, ([at, character, how]) => {
        const rest = text.slice(how === 'insert' ? at : at + 1);
        const changed = text.slice(0, at) + (how === 'cut' ? '' : character) + rest;
        return changed === text || judge(changed) === REFUSED;
      }),
      { numRuns: 400 },
    );
  }
});

t.test('an emergency: two people of two units on the same terms', async (t) => {
  const half = (change: Partial<EmergencyEvidence>, by = second) =>
    signEmergencyEvidence({ ...confirms, ...change }, by);
  const person = (change: Partial<Official>) => half({ official: { ...LI, ...change } });
  const first = pair[0] ?? '';
  const cases: [string, readonly string[]][] = [
    ['one token', [first]],
    ['none', []],
    ['three', [...pair, half({})]],
    ['one twice', [first, first]],
    ['both open', [first, half({ role: 'opens' })]],
    ['both confirm', [half({}), half({ official: WANG })]],
    ['key of nobody', [first, half({}, stranger)]],
    ['another kind of token', [first, token]],
    ['the same person', [first, person({ id: WANG.id })]],
    ['the same person in full-width digits', [first, person({ id: '１１０１０５００１２３４' })]],
    ['the same person with a blank', [first, person({ id: `${WANG.id} ` })]],
    ['no person', [first, person({ id: ' ' })]],
    ['the same unit', [first, person({ unit: WANG.unit })]],
    ['the same unit in capitals', [first, person({ unit: 'POPULATION OFFICE' })]],
    ['the same unit with blanks', [first, person({ unit: '\tPopulation\u00a0 office\u3000' })]],
    ['the same unit with what nobody sees', [first, person({ unit: 'Popula\u200btion\u00ad office' })]],
    ['the same unit in wide letters', [first, person({ unit: 'Ｐopulation office' })]],
    [
      'the same unit, composed otherwise',
      [
        signEmergencyEvidence({ ...opens, official: { ...WANG, unit: 'Straße é' } }, key),
        person({ unit: 'STRASSE e\u0301' }),
      ],
    ],
    ['no unit', [first, person({ unit: '\u200b' })]],
    ['another emergency', [first, half({ emergency: emergencyOf(ISS, opens, AT)[0].emergency })]],
    ['another department', [first, half({ iss: 'DEV/GOV/1003/window' })]],
    ['another purpose', [first, half({ purpose: 'gx.other' })]],
    ['more services', [first, half({ services: [...opens.services, 'DEV/GOV/1001/population/house'] })]],
    ['more persons', [first, half({ persons: 3 })]],
    ['another reason', [first, half({ reason: 'because' })]],
    ['a later beginning', [first, half({ nbf: confirms.nbf + 1 })]],
    ['another end', [first, half({ exp: confirms.exp - 1 })]],
    [
      'longer than two hours',
      [
        raw({ ...opens, exp: opens.nbf + 7201 }, EVIDENCE_TYP.emergency),
        raw({ ...confirms, exp: opens.nbf + 7201 }, EVIDENCE_TYP.emergency),
      ],
    ],
    ['confirmed after the end', [first, raw({ ...confirms, iat: confirms.exp + 1 }, EVIDENCE_TYP.emergency)]],
    [
      'over before it began',
      [
        raw({ ...opens, nbf: opens.exp }, EVIDENCE_TYP.emergency),
        raw({ ...confirms, nbf: opens.exp }, EVIDENCE_TYP.emergency),
      ],
    ],
  ];
  for (const [name, texts] of cases) t.equal(emergency(texts), REFUSED, name);
  t.equal(
    emergency([first, half({ iat: opens.iat + 1000 }, key)]),
    'ok',
    "confirmed later, with the department's one key",
  );
});

t.test('a review is by a third person, of this emergency', async (t) => {
  const by = (change: object) => signEmergencyReview({ ...reviewOf(opens), ...change }, key);
  t.equal(reviewed(by({ finding: 'not-justified' })), 'ok');
  for (const [name, text] of [
    ['by who opened it', by({ official: { ...ZHAO, id: WANG.id } })],
    ['by who confirmed it', by({ official: { ...ZHAO, id: `${LI.id} ` } })],
    ['of another emergency', by({ emergency: emergencyOf(ISS, opens, AT)[0].emergency })],
    ['of another department', by({ iss: 'DEV/GOV/1003/window' })],
    ['a half of an emergency', pair[0] ?? ''],
    ['key of nobody', signEmergencyReview(reviewOf(opens), stranger)],
  ] as const) {
    t.equal(reviewed(text), REFUSED, name);
  }
});

t.test('nothing is signed that nobody could read', async (t) => {
  for (const [name, sign] of [
    ['no case', () => signOfficialEvidence({ ...claims, issue: '' }, key)],
    ['too long', () => signOfficialEvidence({ ...claims, exp: claims.iat + 601 }, key)],
    ['too long an emergency', () => signEmergencyEvidence({ ...opens, exp: opens.nbf + 7201 }, key)],
    ['no finding', () => signEmergencyReview({ ...reviewOf(opens), text: '' }, key)],
  ] as const) {
    t.match(verdict(sign), /^EVIDENCE_MALFORMED/, name);
  }
  t.throws(() => signOfficialEvidence(claims, { kid: 'x', privateKey: generateKeys('P-384').privateKey }), TypeError);
});
