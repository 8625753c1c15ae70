// A log that is closed and followed by another, and a log whose checkpoint key changes: what is cited and signed, what a
// crash at each step leaves, and what somebody with the disk in their hands cannot make of it.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { cpSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import { leafHash } from '#certs/merkle.ts';
import { acceptStoredCheckpoint } from '#core/log/accept-checkpoint.ts';
import { verifyLog } from '#core/log/audit.ts';
import { rotationNote } from '#core/log/key-chain.ts';
import { type MessageLogOptions, openMessageLog } from '#core/log/message-log.ts';
import { openNewOrigin } from '#core/log/new-origin.ts';
import { originNumber, originOfFolder } from '#core/log/origin.ts';
import { rotateCheckpointKey } from '#core/log/rotate-key.ts';
import { checkpointText, formatVerifierKey, noteVerifier, signNote } from '#core/log/signed-note.ts';
import { openLogStoreSqlite } from '#core/log/store-sqlite.ts';
import { audited } from './audited.ts';
import { logFixture, OWN, PEER, requestRecords } from './log-fixture.ts';

const ORIGIN = `accord/${OWN}`;
const freshKey = () => generateKeyPairSync('ed25519').privateKey;
const keyOf = (origin: string, key: KeyObject) => formatVerifierKey(noteVerifier(origin, rawEd25519PublicKey(key)));

function fixture(t: Parameters<typeof logFixture>[0]) {
  const made = logFixture(t);
  made.options.origin = ORIGIN;
  return made;
}

async function append(options: MessageLogOptions, count: number): Promise<void> {
  const log = await openMessageLog(options);
  await Promise.all(requestRecords(count).map((record) => log.append(record)));
  await log.close();
}

/** Opens the database without its triggers. */
function owned(folder: string, change: (db: InstanceType<typeof Database>) => void): void {
  const db = new Database(join(folder, 'messages.db'));
  for (const name of db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all()) {
    db.exec(`DROP TRIGGER ${name}`);
  }
  change(db);
  db.close();
}

/** Puts another note under an entry, consistently. */
function renote(folder: string, seq: number, note: string): void {
  owned(folder, (db) => {
    const line = db.prepare('SELECT line FROM entries WHERE seq = ?').pluck().get(seq) as string;
    const other = line.replace(/"statement":"[^"]*"/, `"statement":"${sha256(note)}"`);
    db.prepare('UPDATE entries SET line = ?, leaf = ? WHERE seq = ?').run(other, leafHash(other), seq);
    db.prepare('UPDATE entries SET statement = ? WHERE seq = ?').run(Buffer.from(note), seq);
  });
}

t.test('a restored log is closed and followed by another that cites its last checkpoint', async (t) => {
  const { options, dir, clock } = fixture(t);
  const { folder, checkpointFile } = options;
  t.throws(() => openNewOrigin(options), { code: 'LOG_CHECKPOINT_MISSING' }, 'nothing to cite');
  rmSync(folder, { recursive: true, force: true });
  await append(options, 5);
  cpSync(folder, join(dir, 'backup'), { recursive: true });
  await append(options, 3);
  const last = readFileSync(checkpointFile, 'utf8');
  rmSync(folder, { recursive: true });
  renameSync(join(dir, 'backup'), folder);
  await t.rejects(openMessageLog(options), { code: 'LOG_ROLLED_BACK' });

  clock.pass(1_000);
  const made = openNewOrigin(options);
  t.match(made, { origin: `${ORIGIN}/2`, closed: { origin: ORIGIN, folder: `${folder}-1` }, cited: { size: 8 } });
  t.equal(originOfFolder(folder, checkpointFile), made.origin);
  t.equal(readFileSync(join(made.closed.folder, 'checkpoint.txt'), 'utf8'), last);
  t.equal(statSync(join(made.closed.folder, 'messages.db')).mode & 0o777, 0o400);
  t.notOk(existsSync(join(made.closed.folder, 'messages.db-wal')), 'readable where nothing may be written');
  const old = { folder: made.closed.folder, verifierKey: keyOf(ORIGIN, options.checkpointKey) };
  t.match(await verifyLog(old), { ok: true, entries: 5 });
  t.match(await verifyLog({ ...old, checkpointFile: join(made.closed.folder, 'checkpoint.txt') }), {
    code: 'LOG_TRUNCATED',
    firstBadSeq: 5,
  });

  const next = { ...options, origin: made.origin };
  await t.rejects(openMessageLog(options), { code: /LOG_CHECKPOINT_WRONG|LOG_ORIGIN_WRONG/ }, 'under the old origin');
  const log = audited(t, await openMessageLog(next), next);
  t.equal(log.refuseBeforeMs, clock.wallMs + 600_000);
  const [opening] = log.read(0, 1);
  t.match(opening!.entry, { kind: 'origin-opened', id: 'origin-opened', statement: sha256(last), signature: null });
  t.equal(opening!.evidence!.statement.toString('utf8'), last);
  const before = '01890000-0000-7000-8000-000000000001';
  await t.rejects(log.claimVoid(PEER, before, clock.wallMs, 1), { code: 'LOG_HISTORY_MISSING' });
  t.match(await log.append(requestRecords()[0]!), { seq: 1 });
  await log.close();

  clock.pass(1_000);
  const third = openNewOrigin(next);
  t.match(third, { origin: `${ORIGIN}/3`, closed: { folder: `${folder}-2` }, cited: { size: 2 } });
  const closed = { folder: `${folder}-2`, checkpointFile: join(`${folder}-2`, 'checkpoint.txt') };
  t.match(await verifyLog(closed), { ok: true, entries: 2 }, 'a log that was in order is whole to its end');
  t.match(await verifyLog(options), { ok: true, entries: 1 });
});

