// The certificate of destruction behind a record whose key is gone, for `accord audit replay`: what was erased lawfully has
// one in the log of the same server, and what has none was not (docs/evidence.md, Retention and erasure). Nothing is said
// here of who signed it: `accord audit verify` does.
import { join } from 'node:path';
import { originOfFolder } from '#core/log/origin.ts';
import type { RecordView } from '#core/log/record.ts';
import { AllLogs } from '#core/retention/all-logs.ts';
import { certificateOf } from '#core/retention/undestroyed.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { AccordError } from '#schemas/problems.ts';
import { LOG_PLACES } from '#security-server/log-origin.ts';

export interface ErasedBy {
  destruction: string;
  /** Of the entry `destruction-done`, and the log it stands in. */
  origin: string;
  seq: number;
  destroyedAt: string;
  legalBasis: string;
  reason: string;
  requested: string;
  approved: string;
  /** Compact JWS. */
  certificate: string;
}

/**
 * @param dir the data folder @param folder the log that holds the record
 * @returns null when no certificate covers it @throws LOG_*
 */
export async function erasedBy(dir: string, folder: string, { entry, leafHash }: RecordView): Promise<ErasedBy | null> {
  const current = { folder: join(dir, LOG_PLACES.log), checkpointFile: join(dir, LOG_PLACES.checkpointFile) };
  const origin = originOfFolder(current.folder, current.checkpointFile);
  if (origin === null) throw new AccordError('LOG_MISSING', current.folder);
  const logs = new AllLogs(current.folder, origin);
  const own = logs.places.find((one) => one.folder === folder)?.origin ?? origin;
  const found = await certificateOf(logs, own, entry, fromBase64url(leafHash));
  if (found === null) return null;
  const { destruction, destroyedAtMs, legalBasis, reason, requested, approved } = found.certificate;
  return {
    destruction,
    origin: found.in,
    seq: found.seq,
    destroyedAt: new Date(destroyedAtMs).toISOString(),
    legalBasis,
    reason,
    requested: requested.name,
    approved: approved.name,
    certificate: found.jws,
  };
}

/** For people. */
export function erasedInWords({ destroyedAt, legalBasis, requested, approved, seq, origin }: ErasedBy): string {
  return `${destroyedAt}, ${legalBasis}; asked for by ${requested}, approved by ${approved}; entry ${seq} of ${origin}`;
}
