// A whole instance on loopback, as `accord dev up` opens it: both servers' logs are witnessed by the registry, put into the
// aggregate log, cosigned by a department over its own port, time-stamped, and logged as anchorings that an audit takes. Both
// departments export the same exchange.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { verifyTimeStampToken } from '#certs/time-stamp.ts';
import { toPem } from '#certs/x509-library.ts';
import type { DevNetwork } from '#cli/dev/network.ts';
import { systemClock } from '#core/clock.ts';
import { openDevelopmentTimeStampAuthority } from '#core/development-time-stamp-authority.ts';
import { readPackFiles } from '#core/evidence/read-pack.ts';
import { openClient } from '#core/http/client.ts';
import { verifyLog } from '#core/log/audit.ts';
import { showLog } from '#core/log/show.ts';
import { parseNote } from '#core/log/signed-note.ts';
import { formatAddCheckpoint } from '#core/witness/add-checkpoint.ts';
import { parseAnchoring } from '#schemas/anchoring.ts';
import { DEFAULT_GRACE_MS } from '#schemas/limits.ts';
import type { AnchoringState } from '#security-server/anchoring/anchoring.ts';
import { accord } from '#test/cli/run.ts';
import { openTestNetwork } from '#test/dev-network.ts';

t.setTimeout(60_000);

t.test('registry, department witness and time-stamps in one instance', async (t) => {
  const network = await openTestNetwork(t, 2);
  const { registry, servers } = network;
  const [consumer, provider] = servers;
  t.equal(consumer?.urls.witness, null);
  t.match(provider?.urls.witness, /^http:\/\/127\.0\.0\.1:\d+$/);
  const anchor = async (at: number) => (await servers[at]?.call('POST', '/anchoring')) as AnchoringState;
  const id = await exchange(network);
  for (const at of servers.keys()) {
    t.match(await anchor(at), {
      entries: 4,
      witnessedSize: 4,
      waiting: 1,
      registryWitness: 'accord-witness/DEV',
      quorum: 1,
      trouble: null,
    });
  }
  await registry.witness?.aggregate.tick();
  t.match(registry.witness?.aggregate.state(), { cosignedBy: ['accord-witness/DEV/GOV/2002/ss2'], trouble: [] });
  for (const [at, server] of servers.entries()) {
    const state = await anchor(at);
    t.match(state, { trouble: null, newest: { hasToken: true, isDirect: false }, newestStamped: { hasToken: true } });
    const [shown] = showLog(join(server.folder, 'log'), { id: 'anchored' }, 1);
    const { checkpoint, aggregate } = parseAnchoring(shown?.evidence?.statement ?? '');
    const names = (note = '') => parseNote(note).signatures.map(({ name }) => name);
    t.strictSame(names(checkpoint), [`accord/${server.id}`, 'accord-witness/DEV', 'accord-witness/DEV']);
    const witness = 'accord-witness/DEV/GOV/2002/ss2';
    t.strictSame(names(aggregate?.checkpoint), ['accord-aggregate/DEV', witness, witness]);
    const place = { folder: join(server.folder, 'log'), checkpointFile: join(server.folder, 'checkpoint.txt') };
    t.match(await verifyLog(place), { ok: true, code: null });
    const trusted = network.timeStampAuthorities.flatMap(({ certificates }) => [...certificates]);
    const verifyToken = (token: Buffer, imprint: Buffer) =>
      verifyTimeStampToken(token, imprint, trusted, systemClock.nowMs());
    t.match(await verifyLog({ ...place, verifyToken }), { ok: true, stampedEntries: 4 });
    t.match(state, { timeStamps: { graceMs: DEFAULT_GRACE_MS, waiting: null, overdue: false } }, 'nothing waits');
  }
  const http = openClient();
  t.teardown(() => http.close());
  const url = `${provider?.urls.witness}/add-checkpoint`;
  const post = (body: Buffer) => http.request({ method: 'POST', url, body });
  const { newest } = await anchor(0);
  const [shown] = showLog(join(consumer?.folder ?? '', 'log'), { id: 'anchored' }, 1);
  const { checkpoint, aggregate } = parseAnchoring(shown?.evidence?.statement ?? '');
  t.equal((await post(Buffer.from('old 0\n'))).status, 400);
  t.equal((await post(formatAddCheckpoint({ oldSize: 0, proof: [], note: checkpoint }))).status, 404, 'of a server');
  const again = { proof: [], note: aggregate?.checkpoint ?? '' };
  const behind = await post(formatAddCheckpoint({ ...again, oldSize: 0 }));
  t.match([behind.status, /^[1-9]\d*\n$/.test(behind.body.toString())], [409, true]);
  t.ok(newest);
  t.match(await anchor(0), { witness: null });
  const { witness } = (await anchor(1)) as AnchoringState & { witness: { url: string } };
  t.match(witness, { name: 'accord-witness/DEV/GOV/2002/ss2', running: true, origins: 3, url: provider?.urls.witness });
  t.strictSame(Object.keys(witness).sort(), [
    'cosigned',
    'name',
    'origins',
    'refused',
    'running',
    'url',
    'verifierKeys',
  ]);
  await evidence(t, network, id);
  await commands(t, network);
});

