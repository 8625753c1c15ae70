// Laws that the decision keeps for any input, and the endpoint rules against a plain and slow reading of the same words.
import fc from 'fast-check';
import t from 'tap';
import { archiveDecision, decide, type Permitted } from '#policy/decide.ts';
import type { ConsentFacts, DecisionInputs, EvidenceFacts } from '#policy/decision-inputs.ts';
import { endpointAllowed, globMatches } from '#policy/endpoint-glob.ts';
import type { AccessRight, EndpointRule } from '#schemas/access-right.ts';
import type { Basis } from '#schemas/statement.ts';
import { cpuMs } from '#test/cpu-time.ts';
import { A, ASKED, B, C, CLIENT, NOW, off, P, personal, Q, SERVICE } from './decision.ts';

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
  const startedMs = cpuMs();
  t.equal(globMatches(stalling, `/${'a'.repeat(8_000)}b`), false);
  t.ok(cpuMs() - startedMs < 5_000, 'no rule stalls the server');
  t.equal(endpointAllowed([{ method: 'GET', path: '/a' }], 'POST', '/a'), false);
  t.equal(endpointAllowed([{ method: '*', path: '/a' }], 'POST', '/a'), true);
});

const maybe = <T>(value: T) => fc.constantFrom<T | null>(value, null);
const anyRight = fc.record({
  id: fc.constantFrom('1', '2', '3'),
  client: fc.constantFrom(CLIENT, CLIENT, 'DEV/GOV/1001/other', 'local-group:g', 'global-group:DEV/g'),
  service: fc.constantFrom(SERVICE, 'DEV/GOV/2002/provider/other'),
  endpoints: fc.constantFrom<EndpointRule[]>([{ method: '*', path: '/**' }], [{ method: 'GET', path: '/a' }]),
  bases: fc.constantFrom<Basis[]>(['open'], ['law'], ['open', 'law', 'consent'], ['law', 'emergency']),
  purposes: fc.constantFrom<string[]>([], ['x']),
  pins: fc.constantFrom<Record<string, string>>({}, { x: 'h' }, { x: 'old' }),
  elements: fc.option(fc.subarray<string>([A, B, C, P, Q], { minLength: 1 }), { nil: null }),
  statute: fc.constant(null),
  casePattern: maybe('#'),
  evidence: fc.constantFrom<AccessRight['evidence']>('server', 'official'),
  secrecyDays: maybe(3),
  r1Defaults: fc.constant(null),
  notBeforeMs: fc.constantFrom(0, NOW, NOW + 1),
  notAfterMs: fc.constantFrom(NOW - 1, NOW, NOW + 9),
  quotaPerDay: maybe(2),
  retention: fc.constantFrom('standard', 'long'),
});
const anyFrequency = fc.record({
  uses: fc.integer({ min: 1, max: 2 }),
  days: fc.constantFrom(1, 30),
  untilMs: fc.constant(NOW),
  used: fc.integer({ min: 0, max: 3 }),
  againAtMs: maybe(NOW + 1),
});
const anyConsent: fc.Arbitrary<ConsentFacts> = fc.record({
  given: fc.boolean(),
  receipt: fc.option(
    fc.record(
      {
        jti: fc.constant('j'),
        purposeHash: fc.constantFrom('h', 'h', 'old'),
        elements: fc.subarray<string>([A, B, C, P, Q], { minLength: 1 }),
        notBeforeMs: fc.constantFrom(0, NOW, NOW + 1),
        notAfterMs: fc.constantFrom(NOW, NOW + 1, NOW + 9),
        uses: maybe(2),
        used: fc.integer({ min: 0, max: 3 }),
        ...{ frequency: anyFrequency, countedApart: fc.constant(true as const) },
      },
      { requiredKeys: ['jti', 'purposeHash', 'elements', 'notBeforeMs', 'notAfterMs', 'uses', 'used'] },
    ),
    { nil: null },
  ),
  status: fc.option(
    fc.record({ value: fc.constantFrom(0, 0, 1, 2, 3), listIatMs: fc.constantFrom(NOW, NOW - 60_000, NOW - 130_000) }),
    { nil: null },
  ),
  trustedNowMs: fc.constant(NOW),
  deviationMs: fc.constantFrom(0, 0, 5_001),
});

const anyEvidence: fc.Arbitrary<EvidenceFacts> = fc.record({
  given: fc.integer({ min: 0, max: 2 }),
  official: maybe({ id: 'u', unit: 'x' }),
  usedBefore: fc.boolean(),
  emergency: fc.option(
    fc.record({
      id: fc.constant('e'),
      officials: fc.constant([
        { id: 'u', unit: 'x' },
        { id: 'w', unit: 'y' },
      ]),
      reason: fc.constant('Flood'),
      purpose: fc.constant('x'),
      services: fc.constantFrom([SERVICE], ['other']),
      fromMs: fc.constantFrom(0, NOW + 1),
      untilMs: fc.constantFrom(NOW, NOW + 1),
      persons: fc.constant(2),
      otherPersons: fc.integer({ min: 0, max: 3 }),
    }),
    { nil: null },
  ),
});

