// The certificate under which the key of one record was destroyed, out of the server's logs: a later log may hold what
// became of an entry in an earlier one. The folder's owner controls what is read; the pack's checks judge it.

import type { RecordView } from '#core/log/record.ts';
import { AllLogs } from '#core/retention/all-logs.ts';
import { coversEntry, readCertificate } from '#core/retention/certificate.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { readDone } from '#schemas/retention.ts';

/** @param inUse the log in use now. @param origin of the log that holds the record. @returns the JWS; null when there is none */
export async function findDestruction(
  inUse: { folder: string; origin: string },
  origin: string,
  { entry, leafHash }: RecordView,
): Promise<{ jws: string; certificateHash: string } | null> {
  const logs = new AllLogs(inUse.folder, inUse.origin);
  for (const one of logs.origins) {
    for (const { entry: said, note } of (await logs.notes(one, 0)).notes) {
      if (said.kind !== 'destruction-done') continue;
      const jws = readDone(note).certificate;
      const { certificate, certificateHash } = readCertificate(jws);
      if (coversEntry(certificate, origin, entry, fromBase64url(leafHash))) return { jws, certificateHash };
    }
  }
  return null;
}
