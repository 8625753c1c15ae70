// A whole instance on loopback, as `accord dev up` opens it: real registry, aggregate log, a department's witness, time-stamps
// and OCSP answers, in this process. To open one takes seconds, so a test file opens one and does everything with it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Test } from 'tap';
import { type DevNetwork, openDevNetwork } from '#cli/dev/network.ts';
import { systemClock } from '#core/clock.ts';

const CONSUMER = { id: 'DEV/GOV/1001', name: 'Consumer', subsystem: 'consumer', server: 'ss1' };
const PROVIDER = { id: 'DEV/GOV/2002', name: 'Provider', subsystem: 'provider', server: 'ss2' };

/** `folder` is for the test's own files too; it is gone at the end. @param size members with a security server each */
export async function openTestNetwork(t: Test, size: 1 | 2): Promise<DevNetwork> {
  const folder = mkdtempSync(join(tmpdir(), 'accord-network-'));
  const network = await openDevNetwork({
    folder,
    instance: 'DEV',
    members: [CONSUMER, PROVIDER].slice(0, size),
    clock: systemClock,
    logger: pino({ level: 'silent' }),
    processes: false,
  });
  t.teardown(async () => {
    await network.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return network;
}
