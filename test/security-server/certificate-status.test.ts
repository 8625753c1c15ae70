// OCSP between two servers: each asks ahead about its own certificates, sends the answers beside what it signs, on both
// forms of the link, judges its peer's, and both logs hold the answers before the entries that name them.
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { certificateHash } from '#certs/path.ts';
import type { OcspRules } from '#schemas/configuration.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import { CLIENT, CONSUMER, openPair, type Pair, type PairOptions, PROVIDER, SERVICE } from '#scripts/campaign/pair.ts';
import type { SecurityServer } from '#security-server/server.ts';
import { auditBoth, entries, post } from './asking.ts';
import { MovingClock } from './moving-clock.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const ASK = { client: CLIENT, service: SERVICE, path: '/a' };

interface Responder {
  url: string;
  asked: number;
  validityMs: number;
  /** Changes an answer; null breaks the connection. */
  change: (answer: Buffer) => Buffer | null;
}

async function openResponder(t: Test, pair: Pair): Promise<Responder> {
  const responder: Responder = { url: '', asked: 0, validityMs: HOUR, change: (answer) => answer };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      responder.asked += 1;
      const answer = responder.change(pair.authority.ocsp(Buffer.concat(chunks), responder.validityMs));
      if (answer === null) response.destroy();
      else response.setHeader('content-type', 'application/ocsp-response').end(answer);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  responder.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return responder;
}

async function opened(t: Test, options: PairOptions = {}) {
  const clock = new MovingClock();
  const pair = await openPair({ clock, ...options });
  t.teardown(() => pair.close());
  const responder = await openResponder(t, pair);
  const rules = (change: Partial<OcspRules> = {}, crls: Buffer[] = []) => {
    const issuer = certificateHash(pair.authority.trust.intermediates[0] as Buffer);
    const responders = [{ issuer, url: responder.url }];
    const times = { freshnessMs: 12 * HOUR, graceMs: HOUR };
    const ocsp = { mode: 'require' as const, responders, namedInCertificate: false, ...times, ...change };
    pair.configuration.trust = { ...pair.authority.trust, crls, ocsp };
    pair.configuration.changed();
  };
  return { clock, pair, responder, rules };
}

const look = async (...servers: SecurityServer[]) => {
  for (const { parts } of servers) await parts.certificateStatus.look();
};
const outcome = async (pair: Pair) => {
  const { json } = await post(pair, '/lookups', ASK);
  return `${json.outcome} ${json.code} ${json['detail'] ?? ''}`.trim();
};
const statuses = ({ parts }: SecurityServer): LogEntry[] =>
  parts.log
    .read(0, 1000)
    .map(({ entry }) => entry)
    .filter(({ kind }) => kind === 'certificate-status');
const signingHash = (pair: Pair, id: string) => pair.configuration.entries.get(id)?.signingCertificates[0]?.hash ?? '';
const signingDer = (pair: Pair, id: string) =>
  pair.configuration.entries.get(id)?.signingCertificates[0]?.der ?? Buffer.alloc(0);

