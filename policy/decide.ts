// May this request be answered? One pure function with a fixed order of checks and stable codes (DESIGN: who may ask for
// what). Everything it looks at is in `DecisionInputs`, which is archived beside the record and hashed into both logs,
// so that an auditor can replay the decision and must get the same hash. The consumer controls the request part.
import { sha256 } from '#certs/commitment.ts';
import type { AccessRight } from '#schemas/access-right.ts';
import type { ProblemCode } from '#schemas/problems.ts';
import type { Basis } from '#schemas/statement.ts';
import { endpointAllowed } from './endpoint-glob.ts';

export interface DecisionInputs {
  v: 1;
  nowMs: number;
  request: {
    client: string;
    service: string;
    method: string;
    path: string;
    purpose: string | null;
    basis: Basis;
    userId: string | null;
    issue: string | null;
  };
  clientRegistered: boolean;
  /** What the provider's server knows of the service; null when it has none of that name. */
  service: { enabled: boolean; notice: string | null; personalData: boolean } | null;
  /** The access rights of this client at this service, with what each has used today. */
  rights: { right: AccessRight; usedToday: number }[];
}

export interface Decision {
  allowed: boolean;
  /** `OK` or the code of the first check that failed. */
  code: 'OK' | ProblemCode;
  detail: string;
  /** The access right that decided; null when none covered the request. */
  rightId: string | null;
  retention: string;
}

const DEFAULT_RETENTION = 'standard';

/** Pure: the same inputs always give the same decision. */
export function decide(inputs: DecisionInputs): Decision {
  const { request, service, nowMs } = inputs;
  if (!inputs.clientRegistered) return refused('CLIENT_UNKNOWN', request.client);
  if (service === null) return refused('SERVICE_UNKNOWN', request.service);
  const covering = inputs.rights.filter(
    ({ right }) =>
      right.client === request.client &&
      right.service === request.service &&
      right.notBeforeMs <= nowMs &&
      nowMs <= right.notAfterMs &&
      endpointAllowed(right.endpoints, request.method, request.path === '' ? '/' : request.path),
  );
  if (covering.length === 0) {
    return refused('ACCESS_DENIED', `${request.client} at ${request.method} ${request.service}${request.path}`);
  }
  if (!service.enabled) return refused('SERVICE_DISABLED', service.notice ?? '');
  // The first right that allows everything wins; otherwise the refusal of the right that came furthest is told.
  let furthest: { step: number; decision: Decision } | undefined;
  for (const candidate of covering) {
    const failure = checkRight(inputs, candidate);
    if (failure === null) {
      const { id, retention } = candidate.right;
      return { allowed: true, code: 'OK', detail: '', rightId: id, retention };
    }
    if (furthest === undefined || failure.step > furthest.step) furthest = failure;
  }
  return furthest?.decision ?? refused('ACCESS_DENIED', '');
}

/** The checks within one access right, in order; null when all pass. */
function checkRight(
  { request, service }: DecisionInputs,
  { right, usedToday }: DecisionInputs['rights'][number],
): { step: number; decision: Decision } | null {
  const fail = (step: number, code: ProblemCode, detail: string) => ({
    step,
    decision: { ...refused(code, detail), rightId: right.id, retention: right.retention },
  });
  const purposeFits = request.purpose === null ? right.purposes.length === 0 : right.purposes.includes(request.purpose);
  if (!purposeFits) return fail(1, 'PURPOSE_NOT_ALLOWED', request.purpose ?? 'a purpose is needed');
  if (!right.bases.includes(request.basis)) return fail(2, 'BASIS_NOT_ALLOWED', request.basis);
  // An access right cannot open what holds personal data, whatever its author meant.
  if (request.basis === 'open' && service?.personalData !== false) {
    return fail(2, 'BASIS_NOT_ALLOWED', 'open is for services that are declared free of personal data');
  }
  // A consent is a signed receipt that this server would have to verify; until it can, it never counts as given.
  if (request.basis === 'consent') return fail(3, 'CONSENT_NOT_SUPPORTED', '');
  if (request.basis === 'law') {
    if (request.userId === null) return fail(4, 'OFFICIAL_REQUIRED', '');
    const pattern = right.casePattern ?? '';
    if (request.issue === null || !caseNumberFits(pattern, request.issue)) {
      return fail(5, 'CASE_NUMBER_REQUIRED', `the form is ${pattern === '' ? 'any text' : pattern}`);
    }
  }
  if (right.quotaPerDay !== null && usedToday >= right.quotaPerDay) {
    return fail(6, 'QUOTA_EXCEEDED', `${right.quotaPerDay} a day`);
  }
  return null;
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

function refused(code: ProblemCode, detail: string): Decision {
  return { allowed: false, code, detail, rightId: null, retention: DEFAULT_RETENTION };
}

/** The exact bytes that are archived, and their hash (base64url) as both logs carry it. */
export function archiveDecision(inputs: DecisionInputs, decision: Decision): { bytes: Buffer; hash: string } {
  const bytes = Buffer.from(JSON.stringify({ inputs, decision }), 'utf8');
  return { bytes, hash: sha256(bytes) };
}
