// What may leave in one case of campaign `consent`, from its description alone: nothing here knows receipts, status lists,
// bindings or decisions as the servers do, and nothing of policy/ or security-server/ is imported. Times are the true ones.

import { type ConsentCase, type ConsentTerms, DAY_MS } from './consent-cases.ts';
import { ENDED, FIELDS, type Field, heldOf, ISSUERS, PURPOSES, TOGETHER } from './consent-facts.ts';

export interface Verdict {
  /** How many of the requests that are sent at once are answered, and with what. */
  answered: number;
  body: Record<string, string | number>;
  predicates: string[];
  /** The receipt is foreign, forged or for something else: the answer must be that to a text of no meaning. */
  isForeign: boolean;
}

/** Seconds that a status list may be old, by the level of the most sensitive field asked for. */
const MAX_AGE_S = [0, 120, 120, 60, 20] as const;

export function mayLeave(one: ConsentCase): Verdict {
  const { request, receipt, rights } = one;
  const isForeign = request.basis === 'consent' && receipt !== null && !isGenuine(one);
  const nothing: Verdict = { answered: 0, body: {}, predicates: [], isForeign };
  const purpose = PURPOSES[request.purpose];
  const answered = (purpose.bases as readonly string[]).includes(request.basis) ? answeredOn(one) : 0;
  const permitted = rights
    .filter(({ client, service, ended }) => client === request.client && service === request.service && !ended)
    .filter(
      ({ purposes, pinned }) => purposes.includes(request.purpose) && (pinned ?? purpose.version) === purpose.version,
    )
    .filter(({ bases }) => bases.includes(request.basis))
    .flatMap(({ fields }) => fields)
    .filter((field) => (purpose.fields as readonly Field[]).includes(field))
    .filter((field) => request.basis !== 'consent' || receipt?.fields.includes(field));
  const asked = askedOf(one);
  const isSplit = !TOGETHER.every((field) => permitted.includes(field));
  const left = asked.filter((field) => permitted.includes(field) && !(isSplit && TOGETHER.includes(field)));
  const isWhole = left.length === asked.length;
  if (answered === 0 || request.purpose === ENDED || left.length === 0 || !(isWhole || request.partial)) return nothing;
  const subject = request.basis === 'consent' ? (receipt?.subject ?? '') : (request.literal ?? '');
  if (subject === '') return nothing;
  const held = heldOf(subject);
  const body: Verdict['body'] = {};
  for (const field of left) if (field !== 'adult') body[field] = held[field];
  const isAdult = String(held.birthDate) < '2000';
  return {
    answered,
    body,
    isForeign,
    predicates: left.includes('adult') ? [`${FIELDS.adult.element} ${isAdult}`] : [],
  };
}

/** Who asks for one of those that belong together asks for all of them. */
function askedOf({ request }: ConsentCase): Field[] {
  const { fields } = request;
  return fields.some((field) => TOGETHER.includes(field)) ? [...new Set([...fields, ...TOGETHER])] : fields;
}

/** How many of the requests sent at once have the basis they name. */
function answeredOn(one: ConsentCase): number {
  const { request } = one;
  if (request.basis === 'law') return request.official ? request.atOnce : 0;
  if (request.basis === 'emergency') return request.official && one.emergency === 'opened' ? request.atOnce : 0;
  return request.basis === 'consent' && isGenuine(one) ? usesLeft(one) : 0;
}

/** The consent service gave it, nobody touched it, and it is about exactly this. */
function isGenuine({ request, receipt }: ConsentCase): boolean {
  if (receipt === null || receipt.spoiled !== null) return false;
  const { issuer, signedBy, listOf, client, service, provider, purpose, version, subject } = receipt;
  return (
    issuer !== ISSUERS[2] &&
    [signedBy, listOf].every((who) => who === issuer) &&
    client === request.client &&
    service === request.service &&
    service.startsWith(`${provider}/`) &&
    purpose === request.purpose &&
    version === PURPOSES[purpose].version &&
    (request.literal === null || request.literal === subject) &&
    receipt.scheme === 'gx.id@1'
  );
}

function usesLeft({ request, receipt, nowMs, aheadMs, seenMs }: ConsentCase): number {
  if (receipt === null || aheadMs < -5_000) return 0;
  // A clock that is ahead only makes everything older; one that is behind is not believed.
  const time = nowMs + Math.max(0, aheadMs);
  if (time < receipt.fromS * 1000 || time >= receipt.untilS * 1000) return 0;
  const maxAgeMs = MAX_AGE_S[Math.max(...request.fields.map((field) => FIELDS[field].level)) as 1 | 2 | 3 | 4] * 1000;
  const { signedMs, says } = receipt.list;
  if (signedMs === null || time - signedMs > maxAgeMs || says !== 'valid') return 0;
  const inAll = receipt.uses === null ? request.atOnce : receipt.uses - receipt.usedBefore;
  return Math.max(0, Math.min(request.atOnce, inAll, leftInDays(receipt.frequency, Math.max(time, seenMs))));
}

/** A request that is exactly so many days old does not count any more. */
function leftInDays(frequency: ConsentTerms['frequency'], timeMs: number): number {
  if (frequency === null) return Number.POSITIVE_INFINITY;
  const { uses, days, usedAtMs } = frequency;
  return uses - usedAtMs.filter((atMs) => timeMs - atMs < days * DAY_MS).length;
}
