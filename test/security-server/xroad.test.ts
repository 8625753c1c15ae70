// X-Road's REST message protocol at /r1 over two real servers: what a caller sends arrives unchanged at the backend, what
// the backend says comes back unchanged, and the exchange's own headers and errors are those of the protocol.
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import t from 'tap';
import { CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { errorMediaType, snakeCase } from '#security-server/xroad/errors.ts';
import { answerHeaders, readHeaders } from '#security-server/xroad/headers.ts';
import { releaseHeaders } from '#security-server/xroad/release-headers.ts';
import { requestHash } from '#security-server/xroad/request-hash.ts';

interface Answer {
  status: number;
  headers: [string, string][];
  body: Buffer;
  header(name: string): string | undefined;
}

/** @param headers name, value, name, value …, as they go on the wire */
function call(
  pair: Pair,
  target: string,
  { method = 'GET', headers = [], body = null }: { method?: string; headers?: string[]; body?: Buffer | null } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(pair.consumer.urls.loopback ?? '');
  return new Promise((resolve, reject) => {
    const own = headers.some((name) => name.toLowerCase() === 'x-road-client') ? [] : ['X-Road-Client', CLIENT];
    const length = body === null ? [] : ['content-length', String(body.length)];
    const request = http.request({
      ...{ hostname, port, method, path: target, setHost: false },
      headers: ['Host', 'ss', ...own, ...headers, ...length] as never,
    });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const pairs: [string, string][] = [];
        for (let at = 0; at < response.rawHeaders.length; at += 2) {
          pairs.push([response.rawHeaders[at] ?? '', response.rawHeaders[at + 1] ?? '']);
        }
        const header = (name: string) => pairs.find(([each]) => each.toLowerCase() === name)?.[1];
        resolve({ status: response.statusCode ?? 0, headers: pairs, body: Buffer.concat(chunks), header });
      });
    });
    request.end(body ?? undefined);
  });
}

t.test('the golden hashes', async (t) => {
  const target = '/r1/INSTANCE/CLASS2/MEMBER2/SUBSYSTEM2/BARSERVICE/v1/bar/zyggy?quu=1';
  const headers: [string, string][] = [
    ['X-Road-Client', 'INSTANCE/CLASS1/MEMBER1/SUBSYSTEM1'],
    ['X-Road-Id', 'fa2e18a5-c2cb-4d09-b994-f57727f7c3fb'],
    ['x-road-request-id', 'f92591a3-6bf0-49b1-987b-0dd78c034cc3'],
  ];
  const bodyHash = createHash('sha512').update('{"value" : 42}').digest();
  t.equal(
    requestHash({ method: 'GET', target, headers, bodyHash: null }),
    'sjZpfNbg8xr/tfaQcJwdnEJtqLwi8IsrQv/HILFDv3j3y+WEIo+2BErjlEnjxjYNJQgdsicxnbfShiO/n2I5Pg==',
  );
  t.equal(
    requestHash({ method: 'POST', target, headers, bodyHash }),
    '9QFqxf6rrhqiQ3e5jPlio/42NhO1XHotbpMujV1JSy54VJosHR7fP258IQ263ODY6uYKuiBVKAVwnpDz9Wo9wQ==',
  );
});

