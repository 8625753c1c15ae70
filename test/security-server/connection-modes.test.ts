// How information systems connect: every mode of a subsystem against every way to come, over real TLS, from listed and
// unlisted addresses, on both faces; and what the log says of it afterwards.
import http from 'node:http';
import https from 'node:https';
import { networkInterfaces } from 'node:os';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { certificateHash } from '#certs/x509-read.ts';
import { openThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import { systemClock } from '#core/clock.ts';
import { parseRequestContext } from '#schemas/context.ts';
import { ADMIN_KEY, accessRight, CONSUMER, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { addressRange, openAddressList } from '#security-server/source-addresses.ts';
import { certificate, ext, pair as keyPair, pem } from '#test/certs/make-certificate.ts';

t.setTimeout(120_000);

const LISTED = '127.0.0.2';
const UNLISTED = '127.0.0.3';
const of = (code: string) => `DEV/GOV/1001/${code}`;
const MODES = ['usual', 'NOSSL', 'SSLNOAUTH', 'SSLAUTH'] as const;
type Way = 'plain' | 'bare' | 'registered' | 'other' | 'expired' | 'unknown';
interface Client {
  cert: string;
  key: string;
}

/** What becomes of each way, from a listed address and from another: how it counted, or the code of the refusal. */
const EXPECTED: Record<(typeof MODES)[number], Record<Way, [listed: string, unlisted: string]>> = {
  usual: {
    plain: ['loopback', 'loopback'],
    bare: ['CALLER_UNPROVEN', 'CALLER_UNPROVEN'],
    registered: ['certificate', 'certificate'],
    other: ['CALLER_NOT_ALLOWED', 'CALLER_NOT_ALLOWED'],
    expired: ['CALLER_UNPROVEN', 'CALLER_UNPROVEN'],
    unknown: ['CALLER_UNPROVEN', 'CALLER_UNPROVEN'],
  },
  NOSSL: {
    plain: ['address', 'CALLER_UNPROVEN'],
    bare: ['tls-address', 'CALLER_UNPROVEN'],
    registered: ['certificate', 'certificate'],
    other: ['tls-address', 'CALLER_NOT_ALLOWED'],
    expired: ['tls-address', 'CALLER_UNPROVEN'],
    unknown: ['tls-address', 'CALLER_UNPROVEN'],
  },
  SSLNOAUTH: {
    plain: ['CALLER_UNPROVEN', 'CALLER_UNPROVEN'],
    bare: ['tls-address', 'CALLER_UNPROVEN'],
    registered: ['certificate', 'certificate'],
    other: ['tls-address', 'CALLER_NOT_ALLOWED'],
    expired: ['tls-address', 'CALLER_UNPROVEN'],
    unknown: ['tls-address', 'CALLER_UNPROVEN'],
  },
  SSLAUTH: {
    plain: ['CALLER_UNPROVEN', 'CALLER_UNPROVEN'],
    bare: ['CALLER_UNPROVEN', 'CALLER_UNPROVEN'],
    registered: ['certificate', 'certificate'],
    other: ['CALLER_NOT_ALLOWED', 'CALLER_NOT_ALLOWED'],
    expired: ['CALLER_UNPROVEN', 'CALLER_UNPROVEN'],
    unknown: ['CALLER_UNPROVEN', 'CALLER_UNPROVEN'],
  },
};

interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  json: Record<string, string>;
}

interface Asking {
  path: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  from?: string;
  client?: Client | undefined;
  agent?: https.Agent;
  tls?: ConnectionOptions | undefined;
}

/** @param base address of the port */
function ask(
  base: string,
  { path, method = 'GET', headers = {}, body, from, client, agent, tls }: Asking,
): Promise<Answer> {
  const { hostname, port, protocol } = new URL(base);
  const options = {
    ...{
      hostname,
      port,
      path,
      method,
      localAddress: from,
      rejectUnauthorized: false,
      agent: agent ?? false,
      ...client,
      ...tls,
    },
    // Whatever a proxy claims is no address.
    headers: { ...headers, 'x-forwarded-for': LISTED, forwarded: `for=${LISTED}`, 'x-real-ip': LISTED },
  };
  return new Promise((resolve, reject) => {
    const request = (protocol === 'https:' ? https : http).request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject).on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, json: JSON.parse(text || '{}') });
      });
    });
    request.on('error', reject).end(body);
  });
}