for (const peerLink of ['frames', 'http1'] as const) {
  t.test(`asked ahead, sent, judged and logged: ${peerLink}`, async (t) => {
    const { clock, pair, responder, rules } = await opened(t, { consumer: { peerLink }, provider: { peerLink } });
    t.match(await outcome(pair), 'ok OK', 'no rules');
    responder.change = () => null;
    rules();
    await look(pair.consumer, pair.provider);
    t.match(await outcome(pair), 'not-sent PROVIDER_BUSY 503 CERTIFICATE_STATUS_MISSING', 'none can be had');
    Object.assign(responder, { change: (answer: Buffer) => answer, asked: 0 });
    rules();
    await look(pair.consumer, pair.provider);
    t.equal(responder.asked, 4, 'both certificates of both');
    const { json } = await post(pair, '/lookups', ASK);
    t.equal(json.outcome, 'ok');
    const own = pair.consumer.parts.certificateStatus.of(signingHash(pair, CONSUMER));
    const theirs = pair.provider.parts.certificateStatus.of(signingHash(pair, PROVIDER));
    for (const server of [pair.consumer, pair.provider]) {
      const named = Object.fromEntries(entries(server, json.id).map(({ kind, ocsp }) => [kind.split('-')[0], ocsp]));
      t.same(named, { request: own?.hash, response: theirs?.hash }, 'both logs name both');
      t.same(
        statuses(server)
          .map(({ id, code }) => [id, code])
          .toSorted(),
        [
          [`ocsp:${own?.hash}`, 'GOOD'],
          [`ocsp:${theirs?.hash}`, 'GOOD'],
        ].toSorted(),
      );
      const [record] = server.parts.log.find(null, `ocsp:${own?.hash}`);
      t.equal(sha256(record?.evidence?.statement ?? ''), own?.hash, 'the answer itself is kept');
    }
    for (let n = 0; n < 5; n += 1) t.equal(await outcome(pair), 'ok OK');
    t.equal(statuses(pair.provider).length, 2, 'logged once');
    await look(pair.consumer, pair.provider);
    t.equal(responder.asked, 4, 'none is due');

    clock.aheadMs = HOUR / 2 + MINUTE;
    await look(pair.consumer, pair.provider);
    t.equal(responder.asked, 8, 'at half of its life');
    t.equal(await outcome(pair), 'ok OK');
    t.equal(statuses(pair.provider).length, 4, 'the new ones as well, on a live connection');

    // A peer that starts anew is told again.
    await pair.provider.close();
    await pair.reopen('provider');
    t.equal(responder.asked, 8, 'kept over a restart');
    const after = await outcome(pair);
    t.ok(after === 'ok OK' || peerLink === 'http1', after);
    t.equal(await outcome(pair), 'ok OK');
    t.equal(statuses(pair.provider).length, 4, 'in the log from before');
    await auditBoth(t, pair);
  });
}

t.test('revoked: refused at once, remembered over restarts, never outvoted by an older good answer', async (t) => {
  const { clock, pair, rules } = await opened(t);
  rules({ mode: 'prefer' });
  await look(pair.consumer, pair.provider);
  t.equal(await outcome(pair), 'ok OK');
  const good = pair.consumer.parts.certificateStatus.of(signingHash(pair, CONSUMER))?.der ?? Buffer.alloc(0);
  clock.aheadMs = 40 * MINUTE;
  pair.authority.revoke(signingDer(pair, CONSUMER));
  await look(pair.consumer);
  const refused = 'unknown PROVIDER_REFUSED_MESSAGE 403 CERTIFICATE_INVALID';
  t.equal(await outcome(pair), refused);
  const revokedEntries = (server: SecurityServer) => statuses(server).filter(({ code }) => code === 'REVOKED').length;
  t.same([pair.consumer, pair.provider].map(revokedEntries), [1, 1], 'in both logs, once');
  const consumer = pair.configuration.entries.get(CONSUMER);
  if (consumer === undefined) throw new TypeError('not registered');
  pair.provider.parts.certificateStatus.heard(consumer, good);
  t.equal(await outcome(pair), refused, 'the older good one');
  await pair.provider.close();
  await pair.reopen('provider');
  pair.provider.parts.certificateStatus.heard(consumer, good);
  t.equal(pair.provider.parts.certificateStatus.answers.of(signingHash(pair, CONSUMER))?.status, 'revoked');
  t.equal(await outcome(pair), refused, 'after a restart');
  t.equal(pair.consumer.parts.certificateStatus.own().find(({ use }) => use === 'sign')?.status, 'revoked');
  rules({ mode: 'off' });
  t.equal(await outcome(pair), 'ok OK', 'off: answers mean nothing');
  await auditBoth(t, pair);
});

