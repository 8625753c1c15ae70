// What becomes of a path behind a service: refused, or the identical string. One table for what backends, proxies and old
// file systems do to paths; each row goes through both readers, servicePath and the whole target of a call at /r1.
import t from 'tap';
import { PathTemplates } from '#policy/binding/path-template.ts';
import { globMatches } from '#policy/endpoint-glob.ts';
import { isAccordError } from '#schemas/problems.ts';
import { isReserved, servicePath, serviceQuery } from '#schemas/service-path.ts';
import { readTarget } from '#security-server/xroad/target.ts';
import { IDENTICAL, REFUSED } from './path-table.ts';

function outcome(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return error.code;
  }
}

t.test('a path passes as it came or not at all', async (t) => {
  const service = 'DEV/GOV/2002/provider/echo';
  let rows = 0;
  for (const [name, paths] of [...IDENTICAL, ['no path', '']] as const) {
    for (const path of paths.split(' ')) {
      t.equal(
        outcome(() => servicePath(path)),
        path,
        name,
      );
      const whole = { service, path, query: null };
      t.same(
        outcome(() => readTarget(`/r1/${service}${path}`)),
        whole,
        name,
      );
      rows += 1;
    }
  }
  const spaced = ['/a b', ' /a', '/a ', '/% 20', `/${'a'.repeat(8 * 1024)}`];
  const refused: [string, string[]][] = REFUSED.map(([name, paths]) => [name, paths.split(' ')]);
  for (const [name, paths] of [...refused, ['raw spaces, and too long', spaced] as const]) {
    for (const path of paths) {
      t.equal(
        outcome(() => servicePath(path)),
        'PATH_REFUSED',
        `${name}: ${JSON.stringify(path.slice(0, 80))}`,
      );
      // Behind an identifier, '?…' begins the query and what has no slash belongs to the identifier.
      const target = outcome(() => readTarget(`/r1/${service}${path}`));
      if (path.startsWith('/') && !path.includes('?')) t.equal(target, 'PATH_REFUSED', name);
      rows += 1;
    }
  }
  t.ok(rows >= 250, `${rows} rows`);
});

t.test('a query passes as it came or not at all', async (t) => {
  const identical = [
    '',
    'a',
    'a=1&a=2',
    '&',
    '=',
    '&&a==',
    'a=b?c',
    'a=/../b',
    'a=//',
    'a=%2e%2e%2f',
    'a=%252f',
    'a=%5c',
  ];
  identical.push(
    '%e9',
    'a=%ff',
    'a=%0d%0a',
    'a=b;c',
    'a+b',
    'filter[x][]=1',
    "a='*'",
    '%61=%62',
    'http://h/?a',
    '?',
    '??a',
  );
  identical.push('a=%C3%A9&a=%c3%a9', '%2500');
  for (const query of identical) {
    t.equal(
      outcome(() => serviceQuery(query)),
      query,
    );
    const { query: read } = readTarget(`/r1/DEV/GOV/2002/provider/echo/a?${query}`);
    t.equal(read, query);
  }
  const refused = [
    '%00',
    'a=%00b',
    'a b',
    'a=é',
    '#',
    'a#b',
    '%',
    '%a',
    '%zz',
    'a=\\',
    'a="',
    'a=<',
    '{}',
    'a|b',
    '^',
    '`',
    'a\n',
    '\0',
  ];
  refused.push('%u0041', 'a'.repeat(16 * 1024 + 1));
  for (const query of refused) {
    t.equal(
      outcome(() => serviceQuery(query)),
      'PATH_REFUSED',
      JSON.stringify(query.slice(0, 80)),
    );
  }
});

t.test('the five identifiers of a target', async (t) => {
  const same = { service: 'DEV/GOV/2002/provider/echo', path: '/a', query: null };
  for (const id of ['DEV/GOV/2002/provider/echo', 'D%45V/GOV/2002/provider/%65cho', '%44EV/GOV/2002/provider/ech%6f']) {
    t.same(
      outcome(() => readTarget(`/r1/${id}/a`)),
      same,
      id,
    );
  }
  const malformed = [
    ' / /r1 /r1/ /r1? /R1/a/b/c/d/e //r1/a/b/c/d/e /r1/a/b/c/d /r1/a/b/c/d/ /r1//b/c/d/e /r1/a/b//d/e * h:443',
    '/r1/a/b/c/d?e /r1/a/b/c/d?/e /r1/../b/c/d/e /r1/a/%2e%2e/c/d/e /r1/a/./c/d/e /r1/a/b/c/d/.. /r1/a/b/c/d/.',
    '/r1/a/b/c/d/e%5cf /r1/a/b/c/d/e%00 /r1/a/b/c/d/e%0a /r1/a/b/c/d/e%c2%85 /r1/a/b/c/d/e% /r1/a/b/c/d/e%zz',
    '/r1/a/b/c/d/%ff /r1/a/b/c/d/%c0%ae /r1/a/b/c/d/%2565 /r1/a/b/c/d/e%252ff /r1/a/b/c/d/é /r1/a/b/c/d/e#f',
    // A slash that would make another target of it, could it be taken for one that separates.
    '/r1/a/b/c/d/..%2fe /r1/a/b/c/d/e%2F%2e%2e%2Ff /r1/a%2F./b/c/d/e /r1/a/b/c/d/e%2f.. http://h/r1/a/b/c/d/e',
  ].flatMap((row) => row.split(' '));
  malformed.push('/r1/a/b/c/d/e f');
  for (const target of malformed) {
    t.equal(
      outcome(() => readTarget(target)),
      'XROAD_TARGET_MALFORMED',
      target,
    );
  }
});