t.test('headers row by row', async (t) => {
  const client: [string, string] = ['X-Road-Client', CLIENT];
  const read = (...more: [string, string][]) => readHeaders([client, ...more]);
  // What is dropped before the hash, and what goes on.
  const rows: [string, [string, string][], string[], string[]][] = [
    [
      'a plain header, its spelling and repeats',
      [
        ['X-A', '1'],
        ['x-a', '2'],
      ],
      ['X-A', 'x-a'],
      ['x-a', 'x-a'],
    ],
    [
      'named by Connection',
      [
        ['Connection', 'close, X-Hop'],
        ['X-Hop', '1'],
      ],
      [],
      [],
    ],
    ['one that speaks for the exchange cannot be', [['Connection', 'X-Road-Client, Content-Type']], [], []],
    [
      'the server’s own',
      [
        ['X-Road-Request-Id', 'x'],
        ['x-road-request-hash', 'x'],
      ],
      [],
      [],
    ],
    [
      'unknown ones of the protocol',
      [
        ['X-Road-Foo', 'x'],
        ['Accord-Foo', 'x'],
      ],
      [],
      [],
    ],
    [
      'grounds are hashed, never forwarded',
      [
        ['Accord-Purpose', 'x'],
        ['Accord-Basis', 'law'],
      ],
      ['Accord-Purpose', 'Accord-Basis'],
      [],
    ],
    ['the type is kept apart', [['Content-Type', 'a/b']], ['Content-Type'], []],
    [
      'hop by hop',
      [
        ['TE', 'x'],
        ['Trailer', 'x'],
        ['User-Agent', 'x'],
        ['Server', 'x'],
        ['Expect', 'x'],
      ],
      [],
      [],
    ],
    ['a date is the caller’s', [['Date', 'x']], ['Date'], ['date']],
  ];
  for (const [name, sent, hashed, forwarded] of rows) {
    const found = read(...sent);
    t.same(
      found.hashed.map(([each]) => each),
      ['X-Road-Client', ...hashed],
      name,
    );
    t.same(
      found.forwarded.map(([each]) => each),
      forwarded,
      name,
    );
  }
  t.equal(read(['X-Road-UserId', '\u00ef\u00bb\u00bfx']).userId, '\ufeffx', 'nothing is taken off a value');
  t.throws(() => read(['X-Road-UserId', '\u00ff']), { code: 'XROAD_HEADER_MALFORMED' });
  const utf8 = { method: 'GET', target: '/r1/', bodyHash: null };
  const bytes = createHash('sha512').update('GET\r\n/r1/\r\nA:\u674e\r\n').digest('base64');
  t.equal(requestHash({ ...utf8, headers: [['A', '\u00e6\u009d\u008e']] }), bytes, 'over the bytes that came');

  // What a provider's server signed is looked at again by the consumer's.
  const answered: [string, string][] = [
    ['content-length', '1'],
    ['transfer-encoding', 'chunked'],
    ['connection', 'close, x-hop'],
    ['x-hop', '1'],
    ['trailer', 'x'],
    ['x-road-error', 'x'],
    ['x_road_error', 'x'],
    ['x-road-service', 'x'],
    ['accord-omitted', 'x'],
    ['content_length', '1'],
    ['date', 'a'],
    ['x-a', '1'],
    ['date', 'b'],
    ['x-a', '2'],
    ['content-type', 'x/y'],
    ['server', 'x'],
    ['location', '/x'],
  ];
  t.same(answerHeaders(answered), [
    ['date', 'a'],
    ['x-a', '1'],
    ['x-a', '2'],
    ['location', '/x'],
  ]);

  const release = { table: '', dictionary: '', elements: [] };
  const context = { v: 1 as const, status: 200, code: 'OK', headers: [], body: { length: 0, type: null } };
  t.same(releaseHeaders({ ...context, release: null }), []);
  t.same(releaseHeaders({ ...context, release: { ...release, predicates: [], omitted: [] } }), []);
  const omitted = Array.from({ length: 120 }, (_, at) => ({
    path: `/\u59d3\u540d/${at}${'x'.repeat(40)}`,
    element: 'gx.a@1',
  }));
  const told = new Map(releaseHeaders({ ...context, release: { ...release, predicates: [], omitted } }));
  const list = told.get('Accord-Omitted')?.split(',') ?? [];
  t.match(list[0], /^\/%E5%A7%93%E5%90%8D\/0x+$/);
  t.equal(list.length - 1 + Number(list.at(-1)), 120, 'what does not fit is counted');
  t.ok((told.get('Accord-Omitted')?.length ?? 0) < 4200);
});

t.test('a call and its answer', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  pair.backend.answer = (request, body, response) => {
    response.writeHead(207, [
      ...['Content-Type', 'application/octet-stream', 'X-Road-Id', 'spoofed', 'X-Road-Error', 'spoofed'],
      ...['X-Many', '1', 'X-Many', '2', 'Set-Cookie', 'a=b'],
      ...['X-Length', String(request.headers['content-length'])],
    ] as never);
    response.end(body);
  };
  const body = randomBytes(700_000);
  const answer = await call(pair, `/r1/${SERVICE}/pets/a%20b?x=1&x=2&`, {
    method: 'PUT',
    body,
    headers: [
      'X-Road-Id',
      'my id',
      'X-Custom',
      'one',
      'X-Custom',
      'two',
      'Content-Type',
      'application/pdf',
      'Cookie',
      'c=d',
    ],
  });
  t.equal(answer.status, 207);
  t.ok(answer.body.equals(body));
  const seen = pair.backend.seen.at(-1);
  t.match(seen, { method: 'PUT', url: '/base/pets/a%20b?x=1&x=2&' });
  t.ok(seen?.body.equals(body));
  const sent = new Map<string, string[]>();
  for (let at = 0; at < (seen?.headers.length ?? 0); at += 2) {
    const name = seen?.headers[at]?.toLowerCase() ?? '';
    sent.set(name, [...(sent.get(name) ?? []), seen?.headers[at + 1] ?? '']);
  }
  t.same(sent.get('x-custom'), ['one', 'two']);
  t.same(sent.get('cookie'), ['c=d']);
  t.same(sent.get('x-road-client'), [CLIENT]);
  t.same(sent.get('x-road-service'), [SERVICE]);
  t.same(sent.get('x-road-id'), ['my id']);
  t.same(sent.get('x-road-request-id'), [answer.header('x-road-request-id')]);
  t.same(sent.get('user-agent'), undefined);
  t.equal(answer.header('x-road-id'), 'my id', 'the provider cannot set it');
  t.equal(answer.header('x-road-error'), undefined);
  t.same(
    answer.headers.filter(([name]) => name === 'x-many').map(([, value]) => value),
    ['1', '2'],
  );
  t.equal(answer.header('set-cookie'), 'a=b');
  t.equal(answer.header('x-length'), String(body.length));
  t.equal(pair.consumer.parts.spool.held() + pair.provider.parts.spool.held(), 0);
});

