// Receipts and what is sealed in them: one text each, readable by jose, refused after any change, and of no use to anybody
// who would join two of them.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import * as jose from 'jose';
import t from 'tap';
import { signCompact } from '#certs/jws.ts';
import { generateKeys } from '#certs/keys.ts';
import { pseudonymOf } from '#certs/pseudonym.ts';
import { readReceipt, signReceipt, verifyReceipt } from '#certs/receipt.ts';
import { openSubject, sealSubject } from '#certs/sealed-subject.ts';
import { isAccordError } from '#schemas/problems.ts';
import { RECEIPT_TYP, type Receipt } from '#schemas/receipt.ts';
import { receiptOf, testKey } from './receipt-cases.ts';

const [signer, other, subjectKey, secondSubjectKey] = [testKey(), testKey(), testKey(), testKey()];
const secret = randomBytes(32);
const PERSON = { scheme: 'gx.person.id_number@1', value: '110101199003074514' };
const receipt = receiptOf(PERSON, 'DEV/GOV/1001/client', [subjectKey, secondSubjectKey], secret);
const text = signReceipt(receipt, signer);
const b64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** The code, or what the text amounts to. */
function verdict(judged: string): string {
  try {
    readReceipt(judged);
    return verifyReceipt(judged, [other, signer]) ? 'ok' : 'not signed';
  } catch (error) {
    if (isAccordError(error)) return error.code;
    throw error;
  }
}

function opened(jwe: string, keys = [subjectKey]): string {
  try {
    return openSubject(jwe, keys).value;
  } catch (error) {
    if (isAccordError(error)) return error.code;
    throw error;
  }
}

/** `text` with another character at one place; every place and every character of the alphabet, and some beside it. */
const changed = (original: string) =>
  fc
    .tuple(fc.nat(original.length - 1), fc.constantFrom(...'ABCXYZabcxyz0189-_.= +/'))
    .filter(([at, character]) => original[at] !== character)
    .map(([at, character]) => original.slice(0, at) + character + original.slice(at + 1));

t.test('a receipt is read back, and verified by us and by jose', async (t) => {
  const read = readReceipt(text);
  t.same(read.receipt, receipt);
  t.equal(read.kid, signer.kid);
  t.equal(verdict(text), 'ok');
  t.equal(
    Buffer.from(text.split('.')[0] ?? '', 'base64url').toString(),
    JSON.stringify({ alg: 'ES256', typ: RECEIPT_TYP, kid: signer.kid }),
  );
  const byJose = await jose.compactVerify(text, await jose.importJWK(signer.jwk, 'ES256'));
  t.same(JSON.parse(Buffer.from(byJose.payload).toString()), receipt);
  t.equal(read.hash, Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(text))).toString('base64url'));
  // And what jose signs we read; its signature has a twin half of the time, which we refuse.
  const header = { alg: 'ES256', typ: RECEIPT_TYP, kid: signer.kid };
  for (let low = 0; low < 1; ) {
    const made = await new jose.CompactSign(Buffer.from(JSON.stringify(receipt)))
      .setProtectedHeader(header)
      .sign(signer.privateKey);
    const found = verdict(made);
    t.ok(['ok', 'JWS_MALFORMED'].includes(found));
    if (found === 'ok') low += 1;
  }
  t.equal(verifyReceipt(text, []), false);
  t.equal(verifyReceipt(text, [{ kid: signer.kid, jwk: other.jwk }]), false, 'the name is not the key');
  t.equal(
    verifyReceipt(text, [{ kid: signer.kid, jwk: { ...signer.jwk, y: signer.jwk.x } }]),
    false,
    'no point of the curve',
  );
});

