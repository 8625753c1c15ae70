// A message log whose every step is followed by an audit of the whole log: a step that leaves anything wrong behind is
// found at that step. Only for small logs.
import type { Test } from 'tap';
import { verifyLog } from '#core/log/audit.ts';
import type { MessageLog, MessageLogOptions } from '#core/log/message-log.ts';

/** Audits the folder and compares the result with what the log itself says. */
export async function auditLog(t: Test, log: MessageLog, options: MessageLogOptions): Promise<void> {
  const { folder, checkpointFile } = options;
  const audit = await verifyLog({ folder, checkpointFile, verifierKey: log.verifierKey });
  const { ok, code, entries, root } = audit;
  const expected = { ok: true, code: null, entries: log.size(), root: log.root() };
  if (JSON.stringify({ ok, code, entries, root }) !== JSON.stringify(expected)) {
    t.fail('the log does not stand its audit', { audit, expected });
  }
}

/** The same log; `append` and `claimVoid` end with an audit. */
export function audited(t: Test, log: MessageLog, options: MessageLogOptions): MessageLog {
  const after = async <T>(step: Promise<T>): Promise<T> => {
    try {
      return await step;
    } finally {
      await auditLog(t, log, options);
    }
  };
  return {
    origin: log.origin,
    verifierKey: log.verifierKey,
    refuseBeforeMs: log.refuseBeforeMs,
    append: (record) => after(log.append(record)),
    claimVoid: (...claim) => after(log.claimVoid(...claim)),
    find: (from, id) => log.find(from, id),
    readSealed: (seq) => log.readSealed(seq),
    read: (fromSeq, limit) => log.read(fromSeq, limit),
    size: () => log.size(),
    newestMs: () => log.newestMs(),
    root: () => log.root(),
    checkpoint: () => log.checkpoint(),
    publishCheckpoint: () => log.publishCheckpoint(),
    archivedUntil: () => log.archivedUntil(),
    releaseArchived: (entrySeq, until) => log.releaseArchived(entrySeq, until),
    inclusionProof: (seq, size) => log.inclusionProof(seq, size),
    consistencyProof: (first, second) => log.consistencyProof(first, second),
    erasure: log.erasure,
    state: () => log.state(),
    close: () => log.close(),
  };
}
