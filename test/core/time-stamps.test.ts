// Time-stamp authorities in the configuration and at work: named with the command line, approved, read from the snapshot,
// asked over real sockets; fail-over with a memory, time limits, capped answers, nothing returned that does not verify.
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { makeDevelopmentTimeStampSigner } from '#certs/development-time-stamp-signer.ts';
import { verifyTimeStampToken } from '#certs/time-stamp.ts';
import { grantedResponse, makeTimeStampToken, rejectedResponse } from '#certs/time-stamp-make.ts';
import { readTimeStampRequest } from '#certs/time-stamp-request.ts';
import { type Clock, systemClock } from '#core/clock.ts';
import { changesBetween } from '#core/configuration/changes.ts';
import { openConfigurationClient } from '#core/configuration/client.ts';
import { fetchOverHttp } from '#core/configuration/fetch.ts';
import { readPart } from '#core/configuration/parts.ts';
import { openDevelopmentTimeStampAuthority } from '#core/development-time-stamp-authority.ts';
import { openClient } from '#core/http/client.ts';
import { openTimeStampClient, type TimeStampAuthority } from '#core/time-stamp-client.ts';
import { DEFAULT_GRACE_MS } from '#schemas/limits.ts';
import { pem } from '#test/certs/make-certificate.ts';
import { accord } from '#test/cli/run.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-stamps-'));
const http = openClient();
const IMPRINT = createHash('sha256').update('a checkpoint').digest();
t.teardown(async () => {
  await http.close();
  rmSync(folder, { recursive: true, force: true });
});

t.test('named, approved, in the snapshot', async (t) => {
  const registry = await openThrowawayRegistry({ folder: join(folder, 'r'), instance: 'DEV', clock: systemClock });
  const authorities = await Promise.all(
    ['North', 'South'].map((name) => openDevelopmentTimeStampAuthority({ name, clock: systemClock })),
  );
  t.teardown(() => Promise.all([registry.close(), ...authorities.map((one) => one.close())]));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const admin = ['--registry', registry.adminUrl, '--api-key-file', file('key', `${registry.apiKey}\n`), '--json'];
  const run = (...argv: string[]) => accord('registry', ...argv, ...admin);
  const named = authorities.flatMap(({ name, url, certificates }) => [
    '--authority',
    `${name}=${url}=${file(`${name}.pem`, pem(...certificates))}`,
  ]);

  t.match(await run('time-stamps'), { code: 0, stdout: /null/ });
  t.match(
    await run(
      'time-stamps-set',
      ...named.slice(0, 2),
      '--authority',
      `North=${authorities[1]!.url}=${file('N.pem', pem(...authorities[1]!.certificates))}`,
    ),
    { stderr: /CONFIGURATION_INVALID.*two time-stamp authorities: North/s },
  );
  t.match(await run('time-stamps-set', '--authority', 'North'), { code: 2 });
  t.match(await run('time-stamps-set', ...named, '--grace-minutes', 'x'), { code: 2 });
  const leaf = await makeDevelopmentTimeStampSigner('x', Date.now());
  t.match(await run('time-stamps-set', '--authority', `x=http://x/=${file('x.pem', pem(...leaf.certificates))}`), {
    stderr: /CONFIGURATION_INVALID.*self-signed/s,
  });
  t.match(await run('time-stamps-set', ...named, '--dry-run'), { code: 0 });
  t.match(await run('time-stamps'), { stdout: /null/ }, 'a dry run names nobody');
  const ways = ['--crl-url', `North=${authorities[0]!.crlUrl}`, '--ocsp-url', `South=${authorities[1]!.ocspUrl}`];
  t.match(await run('time-stamps-set', ...named.slice(0, 2), ...ways), { code: 2, stderr: /South/ });
  t.match(await run('time-stamps-set', ...named, ...ways, '--grace-minutes', '90'), {
    ...{ code: 0, stdout: /"graceMs": ?5400000/ },
  });
  t.match(await run('time-stamps'), { code: 0, stdout: /North.*South/s });

  await registry.publish();
  const configuration = await openConfigurationClient({
    folder: join(folder, 'client'),
    anchor: registry.anchor,
    clock: systemClock,
    fetch: [fetchOverHttp(http, registry.configurationUrl)],
    pollMs: 0,
  });
  t.teardown(() => configuration.close());
  const rules = configuration.current().timeStamps();
  t.match(rules, {
    graceMs: 5_400_000,
    authorities: [
      { name: 'North', crlUrls: [authorities[0]!.crlUrl] },
      { name: 'South', ocspUrl: /ocsp$/ },
    ],
  });
  t.equal(rules?.certificates.length, 2);
  t.equal(configuration.current().timeStamps(), rules, 'one object while the part is one');

  const partOf = (part: object) => readPart('time-stamps', Buffer.from(JSON.stringify(part)), 'DEV');
  const ders = authorities.map(({ certificates }) => certificates[0]!.toString('base64url'));
  const entry = (at: number) => ({ name: `n${at}`, url: `http://a${at}/`, certificates: [ders[at]!] });
  const shown = changesBetween([], [partOf({ authorities: [entry(0)] })]).map(({ kind, id }) => `${kind} ${id}`);
  t.match(shown, [
    'time-stamp-authority n0 http://a0/',
    /^time-stamp-certificate n0 CN=North root [A-Za-z0-9_-]{43}$/,
    'time-stamp-grace ms',
  ]);
  const moved = changesBetween(
    [partOf({ authorities: [entry(0), entry(1)] })],
    [partOf({ authorities: [entry(1), entry(0)] })],
  );
  t.equal(moved.length, 2, 'the order is shown too');
  const bad: [string, object][] = [
    ['nobody', { authorities: [] }],
    ['no certificate', { authorities: [{ ...entry(0), certificates: [] }] }],
    ['two of one address', { authorities: [entry(0), { ...entry(1), url: 'http://a0/' }] }],
    ['another scheme', { authorities: [{ ...entry(0), url: 'ftp://a/' }] }],
    ['rubbish for a certificate', { authorities: [{ ...entry(0), certificates: ['AAAA'] }] }],
    ['a grace of nothing', { authorities: [entry(0)], graceMs: 0 }],
    ['a list that is none', { authorities: [entry(0)], crls: ['AAAA'] }],
    ['something more', { authorities: [entry(0)], more: 1 }],
  ];
  for (const [name, part] of bad) t.throws(() => partOf(part), { code: 'CONFIGURATION_INVALID' }, name);

  t.match(await run('time-stamps-set', ...named), { code: 0 });
  await registry.publish();
  await configuration.refresh();
  t.equal(configuration.current().timeStamps()?.graceMs, DEFAULT_GRACE_MS);
  t.match(await run('time-stamps-remove', '--yes'), { code: 0 });
  await registry.publish();
  await configuration.refresh();
  t.equal(configuration.current().timeStamps(), null);
});

