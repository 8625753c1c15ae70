// The registry's admin API over real HTTP with real certificates: who may do what, what is refused and why, repeated and
// judged-only requests, and that what was registered and approved is what the security servers read.
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { thumbprint } from '#certs/keys.ts';
import { openThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import { systemClock } from '#core/clock.ts';
import { changesBetween } from '#core/configuration/changes.ts';
import { openConfigurationClient } from '#core/configuration/client.ts';
import { fetchOverHttp } from '#core/configuration/fetch.ts';
import { partShardOf, readPart } from '#core/configuration/parts.ts';
import { signDistrust, signOne } from '#core/configuration/sign.ts';
import { openClient } from '#core/http/client.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import { memberId } from '#schemas/identifiers.ts';
import { parseJson } from '#schemas/json.ts';
import type { RegisteredMember } from '#schemas/registrations.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-registry-'));
const http = openClient();
const registry = await openThrowawayRegistry({ folder, instance: 'TEST', clock: systemClock });
const authority = await openThrowAwayAuthority(systemClock);
t.teardown(async () => {
  await registry.close();
  await http.close();
  rmSync(folder, { recursive: true, force: true });
});

type Answer = { status: number; code: string; body: Record<string, unknown>; headers: Map<string, string> };

async function ask(
  method: string,
  path: string,
  body?: object | string,
  more: { apiKey?: string; key?: string; type?: string } = {},
): Promise<Answer> {
  const text = typeof body === 'object' ? JSON.stringify(body) : body;
  const answer = await http.request({
    method,
    url: `${registry.adminUrl}${path}`,
    headers: [
      ...(more.apiKey === '' ? [] : [['authorization', `Bearer ${more.apiKey ?? registry.apiKey}`] as const]),
      ...(text === undefined ? [] : [['content-type', more.type ?? 'application/json'] as const]),
      ...(more.key === undefined ? [] : [['idempotency-key', more.key] as const]),
    ],
    ...(text !== undefined && { body: Buffer.from(text) }),
  });
  const parsed = parseJson(answer.body) as Record<string, unknown>;
  const headers = new Map(answer.headers.map(([name, value]) => [name.toLowerCase(), value]));
  return { status: answer.status, code: answer.status < 400 ? '' : String(parsed['code']), body: parsed, headers };
}

function certificateOf(der: string | undefined): X509Certificate {
  return new X509Certificate(Buffer.from(der ?? '', 'base64url'));
}

/** The public key of a signing certificate, dressed as an encryption key. */
function signingKeyOf({ signingCertificates }: { signingCertificates: string[] }) {
  const { publicKey } = certificateOf(signingCertificates[0]);
  const { crv, x, y } = publicKey.export({ format: 'jwk' });
  return { kid: thumbprint(publicKey), jwk: { kty: 'EC', crv, x, y }, notAfterMs: systemClock.nowMs() + 86_400_000 };
}

