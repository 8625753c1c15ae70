// What the bases law and emergency ask of officials: every code, the order of the checks, and what the rules never let
// through, whatever comes in.
import fc from 'fast-check';
import t from 'tap';
import { decide } from '#policy/decide.ts';
import type { DecisionInputs, EmergencyFacts, EvidenceFacts } from '#policy/decision-inputs.ts';
import type { AccessRight } from '#schemas/access-right.ts';
import type { Basis } from '#schemas/statement.ts';
import { A, B, bound, CLIENT, inputs, NOW, type Over, one, P, personal, SERVICE } from './decision.ts';

const WHO = { id: 'u', unit: 'Population office' };
const SECOND = { id: 'w', unit: 'Duty station' };
const signed: EvidenceFacts = { given: 1, official: WHO, usedBefore: false, emergency: null };
const emergency: EmergencyFacts = {
  id: 'e',
  officials: [WHO, SECOND],
  reason: 'Flood',
  purpose: 'x',
  services: ['DEV/GOV/2002/provider/other', SERVICE],
  fromMs: NOW,
  untilMs: NOW + 1,
  persons: 2,
  otherPersons: 1,
};
const opened = (over: Partial<EmergencyFacts> = {}): EvidenceFacts => {
  return { given: 2, official: null, usedBefore: false, emergency: { ...emergency, ...over } };
};

interface Parts {
  request?: Partial<DecisionInputs['request']>;
  evidence?: EvidenceFacts | null;
  right?: Partial<AccessRight>;
  more?: Over;
}

const given = (basis: Basis, { request = {}, evidence = null, right = {}, more = {} }: Parts, fields = ['/a']): Over =>
  bound(fields, {
    service: personal,
    ...one({
      bases: ['law', 'emergency'],
      purposes: ['x'],
      pins: { x: 'h' },
      elements: [A, B],
      evidence: 'official',
      casePattern: 'A#',
      secrecyDays: 3,
      ...right,
    }),
    purpose: { version: 1, hash: 'h', bases: ['law', 'emergency'], elements: [A], quotaPerDay: null, usedToday: 0 },
    evidence,
    ...more,
    request: { purpose: 'x', basis, userId: 'u', issue: basis === 'law' ? 'B7' : null, ...request },
  });
const law = (parts: Parts = {}) => given('law', { evidence: signed, ...parts });
const urgent = (parts: Parts = {}, fields?: string[]) => given('emergency', { evidence: opened(), ...parts }, fields);
const nobody = { official: null };

