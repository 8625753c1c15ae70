// A certificate that is registered and yet not good any more: revoked, expired, or below an authority that is. Two real
// servers, real TLS, a clock that the test moves.
import { once } from 'node:events';
import { Agent, request as httpsRequest } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import t from 'tap';
import { certificateHash } from '#certs/path.ts';
import { openThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import type { RegisteredCertificate } from '#core/configuration/snapshot.ts';
import { CLIENT, CONSUMER, openPair, type Pair, PROVIDER, SERVICE } from '#scripts/campaign/pair.ts';
import { openCertificateTrust } from '#security-server/certificate-trust.ts';
import { auditBoth, kinds, post } from './asking.ts';
import { MovingClock, Timers } from './moving-clock.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const ASK = { client: CLIENT, service: SERVICE, path: '/a' };

function registered(pair: Pair, id: string, use: 'signing' | 'authentication'): RegisteredCertificate {
  const entry = pair.configuration.entries.get(id);
  const [first] = (use === 'signing' ? entry?.signingCertificates : entry?.authenticationCertificates) ?? [];
  if (first === undefined) throw new TypeError('nothing is registered');
  return first;
}

/** Lists as the configuration would carry them, published to both servers. */
function publish(pair: Pair, ...crls: Buffer[]): void {
  pair.configuration.trust = { ...pair.authority.trust, crls };
  pair.configuration.changed();
}

function list(pair: Pair, clock: MovingClock, number: number, hours = 24): Promise<Buffer> {
  const nowMs = clock.nowMs();
  return pair.authority.revocationList({ number, thisUpdateMs: nowMs + number, nextUpdateMs: nowMs + hours * HOUR_MS });
}

/** Encryption keys live 30 days; these tests look a year ahead. */
function keepEncryptionKeys(pair: Pair): void {
  for (const [id, entry] of pair.configuration.entries) {
    const encryptionKeys = entry.encryptionKeys.map((key) => ({ ...key, notAfterMs: Number.MAX_SAFE_INTEGER }));
    pair.configuration.entries.set(id, { ...entry, encryptionKeys });
  }
}

async function outcome(pair: Pair): Promise<string> {
  const { json } = await post(pair, '/lookups', ASK);
  return `${json.outcome} ${json.code} ${json['detail'] ?? ''}`.trim();
}

const cases = [
  { who: CONSUMER, use: 'signing', is: 'unknown PROVIDER_REFUSED_MESSAGE 403 CERTIFICATE_INVALID' },
  {
    who: CONSUMER,
    use: 'authentication',
    is: /^(?:not-sent PROVIDER_UNREACHABLE|unknown PROVIDER_REFUSED_MESSAGE 403) PEER_UNKNOWN$/,
  },
  { who: PROVIDER, use: 'signing', is: 'unknown OUTCOME_UNKNOWN CERTIFICATE_INVALID' },
  { who: PROVIDER, use: 'authentication', is: /^not-sent PROVIDER_UNREACHABLE/ },
] as const;

for (const { who, use, is } of cases) {
  t.test(`revoked: ${use} of ${who}`, async (t) => {
    const clock = new MovingClock();
    const pair = await openPair({ clock });
    t.teardown(() => pair.close());
    t.equal(await outcome(pair), 'ok OK', 'without a list');
    const before = await list(pair, clock, 1);
    publish(pair, before);
    t.equal(await outcome(pair), 'ok OK', 'with a list that does not name it');
    pair.authority.revoke(registered(pair, who, use).der);
    const seen = pair.backend.seen.length;
    const after = await list(pair, clock, 2000);
    // The newest list decides, wherever it stands.
    publish(pair, after, before);
    t.match(await outcome(pair), is);
    publish(pair, before, after);
    const refused = await post(pair, '/lookups', ASK);
    t.match(`${refused.json.outcome} ${refused.json.code} ${refused.json['detail'] ?? ''}`, is);
    if (who === CONSUMER) {
      t.equal(pair.backend.seen.length, seen, 'nothing ran');
      t.equal(kinds(pair.provider, refused.json.id), '', 'nothing was logged of it');
    }
    clock.aheadMs = 25 * HOUR_MS;
    t.match(await outcome(pair), is, 'a list that is over still revokes');
    await auditBoth(t, pair);
  });
}

t.test('how long a list counts after its end', async (t) => {
  const clock = new MovingClock();
  const options = { crlGraceMs: 2 * HOUR_MS };
  const pair = await openPair({ clock, consumer: options, provider: options });
  t.teardown(() => pair.close());
  publish(pair, await list(pair, clock, 1, 1));
  clock.aheadMs = HOUR_MS / 2;
  t.equal(await outcome(pair), 'ok OK');
  clock.aheadMs = 2 * HOUR_MS;
  t.equal(await outcome(pair), 'ok OK', 'over, within the grace');
  clock.aheadMs = 3 * HOUR_MS + 1_000;
  t.match(await outcome(pair), /^not-sent PROVIDER_UNREACHABLE/, 'over, and the grace as well');
  publish(pair, await list(pair, clock, 2, 1));
  t.equal(await outcome(pair), 'ok OK', 'a new list');
  publish(pair);
  t.equal(await outcome(pair), 'ok OK', 'no list at all: registration and distrust decide');
});

t.test('alarms, distrust of an authority, and more authorities than one validation looks at', async (t) => {
  const clock = new MovingClock();
  const authority = await openThrowAwayAuthority(clock);
  const others = await Promise.all(Array.from({ length: 20 }, () => openThrowAwayAuthority(clock)));
  const der = Buffer.from((await authority.server(CONSUMER)).registration.signingCertificates[0] ?? '', 'base64url');
  const certificate = { der, hash: certificateHash(der) };
  const alarms: string[] = [];
  const trust = openCertificateTrust({ crlGraceMs: HOUR_MS, onAlarm: (code) => alarms.push(code) });
  const distrusted = new Set<string>();
  const snapshot = (part: object) => ({
    trust: { ...authority.trust, ...part },
    isDistrusted: (v: string) => distrusted.has(v),
  });
  const ask = (part: object, atMs = clock.nowMs()) => {
    try {
      return trust.keyOf(certificate, 'sign', snapshot(part) as never, atMs).asymmetricKeyType ?? '';
    } catch (error) {
      return (error as { detail: string }).detail;
    }
  };
  t.equal(ask({}), 'ec');
  t.same([ask({}), alarms], ['ec', ['CRL_MISSING', 'CRL_MISSING']], 'told once for each issuer');
  // All of them have one name; the key identifier tells which is the issuer.
  const many = [...others.flatMap((one) => one.trust.intermediates), ...authority.trust.intermediates];
  t.equal(ask({ intermediates: many }), 'ec');
  t.equal(ask({ intermediates: [] }), 'ISSUER_NOT_FOUND');
  const foreign = await others[0]?.revocationList({
    number: 1,
    thisUpdateMs: clock.nowMs(),
    nextUpdateMs: clock.nowMs() + HOUR_MS,
  });
  alarms.length = 0;
  t.equal(ask({ crls: [foreign, Buffer.from('rubbish')] }), 'ec');
  t.same(alarms, ['CRL_SIGNATURE_INVALID', 'CRL_MISSING'], 'a list of another key does not count');
  const own = await authority.revocationList({
    number: 1,
    thisUpdateMs: clock.nowMs(),
    nextUpdateMs: clock.nowMs() + HOUR_MS,
  });
  alarms.length = 0;
  t.equal(ask({ crls: [own] }, clock.nowMs() + 1.5 * HOUR_MS), 'ec');
  t.ok(alarms.includes('CRL_STALE'));
  t.equal(ask({ crls: [own] }, clock.nowMs() + 2.5 * HOUR_MS), 'revocation list too old');
  t.equal(ask({}, clock.nowMs() + 731 * DAY_MS), 'EXPIRED');
  t.equal(ask({}, clock.nowMs() - 3 * DAY_MS), 'NOT_YET_VALID');
  t.equal(ask({}), 'ec', 'a refusal is not kept for another time');
  distrusted.add(certificateHash(authority.trust.intermediates[0] ?? der));
  t.equal(ask({}), 'distrusted');
  distrusted.clear();
  authority.revoke(der);
  t.equal(ask({ crls: [own] }), 'ec');
  const newer = { number: 2, thisUpdateMs: clock.nowMs() + 60_000, nextUpdateMs: clock.nowMs() + HOUR_MS };
  t.equal(
    ask({ crls: [own, await authority.revocationList(newer)] }),
    'revoked',
    'also a minute before its first second',
  );
});

function open(url: string, cert: string, key: string): Promise<TLSSocket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), cert, key, rejectUnauthorized: false });
    socket.once('secureConnect', () => resolve(socket)).once('error', reject);
  });
}

