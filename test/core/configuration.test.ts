// The global configuration against those who serve it: who may sign what, versions that go back or fork, parts that
// differ, a registry that is away, a damaged copy on disk, and time. Attack tables end in stable codes.

import fc from 'fast-check';
import t from 'tap';
import { generateKeys } from '#certs/keys.ts';
import { assembleSigned } from '#certs/multi-signature.ts';
import {
  anchorOf,
  payloadOf,
  planRoot,
  type RootPlan,
  signFile,
  signFreshness,
  signOne,
} from '#core/configuration/sign.ts';
import {
  fileHash,
  type VerifiedRoot,
  verifyAnchoredRoot,
  verifyContent,
  verifyFreshness,
  verifyNextRoot,
} from '#core/configuration/verify.ts';
import type { ConfigurationAnchor, ContentConfiguration, FreshnessStatement } from '#schemas/configuration.ts';
import { isAccordError } from '#schemas/problems.ts';

const T0 = 1_800_000_000_000;
const MINUTE = 60_000;
const DAY = 86_400_000;

const pair = () => generateKeys('P-256').privateKey;
const [rootA, rootB, ann, bob, ann2, eve, online] = [pair(), pair(), pair(), pair(), pair(), pair(), pair()] as const;

const plan: RootPlan = {
  instance: 'TEST',
  rootKeys: [
    { key: rootA, person: 'Root A' },
    { key: rootB, person: 'Root B' },
  ],
  rootThreshold: 2,
  approvers: [
    { key: ann, person: 'Ann' },
    { key: bob, person: 'Bob' },
    { key: ann2, person: ' ann ' },
  ],
  freshness: [{ key: online, person: 'registry' }],
  expiresAtMs: T0 + 365 * DAY,
};

/** What the error of `run` is called; 'none' when there is none. */
function code(run: () => unknown): string {
  try {
    run();
    return 'none';
  } catch (error) {
    return isAccordError(error) ? error.code : `not an AccordError: ${String(error)}`;
  }
}

function firstRoot(of: RootPlan = plan, signers = [rootA, rootB]): { root: VerifiedRoot; anchor: ConfigurationAnchor } {
  const file = signFile('root', planRoot(of), signers);
  const document = JSON.parse(planRoot(of).toString());
  const anchor = anchorOf({ document, file, hash: fileHash(file) }, ['http://127.0.0.1:1/']);
  return { root: verifyAnchoredRoot(file, anchor), anchor };
}

function contentOf(root: VerifiedRoot, version: number, more: Partial<ContentConfiguration> = {}): Buffer {
  return payloadOf({
    v: 1,
    instance: 'TEST',
    version,
    root: { version: root.document.version, hash: root.hash },
    previous: null,
    parts: {},
    distrust: null,
    distrustLifted: [],
    issuedAtMs: T0,
    expiresAtMs: T0 + 7 * DAY,
    ...more,
  });
}

