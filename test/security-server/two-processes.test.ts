// Two processes on one data folder: a log has one writer, so the second ends at once with LOG_IN_USE, whatever its ports,
// and the first goes on as if nothing had happened.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import { KilledServer } from '#scripts/campaign/kill-processes.ts';
import type { KillServerFile } from '#scripts/campaign/kill-server.ts';
import { openKillSetting } from '#scripts/campaign/kill-setting.ts';
import { CLIENT, SERVICE } from '#scripts/campaign/pair.ts';

t.setTimeout(120_000);

t.test('the second process says why and ends; the first answers before and after', async (t) => {
  const setting = await openKillSetting();
  const said: string[] = [];
  const first = new KilledServer('consumer', setting.files.consumer, (line) => said.push(`first: ${line}`));
  const provider = new KilledServer('provider', setting.files.provider, (line) => said.push(`provider: ${line}`));
  const other = join(setting.folder, 'other.json');
  const file = JSON.parse(readFileSync(setting.files.consumer, 'utf8')) as KillServerFile;
  writeFileSync(other, JSON.stringify({ ...file, ports: { peer: 0, loopback: 0, health: 0 } }), { mode: 0o600 });
  const second = new KilledServer('second', other, (line) => said.push(`second: ${line}`));
  t.teardown(async () => {
    await Promise.all([first.stop(), provider.stop(), second.stop()]);
    setting.close();
    rmSync(setting.folder, { recursive: true, force: true });
  });
  await Promise.all([first.start(), provider.start()]);
  const ask = () =>
    new Promise<number>((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const sent = request(`${setting.consumerUrl}/lookups`, { method: 'POST', agent: false, headers }, (answer) =>
        resolve(answer.resume().statusCode ?? 0),
      );
      sent.on('error', reject);
      sent.end(JSON.stringify({ client: CLIENT, service: SERVICE, method: 'GET', path: '/x' }));
    });
  t.equal(await ask(), 200);
  await t.rejects(second.start(), /ended early/);
  t.match(said.join('\n'), /second: .*LOG_IN_USE/);
  t.equal(await ask(), 200);
  t.same(
    said.filter((line) => !line.startsWith('second: ')),
    [],
  );
});