t.test('registrations: order, uniqueness, proofs', async (t) => {
  const { anchors, intermediates } = authority.trust;
  const one = (await authority.server('TEST/GOV/1/ss1')).registration;
  const two = (await authority.server('TEST/GOV/2/ss1')).registration;
  const stranger = (await (await openThrowAwayAuthority(systemClock)).server('TEST/GOV/2/ss1')).registration;
  const facts = { address: 'https://ss1.example:5500', subsystems: ['TEST/GOV/1/a'] };
  const serverOne = { id: 'TEST/GOV/1/ss1', ...facts, ...one };
  const serverTwo = { id: 'TEST/GOV/2/ss1', ...facts, subsystems: [], ...two };
  const openapi = {
    openapi: '3.1.0',
    info: { title: 'x', version: '1' },
    paths: {
      '/a': {
        get: {
          responses: {
            200: { description: 'ok', content: { 'application/json': { schema: { $ref: '#/components/schemas/A' } } } },
          },
        },
      },
    },
    components: { schemas: { A: { type: 'object' } } },
  };
  const service = {
    id: 'TEST/GOV/1/a/s',
    title: 'S',
    type: 'OPENAPI',
    personalData: false,
    safe: true,
    description: openapi,
  };
  const foreign = JSON.parse(JSON.stringify(openapi).replace('#/components/schemas/A', 'file:///etc/passwd'));
  const cases: [string, string, object | string | undefined, number, string][] = [
    ['a server of no member', '/servers', serverOne, 404, 'REGISTRATION_UNKNOWN'],
    ['a member of no class', '/members', { id: 'TEST/NGO/1', name: 'x' }, 404, 'REGISTRATION_UNKNOWN'],
    ['a member of another instance', '/members', { id: 'PROD/GOV/1', name: 'x' }, 400, 'IDENTIFIER_INVALID'],
    ['a member', '/members', { id: 'TEST/GOV/1', name: '民政局' }, 201, ''],
    ['another member', '/members', { id: 'TEST/GOV/2', name: 'Tax' }, 201, ''],
    ['the same member again', '/members', { id: 'TEST/GOV/1', name: 'x' }, 409, 'REGISTRATION_EXISTS'],
    ['an identifier with ..', '/members', { id: 'TEST/GOV/a..b', name: 'x' }, 400, 'IDENTIFIER_INVALID'],
    [
      'a server that speaks for no registered subsystem',
      '/servers',
      serverOne,
      422,
      'REGISTRATION_CERTIFICATE_REFUSED',
    ],
    ['an anchor', '/trust', { kind: 'anchor', der: anchors[0]?.toString('base64url') }, 201, ''],
    ['an intermediate', '/trust', { kind: 'intermediate', der: intermediates[0]?.toString('base64url') }, 201, ''],
    ['rubbish as an anchor', '/trust', { kind: 'anchor', der: 'AAAA' }, 400, 'CERTIFICATE_MALFORMED'],
    ['the server, still without its subsystem', '/servers', serverOne, 404, 'REGISTRATION_UNKNOWN'],
    ['a subsystem', '/subsystems', { id: 'TEST/GOV/1/a', name: 'A' }, 201, ''],
    ['the server', '/servers', serverOne, 201, ''],
    ['the server again', '/servers', serverOne, 409, 'REGISTRATION_EXISTS'],
    [
      'certificates of a stranger’s authority',
      '/servers',
      { ...serverTwo, ...stranger },
      422,
      'REGISTRATION_CERTIFICATE_REFUSED',
    ],
    [
      'certificates that name another server',
      '/servers',
      { ...serverTwo, authenticationCertificates: one.authenticationCertificates },
      422,
      'REGISTRATION_CERTIFICATE_REFUSED',
    ],
    [
      'a TLS certificate as signing certificate',
      '/servers',
      { ...serverTwo, signingCertificates: two.authenticationCertificates },
      422,
      'REGISTRATION_CERTIFICATE_REFUSED',
    ],
    [
      'the encryption key of another server',
      '/servers',
      { ...serverTwo, encryptionKeys: one.encryptionKeys },
      422,
      'REGISTRATION_KEY_REFUSED',
    ],
    [
      'the signing key of another server as encryption key',
      '/servers',
      { ...serverTwo, encryptionKeys: [signingKeyOf(one)] },
      422,
      'REGISTRATION_KEY_REFUSED',
    ],
    ['the message log of another server', '/servers', { ...serverTwo, log: one.log }, 422, 'REGISTRATION_KEY_REFUSED'],
    [
      'a kid that is no thumbprint',
      '/servers',
      { ...serverTwo, encryptionKeys: two.encryptionKeys.map((key) => ({ ...key, kid: 'A'.repeat(43) })) },
      422,
      'REGISTRATION_KEY_REFUSED',
    ],
    ['the second server, after all that', '/servers', serverTwo, 201, ''],
    ['a service', '/services', service, 201, ''],
    ['a description that reads files', '/services', { ...service, description: foreign }, 422, 'DESCRIPTION_REFUSED'],
    [
      'a description that is none',
      '/services',
      { ...service, description: { openapi: '3.1.0' } },
      422,
      'DESCRIPTION_REFUSED',
    ],
    ['a service of no subsystem', '/services', { ...service, id: 'TEST/GOV/1/b/s' }, 404, 'REGISTRATION_UNKNOWN'],
    ['an unknown name', '/members', { id: 'TEST/GOV/3', name: 'x', extra: 1 }, 400, 'SCHEMA_MISMATCH'],
    ['a number for a name', '/members', { id: 'TEST/GOV/3', name: 7 }, 400, 'SCHEMA_MISMATCH'],
    ['a duplicate name', '/members', '{"id":"TEST/GOV/3","name":"x","name":"y"}', 400, 'JSON_DUPLICATE_NAME'],
    ['__proto__', '/members', '{"id":"TEST/GOV/3","name":"x","__proto__":{}}', 400, 'JSON_FORBIDDEN_NAME'],
    ['deep nesting', '/members', `{"a":${'['.repeat(99)}${']'.repeat(99)}}`, 400, 'JSON_TOO_DEEP'],
    ['a body over the limit', '/members', `{"a":"${'x'.repeat(1024 * 1024)}"}`, 413, 'BODY_TOO_LARGE'],
    ['no route', '/nothing', {}, 404, 'NOT_FOUND'],
  ];
  for (const [name, path, body, status, code] of cases) {
    const answer = await ask('POST', path, body);
    t.match({ status: answer.status, code: answer.code }, { status, code }, name);
    if (status >= 400)
      t.ok(answer.headers.get('content-type')?.startsWith('application/problem+json') && answer.body['next']);
  }
  t.match(await ask('DELETE', '/subsystems/TEST/GOV/1/a'), { code: 'REGISTRATION_IN_USE' });
  t.match(await ask('DELETE', '/members/TEST/GOV/1'), { code: 'REGISTRATION_IN_USE' });
  t.match(await ask('GET', '/members?limit=1'), {
    body: { items: [{ id: 'TEST/GOV/1', name: '民政局' }], next: 'TEST/GOV/1' },
  });
  t.match(await ask('GET', '/members?limit=1001'), { code: 'SCHEMA_MISMATCH' });
  t.match(await ask('GET', '/services/TEST/GOV/1/a/s/description'), { body: openapi });

  await registry.publish();
  const client = await openConfigurationClient({
    folder: join(folder, 'client'),
    anchor: registry.anchor,
    clock: systemClock,
    fetch: registry.anchor.urls.map((url) => fetchOverHttp(http, url)),
    pollMs: 0,
  });
  t.teardown(() => client.close());
  const read = client.current();
  t.equal(read.server('TEST/GOV/1/ss1')?.signingCertificates[0]?.der.toString('base64url'), one.signingCertificates[0]);
  t.equal(read.serversOf('TEST/GOV/1/a')[0]?.id, 'TEST/GOV/1/ss1');
  t.match(read.service('TEST/GOV/1/a/s'), { type: 'OPENAPI', safe: true });
  t.same(read.trust.anchors, anchors);
  const renewal = {
    encryptionKeys: (await authority.server('TEST/GOV/1/ss1')).registration.encryptionKeys,
    remove: [one.encryptionKeys[0]?.kid],
  };
  t.match(await ask('POST', '/servers/TEST/GOV/1/ss1/renewals', renewal), { status: 200 });
  const announced = { notice: 'new disks', untilMs: 2_000_000_000_000 };
  const announce = (maintenance: object | null) => ask('POST', '/servers/TEST/GOV/1/ss1/renewals', { maintenance });
  const refusedMaintenance = [{}, { notice: '', untilMs: null }, { notice: 'x' }, { ...announced, untilMs: -1 }];
  for (const bad of refusedMaintenance) t.match(await announce(bad), { code: 'SCHEMA_MISMATCH' });
  t.match(await announce(announced), { status: 200, body: { maintenance: announced } });
  await registry.publish();
  await client.refresh();
  t.strictSame(client.current().server('TEST/GOV/1/ss1')?.maintenance, announced, 'others read it');
  const other = { ...announced, untilMs: null };
  await announce(other);
  const part = async (maintenance: typeof other | null) => {
    const shown = { ...((await ask('GET', '/members/TEST/GOV/1')).body as unknown as RegisteredMember) };
    const servers = shown.servers.map((server) => ({ ...server, maintenance }));
    const bytes = Buffer.from(canonicalJson({ members: [{ ...shown, servers }] } as never), 'utf8');
    return readPart(`members/${partShardOf(memberId('TEST/GOV/1'))}`, bytes, 'TEST');
  };
  t.strictSame(
    changesBetween([await part(null)], [await part(other)]),
    [{ change: 'added', kind: 'maintenance', id: 'TEST/GOV/1/ss1 open-ended: new disks' }],
    'approvers see it',
  );
  t.match(changesBetween([await part(other)], [await part({ ...announced } as never)]), [
    { change: 'removed' },
    { change: 'added', id: 'TEST/GOV/1/ss1 until 2033-05-18T03:33:20.000Z: new disks' },
  ]);
  t.equal((await announce(null)).body['maintenance'], undefined);
  const log = { origin: `${one.log.origin}/2`, key: 'A'.repeat(43) };
  t.match(
    await ask('POST', '/servers/TEST/GOV/1/ss1/renewals', { log }),
    { status: 200, body: { log } },
    'a new origin',
  );
  const shared = await ask('POST', '/servers/TEST/GOV/2/ss1/renewals', { log });
  t.match(shared, { body: { code: 'REGISTRATION_KEY_REFUSED' } }, 'two servers never share a log');

  const certificate = certificateOf(one.authenticationCertificates[0]);
  const spki = certificate.publicKey.export({ format: 'der', type: 'spki' });
  const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('base64url');
  const signing = hash(certificateOf(one.signingCertificates[0]).raw);
  const distrust = async (kind: 'key' | 'server', value: string) => {
    const facts = { instance: 'TEST', kind, value, atMs: systemClock.nowMs(), reason: 'x' };
    const statement = signDistrust(facts, registry.approvers[0], 'approver');
    t.match(await ask('POST', '/configuration/distrust', { statement }), { status: 201 });
  };
  await distrust('server', 'TEST/GOV/2/ss1');
  await distrust('key', signing);
  await distrust('key', hash(spki));
  await registry.publish();
  t.match(await client.refresh(), { outcome: 'updated' });
  t.equal(client.current().server('TEST/GOV/2/ss1'), undefined, 'a distrusted server is not found');
  const left = client.current().server('TEST/GOV/1/ss1');
  t.same([left?.signingCertificates, left?.authenticationCertificates], [[], []], 'by certificate, by public key');
  t.ok(client.current().isDistrusted(hash(certificate.raw)), 'a certificate of a distrusted public key');
  t.equal(client.current().server('TEST/GOV/1/ss1')?.encryptionKeys[0]?.kid, renewal.encryptionKeys[0]?.kid);
});