t.test('freshness, grace, lists, modes', async (t) => {
  const { clock, pair, responder, rules } = await opened(t);
  const list = (number: number) => {
    const nowMs = clock.nowMs();
    return pair.authority.revocationList({ number, thisUpdateMs: nowMs, nextUpdateMs: nowMs + 24 * HOUR });
  };
  responder.validityMs = 24 * HOUR;
  rules({ freshnessMs: HOUR, graceMs: HOUR });
  await look(pair.consumer, pair.provider);
  t.equal(await outcome(pair), 'ok OK');
  responder.change = () => null;
  clock.aheadMs = 90 * MINUTE;
  await look(pair.consumer, pair.provider);
  t.equal(await outcome(pair), 'ok OK', 'in grace');
  clock.aheadMs = 2 * HOUR + MINUTE;
  t.match(await outcome(pair), /CERTIFICATE_STATUS_MISSING/, 'after it');
  rules({ freshnessMs: HOUR, graceMs: HOUR }, [await list(1)]);
  t.equal(await outcome(pair), 'ok OK', 'a list is the fallback');
  rules({ freshnessMs: HOUR, graceMs: HOUR });
  t.match(await outcome(pair), /CERTIFICATE_STATUS_MISSING/);
  rules({ mode: 'prefer', freshnessMs: HOUR, graceMs: HOUR });
  t.equal(await outcome(pair), 'ok OK', 'preferred only');
  const { json } = await post(pair, '/lookups', ASK);
  t.equal(
    entries(pair.provider, json.id).find(({ kind }) => kind === 'request-received')?.ocsp,
    null,
    'judged without',
  );
  responder.change = (answer) => answer;
  pair.authority.revoke(signingDer(pair, CONSUMER));
  rules({ mode: 'prefer', freshnessMs: HOUR, graceMs: HOUR }, [await list(2)]);
  t.match(await outcome(pair), /CERTIFICATE_INVALID/, 'a list still refuses');
  await auditBoth(t, pair);
});

t.test('what responders and peers may send', async (t) => {
  const { pair, responder, rules } = await opened(t);
  const bad: [string, (answer: Buffer) => Buffer | null][] = [
    ['nothing', () => Buffer.alloc(0)],
    ['more behind it', (answer) => Buffer.concat([answer, Buffer.of(0)])],
    ['too much', () => Buffer.alloc(100_000)],
    [
      'a bad signature',
      (answer) => Buffer.from(answer.map((octet, at) => (at === answer.length - 1 ? octet ^ 1 : octet))),
    ],
    ['a refusal', () => Buffer.from('30030a0106', 'hex')],
  ];
  for (const [what, change] of bad) {
    responder.change = change;
    rules({ mode: 'prefer' });
    await look(pair.consumer);
    t.same(pair.consumer.parts.certificateStatus.mine(), [], what);
  }
  responder.change = (answer) => answer;
  rules({ mode: 'prefer' });
  await look(pair.consumer, pair.provider);
  t.equal(pair.consumer.parts.certificateStatus.mine().length, 2);
  t.ok(existsSync(join(pair.folder, 'consumer', 'certificate-status.json')));
  t.equal(JSON.parse(readFileSync(join(pair.folder, 'consumer', 'certificate-status.json'), 'utf8')).answers.length, 2);

  const { certificateStatus } = pair.provider.parts;
  const consumer = pair.configuration.entries.get(CONSUMER);
  if (consumer === undefined) throw new TypeError('not registered');
  t.throws(() => certificateStatus.heard(consumer, Buffer.from('rubbish')), { code: 'MESSAGE_MALFORMED' });
  const [mine] = pair.consumer.parts.certificateStatus.mine();
  const [theirs] = certificateStatus.mine();
  certificateStatus.heard(consumer, theirs?.der ?? Buffer.alloc(0));
  t.same(certificateStatus.heldOf(consumer), [], 'about another certificate');
  certificateStatus.heard(consumer, mine?.der ?? Buffer.alloc(0));
  t.same(certificateStatus.heldOf(consumer), [mine?.hash]);
});
