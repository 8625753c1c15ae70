// What leaves a provider's server of a bound service's answer, and what is said of each place.
import t from 'tap';
import { BINDING, type Over, passed, release } from './release-case.ts';

t.test('which answers pass at all', async (t) => {
  const name = { name: 'Li' };
  const rows: [string, Over, string | null][] = [
    ['bound', { body: name }, '{"name":"Li"}'],
    ['a charset', { body: name, mediaType: 'Application/JSON; charset="UTF-8"; v=1' }, '{"name":"Li"}'],
    ['another charset', { body: name, mediaType: 'application/json;charset=gbk' }, null],
    ['a media type that is not bound', { body: name, mediaType: 'text/html' }, null],
    ['a bound one that is not JSON', { body: name, mediaType: 'text/csv' }, null],
    ['no media type', { body: name, mediaType: null }, null],
    [
      'a problem of its class',
      { body: { status: 404, name: 'Li' }, status: 404, mediaType: 'application/problem+json' },
      '{"status":404}',
    ],
    ['any other status', { body: { status: 500, name: 'Li' }, status: 500 }, '{"status":500}'],
    ['an HTML error page', { body: 'Error: no row for 430102199001011234', status: 500, mediaType: 'text/html' }, null],
    ['no JSON', { body: 'Li' }, null],
    ['a name twice', { body: '{"name":"Li","name":"Wang"}' }, null],
    ['not UTF-8', { body: Buffer.from('{"name":"\xe9"}', 'latin1') }, null],
    ['a byte order mark', { body: '\ufeff{}' }, null],
    ['nothing left of an object', { body: { other: 1 } }, '{}'],
    ['nothing left of a list', { body: [{ other: 1 }] }, '[]'],
    ['nothing left of a value', { body: '"Li"' }, '{}'],
    ['no content where some is bound', { body: '' }, null],
    ['no content, 204', { body: '', status: 204, mediaType: null }, ''],
    ['no content, not modified', { body: '', status: 304, mediaType: 'application/json' }, ''],
    ['no content, only a default is bound', { body: '', status: 500 }, ''],
  ];
  for (const [label, over, body] of rows) {
    const released = release({ fields: ['/name'], ...over });
    t.equal(released.ok ? released.body.toString('utf8') : null, body, label);
    if (released.ok) t.equal(released.mediaType === '', body === '', `${label}: media type`);
    else t.notMatch(released.detail, /Li|4301/, `${label}: the detail quotes nothing`);
  }
  t.throws(() => release({ decided: { asked: Array(251).fill({}), omitted: [] } }), TypeError);
});

t.test('values leave in the form of the dictionary, or not at all', async (t) => {
  const fields = ['/name', '/sex', '/birth', '/years/income'];
  const body = { type: 'page', name: 'Li', sex: 'M', birth: '2000-02-29', years: [{ income: 5 }, { income: 6 }], q: 1 };
  const good = passed({ fields, body });
  t.strictSame(good.json, {
    type: 'page',
    name: 'Li',
    sex: '1',
    birth: '2000-02-29',
    years: [{ income: 5 }, { income: 6 }],
  });
  t.strictSame(good.faults, []);
  t.match(good.release, { table: BINDING.hash, dictionary: '3.1.4', omitted: [] });
  t.strictSame(
    good.release.elements.map(({ path, element, state }) => `${path} ${element} ${state}`),
    ['/birth gx.birth@1', '/name gx.text@1', '/sex gx.sex@1', '/years/income gx.income@1'].map(
      (one) => `${one} present`,
    ),
  );
  t.strictSame(passed({ fields: ['gx.sex@2'], body }).json, { type: 'page', sex: 'male' }, 'another major');
  const bad = passed({
    fields,
    body: { type: 'page', name: 5, sex: 'Q', birth: '2001-02-29', years: [{ income: -1 }, { income: 7 }] },
  });
  t.strictSame(bad.json, { type: 'page', sex: null, years: [{ income: 7 }] });
  t.strictSame(
    bad.faults.map(({ path }) => path),
    ['/name', '/sex', '/birth', '/years/income'],
  );
  t.equal(bad.faults[1]?.why, 'MAP_UNMAPPED');
  t.strictSame(
    bad.release.elements.map(({ state }) => state),
    ['unknown', 'unknown', 'unknown', 'present'],
  );
  const code = passed({ fields, body: { sex: 'X' } });
  t.strictSame([code.json, code.faults.length], [{}, 1], 'mapped to what is no code');
  const asked = { field: '/name', path: '/name', element: 'gx.text@1', level: 2, maps: ['gx.map.gone@1'] } as const;
  const gone = passed({ body: { name: 'Li' }, decided: { asked: [{ ...asked, maps: [...asked.maps] }], omitted: [] } });
  t.strictSame([gone.json, gone.faults.length], [{}, 1], 'a mapping that the dictionary lacks');
  const all = passed({ fields, body: { name: null, sex: null } });
  t.strictSame([all.json, all.faults], [{ name: null, sex: null }, []], 'null means not known');
  const error = passed({
    fields,
    body: { name: '2000-01-01', sex: '1' },
    status: 404,
    mediaType: 'application/problem+json',
  });
  t.strictSame(error.json, { sex: '1' }, 'an error may bind the path to another element, or have another form');
});

