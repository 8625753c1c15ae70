// Who may have signed what stands in a log: the signing keys of every server in every version of the configuration that a
// server kept, each version verified down to the auditor's own anchor. The folder's owner controls the files; versions under
// roots older than the anchor cannot be verified with it, and are counted, not believed.
import { X509Certificate } from 'node:crypto';
import { exportSpki } from '#certs/keys.ts';
import { readPart } from '#core/configuration/parts.ts';
import {
  fileHash,
  type VerifiedRoot,
  verifyAnchoredRoot,
  verifyNextRoot,
  verifyStoredContent,
} from '#core/configuration/verify.ts';
import type { SignerKeys } from '#core/log/audit-batches.ts';
import type { ConfigurationAnchor, ContentConfiguration } from '#schemas/configuration.ts';
import { AccordError } from '#schemas/problems.ts';
import { PastConfiguration } from './past-configuration.ts';

export interface PastSigners {
  keys: SignerKeys;
  /** Versions whose keys are among them, ascending. */
  versions: number[];
  /** Kept, but under a root older than the anchor. */
  unverified: number[];
  /** The verified contents by version, and where their parts are. */
  contents: ReadonlyMap<number, ContentConfiguration>;
  past: PastConfiguration;
}

/** @throws CONFIGURATION_*, JWS_*: a version that is not what its signatures say ends it */
export function pastSigners(folder: string, anchor: ConfigurationAnchor): PastSigners {
  const past = new PastConfiguration(folder);
  const all = past.versionsNear(0, Number.MAX_SAFE_INTEGER).sort((a, b) => a - b);
  const rootOf = (version: number) => past.content(version).document.root.version;
  const roots = verifiedRoots(past, anchor, Math.max(...all.map(rootOf)));
  const keys = new Map<string, Uint8Array>();
  const seen = new Set<string>();
  const contents = new Map<number, ContentConfiguration>();
  const versions = all.filter((version) => roots.has(rootOf(version)));
  for (const version of versions) {
    const root = roots.get(rootOf(version));
    if (root === undefined) continue;
    const { document } = verifyStoredContent(past.content(version).file, root);
    contents.set(version, document);
    for (const [name, hash] of Object.entries(document.parts)) {
      if (!name.startsWith('members/') || seen.has(hash)) continue;
      seen.add(hash);
      addKeys(keys, past.part(hash), { name, hash, instance: document.instance });
    }
  }
  return { keys, versions, unverified: all.filter((version) => !versions.includes(version)), contents, past };
}

function verifiedRoots(past: PastConfiguration, anchor: ConfigurationAnchor, last: number): Map<number, VerifiedRoot> {
  const files = past.roots(last);
  const roots = new Map<number, VerifiedRoot>();
  let before: VerifiedRoot | undefined;
  for (const [i, file] of files.entries()) {
    const version = last - files.length + 1 + i;
    if (version < anchor.root.version) continue;
    before = before === undefined ? verifyAnchoredRoot(file, anchor) : verifyNextRoot(file, before);
    roots.set(version, before);
  }
  return roots;
}

function addKeys(
  keys: Map<string, Uint8Array>,
  bytes: Buffer | undefined,
  { name, hash, instance }: { name: string; hash: string; instance: string },
): void {
  if (bytes === undefined) throw new AccordError('CONFIGURATION_MISSING', `part ${name}`);
  if (fileHash(bytes) !== hash) throw new AccordError('CONFIGURATION_PART_WRONG', name);
  for (const { signingCertificates } of readPart(name, bytes, instance).servers) {
    for (const { hash: certificate, der } of signingCertificates) {
      if (!keys.has(certificate)) keys.set(certificate, exportSpki(new X509Certificate(der).publicKey));
    }
  }
}
