// What stops a destruction in the middle, and what an audit finds that somebody changed afterwards.
import { spawnSync } from 'node:child_process';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { verifyLog } from '#core/log/audit.ts';
import type { NewRecord } from '#core/log/message-log.ts';
import { openNewOrigin } from '#core/log/new-origin.ts';
import { readCertificate, signCertificate } from '#core/retention/certificate.ts';
import { auditErasure } from '#core/retention/undestroyed.ts';
import { encodeNote, type IntentNote, readDone, readIntent } from '#schemas/retention.ts';
import { dataDir } from '#test/core/log-fixture.ts';
import { BEGAN_MS, DUE, ORIGIN, openDestroyer, person, writeRecords } from './destroyer.ts';
import { rawFiles, wrappedKeys } from './raw-files.ts';

t.setTimeout(60_000);
const DESTROYER = fileURLToPath(import.meta.resolve('./destroyer.ts'));
const DAY = Math.floor(BEGAN_MS / 86_400_000);
type Destroyer = Awaited<ReturnType<typeof openDestroyer>>;

function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'accord-destroy-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const audited = (folder: string) => {
  const { folder: log, checkpointFile } = dataDir(folder);
  return verifyLog({ folder: log, checkpointFile });
};

const erasure = (folder: string, { storageKey, signing }: Pick<Destroyer, 'storageKey' | 'signing'>) => {
  const signers = new Map([[signing.certificateHash, createPublicKey(signing.key)]]);
  const { folder: log, keyFolder } = dataDir(folder);
  return auditErasure({ folder: log, origin: ORIGIN, keyFolder, storageKey, signers });
};

t.test('killed behind each step: the next start completes it, once', async (t) => {
  for (const step of ['intended', 'keys', 'rows', 'done']) {
    const folder = folderOf(t);
    const first = spawnSync(process.execPath, [DESTROYER, folder, step], { encoding: 'utf8' });
    t.equal(first.signal, 'SIGKILL', `${step} ${first.stderr}`);
    const parts = await openDestroyer(folder);
    await parts.retention.start();
    t.match(await audited(folder), { ok: true }, step);
    const kinds = parts.log.read(4, 100).map(({ entry }) => entry.kind);
    t.same(kinds, ['destruction-intended', 'destruction-done'], step);
    t.same(
      [0, 1, 2, 3].map((seq) => parts.log.readSealed(seq) !== null),
      [false, false, false, true],
    );
    t.match(parts.retention.destructions(), [{ state: 'done' }]);
    t.equal(parts.accesses.between(0, 2 * BEGAN_MS, { atMs: -1, row: 0 }, 10).length, 1, 'the rows are gone too');
    t.match(await erasure(folder, parts), { ok: true, certificates: 1 });
    await parts.close();
  }
});

t.test('a reader that keeps keys in the write-ahead log: not done, no hold, done later', async (t) => {
  const folder = folderOf(t);
  const parts = await openDestroyer(folder);
  await writeRecords(parts);
  const keys = wrappedKeys(folder);
  const { retention } = parts;
  await retention.start();
  const { id } = await retention.request(DUE, person('Zhao'));
  const reader = new Database(join(dataDir(folder).keyFolder, 'record-keys.db'), { readonly: true });
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM day_keys').get();
  t.match(await retention.approve(id, person('Sun')), { state: 'under-way', certificate: null });
  t.equal(retention.underWay(), 1);
  t.equal(parts.log.readSealed(0), null, 'what is under way is unreadable already');
  const hold = retention.place({ kind: 'class', retention: 'short' }, 'order', 'why', person('Zhao'));
  await t.rejects(hold, { code: 'DESTRUCTION_UNDER_WAY' });
  reader.close();
  await retention.tick();
  t.match(retention.destruction(id), { state: 'done' });
  const raw = rawFiles(folder);
  t.equal(keys.filter((key) => raw.includes(key)).length, 2, 'group and day key of the other class');
  await parts.close();
  t.match(await audited(folder), { ok: true });
});

