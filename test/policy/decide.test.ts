// The decision about access: the order of its checks, the laws it keeps for any input, and the endpoint rules against a
// plain and slow reading of the same words.
import fc from 'fast-check';
import t from 'tap';
import {
  type AskedElement,
  type AskedOfBinding,
  archiveDecision,
  type DecisionInputs,
  decide,
  type Permitted,
} from '#policy/decide.ts';
import { endpointAllowed, globMatches } from '#policy/endpoint-glob.ts';
import type { AccessRight, EndpointRule } from '#schemas/access-right.ts';
import type { Basis } from '#schemas/statement.ts';

const CLIENT = 'DEV/GOV/1001/consumer';
const SERVICE = 'DEV/GOV/2002/provider/echo';
const NOW = 1_800_000_000_000;

function right(over: Partial<AccessRight> = {}): AccessRight {
  return {
    id: '00000000-0000-4000-8000-000000000001',
    client: CLIENT,
    service: SERVICE,
    endpoints: [{ method: '*', path: '/**' }],
    bases: ['open'],
    purposes: [],
    elements: null,
    statute: null,
    casePattern: null,
    notBeforeMs: 0,
    notAfterMs: NOW,
    quotaPerDay: null,
    retention: 'standard',
    ...over,
  };
}

type Over = Partial<Omit<DecisionInputs, 'request'>> & { request?: Partial<DecisionInputs['request']> };

function inputs({ request, ...over }: Over = {}): DecisionInputs {
  const asked = { client: CLIENT, service: SERVICE, method: 'GET', path: '/a', purpose: null, basis: 'open' as const };
  return {
    v: 1,
    nowMs: NOW,
    request: { ...asked, userId: null, issue: null, subject: null, fields: null, partial: false, ...request },
    clientRegistered: true,
    service: { enabled: true, notice: null, personalData: false },
    binding: null,
    rights: [{ right: right(), usedToday: 0 }],
    predicateUse: [],
    ...over,
  };
}

const one = (over: Partial<AccessRight>, usedToday = 0) => ({ rights: [{ right: right(over), usedToday }] });
const off = { enabled: false, notice: 'back on Monday', personalData: false };

const personal = { enabled: true, notice: null, personalData: true };
const [A, B, C, P, Q] = ['gx.a@1', 'gx.b@1', 'gx.c@1', 'gx.pred.p@1', 'gx.pred.q@1'] as const;
const ASKED: Record<string, AskedElement> = {
  '/a': { path: '/a', element: A, level: 1, inputs: [], group: null },
  '/b': { path: '/b', element: B, level: 2, inputs: [], group: '/ gx.group.g@1' },
  '/c': { path: '/c', element: C, level: 2, inputs: [], group: '/ gx.group.g@1' },
  [P]: { path: null, element: P, level: 2, inputs: [A], group: null },
  [Q]: { path: null, element: Q, level: 2, inputs: [A, B], group: null },
};

/** A request for these fields of a bound operation. */
function bound(fields: string[], over: Over = {}, binding: Partial<AskedOfBinding> = {}): Over {
  const asked = fields.flatMap((field) => ASKED[field] ?? []);
  const unknown = fields.filter((field) => ASKED[field] === undefined);
  const about = { table: 't', operation: 'GET /a', needsSubject: true, purposes: [], tooMany: false };
  const subject = { scheme: 'gx.id@1', value: '1' };
  return {
    ...over,
    request: { fields, subject, ...over.request },
    binding: { ...about, asked, unknown, ...binding },
  };
}

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
      bound(['/a'], { service: personal, ...one({ elements: [A] }) }),
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
    ['consent', { ...one({ bases: ['consent'] }), request: { basis: 'consent' } }, 'CONSENT_NOT_SUPPORTED'],
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

/** The same words without cleverness: try every way to spend the path. */
function naive(glob: string, path: string): boolean {
  if (glob === '') return path === '';
  if (glob.startsWith('\\') && glob.length > 1)
    return path.charAt(0) === glob.charAt(1) && path !== '' && naive(glob.slice(2), path.slice(1));
  if (glob.startsWith('*')) {
    const many = glob.startsWith('**');
    const rest = glob.slice(many ? 2 : 1);
    for (let taken = 0; taken <= path.length; taken += 1) {
      if (!many && path.slice(0, taken).includes('/')) break;
      if (naive(rest, path.slice(taken))) return true;
    }
    return false;
  }
  return path.charAt(0) === glob.charAt(0) && path !== '' && naive(glob.slice(1), path.slice(1));
}

const text = (units: string[], maxLength: number) =>
  fc.array(fc.constantFrom(...units), { maxLength }).map((all) => all.join(''));

t.test('endpoint rules mean what their words say', async (t) => {
  fc.assert(
    fc.property(
      text(['/', 'a', 'b', '*', '**', '\\', '.'], 9),
      text(['/', 'a', 'b', '*', '\\', '.'], 9),
      (glob, path) => {
        return globMatches(glob, path) === naive(glob, path);
      },
    ),
    { numRuns: 3_000 },
  );
  const stalling = `/${'*a'.repeat(500)}`;
  const startedMs = performance.now();
  t.equal(globMatches(stalling, `/${'a'.repeat(8_000)}b`), false);
  t.ok(performance.now() - startedMs < 5_000, 'no rule stalls the server');
  t.equal(endpointAllowed([{ method: 'GET', path: '/a' }], 'POST', '/a'), false);
  t.equal(endpointAllowed([{ method: '*', path: '/a' }], 'POST', '/a'), true);
});

