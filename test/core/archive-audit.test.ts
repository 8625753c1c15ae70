// The audit of an archive as it lies, without restoring it, and of a log whose old part lies there: the same report as of the
// whole log, and what is damaged, missing, swapped or put in beside is found at its first entry.
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { archiveKeyOf, decipherFile, encipherFile } from '#certs/archive-cipher.ts';
import { sha256 } from '#certs/commitment.ts';
import { exportSpki, generateKeys } from '#certs/keys.ts';
import { ArchiveSource } from '#core/archive/archive-source.ts';
import { archivedLogSource } from '#core/archive/archived-log.ts';
import { newestArchived } from '#core/archive/audit-archived.ts';
import { logFolderName, placeOfFile } from '#core/archive/destination.ts';
import { decodeRows, encodeRow } from '#core/archive/rows.ts';
import { archiveSegment } from '#core/archive/run-archive.ts';
import { findSegments, type SaidOfArchive } from '#core/archive/segments.ts';
import { writeSegment } from '#core/archive/write-segment.ts';
import { bodyAudit } from '#core/log/audit-bodies.ts';
import { auditRange } from '#core/log/audit-range.ts';
import type { RangeOptions, RangeProgress } from '#core/log/audit-range-report.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import type { RecordView } from '#core/log/record.ts';
import { readRecordKeysSqlite } from '#core/log/record-keys-sqlite.ts';
import { rotateCheckpointKey } from '#core/log/rotate-key.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { manifestText, parseManifest } from '#schemas/archive.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { encodeNote } from '#schemas/retention.ts';
import { archivable, archiveKey, EVERYTHING } from './archive-fixture.ts';
import { requestRecords, responseRecord, signerKey } from './log-fixture.ts';

const SIGNERS = new Map([[signerKey.certificateHash, exportSpki(signerKey.key)]]);
const HOLD = '01890000-0000-7000-8000-00000000a0a0';

/** A log in segments of some hundred, two and some entries, with a rotated key, a hold and a late answer; all but the last is archived. */
async function archivedWorld(t: Test) {
  const world = await archivable(t);
  const { options, run, grow, clock, tick } = world;
  let { log } = world;
  const person = { name: 'Ada', role: 'administrator', key: 'A'.repeat(43), atMs: 1 } as const;
  const note = (kind: 'hold-placed' | 'hold-lifted', said: object) =>
    log.append({
      ...{ kind, id: HOLD, peer: null, client: null, service: null, purpose: null, basis: null, code: null },
      ...{ decisionHash: null, evidence: null, sealed: null, retention: 'standard', configurationVersion: 1 },
      note: JSON.stringify(said),
    });
  const scope = { firstDay: 1, kind: 'period', lastDay: 2 };
  await note('hold-placed', { hold: HOLD, legalBasis: 'law', placed: canonical(person), reason: 'why', scope, v: 1 });
  const [late] = requestRecords(1) as [ReturnType<typeof requestRecords>[0]];
  await log.append(late);
  await grow(150, 3);
  await archiveSegment(run, EVERYTHING);
  await grow(1);
  await archiveSegment(run, EVERYTHING);
  await log.close();
  const nextKey = generateKeyPairSync('ed25519').privateKey;
  rotateCheckpointKey({ ...options, oldKey: options.checkpointKey, nextKey });
  options.checkpointKey = nextKey;
  log = await openMessageLog(options);
  t.teardown(() => log.close());
  const growing = async (...batches: number[]) => {
    for (const count of batches) await Promise.all(requestRecords(count).map((record) => log.append(record)));
    clock.pass(11_000);
    tick();
  };
  await growing(40);
  const next = { ...run, log };
  await archiveSegment(next, EVERYTHING);
  await log.append(responseRecord(late, 1));
  const other = { ...person, key: 'B'.repeat(43), name: 'Eve' };
  await note('hold-lifted', {
    ...{ approved: canonical(other), hold: HOLD, reason: 'why', requested: canonical(person), v: 1 },
  });
  await growing(5, 30);
  await archiveSegment(next, EVERYTHING);
  await growing(4);
  const size = log.size();
  await log.close();
  const segments = await findSegments(run.destination);
  return { ...world, segments, size };
}

const canonical = ({ name, role, key, atMs }: { name: string; role: string; key: string; atMs: number }) => ({
  ...{ atMs, key, name, role },
});

type World = Awaited<ReturnType<typeof archivedWorld>>;

async function auditArchive({ run }: World, options: RangeOptions = {}) {
  const segments = await findSegments(run.destination);
  return await auditRange(new ArchiveSource(run.destination, archiveKey, segments), { signers: SIGNERS, ...options });
}

