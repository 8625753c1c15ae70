// Endpoint rules in X-Road's semantics, row by row, on the strings that are forwarded; which rights cover a request, through
// which group, and what a call that names nothing is taken to ask for; the endpoints that lists of methods are made of.
import fc from 'fast-check';
import t from 'tap';
import { covers, defaultsOf, quotaCounter } from '#policy/covering.ts';
import { decide } from '#policy/decide.ts';
import { globCovers, globMatches } from '#policy/endpoint-glob.ts';
import { publicDescription } from '#policy/public-description.ts';
import { allowedEndpoints, describedEndpoints } from '#policy/service-endpoints.ts';
import { AccessRight } from '#schemas/access-right.ts';
import { parseJsonObject } from '#schemas/json.ts';
import { servicePath } from '#schemas/service-path.ts';
import { compile } from '#schemas/validate.ts';
import { CLIENT, inputs, NOW, right, SERVICE } from './decision.ts';

t.test('globs, row by row', async (t) => {
  const rows: [string, string[], string[]][] = [
    ['/pets/*', ['/pets/1', '/pets/'], ['/pets/1/x', '/pets', '/pets/1/', '/petss/1', '/Pets/1']],
    ['/foo/*/bar/', ['/foo/zyggy/bar/', '/foo//bar/'], ['/foo/zyggy/quux/bar/', '/foo/zyggy/bar', '/foo/bar/']],
    ['/**', ['/', '/a', '/a/b/', '/%C3%A9/x'], ['', 'a']],
    ['**', ['/', '/a/b', ''], []],
    ['/*', ['/', '/a', '/a.b-c~', '/%20'], ['/a/', '/a/b', '']],
    ['/', ['/'], ['', '/a', '//']],
    ['/a/**', ['/a/', '/a/b', '/a/b/c/'], ['/a', '/ab', '/b/a/']],
    ['/a/**/z', ['/a/b/z', '/a/b/c/z', '/a//z'], ['/a/z', '/a/b/c', '/az', '/z']],
    ['/a**z', ['/az', '/a/z', '/a/b/cz', '/abz'], ['/a', '/a/zb']],
    ['/a/*.json', ['/a/x.json', '/a/.json'], ['/a/x.jso', '/a/x/y.json', '/a/x.json/', '/a/xjson']],
    ['/a/*-*', ['/a/1-2', '/a/-', '/a/1-2-3'], ['/a/12', '/a/1/-2']],
    ['/*/*', ['/a/b', '//', '/a/', '//b'], ['/a', '/a/b/c']],
    // Everything but * and \ is itself.
    ['/a.b', ['/a.b'], ['/axb', '/ab']],
    ['/a+b?(c)[d]{e}|^$', ['/a+b?(c)[d]{e}|^$'], ['/aab', '/a+b', '/ac']],
    ['/{id}', ['/{id}'], ['/7', '/id']],
    ['/a\\*', ['/a*'], ['/a', '/ab', '/a\\*']],
    ['/a\\*\\*/b', ['/a**/b'], ['/a/x/b', '/a/b']],
    ['/a\\\\b', ['/a\\b'], ['/ab', '/a\\\\b']],
    ['/a\\b', ['/ab'], ['/a\\b']],
    ['/a\\', ['/a\\'], ['/a']],
    ['/\\**', ['/*', '/*x'], ['/x', '/*/x']],
    ['/***', ['/', '/a', '/a/b'], ['']],
    // The forwarded string decides: an escape is not the character it stands for, nor is one spelled otherwise.
    ['/pets/caf%C3%A9', ['/pets/caf%C3%A9'], ['/pets/caf%c3%a9', '/pets/café', '/pets/caf']],
    ['/pets/café', [], ['/pets/caf%C3%A9', '/pets/caf%c3%a9']],
    ['/a%20b', ['/a%20b'], ['/a b', '/a+b', '/ab']],
    ['/a b', [], ['/a%20b']],
    ['/%61', ['/%61'], ['/a']],
    ['/a', ['/a'], ['/%61']],
    ['/pets/*', ['/pets/%E6%BB%A8%E6%B5%B7', '/pets/a%20b', '/pets/~subject', "/pets/!$&'()+,=:@"], ['/pets/%E6/x']],
    ['/%2A', ['/%2A'], ['/*', '/a', '/%2a']],
    ['/a%', ['/a%'], ['/a']],
    ['/*0', ['/10', '/0'], ['/%20']],
  ];
  for (const [glob, yes, no] of rows) {
    for (const path of yes) t.equal(globMatches(glob, path), true, `${glob} takes ${path}`);
    for (const path of no) t.equal(globMatches(glob, path), false, `${glob} does not take ${path}`);
  }
});