const lookup = (client: string): Asking => ({
  path: '/lookups',
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ client, service: SERVICE, path: '/x' }),
});
const r1 = (client: string): Asking => ({ path: `/r1/${SERVICE}/x`, headers: { 'x-road-client': client } });

/** A pair whose consumer speaks for one subsystem of each mode. */
async function openModes(over: Parameters<typeof openPair>[0] = {}): Promise<Pair> {
  const pair = await openPair(over);
  const entry = pair.configuration.entries.get(CONSUMER);
  if (entry === undefined) throw new TypeError('not registered');
  const subsystems = [...MODES, 'other'].map(of);
  pair.configuration.entries.set(CONSUMER, { ...entry, subsystems: new Set(subsystems) });
  for (const [n, client] of subsystems.entries()) {
    pair.provider.parts.state.putRight(accessRight({ client, id: `00000000-0000-4000-8000-00000000010${n}` }));
  }
  const { state } = pair.consumer.parts;
  state.putConnectionRule({ subsystem: of('NOSSL'), mode: 'NOSSL', addresses: [LISTED] });
  state.putConnectionRule({ subsystem: of('SSLNOAUTH'), mode: 'SSLNOAUTH', addresses: [LISTED] });
  state.putConnectionRule({ subsystem: of('SSLAUTH'), mode: 'SSLAUTH', addresses: [] });
  return pair;
}

function selfSigned(notBefore: string, notAfter: string): Client & { hash: string } {
  const key = keyPair();
  const der = certificate({
    ...{ subject: 'CN=old', issuer: 'CN=old', key, signer: key, notBefore, notAfter },
    extensions: [ext.basic(false), ext.usage(0)],
  });
  const { privateKey } = key;
  return {
    cert: pem(der),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    hash: certificateHash(new Uint8Array(der)),
  };
}

async function clientsOf(pair: Pair): Promise<Record<Way, Client | undefined>> {
  const { state } = pair.consumer.parts;
  const [registered, other] = [await pair.authority.system(of('usual')), await pair.authority.system(of('other'))];
  const unknown = await (await openThrowAwayAuthority(systemClock)).system(of('usual'));
  const expired = selfSigned('2020-01-01T00:00:00Z', '2021-01-01T00:00:00Z');
  for (const subsystem of MODES.map(of)) {
    state.putSystem({ subsystem, name: 'desk', certificateHash: registered.certificateHash });
    state.putSystem({ subsystem, name: 'old desk', certificateHash: expired.hash });
  }
  state.putSystem({ subsystem: of('other'), name: 'other', certificateHash: other.certificateHash });
  const client = ({ certPem, keyPem }: { certPem: string; keyPem: string }) => ({ cert: certPem, key: keyPem });
  return {
    plain: undefined,
    bare: undefined,
    registered: client(registered),
    other: client(other),
    expired,
    unknown: client(unknown),
  };
}

/** How the caller counted, as it stands in the record of the exchange. */
function recorded(pair: Pair, id: string): string {
  const { log } = pair.consumer.parts;
  const sent = log.find(null, id).find(({ entry }) => entry.kind === 'request-sent');
  const context = sent && log.readSealed(sent.entry.seq)?.context;
  return context ? parseRequestContext(context).caller : 'not logged';
}

t.test('every mode against every way to come', async (t) => {
  const pair = await openModes();
  t.teardown(() => pair.close());
  await everyWay(t, pair);
});

t.test('the same over TLS 1.2, where it is switched on', async (t) => {
  const pair = await openModes({ consumer: { oldestSystemTls: '1.2' } });
  t.teardown(() => pair.close());
  await everyWay(t, pair, { maxVersion: 'TLSv1.2' });
});