/** The log with its archive, and what is kept of records opened. */
async function auditTogether({ run, options }: World, change: RangeOptions = {}) {
  const log = openLogAuditSqlite(options.folder);
  const keys = readRecordKeysSqlite(options.keyFolder, options.storageKey);
  try {
    const newest = newestArchived(log)!;
    const said: SaidOfArchive = { newest: newest.hash, until: newest.manifest.to };
    const archive = new ArchiveSource(
      run.destination,
      archiveKey,
      await findSegments(run.destination, undefined, said),
    );
    const source = archivedLogSource(log, archive, log.archivedUntil());
    const { checkpointFile } = options;
    return await auditRange(source, { checkpointFile, signers: SIGNERS, bodies: bodyAudit(source, keys), ...change });
  } finally {
    keys.close();
    log.close();
  }
}

t.setTimeout(120_000);

t.test('an archive as it lies gives the report that the log gives, whole and in parts', async (t) => {
  const world = await archivedWorld(t);
  const { segments, size, options } = world;
  const ends = segments.chain.map(({ to }) => to);
  const end = ends.at(-1)!;
  t.equal(ends.length, 4);
  const here = openLogAuditSqlite(options.folder);
  t.teardown(() => here.close());
  const same = async (from: number, to: number | undefined) => {
    const of = await auditRange(here, { from, to: to ?? end, signers: SIGNERS });
    const other = await auditArchive(world, to === undefined ? { from } : { from, to });
    t.match(other, { ok: true, archivedUntil: 0 });
    t.same({ ...other, size: 0 }, { ...of, size: 0, archivedUntil: 0 }, `${from} to ${to}`);
  };
  for (const [from, to] of [
    [0, undefined],
    [0, 1],
    [ends[0]! - 1, undefined],
    [ends[0]!, ends[1]!],
    [ends[1]! + 3, undefined],
    [ends[2]!, undefined],
    [ends[2]! + 4, end - 1],
    [end, undefined],
  ] as [number, number | undefined][]) {
    await same(from, to);
  }
  const whole = await auditArchive(world);
  const saved: RangeProgress[] = [];
  await auditArchive(world, { onProgress: (progress) => void saved.push(structuredClone(progress)) });
  t.ok(saved.length > 0);
  for (const progress of saved) t.strictSame(await auditArchive(world, { progress }), whole, 'gone on with');

  const together = await auditTogether(world);
  t.match(together, { ok: true, endedAt: size, archivedUntil: 0, bodies: { erased: 0 } });
  t.ok(together.bodies!.opened > 300, 'what was archived is opened too');
  const alone = await auditRange(here, { signers: SIGNERS });
  t.match(alone, { ok: true, endedAt: size, archivedUntil: end, root: together.root });
  t.match(await auditTogether(world, { from: ends[1]! + 3 }), { ok: true, endedAt: size });

  // Somebody holds a checkpoint of the log: one that fits, one that does not, one of entries that are not there.
  const source = new ArchiveSource(world.run.destination, archiveKey, segments);
  const first = (await source.ahead.checkpoint!(2))!;
  t.match(await auditArchive(world, { seen: [first.note] }), { ok: true });
  const { verifierKey } = source.identity();
  const wrong = await auditArchive(world, { seen: [first.note.replace(/\n\d+\n/, `\n${end + 9}\n`)] });
  t.match(wrong, { ok: false, code: 'LOG_CHECKPOINT_WRONG' });
  t.match(await auditArchive(world, { verifierKey }), { ok: true });
  const strange = `${verifierKey.slice(0, -4)}AAA=`;
  t.match(await auditArchive(world, { verifierKey: strange }).catch(({ code }) => ({ code })), { code: /NOTE|LOG_/ });
});

/** What the destination holds is changed, and put back. */
function changing({ at, dir, log }: World) {
  const original = join(dir, 'original');
  cpSync(at, original, { recursive: true });
  const folder = join(at, logFolderName(log.origin));
  const names = readdirSync(folder).sort();
  const place = (segment: number, file: string) => join(folder, names[segment]!, file);
  return {
    names,
    folder,
    place,
    put: (file: string, bytes: Buffer | string) => {
      chmodSync(file, 0o600);
      writeFileSync(file, bytes);
    },
    back: () => {
      rmSync(at, { recursive: true });
      cpSync(original, at, { recursive: true });
    },
  };
}

