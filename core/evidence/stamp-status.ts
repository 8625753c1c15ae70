// What an exporting server knows of time-stamp authorities beside the configuration of the day: lists and answers that it kept
// (core/time-stamp-status-file.ts), and lists that were approved since. By it a pack rests on a time-stamp that still counts, where
// the log has one, and shows none that is over. It can only take away. The folder's owner controls files and tokens.
import {
  plainTimeStampToken,
  readTimeStampToken,
  type VerifiedTimeStamp,
  verifyTimeStampToken,
} from '#certs/time-stamp.ts';
import type { TimeStampStatus } from '#certs/time-stamp-revocation.ts';
import { readKeptStatus } from '#core/time-stamp-status-file.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { PastConfiguration } from './past-configuration.ts';

/** The time-stamp authorities of a day. */
export interface Stampers {
  /** Judges a token by all that is known now; null where nobody is named. Throws as `verifyTimeStampToken` does. */
  verify: ((token: Buffer, imprint: Buffer) => VerifiedTimeStamp) | null;
  /** Whether the token is over, by all that is known now. A token that is wrong is not: that the checks say. */
  isOver(token: Buffer): boolean;
  /** Whether it is over, but neither the token nor the configuration of the day shows it: who has a pack could not know. */
  isOverUnseen(token: Buffer): boolean;
  /** What the authority signed of it, with the lists beside it that take it away; null where it is over and no list shows that. */
  plain(token: Buffer): Buffer | null;
}

/**
 * @param file the server's `time-stamp-status.json`. @returns for a version of the configuration
 * @throws CERTIFICATE_STATUS_UNREADABLE
 */
export function openStampStatus(
  past: PastConfiguration,
  file: string | undefined,
  nowMs: number,
): (version: number) => Stampers {
  const kept = file === undefined ? [] : readKeptStatus(file).sources;
  const of = (kind: string) => kept.flatMap(({ key, bytes }) => (key.startsWith(kind) ? [bytes] : []));
  const [newest = 0] = past.versionsNear(0, Number.MAX_SAFE_INTEGER);
  const lists = [...of('crl '), ...past.stamping(newest).crls];
  const known = { crls: lists, answers: of('ocsp ') };
  return (version) => {
    const { certificates, crls } = past.stamping(version);
    const verifying = (status: TimeStampStatus) => (token: Buffer, imprint: Buffer) =>
      verifyTimeStampToken(token, imprint, certificates, nowMs, status);
    const [byAll, byDay] = [verifying({ ...known, crls: [...lists, ...crls] }), verifying({ crls })];
    const isOver = (token: Buffer) => isRevoked(token, byAll);
    const isOverUnseen = (token: Buffer) => isOver(token) && !isRevoked(token, byDay);
    return {
      verify: certificates.length === 0 ? null : byAll,
      isOver,
      isOverUnseen,
      plain(token) {
        try {
          const plain = plainTimeStampToken(token, certificates, lists);
          return isOverUnseen(plain) ? null : plain;
        } catch (error) {
          // As it came, where it leads to none of the authorities: then the checks of the pack say so.
          if (isAccordError(error)) return token;
          throw error;
        }
      },
    };
  };
}

function isRevoked(token: Buffer, verify: (token: Buffer, imprint: Buffer) => VerifiedTimeStamp): boolean {
  try {
    const { digest } = readTimeStampToken(token).imprint;
    if (digest.length === 32) verify(token, digest);
    return false;
  } catch (error) {
    if (isAccordError(error)) return error.code === 'TIME_STAMP_REVOKED';
    throw error;
  }
}