/** Every mode, every way, from a listed address and another. */
async function everyWay(t: Test, pair: Pair, tls?: ConnectionOptions): Promise<void> {
  const clients = await clientsOf(pair);
  const { urls, parts } = pair.consumer;
  let asked = 0;
  for (const mode of MODES) {
    for (const [way, [listed, unlisted]] of Object.entries(EXPECTED[mode]) as [Way, [string, string]][]) {
      for (const [from, says] of [
        [LISTED, listed],
        [UNLISTED, unlisted],
      ] as const) {
        const name = `${mode}, ${way}, ${from}`;
        const base = (way === 'plain' ? urls.loopback : urls.systems) ?? '';
        const size = parts.log.size();
        const answers = {
          r1: await ask(base, { ...r1(of(mode)), from, client: clients[way], tls }),
          lookups: await ask(base, { ...lookup(of(mode)), from, client: clients[way], tls }),
        };
        asked += 2;
        if (!says.startsWith('CALLER_')) {
          t.equal(answers.r1.status, 200, name);
          t.equal(recorded(pair, String(answers.r1.headers['x-road-request-id'])), says, `${name}, r1`);
          t.equal(answers.lookups.json['outcome'], 'ok', name);
          t.equal(recorded(pair, answers.lookups.json['id'] ?? ''), says, `${name}, lookups`);
          continue;
        }
        t.equal(parts.log.size(), size, `${name}: nothing was logged`);
        t.match(
          answers.r1,
          { status: 500, headers: { 'x-road-error': 'Server.ClientProxy.SslAuthenticationFailed' } },
          name,
        );
        // Who can speak for nobody is not read any further, so that the subsystem in the body is not known.
        const isStranger = from === UNLISTED && ['bare', 'expired', 'unknown'].includes(way);
        const code = isStranger ? 'CALLER_UNKNOWN' : says;
        t.match(answers.lookups, { status: isStranger ? 401 : 403, json: { code } }, name);
        const expects =
          mode === 'usual' ? /expected HTTPS with a registered client certificate, or plain/ : `(${mode})`;
        t.match(answers.r1.json['message'], expects, `${name}: says what was expected`);
        t.match(
          answers.lookups.json['detail'],
          isStranger ? 'expected a registered client certificate' : expects,
          name,
        );
        if (way === 'expired')
          t.match(`${answers.r1.json['message']}${answers.lookups.json['detail']}`, /expired.*expired/s);
      }
    }
  }
  t.equal(asked, 4 * 6 * 2 * 2);
}

