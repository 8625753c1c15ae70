// Whether a receipt stands for a consent now (DESIGN: consent). The order of these checks is part of the protocol: what is
// foreign, forged or for another purpose is told alike and before anything about its state, so that nobody can probe. When
// in doubt the answer is no: without a status list that is young enough nothing is allowed.
import type { Level } from '#schemas/dictionary-entry.ts';
import { STATUS_MAX_AGE_MS, STATUS_MAX_DEVIATION_MS } from '#schemas/limits.ts';
import type { ProblemCode } from '#schemas/problems.ts';
import { STATUS } from '#schemas/receipt.ts';
import type { AskedElement, DecisionInputs, FrequencyFacts } from './decision-inputs.ts';

/** Null when the consent counts. */
export function checkConsent({
  consent,
  purpose,
  binding,
}: DecisionInputs): { code: ProblemCode; detail: string } | null {
  const no = (code: ProblemCode, detail = '') => ({ code, detail });
  if (consent === null || !consent.given) return no('CONSENT_REQUIRED');
  if (consent.deviationMs > STATUS_MAX_DEVIATION_MS) return no('CLOCK_DOUBTED');
  const { receipt, status, trustedNowMs } = consent;
  if (receipt === null || purpose === null || receipt.purposeHash !== purpose.hash) return no('RECEIPT_REFUSED');
  if (trustedNowMs < receipt.notBeforeMs || trustedNowMs >= receipt.notAfterMs) return no('CONSENT_EXPIRED');
  const maxAgeMs = statusMaxAgeMs(binding?.asked ?? []);
  if (status === null || trustedNowMs - status.listIatMs > maxAgeMs) return no('STATUS_STALE', `${maxAgeMs / 1000} s`);
  if (status.value === STATUS.suspended) return no('CONSENT_SUSPENDED');
  if (status.value !== STATUS.valid) return no('CONSENT_WITHDRAWN');
  // One citizen's "once" would be once for each server.
  const { frequency } = receipt;
  if ((receipt.uses !== null || frequency !== undefined) && receipt.countedApart) return no('CONSENT_USES_NOT_COUNTED');
  if (receipt.uses !== null && receipt.used >= receipt.uses) return no('CONSENT_USES_SPENT', `${receipt.uses} in all`);
  if (frequency !== undefined && frequency.used >= frequency.uses) return no('CONSENT_TOO_OFTEN', oftenAs(frequency));
  return null;
}

function oftenAs({ uses, days, againAtMs }: FrequencyFacts): string {
  const again =
    againAtMs === null ? 'not again before the consent ends' : `again from ${new Date(againAtMs).toISOString()}`;
  return `${uses} within ${days === 1 ? '24 hours' : `${days} days`}; ${again}`;
}

/** How old the status list may be, by the most sensitive element that is asked for. */
export function statusMaxAgeMs(asked: readonly Pick<AskedElement, 'level'>[]): number {
  const highest = asked.reduce<Level>((most, { level }) => (level > most ? level : most), 1);
  return STATUS_MAX_AGE_MS[highest];
}
