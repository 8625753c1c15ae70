// The conformance suite against our own servers, which pass every case, and against the same servers behind something that
// breaks one rule, which the suite names.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { accessRight, CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { type Echo, openEcho } from '#scripts/conformance/echo.ts';
import { expectedHash } from '#scripts/conformance/judge.ts';
import { CASES, runCases, type Setting } from '#scripts/conformance/run.ts';
import { parseAnswer } from '#scripts/conformance/wire.ts';

t.setTimeout(120_000);

const MAIN = 'scripts/conformance/main.ts';

interface World {
  pair: Pair;
  echo: Echo;
  setting: Setting;
}

/** A real pair whose provider offers the echo, one service without a right to it, and one that is disabled. */
async function openWorld(t: Test): Promise<World> {
  const pair = await openPair();
  const echo = await openEcho(0);
  t.teardown(async () => {
    echo.close();
    await pair.close();
  });
  const { state } = pair.provider.parts;
  const bytes = Buffer.from(await (await fetch(`${echo.url}/openapi.json`)).arrayBuffer());
  const hash = createHash('sha256').update(bytes).digest('base64url');
  for (const [id, enabled] of [
    [SERVICE, true],
    [`${SERVICE}-denied`, true],
    [`${SERVICE}-disabled`, false],
  ] as const) {
    const registered = pair.configuration.services.get(SERVICE);
    const local = state.service(SERVICE);
    if (registered === undefined || local === null) throw new TypeError('the pair has its service');
    pair.configuration.services.set(id, { ...registered, id, type: 'OPENAPI', descriptionHash: hash });
    state.putService({ ...local, id, url: `${echo.url}/base/`, enabled, notice: enabled ? null : 'back on Monday' });
  }
  state.putDescription(SERVICE, { hash, bytes, endpoints: [{ method: 'GET', path: '/conformance/echo' }] });
  state.putRight(accessRight({ id: '00000000-0000-4000-8000-000000000002', service: `${SERVICE}-disabled` }));
  const setting: Setting = {
    url: new URL(pair.consumer.urls.loopback ?? ''),
    client: CLIENT,
    service: SERVICE,
    denied: `${SERVICE}-denied`,
    disabled: `${SERVICE}-disabled`,
    echo: new URL(echo.url),
    largeBytes: 700_000,
    limitBytes: pair.consumer.parts.maxBodyBytes,
    timeoutMs: 20_000,
    tls: {},
  };
  return { pair, echo, setting };
}