t.test('roles: every permission by every role', async (t) => {
  const roles = ['registry-admin', 'registration-officer', 'publisher', 'auditor'] as const;
  const attempts: [string, string, object | undefined, string][] = [
    ['GET', '/members', undefined, 'yyyy'],
    ['GET', '/configuration', undefined, 'yyyy'],
    ['GET', '/audit', undefined, 'ynny'],
    ['GET', '/api-keys', undefined, 'ynny'],
    ['POST', '/members?dryRun=true', { id: 'TEST/GOV/77', name: 'x' }, 'yynn'],
    ['POST', '/services?dryRun=true', {}, 'yynn'],
    ['POST', '/configuration/drafts?dryRun=true', undefined, 'ynyn'],
    ['POST', '/configuration/distrust?dryRun=true', {}, 'yyyn'],
    ['POST', '/trust?dryRun=true', {}, 'ynnn'],
    ['POST', '/api-keys?dryRun=true', { name: 'x', role: 'auditor' }, 'ynnn'],
    ['POST', '/configuration/roots?dryRun=true', {}, 'ynnn'],
  ];
  for (const [at, role] of roles.entries()) {
    const made = await ask('POST', '/api-keys', { name: role, role });
    const apiKey = String(made.body['apiKey']);
    for (const [method, path, body, allowed] of attempts) {
      const { status, code } = await ask(method, path, body, { apiKey });
      if (allowed[at] === 'y') t.not(status, 403, `${role} may ${method} ${path}`);
      else t.match({ status, code }, { status: 403, code: 'ROLE_FORBIDDEN' }, `${role} may not ${method} ${path}`);
    }
    t.match(await ask('DELETE', `/api-keys/${made.body['id']}`), { status: 200 });
    t.match(await ask('GET', '/members', undefined, { apiKey }), { status: 401, code: 'API_KEY_REFUSED' }, 'revoked');
  }
  for (const apiKey of ['', 'x', registry.apiKey.slice(0, -1), `${registry.apiKey.slice(0, -1)}!`]) {
    t.match(await ask('POST', '/members', '{not judged', { apiKey }), { status: 401 });
  }
  t.match(await ask('GET', '/openapi.json', undefined, { apiKey: '' }), { status: 200, body: { openapi: '3.1.0' } });
});

