// Distrust as the world of one stolen key sees it: what one approver's key can do alone, what an owner's key can, what a
// content confirms and lifts, and that a root change ends a removed approver's word. The rules are pure; the last test
// runs them through a client.
import { createHash, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { exportSpki, generateKeys, thumbprint } from '#certs/keys.ts';
import { openThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import { systemClock } from '#core/clock.ts';
import { judgeDistrust } from '#core/configuration/build-snapshot.ts';
import { distrustFile, requireConfirmed, type VerifiedDistrust, verifyDistrust } from '#core/configuration/distrust.ts';
import { partsOf, readPart } from '#core/configuration/parts.ts';
import { anchorOf, type Holder, payloadOf, planRoot, signDistrust, signFile } from '#core/configuration/sign.ts';
import { fileHash, type VerifiedRoot, verifyAnchoredRoot, verifyNextRoot } from '#core/configuration/verify.ts';
import type { ContentConfiguration } from '#schemas/configuration.ts';
import { DISTRUST_PER_APPROVER, DISTRUST_PER_OWNER, MAX_DISTRUST_ENTRIES } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';

const T0 = 1_800_000_000_000;
const pair = () => generateKeys('P-256').privateKey;
const [rootKey, ann, ann2, bob, carol, eve, online] = [pair(), pair(), pair(), pair(), pair(), pair(), pair()] as const;
const approvers: Holder[] = [
  { key: ann, person: 'Ann' },
  { key: ann2, person: ' ann' },
  { key: bob, person: 'Bob' },
];
const plan = {
  instance: 'DEV',
  rootKeys: [{ key: rootKey, person: 'Root' }],
  rootThreshold: 1,
  freshness: [{ key: online, person: 'registry' }],
  expiresAtMs: T0 * 2,
};
const first = signFile('root', planRoot({ ...plan, approvers }), [rootKey]);
const anchor = anchorOf(
  { document: JSON.parse(planRoot({ ...plan, approvers }).toString()), file: first, hash: fileHash(first) },
  ['http://127.0.0.1:1/'],
);
const root = verifyAnchoredRoot(first, anchor);

function code(run: () => unknown): string {
  try {
    run();
    return 'none';
  } catch (error) {
    return isAccordError(error) ? error.code : `not an AccordError: ${String(error)}`;
  }
}

const say = (value: string, key = ann, as: 'approver' | 'owner' = 'approver', more: object = {}) =>
  signDistrust(
    {
      instance: 'DEV',
      kind: value.includes('/') ? 'server' : 'key',
      value,
      atMs: T0,
      reason: 'stolen',
      ...more,
    },
    key,
    as,
  );
const listOf = (...statements: string[]) => verifyDistrust(distrustFile('DEV', statements), root);
const none = { distrust: null, distrustLifted: [] };
const confirming = (list: VerifiedDistrust, lifted: number[] = []) => ({
  distrust: { version: list.version, hash: list.hash },
  distrustLifted: lifted.map((at) => list.entries[at]?.hash ?? ''),
});
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('base64url');

t.test('the list: form, growth, who signed', async (t) => {
  const [a, b] = [say('DEV/A/1/a'), say('DEV/A/1/b', bob)];
  const held = listOf(a);
  const bytes = (entries: string[], more: object = {}) =>
    Buffer.concat([payloadOf({ v: 1, instance: 'DEV', version: entries.length, entries, ...more }), Buffer.from('\n')]);
  const cases: [string, Buffer, string][] = [
    ['grown', bytes([a, b]), 'none'],
    ['the same', bytes([a]), 'none'],
    ['a statement replaced', bytes([b, a]), 'CONFIGURATION_ROLLBACK'],
    ['another list of that length', bytes([b]), 'CONFIGURATION_FORKED'],
    ['a statement twice', bytes([a, a]), 'CONFIGURATION_INVALID'],
    ['empty', bytes([]), 'CONFIGURATION_INVALID'],
    ['a version that is not the number', bytes([a, b], { version: 3 }), 'CONFIGURATION_INVALID'],
    ['another spelling', Buffer.from(bytes([a, b]).toString().replace(',', ', ')), 'CONFIGURATION_INVALID'],
    ['of another instance', bytes([a, b], { instance: 'PROD' }), 'CONFIGURATION_INSTANCE'],
    [
      'a statement for another instance',
      bytes([a, say('x', ann, 'approver', { instance: 'PROD' })]),
      'CONFIGURATION_INSTANCE',
    ],
    ['a changed statement of an owner', bytes([a, breakPayload(say('x', eve, 'owner'))]), 'JWS_'],
    ['an owner whose key is another', bytes([a, swapKey(say('x', eve, 'owner'))]), 'JWS_'],
    [
      'more than the most',
      bytes(Array.from({ length: MAX_DISTRUST_ENTRIES + 1 }, (_, at) => `${a}${at}`)),
      'CONFIGURATION_INVALID',
    ],
    ['rubbish', Buffer.from('[]'), 'CONFIGURATION_INVALID'],
  ];
  for (const [name, file, want] of cases)
    t.match(
      code(() => verifyDistrust(file, root, held)),
      new RegExp(`^${want}`),
      name,
    );
});

/** A statement that says something else than what was signed. */
function breakPayload(jws: string): string {
  const [head, payload = '', signature] = jws.split('.');
  const changed = { ...JSON.parse(Buffer.from(payload, 'base64url').toString()), reason: 'another' };
  return [head, payloadOf(changed).toString('base64url'), signature].join('.');
}

/** The header of a statement, with another kid; the signature then covers something else. */
function withKid(jws: string, kid: string): string {
  const [head = '', payload, signature] = jws.split('.');
  const header = { ...JSON.parse(Buffer.from(head, 'base64url').toString()), kid };
  return [Buffer.from(JSON.stringify(header)).toString('base64url'), payload, signature].join('.');
}

/** An owner's statement that shows the key of somebody else. */
function swapKey(jws: string): string {
  const [head, payload = '', signature] = jws.split('.');
  const other = JSON.parse(Buffer.from(say('x', bob, 'owner').split('.')[1] ?? '', 'base64url').toString());
  const changed = { ...JSON.parse(Buffer.from(payload, 'base64url').toString()), key: other.key };
  return [head, payloadOf(changed).toString('base64url'), signature].join('.');
}

const authority = await openThrowAwayAuthority(systemClock);
const servers = await Promise.all(['DEV/GOV/1/ss1', 'DEV/GOV/2/ss2'].map((id) => authority.server(id)));
const parts = [
  ...partsOf({
    members: servers.map(({ registration }, at) => ({
      id: `DEV/GOV/${at + 1}`,
      name: 'M',
      subsystems: [],
      servers: [{ code: `ss${at + 1}`, address: 'https://a.example', subsystems: [], ...registration }],
    })),
    services: [],
    trust: {
      anchors: authority.trust.anchors.map((der) => der.toString('base64url')),
      intermediates: authority.trust.intermediates.map((der) => der.toString('base64url')),
      crls: [],
    },
    limits: {},
  }),
].map(([name, bytes]) => readPart(name, bytes, 'DEV'));
const counts = (
  list: VerifiedDistrust,
  content: Pick<ContentConfiguration, 'distrust' | 'distrustLifted'> = none,
  under: VerifiedRoot = root,
) => judgeDistrust(list, content, under, parts).map((each) => each.counts);

t.test('what one stolen approver key can do', async (t) => {
  const many = Array.from({ length: DISTRUST_PER_APPROVER + 3 }, (_, at) => say(`DEV/GOV/${at}/ss`));
  const list = listOf(...many);
  t.same(
    counts(list),
    many.map((_, at) => (at < DISTRUST_PER_APPROVER ? 'yes' : 'over-cap')),
    'a few servers, not the instance',
  );
  t.same(
    counts(listOf(...many, say('DEV/GOV/x/ss', ann2))).at(-1),
    'over-cap',
    'a second key of the person does not help',
  );
  t.same(counts(listOf(...many, say('DEV/GOV/x/ss', bob))).at(-1), 'yes', 'another approver still can');
  t.same(new Set(counts(list, confirming(list))), new Set(['yes']), 'a content confirms them all');
  t.same(counts(list, confirming(list, [0, 2])).slice(0, 4), ['lifted', 'yes', 'lifted', 'yes'], 'a content lifts');
  const again = listOf(...many, say('DEV/GOV/0/ss', ann, 'approver', { atMs: T0 + 1 }));
  t.same(counts(again, confirming(list, [0])).at(-1), 'yes', 'what was lifted can be said again, in a new statement');
  const small = parts.map((part) => (part.limits ? { ...part, limits: { distrustPerApprover: 2 } } : part));
  t.same(
    judgeDistrust(list, none, root, small).filter((each) => each.counts === 'yes').length,
    2,
    'a smaller instance',
  );
  const backdated = listOf(...many.slice(0, DISTRUST_PER_APPROVER), say('DEV/GOV/y/ss', ann, 'approver', { atMs: 1 }));
  t.same(counts(backdated).at(-1), 'over-cap', 'a date in the past buys nothing');
  for (const der of [...authority.trust.anchors, ...authority.trust.intermediates]) {
    const key = new X509Certificate(der).publicKey.export({ format: 'der', type: 'spki' });
    for (const value of [hash(der), hash(key)]) {
      const one = listOf(say(value));
      t.same(counts(one), ['authority'], 'an authority stands above every server: one approver is not enough');
      t.same(counts(one, confirming(one)), ['yes']);
    }
  }
});

t.test('what an owner can do', async (t) => {
  const [mine, other] = servers;
  if (!mine || !other) throw new Error('no servers');
  const { keys, registration } = mine;
  const signing = (keys.signing as { key: typeof ann }).key;
  const spki = (key: typeof ann) => hash(exportSpki(key));
  const cert = (of: typeof mine, use: 'authenticationCertificates' | 'signingCertificates') =>
    hash(Buffer.from(of.registration[use][0] ?? '', 'base64url'));
  const tls = (keys.authentication as { key: typeof ann }).key;
  const cases: [string, string, string][] = [
    ['its own key', say(spki(signing), signing, 'owner'), 'yes'],
    ['a key nobody ever registered, itself', say(spki(eve), eve, 'owner'), 'yes'],
    ['its server', say('DEV/GOV/1/ss1', signing, 'owner'), 'yes'],
    ['its server’s TLS certificate', say(cert(mine, 'authenticationCertificates'), signing, 'owner'), 'yes'],
    ['its server’s encryption key', say(registration.encryptionKeys[0]?.kid ?? '', signing, 'owner'), 'yes'],
    ['the TLS key itself', say(spki(tls), tls, 'owner'), 'yes'],
    ['the server, by the TLS key', say('DEV/GOV/1/ss1', tls, 'owner'), 'not-the-owner'],
    ['another server', say('DEV/GOV/2/ss2', signing, 'owner'), 'not-the-owner'],
    ['another server’s certificate', say(cert(other, 'signingCertificates'), signing, 'owner'), 'not-the-owner'],
    ['the authority', say(hash(authority.trust.anchors[0] as Buffer), signing, 'owner'), 'not-the-owner'],
  ];
  for (const [name, statement, want] of cases) t.same(counts(listOf(statement)), [want], name);
  const list = listOf(...cases.map(([, statement]) => statement));
  t.same(counts(list, confirming(list)).at(-1), 'not-the-owner', 'not even a content makes an owner of a stranger');
  const many = listOf(
    ...Array.from({ length: DISTRUST_PER_OWNER + 2 }, (_, at) => say(spki(signing), signing, 'owner', { atMs: at })),
  );
  t.equal(counts(many).filter((each) => each === 'yes').length, DISTRUST_PER_OWNER);
});

t.test('a content and the list it confirms', async (t) => {
  const statements = ['DEV/A/1/a', 'DEV/A/1/b', 'DEV/A/1/c'].map((value) => say(value));
  const [two, three] = [listOf(...statements.slice(0, 2)), listOf(...statements)];
  const other = listOf(say('DEV/A/1/x'), say('DEV/A/1/y'));
  const content = (more: object) => ({ instance: 'DEV', ...none, ...more }) as unknown as ContentConfiguration;
  const cases: [string, ContentConfiguration, VerifiedDistrust | undefined, string][] = [
    ['nothing', content({}), undefined, 'none'],
    ['an earlier list', content(confirming(two)), three, 'none'],
    ['the list', content(confirming(three, [2])), three, 'none'],
    ['a list that is withheld', content(confirming(two)), undefined, 'CONFIGURATION_ROLLBACK'],
    ['a longer list than the one shown', content(confirming(three)), two, 'CONFIGURATION_ROLLBACK'],
    ['another list', content(confirming(other)), three, 'CONFIGURATION_FORKED'],
    [
      'lifting what is not confirmed',
      content({ ...confirming(two), distrustLifted: [three.entries[2]?.hash] }),
      three,
      'CONFIGURATION_INVALID',
    ],
  ];
  for (const [name, document, list, want] of cases)
    t.equal(
      code(() => requireConfirmed(document, list)),
      want,
      name,
    );
});

t.test('a root change ends the word of a removed approver', async (t) => {
  const next = planRoot({
    ...plan,
    approvers: [
      { key: bob, person: 'Bob' },
      { key: carol, person: 'Carol' },
    ],
    previous: root,
  });
  const second = verifyNextRoot(signFile('root', next, [rootKey]), root);
  const statements = [say('DEV/A/1/a', ann), say('DEV/A/1/b', bob)];
  const before = listOf(...statements);
  t.same(counts(before), ['yes', 'yes']);
  const after = verifyDistrust(before.file, second);
  t.same(counts(after, none, second), ['unproven', 'yes']);
  t.same(counts(after, confirming(before), second), ['yes', 'yes'], 'what two approvers confirmed stays');
  const forged = [...statements, withKid(say('DEV/A/1/c', eve), thumbprint(carol))];
  for (const under of [root, second]) {
    const list = verifyDistrust(distrustFile('DEV', forged), under);
    t.equal(counts(list, none, under).at(-1), 'unproven', 'neither before nor after Carol became an approver');
  }
  t.equal(counts(listOf(say('x', eve))).at(-1), 'unproven', 'a stranger');
  t.equal(counts(listOf(breakPayload(statements[0] ?? ''))).at(-1), 'unproven', 'a changed statement');
});

t.test('whatever is listed, in any order: nobody alone has more than a share', async () => {
  const people = [ann, ann2, bob, carol, eve];
  const pool = people.flatMap((key, who) =>
    Array.from({ length: 14 }, (_, at) => ({ who, jws: say(`DEV/P${who}/${at}/ss`, key) })),
  );
  fc.assert(
    fc.property(fc.shuffledSubarray(pool), (some) => {
      if (some.length === 0) return true;
      const list = listOf(...some.map(({ jws }) => jws));
      const yes = some.filter((_, at) => counts(list)[at] === 'yes');
      const of = (...who: number[]) => yes.filter((each) => who.includes(each.who)).length;
      return of(0, 1) <= DISTRUST_PER_APPROVER && of(2) <= DISTRUST_PER_APPROVER && of(3, 4) === 0;
    }),
    { numRuns: 12 },
  );
});
