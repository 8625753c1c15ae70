// `accord emergency` with real key files and a real registry: the terms are shown before anything is signed, one person
// cannot confirm the own emergency, tokens are for the account alone, and a review goes to the registry's public port.
import '#test/cheap-passphrases.ts';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { signEmergencyEvidence, verifyEmergencyPair } from '#certs/evidence.ts';
import { openKey } from '#certs/key-file.ts';
import type { Official } from '#schemas/evidence.ts';
import { emergencyOf, LI, WANG, ZHAO } from '#test/certs/evidence-cases.ts';
import { MovingClock } from '#test/security-server/moving-clock.ts';
import { accord } from './run.ts';

const HOUR = 3_600_000;
const CLIENT = 'DEV/GOV/1001/rescue';
const folder = mkdtempSync(join(tmpdir(), 'accord-emergency-'));
const at = (name: string) => join(folder, name);
const clock = new MovingClock();
const registry = await openThrowawayRegistry({ folder: at('registry'), instance: 'DEV', clock });
writeFileSync(at('pass'), 'a good passphrase for officials\n', { mode: 0o600 });
writeFileSync(at('anchor.json'), JSON.stringify(registry.anchor));
writeFileSync(at('admin.api-key'), `${registry.apiKey}\n`, { mode: 0o600 });
t.teardown(async () => {
  await registry.close();
  rmSync(folder, { recursive: true, force: true });
});

const admin = ['--registry', registry.adminUrl, '--api-key-file', at('admin.api-key')];
const by = (name: string) => ['--official', at(`${name}.json`), '--passphrase-file', at('pass')];
const opening = (out: string, more: string[] = []) => [
  ...['emergency', 'open', ...by('wang'), '--client', CLIENT, '--purpose', 'flood-rescue', '--reason', 'Flood'],
  ...[
    '--service',
    'DEV/GOV/2002/civil/residents,DEV/GOV/2002/civil/homes',
    '--persons',
    '5',
    '--out',
    at(out),
    ...more,
  ],
];
const keys: { kid: string; jwk: object }[] = [];

t.test('officials and their keys', async (t) => {
  for (const [name, official] of Object.entries({ wang: WANG, li: LI, zhao: ZHAO, twin: { ...LI, id: WANG.id } })) {
    const made = await accord(
      'official',
      'key',
      'new',
      name,
      '--dir',
      at('keys'),
      '--passphrase-file',
      at('pass'),
      '--json',
    );
    t.equal(made.code, 0, made.stderr);
    const file: Official & { key: string } = { ...official, key: `keys/${name}.key.json` };
    writeFileSync(at(`${name}.json`), JSON.stringify(file));
    const { kid, jwk } = JSON.parse(made.stdout) as (typeof keys)[number];
    keys.push({ kid, jwk });
  }
  keys.sort((a, b) => (a.kid < b.kid ? -1 : 1));
  await registry.call('POST', '/members', { id: 'DEV/GOV/1001', name: 'Rescue' });
  await registry.call('POST', '/subsystems', { id: CLIENT, name: 'rescue' });
  writeFileSync(at('officials.json'), JSON.stringify({ subsystem: CLIENT, keys }));
  t.match(await accord('registry', 'official-keys-set', at('officials.json'), ...admin), { code: 0 });
  const listed = await accord('registry', 'official-keys-list', ...admin, '--json');
  t.same(JSON.parse(listed.stdout), [{ subsystem: CLIENT, keys }]);
  await registry.publish();
});

