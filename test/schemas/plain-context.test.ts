// The quick reader of contexts against the whole judgement: what it takes, the schema takes and reads the same; what was
// made here is refused for the very reason for which a receiver would refuse it.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  type AnswerContext,
  encodeAnswerContext,
  encodeRequestContext,
  METHODS,
  parseAnswerContext,
  parseRequestContext,
  type RequestContext,
  readAnyAnswerContext,
  readAnyRequestContext,
  readableAnswerContext,
  readableRequestContext,
} from '#schemas/context.ts';
import { isPlainAnswer, isPlainRequest } from '#schemas/plain-context.ts';
import { isAccordError } from '#schemas/problems.ts';

const RUNS = 500;
const orNull = <T>(some: fc.Arbitrary<T>) => fc.option(some, { nil: null });
const word = (maxLength: number) =>
  fc.string({ minLength: 1, maxLength, unit: fc.constantFrom('a', '/', '.', 'é', '民', ' ', '7') });
/** Also what has to be escaped, or is no text at all. */
const wild = fc.oneof(
  word(20),
  fc.constantFrom(
    '"',
    '\\',
    '\ud800',
    '\\ud800',
    '"\ud83d"',
    '𠮷',
    '\u0000',
    '\u007f',
    '\u2028',
    '',
    '\ufeff',
    '\ufffd',
  ),
);
const headers = fc.array(
  fc.tuple(fc.constantFrom('accept', 'x-a', 'x_b', 'X-C', ''), fc.constantFrom('', 'a', 'a b', ' a', 'é', 'a"b', '\n')),
  { maxLength: 3 },
);
const plainHeaders = fc.array(fc.tuple(fc.constantFrom('accept', 'x-a'), fc.constantFrom('', 'a', 'a b')), {
  maxLength: 3,
});
const body = fc.record({ length: fc.constantFrom(0, 1, 68_719_476_736, 68_719_476_737, 1.5, -1), type: orNull(wild) });
const day = fc.constantFrom('2026-02-28', '2026-13-01', '2026-1-1');
const jws = fc.constantFrom('a.b.c', 'a.b', 'c-_.d.e');

const xroad = fc.record({
  id: wild,
  madeId: fc.boolean(),
  representedParty: orNull(wild),
  securityServer: orNull(wild),
  hash: fc.constantFrom('abc=', 'é', ''),
  target: fc.constantFrom('/r1/a', ''),
});
const someRequest = (text: fc.Arbitrary<string>, some: fc.Arbitrary<[string, string][]>) =>
  fc.record({
    v: fc.constant(1 as const),
    method: fc.constantFrom(...METHODS),
    path: text,
    query: orNull(text),
    headers: some,
    userId: orNull(text),
    issue: orNull(text),
    caller: fc.constantFrom('certificate' as const, 'loopback' as const),
    deadlineMs: fc.constantFrom(1, 600_000),
    fields: orNull(fc.array(text, { minLength: 1, maxLength: 4 })),
    partial: fc.boolean(),
    asOf: orNull(day),
    receipt: orNull(fc.constantFrom('a.b-c_D', 'a b')),
    evidence: fc.array(jws, { maxLength: 3 }),
    hiddenUntil: orNull(day),
    xroad: orNull(xroad),
    body,
    settles: orNull(fc.constantFrom('019310a2-7c11-7d3a-9b52-0f3c5e7a1b2c', 'x')),
  }) as fc.Arbitrary<RequestContext>;
const place = fc.constantFrom(
  '/items/name',
  '',
  '/a/民',
  '/é ',
  'a',
  '//',
  '/a"',
  `/${'a'.repeat(256)}`,
  `/${'b'.repeat(257)}`,
);
const ref = fc.constantFrom(
  'gx.person.full_name@1',
  'gx.a@0',
  'gx..a@1',
  `${'a'.repeat(125)}@1`,
  `${'a'.repeat(126)}@1`,
);
const someAnswer = fc.record({
  v: fc.constant(1 as const),
  status: fc.constantFrom(100, 200, 599, 600),
  code: fc.constantFrom('OK', 'ACCESS_DENIED', 'ok', 'A'),
  headers,
  body,
  release: orNull(
    fc.record({
      table: fc.constantFrom('x'.repeat(43), 'x'.repeat(44)),
      dictionary: fc.constantFrom('1.0.0', '', 'x'.repeat(21)),
      elements: fc.array(
        fc.record({
          path: place,
          element: ref,
          source: wild,
          asOf: orNull(fc.constantFrom('2026-02-28', '2026', 'x'.repeat(35), 'x'.repeat(36))),
          state: fc.constantFrom('present', 'withheld', 'gone'),
          stale: fc.boolean(),
        }),
        { maxLength: 3 },
      ),
      predicates: fc.array(fc.record({ predicate: ref, result: fc.constantFrom('true', 'maybe') }), { maxLength: 2 }),
      omitted: fc.array(fc.record({ path: orNull(place), element: ref }), { maxLength: 2 }),
    }),
  ),
}) as fc.Arbitrary<AnswerContext>;