t.test('what is wrong with an archive is found at its first entry', async (t) => {
  const world = await archivedWorld(t);
  const { segments, log } = world;
  const { names, folder, place, put, back } = changing(world);
  const [one, two, three, four] = segments.chain.map(({ from }) => from) as [number, number, number, number];
  const flip = (file: string) => {
    const bytes = readFileSync(file);
    bytes[Math.floor(bytes.length / 2)]! ^= 1;
    put(file, bytes);
  };
  const swap = (a: string, b: string) => {
    renameSync(a, `${a}.x`);
    renameSync(b, a);
    renameSync(`${a}.x`, b);
  };
  const manifest = (segment: number) => parseManifest(readFileSync(place(segment, 'manifest.json')));
  /** By whoever holds the archive key: a file of a segment, and its manifest; not the ones behind it. */
  const rewrite = (segment: number, change: (rows: ReturnType<typeof decodeRows>) => unknown) => {
    const said = manifest(segment);
    const [name, file] = ['rows-0000', place(segment, 'rows-0000')];
    const where = placeOfFile(log.origin, said.from, said.to, name);
    const rows = decodeRows(decipherFile(archiveKey, where, readFileSync(file)));
    change(rows);
    const bytes = encipherFile(archiveKey, where, Buffer.concat(rows.flatMap(encodeRow)));
    put(file, bytes);
    const files = said.files.map((one) =>
      one.name === name ? { name, bytes: bytes.length, sha256: sha256(bytes) } : one,
    );
    return manifestText({ ...said, files });
  };
  const cases: [string, () => void, string, number | null][] = [
    ['a byte of entries', () => flip(place(2, 'rows-0000')), 'ARCHIVE_DAMAGED', three],
    ['a byte of signatures', () => flip(place(1, 'signatures')), 'ARCHIVE_DAMAGED', two],
    ['a manifest cut off', () => put(place(2, 'manifest.json'), '{'), 'ARCHIVE_MALFORMED', three],
    ['a file is missing', () => rmSync(place(1, 'tiles')), 'ARCHIVE_DAMAGED', two],
    [
      'the first segment is missing',
      () => rmSync(join(folder, names[0]!), { recursive: true }),
      'ARCHIVE_INCOMPLETE',
      one,
    ],
    ['one in the middle', () => rmSync(join(folder, names[2]!), { recursive: true }), 'ARCHIVE_INCOMPLETE', three],
    ['two in the middle', () => [1, 2].map((i) => rmSync(place(i, 'manifest.json'))), 'ARCHIVE_INCOMPLETE', two],
    ['segments swapped', () => swap(join(folder, names[1]!), join(folder, names[3]!)), 'ARCHIVE_MALFORMED', two],
    ['files swapped', () => swap(place(1, 'rows-0000'), place(3, 'rows-0000')), 'ARCHIVE_DAMAGED', two],
    [
      'a segment more',
      () =>
        cpSync(join(folder, names[3]!), join(folder, names[2]!.replace(/-.*/, names[3]!.slice(16))), {
          recursive: true,
        }),
      'ARCHIVE_SEGMENT_UNKNOWN',
      three,
    ],
    [
      'another manifest for the same entries',
      () => put(place(1, 'manifest.json'), manifestText({ ...manifest(1), firstMs: 1 })),
      'ARCHIVE_DAMAGED',
      two,
    ],
    [
      'another segment beside',
      () => {
        const name = names[2]!.replace(/-\d+/, `-${String(three + 1).padStart(16, '0')}`);
        cpSync(join(folder, names[2]!), join(folder, name), { recursive: true });
        put(join(folder, name, 'manifest.json'), manifestText({ ...manifest(2), to: three + 1 }));
      },
      'ARCHIVE_SEGMENT_UNKNOWN',
      three,
    ],
    [
      'entries changed by whoever has the key, in the newest segment',
      () =>
        put(
          place(3, 'manifest.json'),
          rewrite(3, (rows) => {
            rows[3]!.line = Buffer.from(rows[3]!.line.toString().replace('"code":null', '"code":"OK"'));
          }),
        ),
      'LOG_ENTRY_CHANGED',
      null,
    ],
    [
      'two of them swapped',
      () =>
        put(
          place(3, 'manifest.json'),
          rewrite(3, (rows) => rows.splice(4, 2, rows[5]!, rows[4]!)),
        ),
      'LOG_ENTRY_CHANGED',
      four + 4,
    ],
    [
      'one of them dropped',
      () =>
        put(
          place(3, 'manifest.json'),
          rewrite(3, (rows) => rows.splice(6, 1)),
        ),
      'LOG_ENTRY_CHANGED',
      four + 6,
    ],
    [
      'a statement changed',
      () =>
        put(
          place(3, 'manifest.json'),
          rewrite(3, (rows) => (rows[7]!.statement = Buffer.from('{}'))),
        ),
      'LOG_EVIDENCE_CHANGED',
      four + 7,
    ],
  ];
  for (const [what, change, code, seq] of cases) {
    change();
    const found = await auditArchive(world).catch((error: unknown) => {
      if (isAccordError(error)) return { code: error.code, firstBadSeq: undefined };
      throw error;
    });
    t.same([found.code, found.firstBadSeq], [code, seq], `${what}: the archive`);
    // Beside the log every manifest is the one that the log names: what was made anew is another segment.
    const isAnew = what.includes('key') || what.includes('of them') || what === 'a statement changed';
    const beside = await auditTogether(world);
    t.same(
      [beside.code, beside.firstBadSeq],
      isAnew ? ['ARCHIVE_DAMAGED', four] : [code, seq],
      `${what}: log and archive`,
    );
    back();
  }
  const away = async () => {
    throw new AccordError('ARCHIVE_UNREACHABLE', 'away');
  };
  const lost = new ArchiveSource({ ...world.run.destination, get: away }, archiveKey, segments);
  await t.rejects(auditRange(lost, {}), { code: 'ARCHIVE_UNREACHABLE' }, 'what cannot be fetched is no damage');
  const other = archiveKeyOf(generateKeys('X25519').privateKey);
  const closed = new ArchiveSource(world.run.destination, other, segments);
  await t.rejects(auditRange(closed, {}), { code: 'ARCHIVE_KEY_WRONG' });
  rmSync(join(folder, names[3]!), { recursive: true });
  t.match(await auditArchive(world), { ok: true, endedAt: four }, 'the newest one: nothing in the archive says so');
  t.match(await auditTogether(world), { code: 'ARCHIVE_INCOMPLETE', firstBadSeq: four }, 'the log does');
  back();

  const db = new Database(join(world.options.folder, 'messages.db'));
  for (const name of db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all())
    db.exec(`DROP TRIGGER ${name}`);
  db.exec(`UPDATE entries SET line = replace(line, '"code":null', '"code":"OK"') WHERE seq = ${two + 1}`);
  db.close();
  t.match(await auditTogether(world), { code: 'LOG_ENTRY_CHANGED', firstBadSeq: two + 1 }, "a line of the log's own");
  t.match(await auditArchive(world), { ok: true });
});

