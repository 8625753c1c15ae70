// An archive in a folder that somebody else can write to: what is no file there is not waited for, and never read without end.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { folderDestination } from '#core/archive/folder-destination.ts';
import { MAX_PACK_FILES } from '#core/evidence/layout.ts';
import { readPackFiles } from '#core/evidence/read-pack.ts';

t.test('links, pipes and devices in the folder of an archive', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-archive-folder-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const destination = folderDestination(folder);
  await destination.put('log/0-9/rows-0000', Buffer.from('rows'));
  t.same(await destination.get('log/0-9/rows-0000', 4), Buffer.from('rows'));
  t.equal(await destination.get('log/0-9/rows-0001', 4), null);
  await t.rejects(destination.get('log/0-9/rows-0000', 3), { code: 'ARCHIVE_DAMAGED' }, 'too large');
  writeFileSync(join(folder, 'elsewhere'), 'rows');
  symlinkSync('/dev/zero', join(folder, 'zeroes'));
  symlinkSync(join(folder, 'elsewhere'), join(folder, 'link'));
  execFileSync('sh', ['-c', 'mkfifo "$0"', join(folder, 'pipe')]);
  for (const name of ['zeroes', 'link', 'pipe', 'log']) {
    await t.rejects(destination.get(name, 1_000), { code: 'ARCHIVE_DAMAGED' }, name);
  }
});

t.test('a list ends where there is too much, and follows no link', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-archive-list-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const destination = folderDestination(folder);
  for (const name of ['log/0-9/manifest.json', 'log/0-9/rows-0000', 'other/0-9/manifest.json']) {
    await destination.put(name, Buffer.from('x'));
  }
  symlinkSync(folder, join(folder, 'log', 'round'));
  t.same(await destination.list('log/', '/manifest.json'), ['log/0-9/manifest.json']);
  t.equal((await destination.list('')).length, 3);
  // Names at the top, in both logs and in their segments, the link too.
  t.equal((await folderDestination(folder, 8).list('')).length, 3);
  await t.rejects(folderDestination(folder, 7).list(''), { code: 'ARCHIVE_MALFORMED' });
  t.equal((await folderDestination(folder, 7).list('log/')).length, 2, 'the other log is not looked at');
});

t.test('the folder of an evidence pack with more than a pack has', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-pack-list-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'pack'), 'x');
  t.same([...readPackFiles(folder).keys()], ['pack']);
  const deep = join(folder, ...Array.from({ length: 6 }, () => 'down'));
  mkdirSync(deep, { recursive: true });
  t.throws(() => readPackFiles(folder), { code: 'PACK_MALFORMED' }, 'folders without end');
  rmSync(join(folder, 'down'), { recursive: true });
  for (let at = 0; at < 2 * MAX_PACK_FILES; at++) mkdirSync(join(folder, `empty${at}`));
  t.throws(() => readPackFiles(folder), { code: 'PACK_MALFORMED' }, 'as many names');
  t.end();
});
