// The archive in an S3-compatible store, over real sockets against a small store of ours (s3-server.ts) that computes the
// signatures itself: what is locked and signed, what a store that fails in every way leaves behind, and that nothing of the
// log is let go before its copy was read back.
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { readChain } from '#core/archive/chain.ts';
import { restoreArchive } from '#core/archive/restore.ts';
import { archiveSegment } from '#core/archive/run-archive.ts';
import { s3Destination } from '#core/archive/s3-destination.ts';
import { openClient } from '#core/http/client.ts';
import { isAccordError } from '#schemas/problems.ts';
import { archivable, EVERYTHING } from './archive-fixture.ts';
import { auditLog } from './audited.ts';
import { S3_KEYS, s3Server } from './s3-server.ts';

const DAYS = 3_653;

async function world(t: Test, secretAccessKey = S3_KEYS.secretAccessKey) {
  const archive = await archivable(t);
  const { clock, run } = archive;
  const store = await s3Server(t, clock.nowMs);
  const http = openClient();
  t.teardown(() => http.close());
  const { endpoint, region, bucket } = store;
  const options = {
    ...{ endpoint, region, bucket, prefix: 'accord/', clock, http, timeoutMs: 2_000 },
    ...{ accessKeyId: S3_KEYS.accessKeyId, secretAccessKey },
    lock: { mode: 'COMPLIANCE' as const, days: DAYS },
  };
  const limited = (listLimits: { pages: number; bytes: number }) => s3Destination({ ...options, listLimits });
  return { ...archive, store, limited, run: { ...run, destination: s3Destination(options) } };
}

t.test('segments in a bucket: signed, locked, listed over several pages, and put back', async (t) => {
  const { run, grow, store, clock, log, options, dir, limited } = await world(t);
  for (const batch of [1, 20, 3]) {
    await grow(batch);
    t.type((await archiveSegment(run, EVERYTHING))?.to, 'number');
  }
  t.same(
    store.refused.filter((code) => code !== 'NoSuchKey'),
    [],
  );
  for (const [name, { mode, until }] of store.objects) {
    t.match(name, /^accord\/accord\.example_ss1-[0-9a-f]{8}\/\d{16}-\d{16}\/[a-z0-9-]+(\.json)?$/);
    t.equal(mode, 'COMPLIANCE');
    t.ok(Date.parse(until ?? '') > clock.nowMs() + (DAYS - 1) * 86_400_000, name);
  }
  store.pageSize = 4;
  const chain = await readChain(run.destination, { origin: log.origin });
  t.equal(chain.segments.length, 3);
  const [all, pages] = [await run.destination.list(''), Math.ceil(store.objects.size / store.pageSize)];
  t.equal(all.length, store.objects.size);
  t.same(await limited({ pages, bytes: 1_000_000 }).list(''), all);
  await t.rejects(limited({ pages: pages - 1, bytes: 1_000_000 }).list(''), { code: 'ARCHIVE_MALFORMED' });
  await t.rejects(limited({ pages, bytes: 500 }).list(''), { code: 'ARCHIVE_MALFORMED' });
  t.match(await restoreArchive({ ...run, chain, folder: join(dir, 'restored') }), {
    ok: true,
    entries: log.archivedUntil(),
  });
  await auditLog(t, log, options);
});

t.test('a store that fails: the run ends with a code, nothing is let go, and the next run completes it', async (t) => {
  const table: [fault: NonNullable<Awaited<ReturnType<typeof s3Server>>['fault']>, code: string | null][] = [
    [{ kind: 'error-500', method: 'PUT', times: 1 }, null],
    [{ kind: 'error-500', method: 'PUT', times: 9 }, 'ARCHIVE_UNREACHABLE'],
    [{ kind: 'error-500', method: 'GET', times: 9 }, 'ARCHIVE_UNREACHABLE'],
    [{ kind: 'cut-off', method: 'PUT', times: 9 }, 'ARCHIVE_UNREACHABLE'],
    [{ kind: 'cut-off', method: 'GET', times: 9 }, 'ARCHIVE_UNREACHABLE'],
    [{ kind: 'wrong-bytes', method: 'GET', times: 1 }, 'ARCHIVE_DAMAGED'],
    [{ kind: 'wrong-bytes', method: 'GET', times: 1, skip: 1 }, 'ARCHIVE_DAMAGED'],
    [{ kind: 'wrong-bytes', method: 'GET', times: 1, skip: 3 }, 'ARCHIVE_DAMAGED'],
    [{ kind: 'lose', method: 'PUT', times: 1 }, 'ARCHIVE_LOCK_REFUSED'],
    [{ kind: 'refuse-lock', method: 'PUT', times: 1 }, 'ARCHIVE_LOCK_REFUSED'],
    [{ kind: 'ignore-lock', method: 'PUT', times: 1 }, 'ARCHIVE_LOCK_REFUSED'],
    [{ kind: 'denied', times: 1 }, 'ARCHIVE_UNREACHABLE'],
    [{ kind: 'silent', method: 'HEAD', times: 2 }, 'ARCHIVE_UNREACHABLE'],
  ];
  const { run, grow, store, log, options } = await world(t);
  for (const [fault, code] of table) {
    await grow(2);
    const before = log.archivedUntil();
    store.fault = { ...fault };
    const end = await archiveSegment(run, EVERYTHING).catch((error: unknown) => error);
    const said = isAccordError(end) ? end.code : end instanceof Error ? String(end) : null;
    t.equal(said, code, `${fault.kind} ${fault.method ?? ''}`);
    if (code !== null) t.equal(log.archivedUntil(), before, 'nothing was let go');
    store.fault = null;
    if (code === null) continue;
    if (fault.kind === 'ignore-lock') {
      t.match(await archiveSegment(run, EVERYTHING).catch(({ code }) => code), 'ARCHIVE_LOCK_REFUSED', 'nor later');
      for (const [name, { mode }] of store.objects) if (mode === null) store.objects.delete(name);
    }
    t.type((await archiveSegment(run, EVERYTHING))?.to, 'number', 'the next run completes it');
    await auditLog(t, log, options);
  }
  t.equal((await readChain(run.destination)).loose, 0);
});

t.test('another secret key is refused by the store', async (t) => {
  const { run, grow, store, log } = await world(t, 'not the secret');
  await grow(1);
  await t.rejects(archiveSegment(run, EVERYTHING), { code: 'ARCHIVE_UNREACHABLE' });
  t.same(new Set(store.refused), new Set(['SignatureDoesNotMatch']));
  t.equal(log.archivedUntil(), 0);
});