/** Stands before a server and changes what passes: text in latin1, one request for each connection. */
async function openMeddler(
  t: Test,
  to: URL,
  meddle: { request?: (text: string) => string; answer?: (text: string) => string },
): Promise<URL> {
  const server = createServer((caller: Socket) => {
    const onward = connect(Number(to.port), to.hostname);
    let answer = '';
    caller.setEncoding('latin1').on('data', (chunk) => {
      const text = String(chunk);
      onward.write(meddle.request?.(text) ?? text, 'latin1');
    });
    onward.setEncoding('latin1').on('data', (chunk) => {
      answer += String(chunk);
    });
    onward.on('close', () => caller.end(meddle.answer?.(answer) ?? answer, 'latin1'));
    for (const socket of [caller, onward]) socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('a port');
  return new URL(`http://127.0.0.1:${address.port}`);
}

t.test('our servers pass every case, and what breaks a rule is named', async (t) => {
  const { setting, pair } = await openWorld(t);
  const verdicts = await runCases(setting);
  t.equal(verdicts.length, CASES.length);
  for (const verdict of verdicts) t.equal(verdict.result, 'passed', `${verdict.rule} ${verdict.words}`, verdict);
  t.equal(new Set(verdicts.map(({ rule }) => rule)).size, CASES.length, 'every case has a number of its own');
  t.equal(pair.consumer.parts.spool.held() + pair.provider.parts.spool.held(), 0);

  const faults: [string, string, Parameters<typeof openMeddler>[2]][] = [
    ['the verb', '1.1.7', { request: (text) => text.replace(/^PUT /, 'POST ') }],
    ['an escape is normalised', '1.5.4', { request: (text) => text.replace('%2F', '%2f') }],
    ['a dot segment is resolved', '1.8.1', { request: (text) => text.replace('/a/../b', '/b') }],
    [
      'the first of two wins',
      '2.2.1',
      { request: (text) => text.replace(/(X-Road-Client: .*\r\n)(.*\r\n)\1/, '$1$2') },
    ],
    ['an id is not kept', '2.3.1', { answer: (text) => text.replace(/X-Road-Id: .*/i, 'X-Road-Id: other') }],
    ['repeats are joined', '2.10.1', { request: (text) => text.replace('X-Many: 1\r\n', '') }],
    [
      'a body is dropped',
      '2.11.1',
      { request: (text) => text.replace(/Content-Length: \d+([\s\S]*\r\n)\r\n.*/, 'Content-Length: 0$1\r\n') },
    ],
    ['a spoofed header', '3.1.1', { answer: (text) => text.replace('\r\n', '\r\nX-Road-Other: spoofed\r\n') }],
    ['an error without error', '3.5.2', { answer: (text) => text.replace('\r\n', '\r\nX-Road-Error: Server.X\r\n') }],
    ['two dates', '3.3.2', { answer: (text) => text.replace('\r\n', '\r\nDate: now\r\n') }],
    ['a wrong hash', '3.2.1', { answer: (text) => text.replace(/(Request-Hash: )./i, '$1=') }],
    ['the hash of another request', '3.2.6', { request: (text) => text.replace('content-TYPE', 'Content-Type') }],
    ['a redirect that is followed', '3.4.1', { answer: (text) => text.replace(' 302 ', ' 200 ') }],
    ['errors in JSON only', '4.1.5', { request: (text) => text.replace('text/xml', 'text/css') }],
    ['an error that nobody finds', '4.2.2', { answer: (text) => text.replace('"detail"', '"detai1"') }],
    ['another code', '4.4.1', { answer: (text) => text.replaceAll('UnknownService', 'UnknownSubject') }],
    ['access for all', '6.1.1', { request: (text) => text.replace('-denied', '') }],
    ['a list without the client', '7.1.1', { answer: (text) => text.replaceAll('"consumer"', '"consum3r"') }],
    ['a body that is changed', '8.1.2', { answer: (text) => text.replace('[1.0,', '[1.1,') }],
    ['a framing that is put right', '9.1.7', { request: (text) => text.replace('X-Colon : ', 'X-Colon: ') }],
  ];
  for (const [name, rule, meddle] of faults) {
    const url = await openMeddler(t, setting.url, meddle);
    const [verdict, ...more] = await runCases({ ...setting, url, timeoutMs: 2_000 }, [rule]);
    t.equal(more.length, 0);
    t.match(verdict, { rule, result: 'failed', expected: [/^(?!an answer$)/] }, name);
  }
  await commandLine(t, setting);
});

/** `main.ts` with the same setting: what it prints and how it ends. */
async function commandLine(t: Test, { url, client, service }: Setting): Promise<void> {
  const run = async (...args: string[]) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    const [code] = await once(child, 'close');
    return { code, output };
  };
  const who = ['--client', client, '--service', service];
  const good = await run('--url', url.href, ...who, '--only', '2.1,6', '--json');
  t.equal(good.code, 0, good.output);
  t.match(JSON.parse(good.output), {
    passed: 7,
    failed: 0,
    notTestable: 2,
    cases: [{ rule: '2.1.1', result: 'passed' }],
  });
  const other = await openMeddler(t, url, {
    answer: (text) => text.replaceAll('Client.BadRequest', 'Client.badRequest'),
  });
  const bad = await run('--url', other.href, ...who, '--only', '2.1.1');
  t.match(bad, { code: 1, output: /^failed +2\.1\.1 .*\n(?:.*\n)* +expected +X-Road-Error: Client\.BadRequest\n/ });
  t.equal((await run('--url', 'http://127.0.0.1:1', ...who, '--only', '2.1.1')).code, 1, 'nobody there');
}

t.test('the command line', async (t) => {
  const wrong = [['--url', 'http://127.0.0.1:1', '--client', 'a/b'], ['--nothing']];
  for (const args of wrong) t.equal(spawnSync(process.execPath, [MAIN, ...args]).status, 2, args.join(' '));
  const listed = spawnSync(process.execPath, [MAIN, '--list'], { encoding: 'utf8' });
  t.match(listed.stdout, /^1\.1\.1 +DELETE GET/);
  const echo = spawn(process.execPath, [MAIN, '--echo', '0']);
  t.teardown(() => echo.kill());
  const [line] = await once(echo.stdout, 'data');
  const { ready, description } = JSON.parse(String(line));
  t.equal(ready, true);
  t.match(await (await fetch(description)).json(), { openapi: '3.1.0', paths: { '/conformance/echo': {} } });
});

t.test('its own hash and its own reader of answers', async (t) => {
  const sent = {
    method: 'POST',
    target: '/r1/INSTANCE/CLASS2/MEMBER2/SUBSYSTEM2/BARSERVICE/v1/bar/zyggy?quu=1',
    headers: [
      ['Host', 'ss'],
      ['X-Road-Client', 'INSTANCE/CLASS1/MEMBER1/SUBSYSTEM1'],
      ['X-Road-Id', 'fa2e18a5-c2cb-4d09-b994-f57727f7c3fb'],
      ['X-Road-Request-Id', 'dropped'],
      ['Content-Length', '14'],
    ] as const,
    body: Buffer.from('{"value" : 42}'),
  };
  const hash = expectedHash({ sent }, 'f92591a3-6bf0-49b1-987b-0dd78c034cc3', '');
  t.equal(hash, '9QFqxf6rrhqiQ3e5jPlio/42NhO1XHotbpMujV1JSy54VJosHR7fP258IQ263ODY6uYKuiBVKAVwnpDz9Wo9wQ==');
  const head = 'HTTP/1.1 200 OK\r\n';
  const rows: [string, string | null, string?][] = [
    [`${head}Content-Length: 2\r\n\r\nab`, 'ab'],
    [`${head}Content-Length: 2\r\n\r\na`, null],
    [`${head}Content-Length: 2\r\n\r\nabc`, null],
    [`${head}Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n`, 'abc'],
    [`${head}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n`, null],
    [`HTTP/1.1 100 Continue\r\n\r\n${head}\r\nrest`, 'rest'],
    [`${head}Content-Length: 2\r\n\r\n`, '', 'HEAD'],
    [`${head}Content-Length: 2\r\n\r\nab`, null, 'HEAD'],
    ['HTTP/1.1 204 No Content\r\n\r\nab', null],
    ['SSH-2.0\r\n\r\n', null],
  ];
  for (const [text, body, method = 'GET'] of rows) {
    t.equal(parseAnswer(Buffer.from(text), method, true)?.body.toString() ?? null, body, JSON.stringify(text));
  }
});