const maybe = <T>(value: T) => fc.constantFrom<T | null>(value, null);
const anyRight = fc.record({
  id: fc.constantFrom('1', '2', '3'),
  client: fc.constantFrom(CLIENT, 'DEV/GOV/1001/other'),
  service: fc.constantFrom(SERVICE, 'DEV/GOV/2002/provider/other'),
  endpoints: fc.constantFrom<EndpointRule[]>([{ method: '*', path: '/**' }], [{ method: 'GET', path: '/a' }]),
  bases: fc.constantFrom<Basis[]>(['open'], ['law'], ['open', 'law', 'consent']),
  purposes: fc.constantFrom<string[]>([], ['x']),
  elements: fc.option(fc.subarray<string>([A, B, C, P, Q], { minLength: 1 }), { nil: null }),
  statute: fc.constant(null),
  casePattern: maybe('#'),
  notBeforeMs: fc.constantFrom(0, NOW, NOW + 1),
  notAfterMs: fc.constantFrom(NOW - 1, NOW, NOW + 9),
  quotaPerDay: maybe(2),
  retention: fc.constantFrom('standard', 'long'),
});
const anyInputs: fc.Arbitrary<DecisionInputs> = fc.record({
  v: fc.constant(1 as const),
  nowMs: fc.constant(NOW),
  request: fc.record({
    client: fc.constant(CLIENT),
    service: fc.constant(SERVICE),
    method: fc.constantFrom('GET', 'POST'),
    path: fc.constantFrom('', '/a', '/b/c'),
    purpose: maybe('x'),
    basis: fc.constantFrom<Basis>('open', 'law', 'consent'),
    userId: maybe('u'),
    issue: fc.constantFrom(null, '1', 'no'),
    subject: maybe({ scheme: 'gx.id@1', value: '1' }),
    fields: maybe(['/a']),
    partial: fc.boolean(),
  }),
  clientRegistered: fc.boolean(),
  service: fc.constantFrom<DecisionInputs['service']>(null, off, { ...off, enabled: true }, personal),
  binding: fc.option(
    fc.record({
      table: fc.constant('t'),
      operation: fc.constantFrom(null, 'GET /a', 'GET /a', 'GET /a'),
      needsSubject: fc.boolean(),
      purposes: fc.constantFrom([], [], ['x']),
      asked: fc.subarray(Object.values(ASKED)),
      unknown: fc.constantFrom([], [], ['/x']),
      tooMany: fc.constantFrom(false, false, true),
    }),
    { nil: null },
  ),
  rights: fc.array(fc.record({ right: anyRight, usedToday: fc.integer({ min: 0, max: 3 }) }), { maxLength: 4 }),
  predicateUse: fc.constantFrom([], [{ input: A, used: ['gx.pred.o@1'], budget: 1 }]),
});

/** Nothing leaves that was not asked for, or is not under the ceiling of the right that decided; no half groups. */
function releasesRightly(
  { binding, request }: DecisionInputs,
  ceiling: readonly string[] | null,
  release: Permitted | null,
) {
  if (binding === null) return release === null && ceiling === null && request.fields === null;
  if (release === null || ceiling === null) return false;
  const known = (one: { element: string }) => binding.asked.find(({ element }) => element === one.element);
  const kept = new Set(release.asked.map((one) => known(one)?.group).filter((group) => group !== null));
  return (
    release.asked.length + release.omitted.length === binding.asked.length &&
    release.asked.every((one) => known(one) !== undefined && ceiling.includes(one.element)) &&
    release.omitted.every((one) => !kept.has(known(one)?.group ?? '')) &&
    (request.partial || release.omitted.length === 0)
  );
}

t.test('laws of every decision', async () => {
  fc.assert(
    fc.property(anyInputs, (given) => {
      const before = JSON.stringify(given);
      const decision = decide(given);
      const same =
        JSON.stringify(decide(JSON.parse(before))) === JSON.stringify(decision) && JSON.stringify(given) === before;
      const hash = archiveDecision(given, decision).hash === archiveDecision(JSON.parse(before), decision).hash;
      if (!decision.allowed) return same && hash && decision.code !== 'OK';
      // Allowed only by a right that covers who, what, when, on which basis, for which purpose, within its quota.
      const { request } = given;
      const deciding = given.rights.filter(({ right: each }) => each.id === decision.rightId);
      const covers = deciding.some(
        ({ right: each, usedToday }) =>
          each.client === request.client &&
          each.service === request.service &&
          each.notBeforeMs <= NOW &&
          NOW <= each.notAfterMs &&
          each.endpoints.some(
            (rule) => (rule.method === '*' || rule.method === request.method) && naive(rule.path, request.path || '/'),
          ) &&
          each.bases.includes(request.basis) &&
          (request.purpose === null ? each.purposes.length === 0 : each.purposes.includes(request.purpose)) &&
          (each.quotaPerDay === null || usedToday < each.quotaPerDay) &&
          releasesRightly(given, each.elements, decision.release),
      );
      const lawful = request.basis !== 'law' || (request.userId !== null && request.issue !== null);
      const enabled = given.service?.enabled === true && given.clientRegistered;
      return same && hash && covers && lawful && enabled && request.basis !== 'consent' && decision.code === 'OK';
    }),
    { numRuns: 4_000 },
  );
});
