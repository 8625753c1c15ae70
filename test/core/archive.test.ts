// Segments of a message log in an archive: what is copied, read back, let go and put back, what a crash at each step leaves, and
// that nothing is let go that was not read back.
import { spawnSync } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { cpSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { archiveKeyOf } from '#certs/archive-cipher.ts';
import { generateKeys } from '#certs/keys.ts';
import { ArchivedEntries } from '#core/archive/audit-archived.ts';
import { readChain } from '#core/archive/chain.ts';
import { archiveClosedSegment, closedLogs, closedState } from '#core/archive/closed-log.ts';
import { restoreArchive } from '#core/archive/restore.ts';
import { archiveSegment } from '#core/archive/run-archive.ts';
import { verifyArchive } from '#core/archive/verify-archive.ts';
import { systemClock } from '#core/clock.ts';
import { verifyLog } from '#core/log/audit.ts';
import { openClosedLogSqlite } from '#core/log/closed-log-sqlite.ts';
import { KeyChain } from '#core/log/key-chain.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import { openNewOrigin } from '#core/log/new-origin.ts';
import { readSealed } from '#core/log/read-sealed.ts';
import { parseVerifierKey } from '#core/log/signed-note.ts';
import { type LogReader, StoreError } from '#core/log/store.ts';
import { openLogAuditSqlite, openLogStoreSqlite } from '#core/log/store-sqlite.ts';
import { manifestText, parseManifest } from '#schemas/archive.ts';
import { archivable, EVERYTHING, filesOf } from './archive-fixture.ts';
import { auditLog } from './audited.ts';
import { dataDir, OWN, PEER, requestRecords } from './log-fixture.ts';

t.setTimeout(120_000);
const RUNNER = fileURLToPath(import.meta.resolve('./fixtures/archive-runner.ts'));

function stored(log: LogReader, seq: number) {
  return { evidence: log.evidence(seq), sealed: log.sealed(seq) };
}

t.test('what is old goes to the archive, the log still verifies, and comes back whole', async (t) => {
  const { log, run, grow, options, dir, at } = await archivable(t);
  await grow(1, 300, 3);
  await grow(2);
  const before = openLogAuditSqlite(options.folder);
  const rows = before.lines(0, 10_000).map(({ seq }) => ({ seq, ...stored(before, seq) }));
  before.close();
  const root = log.root();
  const sealed = rows.flatMap(({ seq }) => log.readSealed(seq) ?? []);

  const first = await archiveSegment(run, EVERYTHING);
  t.match(first, { v: 1, from: 0, origin: log.origin, previous: null });
  t.equal(log.archivedUntil(), first?.to);
  await auditLog(t, log, options);
  const { archivedUntil } = await verifyLog({
    folder: options.folder,
    checkpointFile: options.checkpointFile,
    threads: 2,
  });
  t.equal(archivedUntil, first?.to);
  t.equal(log.find(null, 'archived')[0]?.entry.kind, 'archived');
  const id = log.read(0, 1)[0]?.entry.id ?? '';
  t.match(
    log.find(PEER, id).map(({ entry, evidence }) => [entry.kind, evidence]),
    [
      ['response-received', null],
      ['request-sent', null],
    ],
  );
  t.equal(log.readSealed(0), null);
  const place = { folder: options.folder, keyFolder: options.keyFolder, storageKey: options.storageKey };
  t.same(readSealed(place, [0]), [{ state: 'archived' }]);

  await grow(5, 256);
  const second = await archiveSegment(run, EVERYTHING);
  t.equal(second?.from, first?.to);
  t.type(second?.previous, 'string');
  t.equal(await archiveSegment(run, { beforeMs: 0, keepEntries: 1e9 }), null, 'nothing is old enough');
  await auditLog(t, log, options);

  const restored = dataDir(join(dir, 'restored'));
  const chain = await readChain(run.destination);
  t.equal(chain.segments.length, 2);
  const audit = await restoreArchive({ ...run, chain, folder: join(dir, 'restored'), verifierKey: log.verifierKey });
  t.match(audit, { ok: true, entries: second?.to, archivedUntil: 0 });
  t.match(await verifyLog(restored), { ok: true, entries: second?.to, root: audit.root });
  const back = openLogAuditSqlite(restored.folder);
  t.teardown(() => back.close());
  const others = rows.filter((row) => !isDeepStrictEqual(row, { ...row, ...stored(back, row.seq) }));
  t.same(others, [], 'evidence and sealed parts are the same');
  const opened = readSealed(
    { ...place, folder: restored.folder },
    rows.map(({ seq }) => seq),
  );
  t.same(
    opened.flatMap((one) => (one.state === 'open' ? [one.parts] : [])),
    sealed,
    'with the keys of the server',
  );
  log.erasure.destroyDays('standard', 0, 100_000);
  const erased = readSealed(
    { ...place, folder: restored.folder },
    rows.map(({ seq }) => seq),
  );
  t.notOk(
    erased.some(({ state }) => state === 'open'),
    'destroying keys reaches the archive',
  );
  const everything = Buffer.concat([...filesOf(at).values()]).toString('latin1');
  for (const secret of ['residents', 'DEV/GOV/2002/provider', id]) t.notMatch(everything, secret);
  t.not(root, log.root());
});

/** What makes an archive's run stop: before the n-th call that leaves a trace, or behind it. */
class Stopped extends Error {}

t.test('a run that is stopped at any step: nothing is lost, and the next run completes it', async (t) => {
  const { log, run, grow, options, at, dir } = await archivable(t);
  await grow(2, 300, 1);
  let [calls, stopAt] = [0, Number.POSITIVE_INFINITY];
  const step = async <T>(work: () => T | Promise<T>): Promise<T> => {
    if (calls++ === stopAt) throw new Stopped('before');
    const done = await work();
    if (calls++ === stopAt) throw new Stopped('behind');
    return done;
  };
  const { destination } = run;
  const stopping = {
    ...run,
    destination: {
      ...destination,
      put: (name: string, bytes: Buffer) => step(() => destination.put(name, bytes)),
      get: (name: string, max: number) => step(() => destination.get(name, max)),
    },
    log: {
      append: (record: Parameters<typeof log.append>[0]) => step(() => log.append(record)),
      archivedUntil: () => log.archivedUntil(),
      releaseArchived: (seq: number, until: number) => {
        if (calls++ === stopAt) throw new Stopped('before');
        const end = log.releaseArchived(seq, until);
        if (calls++ === stopAt) throw new Stopped('behind');
        return end;
      },
    },
  };
  let copied: Map<string, Buffer> | undefined;
  for (stopAt = 0; ; stopAt++) {
    calls = 0;
    const end = await archiveSegment(stopping, EVERYTHING).catch((error: unknown) => error);
    if (!(end instanceof Stopped)) {
      t.match(end, { v: 1 });
      break;
    }
    if (log.find(null, 'archived').length === 0) t.equal(log.archivedUntil(), 0, 'nothing went before the log says so');
    await auditLog(t, log, options);
    const said = log.find(null, 'archived')[0]?.evidence?.statement;
    const { to = 0 } = said === undefined ? {} : parseManifest(said);
    if (to > log.archivedUntil()) {
      t.equal(await archiveSegment(run, null), null, 'a start completes it');
      t.equal(log.archivedUntil(), to);
    }
    await grow(1);
    const now = filesOf(at);
    for (const [name, bytes] of copied ?? []) if (!now.get(name)?.equals(bytes)) t.fail(`${name} was made another`);
    copied = now;
  }
  t.ok(stopAt > 20, `${stopAt} steps`);
  const said = log.find(null, 'archived').length;
  t.ok(said >= 1, `${said} segments`);
  await archiveSegment(run, null);
  t.equal(existsSync(run.planFile), false);
  await auditLog(t, log, options);
  const chain = await readChain(run.destination);
  t.equal(chain.loose, 0, 'a copy that was broken off was made again over itself');
  const restored = join(dir, 'restored');
  t.match(await restoreArchive({ ...run, chain, folder: restored }), { ok: true, entries: log.archivedUntil() });
});

t.test('kill -9 at a step: the next start completes it, and nothing is lost', async (t) => {
  const { log, run, grow, options, dir } = await archivable(t);
  const { privateKey } = generateKeys('X25519');
  const pem = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' });
  writeFileSync(join(dir, 'checkpoint-key.pem'), pem(options.checkpointKey));
  writeFileSync(join(dir, 'archive-key.pem'), pem(privateKey));
  writeFileSync(join(dir, 'storage-key'), options.storageKey);
  await grow(600);
  const [before, size] = [log.root(), log.size()];
  await log.close();
  // The first file is there; all but the manifest are; the entry is not there, is; a part is let go; in the next segment.
  for (const stopAt of [1, 8, 10, 11, 2, 13, 14]) {
    const { signal } = spawnSync(process.execPath, ['--import=./test/preload.ts', RUNNER, dir, String(stopAt)]);
    if (stopAt < 14) t.equal(signal, 'SIGKILL', `step ${stopAt}`);
    const again = await openMessageLog({ ...options, clock: systemClock });
    if (again.find(null, 'archived').length === 0) t.equal(again.archivedUntil(), 0);
    await auditLog(t, again, options);
    await again.close();
  }
  const last = await openMessageLog({ ...options, clock: systemClock });
  const key = archiveKeyOf(privateKey);
  await archiveSegment({ ...run, log: last, key }, null);
  const chain = await readChain(run.destination);
  t.equal(last.archivedUntil(), chain.segments.at(-1)?.manifest.to);
  t.equal(chain.loose, 0);
  const audit = await restoreArchive({ ...run, key, chain, folder: join(dir, 'restored') });
  t.match(audit, { ok: true, entries: last.archivedUntil() });
  t.equal(chain.segments[0]?.manifest.to, size);
  t.equal(chain.segments[0]?.manifest.root, before);
  await last.close();
});

t.test(
  'a closed log goes to the archive too: what the log that follows says of it, and nothing without that',
  async (t) => {
    const { log, run, grow, options, dir, clock, tick } = await archivable(t, `accord/${OWN}`);
    await grow(3, 40);
    const first = await archiveSegment(run, EVERYTHING);
    await grow(60, 2);
    const [size, root] = [log.size(), log.root()];
    await log.close();
    const { closed, origin } = openNewOrigin(options);
    const next = await openMessageLog({ ...options, origin });
    t.teardown(() => next.close());
    const [place] = closedLogs(options.folder, origin);
    t.same(place, { ...closed, number: 1 });
    const asClosed = { ...run, log: next, planFile: join(dir, 'archive-plan-1.json') };
    const verified = () => verifyLog({ folder: closed.folder, checkpointFile: join(closed.folder, 'checkpoint.txt') });
    const state = () => closedState(place!);
    t.match(state(), { entries: size, signedUntil: size, archivedUntil: first?.to });

    // Stopped at any step: before the log in use says so nothing goes.
    let [calls, stopAt] = [0, 0];
    const step = async <T>(work: () => Promise<T>): Promise<T> => {
      if (calls++ === stopAt) throw new Stopped();
      return work();
    };
    const { put, get } = run.destination;
    const stopping = {
      ...asClosed,
      destination: {
        ...run.destination,
        put: (...file: Parameters<typeof put>) => step(() => put(...file)),
        get: (...file: Parameters<typeof get>) => step(() => get(...file)),
      },
      log: { append: (record: Parameters<typeof next.append>[0]) => step(() => next.append(record)) },
    };
    for (; ; stopAt++) {
      calls = 0;
      const end = await archiveClosedSegment(stopping, place!, EVERYTHING).catch((error: unknown) => error);
      t.match(await verified(), { ok: true, entries: size }, `step ${stopAt}`);
      if (!(end instanceof Stopped)) break;
      t.equal(state().archivedUntil, first?.to);
      t.same(next.find(null, 'archived:1'), []);
    }
    t.ok(stopAt > 8, `${stopAt} steps`);
    t.equal(await archiveClosedSegment(asClosed, place!, EVERYTHING), null);
    const writer = openClosedLogSqlite(closed.folder);
    const beyond = Buffer.from(JSON.stringify({ origin: closed.origin, to: size + 1 }));
    t.throws(() => writer.release({ seq: 0, note: beyond }, size + 1), StoreError, 'the database refuses more');
    writer.close();
    t.match(state(), { archivedUntil: size, oldestMs: null });
    t.equal(statSync(join(closed.folder, 'messages.db')).mode & 0o777, 0o400);
    await auditLog(t, next, { ...options, origin });
    const said = next.find(null, 'archived:1')[0]!;
    const manifest = parseManifest(said.evidence!.statement);
    const judged = (id: string, ...all: object[]) => {
      const own = new ArchivedEntries(origin, new KeyChain(parseVerifierKey(next.verifierKey)), () => null);
      own.cites({ origin: closed.origin, size, root: Buffer.from(root, 'base64url') });
      const notes = all.map((change) => Buffer.from(manifestText({ ...manifest, ...change })));
      for (const note of notes) own.judge({ ...said.entry, id }, note);
    };
    judged('archived:1', {});
    const wrong: [string, ...object[]][] = [
      ['archived:2', {}],
      ['archived', {}],
      ['archived:1', {}, {}],
      ['archived:1', { from: 0 }],
      ['archived:1', { origin }],
      ['archived:1', { root: said.entry.statement }],
      ['archived:1', { checkpoint: readFileSync(options.checkpointFile, 'utf8') }],
    ];
    for (const one of wrong) t.throws(() => judged(...one), { code: 'LOG_EVIDENCE_CHANGED' }, JSON.stringify(one));
    const reader = openLogAuditSqlite(closed.folder);
    t.equal(reader.evidence(size - 4), null, 'it went');
    reader.close();

    const chain = await readChain(run.destination, { origin: closed.origin });
    t.equal(chain.segments.at(-1)?.manifest.root, root);
    const folder = join(dir, 'restored');
    t.match(await restoreArchive({ ...run, chain, folder }), { ok: true, entries: size, archivedUntil: 0 });

    // The log that follows is archived and audited as any other.
    clock.pass(11_000);
    tick();
    const own = await archiveSegment({ ...run, log: next }, EVERYTHING);
    t.ok((own?.to ?? 0) > said.entry.seq, 'with the entry about the closed one');
    const ownChain = await readChain(run.destination, { origin });
    t.match(await restoreArchive({ ...run, chain: ownChain, folder: join(dir, 'restored-2') }), { ok: true });
    t.match(await verifyArchive({ ...run, chain: ownChain, log: null }), { ok: true, code: null, entries: own?.to });

    // Whoever takes evidence away needs a log that says where it is.
    const away = `${options.folder}.away`;
    await next.close();
    renameSync(options.folder, away);
    t.match(await verified(), { ok: false, code: 'LOG_EVIDENCE_CHANGED', firstBadSeq: first?.to });
    openLogStoreSqlite(options.folder).close();
    t.match(await verified(), { ok: false, code: 'LOG_EVIDENCE_CHANGED' });
    rmSync(options.folder, { recursive: true });
    renameSync(away, options.folder);
    t.match(await verified(), { ok: true });
  },
);

t.test('a closed log that was put back from a backup: the archive that holds more of it stays as it is', async (t) => {
  const { log, run, grow, options, dir, clock, tick } = await archivable(t, `accord/${OWN}`);
  await grow(2);
  const [size, backup] = [log.size(), join(dir, 'backup')];
  await log.close();
  cpSync(options.folder, backup, { recursive: true });
  const lost = await openMessageLog(options);
  await Promise.all(requestRecords(3).map((record) => lost.append(record)));
  clock.pass(11_000);
  tick();
  t.match(await archiveSegment({ ...run, log: lost }, EVERYTHING), { to: size + 3 });
  await lost.close();
  rmSync(options.folder, { recursive: true });
  renameSync(backup, options.folder);
  const { closed, origin } = openNewOrigin(options);
  const next = await openMessageLog({ ...options, origin });
  t.teardown(() => next.close());
  const [place] = closedLogs(options.folder, origin);
  const asClosed = { ...run, log: next, planFile: join(dir, 'archive-plan-1.json') };
  const before = filesOf(run.destination.name);
  await t.rejects(archiveClosedSegment(asClosed, place!, EVERYTHING), { code: 'ARCHIVE_SEGMENT_UNKNOWN' });
  t.match(closedState(place!), { entries: size, signedUntil: size, archivedUntil: 0 });
  t.same(filesOf(run.destination.name), before);
  t.match(await verifyLog({ folder: closed.folder }), { ok: true, entries: size });
});
