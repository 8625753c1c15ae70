// An evidence pack out of a whole instance, as `accord dev up` opens it: real registry, aggregate log, department's witness,
// time-stamps and OCSP answers. Both departments export the same exchange; the auditor has the anchor and a shell.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { openDevNetwork } from '#cli/dev/network.ts';
import { systemClock } from '#core/clock.ts';
import { readPackFiles } from '#core/evidence/read-pack.ts';
import { scriptVerdict } from '#scripts/campaign/pack-verdicts.ts';
import { accord } from './run.ts';

const MEMBERS = [
  { id: 'DEV/GOV/1001', name: 'Consumer', subsystem: 'consumer', server: 'ss1' },
  { id: 'DEV/GOV/2002', name: 'Provider', subsystem: 'provider', server: 'ss2' },
];

t.setTimeout(60_000);

t.test('each of two departments proves an exchange to an auditor', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-audited-'));
  const network = await openDevNetwork({
    ...{ folder, instance: 'DEV', members: MEMBERS, clock: systemClock, processes: false },
    logger: pino({ level: 'silent' }),
  });
  t.teardown(async () => {
    await network.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const [consumer, provider] = network.servers;
  if (consumer === undefined || provider === undefined) throw new TypeError('two servers');
  const service = `${provider.subsystem}/echo`;
  await network.addService(provider, {
    id: service,
    title: 'E',
    url: 'http://127.0.0.1:9',
    personalData: false,
    safe: true,
  });
  await network.publish();
  const answer = await fetch(`${consumer.urls.loopback}/lookups`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client: consumer.subsystem, service, path: '/7' }),
  });
  const { id, outcome } = (await answer.json()) as { id: string; outcome: string };
  t.match(outcome, /^(?:refused|provider-error)$/, 'a refusal is an exchange, too');
  for (const server of network.servers) await server.call('POST', '/anchoring');
  await network.registry.witness?.aggregate.tick();
  for (const server of network.servers) await server.call('POST', '/anchoring');
  // The content changes before anybody asks for evidence: what was in force is kept.
  await network.publish();

  const auditor = join(folder, 'auditor');
  mkdirSync(auditor);
  copyFileSync(join(consumer.folder, 'anchor.json'), join(auditor, 'anchor.json'));
  for (const { folder: dir, id: server } of network.servers) {
    const out = join(folder, `${server.replaceAll('/', '-')}.zip`);
    const keys = ['--dir', dir, '--passphrase-file', network.passphraseFile];
    const exported = await accord('audit', 'export', id, ...keys, '--out', out, '--json');
    t.equal(exported.code, 0, exported.stderr);
    const verified = await accord('audit', 'verify', out, '--anchor', auditor, '--json');
    const { verdict, code, checks } = JSON.parse(verified.stdout);
    t.same([verdict, code], ['VALID', null], `${server} ${JSON.stringify(checks)}`);
    const files = readPackFiles(out);
    t.ok(files.has('request/certificate-status.der') && files.has('answer/certificate-status.der'), 'OCSP');
    const script = await scriptVerdict({ anchorFolder: auditor }, files);
    t.match(script, { verdict: 'VALID', exit: 0, stderr: '' }, `${server} ${script.lines.join('\n')}`);
  }
  t.match(readFileSync(join(auditor, 'anchor.json'), 'utf8'), '"DEV"');
});
