// The decision about access: the order of its checks, and what may leave a bound service, on each basis.
import t from 'tap';
import { decide } from '#policy/decide.ts';
import type { ConsentFacts, PurposeFacts, ReceiptFacts } from '#policy/decision-inputs.ts';
import { A, B, bound, C, inputs, NOW, type Over, off, one, P, PURPOSE_X, personal, Q, right } from './decision.ts';

t.test('what may leave a bound service', async (t) => {
  const all = one({ elements: [A, B, C, P, Q] });
  const use = (used: string[], budget = 2) => ({ predicateUse: [{ input: A, used, budget }] });
  const rows: [string, Over, string, string[]?, string[]?][] = [
    ['everything asked and permitted', bound(['/a', '/b', '/c'], all), 'OK', ['/a', '/b', '/c'], []],
    ['no fields', bound([], { ...all, request: { fields: null } }), 'FIELDS_REQUIRED'],
    ['an unknown field, named', bound(['/a', '/x'], all), 'FIELDS_UNKNOWN'],
    ['an operation that is not there', bound(['/a'], all, { operation: null }), 'OPERATION_UNKNOWN'],
    ['too many places', bound(['/a'], all, { tooMany: true }), 'FIELDS_TOO_MANY'],
    ['nobody it is about', bound(['/a'], { ...all, request: { subject: null } }), 'SUBJECT_MISSING'],
    [
      'no subject where none is needed',
      bound(['/a'], { ...all, request: { subject: null } }, { needsSubject: false }),
      'OK',
    ],
    [
      'a predicate about nobody',
      bound([P], { ...all, request: { subject: null } }, { needsSubject: false }),
      'SUBJECT_MISSING',
    ],
    [
      'another purpose than offered',
      bound(['/a'], { ...one({ elements: [A], purposes: ['x'] }), request: { purpose: 'x' } }, { purposes: ['y'] }),
      'PURPOSE_NOT_ALLOWED',
    ],
    ['a right without a ceiling', bound(['/a'], one({ elements: null })), 'FIELDS_NOT_PERMITTED'],
    ['one outside the ceiling', bound(['/a', '/b', '/c'], one({ elements: [A] })), 'FIELDS_NOT_PERMITTED'],
    [
      'the rest, when partial is said',
      bound(['/a', '/b', '/c'], { ...one({ elements: [A] }), request: { partial: true } }),
      'OK',
      ['/a'],
      ['/b', '/c'],
    ],
    [
      'half of a group is nothing of it',
      bound(['/a', '/b', '/c'], { ...one({ elements: [A, B] }), request: { partial: true } }),
      'OK',
      ['/a'],
      ['/b', '/c'],
    ],
    [
      'partial, and nothing is left',
      bound(['/b', '/c'], { ...one({ elements: [A] }), request: { partial: true } }),
      'FIELDS_NOT_PERMITTED',
    ],
    ['a predicate without its inputs', bound([P], one({ elements: [P] })), 'OK', [P], []],
    ['its inputs do not come with it', bound([P, '/a'], one({ elements: [P] })), 'FIELDS_NOT_PERMITTED'],
    ['the last of a budget', bound([P], { ...all, ...use(['gx.pred.o@1']) }), 'OK'],
    ['one it asked before', bound([P], { ...all, ...use(['gx.pred.o@1', P]) }), 'OK'],
    ['one more', bound([P], { ...all, ...use(['gx.pred.o@1', 'gx.pred.r@1']) }), 'PREDICATE_BUDGET_SPENT'],
    ['two at once', bound([P, Q], { ...all, ...use(['gx.pred.o@1']) }), 'PREDICATE_BUDGET_SPENT'],
  ];
  for (const [name, over, code, asked, omitted] of rows) {
    const { release, ...decision } = decide(inputs(over));
    t.equal(decision.code, code, name);
    t.equal(release === null, code !== 'OK', `${name}: something to release only when allowed`);
    const names = (list?: { path: string | null; element: string }[]) =>
      list?.map(({ path, element }) => path ?? element);
    if (asked) t.same([names(release?.asked), names(release?.omitted)], [asked, omitted], name);
  }
  t.match(decide(inputs(bound(['/a', '/x', '/y'], all))).detail, '/x, /y');
  t.match(decide(inputs(bound(['/a', '/b', '/c'], one({ elements: [A] })))).detail, `/b (${B}), /c (${C})`);
  const rights = [right({ id: '1', elements: [B, C] }), right({ id: '2', elements: [A, B, C] })];
  const given = bound(['/a', '/b', '/c'], {
    rights: rights.map((each) => ({ right: each, usedToday: 0 })),
    request: { partial: true },
  });
  t.match(decide(inputs(given)), { rightId: '2', release: { omitted: [] } }, 'the right that omits least decides');
});

