// May this request be answered? One pure function with a fixed order of checks and stable codes (DESIGN: who may ask for
// what). Everything it looks at is in `DecisionInputs`, which is archived beside the record and hashed into both logs,
// so that an auditor can replay the decision and must get the same hash. The consumer controls the request part.
import { sha256 } from '#certs/commitment.ts';
import type { AccessRight } from '#schemas/access-right.ts';
import type { ProblemCode } from '#schemas/problems.ts';
import { checkConsent } from './check-consent.ts';
import { checkEvidence } from './check-evidence.ts';
import { covers } from './covering.ts';
import type { AskedElement, DecisionInputs } from './decision-inputs.ts';
import { isUnchanging, jsonBytes, unchanging } from './unchanging.ts';

/** What may leave: the elements and predicates asked for and permitted, and those left out because `partial` was said. */
export interface Permitted {
  asked: { path: string | null; element: string }[];
  omitted: { path: string | null; element: string }[];
}

export interface Decision {
  allowed: boolean;
  /** `OK` or the code of the first check that failed. */
  code: 'OK' | ProblemCode;
  detail: string;
  /** The access right that decided; null when none covered the request. */
  rightId: string | null;
  retention: string;
  /** Null for refusals and for services that are not bound. */
  release: Permitted | null;
}

const DEFAULT_RETENTION = 'standard';

/** Pure: the same inputs always give the same decision. */
export function decide(inputs: DecisionInputs): Decision {
  const { request, service, nowMs } = inputs;
  if (!inputs.clientRegistered) return refused('CLIENT_UNKNOWN', request.client);
  if (inputs.lockedFor !== null) return refused('REVIEW_OVERDUE', inputs.lockedFor);
  if (service === null) return refused('SERVICE_UNKNOWN', request.service);
  const asking = { ...request, groups: inputs.groups };
  const covering = inputs.rights.filter(({ right }) => covers(right, asking, nowMs));
  if (covering.length === 0) {
    return refused('ACCESS_DENIED', `${request.client} at ${request.method} ${request.service}${request.path}`);
  }
  if (!service.enabled) return refused('SERVICE_DISABLED', service.notice ?? '');
  const malformed = checkFields(inputs);
  if (malformed !== null) return malformed;
  // The first right that allows everything wins, then the one that omits least; otherwise the refusal of the right that
  // came furthest is told.
  let furthest: { step: number; decision: Decision } | undefined;
  let best: Decision | undefined;
  for (const candidate of covering) {
    const failure = checkRight(inputs, candidate) ?? checkCeiling(inputs, candidate);
    if ('step' in failure) {
      if (furthest === undefined || failure.step > furthest.step) furthest = failure;
      continue;
    }
    if (best === undefined || omittedBy(failure) < omittedBy(best)) best = failure;
    if (omittedBy(best) === 0) return best;
  }
  return best ?? furthest?.decision ?? refused('ACCESS_DENIED', '');
}

function omittedBy({ release }: Decision): number {
  return release?.omitted.length ?? 0;
}

/** Whether the request says what it wants of a bound service, in words the table knows; null when it does. */
function checkFields({ request, service, binding }: DecisionInputs): Decision | null {
  if (binding === null) {
    // Nothing could be filtered, so an answer about people must not leave at all.
    if (service?.personalData !== false) return refused('BINDING_REQUIRED', request.service);
    return request.fields === null ? null : refused('FIELDS_UNKNOWN', 'the service is not bound to the dictionary');
  }
  if (binding.operation === null) return refused('OPERATION_UNKNOWN', `${request.method} ${request.path}`);
  if (request.fields === null) return refused('FIELDS_REQUIRED', binding.operation);
  if (binding.tooMany) return refused('FIELDS_TOO_MANY', '');
  if (binding.unknown.length > 0) return refused('FIELDS_UNKNOWN', listed(binding.unknown));
  // The persons an emergency is used for are counted, so each request is about one.
  const isNeeded =
    binding.needsSubject || request.basis === 'emergency' || binding.asked.some(({ path }) => path === null);
  const isMissing = isNeeded && request.subject === null;
  return isMissing ? refused('SUBJECT_MISSING', binding.operation) : null;
}

