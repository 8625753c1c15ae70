// An archive in a folder that somebody else can write to: what is no file there is not waited for, and never read without end.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { folderDestination } from '#core/archive/folder-destination.ts';

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