t.test('the order of the checks', async (t) => {
  const rows: [string, Over, string][] = [
    ['all in order', {}, 'OK'],
    ['an unknown client before an unknown service', { clientRegistered: false, service: null }, 'CLIENT_UNKNOWN'],
    ['an unknown service before rights', { service: null, rights: [] }, 'SERVICE_UNKNOWN'],
    ['no right before a disabled service', { service: off, rights: [] }, 'ACCESS_DENIED'],
    ['a disabled service before the purpose', { service: off, ...one({ purposes: ['x'] }) }, 'SERVICE_DISABLED'],
    ['the purpose before the basis', one({ purposes: ['x'], bases: ['law'] }), 'PURPOSE_NOT_ALLOWED'],
    ['the basis before the quota', one({ bases: ['law'], quotaPerDay: 1 }, 1), 'BASIS_NOT_ALLOWED'],
    ['personal data without a binding', { service: personal }, 'BINDING_REQUIRED'],
    [
      'open at a service with personal data',
      bound(['/a'], { service: personal, ...one({ elements: [A], purposes: ['x'], pins: { x: 'h' } }), ...PURPOSE_X }),
      'BASIS_NOT_ALLOWED',
    ],
    ['fields at a service that is not bound', { request: { fields: ['/a'] } }, 'FIELDS_UNKNOWN'],
    ['a ceiling for a service that is not bound', one({ elements: [A] }), 'FIELDS_NOT_PERMITTED'],
    ['at its first millisecond', one({ notBeforeMs: NOW }), 'OK'],
    ['a millisecond before', one({ notBeforeMs: NOW + 1, notAfterMs: NOW + 1 }), 'ACCESS_DENIED'],
    ['at its last millisecond', one({ notAfterMs: NOW }), 'OK'],
    ['a millisecond after', one({ notAfterMs: NOW - 1 }), 'ACCESS_DENIED'],
    ['the last of a quota', one({ quotaPerDay: 5 }, 4), 'OK'],
    ['one more', one({ quotaPerDay: 5 }, 5), 'QUOTA_EXCEEDED'],
    ['a right for another service', one({ service: 'DEV/GOV/2002/provider/other' }), 'ACCESS_DENIED'],
  ];
  for (const [name, over, code] of rows) {
    const decision = decide(inputs(over));
    t.equal(decision.code, code, name);
    t.equal(decision.allowed, code === 'OK', name);
  }
  t.equal(decide(inputs({ service: off })).detail, 'back on Monday');
  const several = [
    right({ id: '1', purposes: ['x'] }),
    right({ id: '2', quotaPerDay: 1 }),
    right({ id: '3', bases: ['law'] }),
  ];
  const refusal = decide(inputs({ rights: several.map((each) => ({ right: each, usedToday: 1 })) }));
  t.match(refusal, { code: 'QUOTA_EXCEEDED', rightId: '2' }, 'the right that came furthest is told');
  const allowed = decide(inputs({ rights: several.map((each) => ({ right: each, usedToday: 0 })) }));
  t.match(allowed, { code: 'OK', rightId: '2' }, 'the first right that allows everything decides');
});

