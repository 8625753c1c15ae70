// A message log with enough in it to be archived, and what archiving it needs.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { archiveKeyOf } from '#certs/archive-cipher.ts';
import { generateKeys } from '#certs/keys.ts';
import { folderDestination } from '#core/archive/folder-destination.ts';
import type { ArchiveRun } from '#core/archive/run-archive.ts';
import { type MessageLog, openMessageLog } from '#core/log/message-log.ts';
import { type LogFixture, logFixture, requestRecords, responseRecord } from './log-fixture.ts';

export const archiveKey = archiveKeyOf(generateKeys('X25519').privateKey);
export const EVERYTHING = { beforeMs: Number.MAX_SAFE_INTEGER, keepEntries: Number.MAX_SAFE_INTEGER };

export interface Archived extends LogFixture {
  log: MessageLog;
  run: ArchiveRun;
  at: string;
  /** Batches of several sizes, each answered, and a checkpoint behind. */
  grow(...batches: number[]): Promise<void>;
}

export async function archivable(t: Test, origin?: string): Promise<Archived> {
  const fixture = logFixture(t);
  if (origin !== undefined) fixture.options.origin = origin;
  const { dir, options, clock, tick } = fixture;
  const log = await openMessageLog(options);
  t.teardown(() => log.close());
  const at = join(dir, 'archive');
  const run: ArchiveRun = {
    ...{ log, folder: options.folder, planFile: join(dir, 'archive-plan.json') },
    ...{ destination: folderDestination(at), key: archiveKey, configurationVersion: 1 },
  };
  const grow = async (...batches: number[]) => {
    for (const count of batches) {
      const requests = requestRecords(count);
      const places = await Promise.all(requests.map((record) => log.append(record)));
      clock.pass(20);
      await Promise.all(requests.map((record, i) => log.append(responseRecord(record, places[i]!.seq))));
      await log.claimVoid('DEV/GOV/2002/ss2', `${crypto.randomUUID()}`, clock.nowMs() + 1_000, 1);
      clock.pass(20);
    }
    clock.pass(11_000);
    tick();
  };
  return { ...fixture, log, run, at, grow };
}

/** Every file under a folder, by its path in it. */
export function filesOf(folder: string): Map<string, Buffer> {
  if (!existsSync(folder)) return new Map();
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  return new Map(
    found.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(folder.length + 1), readFileSync(path)];
    }),
  );
}