t.test('law: who, which case, and who says so', async (t) => {
  const server = { right: { evidence: 'server' as const } };
  const rows: [string, Over, string][] = [
    ['all in order', law(), 'OK'],
    ['no official', law({ request: { userId: null } }), 'OFFICIAL_REQUIRED'],
    ['no official before no case', law({ request: { userId: null, issue: null } }), 'OFFICIAL_REQUIRED'],
    ['no case', law({ request: { issue: null } }), 'CASE_NUMBER_REQUIRED'],
    [
      'a case of another form before no token',
      law({ request: { issue: 'BB' }, evidence: null }),
      'CASE_NUMBER_REQUIRED',
    ],
    ['no token', law({ evidence: { ...signed, given: 0, ...nobody } }), 'EVIDENCE_REQUIRED'],
    ['not even looked for', law({ evidence: null }), 'EVIDENCE_REQUIRED'],
    ['not genuine', law({ evidence: { ...signed, ...nobody } }), 'EVIDENCE_REFUSED'],
    ['two tokens', law({ evidence: { ...signed, given: 2, ...nobody } }), 'EVIDENCE_REFUSED'],
    ['another official', law({ request: { userId: 'U' } }), 'EVIDENCE_REFUSED'],
    ['used', law({ evidence: { ...signed, usedBefore: true } }), 'EVIDENCE_USED'],
    [
      'used, by another official',
      law({ request: { userId: 'w' }, evidence: { ...signed, usedBefore: true } }),
      'EVIDENCE_REFUSED',
    ],
    ['an emergency instead', law({ evidence: opened() }), 'EVIDENCE_REFUSED'],
    ['the word of the server', law({ ...server, evidence: null }), 'OK'],
    [
      'the word of the server, of nobody',
      law({ ...server, evidence: null, request: { userId: null } }),
      'OFFICIAL_REQUIRED',
    ],
    [
      'a false token where none is asked for',
      law({ ...server, evidence: { ...signed, ...nobody } }),
      'EVIDENCE_REFUSED',
    ],
    ['a spent one', law({ ...server, evidence: { ...signed, usedBefore: true } }), 'EVIDENCE_USED'],
    [
      'used before a long delay',
      law({ evidence: { ...signed, usedBefore: true }, request: { hiddenUntil: '2030-01-01' } }),
      'EVIDENCE_USED',
    ],
    ['the basis before the token', law({ evidence: null, right: { bases: ['open'] } }), 'BASIS_NOT_ALLOWED'],
    ['the purpose before the token', law({ evidence: null, right: { pins: { x: 'old' } } }), 'PURPOSE_CHANGED'],
    ['the token before the ceiling', law({ evidence: null, right: { elements: [B] } }), 'EVIDENCE_REQUIRED'],
    ['locked before anything', law({ more: { lockedFor: 'e', service: null, rights: [] } }), 'REVIEW_OVERDUE'],
    ['unknown before locked', law({ more: { lockedFor: 'e', clientRegistered: false } }), 'CLIENT_UNKNOWN'],
  ];
  for (const [name, over, code] of rows) t.equal(decide(inputs(over)).code, code, name);
  const full = { ...law({ request: { hiddenUntil: '2030-01-01' } }) };
  const usedUp = {
    ...full,
    rights: full.rights?.map(({ right }) => ({ right: { ...right, quotaPerDay: 1 }, usedToday: 1 })) ?? [],
  };
  t.equal(decide(inputs(usedUp)).code, 'SECRECY_NOT_ALLOWED', 'a long delay before the quota');
  t.equal(decide(inputs(law({ more: { lockedFor: 'e' } }))).detail, 'e', 'which emergency is to be reviewed');
  t.equal(decide(inputs(law({ evidence: { ...signed, ...nobody } }))).detail, '', 'not why a token is refused');
});

t.test('a delay: only under law, within the days of the right, to a day that is one', async (t) => {
  const rows: [string, Over, string][] = [
    ['today', law({ request: { hiddenUntil: '2027-01-15' } }), 'OK'],
    ['the last day', law({ request: { hiddenUntil: '2027-01-18' } }), 'OK'],
    ['a day more', law({ request: { hiddenUntil: '2027-01-19' } }), 'SECRECY_NOT_ALLOWED'],
    ['yesterday', law({ request: { hiddenUntil: '2027-01-14' } }), 'SECRECY_NOT_ALLOWED'],
    ['no day', law({ request: { hiddenUntil: 'x' } }), 'SECRECY_NOT_ALLOWED'],
    [
      'a day that does not exist, within a month of days',
      law({ request: { hiddenUntil: '2027-02-30' }, right: { secrecyDays: 60 } }),
      'SECRECY_NOT_ALLOWED',
    ],
    ['over the end of February', law({ request: { hiddenUntil: '2027-03-02' }, right: { secrecyDays: 46 } }), 'OK'],
    [
      'a right without delays',
      law({ request: { hiddenUntil: '2027-01-15' }, right: { secrecyDays: null } }),
      'SECRECY_NOT_ALLOWED',
    ],
    ['in an emergency', urgent({ request: { hiddenUntil: '2027-01-15' } }), 'SECRECY_NOT_ALLOWED'],
    ['an open service', { request: { hiddenUntil: '2027-01-15' }, ...one({ secrecyDays: 3 }) }, 'SECRECY_NOT_ALLOWED'],
  ];
  for (const [name, over, code] of rows) t.equal(decide(inputs(over)).code, code, name);
});

