// Officials at the command line: a key of the sign-on, lookups that are signed here or carry a token, tokens read and
// verified, and what an auditor is told of them.
import '#test/cheap-passphrases.ts';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { evidenceInWords } from '#cli/evidence-words.ts';
import type { DecisionInputs } from '#policy/decision-inputs.ts';
import { AUDITOR_KEY, CLIENT, SERVICE } from '#scripts/campaign/pair.ts';
import { LI, WANG } from '#test/certs/evidence-cases.ts';
import { testKey } from '#test/certs/receipt-cases.ts';
import { LOOKUP, openDesk, SERVICE2 } from '#test/security-server/official-desk.ts';
import { accord } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-official-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return join(folder, name);
};
const keys = join(folder, 'keys');
const secret = ['--passphrase-file', write('passphrase', 'correct horse battery staple')];
const wang = write('wang.json', JSON.stringify({ ...WANG, key: 'keys/sign-on' }));

t.test('keys, signed lookups, tokens', async (t) => {
  const { pair, token, pairOf, key } = await openDesk(t);
  const made = await accord('official', 'key', 'new', 'sign-on', '--dir', keys, ...secret, '--json');
  t.equal(made.code, 0, made.stderr);
  const shown = await accord('official', 'key', 'show', 'sign-on', '--dir', keys, '--subsystem', CLIENT);
  const entry = JSON.parse(shown.stdout);
  const { kid, jwk } = JSON.parse(made.stdout);
  t.same(entry, { subsystem: CLIENT, keys: [{ kid, jwk }] }, 'the entry for the registry');
  t.match(await accord('official', 'key', 'show', 'sign-on', '--dir', keys), { code: 0, stdout: /kid/ });
  pair.configuration.officials.set(CLIENT, [...entry.keys, { kid: key.kid, jwk: key.jwk }]);

  const server = ['--server', pair.consumer.urls.loopback!, '--client', CLIENT, '--purpose', 'rescue'];
  const call = (...argv: string[]) => accord('call', SERVICE, '/residents/7', '--field', '/name', ...server, ...argv);
  const sign = (...argv: string[]) => call('--sign-as', wang, ...secret, ...argv);
  const issue = ['--issue', 'AB-12'];
  t.match(await sign(...issue), {
    code: 0,
    stdout: /王芳/,
    stderr: /^Wang Xiulan \(Population office\) signs for case AB-12: GET DEV/,
  });
  t.match(await sign(...issue, '--data', '{"a":[1]}', '--query', 'q=王 芳'), { code: 0 }, 'with body and query');
  t.match(await sign(...issue, '--effective'), { code: 0, stdout: /\/name/ });
  const until = new Date(Date.now() + 3 * 86_400_000).toISOString().slice(0, 10);
  t.match(await sign(...issue, '--hidden-until', until), { code: 0 });
  t.match(await sign(...issue, '--hidden-until', '2999-01-01'), { code: 6, stderr: /SECRECY_NOT_ALLOWED/ });
  const found = ['--element', 'gx.name@1', '--subject', 'gx.id@1=7', ...server.slice(0, 4), '--purpose', 'rescue'];
  t.match(await accord('call', SERVICE, ...found, '--sign-as', wang, ...secret, ...issue), { code: 0, stdout: /王芳/ });
  t.match(await call('--sign-as', wang, ...secret, ...issue, '--dry-run'), { code: 0, stdout: /AB-12/ });
  t.match(await call('--basis', 'law', '--user-id', WANG.id, ...issue), { code: 6, stderr: /^EVIDENCE_REQUIRED/ });

  const file = write('token.jws', `${await token({ method: undefined })}\n`);
  const given = ['--basis', 'law', '--user-id', WANG.id, ...issue, '--evidence', file];
  t.match(await call(...given), { code: 0, stdout: /王芳/ });
  t.match(await call(...given), { code: 6, stderr: /^EVIDENCE_USED/ });
  const [opens, confirms] = pairOf().map((text, at) => write(`half-${at}.jws`, text)) as [string, string];
  const urgent = ['--basis', 'emergency', '--user-id', LI.id, '--evidence', opens, confirms];
  t.match(await call(...urgent), { code: 0, stdout: /王芳/ });

  const mistakes: [string, string[], RegExp][] = [
    ['no case', ['--sign-as', wang, ...secret], /--issue/],
    ['another official', ['--sign-as', wang, ...secret, ...issue, '--user-id', LI.id], /--user-id/],
    ['another basis', ['--sign-as', wang, ...secret, ...issue, '--basis', 'emergency'], /emergency/],
    ['a token as well', ['--sign-as', wang, ...secret, ...issue, '--evidence', file], /--evidence/],
    ['a token on another basis', ['--evidence', file], /^SCHEMA_MISMATCH/],
  ];
  for (const [name, argv, stderr] of mistakes) t.match(await call(...argv), { code: 2, stderr }, name);
  await accord('key', 'generate', 'other', '--use', 'sign', '--dir', keys, ...secret);
  const unfit = write('unfit.json', JSON.stringify({ ...WANG, key: 'keys/other.key.json' }));
  t.match(
    await call('--sign-as', unfit, ...secret, ...issue),
    { stderr: /\nKEY_UNSUITABLE/ },
    'a key for something else',
  );
  t.match(await call('--sign-as', write('x.json', '{"id":"1"}'), ...secret, ...issue), { stderr: /^SCHEMA_MISMATCH/ });
  t.match(await accord('official', 'key', 'show', 'other', '--dir', keys), { stderr: /^KEY_UNSUITABLE/ });
});

