// The administration of a security server: who may, what is refused, and that a change is effective when it is answered.
import { readdirSync, readFileSync } from 'node:fs';
import { validate } from '@readme/openapi-parser';
import t from 'tap';
import { ADMIN_KEY, AUDITOR_KEY, accessRight, CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { post } from './asking.ts';

t.setTimeout(60_000);
const ASK = { client: CLIENT, service: SERVICE, path: '/x' };
const { id: _id, pins: _pins, ...RIGHT } = accessRight();
const PUT_SERVICE = {
  id: SERVICE,
  title: 'E',
  url: 'http://127.0.0.1:1/b',
  enabled: true,
  notice: null,
  timeoutMs: 500,
  personalData: false,
  safe: true,
};
const SYSTEM = { subsystem: 'DEV/GOV/2002/provider', name: 'desk', certificateHash: 'A'.repeat(43) };

async function admin(pair: Pair, method: string, path: string, body?: unknown, key: string | null = ADMIN_KEY) {
  const answer = await fetch(`${pair.provider.urls.admin}${path}`, {
    method,
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  const json = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  return { status: answer.status, code: json['code'] as string | undefined, json };
}

t.test('roles', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const reads = ['/services', '/access-rights', '/information-systems', '/doubts', '/status'];
  for (const path of reads) {
    t.match(await admin(pair, 'GET', path, undefined, null), { status: 401, code: /API_KEY/ }, path);
    t.match(await admin(pair, 'GET', path, undefined, 'wrong-key-0000000000000000000'), { status: 401 });
    t.match(await admin(pair, 'GET', path, undefined, AUDITOR_KEY), { status: 200 });
  }
  const writes: [string, string, unknown][] = [
    ['PUT', '/services', PUT_SERVICE],
    ['POST', '/access-rights', RIGHT],
    ['DELETE', '/access-rights/x', undefined],
    ['PUT', '/information-systems', SYSTEM],
    ['POST', '/configuration/refresh', undefined],
  ];
  const before = JSON.stringify((await admin(pair, 'GET', '/services')).json);
  for (const [method, path, body] of writes) {
    t.match(await admin(pair, method, path, body, null), { status: 401 });
    t.match(await admin(pair, method, path, body, AUDITOR_KEY), { status: 403, code: 'ROLE_NOT_ALLOWED' }, path);
  }
  t.equal(JSON.stringify((await admin(pair, 'GET', '/services')).json), before, 'nothing changed');
  t.match((await admin(pair, 'GET', '/status')).json, { id: pair.provider.id, log: { state: { ok: true } } });
});

t.test('bad input', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const rows: [string, string, unknown, number, string][] = [
    ['PUT', '/services', { ...PUT_SERVICE, more: 1 }, 400, 'SCHEMA_MISMATCH'],
    ['PUT', '/services', { ...PUT_SERVICE, url: 'ftp://x/' }, 400, 'SCHEMA_MISMATCH'],
    ['PUT', '/services', { ...PUT_SERVICE, url: 'http://u:p@x/' }, 400, 'SCHEMA_MISMATCH'],
    ['PUT', '/services', { ...PUT_SERVICE, url: 'http://x/?q' }, 400, 'SCHEMA_MISMATCH'],
    ['PUT', '/services', { ...PUT_SERVICE, timeoutMs: 99 }, 400, 'SCHEMA_MISMATCH'],
    ['PUT', '/services', { ...PUT_SERVICE, id: 'DEV/GOV/1001/consumer/x' }, 403, 'CLIENT_NOT_HERE'],
    ['PUT', '/services', '{"id":1,"id":2}', 400, 'JSON_DUPLICATE_NAME'],
    ['PUT', '/services', '{', 400, 'JSON_INVALID'],
    ['DELETE', '/services/DEV/GOV/2002/provider/none', undefined, 404, 'NOT_FOUND'],
    ['POST', '/access-rights', { ...RIGHT, service: 'DEV/GOV/2002/provider/none' }, 404, 'SERVICE_UNKNOWN'],
    ['POST', '/access-rights', { ...RIGHT, endpoints: [] }, 400, 'SCHEMA_MISMATCH'],
    ['POST', '/access-rights', { ...RIGHT, endpoints: [{ method: 'GET', path: 'a' }] }, 400, 'SCHEMA_MISMATCH'],
    ['POST', '/access-rights', { ...RIGHT, notBeforeMs: 2, notAfterMs: 1 }, 400, 'SCHEMA_MISMATCH'],
    ['POST', '/access-rights', { ...RIGHT, quotaPerDay: 0 }, 400, 'SCHEMA_MISMATCH'],
    ['POST', '/access-rights', { ...RIGHT, id: 'mine' }, 400, 'SCHEMA_MISMATCH'],
    ['DELETE', '/access-rights/none', undefined, 404, 'NOT_FOUND'],
    ['PUT', '/information-systems', { ...SYSTEM, certificateHash: 'A' }, 400, 'SCHEMA_MISMATCH'],
    ['PUT', '/information-systems', { ...SYSTEM, subsystem: CLIENT }, 403, 'CLIENT_NOT_HERE'],
    ['GET', '/nothing', undefined, 404, 'NOT_FOUND'],
  ];
  for (const [method, path, body, status, code] of rows) {
    const said = await admin(pair, method, path, body);
    t.match(said, { status, code }, `${method} ${path} ${JSON.stringify(body)}`);
  }
});

t.test('a change is effective when it is answered', async (t) => {
  const pair = await openPair({ right: null });
  t.teardown(() => pair.close());
  const code = async () => (await post(pair, '/lookups', ASK)).json.code;
  t.equal(await code(), 'ACCESS_DENIED');
  const granted = await admin(pair, 'POST', '/access-rights', RIGHT);
  t.equal(granted.status, 201);
  t.equal(await code(), 'OK');
  const [service] = (await admin(pair, 'GET', '/services')).json['items'] as object[];
  await admin(pair, 'PUT', '/services', { ...service, enabled: false, notice: 'closed' });
  t.equal(await code(), 'SERVICE_DISABLED');
  await admin(pair, 'PUT', '/services', service);
  t.equal(await code(), 'OK');
  await pair.provider.close();
  await pair.reopen('provider');
  t.equal(await code(), 'OK', 'and stays over a restart');
  t.equal((await admin(pair, 'DELETE', `/access-rights/${String(granted.json['id'])}`)).status, 204);
  t.equal(await code(), 'ACCESS_DENIED');
  t.equal((await admin(pair, 'DELETE', `/services/${SERVICE}`)).status, 204);
  t.equal(await code(), 'SERVICE_UNKNOWN');
});

t.test('the description is valid and describes the routes, all of them and no others', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const document = (await admin(pair, 'GET', '/openapi.json', undefined, null)).json;
  const checked = await validate(structuredClone(document) as never);
  t.equal(checked.valid, true, JSON.stringify(checked));
  const described = Object.entries(document['paths'] as Record<string, object>).flatMap(([path, item]) =>
    Object.keys(item)
      .filter((name) => name !== 'parameters')
      .map((method) => `${method} ${path.replace(/\{[a-z]+\}/g, '*')}`),
  );
  const files = readdirSync('security-server/admin').map((name) =>
    readFileSync(`security-server/admin/${name}`, 'utf8'),
  );
  const source = files.join('\n').replace("app.get('/openapi.json'", '');
  const routes = [...source.matchAll(/app\.(get|put|post|delete)(?:<[^(]*>)?\(\s*'([^']+)'/g)].map(
    ([, method, path]) => `${method} ${path?.replace(/:[a-z]+/g, '*')}`,
  );
  t.ok(routes.length > 8);
  t.strictSame(described.sort(), routes.sort());
  t.equal((await admin(pair, 'PUT', '/information-systems', SYSTEM)).status, 200);
  const { certificateHash, subsystem } = SYSTEM;
  t.equal((await admin(pair, 'DELETE', `/information-systems/${certificateHash}/${subsystem}`)).status, 204);
});
