// `accord audit replay` on the data folders of two real servers: what was decided is decided again, while they run and
// after somebody changed the archive, and what a server's record says against itself is told.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { leafHash } from '#certs/merkle.ts';
import { storageKeyOf } from '#certs/storage-key.ts';
import { writeKeyFile } from '#core/key-store.ts';
import type { RecordView } from '#core/log/record.ts';
import { readRecordKeysSqlite } from '#core/log/record-keys-sqlite.ts';
import { sealRecord } from '#core/log/sealed-record.ts';
import { archiveDecision, type Decision, decide } from '#policy/decide.ts';
import type { DecisionInputs } from '#policy/decision-inputs.ts';
import { encodeLogEntry } from '#schemas/log-entry.ts';
import { encodeStatement, parseStatement } from '#schemas/statement.ts';
import { accessRight, CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { findAnswers, replayExchange } from '#security-server/replay-exchange.ts';
import { post } from '#test/security-server/asking.ts';
import { ENTRIES, tableOf } from '#test/security-server/bound-service.ts';
import { accord } from './run.ts';

const PASSPHRASE = 'correct horse battery staple';
const RIGHT = accessRight({ elements: ['gx.name@1', 'gx.income@1', 'gx.currency@1', 'gx.pred.age_ge_18@1'] });
const DAY_MS = 86_400_000;

interface Folder {
  pair: Pair;
  storageKey: Buffer;
  ask(over: object): Promise<string>;
  replay(which: 'provider' | 'consumer', id: string, ...argv: string[]): ReturnType<typeof accord>;
}

/** Two servers whose storage keys lie in key files, as in a data folder that `accord server init` made. */
async function openFolders(t: Test): Promise<Folder> {
  const pair = await openPair({ right: RIGHT });
  const secrets = mkdtempSync(join(tmpdir(), 'accord-audit-'));
  t.teardown(async () => {
    await pair.close();
    rmSync(secrets, { recursive: true, force: true });
  });
  const { privateKey } = generateKeys('X25519');
  const storageKey = storageKeyOf(privateKey);
  const cost = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
  const about = { use: 'storage' as const, createdAtMs: 0, label: 'test' };
  const sealed = await sealKey(privateKey, PASSPHRASE, about, cost);
  for (const which of ['provider', 'consumer'] as const) {
    const folder = join(pair.folder, which);
    mkdirSync(join(folder, 'keys'), { mode: 0o700 });
    await writeKeyFile(join(folder, 'keys'), 'storage', sealed);
    await pair[which].close(1_000);
    rmSync(join(folder, 'record-keys'), { recursive: true });
    await pair.reopen(which, { keys: { ...pair.identities[which].keys, storageKey } });
  }
  pair.configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  pair.configuration.bind(tableOf());
  pair.provider.parts.state.putRight(RIGHT);
  pair.backend.answer = (_request, _body, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name: '王芳', birthDate: '1990-02-03', years: [] }));
  };
  const file = join(secrets, 'passphrase');
  writeFileSync(file, PASSPHRASE, { mode: 0o600 });
  return {
    pair,
    storageKey,
    ask: async (over) =>
      (await post(pair, '/lookups', { client: CLIENT, service: SERVICE, path: '/residents/7', ...over })).json.id,
    replay: (which, id, ...argv) =>
      accord('audit', 'replay', id, '--dir', join(pair.folder, which), '--passphrase-file', file, ...argv),
  };
}

