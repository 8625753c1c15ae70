// `accord purpose` and the registry's verbs about consent as an administrator uses them, against a real registry: files in
// YAML and JSON, judged-only runs, what is shown, and how a refusal ends.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import { systemClock } from '#core/clock.ts';
import { element } from '../policy/dictionary-entries.ts';
import { accord } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-cli-purpose-'));
const at = (name: string) => join(folder, name);
const registry = await openThrowawayRegistry({ folder: at('registry'), instance: 'GX', clock: systemClock });
t.teardown(async () => {
  await registry.close();
  rmSync(folder, { recursive: true, force: true });
});
writeFileSync(at('api.key'), `${registry.apiKey}\n`, { mode: 0o600 });
const there = ['--registry', registry.adminUrl, '--api-key-file', at('api.key')];
const SERVICE = 'GX/GOV/1/consent';

/** What a command that has to succeed prints. */
async function json(...words: string[]) {
  const { code, stdout, stderr } = await accord(...words, ...there, '--json');
  t.match({ code, stderr }, { code: 0, stderr: '' }, words.join(' '));
  return JSON.parse(stdout);
}

const words = (version: number, from: string) => `# for the case workers
id: aid
version: ${version}
title: { zh: 补助, en: Aid }
text:
  zh: 用于核定补助资格
  en: Needed to decide whether aid is due, version ${version}
bases: [consent, law]
elements: [gx.name@1]
retentionDays: 365
quotaPerDay: null
from: ${from}
until: null
`;

t.test('purposes', async (t) => {
  writeFileSync(at('aid.yaml'), words(1, '2026-01-01'));
  const early = await accord('purpose', 'add', at('aid.yaml'), ...there);
  t.match(early, { code: 5, stderr: /^DICTIONARY_MISSING.*\nNext: /s });
  const entries = [element('gx.name'), element('gx.number')];
  await registry.call('POST', '/dictionary', { release: '1.0.0', releasedOn: '2026-11-01', entries });

  t.match(await json('purpose', 'add', at('aid.yaml'), '--dry-run'), { id: 'aid', version: 1, hash: /^.{43}$/ });
  t.same(await json('purpose', 'list'), [], 'judged only');
  const added = await accord('purpose', 'add', at('aid.yaml'), ...there);
  t.match(added, { code: 0, stdout: /aid@1[\s\S]*in-force[\s\S]*补助[\s\S]*Needed to decide[\s\S]*gx\.name@1/ });
  writeFileSync(at('changed.yaml'), words(1, '2026-02-01'));
  t.match(await accord('purpose', 'add', at('changed.yaml'), ...there), { code: 5, stderr: /^REGISTRATION_EXISTS/ });
  writeFileSync(at('gap.yaml'), words(3, '2026-02-01'));
  t.match(await accord('purpose', 'add', at('gap.yaml'), ...there), { code: 2, stderr: /^PURPOSE_REFUSED.*is 2/ });
  writeFileSync(at('twice.yaml'), `${words(2, '2026-02-01')}id: other\n`);
  t.match(await accord('purpose', 'add', at('twice.yaml'), ...there), { code: 2, stderr: /twice\.yaml:\d+:\d+/ });
  t.match(await accord('purpose', 'add', at('none.yaml'), ...there), { code: 3, stderr: /^ENOENT/ });
  const next = {
    ...(await json('purpose', 'show', 'aid@1')),
    version: 2,
    from: '2999-01-01',
    hash: undefined,
    state: undefined,
  };
  writeFileSync(at('next.json'), JSON.stringify(next));
  t.match(await json('purpose', 'add', at('next.json')), { version: 2, state: 'not-begun' });

  const listed = await accord('purpose', 'list', ...there);
  t.match(listed, { code: 0, stdout: /aid@1 .*in-force[\s\S]*aid@2 .*not-begun/ });
  t.match(await json('purpose', 'show', 'aid'), { id: 'aid', versions: [{ version: 1 }, { version: 2 }] });
  t.match(await json('purpose', 'show', 'aid@2'), { version: 2, from: '2999-01-01' });
  const table = await accord('purpose', 'show', 'aid', ...there);
  t.match(table, { code: 0, stdout: /aid@1/ }, 'the version in force');
  for (const name of ['aid@9', 'home', 'home@1']) {
    t.match(await accord('purpose', 'show', name, ...there), { code: 3, stderr: /^REGISTRATION_UNKNOWN/ }, name);
  }
  t.match(await accord('purpose', 'end', 'aid', '--on', 'today', '--yes', ...there), { code: 2 });
  t.match(await accord('purpose', 'end', 'aid@1', '--on', '2998-01-01', '--yes', ...there), { code: 2 });
  t.match(await json('purpose', 'end', 'aid', '--on', '2998-01-01', '--dry-run'), { version: 3 });
  t.match(await json('purpose', 'end', 'aid', '--on', '2998-01-01', '--yes'), { version: 3, until: '2998-01-01' });
  t.match(await json('purpose', 'list'), [{ version: 1 }, { version: 3 }]);
  t.match(await json('purpose', 'list', '--all'), [{}, { version: 2, state: 'superseded' }, {}]);

  writeFileSync(at('empty.key'), 'accord_x\n');
  const stranger = ['--registry', registry.adminUrl, '--api-key-file', at('empty.key')];
  t.match(await accord('purpose', 'list', ...stranger), { code: 4, stderr: /^API_KEY_REFUSED/ });
});

