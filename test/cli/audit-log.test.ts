// `accord audit log`, `entries` and `reconcile` on the folders of two servers that run: who signed is judged by the
// configuration under the auditor's anchor; exit codes; what is printed for people and for machines.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { rawEd25519PublicKey } from '#certs/ed25519.ts';
import { watchProgress } from '#cli/audit-progress.ts';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { pastSigners } from '#core/evidence/past-signers.ts';
import { pastGrace } from '#core/evidence/past-vouchers.ts';
import type { RangeProgress } from '#core/log/audit-range-report.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import { rotateCheckpointKey } from '#core/log/rotate-key.ts';
import { base64url } from '#schemas/base64url.ts';
import { serverId } from '#schemas/identifiers.ts';
import { openPackSetting } from '#scripts/campaign/pack-setting.ts';
import { accord } from './run.ts';

type Gap = { code: string };

t.setTimeout(60_000);

t.test('on a terminal a bar says how far it is', (t) => {
  const drawn: string[] = [];
  const write = process.stderr.write;
  process.stderr.write = (text) => drawn.push(String(text)) > 0;
  let nowMs = 1_000;
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  const at = (size: number, to: number | null) =>
    ({ checkpoint: { number: 0, size, note: '' }, to }) as unknown as RangeProgress;
  try {
    const bar = watchProgress(undefined, true, clock);
    for (const [size, afterMs] of [
      [100, 0],
      [300, 50],
      [600, 1_000],
    ] as const) {
      nowMs += afterMs;
      bar.follow(at(size, null), 1_000);
    }
    bar.end();
    nowMs += 1_000;
    watchProgress(undefined, false, clock).follow(at(100, null), 1_000);
  } finally {
    process.stderr.write = write;
  }
  const bars = (part: number) => `${'#'.repeat(part)}${'.'.repeat(30 - part)}`;
  t.same(drawn, [
    `\r[${bars(3)}] 10 %  100 of 1000 entries, 0 a second `,
    `\r[${bars(18)}] 60 %  600 of 1000 entries, 476 a second `,
    '\r\u001b[K',
  ]);
  t.end();
});

