// Verifies a whole archive as it lies at its destination: the chain of its manifests, the bytes of every file, and every entry
// as an audit of the log would (core/log/audit-range.ts). Beside the log itself it is one whole: the archive ends at a root that
// the log has, so that what the log verifies from there on and what is verified here are the same history.
import type { ArchiveKey } from '#certs/archive-cipher.ts';
import { Frontier } from '#certs/merkle.ts';
import type { SignerKeys } from '#core/log/audit-batches.ts';
import { auditRange } from '#core/log/audit-range.ts';
import type { LogAuditReader } from '#core/log/store.ts';
import type { ProblemCode } from '#schemas/problems.ts';
import { ArchiveSource } from './archive-source.ts';
import type { ArchiveChain } from './chain.ts';
import type { ArchiveDestination } from './destination.ts';

export interface ArchiveReport {
  ok: boolean;
  code: ProblemCode | null;
  /** The first entry that is not what it was, when the damage can be pinned to one. */
  firstBadSeq: number | null;
  detail: string;
  origin: string;
  segments: number;
  /** Entries that were verified, and root over them. */
  entries: number;
  root: string | null;
  checkpoints: number;
  /** Whether the log at hand has the same root there; null without one. */
  sameAsLog: boolean | null;
}

export interface ArchiveVerification {
  destination: ArchiveDestination;
  key: ArchiveKey;
  chain: ArchiveChain;
  /** The server's own log, which knows its archive by its own entries. */
  log: LogAuditReader | null;
  /** C2SP verifier key of the log, where it is known from elsewhere. */
  verifierKey?: string;
  signers?: SignerKeys;
}

/** @throws ARCHIVE_KEY_WRONG, ARCHIVE_UNREACHABLE, NOTE_MALFORMED for a malformed `verifierKey`; everything else is in the report */
export async function verifyArchive(options: ArchiveVerification): Promise<ArchiveReport> {
  const { destination, key, chain, verifierKey, signers, log } = options;
  const source = new ArchiveSource(destination, key, {
    ...{ origin: chain.origin, verifierKey: chain.segments[0]?.manifest.verifierKey ?? '', fault: null },
    chain: chain.segments.map(({ manifest }) => manifest),
    end: chain.segments.at(-1)?.manifest.to ?? 0,
  });
  const { code, firstBadSeq, detail, origin, endedAt, root, checkpoints } = await auditRange(source, {
    ...(signers === undefined ? {} : { signers }),
    ...(verifierKey === undefined ? {} : { verifierKey }),
  });
  const found = { code, firstBadSeq, detail, origin, entries: endedAt, root, checkpoints };
  const report = { ...found, ok: code === null, segments: chain.segments.length, sameAsLog: null };
  if (log === null) return report;
  if (code !== null) return { ...report, sameAsLog: false };
  const here = log.size() < endedAt ? null : Frontier.at(endedAt, log.subtree).root().toString('base64url');
  if (log.identity()?.origin === origin && here === root) return { ...report, sameAsLog: true };
  const other = 'the log has another root where the archive ends';
  return { ...report, ok: false, code: 'ARCHIVE_DAMAGED', detail: other, root: null, sameAsLog: false };
}