t.test('what was decided is decided again, while both servers run', async (t) => {
  const { pair, ask, replay } = await openFolders(t);
  const cases: [string, object, object, RegExp][] = [
    [
      'allowed',
      { fields: ['/name'] },
      { code: 'OK', decision: { allowed: true, release: { asked: [{ path: '/name', element: 'gx.name@1' }] } } },
      /permitted +│ \/name \(gx\.name@1\)/,
    ],
    [
      'refused',
      { fields: ['/name', '/birthDate'] },
      { code: 'FIELDS_NOT_PERMITTED', decision: { allowed: false, code: 'FIELDS_NOT_PERMITTED', release: null } },
      /decided +│ FIELDS_NOT_PERMITTED \/birthDate/,
    ],
    [
      'a predicate',
      { fields: ['gx.pred.age_ge_18@1'] },
      { code: 'OK', decision: { release: { asked: [{ path: null, element: 'gx.pred.age_ge_18@1' }] } } },
      /permitted +│ gx\.pred\.age_ge_18@1/,
    ],
    [
      'in part',
      { fields: ['/name', '/birthDate'], partial: true, userId: 'clerk-7', issue: 'YB-1' },
      { code: 'OK', decision: { release: { omitted: [{ path: '/birthDate', element: 'gx.birth_date@1' }] } } },
      /omitted +│ \/birthDate \(gx\.birth_date@1\)/,
    ],
    [
      'a purpose that no right names',
      { fields: ['/name'], purpose: 'curiosity' },
      { code: 'PURPOSE_NOT_ALLOWED', decision: { rightId: RIGHT.id }, entry: { purpose: 'curiosity' } },
      /purpose +│ curiosity/,
    ],
  ];
  for (const [name, over, expected, shown] of cases) {
    const id = await ask(over);
    const ended = await replay('provider', id, '--json');
    t.equal(ended.code, 0, `${name}: ${ended.stderr}`);
    const told = JSON.parse(ended.stdout);
    t.match(told, { verdict: 'SAME', side: 'provider', exchange: id, notChecked: [], ...expected }, name);
    const [entry] = pair.provider.parts.log.find(null, id);
    t.same([told.hash, told.recomputedHash], [entry?.entry.decisionHash, entry?.entry.decisionHash], name);
    t.match((await replay('provider', id)).stdout, shown, `${name}: for people`);
    t.match(JSON.parse((await replay('consumer', id, '--json')).stdout), { verdict: 'HASH_ONLY', hash: told.hash });
  }

  const id = await ask({ fields: ['/name'] });
  const doubt = { client: CLIENT, service: SERVICE, element: 'gx.name@1', doubted: '王芳', exchange: id };
  const reported = await post(pair, '/doubts', { ...doubt, subject: { scheme: 'gx.id@1', value: '7' } });
  const { id: report } = reported.json['report'] as { id: string };
  t.match(await replay('provider', report, '--json'), { code: 0, stdout: /"verdict":"NO_DECISION"/ });

  // A question what would be released is decided and archived as well; its answer is no release.
  for (const field of ['/name', '/birthDate']) {
    const lookup = { client: CLIENT, service: SERVICE, path: '/residents/7', fields: [field] };
    const question = await post(pair, '/lookups/effective-access', lookup);
    const told = JSON.parse((await replay('provider', question.json.id, '--json')).stdout);
    t.match(told, { verdict: 'SAME', code: 'OK', decision: { code: question.json.code }, notChecked: [] }, field);
  }

  const file = join(pair.folder, 'inputs.json');
  t.equal((await replay('provider', id, '--save-inputs', file)).code, 0);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.match(await replay('provider', id, '--save-inputs', file), { code: 5, stderr: /EEXIST/ }, 'never overwritten');
  const handed = await replay('consumer', id, '--inputs', file, '--json');
  t.match(JSON.parse(handed.stdout), { verdict: 'SAME', side: 'consumer', notChecked: [], decision: { code: 'OK' } });
  writeFileSync(file, readFileSync(file, 'utf8').replace('"usedToday":0', '"usedToday":1'));
  t.match(await replay('consumer', id, '--inputs', file, '--json'), {
    code: 7,
    stdout: /"verdict":"DIFFERENT"/,
    stderr: /commits to\nNext: /,
  });

  const other = '01890000-0000-7000-8000-000000000000';
  t.match(await replay('provider', other), { code: 3, stderr: /no answer.*\nNext: /s });
  t.match(await replay('provider', id, '--peer', 'DEV/GOV/1/x'), { code: 3 });
  t.match(await accord('audit', 'replay', id, '--dir', join(pair.folder, 'none')), { code: 3, stderr: /LOG_MISSING/ });
});