t.test('content: who may sign it, and how', async (t) => {
  const { root } = firstRoot();
  const payload = contentOf(root, 5);
  const good = signFile('content', payload, [ann, bob]);
  const [a, b] = [signOne('content', payload, ann), signOne('content', payload, bob)];
  const text = good.toString();
  const file = (value: object) => Buffer.from(`${JSON.stringify(value)}\n`);
  const parsed = JSON.parse(text);
  const last = (s: string) => {
    // The last character of 64 signature bytes carries four spare bits: another spelling of the same bytes.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    return s.slice(0, -1) + alphabet[alphabet.indexOf(s.at(-1) ?? '') + 1];
  };
  const cases: [string, Buffer, string][] = [
    ['two approvers', good, 'none'],
    ['one approver', signFile('content', payload, [ann]), 'CONFIGURATION_THRESHOLD'],
    ['one person with two keys', signFile('content', payload, [ann, ann2]), 'CONFIGURATION_THRESHOLD'],
    ['one key twice', assembleSigned(payload, [a, a]), 'SIGNED_FILE_MALFORMED'],
    ['one key twice, two signatures', signFile('content', payload, [ann, ann]), 'SIGNED_FILE_MALFORMED'],
    ['three keys of two persons', signFile('content', payload, [ann, ann2, bob]), 'none'],
    ['an unknown key beside two good', signFile('content', payload, [ann, bob, eve]), 'SIGNED_FILE_SIGNATURE_WRONG'],
    ['root keys do not approve', signFile('content', payload, [rootA, rootB]), 'SIGNED_FILE_SIGNATURE_WRONG'],
    ['the online key does not approve', signFile('content', payload, [ann, online]), 'SIGNED_FILE_SIGNATURE_WRONG'],
    ['signed as a root', signFile('root', payload, [ann, bob]), 'JWS_HEADER_REFUSED'],
    [
      'an unprotected header',
      file({ ...parsed, signatures: [{ ...parsed.signatures[0], header: {} }, parsed.signatures[1]] }),
      'SIGNED_FILE_MALFORMED',
    ],
    ['a further member', file({ ...parsed, extra: 1 }), 'SIGNED_FILE_MALFORMED'],
    [
      'signatures in another order',
      file({ ...parsed, signatures: parsed.signatures.toReversed() }),
      'SIGNED_FILE_MALFORMED',
    ],
    [
      'members in another order',
      file({ signatures: parsed.signatures, payload: parsed.payload }),
      'SIGNED_FILE_MALFORMED',
    ],
    ['white space', Buffer.from(text.replace('{', '{ ')), 'SIGNED_FILE_MALFORMED'],
    ['no line feed', Buffer.from(text.trimEnd()), 'SIGNED_FILE_MALFORMED'],
    ['a duplicate name', Buffer.from(text.replace('{', '{"payload":"",')), 'SIGNED_FILE_MALFORMED'],
    ['a re-encoded signature', assembleSigned(payload, [{ ...a, signature: last(a.signature) }, b]), 'JWS_MALFORMED'],
    ['a signature over another payload', assembleSigned(contentOf(root, 6), [a, b]), 'SIGNED_FILE_SIGNATURE_WRONG'],
    ['no signature', file({ payload: parsed.payload, signatures: [] }), 'SIGNED_FILE_MALFORMED'],
    ['payload not canonical', signFile('content', Buffer.from(`${payload} `), [ann, bob]), 'CONFIGURATION_INVALID'],
    [
      'another instance',
      signFile('content', contentOf(root, 5, { instance: 'PROD' }), [ann, bob]),
      'CONFIGURATION_INSTANCE',
    ],
    ['older', signFile('content', contentOf(root, 3), [ann, bob]), 'CONFIGURATION_ROLLBACK'],
    ['a fork', signFile('content', contentOf(root, 4), [ann, bob]), 'CONFIGURATION_FORKED'],
    [
      'a successor of a fork',
      signFile('content', contentOf(root, 5, { previous: { version: 4, hash: fileHash(good) } }), [ann, bob]),
      'CONFIGURATION_FORKED',
    ],
    [
      'expired',
      signFile('content', contentOf(root, 5, { issuedAtMs: T0 - 2 * DAY, expiresAtMs: T0 }), [ann, bob]),
      'CONFIGURATION_EXPIRED',
    ],
    [
      'from the future',
      signFile('content', contentOf(root, 5, { issuedAtMs: T0 + DAY }), [ann, bob]),
      'CONFIGURATION_INVALID',
    ],
    [
      'living too long',
      signFile('content', contentOf(root, 5, { expiresAtMs: T0 + 8 * DAY }), [ann, bob]),
      'CONFIGURATION_INVALID',
    ],
    [
      'citing another root',
      signFile('content', contentOf(root, 5, { root: { version: 1, hash: fileHash(good) } }), [ann, bob]),
      'CONFIGURATION_FORKED',
    ],
  ];
  const held = { version: 4, hash: fileHash(Buffer.from('the content held')) };
  for (const [name, bytes, want] of cases)
    t.equal(
      code(() => verifyContent(bytes, root, T0 + 1, held)),
      want,
      name,
    );

  t.test('no byte of the file can change', async () => {
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const bad = Buffer.from(good);
        bad.writeUInt8((bad.readUInt8(at) ^ by) & 0xff, at);
        return code(() => verifyContent(bad, root, T0 + 1)) !== 'none';
      }),
      { numRuns: 300 },
    );
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad.writeUInt8(bad.readUInt8(at) ^ 1, at);
      if (code(() => verifyContent(bad, root, T0 + 1)) === 'none') t.fail(`byte ${at}`);
    }
  });
});