t.test('opened, confirmed, shown', async (t) => {
  t.match(await accord(...opening('no.jws')), { code: 2, stderr: /Flood[\s\S]*Confirm with --yes/ }, 'asked first');
  t.throws(() => readFileSync(at('no.jws')), { code: 'ENOENT' });
  for (const hours of ['0', '2.1', 'x', '-1']) {
    t.match(await accord(...opening('no.jws', ['--hours', hours, '--yes'])), { code: 2 }, `${hours} hours`);
  }
  const opened = await accord(...opening('a.jws', ['--yes', '--hours', '0.5', '--json']));
  t.match(opened, { code: 0, stderr: /opens +Wang Xiulan/ });
  t.equal(statSync(at('a.jws')).mode & 0o777, 0o600);
  t.match(await accord(...opening('a.jws', ['--yes'])), { code: 5 }, 'never over an old token');
  const confirming = (file: string, name: string, ...more: string[]) =>
    accord('emergency', 'confirm', at(file), ...by(name), '--out', at('b.jws'), ...more);
  t.match(await confirming('a.jws', 'wang', '--yes'), { code: 5, stderr: /Two people of two units/ });
  t.match(await confirming('a.jws', 'twin', '--yes'), { code: 5 }, 'another name, the same person');
  t.match(await confirming('a.jws', 'li'), { code: 2, stderr: /reason +Flood[\s\S]*Confirm this emergency\?/ });
  t.match(await confirming('a.jws', 'li', '--yes'), { code: 0 });
  t.match(await confirming('b.jws', 'zhao', '--yes'), { code: 2 }, 'a confirmation is not confirmed');
  const tokens = ['a.jws', 'b.jws'].map((name) => readFileSync(at(name), 'utf8').trim());
  const pair = verifyEmergencyPair(tokens, keys as never);
  t.match(pair, { iss: CLIENT, persons: 5, reason: 'Flood', officials: [WANG, LI] });
  t.equal(pair.exp - pair.nbf, 1800);
  const shown = await accord('emergency', 'show', at('a.jws'), at('b.jws'), '--json');
  t.match(JSON.parse(shown.stdout), [{ role: 'opens' }, { role: 'confirms' }]);
});

t.test('reviewed and listed', async (t) => {
  const [first, second] = ['a.jws', 'b.jws'].map(at);
  const review = (...more: string[]) =>
    accord('emergency', 'review', ...by('zhao'), '--finding', 'justified', '--text', 'All of the street.', ...more);
  const evidence = ['--evidence', first ?? '', second ?? ''];
  const where = ['--anchor', at('anchor.json')];
  t.match(await review(...evidence, '--yes'), { code: 2, stderr: /Where is the registry/ });
  t.match(await review(...where, '--yes'), { code: 2, stderr: /Which emergency/ });
  t.match(await review(...evidence, ...where), { code: 2, stderr: /Zhao Min[\s\S]*Sign this review/ });
  t.match(
    await review(...evidence, ...where, '--yes'),
    { code: 5, stderr: /EMERGENCY_LASTS/ },
    'too early, but reported',
  );
  const list = async () => {
    const { stdout } = await accord('emergency', 'list', '--client', CLIENT, ...where, '--json');
    return JSON.parse(stdout) as { emergency: string; state: string }[];
  };
  const [owed] = await list();
  t.match(owed, { subsystem: CLIENT, state: 'open' });
  t.match(await accord('emergency', 'list', '--client', CLIENT, '--at', registry.configurationUrl), { code: 0 });
  const all = JSON.parse((await accord('emergency', 'list', ...admin, '--json')).stdout) as object[];
  t.match(all, [{ emergency: owed?.emergency, reason: 'Flood', officials: [WANG, LI], reviews: [] }]);
  t.match(await review('01920000-0000-7000-8000-000000000001', '--client', CLIENT, ...where, '--yes'), {
    code: 3,
    stderr: /EMERGENCY_UNKNOWN/,
  });
  // The command signs by the machine's clock, so an emergency that is over was opened some hours ago.
  const ago = emergencyOf(
    CLIENT,
    { purpose: 'flood-rescue', services: ['DEV/GOV/2002/civil/homes'] },
    clock.nowMs() - 3 * HOUR,
  );
  const { privateKey, kid } = await openKey(readFileSync(at('keys/wang.key.json')), 'a good passphrase for officials');
  const files = ['c.jws', 'd.jws'].map(at);
  for (const [number, half] of ago.entries()) {
    writeFileSync(files[number] ?? '', `${signEmergencyEvidence(half, { kid, privateKey })}\n`, { mode: 0o600 });
  }
  t.match(await accord('emergency', 'confirm', files[0] ?? '', ...by('li'), '--yes'), { stderr: /EMERGENCY_ENDED/ });
  const reviewed = await review('--evidence', ...files, ...where, '--yes', '--json');
  t.match(JSON.parse(reviewed.stdout), { emergency: ago[0].emergency, state: 'reviewed' });
  t.match(
    await review(ago[0].emergency, '--client', CLIENT, '--at', registry.configurationUrl, '--yes'),
    { code: 0 },
    'by its id',
  );
  t.equal((await list()).length, 1, 'only the other one is owed');
});