t.test('an archive that was changed, and one that was erased', async (t) => {
  const { pair, ask, replay, storageKey } = await openFolders(t);
  const ids = [];
  for (const field of ['/name', '/name', '/years', '/name']) ids.push(await ask({ fields: [field] }));
  const [flipped, sealedAgain, lineChanged, erased] = ids as [string, string, string, string];
  const log = pair.provider.parts.log;
  const answerOf = (id: string) => log.find(null, id).find(({ entry }) => entry.kind === 'response-sent') as RecordView;
  const parts = log.readSealed(answerOf(sealedAgain).seq);
  const folder = join(pair.folder, 'provider');
  const file = join(folder, 'log', 'messages.db');
  const db = new Database(file);
  db.exec('DROP TRIGGER IF EXISTS entries_update');
  const sealedOf = (seq: number) =>
    db.prepare('SELECT key_id AS keyId, sealed AS bytes FROM entries WHERE seq = ?').get(seq) as {
      keyId: Buffer;
      bytes: Buffer;
    };
  const write = (seq: number, bytes: Buffer) =>
    db.prepare('UPDATE entries SET sealed = ? WHERE seq = ?').run(bytes, seq);

  const first = answerOf(flipped).seq;
  const bytes = Buffer.from(sealedOf(first).bytes);
  bytes[bytes.length - 40]! ^= 1;
  write(first, bytes);
  t.match(await replay('provider', flipped), { code: 7, stdout: /UNREADABLE/, stderr: /^UNREADABLE: .*\nNext: /s });

  // Somebody who holds the storage key: the record opens, and is not what the answer commits to.
  const second = answerOf(sealedAgain);
  const keys = readRecordKeysSqlite(join(folder, 'record-keys'), storageKey);
  const key = keys.open(sealedOf(second.seq).keyId)!;
  keys.close();
  const forged = Buffer.from(parts!.decisionInputs!.toString('utf8').replaceAll('gx.name@1', 'gx.birth_date@1'));
  const leaf = Buffer.from(second.leafHash, 'base64url');
  write(second.seq, sealRecord({ ...parts, decisionInputs: forged }, key, log.origin, leaf));
  t.match(await replay('provider', sealedAgain, '--json'), { code: 7, stdout: /"verdict":"DIFFERENT"/ });

  const third = answerOf(lineChanged);
  db.prepare('UPDATE entries SET line = replace(line, \'"OK"\', \'"NO"\') WHERE seq = ?').run(third.seq);
  t.match(await replay('provider', lineChanged), { code: 7, stderr: /DIFFERENT: the entry was changed/ });
  db.close();

  t.equal((await replay('provider', erased)).code, 0);
  t.ok(log.erasure.destroyDays('standard', 0, Math.floor(Date.now() / DAY_MS)) > 0);
  const gone = await replay('provider', erased, '--json');
  t.match(JSON.parse(gone.stdout), { verdict: 'ERASED', hash: answerOf(erased).entry.decisionHash, decision: null });
  t.match(gone, { code: 7, stderr: /^ERASED: .*no certificate of destruction/ });
});