t.test('roots: the chain from the anchor', async (t) => {
  const { root, anchor } = firstRoot();
  const carol = pair();
  const second: RootPlan = {
    ...plan,
    rootKeys: [
      { key: rootB, person: 'Root B' },
      { key: carol, person: 'Carol' },
    ],
    previous: root,
  };
  const payload = planRoot(second);
  const next = (keys: Parameters<typeof signFile>[2], p = payload) =>
    code(() => verifyNextRoot(signFile('root', p, keys), root));
  t.equal(next([rootA, rootB, carol]), 'none', 'both thresholds');
  t.equal(next([rootA, rootB]), 'CONFIGURATION_THRESHOLD', 'only the old');
  t.equal(next([rootB, carol]), 'CONFIGURATION_THRESHOLD', 'only the new');
  t.equal(next([rootA, rootB, carol, eve]), 'SIGNED_FILE_SIGNATURE_WRONG', 'a stranger');
  const { previous: _, ...unlinked } = second;
  t.equal(next([rootA, rootB, carol], planRoot(unlinked)), 'CONFIGURATION_INVALID', 'version 1 again');
  t.equal(
    next(
      [rootA, rootB, carol],
      planRoot({
        ...second,
        previous: { ...root, hash: anchor.root.hash.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')) },
      }),
    ),
    'CONFIGURATION_FORKED',
    'another predecessor',
  );
  const others: [string, RootPlan, string][] = [
    ['the online key also approves', { ...plan, freshness: [{ key: ann, person: 'x' }] }, 'CONFIGURATION_INVALID'],
    [
      'both approvers are one person',
      {
        ...plan,
        approvers: [
          { key: ann, person: 'Ann' },
          { key: ann2, person: 'Ann' },
        ],
      },
      'CONFIGURATION_INVALID',
    ],
  ];
  for (const [name, bad, want] of others)
    t.equal(
      code(() => firstRoot(bad)),
      want,
      name,
    );
  t.equal(
    code(() => firstRoot(plan, [rootA])),
    'CONFIGURATION_THRESHOLD',
    'a first root without its threshold',
  );
  const other = firstRoot({ ...plan, expiresAtMs: T0 + DAY });
  t.equal(
    code(() => verifyAnchoredRoot(other.root.file, anchor)),
    'CONFIGURATION_FORKED',
    'not the root of the anchor',
  );
  t.equal(
    code(() => verifyAnchoredRoot(root.file, { ...anchor, instance: 'PROD' })),
    'CONFIGURATION_INSTANCE',
  );
  t.equal(
    code(() => verifyAnchoredRoot(root.file, { ...anchor, rootKeys: {} })),
    'CONFIGURATION_INVALID',
    'other keys shown',
  );
});

t.test('freshness never goes back', async (t) => {
  const { root } = firstRoot();
  const h = (text: string) => fileHash(Buffer.from(text));
  const base: Omit<FreshnessStatement, 'v' | 'expiresAtMs'> = {
    instance: 'TEST',
    root: { version: 1, hash: root.hash },
    content: { version: 5, hash: h('5') },
    distrust: { version: 2, hash: h('d2') },
    signedAtMs: T0,
  };
  const newest = verifyFreshness(signFreshness(base, online), root, T0).document;
  const cases: [string, Buffer, string][] = [
    ['later', signFreshness({ ...base, signedAtMs: T0 + 1 }, online), 'none'],
    [
      'content back',
      signFreshness({ ...base, signedAtMs: T0 + 1, content: { version: 4, hash: h('4') } }, online),
      'CONFIGURATION_ROLLBACK',
    ],
    [
      'content forked',
      signFreshness({ ...base, signedAtMs: T0 + 1, content: { version: 5, hash: h('x') } }, online),
      'CONFIGURATION_FORKED',
    ],
    ['distrust gone', signFreshness({ ...base, signedAtMs: T0 + 1, distrust: null }, online), 'CONFIGURATION_ROLLBACK'],
    ['time back', signFreshness({ ...base, signedAtMs: T0 - 1 }, online), 'CONFIGURATION_ROLLBACK'],
    ['from the future', signFreshness({ ...base, signedAtMs: T0 + 6 * MINUTE }, online), 'CONFIGURATION_INVALID'],
    ['by an approver', signFreshness({ ...base, signedAtMs: T0 + 1 }, ann), 'JWS_SIGNATURE_WRONG'],
    ['another instance', signFreshness({ ...base, instance: 'PROD' }, online), 'CONFIGURATION_INSTANCE'],
    ['with a line feed', Buffer.concat([signFreshness(base, online), Buffer.from('\n')]), 'JWS_MALFORMED'],
  ];
  for (const [name, file, want] of cases)
    t.equal(
      code(() => verifyFreshness(file, root, T0, newest)),
      want,
      name,
    );
});
