// The replay of archived decisions: the same inputs give the same hash, changed ones never do, and archives of another
// version are told apart from archives that were changed.
import fc from 'fast-check';
import t from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { archiveDecision, decide } from '#policy/decide.ts';
import type { DecisionInputs, EmergencyFacts, EvidenceFacts } from '#policy/decision-inputs.ts';
import { replayDecision } from '#policy/replay.ts';
import { PLAIN_TERMS } from '#schemas/access-right.ts';

const RIGHT = {
  id: '00000000-0000-4000-8000-000000000001',
  client: 'DEV/GOV/1/a',
  service: 'DEV/GOV/2/b/s',
  endpoints: [{ method: '*' as const, path: '/**' }],
  bases: ['open' as const],
  ...PLAIN_TERMS,
  quotaPerDay: 2,
  pins: {},
};
const INPUTS: DecisionInputs = {
  v: 1,
  nowMs: 1_795_000_000_000,
  request: {
    client: RIGHT.client,
    service: RIGHT.service,
    method: 'GET',
    path: '/x',
    purpose: null,
    basis: 'open',
    userId: '王芳 \u2028"',
    issue: null,
    subject: null,
    fields: null,
    partial: false,
    hiddenUntil: null,
  },
  defaultsFrom: null,
  clientRegistered: true,
  groups: [],
  lockedFor: null,
  today: '2026-11-18',
  service: { enabled: true, notice: null, personalData: false },
  binding: null,
  purpose: null,
  purposeEnded: false,
  consent: null,
  evidence: null,
  rights: [{ right: RIGHT, usedToday: 1 }],
  predicateUse: [],
};

const OFFICIALS = [
  { id: 'clerk-7', unit: 'Duty station' },
  { id: 'clerk-8', unit: '民政' },
];
const signed: EvidenceFacts = { given: 1, official: OFFICIALS[0]!, usedBefore: false, emergency: null };
const official = {
  ...RIGHT,
  bases: ['law' as const, 'emergency' as const],
  evidence: 'official' as const,
  secrecyDays: 10,
};
const asked = { ...INPUTS.request, userId: 'clerk-7', issue: 'A-1', purpose: null };
const lawful = (evidence: EvidenceFacts, hiddenUntil = '2026-11-28'): DecisionInputs => ({
  ...INPUTS,
  request: { ...asked, basis: 'law', hiddenUntil },
  rights: [{ right: official, usedToday: 0 }],
  evidence,
});
const urgent = (over: Partial<EmergencyFacts>): DecisionInputs => {
  const terms = {
    id: 'e',
    reason: 'Flood \u2028',
    purpose: 'rescue',
    services: [RIGHT.service],
    persons: 2,
    otherPersons: 1,
  };
  const times = { fromMs: INPUTS.nowMs, untilMs: INPUTS.nowMs + 1 };
  return {
    ...INPUTS,
    request: { ...asked, basis: 'emergency', purpose: 'rescue' },
    rights: [{ right: { ...official, purposes: ['rescue'] }, usedToday: 0 }],
    evidence: { ...signed, given: 2, official: null, emergency: { ...terms, ...times, officials: OFFICIALS, ...over } },
  };
};

const words = { version: 1, hash: 'h', bases: ['consent' as const], elements: ['gx.a@1'] };
const element = { path: '/a', element: 'gx.a@1', level: 2 as const, inputs: [], group: null };
/** @param used within the days */
const often = (used: number): DecisionInputs => ({
  ...INPUTS,
  request: { ...INPUTS.request, basis: 'consent', purpose: 'x', fields: ['/a'] },
  service: { enabled: true, notice: null, personalData: true },
  binding: {
    ...{ table: 't', operation: 'GET /x', needsSubject: false, purposes: [], unknown: [], tooMany: false },
    asked: [element],
  },
  purpose: { ...words, quotaPerDay: null, usedToday: 0 },
  consent: {
    ...{ given: true, status: { value: 0, listIatMs: INPUTS.nowMs }, trustedNowMs: INPUTS.nowMs, deviationMs: 0 },
    receipt: {
      ...{ jti: 'j', purposeHash: 'h', elements: ['gx.a@1'], notBeforeMs: 0, notAfterMs: INPUTS.nowMs + 1 },
      ...{ uses: null, used: 0 },
      frequency: { uses: 3, days: 30, untilMs: INPUTS.nowMs, used, againAtMs: null },
    },
  },
  rights: [
    { right: { ...RIGHT, bases: ['consent'], purposes: ['x'], pins: { x: 'h' }, elements: ['gx.a@1'] }, usedToday: 0 },
  ],
});

const bytesOf = (value: unknown) => Buffer.from(JSON.stringify(value));
const made = (inputs: DecisionInputs) => archiveDecision(inputs, decide(inputs));