t.test('other texts are refused', async (t) => {
  const key = { alg: 'ES256', key: signer.privateKey } as const;
  const signed = (payload: unknown, header: Record<string, string> = { kid: signer.kid }, typ = RECEIPT_TYP) =>
    signCompact(Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)), { typ, ...header }, key);
  const [head = '', payload = '', signature = ''] = text.split('.');
  const ed25519 = { alg: 'EdDSA', key: generateKeys('Ed25519').privateKey } as const;
  const without = ({ uses: _, ...rest }: Receipt) => rest;
  const cases: [name: string, text: string, code: string][] = [
    ['another type', signed(receipt, { kid: signer.kid }, 'statuslist+jwt'), 'JWS_HEADER_REFUSED'],
    ['a key id too few', signed(receipt, {}), 'JWS_HEADER_REFUSED'],
    ['a header too many', signed(receipt, { kid: signer.kid, iat: '1' }), 'JWS_HEADER_REFUSED'],
    [
      'another algorithm',
      signCompact(Buffer.from(JSON.stringify(receipt)), { typ: RECEIPT_TYP, kid: signer.kid }, ed25519),
      'JWS_ALGORITHM_REFUSED',
    ],
    ['no algorithm', `${b64({ alg: 'none', typ: RECEIPT_TYP, kid: signer.kid })}.${payload}.`, 'JWS_ALGORITHM_REFUSED'],
    ['signed by nobody we know', signReceipt(receipt, { ...testKey(), kid: signer.kid }), 'not signed'],
    ['under an unknown name', signReceipt(receipt, testKey()), 'not signed'],
    ['padded', `${head}=.${payload}.${signature}`, 'JWS_MALFORMED'],
    ['white space', `${text} `, 'JWS_MALFORMED'],
    ['four parts', `${text}.`, 'JWS_MALFORMED'],
    ['a claim too many', signed({ ...receipt, admin: true }), 'RECEIPT_MALFORMED'],
    ['a claim too few', signed(without(receipt)), 'RECEIPT_MALFORMED'],
    ['a claim twice', signed(JSON.stringify(receipt).replace('"v":1', '"v":1,"v":1')), 'RECEIPT_MALFORMED'],
    ['another version', signed({ ...receipt, v: 2 }), 'RECEIPT_MALFORMED'],
    ['somebody acted', signed({ ...receipt, actor: receipt.sub }), 'ok'],
    ['nobody acted', signed({ ...receipt, actor: null }), 'ok'],
    ['who acted, by name', signed({ ...receipt, actor: 'Li Hua' }), 'RECEIPT_MALFORMED'],
    ['how often within its days', signed({ ...receipt, frequency: { uses: 3, days: 30 } }), 'ok'],
    ['at the edges', signed({ ...receipt, frequency: { uses: 10_000, days: 366 } }), 'ok'],
    ['no frequency, but said', signed({ ...receipt, frequency: null }), 'RECEIPT_MALFORMED'],
    ...[
      { uses: 0, days: 30 },
      { uses: 10_001, days: 30 },
      { uses: 1.5, days: 30 },
      { uses: 3, days: 0 },
      { uses: 3, days: 367 },
      { uses: 3 },
      { uses: 3, days: 30, from: 0 },
    ].map((frequency): [string, string, string] => [
      `a frequency of ${JSON.stringify(frequency)}`,
      signed({ ...receipt, frequency }),
      'RECEIPT_MALFORMED',
    ]),
    ['no element', signed({ ...receipt, elements: [] }), 'RECEIPT_MALFORMED'],
    ['five sealed subjects', signed({ ...receipt, subject: Array(5).fill(receipt.subject[0]) }), 'RECEIPT_MALFORMED'],
    ['no JSON', signed('receipt'), 'RECEIPT_MALFORMED'],
    [
      'too large',
      signed({
        ...receipt,
        elements: Array.from({ length: 130 }, (_, at) => `${'a'.repeat(124 - `${at}`.length)}${at}@1`),
        subject: Array(4).fill(`${'A'.repeat(1990)}....`),
      }),
      'JWS_MALFORMED',
    ],
    ['nothing', '', 'JWS_MALFORMED'],
  ];
  for (const [name, judged, code] of cases) t.equal(verdict(judged), code, name);
  t.throws(
    () => signReceipt({ ...receipt, uses: 0 }, signer),
    { code: 'RECEIPT_MALFORMED' },
    'nothing is signed that is none',
  );
  t.throws(() => signReceipt(receipt, { kid: 'k', privateKey: generateKeys('Ed25519').privateKey }), TypeError);
});