t.test('idempotency, dry runs and the audit trail', async (t) => {
  const body = { id: 'TEST/GOV/50', name: 'Fifty' };
  t.match(await ask('POST', '/members?dryRun=true', body), { status: 200, body });
  t.match(await ask('GET', '/members/TEST/GOV/50'), { code: 'REGISTRATION_UNKNOWN' }, 'a dry run changes nothing');
  t.match(await ask('POST', '/members', body, { key: 'key-0000001' }), { status: 201 });
  const again = await ask('POST', '/members', body, { key: 'key-0000001' });
  t.match(
    { status: again.status, replayed: again.headers.get('idempotent-replayed') },
    { status: 201, replayed: 'true' },
  );
  t.match(await ask('POST', '/members', { ...body, name: 'x' }, { key: 'key-0000001' }), {
    code: 'IDEMPOTENCY_CONFLICT',
  });
  t.match(await ask('POST', '/members', body, { key: 'key-0000002' }), { code: 'REGISTRATION_EXISTS' });
  t.match(await ask('POST', '/members', body, { key: 'x' }), { code: 'SCHEMA_MISMATCH' });
  const key = { name: 'k', role: 'auditor' };
  const first = await ask('POST', '/api-keys', key, { key: 'key-0000003' });
  t.ok(first.body['apiKey']);
  t.notOk((await ask('POST', '/api-keys', key, { key: 'key-0000003' })).body['apiKey'], 'a secret is shown once');

  const trail = (await ask('GET', '/audit?limit=1000')).body['items'] as {
    seq: number;
    action: string;
    target: string;
  }[];
  t.same(
    trail.map(({ seq }) => seq),
    trail.map((_, at) => at + 1),
    'dense',
  );
  t.equal(trail.filter(({ target }) => target === 'TEST/GOV/50').length, 1, 'one action, one line');
  const db = new Database(join(folder, 'registry.db'));
  t.teardown(() => db.close());
  for (const sql of [
    'DELETE FROM audit',
    "UPDATE audit SET target = ''",
    "REPLACE INTO audit VALUES (1, 0, '', '', '', '', '')",
  ]) {
    t.throws(() => db.exec(sql), /append-only/, sql);
  }
  const secret = registry.apiKey.split('_').slice(2).join('_');
  t.notOk(readFileSync(join(folder, 'registry.db')).includes(secret), 'no secret of an API key lies in the database');
});