t.test('the same, and whatever is changed', async (t) => {
  const spent = { ...INPUTS, rights: [{ right: RIGHT, usedToday: 2 }] };
  const cases: [DecisionInputs, string][] = [
    [INPUTS, 'OK'],
    [spent, 'QUOTA_EXCEEDED'],
    [{ ...INPUTS, rights: [] }, 'ACCESS_DENIED'],
    [{ ...INPUTS, lockedFor: '01a204d3-d92d-76c6-a8d9-5c061059a871' }, 'REVIEW_OVERDUE'],
    [lawful(signed), 'OK'],
    [lawful({ ...signed, usedBefore: true }), 'EVIDENCE_USED'],
    [lawful({ ...signed, official: null }), 'EVIDENCE_REFUSED'],
    [lawful(signed, '2026-11-29'), 'SECRECY_NOT_ALLOWED'],
    [urgent({}), 'OK'],
    [urgent({ untilMs: INPUTS.nowMs }), 'EMERGENCY_ENDED'],
    [urgent({ otherPersons: 2 }), 'EMERGENCY_PERSONS_SPENT'],
    [{ ...urgent({}), evidence: null }, 'EMERGENCY_REQUIRED'],
    [often(2), 'OK'],
    [often(3), 'CONSENT_TOO_OFTEN'],
  ];
  for (const [inputs, code] of cases) {
    const { bytes, hash } = made(inputs);
    t.match(replayDecision(bytes, hash), {
      verdict: 'SAME',
      reason: '',
      recomputedHash: hash,
      decision: { code },
      archived: { code },
      inputs: { request: { userId: inputs.request.userId } },
    });
  }
  const { bytes, hash } = made(INPUTS);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const changed = Buffer.from(bytes);
      changed[at]! ^= mask;
      return replayDecision(changed, hash).verdict === 'DIFFERENT';
    }),
    { numRuns: 2_000 },
  );
  t.equal(replayDecision(made(spent).bytes, hash).verdict, 'DIFFERENT', 'inputs of another decision');
  // The decision was falsified, the inputs not: the hash can be computed, and the archive is still not what was committed.
  const falsified = replayDecision(bytesOf({ inputs: INPUTS, decision: decide(spent) }), hash);
  t.match([falsified.verdict, falsified.recomputedHash], ['DIFFERENT', hash]);
  const lied = bytesOf({ inputs: spent, decision: decide(INPUTS) });
  t.match(replayDecision(lied, sha256(lied)), {
    verdict: 'DIFFERENT',
    reason: /^OK was decided, the present rules give QUOTA_EXCEEDED$/,
  });
});

t.test('archives of other versions', async (t) => {
  const without = (value: object, name: string) =>
    Object.fromEntries(Object.entries(value).filter(([each]) => each !== name));
  const decision = decide(INPUTS);
  const allowed = decide(often(0));
  const withReceipt = (over: object) => {
    const { consent, ...rest } = often(0);
    return { ...rest, consent: { ...consent, receipt: { ...consent?.receipt, ...over } } };
  };
  const cases: [string, unknown, RegExp][] = [
    ['a decision with another member', { inputs: INPUTS, decision: { ...decision, uses: 1 } }, /^the form has changed/],
    ['no rights', { inputs: without(INPUTS, 'rights'), decision }, /cannot read these inputs: no rights$/],
    ['version 2', { inputs: { ...INPUTS, v: 2, claims: [], rights: [] }, decision }, /: version 2, unknown claims$/],
    [
      'a request without a member',
      { inputs: { ...INPUTS, rights: [], request: without(INPUTS.request, 'partial') }, decision },
      /: no request\.partial$/,
    ],
    ['no evidence, where it is looked at', { inputs: without(lawful(signed), 'evidence'), decision }, /no evidence$/],
    ['rights of another shape', { inputs: { ...INPUTS, rights: [null] }, decision }, /cannot read/],
    [
      'a receipt with a member that these rules do not read',
      { inputs: withReceipt({ weekdays: 5 }), decision: { ...allowed, allowed: false, code: 'CONSENT_WEEKDAYS' } },
      /: unknown consent\.receipt\.weekdays$/,
    ],
    [
      'a frequency with another',
      { inputs: withReceipt({ frequency: { uses: 3, calendar: true } }), decision: { ...allowed, detail: '-' } },
      /: no consent\.receipt\.frequency\.days.*, unknown consent\.receipt\.frequency\.calendar$/,
    ],
    ['no inputs', { decision }, /does not read$/],
    ['not even an object', 7, /does not read$/],
    ['a time that is none', { inputs: { ...INPUTS, nowMs: 1e300 }, decision }, /does not read$/],
  ];
  for (const [name, value, reason] of cases) {
    const bytes = bytesOf(value);
    const { verdict, reason: told } = replayDecision(bytes, sha256(bytes));
    t.match([verdict, told], ['DIFFERENT_VERSION', reason], name);
    t.equal(replayDecision(bytes, sha256('x')).verdict, 'DIFFERENT', `${name}: not what was committed to`);
  }
  for (const rubbish of ['', '{"inputs":', '\ufeff{}', '{"inputs":{},"inputs":{}}', `${'['.repeat(50)}`]) {
    const bytes = Buffer.from(rubbish);
    t.equal(replayDecision(bytes, sha256(bytes)).verdict, 'DIFFERENT_VERSION', JSON.stringify(rubbish.slice(0, 20)));
  }
  // A member less that the rules do not look at in this case: the same decision, the same hash.
  const { bytes, hash } = archiveDecision(without(INPUTS, 'consent') as unknown as DecisionInputs, decision);
  t.equal(replayDecision(bytes, hash).verdict, 'SAME');
  // Of before there were frequencies, and decided otherwise than today: the form is known, it was the rules.
  const before = bytesOf({ inputs: withReceipt({ frequency: undefined }), decision: { ...allowed, code: 'OLD' } });
  t.match(replayDecision(before, sha256(before)), { verdict: 'DIFFERENT', reason: /^OLD was decided/ });
});
