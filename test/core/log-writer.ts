// A process that appends records as fast as it can and says on standard output which ones were acknowledged, until it is
// killed. Started by the crash test with a folder that holds its keys.
import { createPrivateKey } from 'node:crypto';
import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#core/clock.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import { dataDir, requestRecords } from './log-fixture.ts';

const dir = process.argv[2]!;
const log = await openMessageLog({
  ...dataDir(dir),
  origin: 'accord.example/ss1',
  checkpointKey: createPrivateKey(readFileSync(join(dir, 'checkpoint-key.pem'))),
  storageKey: readFileSync(join(dir, 'storage-key')),
  clock: systemClock,
});
for (let turn = 0; ; turn++) {
  const records = requestRecords(1 + (turn % 7), { code: `PROCESS_${process.pid}` });
  const done = await Promise.all(records.map((record) => log.append(record)));
  for (const each of done) if (each.outcome === 'appended') writeSync(1, `${each.seq} ${each.leafHash}\n`);
}