const REQUEST: RequestContext = {
  v: 1,
  method: 'POST',
  path: '/residents/430102199001011000X/assistance',
  query: 'a=1',
  headers: [['accept', 'application/json, text/plain']],
  userId: '李 12',
  issue: 'YB-2026-000417',
  caller: 'loopback',
  deadlineMs: 30_000,
  fields: ['/items/name', 'gx.person.birth_date@1'],
  partial: true,
  asOf: '2026-02-28',
  receipt: 'a.b.c',
  evidence: ['a.b.c', 'd.e.f'],
  hiddenUntil: '2026-03-01',
  xroad: {
    id: 'x',
    madeId: true,
    representedParty: 'GOV/1',
    securityServer: 'GX/GOV/1/s',
    hash: 'abc=',
    target: '/r1/GX/GOV/1/s/x?a=1',
  },
  body: { length: 1024, type: 'application/json' },
  settles: '019310a2-7c11-7d3a-9b52-0f3c5e7a1b2c',
};
const element = (path: string, name = 'gx.person.full_name@1') => ({
  path,
  element: name,
  source: 'GX/GOV/1001',
  asOf: '2026-11-23T02:00:00.000Z',
  state: 'present' as const,
  stale: false,
});
const ANSWER: AnswerContext = {
  v: 1,
  status: 200,
  code: 'OK',
  headers: [['cache-control', 'no-store']],
  body: { length: 900, type: 'application/json; charset=utf-8' },
  release: {
    table: 'x'.repeat(43),
    dictionary: '1.0.0',
    elements: ['/items/name', '/items/民/{^a}'].map((path) => element(path)),
    predicates: [{ predicate: 'gx.pred.age_ge_18@1', result: 'unknown' }],
    omitted: [{ path: null, element: 'gx.person.full_name@1' }],
  },
};

/** What is said: the value, or code and detail of the refusal. */
function said<T>(read: () => T): unknown {
  try {
    return read();
  } catch (error) {
    if (isAccordError(error)) return { refused: error.code, detail: error.detail };
    throw error;
  }
}

const PUTS = [
  '',
  '"',
  '\\',
  ',',
  '0',
  '-0',
  '1e2',
  'null',
  ' ',
  'x',
  '\u0000',
  'é',
  '{',
  '[',
  '\\u0041',
  '\\ud800',
  '/',
];
const edits = fc.array(fc.record({ at: fc.nat(), drop: fc.constantFrom(0, 1, 2), put: fc.constantFrom(...PUTS) }), {
  maxLength: 3,
});
const bytesAt = fc.option(fc.record({ at: fc.nat(), byte: fc.integer({ min: 0x80, max: 0xff }) }), { nil: null });

function edited(
  bytes: Buffer,
  list: { at: number; drop: number; put: string }[],
  bad: { at: number; byte: number } | null,
) {
  const text = list.reduce((now, { at, drop, put }) => {
    const from = at % (now.length + 1);
    return now.slice(0, from) + put + now.slice(from + drop);
  }, bytes.toString('utf8'));
  const made = Buffer.from(text, 'utf8');
  if (bad !== null && made.length > 0) made[bad.at % made.length] = bad.byte;
  return made;
}

t.test('read quickly or not, the same is said', async (t) => {
  let plain = 0;
  const requests = fc.oneof(someRequest(wild, headers), someRequest(word(12), plainHeaders), fc.constant(REQUEST));
  fc.assert(
    fc.property(requests, edits, bytesAt, (made, list, bad) => {
      const bytes = edited(encodeRequestContext(made), list, bad);
      const whole = said(() => readAnyRequestContext(bytes));
      assert.deepStrictEqual(
        said(() => parseRequestContext(bytes)),
        whole,
      );
      if (isPlainRequest(bytes.toString('utf8'), made)) plain += 1;
    }),
    { numRuns: RUNS },
  );
  fc.assert(
    fc.property(fc.oneof(someAnswer, fc.constant(ANSWER)), edits, bytesAt, (made, list, bad) => {
      const bytes = edited(encodeAnswerContext(made), list, bad);
      const whole = said(() => readAnyAnswerContext(bytes));
      assert.deepStrictEqual(
        said(() => parseAnswerContext(bytes)),
        whole,
      );
      if (isPlainAnswer(bytes.toString('utf8'), made)) plain += 1;
    }),
    { numRuns: RUNS },
  );
  t.ok(plain > 20, `${plain} were plain`);
});