t.test('emergency: two people, terms, time, persons', async (t) => {
  const late = { fromMs: NOW - 9, untilMs: NOW };
  const rows: [string, Over, string][] = [
    ['all in order, at every edge', urgent(), 'OK'],
    ['the other of the two', urgent({ request: { userId: 'w' } }), 'OK'],
    ['no official', urgent({ request: { userId: null } }), 'OFFICIAL_REQUIRED'],
    ['no tokens', urgent({ evidence: { ...opened(), given: 0, emergency: null } }), 'EMERGENCY_REQUIRED'],
    ['not even looked for', urgent({ evidence: null }), 'EMERGENCY_REQUIRED'],
    ['not genuine', urgent({ evidence: { ...opened(), emergency: null } }), 'EVIDENCE_REFUSED'],
    ['a token of the basis law', urgent({ evidence: signed }), 'EVIDENCE_REFUSED'],
    ['a third person', urgent({ request: { userId: 'v' } }), 'EVIDENCE_REFUSED'],
    ['another purpose', urgent({ evidence: opened({ purpose: 'y' }) }), 'EVIDENCE_REFUSED'],
    ['another service', urgent({ evidence: opened({ services: [`${SERVICE}2`] }) }), 'EVIDENCE_REFUSED'],
    ['another service, and over', urgent({ evidence: opened({ services: [], ...late }) }), 'EVIDENCE_REFUSED'],
    ['a millisecond before', urgent({ evidence: opened({ fromMs: NOW + 1 }) }), 'EMERGENCY_ENDED'],
    ['at its end', urgent({ evidence: opened(late) }), 'EMERGENCY_ENDED'],
    ['over, and used up', urgent({ evidence: opened({ ...late, otherPersons: 9 }) }), 'EMERGENCY_ENDED'],
    ['one person more', urgent({ evidence: opened({ otherPersons: 2 }) }), 'EMERGENCY_PERSONS_SPENT'],
    ['about nobody', urgent({ request: { subject: null }, more: {} }), 'SUBJECT_MISSING'],
    ['a right that does not name it', urgent({ right: { bases: ['law', 'consent', 'open'] } }), 'BASIS_NOT_ALLOWED'],
    ['beyond the purpose', urgent({}, ['/b']), 'FIELDS_NOT_PERMITTED'],
    ['beyond the right', urgent({ right: { elements: [B] } }), 'FIELDS_NOT_PERMITTED'],
    [
      'the quota of the right',
      { ...urgent(), ...one({ ...urgent().rights?.[0]?.right, quotaPerDay: 1 }, 1) },
      'QUOTA_EXCEEDED',
    ],
  ];
  for (const [name, over, code] of rows) t.equal(decide(inputs(over)).code, code, name);
  const everybody = bound(
    ['/a'],
    { ...urgent(), request: { ...urgent().request, subject: null } },
    { needsSubject: false },
  );
  t.equal(decide(inputs(everybody)).code, 'SUBJECT_MISSING', 'whom it is about is counted, so it is said');
  const words = {
    version: 1,
    hash: 'h',
    bases: ['emergency' as const],
    elements: [A, P],
    quotaPerDay: 1,
    usedToday: 1,
  };
  t.equal(decide(inputs({ ...urgent(), purpose: words })).code, 'QUOTA_EXCEEDED', 'the quota of the purpose');
  const spent = { predicateUse: [{ input: A, used: ['gx.pred.o@1'], budget: 1 }] };
  const predicate = { ...urgent({ right: { elements: [P] } }, [P]), purpose: { ...words, usedToday: 0 }, ...spent };
  t.equal(decide(inputs(predicate)).code, 'PREDICATE_BUDGET_SPENT', 'the budget of predicates');
});

