// Whom a server's copy of the configuration names: authorities, revocation lists and time-stamp authorities, of the newest
// version that was kept and of those in an evidence pack. What the pack's verification proves is not proven again here; the
// folder's owner controls both.
import { readPart } from '#core/configuration/parts.ts';
import type { TimeStampAuthority } from '#core/time-stamp-client.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import type { TrustPart } from '#schemas/configuration.ts';
import { PastConfiguration } from './past-configuration.ts';

export interface KnownTrust {
  /** The newest first. */
  trust: TrustPart[];
  /** Of the newest version; empty where it names none. */
  authorities: TimeStampAuthority[];
}

/** @param folder the copy of the configuration; @param files of an evidence pack. @throws CONFIGURATION_* */
export function knownTrust(folder: string, files: ReadonlyMap<string, Buffer>): KnownTrust {
  const past = new PastConfiguration(folder);
  const [newest = 0] = past.versionsNear(0, Number.MAX_SAFE_INTEGER);
  const { instance } = past.content(newest).document;
  const parts = past.parts(newest, []);
  const packed = [...files]
    .filter(([name]) => /^configuration\/\d+\/parts\/trust$/.test(name))
    .map(([, bytes]) => bytes);
  const trust = [parts.get('trust'), ...packed].flatMap((bytes) =>
    bytes === undefined ? [] : (readPart('trust', bytes, instance).trust ?? []),
  );
  const stamps = parts.get('time-stamps');
  const part = stamps && readPart('time-stamps', stamps, instance).timeStamps;
  const authorities = (part?.authorities ?? []).map(({ name, url, certificates }) => {
    return { name, url, certificates: certificates.map(fromBase64url) };
  });
  return { trust, authorities };
}