t.test('a rule that could never match is refused', async (t) => {
  const check = compile(AccessRight, 'SCHEMA_MISMATCH');
  const withPath = (path: string) => ({ ...right({ endpoints: [{ method: 'GET', path }] }) });
  for (const path of ['/pets/café', '/a b', '/a\n', 'pets', '*', '', '/\u0000', '/滨海']) {
    t.throws(() => check(withPath(path)), { code: 'SCHEMA_MISMATCH' }, JSON.stringify(path));
  }
  for (const path of ['/', '/**', '**', '/a\\*', '/caf%C3%A9', '/a;b']) t.ok(check(withPath(path)), path);
  const held = (client: string) => ({ ...right(), client });
  for (const client of [CLIENT, 'local-group:a', 'global-group:DEV/a.b-c']) t.ok(check(held(client)), client);
  for (const client of [
    ...['local-group:', 'local-group:a/b', 'global-group:a', 'global-group:DEV/a/b', 'group:a', 'DEV/GOV/1001'],
    ...[`x${CLIENT}/y`, `local-group:a\n${CLIENT}`, ' local-group:a'],
  ]) {
    t.throws(() => check(held(client)), { code: 'SCHEMA_MISMATCH' }, client);
  }
});

t.test('one rule covers another when it takes every path of it', async () => {
  const segment = fc.constantFrom('a', 'b', '*', 'a*', '*b', '\\*', '');
  const glob = fc
    .array(fc.oneof(segment, fc.constant('**')), { minLength: 1, maxLength: 4 })
    .map((all) => `/${all.join('/')}`);
  const narrow = fc.array(segment, { minLength: 1, maxLength: 4 }).map((all) => `/${all.join('/')}`);
  const filling = fc.array(fc.constantFrom('', 'a', 'b', 'ab', 'c', '*'), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(glob, narrow, filling, (wide, template, fill) => {
      let at = 0;
      const path = template.replace(/\\\*|\*/g, (one) => (one === '*' ? (fill[at++] ?? '') : '*'));
      if (globCovers(wide, template)) return globMatches(wide, path);
      // Not covered: what no rule names shows it.
      return !globMatches(
        wide,
        template.replace(/\\\*|\*/g, (one) => (one === '*' ? 'Z' : '*')),
      );
    }),
    { numRuns: 2_000 },
  );
});

t.test('rights through groups', async (t) => {
  const asking = { client: CLIENT, groups: ['global-group:DEV/g', 'local-group:g'], service: SERVICE };
  const request = { ...asking, method: 'GET', path: '/a' };
  const rows: [string, Parameters<typeof right>[0], boolean][] = [
    ['its own', {}, true],
    ['a local group it is in', { client: 'local-group:g' }, true],
    ['a global group it is in', { client: 'global-group:DEV/g' }, true],
    ['a local group of the same name as a global one', { client: 'local-group:DEV' }, false],
    ['another group', { client: 'local-group:h' }, false],
    ['a global group of another instance', { client: 'global-group:EE/g' }, false],
    ['another subsystem', { client: 'DEV/GOV/1001/other' }, false],
    ['another service', { client: 'local-group:g', service: `${SERVICE}2` }, false],
    ['ended', { client: 'local-group:g', notAfterMs: NOW - 1 }, false],
    ['not begun', { client: 'local-group:g', notBeforeMs: NOW + 1 }, false],
    ['another endpoint', { client: 'local-group:g', endpoints: [{ method: 'GET', path: '/b' }] }, false],
    ['another verb', { client: 'local-group:g', endpoints: [{ method: 'POST', path: '/a' }] }, false],
  ];
  for (const [name, over, is] of rows) {
    t.equal(covers(right(over), request, NOW), is, name);
    const { code } = decide(inputs({ groups: asking.groups, rights: [{ right: right(over), usedToday: 0 }] }));
    t.equal(code, is ? 'OK' : 'ACCESS_DENIED', `${name}: decided alike`);
  }
  const id = right().id;
  t.equal(quotaCounter(right(), CLIENT), id);
  t.equal(quotaCounter(right({ client: 'local-group:g' }), CLIENT), `${id} ${CLIENT}`, 'each member has its own');

  const defaults = { purpose: 'x', basis: 'law' as const, fields: ['/a'] };
  const named = right({ id: '1', client: 'local-group:g', r1Defaults: defaults });
  t.same(defaultsOf([right(), named], request, NOW), { right: '1', defaults });
  t.equal(defaultsOf([right()], request, NOW), null, 'nobody says any');
  t.equal(defaultsOf([named, right({ id: '2', r1Defaults: defaults })], request, NOW), null, 'two say some');
  const elsewhere = right({ id: '2', endpoints: [{ method: 'GET', path: '/b' }], r1Defaults: defaults });
  t.equal(defaultsOf([named, elsewhere], request, NOW)?.right, '1', 'only rights that cover the request count');
  t.equal(defaultsOf([named], { ...request, groups: [] }, NOW), null, 'a group it is not in');
});