t.test('a destruction of what was held, found in the archive where the hold lies in another segment', async (t) => {
  const { log, run, grow, options } = await archivable(t);
  const note = (kind: 'hold-placed' | 'destruction-intended', said: object) =>
    log.append({
      ...{ kind, id: HOLD, peer: null, client: null, service: null, purpose: null, basis: null, code: null },
      ...{ decisionHash: null, evidence: null, sealed: null, retention: 'standard', configurationVersion: 1 },
      note: encodeNote(said as never),
    });
  await grow(3);
  const [, held] = log.read(0, 2) as [RecordView, RecordView];
  const person = (name: string) => ({ name, role: 'administrator', key: sha256(name), atMs: 1 });
  const said = { v: 1, legalBasis: 'law', reason: 'why' };
  const copy = async () => {
    const reader = openLogAuditSqlite(options.folder);
    const previous = (await segmentsOf()).at(-1);
    const checkpoints = { from: previous?.checkpoints.to ?? 0, to: reader.lastCheckpoint()!.number + 1 };
    const hash = previous === undefined ? null : sha256(Buffer.from(manifestText(previous)));
    const plan = { from: previous?.to ?? 0, to: log.size(), checkpoints, previous: hash, anchoredSeq: null };
    await writeSegment(reader, plan, run.destination, archiveKey);
    reader.close();
  };
  const segmentsOf = async () => (await findSegments(run.destination).catch(() => null))?.chain ?? [];
  await copy();
  await note('hold-placed', {
    ...{ ...said, hold: HOLD, placed: person('Ada') },
    scope: { kind: 'exchanges', ids: [held.entry.id] },
  });
  await grow(1);
  await copy();
  await grow(2);
  await copy();
  const day = Math.floor(held.entry.t / 86_400_000);
  await note('destruction-intended', {
    ...{ ...said, destruction: HOLD, requested: person('Ada'), approved: person('Bob'), rule: null },
    ...{ days: [{ retention: 'standard', firstDay: day, lastDay: day, keys: 1, records: 1 }], except: [], records: [] },
  });
  const at = log.size() - 1;
  await grow(1);
  await copy();
  const chain = await segmentsOf();
  t.equal(chain.length, 4);
  const here = openLogAuditSqlite(options.folder);
  t.teardown(() => here.close());
  for (const from of [0, chain[1]!.to, chain[2]!.to]) {
    const of = await auditRange(here, { from });
    t.match(
      of,
      { code: 'LOG_EVIDENCE_CHANGED', firstBadSeq: at, detail: /entry [14] was held/ },
      `the log from ${from}`,
    );
    const segments = await findSegments(run.destination);
    const found = await auditRange(new ArchiveSource(run.destination, archiveKey, segments), { from });
    t.match(found, { code: of.code, firstBadSeq: at, detail: of.detail }, `the archive from ${from}`);
  }
});