t.test('a server that describes another lookup gets nothing signed', async (t) => {
  const { pair } = await openDesk(t);
  let change: object = {};
  const lying = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      const lookup = { ...JSON.parse(Buffer.concat(chunks).toString()), ...change };
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${pair.consumer.urls.loopback}${request.url}`, {
        method: 'POST',
        headers,
        body: JSON.stringify(lookup),
      });
      response
        .writeHead(answer.status, { 'content-type': answer.headers.get('content-type')! })
        .end(await answer.text());
    });
  });
  await new Promise<void>((done) => lying.listen(0, '127.0.0.1', done));
  t.teardown(() => lying.close());
  const url = `http://127.0.0.1:${(lying.address() as AddressInfo).port}`;
  const written = ['/residents/7', '--field', '/name', '--query', 'q=1', '--data', '{"a":1}', '--method', 'POST'];
  const rows: [object, string, string[]?][] = [
    [{ service: SERVICE2 }, 'service'],
    [{ path: '/residents/8' }, 'path'],
    [{ method: 'PUT' }, 'method'],
    [{ query: 'q=2' }, 'query'],
    [{ fields: ['/birthDate'] }, 'fields'],
    [{ partial: true }, 'partial'],
    [{ body: { a: 2 } }, 'body'],
    [{ issue: 'AB-13' }, 'issue'],
    [{ purpose: 'other-aid' }, 'purpose'],
    [{ basis: 'open' }, 'basis'],
    [{ hiddenUntil: '2027-01-01' }, 'hiddenUntil'],
    [{ subject: { scheme: 'gx.id@1', value: '8' } }, 'subject', ['--element', 'gx.name@1', '--subject', 'gx.id@1=7']],
  ];
  const asked = [
    '--client',
    CLIENT,
    '--purpose',
    'rescue',
    '--issue',
    'AB-12',
    '--sign-as',
    wang,
    ...secret,
    '--server',
    url,
  ];
  for (const [over, member, argv = written] of rows) {
    change = over;
    const ended = await accord('call', SERVICE, ...argv, ...asked);
    t.match(ended, { code: 7, stderr: new RegExp(`another lookup: ${member}\\.\\nNext: Nothing was signed`) }, member);
  }
  t.equal(pair.backend.seen.length, 0);
});

t.test('what a token says', async (t) => {
  const { token, pairOf, key } = await openDesk(t);
  const file = write('one.jws', await token());
  const jwk = write('sign-on.jwk', JSON.stringify({ ...key.jwk, kid: key.kid }));
  const stranger = write('stranger.jwk', JSON.stringify(testKey().jwk));
  const show = (...argv: string[]) => accord('evidence', 'show', ...argv);
  t.match(await show(file), { code: 0, stdout: /Wang Xiulan[\s\S]*AB-12[\s\S]*not checked/ });
  t.match(await show(file, '--key', jwk), { code: 0, stdout: /genuine +│ yes/ });
  t.match(await show(file, '--key', stranger), { code: 7, stdout: /genuine +│ NO/, stderr: /\nNext: / });
  const json = await show(file, '--key', stranger, jwk, '--json');
  t.match(JSON.parse(json.stdout), { tokens: [{ kind: 'official', genuine: true, claims: { official: WANG } }] });
  const halves = pairOf().map((text, at) => write(`pair-${at}.jws`, text));
  t.match(await show(...halves, '--key', jwk), { code: 0, stdout: /opens an emergency[\s\S]*Flood[\s\S]*confirms/ });
  const alone = pairOf({}, { official: { ...LI, unit: WANG.unit } }).map((text, at) => write(`alone-${at}.jws`, text));
  t.match(await show(...alone, '--key', jwk), { code: 7, stderr: /no emergency/ });
  t.match(await show(write('x.jws', 'x'), '--json'), { stderr: /^EVIDENCE_MALFORMED/ });
  t.match(await show(file, '--config', folder), { code: 2, stderr: /--anchor/ });
});