t.test('limits', async (t) => {
  t.same(await json('registry', 'limit-set', 'utcOffsetMinutes', '-300'), { name: 'utcOffsetMinutes', value: -300 });
  t.match(await json('registry', 'limit-set', 'maxStaleMs', '600000', '--dry-run'), { value: 600_000 });
  t.same(await json('registry', 'limits'), [
    { name: 'maxStaleMs', value: null },
    { name: 'distrustPerApprover', value: null },
    { name: 'utcOffsetMinutes', value: -300 },
    { name: 'emergencyReviewMinutes', value: null },
  ]);
  for (const [name, value] of [
    ['maxStaleMs', '1'],
    ['maxStaleMs', 'a day'],
    ['colour', '1'],
  ] as const) {
    t.match(await accord('registry', 'limit-set', name, value, ...there), { code: 2 }, `${name} ${value}`);
  }
});

t.test('consent services and identity providers', async (t) => {
  await registry.call('POST', '/members', { id: 'GX/GOV/1', name: 'One' });
  await registry.call('POST', '/subsystems', { id: SERVICE, name: 'Consent' });
  const key = generateKeys('P-256').publicKey;
  const jwk = exportPublicJwk(key);
  const service = {
    subsystem: SERVICE,
    keys: [{ kid: thumbprint(key), jwk }],
    statusUrl: 'https://consent.example/lists',
    citizenUrl: 'https://consent.example',
  };
  writeFileSync(at('service.json'), JSON.stringify(service));
  writeFileSync(
    at('provider.yaml'),
    `issuer: https://login.example/gov
clientId: accord
keys: [{ kid: "1", jwk: ${JSON.stringify(jwk)} }]
scheme: gx.number@1
claim: id_number
levels: { "urn:high": 4 }
`,
  );
  const nouns: [noun: string, file: string, id: string][] = [
    ['consent-service', 'service.json', SERVICE],
    ['identity-provider', 'provider.yaml', 'https://login.example/gov'],
  ];
  for (const [noun, file, id] of nouns) {
    await json('registry', `${noun}-set`, at(file), '--dry-run');
    t.same(await json('registry', `${noun}-list`), [], noun);
    await json('registry', `${noun}-set`, at(file));
    t.match(await accord('registry', `${noun}-list`, ...there), { code: 0, stdout: id });
  }
  for (const [noun, , id] of nouns) {
    t.same(await json('registry', `${noun}-remove`, id, '--dry-run'), { removed: id });
    t.same(await json('registry', `${noun}-remove`, id, '--yes'), { removed: id });
    t.match(await accord('registry', `${noun}-remove`, id, '--yes', ...there), { code: 3 });
  }
  writeFileSync(at('bad.json'), JSON.stringify({ ...service, keys: [] }));
  t.match(await accord('registry', 'consent-service-set', at('bad.json'), ...there), { code: 2, stderr: /keys/ });
});

t.test('a change of the dictionary says which purposes it touches', async (t) => {
  mkdirSync(at('dictionary/elements'), { recursive: true });
  const raised = element('gx.name', { version: '1.1.0', level: 3 });
  for (const entry of [raised, element('gx.number')]) {
    writeFileSync(at(`dictionary/elements/${entry.id}.json`), JSON.stringify(entry));
  }
  t.match(await json('dictionary', 'diff', at('dictionary')), {
    impact: [{ entry: 'gx.name@1', services: { length: 0 }, purposes: ['aid@1'] }],
    asked: { services: true, purposes: true },
  });
  const table = await accord('dictionary', 'diff', at('dictionary'), ...there);
  t.match(table, { code: 0, stdout: /purposes[\s\S]*aid@1/ });
  rmSync(at('dictionary/elements/gx.name.json'));
  const retired = { version: '1.1.0', state: 'retired', replacedBy: 'gx.number@1' };
  writeFileSync(at('dictionary/elements/gx.name.json'), JSON.stringify(element('gx.name', retired)));
  const refused = await accord('dictionary', 'release', at('dictionary'), '--release', '1.1.0', ...there);
  t.match(refused, { code: 2, stderr: /^DICTIONARY_REFUSED.*aid@1 needs gx\.name@1/ });
});