/** Each department alone proves the exchange to an auditor who has the anchor; the demonstration's test runs `verify.sh` too. */
async function evidence(t: Test, network: DevNetwork, id: string): Promise<void> {
  const auditor = join(network.folder, 'auditor');
  mkdirSync(auditor);
  writeFileSync(join(auditor, 'anchor.json'), JSON.stringify(network.registry.anchor));
  // The content changes before anybody asks for evidence: what was in force is kept.
  await network.publish();
  for (const { folder: dir, id: server } of network.servers) {
    const out = join(network.folder, `${server.replaceAll('/', '-')}.zip`);
    const keys = ['--dir', dir, '--passphrase-file', network.passphraseFile];
    const exported = await accord('audit', 'export', id, ...keys, '--out', out, '--json');
    t.equal(exported.code, 0, exported.stderr);
    const verified = await accord('audit', 'verify', out, '--anchor', auditor, '--json');
    const { verdict, code, checks } = JSON.parse(verified.stdout);
    t.same([verdict, code], ['VALID', null], `${server} ${JSON.stringify(checks)}`);
    const files = readPackFiles(out);
    t.ok(files.has('request/certificate-status.der') && files.has('answer/certificate-status.der'), 'OCSP');
  }
}

/** The same as an operator sees it. */
async function commands(t: Test, network: DevNetwork): Promise<void> {
  const { folder, servers, passphraseFile, timeStampAuthorities } = network;
  const dir = servers[0]?.folder ?? '';
  const at = ['--admin', servers[0]?.urls.admin ?? ''];
  const json = async (...argv: string[]) => {
    const { code, stdout, stderr } = await accord(...argv, '--dir', dir, '--json');
    t.equal(code, 0, `${argv.join(' ')} ${stderr}`);
    return JSON.parse(stdout) as unknown;
  };
  t.match(await json('log', 'anchor', ...at), {
    origin: 'accord/DEV/GOV/1001/ss1',
    trouble: null,
    newest: { isDirect: false },
  });
  t.match(await json('log', 'anchor', '--now', ...at), { trouble: null });
  t.match(await json('log', 'anchorings', '--limit', '1'), [{ anchoring: { v: 1, aggregate: { path: Array } } }]);
  const doctor = await accord('doctor', '--dir', dir, '--json', '--health', servers[0]?.urls.health ?? '');
  const witnesses = 'accord-witness/DEV, accord-witness/DEV/GOV/2002/ss2';
  const { checks } = JSON.parse(doctor.stdout) as { checks: { check: string; detail: string; state: string }[] };
  const seen = (name: string) => checks.find(({ check }) => check === name)?.detail;
  t.match(
    seen('anchoring'),
    new RegExp(`cosigned by ${witnesses}; time-stamped by CN=development-time-1 at 20.*quorum 1`),
  );
  t.match(seen('certificate status'), /^signing certificate good, \d+ minutes old, until 20/);
  t.equal(seen('archive'), 'none is set');
  const ready = await fetch(`${servers[0]?.urls.health}/readyz`);
  const probes = ((await ready.json()) as { checks: { name: string; detail: string }[] }).checks;
  const probed = Object.fromEntries(probes.map(({ name, detail }) => [name, detail]));
  t.match(probed, {
    anchoring: `cosigned by ${witnesses}; time-stamped by CN=development-time-1 at 20`,
    'certificate-status': /^OCSP answers until 20.*the oldest of 20/,
  });
  const table = await accord('log', 'anchorings', '--dir', dir);
  t.match(table.stdout, /accord-witness\/DEV, accord-witness\/DEV\/GOV\/2002\/ss2/);
  const out = join(folder, 'tiles');
  t.match(await json('log', 'tiles', '--out', out), { origin: 'accord/DEV/GOV/1001/ss1', sizeBefore: 0 });
  t.match(await json('log', 'tiles', '--out', out), { written: 0 });
  const init = ['server', 'init-witness', '--url', 'http://ss1.example:4410', '--passphrase-file', passphraseFile];
  t.match(await json(...init), { name: 'accord-witness/DEV/GOV/1001/ss1', verifierKeys: [/^.{31}\+/, /^.{31}\+/] });
  t.match(await accord(...init, '--dir', dir), { stderr: /FOLDER_IN_USE/ }, 'only once');
  const roots = join(folder, 'roots.pem');
  const pem = (certificates: readonly Uint8Array[]) => certificates.map((der) => toPem('CERTIFICATE', der)).join('');
  writeFileSync(roots, pem(timeStampAuthorities.flatMap(({ certificates }) => [...certificates])));
  t.match(await json('audit', 'log', '--time-stamp-anchors', roots), { code: null });
  const other = await openDevelopmentTimeStampAuthority({ name: 'another', clock: systemClock });
  t.teardown(() => other.close());
  writeFileSync(roots, pem(other.certificates));
  const refused = await accord('audit', 'log', '--dir', dir, '--time-stamp-anchors', roots);
  t.match(refused, { code: 7, stderr: /LOG_EVIDENCE_CHANGED/ });
}

/**
 * One that the provider refuses, because it gave no access right: two entries on each side, and two OCSP answers.
 * @returns its id
 */
async function exchange(network: DevNetwork): Promise<string> {
  const [consumer, provider] = network.servers;
  if (consumer === undefined || provider === undefined) throw new TypeError('two servers');
  const id = `${provider.subsystem}/echo`;
  const service = { id, title: 'Echo', url: 'http://127.0.0.1:9', personalData: false, safe: true };
  await network.addService(provider, service);
  await network.publish();
  const answer = await fetch(`${consumer.urls.loopback}/lookups`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client: consumer.subsystem, service: id, path: '/7' }),
  });
  const { id: exchanged, outcome } = (await answer.json()) as { id: string; outcome: string };
  if (outcome !== 'refused') throw new Error(`outcome ${outcome}`);
  return exchanged;
}