t.test('what is said of each place', async (t) => {
  const fields = ['/name', '/sex', '/years/income'];
  const said = (states: unknown, body: unknown = {}, over: Over = {}) =>
    passed({ fields, body, states: typeof states === 'string' ? states : JSON.stringify(states), ...over });
  const missing = said({ '/name': { state: 'withheld', asOf: '2020-01-01', source: 'GX/GOV/1007' }, '/other': {} });
  t.strictSame(missing.element('/name'), {
    ...{
      path: '/name',
      element: 'gx.text@1',
      source: 'GX/GOV/1007',
      asOf: '2020-01-01',
      state: 'withheld',
      stale: false,
    },
  });
  t.strictSame(missing.element('/sex'), {
    ...{ path: '/sex', element: 'gx.sex@1', source: 'GX/GOV/1001', asOf: null, state: 'unknown', stale: false },
  });
  const present = said(
    { '/name': { state: 'notHeld' }, '/sex': { state: 'underInvestigation' } },
    { name: 'Li', sex: 'M' },
  );
  t.match(present.element('/name'), { state: 'present', asOf: '2026-11-20T10:00:00.000Z' });
  t.match(present.element('/sex'), { state: 'underInvestigation' });
  t.match(said({ '/name': { state: 'present' } }).element('/name'), { state: 'unknown' }, 'not here is not present');
  const doubted = (ref: string) => ref === 'gx.text@1';
  t.match(said({}, { name: 'Li', sex: 'M' }, { doubted }).element('/name'), { state: 'underInvestigation' });
  t.match(said({}, { sex: 'M' }, { doubted }).element('/name'), { state: 'unknown' }, 'nothing here to doubt');
  const deep = `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`;
  const rubbish = [
    'x',
    '[]',
    '{"/name":1}',
    '{"/name":{"state":"gone"}}',
    '{"/name":{"more":1}}',
    '{"\\n":null}',
    deep,
  ];
  const dates = ['{"/name":{"asOf":"yesterday!"}}', '{"/name":{"asOf":"2020-02-30"}}', '{"/name":{"asOf":20200101}}'];
  const large = JSON.stringify(Object.fromEntries(Array.from({ length: 251 }, (_, index) => [`/${index}`, {}])));
  for (const header of [...rubbish, ...dates, large, `{"/${'n'.repeat(8 * 1024)}":{}}`]) {
    const { faults, release } = said(header, { name: 'Li' });
    t.strictSame(
      faults.map(({ path }) => path),
      [''],
      header.slice(0, 40),
    );
    t.match(release.elements[0], { state: 'present', source: 'GX/GOV/1001' });
  }
});

