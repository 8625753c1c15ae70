// Whether officials have said what the bases law and emergency need of them, and whether what the citizen is shown may be
// delayed (DESIGN: who may ask for what). The order is part of the protocol. What is forged, foreign or for another request
// is told alike.
import type { AccessRight } from '#schemas/access-right.ts';
import type { ProblemCode } from '#schemas/problems.ts';
import { daysBetween } from './calendar.ts';
import type { DecisionInputs, EmergencyFacts } from './decision-inputs.ts';

interface Refusal {
  step: number;
  code: ProblemCode;
  detail: string;
}

/** Null when the request's basis has what it needs of officials. */
export function checkEvidence(inputs: DecisionInputs, right: AccessRight): Refusal | null {
  const { basis } = inputs.request;
  const refusal = basis === 'law' ? checkLaw(inputs, right) : basis === 'emergency' ? checkEmergency(inputs) : null;
  return refusal ?? checkSecrecy(inputs, right);
}

function checkLaw({ request, evidence }: DecisionInputs, right: AccessRight): Refusal | null {
  if (request.userId === null) return { step: 4, code: 'OFFICIAL_REQUIRED', detail: '' };
  const pattern = right.casePattern ?? '';
  if (request.issue === null || !caseNumberFits(pattern, request.issue)) {
    const detail = `the form is ${pattern === '' ? 'any text' : pattern}`;
    return { step: 5, code: 'CASE_NUMBER_REQUIRED', detail };
  }
  const given = evidence?.given ?? 0;
  if (given === 0) return right.evidence === 'server' ? null : { step: 5, code: 'EVIDENCE_REQUIRED', detail: '' };
  // A token that nobody asked for is judged as well: what stands in the record must be true.
  if (evidence === null || evidence.official === null || evidence.official.id !== request.userId) {
    return { step: 5, code: 'EVIDENCE_REFUSED', detail: '' };
  }
  return evidence.usedBefore ? { step: 5, code: 'EVIDENCE_USED', detail: '' } : null;
}

function checkEmergency({ request, evidence, nowMs }: DecisionInputs): Refusal | null {
  if (request.userId === null) return { step: 4, code: 'OFFICIAL_REQUIRED', detail: '' };
  if (evidence === null || evidence.given === 0) return { step: 5, code: 'EMERGENCY_REQUIRED', detail: '' };
  const { emergency } = evidence;
  if (emergency === null || !isFor(emergency, request)) return { step: 5, code: 'EVIDENCE_REFUSED', detail: '' };
  const { fromMs, untilMs, persons, otherPersons, id } = emergency;
  if (nowMs < fromMs || nowMs >= untilMs) return { step: 5, code: 'EMERGENCY_ENDED', detail: id };
  return otherPersons < persons ? null : { step: 5, code: 'EMERGENCY_PERSONS_SPENT', detail: `${persons} in all` };
}

/** One of the two asks, for the purpose and at a service that both signed. */
function isFor(emergency: EmergencyFacts, { userId, purpose, service }: DecisionInputs['request']): boolean {
  return (
    emergency.officials.some(({ id }) => id === userId) &&
    emergency.purpose === purpose &&
    emergency.services.includes(service)
  );
}

function checkSecrecy({ request, today }: DecisionInputs, { secrecyDays }: AccessRight): Refusal | null {
  const { hiddenUntil, basis } = request;
  if (hiddenUntil === null) return null;
  // A day that does not exist is not a number of days away.
  const days = daysBetween(today, hiddenUntil);
  const isAllowed = basis === 'law' && secrecyDays !== null && days !== null && days >= 0 && days <= secrecyDays;
  return isAllowed ? null : { step: 5, code: 'SECRECY_NOT_ALLOWED', detail: `${secrecyDays ?? 0} days` };
}

/** `#` is a digit, `A` a letter of the Latin alphabet, everything else itself; an empty pattern takes any text. */
function caseNumberFits(pattern: string, caseNumber: string): boolean {
  if (pattern === '') return caseNumber.length > 0;
  const chars = [...caseNumber];
  const marks = [...pattern];
  if (marks.length !== chars.length) return false;
  return marks.every((mark, at) => {
    const char = chars[at] ?? '';
    if (mark === '#') return char >= '0' && char <= '9';
    if (mark === 'A') return /^[A-Za-z]$/.test(char);
    return mark === char;
  });
}