t.test('a changed character is seen', async () => {
  fc.assert(
    fc.property(changed(text), (judged) => verdict(judged) !== 'ok'),
    { numRuns: 500 },
  );
  const sealed = receipt.subject[0] ?? '';
  fc.assert(
    fc.property(changed(sealed), (judged) => opened(judged) === 'SUBJECT_SEAL_REFUSED'),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 3_000 }), (judged) => opened(judged) === 'SUBJECT_SEAL_REFUSED'),
    { numRuns: 200 },
  );
});

t.test('a sealed subject opens for its provider alone', async (t) => {
  const sealed = receipt.subject[0] ?? '';
  t.same(openSubject(sealed, [secondSubjectKey, subjectKey]), { jti: receipt.jti, ...PERSON });
  t.equal(opened(sealed, [secondSubjectKey]), 'SUBJECT_SEAL_REFUSED');
  t.equal(opened(sealed, []), 'SUBJECT_SEAL_REFUSED');
  t.equal(
    opened(sealed, [{ ...secondSubjectKey, kid: subjectKey.kid }]),
    'SUBJECT_SEAL_REFUSED',
    'another key by its name',
  );
  const byJose = await jose.compactDecrypt(sealed, subjectKey.privateKey);
  t.same(JSON.parse(Buffer.from(byJose.plaintext).toString()), { jti: receipt.jti, ...PERSON });

  const seal = (
    plaintext: unknown,
    header: Record<string, unknown> = {},
    parties?: jose.JWEKeyManagementHeaderParameters,
  ) => {
    const protectedHeader = {
      alg: 'ECDH-ES+A256KW',
      enc: 'A256GCM',
      typ: 'accord-subject+jwe',
      kid: subjectKey.kid,
      ...header,
    };
    const made = new jose.CompactEncrypt(Buffer.from(JSON.stringify(plaintext))).setProtectedHeader(protectedHeader);
    if (parties) made.setKeyManagementParameters(parties);
    return jose.importJWK(subjectKey.jwk, 'ECDH-ES+A256KW').then((key) => made.encrypt(key));
  };
  const subject = { jti: receipt.jti, ...PERSON };
  t.equal(opened(await seal(subject)), PERSON.value, 'what jose seals opens');
  const refusals: [name: string, jwe: string][] = [
    ['a ticket', await seal(subject, { typ: 'accord-ticket+jwe' })],
    ['parties', await seal(subject, {}, { apu: Buffer.from('a'), apv: Buffer.from('b') })],
    ['another encryption', await seal(subject, { enc: 'A128GCM' })],
    ['another agreement', await seal(subject, { alg: 'ECDH-ES' })],
    ['compressed', await seal(subject, { zip: 'DEF' }).catch(() => '')],
    ['a member too many', await seal({ ...subject, name: 'x' })],
    ['a member too few', await seal({ jti: receipt.jti, scheme: PERSON.scheme })],
    ['an empty value', await seal({ ...subject, value: '' })],
  ];
  for (const [name, jwe] of refusals) t.equal(opened(jwe), 'SUBJECT_SEAL_REFUSED', name);
  t.throws(() => sealSubject({ ...subject, value: '' }, subjectKey), { code: 'SUBJECT_SEAL_REFUSED' });
  t.throws(() => sealSubject({ ...subject, value: '\u0001'.repeat(256) }, subjectKey), {
    code: 'SUBJECT_SEAL_REFUSED',
  });
  t.throws(() => sealSubject(subject, { ...subjectKey, jwk: { ...subjectKey.jwk, x: 'AA' } }), {
    code: 'KEY_MALFORMED',
  });
  const longest = { ...subject, value: '证'.repeat(256) };
  t.same(openSubject(sealSubject(longest, subjectKey), [subjectKey]), longest);
  const lengths = ['1', '110101199003074514', 'A-0001'].map(
    (value) => sealSubject({ ...subject, value }, subjectKey).length,
  );
  t.equal(new Set(lengths).size, 1, 'its length does not tell what kind of number it is');
});