t.test('what is made here is refused as a receiver would', async () => {
  fc.assert(
    fc.property(fc.oneof(someRequest(wild, headers), someRequest(word(12), plainHeaders)), (made) => {
      const bytes = encodeRequestContext(made);
      const whole = said(() => readAnyRequestContext(bytes) && bytes);
      assert.deepStrictEqual(
        said(() => readableRequestContext(made)),
        whole,
      );
    }),
    { numRuns: RUNS },
  );
  fc.assert(
    fc.property(someAnswer, (made) => {
      const bytes = encodeAnswerContext(made);
      const whole = said(() => readAnyAnswerContext(bytes) && bytes);
      assert.deepStrictEqual(
        said(() => readableAnswerContext(made)),
        whole,
      );
    }),
    { numRuns: RUNS },
  );
});

t.test('ordinary contexts are plain, and at each bound both say the same', async (t) => {
  t.ok(isPlainRequest(encodeRequestContext(REQUEST).toString('utf8'), REQUEST));
  t.ok(isPlainAnswer(encodeAnswerContext(ANSWER).toString('utf8'), ANSWER));
  const fields = Array.from({ length: 131 }, (_, at) => `f${at}`);
  const requests: [string, Partial<RequestContext>, Partial<RequestContext>][] = [
    ['user', { userId: 'u'.repeat(256) }, { userId: 'u'.repeat(257) }],
    ['deadline', { deadlineMs: 600_000 }, { deadlineMs: 600_001 }],
    ['fields', { fields: fields.slice(1) }, { fields }],
    ['distinct fields', { fields: ['a', 'b'] }, { fields: ['a', 'a'] }],
    ['a field', { fields: ['f'.repeat(512)] }, { fields: ['f'.repeat(513)] }],
    ['distinct tokens', { evidence: ['a.b.c', 'a.b.d'] }, { evidence: ['a.b.c', 'a.b.c'] }],
    ['tokens', { evidence: ['a.b.c'] }, { evidence: ['a.b.c', 'a.b.d', 'a.b.e'] }],
    ['body', { body: { length: 64 * 1024 ** 3, type: null } }, { body: { length: 64 * 1024 ** 3 + 1, type: null } }],
    ['headers', { headers: Array(64).fill(['a', '']) }, { headers: Array(65).fill(['a', '']) }],
    ['body type', { body: { length: 0, type: 't'.repeat(256) } }, { body: { length: 0, type: 't'.repeat(257) } }],
  ];
  for (const [name, fits, misfits] of requests) {
    const [at, above] = [
      { ...REQUEST, ...fits },
      { ...REQUEST, ...misfits },
    ];
    t.ok(isPlainRequest(encodeRequestContext(at).toString('utf8'), at), name);
    t.strictSame(parseRequestContext(encodeRequestContext(at)), at);
    t.notOk(isPlainRequest(encodeRequestContext(above).toString('utf8'), above), name);
    t.throws(() => parseRequestContext(encodeRequestContext(above)), { code: 'CONTEXT_MALFORMED' });
    t.throws(() => readableRequestContext(above), { code: 'CONTEXT_MALFORMED' });
  }
  const released = (over: object) => ({ ...ANSWER, release: { ...ANSWER.release!, ...over } });
  const answers: [string, AnswerContext, AnswerContext][] = [
    [
      'ref',
      released({ omitted: [{ path: null, element: `${'a'.repeat(125)}@1` }] }),
      released({ omitted: [{ path: null, element: `${'a'.repeat(126)}@1` }] }),
    ],
    [
      'path',
      released({ elements: [element(`/${'a'.repeat(255)}/${'b'.repeat(255)}`)] }),
      released({ elements: [element(`/${'a'.repeat(256)}/${'b'.repeat(255)}`)] }),
    ],
    [
      'segments',
      released({ elements: [element('/a'.repeat(16))] }),
      released({ elements: [element('/a'.repeat(17))] }),
    ],
  ];
  for (const [name, at, above] of answers) {
    t.ok(isPlainAnswer(encodeAnswerContext(at).toString('utf8'), at), name);
    t.notOk(isPlainAnswer(encodeAnswerContext(above).toString('utf8'), above), name);
    t.throws(() => readableAnswerContext(above), { code: 'CONTEXT_MALFORMED' }, name);
  }
  const many = (count: number) => released({ elements: Array.from({ length: count }, (_, at) => element(`/${at}`)) });
  t.strictSame(parseAnswerContext(encodeAnswerContext(many(250))), many(250));
  t.throws(() => parseAnswerContext(encodeAnswerContext(many(251))), { code: 'CONTEXT_MALFORMED' });
});
