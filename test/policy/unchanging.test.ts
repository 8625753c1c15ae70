// What is worked out once and used again is what would be worked out anew: bytes of a decision, the meaning of fields, a
// day; and what others rely on cannot be changed.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { openBinding, resolveFields } from '#policy/binding/binding.ts';
import { dayAt } from '#policy/calendar.ts';
import { archiveDecision, decide } from '#policy/decide.ts';
import type { DecisionInputs } from '#policy/decision-inputs.ts';
import { openDictionary } from '#policy/dictionary/dictionary.ts';
import { isUnchanging, unchanging } from '#policy/unchanging.ts';
import type { BindingLeaf, BindingTable } from '#schemas/binding-table.ts';
import { DICTIONARY, SERVICE } from './binding-documents.ts';
import { A, bound, inputs, PURPOSE_X, right } from './decision.ts';
import { BINDING, DICTIONARY as RELEASED_WITH, release } from './release-case.ts';

/** Also what looks like the mark of a part, as it is and escaped. */
const text = fc.oneof(
  fc.string({ maxLength: 8, unit: 'binary' }),
  fc.constantFrom('\ud800', '"\ud800"', '\\ud800', '"\\ud800"', '\ud801', '民政', '"'),
);
const plainly = (given: DecisionInputs, decision: object) =>
  Buffer.from(JSON.stringify({ inputs: given, decision }), 'utf8');

t.test('a decision is archived in the bytes of JSON, whatever never changes', async () => {
  const parts = fc.subarray(['binding', 'right', 'fields', 'release'] as const);
  fc.assert(
    fc.property(parts, fc.array(text, { maxLength: 6 }), fc.nat(3), (never, texts, rights) => {
      const [userId = null, issue = null, statute = null, path = '/a'] = texts;
      const given = inputs({
        ...bound(['/a', '/b'], { ...PURPOSE_X, groups: texts }),
        rights: Array.from({ length: rights }, (_, at) => ({
          right: right({ id: String(at), statute, elements: [A, ...texts] }),
          usedToday: at,
        })),
      });
      Object.assign(given.request, { userId, issue, path, fields: texts });
      const decision = { ...decide(given), release: { asked: [{ path, element: A }], omitted: [] } };
      const expected = plainly(given, decision);
      if (never.includes('binding') && given.binding !== null) unchanging(given.binding);
      if (never.includes('right')) for (const one of given.rights) unchanging(one.right);
      if (never.includes('fields') && given.request.fields !== null) unchanging([...given.request.fields]);
      if (never.includes('fields')) given.request.fields = unchanging([...texts]);
      if (never.includes('release')) unchanging(decision.release);
      for (let again = 0; again < 2; again += 1) {
        assert.deepEqual(archiveDecision(given, decision).bytes, expected);
      }
    }),
    { numRuns: 1_000 },
  );
});

t.test('more parts than there are marks', async (t) => {
  const rights = Array.from({ length: 200 }, (_, at) => ({
    right: unchanging(right({ id: String(at) })),
    usedToday: 0,
  }));
  const given = inputs({ rights });
  t.same(archiveDecision(given, decide(given)).bytes, plainly(given, decide(given)));
});

t.test('what never changes cannot be changed', async (t) => {
  const given = unchanging(right({ purposes: ['x'] }));
  t.throws(() => given.purposes.push('y'), TypeError);
  t.throws(() => Object.assign(given, { statute: 'another' }), TypeError);
  t.ok(isUnchanging(given) && isUnchanging(given.purposes));
  t.notOk(isUnchanging({ ...given }), 'a copy is another value');
});

const leaf = (path: string, element: string): BindingLeaf => ({ role: 'data', path, element, level: 2 });
const table = (paths: readonly string[]): BindingTable => ({
  v: 1,
  service: SERVICE,
  jurisdiction: 'GX',
  level: 2,
  operations: [
    {
      method: 'GET',
      path: '/p',
      subject: null,
      asOf: null,
      purposes: [],
      responses: [
        {
          status: '200',
          mediaType: 'application/json',
          leaves: paths.map((path) => leaf(path, path === '/a' ? 'gx.income@1' : 'gx.born@1')),
        },
      ],
    },
  ],
});