t.test('a key store that was put back: the key that still opens is found', async (t) => {
  const folder = folderOf(t);
  const parts = await openDestroyer(folder);
  const ids = await writeRecords(parts);
  const { retention, log, clock } = parts;
  const { keyFolder } = dataDir(folder);
  const file = join(keyFolder, 'record-keys.db');
  new Database(file).exec('PRAGMA wal_checkpoint(TRUNCATE)');
  copyFileSync(file, join(folder, 'backup.db'));
  await retention.start();
  const single = { retention: null, throughDay: null, exchanges: [{ id: ids[3] ?? '', peer: null }] };
  const court = await retention.request({ ...single, legalBasis: 'order 5', reason: 'ordered' }, person('Zhao'));
  const done = await retention.approve(court.id, person('Sun'));
  t.match(done, { state: 'done', intent: { note: { days: [], records: [{ origin: ORIGIN, seq: 3 }] } } });
  clock.atMs += 1_000;
  const due = await retention.request(DUE, person('Zhao'));
  const approved = retention.approve(due.id, person('Sun'));
  await t.rejects(async () => await retention.withdraw(due.id, person('Zhao')), { code: 'DESTRUCTION_CLOSED' });
  t.match(await approved, { state: 'done' });
  t.same(
    [0, 3].map((seq) => log.readSealed(seq)),
    [null, null],
  );
  await parts.close();
  t.match(await erasure(folder, parts), { ok: true, certificates: 2, entries: 1 });
  copyFileSync(join(folder, 'backup.db'), file);
  for (const end of ['-wal', '-shm']) rmSync(file + end, { force: true });
  t.match(await erasure(folder, parts), { ok: false, code: 'RECORD_KEY_NOT_DESTROYED', seq: 3 });
  const other = { ...parts, signing: { ...parts.signing, certificateHash: 'A'.repeat(43) } };
  t.match(await erasure(folder, other), { ok: false, code: 'CERTIFICATE_NOT_REGISTERED' });
  t.match(await audited(folder), { ok: true }, 'the log itself is as it was');
  const again = await openDestroyer(folder);
  t.not(again.log.readSealed(0), null);
  await again.retention.start();
  t.same(
    [0, 3].map((seq) => again.log.readSealed(seq)),
    [null, null],
    'the next start destroys them again',
  );
  await again.close();
  t.match(await erasure(folder, parts), { ok: true });
});

t.test('a log that was closed between intent and done: the next one completes it', async (t) => {
  const folder = folderOf(t);
  const first = spawnSync(process.execPath, [DESTROYER, folder, 'intended'], { encoding: 'utf8' });
  t.equal(first.signal, 'SIGKILL', first.stderr);
  const parts = await openDestroyer(folder);
  const { clock } = parts;
  await parts.close();
  const { folder: log, checkpointFile } = dataDir(folder);
  const checkpointKey = createPrivateKey(readFileSync(join(folder, 'checkpoint.pem')));
  openNewOrigin({ folder: log, checkpointFile, origin: ORIGIN, checkpointKey, clock });
  const next = await openDestroyer(folder, undefined, `${ORIGIN}/2`);
  await next.retention.start();
  t.match(next.retention.destructions(), [{ state: 'done', intent: { origin: ORIGIN } }]);
  await next.close();
  t.match(await audited(folder), { ok: true, entries: 2 });
});

/** A log with one destruction, and what somebody may write behind it. */
async function written(t: Test): Promise<{ folder: string; parts: Destroyer; intent: IntentNote; jws: string }> {
  const folder = folderOf(t);
  const parts = await openDestroyer(folder);
  await writeRecords(parts);
  await parts.retention.start();
  const { id } = await parts.retention.request(DUE, person('Zhao'));
  await parts.retention.approve(id, person('Sun'));
  const [intent, done] = parts.log.read(4, 2);
  const jws = readDone(done!.evidence!.statement).certificate;
  return { folder, parts, intent: readIntent(intent!.evidence!.statement), jws };
}

