// The state machine of a consent, against a table written by hand, and its laws.
import fc from 'fast-check';
import t from 'tap';
import { mayFollow, type Step } from '#consent-service/state.ts';
import { CONSENT_STATES, type ConsentState } from '#schemas/consent.ts';

const ACTORS = ['citizen', 'representative', 'client', 'service'] as const;
const ENDS: readonly ConsentState[] = [
  'REFUSED',
  'LAPSED',
  'WITHDRAWN',
  'REVOKED',
  'EXPIRED',
  'INVALIDATED',
  'SUPERSEDED',
];
/** from > to by: the whole machine; what is not here is refused. */
const ALLOWED = new Set([
  'none>REQUESTED client',
  'REQUESTED>GIVEN citizen',
  'REQUESTED>REFUSED citizen',
  'REQUESTED>GIVEN representative',
  'REQUESTED>REFUSED representative',
  'REQUESTED>LAPSED service',
  ...['GIVEN', 'SUSPENDED'].flatMap((from) => [
    `${from}>WITHDRAWN citizen`,
    `${from}>WITHDRAWN representative`,
    `${from}>REVOKED client`,
    `${from}>EXPIRED service`,
    `${from}>INVALIDATED service`,
    `${from}>SUPERSEDED service`,
  ]),
  'GIVEN>SUSPENDED citizen',
  'GIVEN>SUSPENDED representative',
  'GIVEN>SUSPENDED service',
  'SUSPENDED>GIVEN citizen',
  'SUSPENDED>GIVEN representative',
]);

const step = (state: ConsentState, by: Step['by'], last?: ConsentState): Step => ({
  state,
  by,
  atMs: 0,
  ...(last === undefined && { asked: {} }),
  ...(last === 'REQUESTED' && state === 'GIVEN' && { given: {} }),
  ...(by === 'representative' && { acting: {} }),
});

t.test('each step of the machine by each actor', async (t) => {
  for (const from of [undefined, ...CONSENT_STATES]) {
    const history = from === undefined ? [] : [{ state: from, by: 'service', atMs: 0 } as const];
    for (const to of CONSENT_STATES) {
      for (const by of ACTORS) {
        const expected = ALLOWED.has(`${from ?? 'none'}>${to} ${by}`) ? null : 'CONSENT_TRANSITION_REFUSED';
        if (mayFollow(history, step(to, by, from)) !== expected) t.fail(`${from} > ${to} by ${by}`);
      }
    }
  }
  const given = step('GIVEN', 'citizen', 'REQUESTED');
  const [{ given: _, ...bare }, requested] = [given, step('REQUESTED', 'client')];
  t.equal(mayFollow([requested], bare), 'CONSENT_RECORDS_DAMAGED', 'a decision says what was given');
  t.equal(mayFollow([requested], { ...given, asked: {} }), 'CONSENT_RECORDS_DAMAGED', 'the terms are said once');
  const { acting: _a, ...nobody } = step('REFUSED', 'representative');
  t.equal(mayFollow([requested], nobody), 'CONSENT_RECORDS_DAMAGED', 'a representative is named');
  t.equal(mayFollow([requested], { ...step('REFUSED', 'citizen'), acting: {} }), 'CONSENT_RECORDS_DAMAGED');
  for (const [pausedBy, resumedBy, refusal] of [
    ['citizen', 'citizen', null],
    ['citizen', 'representative', 'CONSENT_TRANSITION_REFUSED'],
    ['representative', 'representative', null],
    ['representative', 'citizen', null],
    ['service', 'representative', null],
    ['service', 'citizen', null],
  ] as const) {
    const paused = step('SUSPENDED', pausedBy, 'GIVEN');
    t.equal(mayFollow([paused], step('GIVEN', resumedBy, 'SUSPENDED')), refusal, `${pausedBy}, ${resumedBy}`);
  }
});

t.test('no path leads out of an end, and what was given comes after a request and a decision', async () => {
  const anyStep = fc.record({ state: fc.constantFrom(...CONSENT_STATES), by: fc.constantFrom(...ACTORS) });
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 60 }), (tries) => {
      const history: Step[] = [];
      for (const { state, by } of tries) {
        const last = history.at(-1)?.state;
        const next = step(state, by, last);
        if (mayFollow(history, next) !== null) continue;
        if (last !== undefined && ENDS.includes(last)) return false;
        history.push(next);
      }
      const states = history.map((each) => each.state);
      const given = states.indexOf('GIVEN');
      return (
        states.indexOf('REQUESTED') <= 0 && (given === -1 || given === 1) && !states.slice(1).includes('REQUESTED')
      );
    }),
    { numRuns: 2_000 },
  );
});
