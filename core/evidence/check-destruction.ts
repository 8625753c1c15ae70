// A certificate of destruction stands for a context and a body that are no longer there (core/retention/certificate.ts): the
// department's own signed word that two persons had the key of exactly this record destroyed. The pack's maker controls
// it; it is believed for a signature of the server whose log the entry is in.

import { leafHash } from '#certs/merkle.ts';
import { certificateHash } from '#certs/path.ts';
import { coversEntry, readCertificate } from '#core/retention/certificate.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import type { DestructionCertificate } from '#schemas/retention.ts';
import { holderOf, publicKeyOf, signingPath } from './check-certificate.ts';
import { checked, type PackConfiguration } from './check-configuration.ts';
import { readCheckpoint } from './check-log.ts';
import { needed, type PackFiles } from './check-message.ts';
import { PackFinding } from './finding.ts';
import type { MessageName, PackHead } from './layout.ts';

/** @throws PackFinding DESTRUCTION_WRONG, CERTIFICATE_INVALID; PackGap CHECKPOINT_MISSING */
export function checkDestruction(
  files: PackFiles,
  name: MessageName,
  head: PackHead,
  entry: LogEntry,
  { trust }: PackConfiguration,
): DestructionCertificate {
  const jws = needed(files, `destruction/${name}/certificate.jws`).toString('latin1');
  const der = needed(files, `destruction/${name}/certificate.der`);
  const { origin } = readCheckpoint(files);
  const read = checked('DESTRUCTION_WRONG', name, () => readCertificate(jws));
  const { certificate } = read;
  const holder = checked('DESTRUCTION_WRONG', name, () => holderOf(der));
  if (holder !== head.server || certificate.server !== head.server || read.certificateHash !== certificateHash(der)) {
    throw new PackFinding('DESTRUCTION_WRONG', 'it is not by the server whose log it is');
  }
  if (!checked('DESTRUCTION_WRONG', name, () => read.isSignedBy(publicKeyOf(der)))) {
    throw new PackFinding('DESTRUCTION_WRONG', 'the signature does not verify');
  }
  signingPath(der, trust, certificate.destroyedAtMs);
  const leaf = leafHash(needed(files, `${name}/entry`));
  if (certificate.destroyedAtMs < entry.t || !coversEntry(certificate, origin, entry, leaf)) {
    throw new PackFinding('DESTRUCTION_WRONG', 'it is about other records');
  }
  return certificate;
}