t.test('a new origin that was interrupted at any step is completed', async (t) => {
  const steps: [string, (folder: string, options: MessageLogOptions) => void][] = [
    ['the new log is not whole', (folder) => rmSync(join(`${folder}.new`, 'checkpoint.txt'))],
    ['before the renames', () => {}],
    ['between the renames', (folder) => renameSync(folder, `${folder}-1`)],
    [
      'between the renames, and a server was started',
      (folder, options) => {
        renameSync(folder, `${folder}-1`);
        openLogStoreSqlite(options.folder).close();
      },
    ],
    [
      'before the checkpoint file',
      (folder) => {
        renameSync(folder, `${folder}-1`);
        renameSync(`${folder}.new`, folder);
      },
    ],
  ];
  for (const [name, leave] of steps) {
    const { options, dir } = fixture(t);
    const { folder, checkpointFile } = options;
    await append(options, 2);
    const [log, kept] = [join(dir, 'old-log'), readFileSync(checkpointFile)];
    cpSync(folder, log, { recursive: true });
    openNewOrigin(options);
    // Back to the moment before: the folders as the steps of the command leave them.
    renameSync(folder, `${folder}.new`);
    cpSync(checkpointFile, join(`${folder}.new`, 'checkpoint.txt'));
    rmSync(`${folder}-1`, { recursive: true });
    cpSync(log, folder, { recursive: true });
    writeFileSync(join(folder, 'checkpoint.txt'), kept);
    writeFileSync(checkpointFile, kept);
    leave(folder, options);
    if (existsSync(`${folder}-1`)) await t.rejects(openMessageLog(options), { code: /^LOG_/ }, `${name}: no start`);
    t.match(openNewOrigin(options), { origin: `${ORIGIN}/2`, cited: { size: 2 } }, name);
    t.match(await verifyLog(options), { ok: true, entries: 1 }, name);
    t.match(await verifyLog({ folder: `${folder}-1` }), { ok: true, entries: 2 }, name);
    t.notOk(existsSync(`${folder}.new`));
    const next = await openMessageLog({ ...options, origin: `${ORIGIN}/2` });
    await next.close();
  }
});

t.test('a new origin is not for a log in use, and its beginning cannot be changed', async (t) => {
  const { options } = fixture(t);
  const { folder, checkpointFile } = options;
  const log = await openMessageLog(options);
  t.throws(() => openNewOrigin(options), { code: 'LOG_IN_USE' });
  await log.append(requestRecords()[0]!);
  await log.close();
  const wrong = { ...options, checkpointKey: freshKey() };
  t.throws(() => openNewOrigin(wrong), { code: 'LOG_CHECKPOINT_MISSING' }, 'another key');
  openNewOrigin(options);
  const audit = async () => {
    const { code, firstBadSeq } = await verifyLog({ folder, checkpointFile });
    return [code, firstBadSeq];
  };
  const forger = freshKey();
  const text = checkpointText({ origin: ORIGIN, size: 1, root: leafHash('forged') });
  const forged = signNote(text, noteVerifier(ORIGIN, rawEd25519PublicKey(forger)), (bytes) =>
    signEd25519(forger, bytes),
  );
  renote(folder, 0, forged);
  t.same(await audit(), ['LOG_EVIDENCE_CHANGED', 0]);
  owned(folder, (db) => db.exec('UPDATE entries SET line = replace(line, \'origin-opened","id\', \'summary","id\')'));
  t.equal((await audit())[0], 'LOG_ENTRY_CHANGED');
  t.same(originNumber('accord/DEV/GOV/1001/2'), { base: 'accord/DEV/GOV/1001/2', number: 1 }, 'a server named 2');
  t.same(originNumber('accord/DEV/GOV/1001/2/2'), { base: 'accord/DEV/GOV/1001/2', number: 2 });
});