/** The first one mostly, so that what is wrong is rarely two things at once. */
const mostly = <T>(good: T, ...others: T[]) =>
  fc.oneof({ weight: 7, arbitrary: fc.constant(good) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
const anyFacts: fc.Arbitrary<EvidenceFacts> = fc.record({
  given: mostly(2, 0, 1),
  official: mostly<EvidenceFacts['official']>(WHO, null, SECOND),
  usedBefore: mostly(false, true),
  emergency: fc.option(
    fc.record({
      id: fc.constant('e'),
      officials: mostly([WHO, SECOND], [SECOND]),
      reason: fc.constant('Flood'),
      purpose: mostly('x', 'y'),
      services: mostly([SERVICE, 's'], ['s']),
      fromMs: mostly(NOW, 0, NOW - 1, NOW + 1),
      untilMs: mostly(NOW + 1, NOW - 1, NOW),
      persons: mostly(2, 1),
      otherPersons: mostly(1, 0, 2, 3),
    }),
    { nil: null, freq: 9 },
  ),
});
const anyAsked = fc.record({
  basis: mostly<Basis>('law', 'emergency', 'emergency', 'open', 'consent'),
  evidence: fc.option(anyFacts, { nil: null, freq: 9 }),
  userId: mostly<string | null>('u', null, 'w', 'v'),
  issue: mostly<string | null>('B7', null, 'no'),
  purpose: mostly('x', 'y'),
  client: mostly(CLIENT, 'DEV/GOV/1001/other'),
  service: mostly(SERVICE, 's'),
  hiddenUntil: mostly<string | null>(
    null,
    '2027-01-14',
    '2027-01-15',
    '2027-01-17',
    '2027-01-18',
    '2027-01-19',
    '2027-02-30',
    '2099-01-01',
  ),
  lockedFor: mostly<string | null>(null, 'e'),
  subject: mostly<DecisionInputs['request']['subject']>({ scheme: 'gx.id@1', value: '1' }, null),
  right: fc.record({
    evidence: fc.constantFrom<AccessRight['evidence']>('official', 'server'),
    secrecyDays: fc.constantFrom(null, 2, 3),
    bases: mostly<Basis[]>(['law', 'emergency', 'open', 'consent'], ['law'], ['emergency']),
  }),
});

t.test('what is never released', async (t) => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(anyAsked, ({ right, lockedFor, evidence, basis, ...request }) => {
      const parts = given(basis, { evidence, right, request, more: { lockedFor } });
      const all = inputs({ ...parts, service: { ...personal } });
      const decision = decide(all);
      seen.set(decision.code, (seen.get(decision.code) ?? 0) + 1);
      if (!decision.allowed) return true;
      const facts = evidence?.emergency;
      const days = (Date.parse(request.hiddenUntil ?? all.today) - Date.parse(all.today)) / 86_400_000;
      const openly =
        request.hiddenUntil === null || (basis === 'law' && days >= 0 && days <= (right.secrecyDays ?? -1));
      const genuine = evidence?.official?.id === request.userId && !evidence?.usedBefore && evidence?.given > 0;
      const silent = right.evidence === 'server' && (evidence?.given ?? 0) === 0;
      const lawful = request.userId !== null && request.issue === 'B7' && (genuine || silent);
      const pressing =
        facts?.officials.some(({ id }) => id === request.userId) &&
        facts.purpose === request.purpose &&
        facts.services.includes(request.service) &&
        facts.fromMs <= NOW &&
        NOW < facts.untilMs &&
        facts.otherPersons < facts.persons &&
        request.subject !== null;
      const isGrounded = basis === 'law' ? lawful : basis === 'emergency' && pressing;
      return lockedFor === null && request.client === CLIENT && openly && isGrounded && right.bases.includes(basis);
    }),
    { numRuns: 12_000 },
  );
  for (const code of ['OK', 'EVIDENCE_USED', 'EMERGENCY_ENDED', 'EMERGENCY_PERSONS_SPENT', 'SECRECY_NOT_ALLOWED']) {
    t.ok((seen.get(code) ?? 0) > 5, `${code} was among them`);
  }
});
