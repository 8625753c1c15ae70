// What the registry makes of emergencies (DESIGN: who may ask for what, Emergency): it takes the tokens that two officials
// signed from whoever brings them, keeps until when each lasts, and waits for the review of a third. What is not reviewed
// in time locks its department (publisher.ts). Only keys that two approvers put into the configuration count.
//
// Whoever reaches the public port controls the texts; the signatures decide, and a stranger learns one code.
import { createHash } from 'node:crypto';
import { type Emergency, verifyEmergencyPair, verifyEmergencyReview } from '#certs/evidence.ts';
import { exportSpki, importPublicJwk } from '#certs/keys.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import { CONTENT_LIFETIME_MS, type OfficialKeyEntry } from '#schemas/configuration.ts';
import type { EmergencyReport, KnownEmergency } from '#schemas/emergency-report.ts';
import { type EmergencyReview, parseEmergencyEvidence, parseEmergencyReview } from '#schemas/evidence.ts';
import type { JsonValue } from '#schemas/json.ts';
import { CLOCK_WINDOW_MS, MAX_DUE_REVIEWS, MAX_REVIEWS_WAITING } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { RegistryContext } from './admin-frame.ts';
import type { EmergencyRow } from './emergency-store-sqlite.ts';

/** A key that ended still proves an emergency of its time: a provider's report may be long under way. */
const ENDED_KEY_MS = CONTENT_LIFETIME_MS;

export interface Emergencies {
  /**
   * Takes the two tokens of an emergency; again is the same.
   * @throws EVIDENCE_REFUSED, REGISTRATION_LIMIT when too many of the department wait for a review
   */
  report(report: EmergencyReport): KnownEmergency;
  /**
   * Takes a review, made after the end of what it reviews; again is the same. From the next freshness on, which is signed
   * at once, a lock that hung on it is gone.
   * @throws EMERGENCY_UNKNOWN, EVIDENCE_REFUSED, EMERGENCY_LASTS
   */
  review(id: string, token: string): KnownEmergency;
  /** Of one subsystem, not reviewed yet. */
  waiting(subsystem: string): KnownEmergency[];
  /** All of them with everything that was signed and found; `after` is the `seq` of the last one of the page before. */
  page(after: number, limit: number): object[];
}