t.test('a TLS certificate that expires on a live connection', async (t) => {
  const clock = new MovingClock();
  const timers = new Timers();
  const pair = await openPair({ clock, provider: { every: timers.every } });
  t.teardown(() => pair.close());
  keepEncryptionKeys(pair);
  const identity = pair.identities.consumer.keys.authentication as { certPem: string; key: never };
  const key = (identity.key as { export(o: object): string }).export({ type: 'pkcs8', format: 'pem' });
  const socket = await open(pair.provider.urls.peer, identity.certPem, key);
  t.equal(await outcome(pair), 'ok OK');
  timers.tick(60_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(socket.destroyed, false, 'a good one stays');
  clock.aheadMs = 366 * DAY_MS;
  t.match(await outcome(pair), /^not-sent PROVIDER_UNREACHABLE/, "the provider's certificate is over as well");
  // A peer that does not look at its own clock asks on the connection it has.
  socket.write('POST /peer/v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  t.match(answer.toString(), /^HTTP\/1.1 403 [\s\S]*PEER_UNKNOWN/);
  const idle = await open(pair.provider.urls.peer, identity.certPem, key);
  const closed = once(idle, 'close');
  timers.tick(60_000);
  await closed;
  t.pass('an idle connection is closed within the minute');
});

t.test("an information system's certificate that has expired", async (t) => {
  const clock = new MovingClock();
  const pair = await openPair({ clock });
  t.teardown(() => pair.close());
  keepEncryptionKeys(pair);
  const system = await pair.authority.system(CLIENT);
  const { certificateHash: hash, certPem: cert, keyPem: key } = system;
  pair.consumer.parts.state.putSystem({ subsystem: CLIENT, name: 'desk', certificateHash: hash });
  const agent = new Agent({ keepAlive: true, maxSockets: 1, cert, key, rejectUnauthorized: false });
  t.teardown(() => agent.destroy());
  const ask = (through: Agent) =>
    new Promise<string>((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const sent = httpsRequest(
        `${pair.consumer.urls.systems}/lookups`,
        { method: 'POST', agent: through, headers },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('end', () => {
            const { code } = JSON.parse(Buffer.concat(chunks).toString()) as { code: string };
            resolve(`${answer.statusCode} ${code}`);
          });
        },
      );
      sent.once('error', reject).end(JSON.stringify(ASK));
    });
  t.equal(await ask(agent), '200 OK');
  clock.aheadMs = 366 * DAY_MS;
  t.equal(await ask(agent), '401 CALLER_UNKNOWN', 'on the connection it has');
  const another = new Agent({ cert, key, rejectUnauthorized: false });
  t.equal(await ask(another), '401 CALLER_UNKNOWN', 'on a new one');
  clock.aheadMs = -3 * DAY_MS;
  t.equal(await ask(another), '401 CALLER_UNKNOWN', 'before its first day');
});
