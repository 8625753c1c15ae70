// The auditor's pages over HTTP, against two real servers under a really signed configuration: who gets in, what is shown
// and noted, how long a session lasts, and what naughty names come to.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { CHECKS } from '#core/evidence/check-run.ts';
import { PACK_CODES, type PackCode } from '#core/evidence/finding.ts';
import { PROBLEMS } from '#schemas/problems.ts';
import { openPackSetting, type PackSetting } from '#scripts/campaign/pack-setting.ts';
import { ADMIN_KEY, AUDITOR_KEY, CLIENT, PROVIDER, SERVICE } from '#scripts/campaign/pair.ts';
import { checkMeaning, checkName, packCodeWords } from '#security-server/auditor/check-words.ts';
import { pathWithin } from '#security-server/auditor/sign-in-page.ts';
import { detailWords, stateWords } from '#security-server/auditor/state-words.ts';
import { Visitor } from './auditor-visitor.ts';

let setting: PackSetting;
let base = '';
let id = '';
t.before(async () => {
  setting = await openPackSetting();
  for (const which of ['consumer', 'provider']) {
    writeFileSync(join(setting.pair.folder, which, 'anchor.json'), JSON.stringify(setting.anchor));
  }
  base = setting.pair.consumer.urls.admin;
  await setting.anchorLog('consumer');
  id = await setting.ask('{"name":"<b>Zhao Ming</b>"}');
  await setting.anchorLog('consumer');
});
t.teardown(() => setting.close());