const UUID = '00000000-0000-4000-8000-00000000000a';

t.test('notes that do not say what their kind says are found in their place', async (t) => {
  const { folder, parts, intent, jws } = await written(t);
  const [gone, , , kept] = parts.log.read(0, 4);
  await parts.close();
  const { certificate } = readCertificate(jws);
  const days = [{ ...intent.days[0]!, firstDay: DAY - 9, lastDay: DAY - 9 }];
  const other: IntentNote = { ...intent, destruction: UUID, days };
  const hold = { v: 1 as const, hold: UUID, placed: person('Zhao'), legalBasis: 'order', reason: 'why' };
  const lift = { v: 1 as const, hold: UUID, requested: person('Zhao'), approved: person('Sun'), reason: 'over' };
  const placed = (scope: object) => note('hold-placed', UUID, { ...hold, scope });
  const inDays = { kind: 'period', firstDay: DAY - 9, lastDay: DAY - 9 };
  const ofExchange = (one = kept!) => ({ kind: 'exchanges', ids: [one.entry.id] });
  const recordOf = (one = kept!) => ({ origin: ORIGIN, seq: one.seq, leaf: one.leafHash });
  const dayOf = ({ entry: { retention, t: atMs } } = kept!) => {
    const day = Math.floor(atMs / 86_400_000);
    return { ...days[0]!, retention, firstDay: day, lastDay: day };
  };
  const doneOf =
    (over: object, signing = parts.signing) =>
    (seq: number, leaf: string) => {
      const { v: _v, ...scope } = other;
      const signed = signCertificate(
        { ...certificate, ...scope, intent: { seq, leaf: leaf || certificate.intent.leaf }, ...over } as never,
        signing,
      );
      return note('destruction-done', UUID, { v: 1, destruction: UUID, certificate: signed });
    };
  type Step = Entry | ((seq: number, leaf: string) => Entry);
  const cases: [name: string, steps: Step[], bad: number | null, reason: RegExp][] = [
    ['an intent and its end', [note('destruction-intended', UUID, other), doneOf({})], null, /^$/],
    ['intended only: a crash', [note('destruction-intended', UUID, other)], null, /^$/],
    ['rubbish', [note('destruction-intended', UUID, '{}')], 6, /RETENTION_NOTE_MALFORMED/],
    ['another spelling', [note('hold-lifted', UUID, ` ${encodeNote(lift)}`)], 6, /spelling/],
    ['a note of another kind', [note('destruction-intended', UUID, lift)], 6, /RETENTION_NOTE_MALFORMED/],
    ['another id', [note('destruction-intended', UUID, intent)], 6, /another id/],
    ['one person', [note('destruction-intended', UUID, { ...other, approved: person(' zhao ') })], 6, /one person/],
    [
      'one key',
      [note('destruction-intended', UUID, { ...other, approved: { ...person('Sun'), key: other.requested.key } })],
      6,
      /one person/,
    ],
    [
      'an auditor asked',
      [note('destruction-intended', UUID, { ...other, requested: person('Li', 'auditor') })],
      6,
      /auditor/,
    ],
    ['nothing', [note('destruction-intended', UUID, { ...other, days: [] })], 6, /nothing/],
    ['days out of order', [note('destruction-intended', UUID, { ...other, days: [...days, ...days] })], 6, /order/],
    ['twice', [note('destruction-intended', intent.destruction, intent)], 6, /twice/],
    ['done without an intent', [doneOf({})], 6, /without an intent/],
    [
      'another intent',
      [note('destruction-intended', UUID, other), doneOf({ intent: { seq: 4, leaf: certificate.intent.leaf } })],
      7,
      /another intent/,
    ],
    [
      'more than intended',
      [note('destruction-intended', UUID, other), doneOf({ days: intent.days })],
      7,
      /else was done/,
    ],
    [
      'a later time',
      [note('destruction-intended', UUID, other), doneOf({ destroyedAtMs: 2 * BEGAN_MS })],
      7,
      /written down/,
    ],
    [
      'another log',
      [note('destruction-intended', UUID, other), doneOf({ origin: 'accord/DEV/GOV/1001/ss9' })],
      7,
      /another intent/,
    ],
    [
      'no certificate',
      [
        note('destruction-intended', UUID, other),
        note('destruction-done', UUID, { v: 1, destruction: UUID, certificate: 'a.b.c' }),
      ],
      7,
      /DESTRUCTION_MALFORMED/,
    ],
    [
      'a hold and its end',
      [placed(inDays), note('hold-lifted', UUID, lift), note('destruction-intended', UUID, other)],
      null,
      /^$/,
    ],
    ['a held period', [placed(inDays), note('destruction-intended', UUID, other)], 7, /was held/],
    [
      'a held class',
      [placed({ kind: 'class', retention: 'short' }), note('destruction-intended', UUID, other)],
      7,
      /was held/,
    ],
    [
      'a held exchange',
      [placed(ofExchange(kept)), note('destruction-intended', UUID, { ...other, days: [dayOf(kept)] })],
      7,
      /entry 3 was held/,
    ],
    [
      'a held exchange that stays',
      [
        placed(ofExchange(kept)),
        note('destruction-intended', UUID, {
          ...{ ...other, days: [dayOf(kept)], except: [{ origin: ORIGIN, seqs: [3] }] },
        }),
      ],
      null,
      /^$/,
    ],
    [
      'an exchange that was held no more',
      [
        placed(ofExchange(kept)),
        note('hold-lifted', UUID, lift),
        note('destruction-intended', UUID, { ...other, days: [dayOf(kept)] }),
      ],
      null,
      /^$/,
    ],
    [
      'a held exchange whose keys had gone before',
      [placed(ofExchange(gone)), note('destruction-intended', UUID, { ...other, days: [dayOf(gone)] })],
      null,
      /^$/,
    ],
    [
      'the record of a held exchange',
      [placed(ofExchange(kept)), note('destruction-intended', UUID, { ...other, days: [], records: [recordOf(kept)] })],
      7,
      /entry 3 was held/,
    ],
    [
      'a record of a held class',
      [
        placed({ kind: 'class', retention: 'standard' }),
        note('destruction-intended', UUID, { ...other, days: [], records: [recordOf(kept)] }),
      ],
      7,
      /entry 3 was held/,
    ],
    ['placed twice', [placed(inDays), placed(inDays)], 7, /twice/],
    [
      'lifted by one',
      [placed(inDays), note('hold-lifted', UUID, { ...lift, approved: lift.requested })],
      7,
      /one person/,
    ],
    ['lifted without a hold', [note('hold-lifted', UUID, lift)], 6, /without a hold/],
  ];
  for (const [name, steps, bad, reason] of cases) {
    const copy = folderOf(t);
    cpSync(folder, copy, { recursive: true });
    const { log, close } = await openDestroyer(copy);
    let leaf = '';
    for (const step of steps) {
      const record = typeof step === 'function' ? step(log.size() - 1, leaf) : step;
      const appended = await log.append(record);
      if (appended.outcome === 'appended') leaf = appended.leafHash;
    }
    await close();
    const audit = await audited(copy);
    const code = bad === null ? null : 'LOG_EVIDENCE_CHANGED';
    t.match(audit, { ok: bad === null, firstBadSeq: bad, code, detail: reason }, name);
  }
});

type Entry = NewRecord;
function note(kind: NewRecord['kind'], id: string, said: object | string): Entry {
  const nothing = { peer: null, client: null, service: null, purpose: null, basis: null, code: null };
  const text = typeof said === 'string' ? said : encodeNote(said as never);
  const rest = { decisionHash: null, configurationVersion: 1, retention: 'standard', evidence: null, sealed: null };
  return { ...nothing, ...rest, kind, id, note: text };
}