t.test('two logs are audited, and held against each other', async (t) => {
  const made = await openPackSetting();
  const place = mkdtempSync(join(tmpdir(), 'accord-audit-log-'));
  t.teardown(async () => {
    await made.close();
    rmSync(place, { recursive: true, force: true });
  });
  for (let i = 0; i < 3; i++) await made.ask();
  await made.anchorLog('provider');
  const folders = { consumer: join(made.pair.folder, 'consumer'), provider: join(made.pair.folder, 'provider') };
  const progress = join(place, 'progress');
  const audit = async (dir: string, ...argv: string[]) => {
    const ended = await accord('audit', 'log', '--dir', dir, '--no-checkpoint', '--json', ...argv);
    return { ...ended, report: ended.stdout === '' ? null : JSON.parse(ended.stdout) };
  };

  const good = await audit(folders.provider, '--anchor', made.anchorFolder, '--progress', progress);
  t.equal(good.code, 0, good.stderr);
  t.match(good.report, { v: 1, ok: true, signatures: true, configuration: { unverified: [] } });
  t.ok(good.report.configuration.versions.length > 0);
  t.throws(() => readFileSync(progress), { code: 'ENOENT' }, 'at the end there is no progress');
  const people = await accord('audit', 'log', '--dir', folders.provider, '--no-checkpoint', '--from', '1', '--to', '2');
  t.equal(people.code, 0);
  t.match(people.stdout, /in order/);
  writeFileSync(progress, '{"v":2}');
  t.equal((await audit(folders.provider, '--progress', progress)).code, 5, 'progress of nobody knows what');

  t.match(good.report, {
    incomplete: null,
    quorum: { met: 1, below: 0, unknown: 0 },
    timeStamps: { met: 1, below: 0, unknown: 0 },
    gaps: [],
  });
  const unjudged = await accord('audit', 'log', '--dir', folders.provider, '--no-checkpoint');
  t.match(unjudged.stdout, /quorum of witnesses.*NOT CHECKED/s, 'without an anchor nobody says who has to vouch');
  t.match((await audit(folders.provider)).report, { quorum: null, timeStamps: null });
  const consumer = async () => {
    const { code, report } = await audit(folders.consumer, '--anchor', made.anchorFolder);
    return [code, report.incomplete, report.quorum, report.timeStamps, report.gaps.map((gap: Gap) => gap.code)];
  };
  const until = made.pair.consumer.parts.log.size();
  const counts = (met: number, below: number) => ({ met, below, unknown: 0, coveredUntil: met === 0 ? 0 : until });
  await made.anchorLog('consumer', 'quorum');
  t.same(await consumer(), [5, 'QUORUM_MISSING', counts(0, 1), counts(1, 0), ['QUORUM_MISSING']]);
  await made.anchorLog('consumer', 'token');
  const [, , quorum, , codes] = await consumer();
  t.match(quorum, { met: 1, below: 1 }, 'what is above makes up for it');
  t.same(codes, ['TIME_STAMP_MISSING']);
  await made.anchorLog('consumer', undefined, systemClock.nowMs() - 3_600_000);
  const [code, incomplete, ...rest] = await consumer();
  t.same(
    [code, incomplete, rest.at(-1)],
    [5, 'LOG_TIME_WRONG', ['LOG_TIME_WRONG']],
    'time-stamped before it was written',
  );

  // Somebody else's keys: a copy whose configuration knows no server of these.
  const copy = join(place, 'copy');
  mkdirSync(copy);
  cpSync(join(folders.provider, 'log'), join(copy, 'log'), { recursive: true });
  t.equal((await audit(copy, '--anchor', made.anchorFolder)).code, 8, 'no configuration there');
  const db = new Database(join(copy, 'log', 'messages.db'));
  for (const name of db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all()) {
    db.exec(`DROP TRIGGER ${name}`);
  }
  db.exec("UPDATE entries SET line = replace(line, 'request', 'REQUEST') WHERE seq = 0");
  db.close();
  const { peer } = made.pair.provider.parts.log.read(0, 1)[0]!.entry as { peer: string };
  const bad = await audit(copy);
  t.equal(bad.code, 7);
  t.match(bad.report, { ok: false, code: 'LOG_ENTRY_CHANGED', firstBadSeq: 0, root: null });
  t.match(bad.stderr, /at entry 0/);

  // A log that somebody wrote anew under a key of his own; one that went over from or to the registered key; one of nobody.
  const origin = good.report.origin as string;
  const [own, next] = [generateKeyPairSync('ed25519').privateKey, generateKeyPairSync('ed25519').privateKey];
  const registered = made.pair.configuration.entries.get(serverId(origin.slice('accord/'.length)))!.log;
  const written = async (name: string, of: string, ...keys: KeyObject[]) => {
    const folder = join(place, name);
    const at = { folder: join(folder, 'log'), checkpointFile: join(folder, 'checkpoint.txt') };
    const places = { ...at, keyFolder: join(folder, 'record-keys'), storageKey: Buffer.alloc(32) };
    const log = await openMessageLog({ ...places, origin: of, checkpointKey: keys[0]!, clock: systemClock });
    await log.claimVoid(peer, crypto.randomUUID(), systemClock.nowMs() + 1_000, 1);
    await log.close();
    for (const [i, nextKey] of keys.slice(1).entries()) {
      rotateCheckpointKey({ ...at, origin: of, oldKey: keys[i]!, nextKey, clock: systemClock });
    }
    const configuration = ['--configuration', join(folders.provider, 'configuration')];
    return await audit(folder, '--anchor', made.anchorFolder, ...configuration);
  };
  const unknown = { ok: false, code: 'LOG_KEY_NOT_REGISTERED', firstBadSeq: 0, root: null };
  const foreign = await written('foreign', origin, own, next);
  t.equal(foreign.code, 7);
  t.match(foreign.report, unknown);
  t.match((await written('closed', `${origin}/2`, own)).report, { code: 'LOG_ORIGIN_WRONG' }, 'found before it');
  const nobody = await written('nobody', 'accord/DEV/GOV/9999/ss9', own);
  t.equal(nobody.code, 5);
  t.equal(nobody.report.incomplete, 'LOG_KEY_UNKNOWN');
  const entry = made.pair.configuration.entries.get(serverId(origin.slice('accord/'.length)))!;
  entry.log = { ...registered, key: base64url(rawEd25519PublicKey(next)) };
  made.publish((state) => {
    state.timeStamps = { ...state.timeStamps!, graceMs: 60_000 };
  });
  t.match((await written('rotated', origin, own, next)).report, { ok: true, code: null }, 'each vouches for the next');
  t.match((await written('rotated-on', origin, next, own)).report, { ok: true, code: null });
  const anchor = readAnchor(readFileSync(join(made.anchorFolder, 'anchor.json')));
  const graceAt = pastGrace(pastSigners(join(folders.provider, 'configuration'), anchor));
  t.same([systemClock.nowMs(), 0].map(graceAt), [60_000, 4 * 3_600_000]);
  entry.log = registered;
  made.publish(() => {});

  const reconcile = (...argv: string[]) => accord('audit', 'reconcile', ...argv, '--json');
  const both = await reconcile(folders.provider, folders.consumer, '--anchor', made.anchorFolder);
  t.equal(both.code, 0, both.stderr);
  t.match(JSON.parse(both.stdout), { settled: 0, open: 0, agreed: 6, items: [] });
  const out = join(place, 'theirs.jsonl');
  const entries = [
    'audit',
    'entries',
    '--dir',
    folders.consumer,
    '--peer',
    JSON.parse(both.stdout).a.server,
    '--out',
    out,
  ];
  const exported = await accord(...entries);
  t.equal(exported.code, 0, exported.stderr);
  t.equal((await accord(...entries)).code === 0, false, 'a file that is there is not overwritten');
  const against = await reconcile(folders.provider, out);
  t.match(JSON.parse(against.stdout), { settled: 0, items: [] }, against.stderr);
  t.equal((await reconcile(out, out, '--anchor', made.anchorFolder)).code, 2, 'two exports bring no configuration');
});