t.test('errors in their form', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const cases: [string, string, Parameters<typeof call>[2], number, string][] = [
    ['no client', `/r1/${SERVICE}`, { headers: ['X-Road-Client', ''] }, 400, 'Client.BadRequest'],
    ['too few segments', '/r1/DEV/GOV/2002/provider', {}, 400, 'Client.BadRequest'],
    ['dot segment', `/r1/${SERVICE}/a/%2e%2e/b`, {}, 400, 'Client.BadRequest'],
    ['an unknown service', '/r1/DEV/GOV/2002/provider/none', {}, 500, 'Server.ServerProxy.UnknownService'],
    ['an unknown member', '/r1/DEV/GOV/9/none/none', {}, 500, 'Server.ClientProxy.UnknownMember'],
    [
      'a client of another server',
      `/r1/${SERVICE}`,
      { headers: ['X-Road-Client', 'DEV/GOV/2002/provider'] },
      500,
      'Server.ClientProxy.UnknownMember',
    ],
    [
      'twice',
      `/r1/${SERVICE}`,
      { headers: ['X-Road-Client', CLIENT, 'X_Road_Client', CLIENT] },
      400,
      'Client.BadRequest',
    ],
  ];
  for (const [name, target, options, status, type] of cases) {
    const answer = await call(pair, target, options);
    t.equal(answer.status, status, name);
    t.equal(answer.header('x-road-error'), type, name);
    const { detail, ...told } = JSON.parse(answer.body.toString());
    t.match(told, { type, message: String }, name);
    t.match(detail, /^[0-9a-f-]{36}$/);
  }
  pair.provider.parts.state.removeRight('00000000-0000-4000-8000-000000000001');
  const denied = await call(pair, `/r1/${SERVICE}/x`, {
    headers: ['Prefer', 'accord-status', 'Accept', 'text/*;q=0.1'],
  });
  t.equal(denied.status, 403);
  t.equal(denied.header('x-road-error'), 'Server.ServerProxy.AccessDenied');
  t.match(denied.body.toString(), /^<\?xml .*<type>Server\.ServerProxy\.AccessDenied<\/type>/);
  t.equal(snakeCase('Server.ServerProxy.AccessDenied'), 'server.server_proxy.access_denied');
  t.equal(snakeCase('Server.ClientProxy.IOError'), 'server.client_proxy.io_error');
  const path = 'server.server_proxy.invalid_cert_path.incorrect_validation_info';
  t.equal(snakeCase('Server.ServerProxy.InvalidCertPath.IncorrectValidationInfo'), path);
  t.equal(errorMediaType('application/json, application/xml'), 'application/xml');
});

t.test('several servers of one provider', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const { entries } = pair.configuration;
  const [first, real] = [...entries.values()];
  if (first === undefined || real === undefined) throw new TypeError('two servers');
  // Registered first, and away.
  const away = { ...real, id: 'DEV/GOV/2002/ss0', address: 'https://127.0.0.1:1', authenticationCertificates: [] };
  entries.clear();
  for (const entry of [first, away, real]) entries.set(entry.id, entry);
  const { log } = pair.consumer.parts;
  const kinds = (id: string) => log.find(null, id).map(({ entry: { kind, code, peer } }) => `${kind} ${peer} ${code}`);

  const answer = await call(pair, `/r1/${SERVICE}/x`);
  t.equal(answer.status, 200, 'the other one answers');
  t.same(kinds(answer.header('x-road-request-id') ?? '').toReversed(), [
    `request-sent ${away.id} OK`,
    `summary ${away.id} NOT_SENT_PROVIDER_UNREACHABLE`,
    `request-sent ${real.id} OK`,
    `response-received ${real.id} OK`,
  ]);
  const next = await call(pair, `/r1/${SERVICE}/x`);
  t.equal(kinds(next.header('x-road-request-id') ?? '').length, 2, 'what was not reached is not tried first again');

  const named = (id: string) => call(pair, `/r1/${SERVICE}/x`, { headers: ['X-Road-Security-Server', id] });
  t.equal((await named(real.id)).status, 200);
  t.equal((await named(away.id)).header('x-road-error'), 'Server.ClientProxy.NetworkError', 'that one and no other');
  for (const wrong of [first.id, 'DEV/GOV/2002/none', 'DEV/GOV/2002', 'x']) {
    t.equal((await named(wrong)).header('x-road-error'), 'Server.ClientProxy.InvalidSecurityServer', wrong);
  }
});