t.test('a stranger is not read, a rule counts at once, and stays', async (t) => {
  const pair = await openModes();
  t.teardown(() => pair.close());
  const systems = pair.consumer.urls.systems ?? '';
  const { hostname, port } = new URL(systems);
  const open = (localAddress: string) =>
    new Promise<TLSSocket>((resolve, reject) => {
      const socket = connect({
        host: hostname,
        port: Number(port),
        localAddress,
        rejectUnauthorized: false,
      } as ConnectionOptions);
      socket.once('secureConnect', () => resolve(socket)).once('error', reject);
    });
  const said = (socket: TLSSocket) =>
    new Promise<string>((resolve) => {
      let text = '';
      socket
        .on('error', () => {})
        .on('data', (chunk) => {
          text += chunk;
        });
      socket.once('close', () => resolve(text));
    });
  // Listed ones may wait; this one is looked at again at the end.
  const idle = await open(LISTED);
  const startedMs = performance.now();
  const stranger = await open(UNLISTED);
  const mute = said(await open(UNLISTED));
  const answer = said(stranger);
  const json = 'content-type: application/json\r\ncontent-length: 500000';
  stranger.write(`POST /lookups HTTP/1.1\r\nhost: a\r\n${json}\r\n\r\n{`);
  t.match(await answer, /^HTTP\/1\.1 401 .*CALLER_UNKNOWN/s, 'answered before its body came, then closed');
  t.ok(performance.now() - startedMs < 1_500);
  for (const path of ['/catalogue', '/lookups/digest', '/doubts', '/nothing']) {
    t.match(await ask(systems, { path, from: UNLISTED }), { status: 401, json: { code: 'CALLER_UNKNOWN' } }, path);
  }

  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, localAddress: LISTED });
  t.teardown(() => agent.destroy());
  const again = () => ask(systems, { ...lookup(of('NOSSL')), from: LISTED, agent });
  t.equal((await again()).status, 200);
  const admin = (method: string, path: string, body?: object) =>
    fetch(`${pair.consumer.urls.admin}${path}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN_KEY}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  const mode = (over: object) =>
    admin('PUT', '/connection-modes', { subsystem: of('NOSSL'), mode: 'NOSSL', addresses: [], ...over });
  t.equal((await mode({ mode: 'SSLAUTH' })).status, 200);
  t.equal((await again()).json['code'], 'CALLER_UNPROVEN', 'on the very connection that was good before');
  for (const [name, bad] of [
    ['another server’s subsystem', { subsystem: 'DEV/GOV/2002/provider' }],
    ['no mode', { mode: 'SSL' }],
    ['addresses beside certificates', { mode: 'SSLAUTH', addresses: ['10.0.0.1'] }],
    ['no address', { addresses: ['localhost'] }],
    ['bits behind the prefix', { addresses: ['10.0.0.1/8'] }],
  ] as const) {
    t.ok((await mode(bad)).status >= 400, name);
  }
  const put = await mode({ mode: 'NOSSL', addresses: ['2001:DB8::/32', '127.0.0.2', '127.0.0.2/32'] });
  t.strictSame(((await put.json()) as { addresses: string[] }).addresses, ['2001:db8::/32', '127.0.0.2/32']);
  t.equal((await again()).status, 200);
  await mute;
  t.equal(idle.destroyed, false, 'an unknown connection was ended, a listed one was not');
  idle.destroy();

  await pair.consumer.close();
  await pair.reopen('consumer');
  const entry = pair.configuration.entries.get(CONSUMER);
  if (entry) pair.configuration.entries.set(CONSUMER, { ...entry, subsystems: new Set(MODES.map(of)) });
  const reopened = () => ask(pair.consumer.urls.systems ?? '', { ...lookup(of('NOSSL')), from: LISTED });
  t.equal((await reopened()).status, 200, 'kept over a restart');
  t.equal((await admin('DELETE', `/connection-modes/${of('NOSSL')}`)).status, 204);
  t.equal((await reopened()).json['code'], 'CALLER_UNPROVEN', 'back to usual');
  t.equal((await admin('DELETE', `/connection-modes/${of('NOSSL')}`)).status, 404);
});

t.test('plain HTTP beyond this machine is something that somebody says', async (t) => {
  const loopback = { host: '0.0.0.0', port: 0 };
  const at = { host: '127.0.0.1', port: 0 };
  const ports = { peer: at, systems: at, loopback, admin: at, health: at };
  const pair = await openModes({ consumer: { ports, plainHttpBeyondLoopback: true } });
  t.teardown(() => pair.close());
  const here = [...(pair.configuration.entries.get(CONSUMER)?.subsystems ?? [])];
  await pair.consumer.close();
  await t.rejects(pair.reopen('consumer', { plainHttpBeyondLoopback: false }), { code: 'SETTINGS_INVALID' });
  await pair.reopen('consumer');
  const entry = pair.configuration.entries.get(CONSUMER);
  if (entry) pair.configuration.entries.set(CONSUMER, { ...entry, subsystems: new Set(here) });
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((each) => each && !each.internal && each.family === 'IPv4')?.address;
  if (outside === undefined) {
    t.comment('SKIPPED: this machine has no address but loopback');
    return;
  }
  const base = (pair.consumer.urls.loopback ?? '').replace('0.0.0.0', outside);
  const plain = async (code: string, from = outside) => {
    const { status, json } = await ask(base, { ...lookup(of(code)), from });
    return status === 200 ? recorded(pair, json['id'] ?? '') : json['code'];
  };
  t.equal(await plain('usual'), 'CALLER_UNKNOWN', 'who is not on this machine is a stranger');
  t.equal(await plain('NOSSL'), 'CALLER_UNKNOWN');
  pair.consumer.parts.state.putConnectionRule({ subsystem: of('NOSSL'), mode: 'NOSSL', addresses: [`${outside}/32`] });
  t.equal(await plain('NOSSL'), 'address');
  t.equal(await plain('usual'), 'CALLER_UNPROVEN', 'a list is that of one subsystem');
  t.equal(await plain('SSLAUTH'), 'CALLER_UNPROVEN');
});

t.test('address lists', (t) => {
  const isIn = openAddressList(['10.0.0.0/8', '192.0.2.7', '2001:db8::/33', '::1']);
  const rows: [string, boolean][] = [
    ['10.255.255.255', true],
    ['11.0.0.0', false],
    ['9.255.255.255', false],
    ['192.0.2.7', true],
    ['192.0.2.6', false],
    ['::ffff:10.0.0.1', true],
    ['::ffff:c000:207', true],
    ['::10.0.0.1', false],
    ['2001:db8:7fff:ffff::', true],
    ['2001:db8:8000::', false],
    ['::1', true],
    ['::1%lo', true],
    ['', false],
    ['10.0.0.1, 192.0.2.7', false],
  ];
  for (const [address, says] of rows) t.equal(isIn(address), says, address);
  t.equal(openAddressList(['0.0.0.0/0'])('2001:db8::1'), false, 'all of IPv4 is none of IPv6');
  for (const bad of [
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/08',
    '::/129',
    '10.0.0',
    '::ffff:1.2.3.4',
    'fe80::1%lo',
    '*',
    '1/2/3',
  ]) {
    t.throws(() => addressRange(bad), { code: 'SCHEMA_MISMATCH' }, bad);
  }
  t.end();
});