t.test('the same fields mean the same, and other leaves or another dictionary are asked anew', async (t) => {
  const dictionaries = [DICTIONARY, openDictionary('9.9.9', DICTIONARY.entries), openDictionary('0.0.1', [])];
  const tables = [table(['/a', '/b']), table(['/a', '/c/d'])];
  const operations = tables.map((one) => {
    const binding = openBinding(one, DICTIONARY);
    return { binding, at: binding.operation('GET', '/p')! };
  });
  const words = ['/a', '/b', '/c', '/c/d', '/a\n/b', '/b\n/c', 'gx.born@1', 'gx.pred.rich@1', '', 'x'];
  const asks = fc.record({
    which: fc.nat(1),
    dictionary: fc.nat(2),
    fields: fc.array(fc.constantFrom(...words), { maxLength: 4 }),
  });
  fc.assert(
    fc.property(asks, ({ which, dictionary, fields }) => {
      const [{ binding, at }, known] = [operations[which]!, dictionaries[dictionary]!];
      // Leaves that nobody asked before: nothing is remembered of them.
      const anew = { ...at, leaves: [...at.leaves] };
      const again = [...fields];
      assert.deepEqual(resolveFields(at, binding, known, fields), resolveFields(anew, binding, known, again));
      assert.equal(resolveFields(at, binding, known, fields), resolveFields(at, binding, known, again), 'remembered');
    }),
    { numRuns: 1_500 },
  );
  const { binding, at } = operations[0]!;
  const fields = ['/a'];
  const resolved = resolveFields(at, binding, DICTIONARY, fields);
  fields[0] = '/b';
  t.strictSame(resolved.fields, ['/a'], 'the caller keeps its own list');
  t.throws(() => Object.assign(resolved.asked[0]!, { path: '/b' }), TypeError);
});

t.test('the day of a time', async () => {
  const times = fc.oneof(
    fc.integer({ min: -10 * 86_400_000, max: 10 * 86_400_000 }),
    fc.integer({ min: 0, max: 4_102_444_800_000 }),
    fc.constantFrom(0.5, -0.5, 86_399_999.9, 86_400_000, -86_400_000),
  );
  fc.assert(
    fc.property(fc.array(times, { minLength: 1, maxLength: 5 }), fc.constantFrom(0, 480, -720, 840), (all, offset) => {
      for (const ms of all) {
        assert.equal(dayAt(ms, offset), new Date(ms + offset * 60_000).toISOString().slice(0, 10));
      }
    }),
  );
});

t.test('what leaves of an answer, when the same fields were released before', async () => {
  const bound = BINDING.operation('GET', '/r/1')!;
  const dictionary = RELEASED_WITH;
  const without = openDictionary(
    '2.0.0',
    dictionary.entries.filter(({ kind }) => kind !== 'mapping'),
  );
  const words = ['/name', '/sex', '/birth', '/years', 'gx.sex@2', 'gx.pred.adult@1'];
  const answers = fc.record({
    fields: fc.subarray(words, { minLength: 1 }),
    body: fc.record({
      name: fc.constantFrom('Li', null, 5, '2000-02-29'),
      sex: fc.constantFrom('M', 'Q', '1', 'X'),
      birth: fc.constantFrom('2008-11-20', '2000-02-30'),
      years: fc.array(fc.record({ income: fc.constantFrom(1, -1, 7), on: fc.constant('20261101') }), { maxLength: 2 }),
    }),
    to: fc.constantFrom(
      { status: 200, mediaType: 'application/json' },
      { status: 404, mediaType: 'application/problem+json' },
    ),
    dictionary: fc.constantFrom(dictionary, dictionary, without),
    today: fc.constantFrom('2026-11-19', '2026-11-20'),
  });
  fc.assert(
    fc.property(answers, ({ fields, body, to, dictionary, today }) => {
      const { asked, unknown } = resolveFields(bound, BINDING, RELEASED_WITH, fields);
      if (unknown.length > 0) return;
      const told = (list: typeof asked) =>
        release({ body, ...to, dictionary, today, decided: { asked: list, omitted: [] } });
      assert.deepEqual(told(asked), told([...asked]), 'a copy of the list is nothing that was remembered');
    }),
    { numRuns: 1_000 },
  );
});