t.test('a record that speaks against itself', async (t) => {
  const { pair, ask, replay } = await openFolders(t);
  const log = pair.provider.parts.log;
  /**
   * What a lying server would write: other inputs, with a decision, a hash and a statement that fit them.
   * @param asked what is asked now, or the id of what was asked
   */
  const lie = async (
    asked: object | string,
    change: (inputs: DecisionInputs) => Partial<DecisionInputs>,
    decided?: Decision,
  ) => {
    const [found] = findAnswers(log.find(null, typeof asked === 'string' ? asked : await ask(asked)));
    const { answer, request, side } = found!;
    const parts = log.readSealed(answer.seq)!;
    const { inputs } = JSON.parse(parts.decisionInputs!.toString('utf8')) as { inputs: DecisionInputs };
    const changed = { ...inputs, ...change(inputs) };
    const archive = archiveDecision(changed, decided ?? decide(changed));
    const statement = { ...parseStatement(answer.evidence!.statement), decisionHash: archive.hash };
    const bytes = encodeStatement(statement);
    const entry = { ...answer.entry, decisionHash: archive.hash, statement: sha256(bytes) };
    const line = encodeLogEntry(entry);
    const evidence = { ...answer.evidence!, statement: bytes };
    const forged = { ...answer, entry, line, evidence, leafHash: leafHash(line).toString('base64url') };
    const kept = {
      answer: { state: 'open' as const, parts: { ...parts, decisionInputs: archive.bytes } },
      request: { state: 'open' as const, parts: log.readSealed(request!.seq)! },
    };
    return { forged: { side, answer: forged, request }, kept };
  };
  const name = { fields: ['/name'] };
  const asking = (over: object) => (inputs: DecisionInputs) => ({ request: { ...inputs.request, ...over } });
  const cases: [string, object, (inputs: DecisionInputs) => Partial<DecisionInputs>, RegExp | null][] = [
    ['the truth', name, () => ({}), null],
    ['another path', name, asking({ path: '/residents/8' }), /^path is not/],
    ['another official', name, asking({ userId: 'clerk-8' }), /^userId is not/],
    ['another basis', name, asking({ basis: 'law' }), /^basis was decided for law, asked was open/],
    ['an hour before', name, ({ nowMs }) => ({ nowMs: nowMs - 3_600_000 }), /is not when it was asked/],
    [
      'less was decided than left',
      { fields: ['/name', '/years'] },
      ({ binding }) => ({ binding: { ...binding!, asked: binding!.asked.filter(({ path }) => path === '/name') } }),
      /^released beyond the decision: \/years/,
    ],
    [
      'refused, and answered all the same',
      name,
      () => ({ rights: [] }),
      /; answered, though ACCESS_DENIED was decided/,
    ],
    ['allowed, and refused', { fields: ['/birthDate'] }, () => ({ clientRegistered: false }), /though CLIENT_UNKNOWN/],
  ];
  for (const [lied, over, change, reason] of cases) {
    const { forged, kept } = await lie(over, change);
    const { verdict, reason: told } = replayExchange(forged, kept, null);
    t.match([verdict, told], reason === null ? ['SAME', ''] : ['DIFFERENT', reason], lied);
  }
  const group = 'local-group:aid';
  const defaults = { purpose: null, basis: 'open' as const, fields: ['/name'] };
  const given = { ...RIGHT, id: '00000000-0000-4000-8000-000000000002', client: group, r1Defaults: defaults };
  const { state } = pair.provider.parts;
  state.putGroup({ code: 'aid', title: 'Aid' });
  state.addToGroup('aid', CLIENT);
  state.removeRight(RIGHT.id);
  state.putRight(given);
  const silent = await fetch(`${pair.consumer.urls.loopback}/r1/${SERVICE}/residents/7`, {
    headers: { 'X-Road-Client': CLIENT },
  });
  t.equal(silent.status, 200);
  const named = silent.headers.get('x-road-request-id') ?? '';
  const shown = (await replay('provider', named)).stdout;
  t.match(shown, /verdict +│ SAME/);
  t.match(shown, /given to +│ local-group:aid/, 'through which group');
  t.match(shown, new RegExp(`not named; the defaults of ${given.id}`));
  const other = { ...given, id: RIGHT.id };
  const theirs = /not the defaults of the one right that has them/;
  const ofDefaults: [string, object | string, (inputs: DecisionInputs) => Partial<DecisionInputs>, RegExp | null][] = [
    ['the truth', named, () => ({}), null],
    ['other fields than the defaults', named, asking({ fields: ['/name', '/years'] }), theirs],
    ['another purpose', named, asking({ purpose: 'x' }), theirs],
    ['the defaults of another right', named, () => ({ defaultsFrom: RIGHT.id }), theirs],
    ['of one among two', named, (all) => ({ rights: [...all.rights, { right: other, usedToday: 0 }] }), theirs],
    ['of a group it was not in', named, () => ({ groups: [] }), theirs],
    ['as if they were its own', named, () => ({ defaultsFrom: null }), /^fields is not the one that was asked/],
    ['for a lookup that names its own', name, () => ({ defaultsFrom: given.id }), /for a call that names its own/],
  ];
  for (const [lied, asked, change, reason] of ofDefaults) {
    const { forged, kept } = await lie(asked, change);
    const { verdict, reason: told } = replayExchange(forged, kept, null);
    t.match([verdict, told], reason === null ? ['SAME', ''] : ['DIFFERENT', reason], lied);
  }
  const always = { allowed: true, code: 'OK' as const, detail: '', rightId: RIGHT.id, retention: 'standard' };
  const { forged, kept } = await lie(name, () => ({ rights: [] }), { ...always, release: null });
  t.match(replayExchange(forged, kept, null), {
    verdict: 'DIFFERENT',
    reason: /OK was decided, the present rules give ACCESS_DENIED/,
    decision: { code: 'OK' },
    recomputed: { code: 'ACCESS_DENIED' },
  });
  const alone = replayExchange({ ...forged, request: null }, { ...kept, request: { state: 'none' } }, null);
  t.equal(alone.verdict, 'DIFFERENT');

  const { forged: honest, kept: parts } = await lie(name, () => ({}));
  const half = replayExchange(honest, { ...parts, request: { state: 'erased' } }, null);
  t.match(half, { verdict: 'SAME', notChecked: [/^the request/] }, 'what is erased is said');
  const orphan = replayExchange({ ...honest, request: null }, parts, null);
  t.match(orphan, { verdict: 'DIFFERENT', reason: /is not in this log/ });
});
