// What a server knows of its time-stamp authorities' certificates: lists and OCSP answers over real sockets, a revoked or
// distrusted authority passed over for the next one, addresses that fail, lists that go back.
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeDevelopmentTimeStampSigner } from '#certs/development-time-stamp-signer.ts';
import { verifyTimeStampToken } from '#certs/time-stamp.ts';
import { type Clock, systemClock } from '#core/clock.ts';
import { openDevelopmentTimeStampAuthority } from '#core/development-time-stamp-authority.ts';
import { openClient } from '#core/http/client.ts';
import { openTimeStampClient, type TimeStampAuthority } from '#core/time-stamp-client.ts';
import { openTimeStampStatus } from '#core/time-stamp-status.ts';
import { AccordError } from '#schemas/problems.ts';

const HOUR = 3_600_000;
const IMPRINT = createHash('sha256').update('a checkpoint').digest();
const http = openClient();
t.teardown(() => http.close());

async function world(t: Test, wish: (one: TimeStampAuthority & { crlUrl: string; ocspUrl: string }) => object) {
  const clock: Clock & { ms: number } = { ms: 0, nowMs: () => Date.now(), monotonicMs: () => clock.ms };
  const [north, south] = await Promise.all(
    ['north', 'south'].map((name) => openDevelopmentTimeStampAuthority({ name, clock: systemClock })),
  );
  if (north === undefined || south === undefined) throw new TypeError('two authorities');
  t.teardown(() => Promise.all([north.close(), south.close()]));
  const plain = ({ name, url, certificates }: typeof north) => ({ name, url, certificates });
  const alarms: string[] = [];
  const distrusted = new Set<string>();
  const crls: Buffer[] = [];
  const authorities = [{ ...plain(north), ...wish(north) }, plain(south)];
  const folder = mkdtempSync(join(tmpdir(), 'accord-status-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const kept = { file: join(folder, 'time-stamp-status.json'), onNotKept: () => alarms.push('not kept') };
  const rules = {
    ...{ clock, http, authorities: () => authorities, crls: () => crls, kept },
    isDistrusted: (hash: string) => distrusted.has(hash),
    onAlarm: (who: string) => alarms.push(`${who} status`),
  };
  const status = openTimeStampStatus(rules);
  const client = openTimeStampClient({
    ...{ clock, http, randomBytes, status, authorities: () => authorities },
    onAlarm: (who, code) => alarms.push(`${who} ${code}`),
  });
  /** Later, and with what was held against an authority forgotten. */
  const later = (ms: number) => {
    clock.ms += ms;
  };
  /** As after a restart, where nobody answers. */
  const again = () =>
    openTimeStampStatus({
      ...rules,
      http: { request: () => Promise.reject(new AccordError('TIME_STAMP_STATUS_UNKNOWN')) },
    });
  return { north, south, status, client, alarms, distrusted, crls, later, again, kept };
}

for (const kind of ['list', 'OCSP'] as const) {
  t.test(`revoked by ${kind}`, async (t) => {
    const made = await world(t, ({ crlUrl, ocspUrl }) => (kind === 'list' ? { crlUrls: [crlUrl] } : { ocspUrl }));
    const { north, status, client, alarms, later, again, kept } = made;
    t.match(status.state(), [{ status: 'unknown' }, { status: 'not-asked' }]);
    const first = await client.stamp(IMPRINT);
    t.equal(first.authority, 'north');
    t.match(status.state(), [{ status: 'good', untilMs: Number }, { status: 'not-asked' }]);
    north.revoke(4, Date.now() + 2_000);
    later(HOUR / 2);
    await status.look();
    t.match(status.state(), [{ status: 'good' }], 'what it has lasts');
    later(HOUR / 2);
    await status.look();
    t.match(status.state(), [{ status: 'unknown' }], 'ends in two seconds');
    const judge = (known = status.known()) =>
      verifyTimeStampToken(first.token, IMPRINT, north.certificates, Date.now(), known);
    t.ok(judge(), 'superseded later: the token stays');
    north.revoke(1, Date.now() - 1_000);
    later(HOUR);
    await status.look();
    t.match(status.state(), [{ status: 'revoked' }, {}]);
    t.throws(judge, { code: 'TIME_STAMP_REVOKED' }, 'its key was stolen: none is left');
    const alone = again();
    t.match(alone.state(), [{ status: 'revoked' }, {}], 'a restart forgets nothing');
    t.throws(() => judge(alone.known()), { code: 'TIME_STAMP_REVOKED' });
    await alone.look();
    t.throws(() => judge(alone.known()), { code: 'TIME_STAMP_REVOKED' }, 'nor does asking in vain');
    alarms.pop();
    const second = await client.stamp(IMPRINT);
    t.equal(second.authority, 'south');
    t.same(alarms, ['north TIME_STAMP_REVOKED']);
    // A list is some hundred bytes; signatures differ by one or two.
    const isLonger = first.token.length > second.token.length + 64;
    t.equal(isLonger, kind === 'list', 'a small list goes along in the token');
    writeFileSync(kept.file, readFileSync(kept.file, 'utf8').slice(1));
    t.throws(again, { code: 'CERTIFICATE_STATUS_UNREADABLE' });
    rmSync(kept.file);
    t.match(again().state(), [{ status: 'unknown' }, {}]);
    if (kind === 'list') t.ok(verifyTimeStampToken(first.token, IMPRINT, north.certificates, Date.now()));
  });
}

t.test('distrust and approved lists need nobody to ask', async (t) => {
  const { north, status, client, distrusted, crls } = await world(t, () => ({}));
  const { facts } = await client.stamp(IMPRINT);
  t.equal(facts.signerName, 'CN=north');
  distrusted.add(facts.signerHash);
  t.match(status.state(), [{ status: 'revoked' }, {}]);
  t.equal((await client.stamp(IMPRINT)).authority, 'south', 'at once');
  distrusted.clear();
  const answer = await http.request({ method: 'GET', url: north.crlUrl });
  crls.push(answer.body);
  t.match(status.state(), [{ status: 'not-asked', untilMs: Number }, {}]);
  north.revoke(null, Date.now() + HOUR);
  crls[0] = (await http.request({ method: 'GET', url: north.crlUrl })).body;
  t.match(status.state(), [{ status: 'revoked' }, {}], 'without a reason: at any time');
  t.equal((await client.stamp(IMPRINT)).authority, 'south');
});

t.test('addresses that give nothing that counts', async (t) => {
  const signer = await makeDevelopmentTimeStampSigner('north', Date.now());
  const day = 24 * HOUR;
  let give: () => Buffer | number = () => 404;
  let asked = 0;
  const server = createServer((_request, response) => {
    asked += 1;
    const said = give();
    if (typeof said === 'number') response.writeHead(said).end();
    else response.end(said);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.teardown(() => server.close());
  t.teardown(() => server.closeAllConnections());
  const crlUrls = [`http://127.0.0.1:${(server.address() as AddressInfo).port}/list`];
  const authority = { name: 'north', url: 'http://127.0.0.1:9/', certificates: [signer.root], crlUrls };
  let ms = 0;
  const alarms: string[] = [];
  const status = openTimeStampStatus({
    ...{ http, authorities: () => [authority], crls: () => [], isDistrusted: () => false },
    clock: { nowMs: () => Date.now(), monotonicMs: () => ms },
    onAlarm: (_who, detail) => alarms.push(detail),
  });
  const path = [signer.certificates[0] ?? Buffer.alloc(0), signer.root];
  const ask = async (what: typeof give) => {
    give = what;
    ms += 2 * HOUR;
    const stamp = { genTimeMs: Date.now(), accuracyMs: null, path };
    return await status.require(authority, stamp).then(
      (lists) => `${lists.length} list`,
      ({ code }: { code: string }) => code,
    );
  };
  const other = await makeDevelopmentTimeStampSigner('north', Date.now());
  const now = Date.now();
  const cases: [string, () => Buffer | number, string][] = [
    ['nothing there', () => 404, 'TIME_STAMP_STATUS_UNKNOWN'],
    ['rubbish', () => Buffer.from('<html>'), 'TIME_STAMP_STATUS_UNKNOWN'],
    ['too long', () => Buffer.alloc(1 << 21), 'TIME_STAMP_STATUS_UNKNOWN'],
    ['of another authority of this name', () => other.list(9, now), 'TIME_STAMP_STATUS_UNKNOWN'],
    ['over for two days', () => signer.list(1, now - 3 * day), 'TIME_STAMP_STATUS_UNKNOWN'],
    ['over for half a day', () => signer.list(2, now - 1.5 * day), '1 list'],
    ['good', () => signer.list(3, now - HOUR), '1 list'],
    ['an older one again', () => signer.list(1, now - 3 * day), '1 list'],
    ['nothing there any more', () => 500, '1 list'],
    ['revoked', () => signer.list(4, now, { atMs: now - HOUR, reason: 4 }), 'TIME_STAMP_REVOKED'],
    ['an older one, in which it is not', () => signer.list(3, now - HOUR), 'TIME_STAMP_REVOKED'],
    ['nothing, to hide it', () => 404, 'TIME_STAMP_REVOKED'],
  ];
  for (const [name, what, expected] of cases) t.equal(await ask(what), expected, name);
  t.equal(alarms.length, 3, 'told once until it is over');
  const before = asked;
  await status.look();
  t.equal(asked, before, 'not asked again before its time');
});