class TestClock implements Clock {
  ms = 0;
  nowMs = () => Date.now() + this.ms;
  monotonicMs = () => this.ms;
}

/** A server that answers as `answer` says; null never answers. */
async function serve(
  answer: (request: Buffer) => Buffer | number | null,
): Promise<{ url: string; asked: () => number; server: Server }> {
  let asked = 0;
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      asked += 1;
      const said = answer(Buffer.concat(pieces));
      if (typeof said === 'number') response.writeHead(said).end();
      else if (said !== null) response.end(said);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/tsa?x=1`, asked: () => asked, server };
}

t.test('fail-over', async (t) => {
  const clock = new TestClock();
  const signer = await makeDevelopmentTimeStampSigner('Hostile', Date.now());
  const stamp = (request: Buffer, change: object = {}, said: object = {}) =>
    grantedResponse(
      makeTimeStampToken(
        signer,
        { ...readTimeStampRequest(request), ...change },
        { genTimeMs: Date.now(), accuracyMs: 1_000, serial: randomBytes(8), ...said },
      ),
    );
  const day = 86_400_000;
  const hostile: [string, string, (request: Buffer) => Buffer | number | null][] = [
    ['never answers', 'PEER_TIMEOUT', () => null],
    ['fails', 'TIME_STAMP_REFUSED', () => 500],
    ['redirects', 'TIME_STAMP_REFUSED', () => 302],
    ['refuses', 'TIME_STAMP_REFUSED', () => rejectedResponse('systemFailure', 'out of order')],
    ['answers without end', 'RESPONSE_TOO_LARGE', () => Buffer.alloc(1 << 20)],
    ['answers rubbish', 'TIME_STAMP_MALFORMED', () => Buffer.from('<html>')],
    ['another nonce', 'TIME_STAMP_NONCE_WRONG', (request) => stamp(request, { nonceHex: '01' })],
    ['no nonce', 'TIME_STAMP_NONCE_WRONG', (request) => stamp(request, { nonceHex: null })],
    [
      'another imprint',
      'TIME_STAMP_IMPRINT_WRONG',
      (request) => stamp(request, { imprint: { hash: 'sha256', digest: randomBytes(32) } }),
    ],
    ['yesterday', 'TIME_STAMP_UNTRUSTED', (request) => stamp(request, {}, { genTimeMs: Date.now() - day })],
    ['tomorrow', 'TIME_STAMP_FROM_FUTURE', (request) => stamp(request, {}, { genTimeMs: Date.now() + day })],
    [
      'six minutes ago',
      'TIME_STAMP_CLOCK_DIFFERS',
      (request) => stamp(request, {}, { genTimeMs: Date.now() - 200_000 }),
    ],
  ];
  const good = await openDevelopmentTimeStampAuthority({ name: 'good', clock: systemClock });
  t.teardown(() => good.close());
  for (const [name, code, answer] of hostile) {
    const served = await serve(answer);
    const alarms: string[] = [];
    const bad: TimeStampAuthority = { name, url: served.url, certificates: [signer.root] };
    const wrongTime = name === 'six minutes ago' ? { nowMs: () => Date.now() + 160_000, monotonicMs: () => 0 } : clock;
    const client = openTimeStampClient({
      authorities: () => [bad, { ...good, url: good.url }],
      clock: wrongTime,
      http,
      randomBytes,
      timeoutMs: 150,
      onAlarm: (who, what) => alarms.push(`${who} ${what}`),
    });
    const { token, authority } = await client.stamp(IMPRINT);
    t.equal(authority, 'good', name);
    t.ok(verifyTimeStampToken(token, IMPRINT, good.certificates, Date.now()));
    t.same(alarms, [`${name} ${code}`]);
    t.match(client.health(), [
      { failures: 1, lastProblem: code, lastTokenAtMs: null },
      { failures: 0, lastProblem: null },
    ]);
  }
});

t.test('the memory of an authority’s health', async (t) => {
  const clock = new TestClock();
  const [north, south] = await Promise.all(
    ['north', 'south'].map((name) => openDevelopmentTimeStampAuthority({ name, clock: systemClock })),
  );
  let broken = true;
  const sick = await serve((_request) => (broken ? 503 : rejectedResponse('systemFailure', 'still')));
  let list: TimeStampAuthority[] = [{ name: 'sick', url: sick.url, certificates: north!.certificates }, north!, south!];
  const alarms: string[] = [];
  const client = openTimeStampClient({
    authorities: () => list,
    clock,
    http,
    randomBytes,
    onAlarm: (who, code) => alarms.push(`${who} ${code}`),
  });
  const stamp = async () => (await client.stamp(IMPRINT)).authority;
  t.equal(await stamp(), 'north');
  t.equal(sick.asked(), 1);
  t.equal(await stamp(), 'north');
  t.equal(sick.asked(), 1, 'who failed is left alone for a while');
  clock.ms += 5_000;
  t.equal(await stamp(), 'north');
  t.equal(sick.asked(), 2, 'and asked again after it');
  clock.ms += 9_999;
  await stamp();
  t.equal(sick.asked(), 2, 'for twice as long now');
  t.same(alarms, ['sick TIME_STAMP_REFUSED'], 'one alarm for one reason');

  await north!.close();
  t.equal(await stamp(), 'south', 'when north is gone too');
  await south!.close();
  await t.rejects(client.stamp(IMPRINT), {
    code: 'TIME_STAMP_UNAVAILABLE',
    detail: /south: PEER_UNREACHABLE.*sick: TIME_STAMP_REFUSED|sick: TIME_STAMP_REFUSED.*south: PEER_UNREACHABLE/,
  });
  broken = false;
  list = [];
  await t.rejects(client.stamp(IMPRINT), { code: 'TIME_STAMP_UNAVAILABLE', detail: 'no authority is configured' });
  t.same(client.health(), []);
  const silent = await serve(() => null);
  list = [{ name: 'silent', url: silent.url, certificates: [] }];
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 50);
  await t.rejects(client.stamp(IMPRINT, { signal: abort.signal }), {
    code: 'TIME_STAMP_UNAVAILABLE',
    detail: 'given up',
  });
  t.match(client.health(), [{ failures: 0 }], 'giving up is no fault of the authority');
});