function trail(which = 'consumer'): Record<string, unknown>[] {
  const text = readFileSync(join(setting.pair.folder, which, 'auditor-trail.jsonl'), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const PAGES = ['/auditor', '/auditor?search=1', '/auditor/exchange?id=x', '/auditor/log'];
const FORMS = ['/auditor/record', '/auditor/export', '/auditor/log/audit', '/auditor/log/stop'];

t.test('who gets in', async (t) => {
  const keys = [
    ['nothing', '', 401],
    ['an unknown key', 'test-nobody-key-0000000000000', 401],
    ['a key and something more', `${AUDITOR_KEY}x`, 401],
    ['a very long one', 'x'.repeat(999), 401],
    ['the key of an administrator', ADMIN_KEY, 403],
    ['the key of an auditor', AUDITOR_KEY, 303],
    ['the same, as it is copied from a file', ` ${AUDITOR_KEY}\n`, 303],
  ] as const;
  for (const [name, key, status] of keys) {
    const visitor = new Visitor(base);
    const got = await visitor.signIn(key);
    t.equal(got.status, status, name);
    t.equal(visitor.cookie !== '', status === 303, `${name}: a cookie`);
    t.equal((await visitor.get('/auditor/log')).status, status === 303 ? 200 : 303, name);
    if (status !== 303) t.notMatch(got.text, key === '' ? /\0/ : key.slice(0, 40), 'no key is shown again');
  }
  const got = await new Visitor(base).signIn();
  t.match(
    got.headers.getSetCookie().join(),
    /^accord-auditor-[0-9a-f]{12}=[\w-]{43}; Path=\/auditor; HttpOnly; SameSite=Strict$/,
  );
  const stranger = new Visitor(base);
  for (const path of PAGES) {
    const { status, headers } = await stranger.get(path);
    t.same([status, headers.get('location')], [303, `/auditor/sign-in?${new URLSearchParams({ to: path })}`], path);
  }
  for (const path of FORMS) t.equal((await stranger.post(path, { id, seq: '1', reason: 'because' })).status, 401, path);
  const bearer = { authorization: `Bearer ${AUDITOR_KEY}` };
  const { status } = await fetch(`${base}/auditor/log`, { headers: bearer, redirect: 'manual' });
  t.equal(status, 303, 'a key in a header opens no page');
  t.equal((await fetch(`${base}/auditorx`)).status, 401, 'only these pages have a sign-in of their own');
  t.equal((await fetch(`${base}/status`, { headers: { cookie: 'x' } })).status, 401);
});

t.test('forms come from these pages and from this session', async (t) => {
  const [one, two] = [new Visitor(base), new Visitor(base)];
  await one.signIn();
  await two.signIn();
  const csrf = await one.csrf();
  const cases = [
    ['another site', { csrf }, { origin: 'http://evil.example' }],
    ['another site, as browsers say it', { csrf }, { 'sec-fetch-site': 'cross-site' }],
    ['nowhere', { csrf }, { origin: 'null' }],
    ['no token', {}, {}],
    ['the token of another session', { csrf: await two.csrf() }, {}],
  ] as const;
  for (const [name, fields, headers] of cases) {
    for (const path of [...FORMS, '/auditor/sign-out']) {
      t.equal((await one.post(path, { ...fields }, { ...headers })).status, 403, `${path}: ${name}`);
    }
  }
  t.equal((await one.post('/auditor/sign-in', { key: AUDITOR_KEY }, { origin: 'http://evil.example' })).status, 403);
  t.equal((await one.post('/auditor/log/audit', { csrf, more: '1' })).status, 400, 'unknown fields');
  t.equal((await one.post('/auditor/record', { csrf, reason: 'x'.repeat(40_000) })).status, 413);
  const { text: log } = await one.get('/auditor/log');
  for (const name of ['本机证书的 OCSP 应答', '最近一次归档副本']) {
    t.match(log, `<dt>${name}</dt>`);
  }
  const { headers } = await one.get('/auditor/log');
  t.match(headers.get('content-security-policy'), /^default-src 'none'; .*form-action 'self'; frame-ancestors 'none'/);
  t.equal(headers.get('cache-control'), 'no-store');
  t.equal((await one.post('/auditor/sign-out', { csrf })).status, 303);
  t.equal((await one.get('/auditor/log')).status, 303, 'signed out');
  t.equal((await two.get('/auditor/log')).status, 200, 'the other is not');
  t.match(trail().slice(-1), [{ action: 'sign-out', auditor: 'audit' }]);
});

t.test('the way back from the sign-in stays here', async (t) => {
  const others = [
    '//evil.example',
    '/auditor//evil.example',
    'https://evil.example',
    '/auditorx',
    '/\\evil',
    '/auditor/\\x',
    '/services',
    7,
  ];
  for (const to of others) t.equal(pathWithin(to), '/auditor', String(to));
  for (const to of ['/auditor', '/auditor?search=1', '/auditor/exchange?id=x&peer=DEV%2FGOV'])
    t.equal(pathWithin(to), to);
  const { headers } = await new Visitor(base).post('/auditor/sign-in', { key: AUDITOR_KEY, to: '//evil.example' });
  t.equal(headers.get('location'), '/auditor');
});

t.test('search', async (t) => {
  const visitor = new Visitor(base);
  await visitor.signIn();
  const rows: [Record<string, string>, boolean][] = [
    [{ search: '1' }, true],
    [{ id }, true],
    [{ id: id.replace(/.$/, (last) => (last === '0' ? '1' : '0')) }, false],
    [{ department: 'DEV/GOV/2002' }, true],
    [{ department: 'DEV/GOV/2002/' }, true],
    [{ department: 'DEV/GOV/200' }, false],
    [{ department: PROVIDER }, true],
    [{ department: CLIENT, service: SERVICE, code: 'OK' }, true],
    [{ service: 'DEV/GOV/2002/provider' }, false],
    [{ code: 'ACCESS_DENIED' }, false],
    [{ purpose: 'none' }, false],
    [{ from: '2000-01-01', to: '2999-12-31' }, true],
    [{ to: '2000-01-01' }, false],
    [{ from: '2999-01-01T00:00' }, false],
    [{ about: 'log', search: '1' }, false],
  ];
  for (const [query, isFound] of rows) {
    const { status, text } = await visitor.get(`/auditor?${new URLSearchParams(query)}`);
    t.same(
      [status, text.split(`/auditor/exchange?id=${id}`).length - 1],
      [200, isFound ? 1 : 0],
      JSON.stringify(query),
    );
  }
  t.match((await visitor.get('/auditor?about=log&search=1&lang=en')).text, /Anchored/);
  for (const query of [
    'id=1',
    'code=x',
    'from=2026-13-01',
    'from=2026-11-23T25:00',
    'from=2026-11-24&to=2026-11-23',
    'id=%00',
    'code=A&code=B',
  ]) {
    t.equal((await visitor.get(`/auditor?${query}`)).status, 400, query);
  }
  t.equal((await visitor.get('/auditor/exchange?id=nothing')).status, 404);
  t.equal((await visitor.get('/auditor/exchange')).status, 404);
  t.equal((await visitor.get('/auditor/nothing')).status, 404);
});

t.test('one exchange, on both sides', async (t) => {
  for (const which of ['consumer', 'provider'] as const) {
    const visitor = new Visitor(setting.pair[which].urls.admin);
    await visitor.signIn();
    const { status, text } = await visitor.get(`/auditor/exchange?id=${id}&lang=en`);
    t.equal(status, 200);
    t.notMatch(text, /Zhao|residents/, 'nobody is named');
    const [own, other] =
      which === 'consumer' ? ['Request sent', 'Answer signed'] : ['Request received', 'Request signed'];
    for (const words of [own, other, 'Signed by DEV/GOV/']) t.match(text, words);
    if (which === 'consumer') {
      t.match(text, /Verdict: VALID/);
      t.match(text, /accord\/DEV\/GOV\/2002\/ss2, entry \d/, 'where the other side logged it, as it signed');
      t.equal(text.match(/\(time-stamp in entry \d+\)/g)?.length, 4, 'both entries are bounded on both sides');
      for (const [i, name] of CHECKS.entries()) t.match(text, `>${i + 1}</span><span>${name}</span>`);
    } else t.match(text, /Verdict: INCOMPLETE.*(?:CHECKPOINT|AGGREGATE)_MISSING/s, 'nobody vouched for that log yet');
    t.match((await visitor.get(`/auditor/exchange?id=${id}&lang=zh`)).text, /检查项目/);
  }
});

t.test('opening a record is noted first', async (t) => {
  const visitor = new Visitor(base);
  await visitor.signIn();
  const csrf = await visitor.csrf();
  const [record] = setting.pair.consumer.parts.log.find(null, id).filter(({ entry }) => entry.kind === 'request-sent');
  const seq = String(record?.seq);
  const before = trail().length;
  for (const reason of ['', 'x', ' \n\n ', 'x'.repeat(201)]) {
    const { status, text } = await visitor.post('/auditor/record', { csrf, id, seq, reason });
    t.equal(status, 400, JSON.stringify(reason.slice(0, 9)));
    t.notMatch(text, /Zhao/);
  }
  for (const [one, other] of [
    [id, '0'],
    [id, '-1'],
    [id, '99999'],
    ['x', seq],
  ] as const) {
    t.equal((await visitor.post('/auditor/record', { csrf, id: one, seq: other, reason: 'because' })).status, 404);
  }
  t.equal(trail().length, before, 'nothing was done, nothing is noted');
  const { status, text, headers } = await visitor.post('/auditor/record', { csrf, id, seq, reason: 'case\r\n 7/2026' });
  t.equal(status, 200);
  t.match(text, /&#60;b&#62;Zhao Ming/);
  t.notMatch(text, /<b>Zhao/);
  t.equal(headers.get('cache-control'), 'no-store');
  const noted = {
    action: 'open-record',
    auditor: 'audit',
    exchange: id,
    peer: PROVIDER,
    seq: record?.seq,
    reason: 'case 7/2026',
  };
  t.match(trail().slice(before), [noted]);
});

t.test('export, with contents only when it is confirmed', async (t) => {
  const visitor = new Visitor(base);
  await visitor.signIn();
  const csrf = await visitor.csrf();
  const fields = { csrf, id, peer: PROVIDER, reason: 'case 8' };
  const before = trail().length;
  t.equal((await visitor.post('/auditor/export', { ...fields, content: 'with' })).status, 400);
  t.equal((await visitor.post('/auditor/export', { ...fields, content: 'with', confirm: 'no' })).status, 400);
  t.equal((await visitor.post('/auditor/export', { ...fields, content: 'all', confirm: 'yes' })).status, 400);
  t.equal(trail().length, before);
  const folder = mkdtempSync(join(tmpdir(), 'accord-auditor-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const [content, verdict] of [
    ['with', 'VALID'],
    ['without', 'INCOMPLETE'],
  ] as const) {
    const got = await visitor.post('/auditor/export', { ...fields, content, confirm: 'yes' });
    t.equal(got.headers.get('content-disposition'), `attachment; filename="${id}.zip"`);
    t.equal(got.bytes.includes('Zhao Ming'), content === 'with');
    const file = join(folder, `${content}.zip`);
    writeFileSync(file, got.bytes);
    t.equal(await judged(file), verdict, content);
  }
  t.match(trail().slice(before), [
    { action: 'export', exchange: id, withContent: true, reason: 'case 8' },
    { action: 'export', exchange: id, withContent: false, reason: 'case 8' },
  ]);
});

/** By the command line, as another auditor would. The server lives on meanwhile, and closes connections that are idle. */
async function judged(file: string): Promise<string> {
  const program = ['--import=./test/preload.ts', 'cli/main.ts', 'audit', 'verify'];
  const command = [...program, file, '--anchor', setting.anchorFolder, '--json'];
  try {
    return verdictOf((await promisify(execFile)(process.execPath, command)).stdout);
  } catch (error) {
    return verdictOf((error as { stdout: string }).stdout);
  }
}

function verdictOf(json: string): string {
  return (JSON.parse(json) as { verdict: string }).verdict;
}

t.test('the whole log is verified, one at a time', async (t) => {
  const visitor = new Visitor(base);
  await visitor.signIn();
  const csrf = await visitor.csrf();
  t.equal((await visitor.post('/auditor/log/audit', { csrf, bodies: 'yes' })).status, 303);
  t.equal((await visitor.post('/auditor/log/audit', { csrf })).status, 409);
  const text = await ended(visitor);
  t.match(text, /Result: in order/);
  t.match(text, /all verified/);
  t.match(text, /Quorum of witnesses.*[0-9]+ anchorings have it.*Time-stamps.*[0-9]+ anchorings have it/s);
  t.match(text, /[1-9] opened and compared/);
  const file = join(setting.pair.folder, 'consumer', 'auditor-audit.json');
  while (!existsSync(file)) await new Promise((resolve) => setImmediate(resolve));
  const kept = JSON.parse(readFileSync(file, 'utf8')) as object;
  t.match(kept, { by: 'audit', outcome: 'reported', report: { ok: true, signatures: true, quorum: { unknown: 0 } } });
  t.equal((await visitor.post('/auditor/log/audit', { csrf })).status, 303);
  t.equal((await visitor.post('/auditor/log/stop', { csrf })).status, 303);
  t.match(
    (await visitor.get('/auditor/log?lang=en')).text,
    /stopped by hand.*Result: in order/s,
    'the last whole one stays',
  );
});

async function ended(visitor: Visitor): Promise<string> {
  for (;;) {
    const { text } = await visitor.get('/auditor/log?lang=en');
    if (!text.includes('<progress')) return text;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const NAUGHTY = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onfocus='alert(1)' autofocus='",
  '</title><svg onload=alert(1)>',
  '\u202Egnp.exe',
  'javascript:alert(1)',
  '{{7*7}}<%=7%>',
  '../../etc/passwd',
  "'; DROP TABLE entries; --",
  '\ud83d\ude00\u0000'.slice(0, 2),
];

t.test('naughty names stay names', async (t) => {
  const visitor = new Visitor(base);
  await visitor.signIn();
  const csrf = await visitor.csrf();
  const { log } = setting.pair.consumer.parts;
  const exchange = '0193a8c2-0000-7000-8000-00000000000';
  for (const [i, text] of NAUGHTY.entries()) {
    await log.append({
      ...{ kind: 'void', id: `${exchange}${i.toString(16)}`, peer: text, client: text, service: text, purpose: text },
      ...{ basis: null, code: text.slice(0, 64), decisionHash: null, configurationVersion: 7, retention: 'standard' },
      ...{ evidence: null, sealed: null },
    });
  }
  const FIELDS = 'id department service purpose code from to about before lang search'.split(' ');
  const isTame = (text: string) => !/<(?:script|img|svg|title><svg)|[ '"](?:onfocus|onerror)='/.test(text);
  const list = await visitor.get('/auditor?search=1&lang=en');
  t.equal(list.text.match(/Declared void/g)?.length, NAUGHTY.length);
  t.ok(isTame(list.text), 'in the list');
  for (const [i, text] of NAUGHTY.entries()) {
    const query = new URLSearchParams({ id: `${exchange}${i.toString(16)}`, peer: text });
    const page = await visitor.get(`/auditor/exchange?${query}`);
    t.equal(page.status, 200, text);
    t.ok(isTame(page.text), text);
    for (const field of FIELDS) {
      const { status, text: shown } = await visitor.get(`/auditor?${new URLSearchParams({ [field]: text })}`);
      t.ok((status === 200 || status === 400) && isTame(shown), `${field}: ${text}`);
    }
    for (const path of ['/auditor/record', '/auditor/export']) {
      const fields = path.endsWith('t') ? { peer: text, content: 'without' } : { seq: '1' };
      const got = await visitor.post(path, { csrf, id: text, reason: text, ...fields });
      t.ok(got.status === 404 && isTame(got.text), `${path}: ${text}`);
    }
    const { text: away } = await new Visitor(base).get(`/auditor/sign-in?${new URLSearchParams({ to: text })}`);
    t.ok(isTame(away));
  }
  for (const line of trail()) t.equal(typeof line['action'], 'string', 'a naughty reason is one line');
});

t.test('each check and each code has its words', async (t) => {
  for (const name of CHECKS) {
    t.match(checkName(name, 'zh'), /\p{sc=Han}/u, name);
    for (const language of ['zh', 'en'] as const) t.ok(checkMeaning(name, language), name);
  }
  for (const code of Object.keys(PACK_CODES)) t.match(packCodeWords(code as PackCode, 'zh'), /\p{sc=Han}/u, code);
  const ofState =
    /^(?:LOG|TIME_STAMP|WITNESS|AGGREGATE|ANCHORING|ARCHIVE|NOTE|RECORD_KEYS)_|^QUORUM_MISSING$|^RECORD_UNREADABLE$/;
  for (const code of Object.keys(PROBLEMS).filter((one) => ofState.test(one)))
    t.match(String(stateWords(code, 'zh')), /\p{sc=Han}/u, code);
  t.equal(String(detailWords('0 of 2 witnesses', 'zh')), '须 2 个，仅有 0 个');
});

t.test('what cannot be noted is not done', async (t) => {
  const { pair } = setting;
  const visitor = new Visitor(base);
  await visitor.signIn();
  const csrf = await visitor.csrf();
  const file = join(pair.folder, 'consumer', 'auditor-trail.jsonl');
  const kept = readFileSync(file);
  rmSync(file);
  mkdirSync(file);
  const seq = String(pair.consumer.parts.log.find(null, id)[0]?.seq);
  const got = await visitor.post('/auditor/record', { csrf, id, seq, reason: 'because' });
  t.equal(got.status, 503);
  t.notMatch(got.text, /Zhao/);
  t.equal(
    (await visitor.post('/auditor/export', { csrf, id, peer: PROVIDER, content: 'without', reason: 'case' })).status,
    503,
  );
  rmSync(file, { recursive: true });
  writeFileSync(file, kept);
});
