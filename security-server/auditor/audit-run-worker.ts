// The thread that verifies the whole log (audit-run.ts): the same audit as `accord audit log`, through a connection of its own.
// Who signed, who cosigned and who stamped the time is judged by the configurations that this server kept, down to the anchor it was installed with; where they
// cannot be read the report says that none of it was verified.
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { pastSigners } from '#core/evidence/past-signers.ts';
import { pastGrace, pastVouchers } from '#core/evidence/past-vouchers.ts';
import { withRegisteredKey } from '#core/evidence/registered-log-key.ts';
import { bodyAudit } from '#core/log/audit-bodies.ts';
import { auditRange } from '#core/log/audit-range.ts';
import { readRecordKeysSqlite } from '#core/log/record-keys-sqlite.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { AuditMessage } from './audit-run.ts';
import type { AuditorPlaces } from './examine.ts';

const { places, withBodies } = workerData as { places: AuditorPlaces; withBodies: boolean };

function tell(message: AuditMessage): void {
  parentPort?.postMessage(message);
}

try {
  const { log: folder, recordKeys, checkpointFile, storageKey } = places;
  const signers = signersOf(places);
  const keys = withBodies ? readRecordKeysSqlite(recordKeys, Buffer.from(storageKey)) : null;
  const log = openLogAuditSqlite(folder);
  const found = await auditRange(log, {
    checkpointFile,
    nowMs: systemClock.nowMs(),
    onProgress: ({ checkpoint }, size) => tell({ done: checkpoint.size, size }),
    ...(signers === null ? {} : { signers: signers.keys, inForce: pastVouchers(signers, systemClock.nowMs()) }),
    ...(signers === null ? {} : { graceAt: pastGrace(signers) }),
    ...(keys === null ? {} : { bodies: bodyAudit(log, keys) }),
  });
  const report = signers === null ? found : await withRegisteredKey(found, log, signers);
  keys?.close();
  log.close();
  tell({ report });
} catch (error) {
  tell({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

function signersOf({ configuration, anchorFile }: AuditorPlaces) {
  try {
    return pastSigners(configuration, readAnchor(readFileSync(anchorFile)));
  } catch (error) {
    if (isAccordError(error) || (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
