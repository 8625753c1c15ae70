// The short form of campaign `stream`, then the same servers when they gather bodies in memory, and at last killed while
// large bodies lie in their spool.
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { CLIENT, SERVICE } from '#scripts/campaign/pair.ts';
import { type StreamRun, stream } from '#scripts/campaign/stream.ts';

t.setTimeout(180_000);
const SEED = 20;
const MIB = 1024 * 1024;
type Standing = Parameters<NonNullable<StreamRun['afterwards']>>[0];

t.test('stream: every byte arrives, memory stays flat, nothing stays behind', async (t) => {
  const { failures, found, foundBroken, ...numbers } = await stream.run({
    size: 8,
    seed: SEED,
    thenBroken: { spoolInMemory: true },
    afterwards: (standing) => killInTheMiddle(t, standing),
  });
  t.equal(failures, 0, found.join('\n'));
  t.match((foundBroken as string[]).join('\n'), /MiB more memory/, 'servers that gather bodies in memory');
  t.comment(JSON.stringify(numbers));
});

/** kill -9 while a large body passes. */
async function killInTheMiddle(t: Test, standing: Standing): Promise<void> {
  const { setting, servers } = standing;
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
  // More than lies in memory (SPOOL_MEMORY_BYTES), so that some of it is on the disk.
  const half = send(64 * MIB);
  half.sent.write(Buffer.alloc(32 * MIB, 'secret'));
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
}