t.test('as of, and stale', async (t) => {
  const fields = ['/years/income'];
  const days = (...on: unknown[]) => ({ years: on.map((day) => ({ income: 1, on: day })) });
  const rows: [string, Over, string | null, boolean][] = [
    ['beside the value, in its own form', { body: days('20261101') }, '2026-11-01', false],
    ['the oldest of a list', { body: days('20261101', '20261022', null, '20261105') }, '2026-10-22', false],
    ['promised 30 days, 30 days old', { body: days('20261021') }, '2026-10-21', false],
    ['31 days old', { body: days('20261020') }, '2026-10-20', true],
    ['no day at all: now', { body: days(undefined) }, '2026-11-20T10:00:00.000Z', false],
    [
      'rubbish: what the header says',
      { body: days('soon'), states: '{"/years/income":{"asOf":"2026-01-01"}}' },
      '2026-01-01',
      true,
    ],
    [
      'beside before header',
      { body: days('20261101'), states: '{"/years/income":{"asOf":"2026-01-01"}}' },
      '2026-11-01',
      false,
    ],
    [
      'a time, to the minute',
      { body: days(), states: '{"/years/income":{"asOf":"2026-10-21t17:59:00+08:00"}}' },
      '2026-10-21t17:59:00+08:00',
      true,
    ],
    [
      'a minute later',
      { body: days(), states: '{"/years/income":{"asOf":"2026-10-21T18:01:00+08:00"}}' },
      '2026-10-21T18:01:00+08:00',
      false,
    ],
    [
      'a leap second',
      { body: days(), states: '{"/years/income":{"asOf":"2016-12-31T23:59:60Z"}}' },
      '2016-12-31T23:59:60Z',
      true,
    ],
    ['nothing there', { body: {} }, null, false],
  ];
  for (const [name, over, asOf, stale] of rows) {
    t.match(passed({ fields, ...over }).element('/years/income'), { asOf, stale }, name);
  }
  const born = passed({ fields: ['/birth'], body: { birth: '2000-01-01', at: '2026-11-02' } });
  t.match(born.element('/birth'), { asOf: '2026-11-02' }, 'a day that is bound to nothing');
  t.strictSame(born.json, { birth: '2000-01-01' });
  t.equal(passed({ fields, body: days('20261101') }).json.years[0].on, undefined, 'the day itself was not decided');
});

t.test('predicates are answered from what does not leave', async (t) => {
  const low = ['gx.pred.low@1'];
  const adult = ['gx.pred.adult@1'];
  const rows: [string, Over, string][] = [
    ['of age on the birthday', { fields: adult, body: { birth: '2008-11-20' } }, 'true'],
    ['the day before', { fields: adult, body: { birth: '2008-11-21' } }, 'false'],
    ['on another day', { fields: adult, body: { birth: '2008-11-21' }, today: '2026-11-21' }, 'true'],
    ['without the input', { fields: adult, body: {} }, 'unknown'],
    ['an input that is no date', { fields: adult, body: { birth: '2008-02-30' } }, 'unknown'],
    ['a list of one person', { fields: adult, body: [{ birth: '2000-01-01' }] }, 'true'],
    ['a list of two', { fields: adult, body: [{ birth: '2000-01-01' }, { birth: '2020-01-01' }] }, 'unknown'],
    [
      'values that belong together',
      {
        fields: low,
        body: {
          years: [
            { income: 9000, year: 2024 },
            { income: 10, year: 2025 },
          ],
        },
      },
      'true',
    ],
    [
      'in any order',
      {
        fields: low,
        body: {
          years: [
            { income: 10, year: 2025 },
            { year: 2024, income: 9000 },
          ],
        },
      },
      'true',
    ],
    // Without its year, 10 must not be taken for the income of 2025.
    ['one lacks its year', { fields: low, body: { years: [{ income: 10 }, { income: 9000, year: 2025 }] } }, 'unknown'],
    [
      'shifted by one',
      { fields: low, body: { years: [{ income: 9000, year: 2024 }, { income: 10 }, { year: 2025 }] } },
      'unknown',
    ],
    [
      'lists within a list',
      { fields: low, body: { years: [{ income: [9000, 10], year: 2025 }, { year: 2024 }] } },
      'unknown',
    ],
    [
      'lists of lists',
      { fields: low, body: { years: [[{ income: 9000, year: 2024 }], [{ income: 10, year: 2025 }]] } },
      'true',
    ],
    ['columns', { fields: low, body: { years: { income: [9000, 10], year: [2024, 2025] } } }, 'true'],
    [
      'an error',
      {
        fields: adult,
        body: { name: '2000-01-01', birth: '2000-01-01' },
        status: 404,
        mediaType: 'application/problem+json',
      },
      'unknown',
    ],
    ['no content', { fields: adult, body: '', status: 204 }, 'unknown'],
  ];
  for (const [name, over, verdict] of rows) {
    const answered = passed(over);
    t.strictSame(answered.verdicts, [`${over.fields?.[0]} ${verdict}`], name);
    t.match(answered.body.toString('utf8'), /^(?:\{\}|\[\])?$/, `${name}: no input leaves`);
    t.strictSame(answered.release.elements, [], name);
  }
  const both = passed({ fields: ['gx.pred.adult@1', '/birth'], body: { birth: '2000-01-01' } });
  t.strictSame([both.json, both.verdicts.length], [{ birth: '2000-01-01' }, 1], 'an input that was decided itself');
});
