// The short form of campaign `stream`, once with servers that gather bodies in memory, and a server that is killed while
// large bodies lie in its spool.
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { KilledServer } from '#scripts/campaign/kill-processes.ts';
import { openKillSetting } from '#scripts/campaign/kill-setting.ts';
import { CLIENT, SERVICE } from '#scripts/campaign/pair.ts';
import { stream } from '#scripts/campaign/stream.ts';

t.setTimeout(180_000);
const SEED = 20;
const MIB = 1024 * 1024;

t.test('stream: every byte arrives, memory stays flat, nothing stays behind', async (t) => {
  const { failures, found, ...numbers } = await stream.run({ size: 16, seed: SEED });
  t.equal(failures, 0, found.join('\n'));
  t.comment(JSON.stringify(numbers));
});

t.test('stream finds servers that gather bodies in memory', async (t) => {
  const { found } = await stream.run({ size: 16, seed: SEED, broken: { spoolInMemory: true } });
  t.match(found.join('\n'), /MiB more memory/);
});

t.test('kill -9 in the middle of a large body', async (t) => {
  const setting = await openKillSetting();
  t.teardown(() => setting.close());
  const errors: string[] = [];
  const open = (name: 'consumer' | 'provider') =>
    new KilledServer(name, setting.files[name], (line) => errors.push(line));
  const servers = { consumer: open('consumer'), provider: open('provider') };
  await Promise.all([servers.consumer.start(), servers.provider.start()]);
  t.teardown(() => Promise.all([servers.consumer.stop(), servers.provider.stop()]));

  const send = (length: number) => {
    const sent = request(`${setting.consumerUrl}/r1/${SERVICE}/x`, {
      method: 'POST',
      agent: false,
      headers: { 'x-road-client': CLIENT, 'content-length': length },
    });
    const ended = new Promise<number>((resolve) => {
      sent.on('response', (answer) => answer.resume().on('end', () => resolve(answer.statusCode ?? 0)));
      sent.on('error', () => resolve(0));
    });
    return { sent, ended };
  };
  const spoolOf = (name: 'consumer' | 'provider') => readdirSync(join(setting.folders[name], 'spool'));
  const half = send(32 * MIB);
  half.sent.write(Buffer.alloc(16 * MIB, 'secret'));
  await once(half.sent, 'drain');
  await delay(100);
  servers.consumer.standBy();
  await servers.consumer.kill();
  t.equal(await half.ended, 0, 'the caller sees its connection end');
  t.same(spoolOf('consumer'), [], 'a file without a name went with the process');
  await servers.consumer.start();
  const after = send(2 * MIB);
  after.sent.end(Buffer.alloc(2 * MIB));
  t.equal(await after.ended, 200, 'and the next body passes');

  // The provider's server, while it is sent to.
  const other = send(64 * MIB);
  other.sent.end(Buffer.alloc(64 * MIB));
  await delay(100);
  servers.provider.standBy();
  await servers.provider.kill();
  await other.ended;
  t.same(spoolOf('provider'), []);
  await servers.provider.start();
  const last = send(2 * MIB);
  last.sent.end(Buffer.alloc(2 * MIB));
  t.equal(await last.ended, 200);
  t.same(spoolOf('consumer').concat(spoolOf('provider')), []);
  t.same(errors.filter((line) => !line.includes('"level":40')).length, 0, errors.join('\n').slice(0, 2_000));
});
