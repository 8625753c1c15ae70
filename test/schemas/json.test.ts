// The strict JSON reader against the JSON parsing test suite, the big list of naughty strings, and laws of its own.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { type JsonLimits, type JsonValue, parseJson, parseJsonObject } from '#schemas/json.ts';
import { isAccordError } from '#schemas/problems.ts';

const VECTORS = '../shared/vectors';

function needs(path: string): { skip: string | false } {
  return { skip: existsSync(join(VECTORS, path)) ? false : `${VECTORS}/${path} is not here` };
}

function verdict(input: Uint8Array | string, limits?: JsonLimits): string {
  try {
    parseJson(input, limits);
    return 'ok';
  } catch (error) {
    if (isAccordError(error)) return error.code;
    throw error;
  }
}

t.test('the JSON parsing test suite', needs('json-test-suite/test_parsing'), async (t) => {
  const folder = join(VECTORS, 'json-test-suite/test_parsing');
  // Valid JSON that is refused on purpose (I-JSON: names are unique).
  const refusedByPolicy: Record<string, string> = {
    'y_object_duplicated_key.json': 'JSON_DUPLICATE_NAME',
    'y_object_duplicated_key_and_value.json': 'JSON_DUPLICATE_NAME',
  };
  // Where the standard leaves the choice. Accepted: what loses nothing that a reader could depend on. All others,
  // lone surrogates, broken or other encodings, a byte order mark, infinite or rounded integers, are refused.
  const accepted = new Set(['i_number_double_huge_neg_exp.json', 'i_number_real_underflow.json']);
  const refusals: Record<string, string> = { 'i_structure_500_nested_arrays.json': 'JSON_TOO_DEEP' };
  const seen = { y: 0, n: 0, i: 0 };
  for (const name of readdirSync(folder)) {
    const said = verdict(readFileSync(join(folder, name)));
    if (name.startsWith('y_')) t.equal(said, refusedByPolicy[name] ?? 'ok', name);
    if (name.startsWith('n_')) t.not(said, 'ok', name);
    if (name.startsWith('i_')) t.equal(said, accepted.has(name) ? 'ok' : (refusals[name] ?? 'JSON_INVALID'), name);
    seen[name[0] as keyof typeof seen]++;
  }
  t.ok(seen.y >= 95 && seen.n >= 188 && seen.i >= 35, 'every vector was seen');
});

t.test('naughty strings pass through unchanged, as values and as names', needs('blns/blns.json'), async (t) => {
  const bytes = readFileSync(join(VECTORS, 'blns/blns.json'));
  const strings = parseJson(bytes) as string[];
  t.ok(strings.length > 400);
  t.same(strings, JSON.parse(bytes.toString('utf8')));
  for (const text of strings) {
    if (text === '__proto__') continue;
    t.same(parseJson(JSON.stringify({ [text]: text })), { [text]: text });
  }
});

