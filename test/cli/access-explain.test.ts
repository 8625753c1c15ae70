// `accord access explain` at a real server: it says what a request would come to, and by which right, to whoever may look.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { sha256 } from '#certs/commitment.ts';
import type { AccessRight } from '#schemas/access-right.ts';
import { purposeText } from '#schemas/purpose.ts';
import { AUDITOR_KEY, accessRight, CLIENT, openPair, SERVICE } from '#scripts/campaign/pair.ts';
import { post } from '#test/security-server/asking.ts';
import { DOCUMENT, ENTRIES, tableOf } from '#test/security-server/bound-service.ts';
import { accord } from './run.ts';

const AID = {
  id: 'social-aid',
  version: 1,
  title: { zh: '社会救助', en: 'Social aid' },
  text: { zh: '为何', en: 'Why' },
  bases: ['open' as const, 'law' as const, 'consent' as const],
  elements: ['gx.name@1', 'gx.birth_date@1'],
  retentionDays: 30,
  quotaPerDay: null,
  from: '2020-01-01',
  until: null,
};

const right = (n: number, over: Partial<AccessRight>) =>
  accessRight({ id: `00000000-0000-4000-8000-00000000000${n}`, elements: ['gx.name@1'], ...over });

t.test('which right decides, and what the others lack', async (t) => {
  const pair = await openPair({ right: null });
  const folder = mkdtempSync(join(tmpdir(), 'accord-explain-'));
  t.teardown(async () => {
    await pair.close();
    rmSync(folder, { recursive: true, force: true });
  });
  writeFileSync(join(folder, 'key'), AUDITOR_KEY, { mode: 0o600 });
  const admin = ['--admin', pair.provider.urls.admin, '--api-key-file', join(folder, 'key')];
  const asked = ['--client', CLIENT, '--service', SERVICE];
  const explain = (...argv: string[]) => accord('access', 'explain', ...asked, ...admin, ...argv);
  const told = async (...argv: string[]) => JSON.parse((await explain('--json', ...argv)).stdout);

  t.match(await told(), [{ method: 'GET', path: '/', code: 'ACCESS_DENIED', rightId: null, rights: [] }], 'not bound');
  const path = '/residents/{id}';
  const { get } = DOCUMENT.paths[path];
  const { responses } = get;
  const id = { type: 'string', 'x-accord-subject': 'gx.id@1' };
  const schema = { type: 'object', additionalProperties: false, properties: { id } };
  const paths = {
    [path]: { get },
    '/found': {
      get: {
        parameters: [
          { name: 'id', in: 'query', required: true, schema: { type: 'string' }, 'x-accord-subject': 'gx.id@1' },
        ],
        responses,
      },
    },
    '/search': { post: { requestBody: { content: { 'application/json': { schema } } }, responses } },
  };
  pair.configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  pair.configuration.purposes.push(AID);
  pair.configuration.bind(tableOf({ ...DOCUMENT, paths }));
  const { state } = pair.provider.parts;
  const pins = { 'social-aid': sha256(purposeText(AID)) };
  state.putRight(right(1, { bases: ['law'], statute: 'Act 12', casePattern: 'A#' }));
  state.putRight(
    right(2, { elements: ['gx.name@1', 'gx.pred.age_ge_18@1'], endpoints: [{ method: 'GET', path: '/residents/*' }] }),
  );
  state.putRight(
    right(3, { purposes: ['social-aid'], pins, bases: ['consent'], elements: ['gx.name@1', 'gx.birth_date@1'] }),
  );

  const ends = /1$|2$|3$/;
  const field = ['--field', 'gx.pred.age_ge_18@1'];
  const every = await told(...field);
  t.same(
    every.map(({ method, path, code, rightId }: Record<string, string>) => [
      method,
      path,
      code,
      rightId && ends.exec(rightId)?.[0],
    ]),
    [
      ['GET', '/found', 'BASIS_NOT_ALLOWED', '1'],
      ['GET', '/residents/~subject', 'OK', '2'],
      ['POST', '/search', 'BASIS_NOT_ALLOWED', '1'],
    ],
    'the subject stands in its place: query, path, body',
  );
  t.match(every[1].rights, [{ code: 'BASIS_NOT_ALLOWED' }, { code: 'OK' }, { code: 'PURPOSE_NOT_ALLOWED' }]);
  t.match(every[0].rights[1], { code: 'ACCESS_DENIED' }, 'another endpoint');

  const endpoint = ['--endpoint', 'GET /residents/7'];
  const cases: [string, string[], object][] = [
    [
      'law',
      [...endpoint, '--field', '/name', '--basis', 'law', '--user-id', 'c', '--issue', 'X1'],
      { code: 'OK', rightId: right(1, {}).id },
    ],
    [
      'law without a case',
      [...endpoint, '--field', '/name', '--basis', 'law', '--user-id', 'c'],
      { code: 'CASE_NUMBER_REQUIRED' },
    ],
    [
      'consent',
      [...endpoint, '--field', '/name,/birthDate', '--basis', 'consent', '--purpose', 'social-aid'],
      { code: 'OK', consentAssumed: true, rightId: right(3, {}).id, release: { asked: { length: 2 } } },
    ],
    [
      'consent to more than the right has',
      [...endpoint, '--field', '/name,/years', '--basis', 'consent', '--purpose', 'social-aid', '--partial'],
      { code: 'OK', release: { asked: { length: 1 }, omitted: { length: 2 } } },
    ],
    ['no fields', endpoint, { code: 'FIELDS_REQUIRED' }],
    ['no such operation', ['--endpoint', 'GET /x'], { code: 'OPERATION_UNKNOWN' }],
  ];
  for (const [name, argv, expected] of cases) {
    t.match(await told(...argv), [{ rights: { length: 3 }, ...expected }], name);
  }
  const table = await explain(...endpoint, '--field', '/name,/birthDate', '--partial');
  t.match(table, { code: 0, stdout: /000000000002 │ yes +│ OK +│ \/name \(gx\.name@1\) │ \/birthDate/ });
  t.match(await explain('--endpoint', 'GET /x'), { code: 0, stdout: /OPERATION_UNKNOWN/ });

  // What is told is what a consumer gets.
  const lookup = { client: CLIENT, service: SERVICE, path: '/residents/7', fields: ['/name', '/birthDate'] };
  const effective = await post(pair, '/lookups/effective-access', lookup);
  const [{ allowed, code, detail, release }] = await told(...endpoint, '--field', '/name,/birthDate');
  t.match(effective.json, { allowed, code, detail, release });

  t.match(await explain('--endpoint', 'GET /a/../b'), { code: 2, stderr: /^PATH_REFUSED/ });
  t.match(await explain('--endpoint', '* /a'), { code: 2, stderr: /one endpoint/ });
  t.match(await accord('access', 'explain', '--client', CLIENT, '--service', 'DEV/GOV/9/x/y', ...admin), {
    code: 4,
    stderr: /^SERVICE_NOT_ON_SERVER/,
  });
  t.equal(pair.backend.seen.length, 0);
});