t.test('case numbers', async (t) => {
  const rows: [string, string, boolean][] = [
    ['A##-#', 'x12-3', true],
    ['A##-#', '112-3', false],
    ['A##-#', 'x12-34', false],
    ['A##-#', 'x12_3', false],
    ['', 'anything', true],
    ['', '', false],
    ['民#', '民7', true],
    ['𠮷#', '𠮷7', true],
    ['𠮷#', 'xx7', false],
    ['#', '٣', false],
    ['A', 'é', false],
  ];
  for (const [pattern, issue, fits] of rows) {
    const rights = one({ bases: ['law'], casePattern: pattern === '' ? null : pattern });
    const decision = decide(inputs({ ...rights, request: { basis: 'law', userId: 'u', issue } }));
    t.equal(decision.code, fits ? 'OK' : 'CASE_NUMBER_REQUIRED', `${pattern} ${issue}`);
  }
});

t.test('consent, in the order of its checks', async (t) => {
  const words: PurposeFacts = {
    version: 2,
    hash: 'h',
    bases: ['consent'],
    elements: [A, B, C],
    quotaPerDay: null,
    usedToday: 0,
  };
  const good: ReceiptFacts = {
    jti: 'j',
    purposeHash: 'h',
    elements: [A, B, C],
    notBeforeMs: NOW,
    notAfterMs: NOW + 1,
    uses: 3,
    used: 2,
  };
  const often = { uses: 2, days: 30, untilMs: NOW, used: 2, againAtMs: NOW };
  type Parts = {
    receipt?: Partial<ReceiptFacts> | null;
    consent?: Partial<ConsentFacts>;
    purpose?: Partial<PurposeFacts> | null;
    right?: object;
  };
  const given = (
    fields: string[],
    { receipt = {}, consent = {}, purpose = {}, right: over = {} }: Parts,
    request: object = {},
  ) =>
    bound(fields, {
      service: personal,
      ...one({ bases: ['consent'], purposes: ['x'], pins: { x: 'h' }, elements: [A, B, C], ...over }),
      request: { basis: 'consent', purpose: 'x', ...request },
      purpose: purpose && { ...words, ...purpose },
      consent: {
        given: true,
        receipt: receipt && { ...good, ...receipt },
        status: { value: 0, listIatMs: NOW - 120_000 },
        trustedNowMs: NOW,
        deviationMs: 5_000,
        ...consent,
      },
    });
  const all = ['/a', '/b', '/c'];
  const rows: [string, Over, string][] = [
    ['all in order, at every edge', given(all, {}), 'OK'],
    ['no receipt', given(all, { receipt: null, consent: { given: false } }), 'CONSENT_REQUIRED'],
    ['a clock in doubt', given(all, { consent: { deviationMs: 5_001 } }), 'CLOCK_DOUBTED'],
    [
      'not genuine, whatever the status says',
      given(all, { receipt: null, consent: { status: null } }),
      'RECEIPT_REFUSED',
    ],
    ['for other words', given(all, { receipt: { purposeHash: 'old' } }), 'RECEIPT_REFUSED'],
    ['not yet', given(all, { receipt: { notBeforeMs: NOW + 1 } }), 'CONSENT_EXPIRED'],
    ['no more', given(all, { receipt: { notAfterMs: NOW } }), 'CONSENT_EXPIRED'],
    ['no list', given(all, { consent: { status: null } }), 'STATUS_STALE'],
    ['an old list', given(all, { consent: { status: { value: 0, listIatMs: NOW - 120_001 } } }), 'STATUS_STALE'],
    [
      'an old list before what it says',
      given(all, { consent: { status: { value: 1, listIatMs: NOW - 120_001 } } }),
      'STATUS_STALE',
    ],
    ['withdrawn', given(all, { consent: { status: { value: 1, listIatMs: NOW } } }), 'CONSENT_WITHDRAWN'],
    ['suspended', given(all, { consent: { status: { value: 2, listIatMs: NOW } } }), 'CONSENT_SUSPENDED'],
    [
      'a status that nobody knows',
      given(all, { consent: { status: { value: 3, listIatMs: NOW } } }),
      'CONSENT_WITHDRAWN',
    ],
    ['used up', given(all, { receipt: { used: 3 } }), 'CONSENT_USES_SPENT'],
    ['as often as one likes', given(all, { receipt: { uses: null, used: 99 } }), 'OK'],
    ['the last within its days', given(all, { receipt: { frequency: { ...often, used: 1 } } }), 'OK'],
    ['too often within its days', given(all, { receipt: { frequency: often } }), 'CONSENT_TOO_OFTEN'],
    [
      'used up, for ever, before too often',
      given(all, { receipt: { used: 3, frequency: often } }),
      'CONSENT_USES_SPENT',
    ],
    [
      'a frequency that several servers would count apart',
      given(all, { receipt: { uses: null, frequency: { ...often, used: 0 }, countedApart: true } }),
      'CONSENT_USES_NOT_COUNTED',
    ],
    ['nothing that would have to be counted', given(all, { receipt: { uses: null, countedApart: true } }), 'OK'],
    [
      'withdrawn before too often',
      given(all, { receipt: { frequency: often }, consent: { status: { value: 1, listIatMs: NOW } } }),
      'CONSENT_WITHDRAWN',
    ],
    ['beyond what the citizen allowed', given(all, { receipt: { elements: [A] } }), 'FIELDS_NOT_CONSENTED'],
    ['the rest of it', given(all, { receipt: { elements: [A] } }, { partial: true }), 'OK'],
    ['beyond the purpose', given(all, { purpose: { elements: [A] } }), 'FIELDS_NOT_PERMITTED'],
    ['beyond the right', given(all, { right: { elements: [A] } }), 'FIELDS_NOT_PERMITTED'],
    ['a purpose that is not registered', given(all, { purpose: null }), 'PURPOSE_UNKNOWN'],
    ['a purpose that has ended', { ...given(all, { purpose: null }), purposeEnded: true }, 'PURPOSE_ENDED'],
    ['a right for other words', given(all, { right: { pins: { x: 'old' } } }), 'PURPOSE_CHANGED'],
    ['a right without words', given(all, { right: { pins: {} } }), 'PURPOSE_CHANGED'],
    ['a purpose for another basis', given(all, { purpose: { bases: ['law'] } }), 'BASIS_NOT_ALLOWED'],
    ["the last of the purpose's quota", given(all, { purpose: { quotaPerDay: 2, usedToday: 1 } }), 'OK'],
    ['one more', given(all, { purpose: { quotaPerDay: 2, usedToday: 2 } }), 'QUOTA_EXCEEDED'],
    ['no purpose', given(all, { right: { purposes: [] } }, { purpose: null }), 'PURPOSE_NOT_ALLOWED'],
  ];
  for (const [name, over, code] of rows) t.equal(decide(inputs(over)).code, code, name);
  const tooOften = (over: object) =>
    decide(inputs(given(all, { receipt: { frequency: { ...often, ...over } } }))).detail;
  t.equal(tooOften({}), '2 within 30 days; again from 2027-01-15T08:00:00.000Z');
  t.equal(tooOften({ days: 1, againAtMs: null }), '2 within 24 hours; not again before the consent ends');
  const sensitive = (level: 1 | 2 | 3 | 4, ageMs: number) => {
    const over = given(['/a'], { consent: { status: { value: 0, listIatMs: NOW - ageMs } } });
    const asked = over.binding?.asked.map((each) => ({ ...each, level })) ?? [];
    return decide(inputs({ ...over, binding: over.binding ? { ...over.binding, asked } : null })).code;
  };
  const ages = [
    [1, 120_000],
    [2, 120_000],
    [3, 60_000],
    [4, 20_000],
  ] as const;
  for (const [level, maxAgeMs] of ages) {
    t.equal(sensitive(level, maxAgeMs), 'OK', `level ${level}`);
    t.equal(sensitive(level, maxAgeMs + 1), 'STATUS_STALE', `level ${level}, a millisecond older`);
  }
});