t.test('endpoints of a description', async (t) => {
  const text = JSON.stringify({
    openapi: '3.1.0',
    paths: {
      '/pet/{id}': { get: {}, delete: {}, parameters: [] },
      '/a*b/{x}.{y}/caf\u00e9/%41': { post: {} },
      '/': { get: {}, 'x-get': {}, trace: null },
      nonsense: { get: {} },
    },
  });
  const endpoints = describedEndpoints(parseJsonObject(Buffer.from(text)));
  t.same(
    endpoints.map(({ method, path }) => `${method} ${path}`),
    ['GET /', 'POST /a\\*b/*.*/caf%C3%A9/%41', 'DELETE /pet/*', 'GET /pet/*'],
  );
  for (const path of ['/a*b/1.2/caf%C3%A9/%41', '/pet/7', '/']) {
    t.ok(
      endpoints.some((one) => globMatches(one.path, servicePath(path))),
      path,
    );
  }
  const allowed = (...rules: [string, string][]) =>
    allowedEndpoints(
      endpoints,
      rules.map(([method, path]) => right({ endpoints: [{ method: method as 'GET', path }] })),
    ).map(({ method, path }) => `${method} ${path}`);
  t.same(allowed(['*', '/**']), ['GET /', 'POST /a\\*b/*.*/caf%C3%A9/%41', 'DELETE /pet/*', 'GET /pet/*']);
  t.same(allowed(['GET', '/pet/*']), ['GET /pet/*']);
  t.same(allowed(['GET', '/pet/7']), ['GET /pet/7'], 'part of an endpoint is not the endpoint');
  t.same(allowed(['*', '/pet/**'], ['GET', '/x']), ['DELETE /pet/*', 'GET /pet/*', '* /pet/**', 'GET /x']);
  t.same(allowed(), []);
});

t.test('descriptions without hosts', async (t) => {
  const document = parseJsonObject(
    Buffer.from(
      JSON.stringify({
        openapi: '3.1.0',
        info: { title: 'Pets at pets.internal.example', description: 'See https://pets.internal.example:8443/help.' },
        servers: [
          { url: 'https://pets.internal.example:8443/v1/', description: 'in the basement' },
          {
            url: 'https://{host}:{port}/{base}?x#y',
            variables: { host: { default: 'Other.Internal' }, port: { default: '1' }, base: { default: 'v2' } },
          },
          { url: '{all}/v3', variables: { all: { default: 'http://user:secret@third.internal' } } },
          { url: '//fourth.internal' },
          { url: '/v5' },
          { url: 'relative' },
        ],
        paths: {
          '/pets': {
            servers: [{ url: 'http://path.internal/p' }],
            get: {
              servers: [{ url: 'http://op.internal:9/o' }],
              externalDocs: { url: 'http://OP.internal:9/docs' },
              responses: { 200: { description: '', links: { l: { server: { url: 'ftp://link.internal/l' } } } } },
            },
          },
        },
        components: {
          securitySchemes: { o: { flows: { x: { tokenUrl: 'http://backend.internal:81/token' } } } },
          schemas: { servers: { type: 'array' }, server: { type: 'string', default: 'https://elsewhere.example/' } },
        },
      }),
    ),
  );
  const before = JSON.stringify(document);
  const shown = publicDescription(document, 'http://backend.internal:8080/base');
  t.equal(JSON.stringify(document), before, 'what is kept is not changed');
  t.same(shown['servers'], [
    { url: '/v1/' },
    { url: '/v2' },
    { url: '/v3' },
    { url: '/' },
    { url: '/v5' },
    { url: 'relative' },
  ]);
  t.match(shown, {
    info: { description: 'See /help.' },
    paths: {
      '/pets': {
        servers: [{ url: '/p' }],
        get: {
          servers: [{ url: '/o' }],
          externalDocs: { url: '/docs' },
          responses: { 200: { links: { l: { server: { url: '/l' } } } } },
        },
      },
    },
    components: {
      securitySchemes: { o: { flows: { x: { tokenUrl: '/token' } } } },
      schemas: { servers: { type: 'array' }, server: { type: 'string', default: 'https://elsewhere.example/' } },
    },
  });
  t.notMatch(JSON.stringify(shown), /:\/\/\w+\.internal|secret/);
});