/** A consent counts only when each of these holds; said another way than the code says it. */
function consentHolds({ consent, purpose, request }: DecisionInputs, release: Permitted | null): boolean {
  if (request.basis !== 'consent') return true;
  const receipt = consent?.receipt;
  const status = consent?.status;
  if (!consent?.given || !receipt || !status || !purpose || !release) return false;
  const inTime = receipt.notBeforeMs <= NOW && NOW < receipt.notAfterMs && NOW - status.listIatMs <= 120_000;
  const words = receipt.purposeHash === purpose.hash && purpose.bases.includes('consent');
  const { uses, used, frequency, countedApart } = receipt;
  const isCountable = countedApart === undefined || (uses === null && frequency === undefined);
  const isRare = frequency === undefined || frequency.used < frequency.uses;
  const unspent = (uses === null || used < uses) && isRare && isCountable;
  const elements = release.asked.every(({ element }) => receipt.elements.includes(element));
  return inTime && words && unspent && elements && status.value === 0 && consent.deviationMs <= 5_000;
}
const anyInputs: fc.Arbitrary<DecisionInputs> = fc.record({
  v: fc.constant(1 as const),
  nowMs: fc.constant(NOW),
  request: fc.record({
    client: fc.constant(CLIENT),
    service: fc.constant(SERVICE),
    method: fc.constantFrom('GET', 'POST'),
    path: fc.constantFrom('', '/a', '/b/c'),
    purpose: maybe('x'),
    basis: fc.constantFrom<Basis>('open', 'law', 'consent', 'emergency'),
    userId: maybe('u'),
    issue: fc.constantFrom(null, '1', 'no'),
    subject: maybe({ scheme: 'gx.id@1', value: '1' }),
    fields: maybe(['/a']),
    partial: fc.boolean(),
    hiddenUntil: fc.constantFrom(null, null, '2027-01-18', '2027-01-19'),
  }),
  defaultsFrom: fc.constant(null),
  clientRegistered: fc.boolean(),
  groups: fc.constantFrom<string[]>([], ['local-group:g'], ['global-group:DEV/g', 'local-group:g']),
  lockedFor: fc.constantFrom(null, null, null, 'e'),
  today: fc.constant('2027-01-15'),
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
  purpose: fc.option(
    fc.record({
      version: fc.constant(1),
      hash: fc.constant('h'),
      bases: fc.subarray<Basis>(['open', 'law', 'consent', 'emergency']),
      elements: fc.subarray<string>([A, B, C, P, Q]),
      quotaPerDay: maybe(2),
      usedToday: fc.integer({ min: 0, max: 3 }),
    }),
    { nil: null },
  ),
  purposeEnded: fc.boolean(),
  consent: fc.option(anyConsent, { nil: null }),
  evidence: fc.option(anyEvidence, { nil: null }),
  rights: fc.array(fc.record({ right: anyRight, usedToday: fc.integer({ min: 0, max: 3 }) }), { maxLength: 4 }),
  predicateUse: fc.constantFrom([], [{ input: A, used: ['gx.pred.o@1'], budget: 1 }]),
});

/** Nothing leaves that was not asked for, or is not under the ceiling of the right that decided; no half groups. */
function releasesRightly(
  { binding, request, purpose }: DecisionInputs,
  ceiling: readonly string[] | null,
  release: Permitted | null,
) {
  if (binding === null) return release === null && ceiling === null && request.fields === null;
  if (release === null || ceiling === null) return false;
  const words = request.purpose === null || release.asked.every((one) => purpose?.elements.includes(one.element));
  if (!words) return false;
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
          [request.client, ...given.groups].includes(each.client) &&
          each.service === request.service &&
          each.notBeforeMs <= NOW &&
          NOW <= each.notAfterMs &&
          each.endpoints.some(
            (rule) => (rule.method === '*' || rule.method === request.method) && naive(rule.path, request.path || '/'),
          ) &&
          each.bases.includes(request.basis) &&
          (request.purpose === null ? each.purposes.length === 0 : each.purposes.includes(request.purpose)) &&
          (each.quotaPerDay === null || usedToday < each.quotaPerDay) &&
          (given.binding === null || request.purpose === null || each.pins[request.purpose] === given.purpose?.hash) &&
          releasesRightly(given, each.elements, decision.release),
      );
      const { evidence } = given;
      const isOfficials = (evidence?.given ?? 0) > 0 && evidence?.official != null && !evidence.usedBefore;
      const isServers = (evidence?.given ?? 0) === 0 && deciding.some(({ right: each }) => each.evidence === 'server');
      const lawful =
        request.basis !== 'law' || (request.userId !== null && request.issue !== null && (isOfficials || isServers));
      const urgent = request.basis !== 'emergency' || (request.userId !== null && evidence?.emergency != null);
      const shown = request.hiddenUntil === null || (request.basis === 'law' && request.hiddenUntil === '2027-01-18');
      const enabled = given.service?.enabled === true && given.clientRegistered && given.lockedFor === null;
      return (
        same &&
        hash &&
        covers &&
        lawful &&
        urgent &&
        shown &&
        enabled &&
        consentHolds(given, decision.release) &&
        decision.code === 'OK'
      );
    }),
    { numRuns: 4_000 },
  );
});