t.test('the checkpoint key changes, again and again; whoever knows one of the keys can follow', async (t) => {
  const { options } = fixture(t);
  const { folder, checkpointFile } = options;
  const keys = [options.checkpointKey, freshKey(), freshKey()];
  await append(options, 255); // the first rotation is the entry that completes a tile
  for (let i = 1; i < keys.length; i++) {
    const rotated = rotateCheckpointKey({ ...options, oldKey: keys[i - 1]!, nextKey: keys[i]! });
    t.match(rotated, { verifierKey: keyOf(ORIGIN, keys[i]!) });
    await t.rejects(openMessageLog({ ...options, checkpointKey: keys[i - 1]! }), { code: 'LOG_CHECKPOINT_WRONG' });
    const next = { ...options, checkpointKey: keys[i]! };
    const log = audited(t, await openMessageLog(next), next);
    await log.append(requestRecords()[0]!);
    await log.close();
  }
  for (const key of keys) {
    t.match(await verifyLog({ folder, checkpointFile, verifierKey: keyOf(ORIGIN, key) }), { ok: true, entries: 259 });
  }
  const other = keyOf(ORIGIN, freshKey());
  t.match(await verifyLog({ folder, checkpointFile, verifierKey: other }), { code: 'LOG_CHECKPOINT_WRONG' });
  const db = new Database(join(folder, 'messages.db'), { readonly: true });
  const signers = db.prepare('SELECT size, note FROM checkpoints ORDER BY number').all() as {
    size: number;
    note: string;
  }[];
  db.close();
  t.same(
    signers.filter(({ size }) => size >= 255).map(({ size }) => size),
    [255, 256, 257, 258, 259],
    'the last one of the old key, the first of the next',
  );
  rmSync(checkpointFile);
  t.equal(acceptStoredCheckpoint(folder, checkpointFile).size, 259);
});

t.test('a rotation that was interrupted, and forged ones', async (t) => {
  const { options } = fixture(t);
  const { folder, checkpointFile, checkpointKey } = options;
  const nextKey = freshKey();
  t.throws(() => rotateCheckpointKey({ ...options, oldKey: checkpointKey, nextKey }), { code: 'LOG_MISSING' });
  await append(options, 3);
  const kept = readFileSync(checkpointFile);
  rotateCheckpointKey({ ...options, oldKey: checkpointKey, nextKey });
  owned(folder, (db) => db.exec('DELETE FROM checkpoints WHERE size > 3'));
  writeFileSync(checkpointFile, kept);
  t.match(await verifyLog({ folder, checkpointFile }), { ok: true, entries: 4 }, 'the entry, but no checkpoint yet');
  await t.rejects(openMessageLog(options), { code: 'LOG_CHECKPOINT_WRONG' }, 'the old key cannot go on');
  t.throws(() => rotateCheckpointKey({ ...options, oldKey: null, nextKey: freshKey() }), {
    code: 'LOG_CHECKPOINT_WRONG',
  });
  t.match(rotateCheckpointKey({ ...options, oldKey: null, nextKey }), { size: 4 });
  t.match(await verifyLog({ folder, checkpointFile, verifierKey: keyOf(ORIGIN, nextKey) }), { ok: true });

  const signer = (key: KeyObject) => ({
    verifier: noteVerifier(ORIGIN, rawEd25519PublicKey(key)),
    sign: (bytes: Buffer) => signEd25519(key, bytes),
  });
  const store = openLogStoreSqlite(folder);
  const genuine = store.evidence(3)!.statement.toString('utf8');
  store.close();
  const forger = freshKey();
  const at = (size: number) => ({ origin: ORIGIN, size, root: leafHash('any') });
  const cases: [string, string, (string | number | null)[]][] = [
    ['not signed by the old key', rotationNote(at(3), signer(forger), signer(nextKey)), ['LOG_EVIDENCE_CHANGED', 3]],
    ['of another place', rotationNote(at(2), signer(checkpointKey), signer(nextKey)), ['LOG_EVIDENCE_CHANGED', 3]],
    ['of another history', rotationNote(at(3), signer(checkpointKey), signer(nextKey)), ['LOG_ENTRY_CHANGED', null]],
    ['nobody holds the next key', genuine.split('\n').toSpliced(-2, 1).join('\n'), ['LOG_EVIDENCE_CHANGED', 3]],
    ['not a note', 'x', ['LOG_EVIDENCE_CHANGED', 3]],
    ['the genuine one', genuine, [null, null]],
  ];
  for (const [name, note, expected] of cases) {
    renote(folder, 3, note);
    const { code, firstBadSeq } = await verifyLog({ folder, checkpointFile });
    t.same([code, firstBadSeq], expected, name);
    const start = openMessageLog({ ...options, checkpointKey: nextKey });
    if (expected[0] === null) await (await start).close();
    else await t.rejects(start, { code: 'LOG_TAMPERED' }, `${name}: no start`);
  }
});