/** Names as a detail can hold them. */
function listed(names: readonly string[]): string {
  const [shown, rest] = [names.slice(0, 20), names.length - 20];
  return `${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

/** The last checks: what of the asked lies under the right's ceiling, and the budget of predicates. */
function checkCeiling(
  { request, binding, purpose, consent, predicateUse }: DecisionInputs,
  { right }: { right: AccessRight },
) {
  const { id, retention, elements } = right;
  const allow = (release: Permitted | null): Decision => {
    return { allowed: true, code: 'OK', detail: '', rightId: id, retention, release };
  };
  const fail = (step: number, code: ProblemCode, detail: string) => ({
    step,
    decision: { ...refused(code, detail), rightId: id, retention },
  });
  if (binding === null) {
    return elements === null ? allow(null) : fail(7, 'FIELDS_NOT_PERMITTED', 'the whole answer of the service');
  }
  // Three ceilings: the provider's right, the purpose's words, and on that basis the citizen's own word.
  const ceiling = new Set(elements?.filter((element) => purpose?.elements.includes(element) ?? true));
  const consented = request.basis === 'consent' ? new Set(consent?.receipt?.elements) : null;
  const outside = ({ element }: AskedElement) => !ceiling.has(element) || consented?.has(element) === false;
  const release = binding.asked.some(outside) ? partedBy(binding.asked, outside) : wholeOf(binding.asked);
  const { asked, omitted } = release;
  if (omitted.length > 0 && (!request.partial || asked.length === 0)) {
    const names = omitted.map(({ path, element }) => (path === null ? element : `${path} (${element})`));
    const isConsents = omitted.every(({ element }) => ceiling.has(element));
    return fail(7, isConsents ? 'FIELDS_NOT_CONSENTED' : 'FIELDS_NOT_PERMITTED', listed(names));
  }
  for (const { input, used, budget } of predicateUse) {
    const permitted = new Set(asked.map(({ element }) => element));
    const now = binding.asked.filter(({ element, inputs }) => permitted.has(element) && inputs.includes(input));
    const distinct = new Set([...used, ...now.map(({ element }) => element)]);
    if (now.length > 0 && distinct.size > budget) return fail(8, 'PREDICATE_BUDGET_SPENT', `${budget} over ${input}`);
  }
  return allow(release);
}

/** What is permitted of all that was asked for: where something is outside, its group is broken. */
function partedBy(all: readonly AskedElement[], outside: (each: AskedElement) => boolean): Permitted {
  const broken = new Set(all.filter(outside).map(({ group }) => group));
  const asked: Permitted['asked'] = [];
  const omitted: Permitted['omitted'] = [];
  for (const each of all) {
    const isOmitted = outside(each) || (each.group !== null && broken.has(each.group));
    (isOmitted ? omitted : asked).push({ path: each.path, element: each.element });
  }
  return { asked, omitted };
}

const wholes = new WeakMap<readonly AskedElement[], Permitted>();

/** All of it; the same object, frozen, for what never changes. */
function wholeOf(all: readonly AskedElement[]): Permitted {
  const known = wholes.get(all);
  if (known !== undefined) return known;
  const whole: Permitted = { asked: all.map(({ path, element }) => ({ path, element })), omitted: [] };
  if (isUnchanging(all)) wholes.set(all, unchanging(whole));
  return whole;
}

/** The checks within one access right, in order; null when all pass. */
function checkRight(
  inputs: DecisionInputs,
  { right, usedToday }: DecisionInputs['rights'][number],
): { step: number; decision: Decision } | null {
  const { request, service, binding } = inputs;
  const fail = (step: number, code: ProblemCode, detail: string) => ({
    step,
    decision: { ...refused(code, detail), rightId: right.id, retention: right.retention },
  });
  const purposeFits = request.purpose === null ? right.purposes.length === 0 : right.purposes.includes(request.purpose);
  const offered = binding?.purposes ?? [];
  const isOffered = offered.length === 0 || (request.purpose !== null && offered.includes(request.purpose));
  if (!purposeFits || !isOffered) return fail(1, 'PURPOSE_NOT_ALLOWED', request.purpose ?? 'a purpose is needed');
  if (!right.bases.includes(request.basis)) return fail(2, 'BASIS_NOT_ALLOWED', request.basis);
  // An access right cannot open what holds personal data, whatever its author meant.
  if (request.basis === 'open' && service?.personalData !== false) {
    return fail(2, 'BASIS_NOT_ALLOWED', 'open is for services that are declared free of personal data');
  }
  const bounds = checkPurpose(inputs, right);
  if (bounds !== null) return fail(bounds.step, bounds.code, bounds.detail);
  if (request.basis === 'consent') {
    const refusal = checkConsent(inputs);
    if (refusal !== null) return fail(3, refusal.code, refusal.detail);
  }
  const evidence = checkEvidence(inputs, right);
  if (evidence !== null) return fail(evidence.step, evidence.code, evidence.detail);
  if (right.quotaPerDay !== null && usedToday >= right.quotaPerDay) {
    return fail(6, 'QUOTA_EXCEEDED', `${right.quotaPerDay} a day`);
  }
  return null;
}

/** A request for a bound service names a purpose that was approved, in the words that the right was given for. */
function checkPurpose(
  { request, service, binding, purpose, purposeEnded }: DecisionInputs,
  right: AccessRight,
): { step: number; code: ProblemCode; detail: string } | null {
  if (binding === null) return null;
  if (request.purpose === null) {
    const isNeeded = service?.personalData !== false || request.basis === 'consent';
    return isNeeded ? { step: 1, code: 'PURPOSE_NOT_ALLOWED', detail: 'a purpose is needed' } : null;
  }
  if (purpose === null) {
    return { step: 1, code: purposeEnded ? 'PURPOSE_ENDED' : 'PURPOSE_UNKNOWN', detail: request.purpose };
  }
  if (right.pins[request.purpose] !== purpose.hash) {
    return { step: 1, code: 'PURPOSE_CHANGED', detail: `${request.purpose} is at version ${purpose.version}` };
  }
  if (!purpose.bases.includes(request.basis)) {
    return { step: 2, code: 'BASIS_NOT_ALLOWED', detail: `${request.purpose} is not for ${request.basis}` };
  }
  if (purpose.quotaPerDay !== null && purpose.usedToday >= purpose.quotaPerDay) {
    return { step: 2, code: 'QUOTA_EXCEEDED', detail: `${purpose.quotaPerDay} a day for ${request.purpose}` };
  }
  return null;
}

function refused(code: ProblemCode, detail: string): Decision {
  return { allowed: false, code, detail, rightId: null, retention: DEFAULT_RETENTION, release: null };
}

/** The exact bytes that are archived, and their hash (base64url) as both logs carry it. */
export function archiveDecision(inputs: DecisionInputs, decision: Decision): { bytes: Buffer; hash: string } {
  const bytes = jsonBytes((part) => ({ inputs: inParts(inputs, part), decision: inParts(decision, part) }));
  return { bytes, hash: sha256(bytes) };
}

/** The same members in the same order, with what never changes given to `part`. */
function inParts(inputs: DecisionInputs | Decision, part: <T>(value: T) => T): object {
  if ('release' in inputs) return { ...inputs, release: part(inputs.release) };
  const { request, binding, rights } = inputs;
  return {
    ...inputs,
    request: { ...request, fields: part(request.fields) },
    binding: part(binding),
    rights: rights.map((one) => ({ ...one, right: part(one.right) })),
  };
}