export function openEmergencies(context: Omit<RegistryContext, 'dictionary' | 'instance'>): Emergencies {
  const { store, clock, publisher } = context;
  const { emergencies } = store;

  function known({ emergency, subsystem, untilMs, reportedAtMs, reviewedAtMs }: EmergencyRow): KnownEmergency {
    const nowMs = clock.nowMs();
    const reviewDueAtMs = Math.max(untilMs, reportedAtMs) + publisher.reviewMs();
    const unreviewed = nowMs < untilMs ? 'open' : nowMs < reviewDueAtMs ? 'due' : 'overdue';
    const state = reviewedAtMs === null ? unreviewed : 'reviewed';
    return { emergency: emergency.emergency, subsystem, untilMs, reviewDueAtMs, state };
  }

  /** Keys of the subsystem's officials; ended ones, when `ended`, for some days. */
  function keysOf(subsystem: string, ended: boolean): OfficialKeyEntry[] {
    const nowMs = clock.nowMs();
    const keys = store.officials.publishedSince(subsystem, ended ? nowMs - ENDED_KEY_MS : Infinity);
    return keys.filter((key) => {
      const sinceMs = publisher.listedSinceMs(key.kid) ?? publisher.listedSinceMs(spkiHash(key));
      return sinceMs === undefined || (ended && nowMs - sinceMs < ENDED_KEY_MS);
    });
  }

  function report({ tokens, by }: EmergencyReport): KnownEmergency {
    const nowMs = clock.nowMs();
    const subsystem = claimed(tokens[0], (payload) => parseEmergencyEvidence(payload).iss);
    const emergency = verifyEmergencyPair(tokens, keysOf(subsystem, true));
    if (emergency.nbf * 1000 > nowMs + CLOCK_WINDOW_MS) throw new AccordError('EVIDENCE_REFUSED');
    const terms = termsHash(emergency);
    const row = store.transaction(() => {
      const isNew = emergencies.find(subsystem, emergency.emergency, terms) === undefined;
      if (isNew && emergencies.countWaiting(subsystem) >= MAX_REVIEWS_WAITING) {
        throw new AccordError('REGISTRATION_LIMIT', `${MAX_REVIEWS_WAITING} emergencies wait for a review`);
      }
      const untilMs = emergency.exp * 1000;
      const put = emergencies.put({ subsystem, emergency, terms, tokens, untilMs, reportedAtMs: nowMs });
      if (by !== null) emergencies.noteReport(put.seq, by, nowMs);
      return put;
    });
    return known(row);
  }

  function review(id: string, token: string): KnownEmergency {
    const nowMs = clock.nowMs();
    const claims = claimed(token, parseEmergencyReview);
    const of = emergencies.withId(id).filter(({ subsystem }) => subsystem === claims.iss);
    if (of.length === 0) throw new AccordError('EMERGENCY_UNKNOWN', id);
    const keys = keysOf(claims.iss, false);
    // Signed once; by a third person for each emergency of this id.
    const reviews = of.map(({ emergency }) => verifyEmergencyReview(token, keys, emergency));
    const [verified] = reviews;
    if (!verified || verified.iat * 1000 > nowMs + CLOCK_WINDOW_MS) throw new AccordError('EVIDENCE_REFUSED');
    const over = of.filter(({ untilMs }) => untilMs <= verified.iat * 1000);
    const newest = over.at(-1);
    if (!newest) throw new AccordError('EMERGENCY_LASTS', new Date(of[0]?.untilMs ?? 0).toISOString());
    const settles = over.map(({ seq }) => seq);
    store.transaction(() => emergencies.putReview(verified, reviewHash(verified), token, settles, nowMs));
    publisher.refreshFreshness();
    return known({ ...newest, reviewedAtMs: nowMs });
  }

  return {
    report,
    review,
    waiting: (subsystem) => emergencies.waiting(subsystem, MAX_DUE_REVIEWS).map(known),
    page: (after, limit) =>
      emergencies.page(after, limit).map((row) => {
        const { purpose, services, persons, reason, nbf, officials } = row.emergency;
        const { seq, subsystem, reportedAtMs } = row;
        return {
          seq,
          ...known(row),
          ...{ fromMs: nbf * 1000, purpose, services, persons, reason, officials, reportedAtMs },
          reports: emergencies.reportsOf(seq),
          reviews: emergencies
            .reviewsOf(subsystem, row.emergency.emergency)
            .map(({ official, finding, text, atMs }) => ({ official, finding, text, atMs })),
        };
      }),
  };
}

/** What a token says before anything of it is verified: only to know whose keys to look at. @throws EVIDENCE_REFUSED */
function claimed<T>(token: string | undefined, read: (payload: Buffer) => T): T {
  try {
    return read(fromBase64url(token?.split('.', 3)[1] ?? ''));
  } catch (error) {
    if (!isAccordError(error)) throw error;
    throw new AccordError('EVIDENCE_REFUSED', '', { cause: error });
  }
}

/** Both tokens agree on the terms; who opened and who confirmed is part of what was done. */
function termsHash({ iat: _iat, role: _role, official: _official, ...terms }: Emergency): string {
  return sha256(canonicalJson(terms as unknown as JsonValue));
}

function reviewHash(review: EmergencyReview): string {
  return sha256(canonicalJson(review as unknown as JsonValue));
}

function spkiHash({ jwk }: OfficialKeyEntry): string {
  return createHash('sha256')
    .update(exportSpki(importPublicJwk(jwk, 'sig')))
    .digest('base64url');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
