// Whether a log is signed by the key that the global configuration registers for its server. A log names its own first key;
// whoever writes a whole log anew names another. Versions are those that a server kept and the auditor's anchor vouches for
// (past-signers.ts). Keys that a log went over to by rotation vouch for one another, so that knowing one of them is enough;
// closed logs of a server are its logs too.
import { partShardOf, readPart } from '#core/configuration/parts.ts';
import { fileHash } from '#core/configuration/verify.ts';
import type { RangeReport } from '#core/log/audit-range-report.ts';
import { KeyChain } from '#core/log/key-chain.ts';
import { originNumber } from '#core/log/origin.ts';
import type { RangeSource } from '#core/log/range-source.ts';
import { noteVerifier } from '#core/log/signed-note.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { memberOf, type ServerId, serverId } from '#schemas/identifiers.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { PastSigners } from './past-signers.ts';

/**
 * The report of an audit, with what the comparison adds: the finding LOG_KEY_NOT_REGISTERED at the first entry, or the gap
 * LOG_KEY_UNKNOWN where no version that could be verified names a key.
 * @throws CONFIGURATION_MISSING, CONFIGURATION_PART_WRONG
 */
export async function withRegisteredKey(
  report: RangeReport,
  log: RangeSource,
  signers: Pick<PastSigners, 'contents' | 'past'>,
): Promise<RangeReport> {
  const chain = await chainOf(log);
  // Where the keys cannot be followed the audit itself said so.
  if (chain === null || report.firstBadSeq === 0) return report;
  const keys = registeredKeys(signers, originNumber(report.origin).base);
  if (keys.size === 0) {
    const gap = {
      code: 'LOG_KEY_UNKNOWN' as const,
      seq: 0,
      detail: `no version registers the server of ${report.origin}`,
    };
    const gaps = [gap, ...report.gaps];
    return {
      ...report,
      gaps,
      gapsFound: report.gapsFound + 1,
      incomplete: report.code === null ? gap.code : report.incomplete,
    };
  }
  const isKnown = [...keys].some((key) => chain.names(noteVerifier(report.origin, fromBase64url(key))));
  if (isKnown) return report;
  const detail = 'its checkpoints are signed by a key that was never registered for its server';
  return { ...report, ok: false, code: 'LOG_KEY_NOT_REGISTERED', firstBadSeq: 0, detail, root: null };
}

async function chainOf(log: RangeSource): Promise<KeyChain | null> {
  try {
    return log.ahead?.chain === undefined
      ? KeyChain.of(log, log.identity()?.verifierKey ?? '')
      : await log.ahead.chain(log.size());
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return null;
  }
}

/** Of every version, base64url of the raw key. */
function registeredKeys({ contents, past }: Pick<PastSigners, 'contents' | 'past'>, origin: string): Set<string> {
  const server = serverOf(origin);
  const keys = new Set<string>();
  if (server === null) return keys;
  const name = `members/${partShardOf(memberOf(server))}`;
  const seen = new Set<string>();
  for (const { parts, instance } of contents.values()) {
    const hash = parts[name];
    if (hash === undefined || seen.has(hash)) continue;
    seen.add(hash);
    const bytes = past.part(hash);
    if (bytes === undefined) throw new AccordError('CONFIGURATION_MISSING', `part ${name}`);
    if (fileHash(bytes) !== hash) throw new AccordError('CONFIGURATION_PART_WRONG', name);
    for (const { id, log } of readPart(name, bytes, instance).servers) {
      if (id === server && originNumber(log.origin).base === origin) keys.add(log.key);
    }
  }
  return keys;
}

/** Null where the log is not named as a server's are. */
function serverOf(origin: string): ServerId | null {
  try {
    return serverId(origin.replace(/^accord\//, ''));
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return null;
  }
}