t.test('drafts: nothing is published by one person', async (t) => {
  const before = (await ask('GET', '/configuration')).body['content'] as { version: number };
  const made = (await ask('POST', '/configuration/drafts')).body as { version: number; payload: string };
  const path = `/configuration/drafts/${made.version}`;
  const payload = Buffer.from(made.payload, 'base64url');
  const sign = (key: (typeof registry.approvers)[0], bytes = payload) =>
    ask('POST', `${path}/signatures`, signOne('content', bytes, key));
  t.match(await ask('POST', `${path}/publish`), { code: 'CONFIGURATION_THRESHOLD' });
  t.match(await sign(registry.approvers[0]), { status: 201, body: { state: 'open' } });
  t.match(await sign(registry.approvers[0]), { status: 201, body: { state: 'open' } }, 'twice by the same person');
  t.match(await ask('POST', `${path}/publish`), { code: 'CONFIGURATION_THRESHOLD' });
  t.match(await sign(registry.approvers[1], Buffer.from('{}')), { code: 'SIGNED_FILE_SIGNATURE_WRONG' });
  t.equal(((await ask('GET', '/configuration')).body['content'] as { version: number }).version, before.version);
  t.match(await sign(registry.approvers[1]), { status: 201, body: { state: 'published' } });
  const other = (await ask('POST', '/configuration/drafts')).body as { version: number; payload: string };
  await registry.publish();
  t.match(
    await ask(
      'POST',
      `/configuration/drafts/${other.version}/signatures`,
      signOne('content', Buffer.from(other.payload, 'base64url'), registry.approvers[0]),
    ),
    { code: 'DRAFT_SUPERSEDED' },
  );
  t.match(await ask('GET', '/configuration/drafts/999'), { status: 404, code: 'DRAFT_UNKNOWN' });
});