t.test('what plain JSON.parse lets through', async (t) => {
  const nested = (n: number) => '['.repeat(n) + ']'.repeat(n);
  const cases: [string, Uint8Array | string, string, JsonLimits?][] = [
    ['an empty text', '', 'JSON_INVALID'],
    ['two documents', '{} {}', 'JSON_INVALID'],
    ['a byte order mark in bytes', Buffer.from('\ufeff{}'), 'JSON_INVALID'],
    ['a byte order mark in text', '\ufeff{}', 'JSON_INVALID'],
    ['a duplicate name', '{"a":1,"a":1}', 'JSON_DUPLICATE_NAME'],
    ['a duplicate name, escaped', '{"a":1,"\\u0061":2}', 'JSON_DUPLICATE_NAME'],
    ['a duplicate name, deep inside', '{"b":[{"c":{"a":1,"x":[],"a":{}}}]}', 'JSON_DUPLICATE_NAME'],
    ['a duplicate index name', '{"1":0,"1":0}', 'JSON_DUPLICATE_NAME'],
    ['the same name in two objects', '[{"a":1},{"a":1}]', 'ok'],
    ['names that differ in normalisation', '{"\u00e9":1,"e\u0301":2}', 'ok'],
    ['quotes, colons and brackets inside strings', '{"a\\":[{":"\\\\","b":"\\\\\\":,{[","c":[{}]}', 'ok'],
    ['__proto__', '{"__proto__":{}}', 'JSON_FORBIDDEN_NAME'],
    ['__proto__, escaped', '[{"\\u005f_proto\\u005f_":{}}]', 'JSON_FORBIDDEN_NAME'],
    ['__proto__ twice', '{"__proto__":1,"__proto__":2}', 'JSON_FORBIDDEN_NAME'],
    ['__proto__ as a value', '["__proto__"]', 'ok'],
    ['constructor', '{"constructor":1,"hasOwnProperty":2}', 'ok'],
    ['a lone surrogate in a string', '["\\ud83d"]', 'JSON_INVALID'],
    ['a lone surrogate in a name', '{"\\udc00":1}', 'JSON_INVALID'],
    ['a pair of surrogates', '["\\ud83d\\ude00"]', 'ok'],
    ['a lone surrogate in text', '["\ud83d"]', 'JSON_INVALID'],
    ['an infinite number', '[1e999]', 'JSON_INVALID'],
    ['the largest safe integer', '[9007199254740991,-9007199254740991]', 'ok'],
    ['an unsafe integer', '[9007199254740992]', 'JSON_INVALID'],
    ['an unsafe negative integer', '{"a":[0,-9007199254740993]}', 'JSON_INVALID'],
    ['an unsafe integer that is allowed', '[9007199254740992]', 'ok', { safeIntegers: false }],
    ['a large real', '[1e22,123e45,9007199254740992.0]', 'ok'],
    ['an unsafe integer after a large real', '[1e22,10000000000000000000000]', 'JSON_INVALID'],
    ['depth at the limit', nested(32), 'ok'],
    ['depth over the limit', nested(33), 'JSON_TOO_DEEP'],
    ['depth over a limit of the caller', '{"a":{"b":[]}}', 'JSON_TOO_DEEP', { maxDepth: 2 }],
    ['an endless opening', '[{"":'.repeat(100_000), 'JSON_TOO_DEEP'],
    ['closing first', `${']'.repeat(1000)}${'['.repeat(20)}`, 'JSON_INVALID'],
    ['values at the limit', '[[],{},{"a":1},[2,3]]', 'ok', { maxValues: 8 }],
    ['values over the limit', '[[],{},{"a":1},[2,3]]', 'JSON_TOO_MANY', { maxValues: 7 }],
    ['one value', ' 1 ', 'ok', { maxValues: 1 }],
    ['bytes at the limit', '["\u00e9"]', 'ok', { maxBytes: 6 }],
    ['bytes over the limit', '["\u00e9"]', 'BODY_TOO_LARGE', { maxBytes: 5 }],
    ['bytes over the limit, as bytes', Buffer.from('["\u00e9"]'), 'BODY_TOO_LARGE', { maxBytes: 5 }],
    ['an escape at the very end', '"\\', 'JSON_INVALID'],
    ['an overlong encoding', Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 'JSON_INVALID'],
  ];
  for (const [name, input, expected, limits] of cases) t.equal(verdict(input, limits), expected, name);
  for (const text of ['[]', 'null', '"x"', '1']) t.throws(() => parseJsonObject(text), { code: 'JSON_INVALID' });
  t.same(parseJsonObject('{"a":[]}'), { a: [] });
});

t.test('laws', async (t) => {
  const json = fc.jsonValue({ maxDepth: 6 }).filter((value) => !JSON.stringify(value).includes('__proto__'));
  fc.assert(
    fc.property(json, fc.nat(3), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      if (verdict(text) === 'ok') t.same(parseJson(Buffer.from(text)), JSON.parse(text));
      else if (text.isWellFormed()) t.match(text, /\d{16}|\\u[dD]/, 'only large integers and surrogates are refused');
    }),
    { numRuns: 300 },
  );
  // The value counter agrees with a plain recursive count.
  const count = (value: JsonValue): number =>
    value === null || typeof value !== 'object' ? 1 : Object.values(value).reduce<number>((n, v) => n + count(v), 1);
  fc.assert(
    fc.property(json, (value) => {
      const text = JSON.stringify(value);
      const n = count(JSON.parse(text));
      return verdict(text, { maxValues: n - 1, safeIntegers: false }) === 'JSON_TOO_MANY';
    }),
    { numRuns: 300 },
  );
  // A name written twice anywhere in a document is found.
  fc.assert(
    fc.property(json, fc.string({ unit: 'grapheme' }), (value, name) => {
      if (name === '__proto__') return true;
      const key = JSON.stringify(name);
      const text = `[0,{"${'k'.repeat(40)}":${JSON.stringify(value)},${key}:1,"z":{},${key}:2}]`;
      return verdict(text, { safeIntegers: false }) === 'JSON_DUPLICATE_NAME';
    }),
    { numRuns: 300 },
  );
  // Rubbish never escapes as anything but a coded refusal.
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '"',
    '\\',
    ' ',
    '1',
    '-',
    'e',
    'null',
    '\u2028',
    '\ud800',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
      verdict(parts.join(''));
    }),
    { numRuns: 2000 },
  );
});