t.test('pseudonyms are pairwise', async (t) => {
  const clients = ['DEV/GOV/1001/client', 'DEV/GOV/1001/client2', 'DEV/GOV/1002/client'];
  const schemes = ['gx.person.id_number@1', 'gx.person.passport@1'];
  const all = clients.flatMap((client) => schemes.map((scheme) => pseudonymOf(secret, client, { ...PERSON, scheme })));
  all.push(pseudonymOf(secret, clients[0] ?? '', { ...PERSON, value: '110101199003074515' }));
  all.push(pseudonymOf(randomBytes(32), clients[0] ?? '', PERSON));
  t.equal(new Set(all).size, all.length);
  t.equal(pseudonymOf(secret, clients[0] ?? '', PERSON), all[0], 'the same each time');
  t.match(all[0], /^[A-Za-z0-9_-]{43}$/);
  t.not(
    pseudonymOf(secret, 'a', { scheme: 'b","c', value: 'd' }),
    pseudonymOf(secret, 'a', { scheme: 'b', value: 'c","d' }),
  );
  t.throws(() => pseudonymOf(Buffer.alloc(31), 'a', PERSON), TypeError);
  fc.assert(
    fc.property(
      fc.array(fc.string(), { minLength: 3, maxLength: 3 }),
      fc.array(fc.string(), { minLength: 3, maxLength: 3 }),
      (a, b) => {
        const [one, two] = [a, b].map(([client = '', scheme = '', value = '']) =>
          pseudonymOf(secret, client, { scheme, value }),
        );
        return (one === two) === (JSON.stringify(a) === JSON.stringify(b));
      },
    ),
    { numRuns: 300 },
  );
});

/** What is not the same for everybody who asks for the same: the claims, and the parts of what is sealed. */
function privateParts({ jti, sub, signIn, status, subject }: Receipt): string[] {
  const sealed = subject.flatMap((jwe) => {
    const [head = '', ...rest] = jwe.split('.');
    const { epk } = JSON.parse(Buffer.from(head, 'base64url').toString()) as { epk: { x: string; y: string } };
    return [epk.x, epk.y, ...rest];
  });
  // The first half of the id is the time, which stands in `iat` for everybody.
  return [jti.slice(14), sub, signIn.hash, `${status.idx}`, ...sealed];
}

t.test('two receipts of one person at two clients cannot be joined', async (t) => {
  const WINDOW = 16;
  for (let round = 0; round < 10; round++) {
    const [one, two] = ['DEV/GOV/1001/client', 'DEV/GOV/1002/other'].map((client) =>
      receiptOf(PERSON, client, [subjectKey, secondSubjectKey], secret),
    ) as [Receipt, Receipt];
    const seen = new Set<string>();
    for (const part of privateParts(one)) {
      for (let at = 0; at + WINDOW <= part.length; at++) seen.add(part.slice(at, at + WINDOW));
    }
    const shared = privateParts(two).flatMap((part) =>
      Array.from({ length: Math.max(0, part.length - WINDOW + 1) }, (_, at) => part.slice(at, at + WINDOW)).filter(
        (cut) => seen.has(cut),
      ),
    );
    t.same(shared, [], 'no 16 characters in common');
    t.notOk(JSON.stringify([one, two]).includes(PERSON.value), 'and the identifier stands in neither');
    t.same(new Set(one.subject).size, 2, 'nor do the two sealings of one receipt look alike');
  }
});