t.test('what a provider is told of its rights', async (t) => {
  const { pair } = await openDesk(t);
  const admin = ['--admin', pair.provider.urls.admin, '--api-key-file', write('auditor', AUDITOR_KEY)];
  const asked = [
    '--client',
    CLIENT,
    '--service',
    SERVICE,
    '--field',
    '/name',
    '--purpose',
    'rescue',
    '--endpoint',
    'GET /residents/7',
  ];
  const explain = (...argv: string[]) => accord('access', 'explain', ...asked, ...argv, ...admin);
  const told = async (...argv: string[]) => JSON.parse((await explain(...argv, '--json')).stdout)[0];
  const law = ['--basis', 'law', '--user-id', 'u', '--issue', 'AB-12'];
  t.match(await told(...law), { code: 'OK', evidenceAssumed: 'official' });
  t.match(await explain(...law), { stdout: /if the official signs this very request/ });
  t.match(await told('--basis', 'law', '--user-id', 'u'), { code: 'CASE_NUMBER_REQUIRED', evidenceAssumed: null });
  const urgent = ['--basis', 'emergency', '--user-id', 'u'];
  t.match(await told(...urgent), { code: 'OK', evidenceAssumed: 'emergency' });
  t.match(await explain(...urgent), { stdout: /if two officials have opened an emergency/ });
  t.match(await told('--basis', 'emergency'), { code: 'OFFICIAL_REQUIRED', evidenceAssumed: null });
  const [right] = pair.provider.parts.state.rightsFor([CLIENT], SERVICE);
  t.match(await accord('access', 'list', ...admin), { stdout: /law \(the official's token, hidden up to 10 days\)/ });
  pair.provider.parts.state.putRight({ ...right!, evidence: 'server', secrecyDays: null });
  t.match(await told(...law), { code: 'OK', evidenceAssumed: null }, 'nothing needs to be assumed');
  t.match(await accord('access', 'list', ...admin), { stdout: /law \(the server's word\)/ });

  const grant = (...argv: string[]) =>
    accord('access', 'grant', '--client', CLIENT, '--service', SERVICE, '--dry-run', '--json', ...argv, ...admin);
  const statute = ['--basis', 'law', '--statute', 'Act 1'];
  t.match(
    JSON.parse((await grant(...statute)).stdout),
    { evidence: 'official', secrecyDays: null },
    'the stronger choice',
  );
  const weaker = await grant(...statute, '--evidence', 'server', '--secrecy-days', '30');
  t.match(JSON.parse(weaker.stdout), { evidence: 'server', secrecyDays: 30 });
  t.match(JSON.parse((await grant('--basis', 'emergency')).stdout), { bases: ['emergency'], statute: null });
  t.match(await grant('--basis', 'open', '--evidence', 'server'), { code: 2, stderr: /law/ });
  t.match(await grant(...statute, '--secrecy-days', '4000'), { code: 2, stderr: /3650/ });
  t.match(await accord('access', 'grant', '--help'), { stdout: /can ask in any official's name/ });
});

t.test('what an auditor is told', async (t) => {
  const facts = { given: 1, official: { id: 'u', unit: 'Office' }, usedBefore: false, emergency: null };
  const emergency = {
    id: 'e',
    officials: [
      { id: 'u', unit: 'Office' },
      { id: 'w', unit: 'Station' },
    ],
    reason: 'Flood',
    purpose: 'rescue',
    services: [SERVICE],
    fromMs: 0,
    untilMs: 7_200_000,
    persons: 2,
    otherPersons: 1,
  };
  const told = (
    basis: string,
    evidence: DecisionInputs['evidence'] | undefined,
    over: object = {},
    hiddenUntil?: string,
  ) => evidenceInWords({ request: { ...LOOKUP, basis, hiddenUntil }, evidence, ...over } as unknown as DecisionInputs);
  const rows: [string, RegExp][] = [
    [told('open', null), /^$/],
    [told('law', undefined), /^$/],
    [told('law', facts), /^Signed for this request by u \(Office\)\.$/],
    [told('law', { ...facts, usedBefore: true }), /used before\.$/],
    [told('law', { ...facts, official: null }), /^One token, not genuine/],
    [
      told('law', { ...facts, given: 0, official: null }, {}, '2027-01-01'),
      /word of the department's server\.\nNot shown/,
    ],
    [
      told('emergency', { ...facts, given: 2, emergency }),
      /opened by u \(Office\), confirmed by w \(Station\): Flood\nFrom 1970/,
    ],
    [told('emergency', { ...facts, given: 2 }), /^2 tokens, not an emergency/],
    [
      told('emergency', { ...facts, given: 0 }, { lockedFor: 'e' }),
      /^No emergency was named\.\nThe review .* e was overdue\.$/,
    ],
  ];
  for (const [text, expected] of rows) t.match(text, expected);
});