t.test('identifiers that nobody here can have are unknown names, and never another target', async (t) => {
  const known = (id: string) => id === 'a/b/c/d';
  const rows: [string, string, string][] = [
    [
      'a slash in the service',
      '/r1/a/b/c/d/e%2ff /r1/a/b/c/d/e%2Ff/x?y=1 /r1/a/b/c/d/%2f /r1/a/b/c/d/%2fe',
      'SERVICE_UNKNOWN',
    ],
    [
      'other characters',
      '/r1/a/b/c/d/%c3%a9 /r1/a/b/c/d/e;f /r1/a/b/c/d/%ef%bc%a5 /r1/a/b/c/d/e%20 /r1/a/b/c/d/e.',
      'SERVICE_UNKNOWN',
    ],
    ['too long', `/r1/a/b/c/d/${'e'.repeat(65)}`, 'SERVICE_UNKNOWN'],
    [
      'a slash in the provider',
      '/r1/a/b/c%2Fd/e/f /r1/a%2Fb/c/d/e/f /r1/a/b/c/d%2f/e /r1/a%2fb/c/d/e%2ff/g',
      'PROVIDER_UNKNOWN',
    ],
    // Would one of them be taken for a separator, these would be `a/b/c/d` and a service of it.
    ['a known provider in fewer segments', '/r1/a/b/c%2Fd/e/f /r1/a%2Fb/c/d/e/f /r1/a/b%2fc/d/e/f', 'PROVIDER_UNKNOWN'],
    ['a provider nobody knows', '/r1/a/b/c/x/e%2ff', 'PROVIDER_UNKNOWN'],
    // What is refused for its path is refused before anything is looked up.
    ['with a path that has two readings', '/r1/a/b/c/d/e%2ff/../g /r1/a%2fb/c/d/e/f/a%2fb', 'PATH_REFUSED'],
  ];
  for (const [why, targets, code] of rows) {
    for (const target of targets.split(' ')) {
      t.equal(
        outcome(() => readTarget(target, known)),
        code,
        `${why}: ${target}`,
      );
    }
  }
});

t.test('no spelling of a reserved path reaches a backend', async (t) => {
  for (const path of [
    '/.accord',
    '/.accord/',
    '/.accord/doubts',
    '/%2eaccord/x',
    '/%2Eacc%6frd',
    '/.ACCORD/x',
    '/.accord;a/x',
    '/.accord%3ba',
  ]) {
    t.equal(isReserved(path), true, path);
  }
  for (const path of ['/.accord./x', '/.accord%20/x', '/%ef%bc%8eaccord', '/.%ef%bd%81ccord'])
    t.equal(isReserved(path), true, path);
  for (const path of ['', '/', '/accord', '/a/.accord', '/.accordx', '/x.accord', '/%ff', '.accord']) {
    t.equal(isReserved(path), false, path);
  }
});

t.test('no reading of a path leads past a rule', async (t) => {
  const yes: [string, string][] = [
    ...([
      ['/pets/*', '/pets/1'],
      ['/pets/*', '/pets/'],
      ['/pets/*', '/pets/%61'],
      ['/pets/*', '/pets/1;v=2'],
      ['/**', '/a;b/c'],
    ] as const),
    ...([
      ['/a%20b', '/a%20b'],
      ['/*%20', '/a%20'],
      ['/*;v=*', '/1;v=2'],
      ['/*.pdf', '/a.pdf;v=1.pdf'],
      ['/foo/*/bar/', '/foo/z/bar/'],
    ] as const),
  ].map(([glob, path]) => [glob, path]);
  const no: [string, string][] = [
    ...([
      ['/pets/*', '/pets/1/x'],
      ['/*2024', '/secret%2024'],
      ['/*5', '/a%35'],
      ['/*0', '/a%20'],
      ['/a%2*', '/a%20'],
    ] as const),
    ...([
      ['/files/*.pdf', '/files/secret.doc;.pdf'],
      ['/files/*.pdf', '/files/secret.doc%3B.pdf'],
    ] as const),
    ...([
      ['/pets', '/p%65ts'],
      ['/a%C3%A9', '/a%c3%a9'],
      ['/foo/*/bar/', '/foo/z/quux/bar/'],
      ['/*-x', '/secret;a/b;-x'],
    ] as const),
  ].map(([glob, path]) => [glob, path]);
  for (const [glob, path] of yes) t.ok(globMatches(glob, servicePath(path)), `${glob} covers ${path}`);
  for (const [glob, path] of no) t.notOk(globMatches(glob, servicePath(path)), `${glob} does not cover ${path}`);
});

t.test('no reading of a path leads to another operation or person', async (t) => {
  const templates = new PathTemplates<string>();
  for (const template of ['/people/{id}', '/people/search']) templates.add(template, template);
  const found = (path: string) => templates.match(servicePath(path))?.value ?? null;
  t.equal(found('/people/1'), '/people/{id}');
  t.equal(found('/people/search'), '/people/search');
  for (const path of [
    '/people/1;x',
    '/people/1%3bx',
    '/people/SEARCH',
    '/people/s%65arch',
    '/people/s%45arch',
    '/people/',
  ]) {
    t.equal(found(path), null, path);
  }
});
