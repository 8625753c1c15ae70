// Who had to vouch for a log when an anchoring was made: witnesses, quorum and time-stamp authorities of the version that the
// entry says it was judged under, out of the versions that a server kept and the auditor's own anchor vouches for
// (past-signers.ts). A version that was not kept says nothing. The folder's owner controls the files.
import { verifyTimeStampToken } from '#certs/time-stamp.ts';
import { readPart } from '#core/configuration/parts.ts';
import { timeStampRulesOf } from '#core/configuration/time-stamp-parts.ts';
import { fileHash } from '#core/configuration/verify.ts';
import { policyOf } from '#core/configuration/witness-parts.ts';
import type { InForce, Vouchers } from '#core/witness/audit-anchored.ts';
import { DEFAULT_GRACE_MS } from '#schemas/limits.ts';
import type { PastSigners } from './past-signers.ts';

/** The period of grace of the newest version that was issued by then; the default where none of them says. */
export function pastGrace({ contents, past }: Pick<PastSigners, 'contents' | 'past'>): (atMs: number) => number {
  const all = [...contents.values()].sort((a, b) => b.version - a.version);
  return (atMs) => {
    const content = all.find(({ issuedAtMs }) => issuedAtMs <= atMs);
    const hash = content?.parts['time-stamps'];
    const bytes = hash === undefined ? undefined : past.part(hash);
    if (content === undefined || bytes === undefined || fileHash(bytes) !== hash) return DEFAULT_GRACE_MS;
    const { timeStamps } = readPart('time-stamps', bytes, content.instance);
    return timeStamps === undefined ? DEFAULT_GRACE_MS : timeStampRulesOf(timeStamps).graceMs;
  };
}

/** @param nowMs of the auditor's clock: no token is later. @returns for a version; undefined where it, or a part of it, was not kept */
export function pastVouchers({ contents, past }: PastSigners, nowMs: number): InForce {
  const known = new Map<string, Vouchers>();
  return (version) => {
    const content = contents.get(version);
    if (content === undefined) return undefined;
    const parts = ['witnesses', 'time-stamps'].map((name) => ({ name, hash: content.parts[name] }));
    const key = parts.map(({ hash }) => hash ?? '').join(' ');
    const before = known.get(key);
    if (before !== undefined) return before;
    const vouchers: Vouchers = { policy: null, verifyToken: null };
    for (const { name, hash } of parts) {
      const bytes = hash === undefined ? undefined : past.part(hash);
      if (hash === undefined) continue;
      if (bytes === undefined || fileHash(bytes) !== hash) return undefined;
      const { witnesses, timeStamps } = readPart(name, bytes, content.instance);
      if (witnesses !== undefined) vouchers.policy = policyOf(witnesses);
      if (timeStamps === undefined) continue;
      const { certificates, crls = [] } = timeStampRulesOf(timeStamps);
      vouchers.verifyToken = (token, imprint) => verifyTimeStampToken(token, imprint, certificates, nowMs, { crls });
    }
    known.set(key, vouchers);
    return vouchers;
  };
}
