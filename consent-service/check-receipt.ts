// Whether a receipt is genuine and whether it stands now, for anybody who holds its text. Whoever brings it controls every
// byte; nothing of it is told back unless a key that the configuration registers for its issuer signed exactly this text.
import { readReceipt, verifyReceipt } from '#certs/receipt.ts';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { type Receipt, STATUS } from '#schemas/receipt.ts';

/** `unknown`: another consent service issued it, and publishes its state. */
type Standing = 'valid' | 'paused' | 'ended' | 'expired' | 'not-begun' | 'unknown';

export type CheckedReceipt =
  | { kind: 'unreadable' }
  /** `issuer`: no such consent service is registered; `signature`: none of its registered keys signed it. */
  | { kind: 'not-genuine'; why: 'issuer' | 'signature' }
  | { kind: 'genuine'; receipt: Receipt; hash: string; standing: Standing };

/** What stands at a place of one of this service's own status lists; null for the lists of others. */
export type StatusOf = (uri: string, idx: number) => number | null;

/** @param text as it was handed over: white space around it does not count */
export function checkReceipt(
  text: string,
  snapshot: Pick<ConfigurationSnapshot, 'consentService'>,
  statusOf: StatusOf,
  nowMs: number,
): CheckedReceipt {
  const jws = text.trim();
  try {
    const { receipt, hash } = readReceipt(jws);
    const issuer = snapshot.consentService(receipt.iss);
    if (issuer === undefined) return { kind: 'not-genuine', why: 'issuer' };
    if (!verifyReceipt(jws, issuer.keys)) return { kind: 'not-genuine', why: 'signature' };
    return { kind: 'genuine', receipt, hash, standing: standingOf(receipt, statusOf, nowMs) };
  } catch (error) {
    if (isAccordError(error)) return { kind: 'unreadable' };
    throw error;
  }
}

function standingOf({ status, nbf, exp }: Receipt, statusOf: StatusOf, nowMs: number): Standing {
  const value = statusOf(status.uri, status.idx);
  if (value === STATUS.invalid) return 'ended';
  if (nowMs >= exp * 1000) return 'expired';
  if (nowMs < nbf * 1000) return 'not-begun';
  if (value === STATUS.suspended) return 'paused';
  if (value === null) return 'unknown';
  if (value !== STATUS.valid) throw new AccordError('STATUS_LIST_REFUSED', `status ${value}`);
  return 'valid';
}
