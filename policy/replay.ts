// The auditor's replay (DESIGN: who may ask for what): the archived inputs of a past decision go through `decide` once
// more and must give the hash that both logs carry. Pure: the server's archive is judged, never believed. Whoever holds
// the archive controls its bytes; the hash was signed with the answer.
import { sha256 } from '#certs/commitment.ts';
import { parseJson } from '#schemas/json.ts';
import { isAccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import { archiveDecision, type Decision, decide } from './decide.ts';
import type { ConsentFacts, DecisionInputs, FrequencyFacts, ReceiptFacts } from './decision-inputs.ts';

/**
 * `SAME`: the present rules give the same decision, byte for byte. `DIFFERENT`: the archive is not what was committed
 * to, or the rules decide otherwise. `DIFFERENT_VERSION`: the archive is genuine, and of a form that these rules do not read.
 */
export type ReplayVerdict = 'SAME' | 'DIFFERENT' | 'DIFFERENT_VERSION';

export interface Replay {
  verdict: ReplayVerdict;
  /** Why it is not `SAME`, for a person; empty when it is. */
  reason: string;
  /** base64url; null when nothing could be computed. */
  recomputedHash: string | null;
  /** As archived; null when the bytes are not of that form. */
  inputs: DecisionInputs | null;
  archived: Decision | null;
  /** What the present rules decide. */
  decision: Decision | null;
}

/** A hundred access rights with 500 elements each are about 2 MiB. */
const ARCHIVE_LIMITS = { maxBytes: 16 * 1024 * 1024, maxDepth: 16, maxValues: 2_000_000 };

// Members of the form that `decide` reads today. A member that is added to the interface has to be added here, so that
// archives from before are told apart from archives that were changed.
const INPUTS: Record<keyof DecisionInputs, true> = {
  v: true,
  nowMs: true,
  request: true,
  defaultsFrom: true,
  clientRegistered: true,
  groups: true,
  lockedFor: true,
  today: true,
  service: true,
  binding: true,
  purpose: true,
  purposeEnded: true,
  consent: true,
  evidence: true,
  rights: true,
  predicateUse: true,
};
const REQUEST: Record<keyof DecisionInputs['request'], true> = {
  client: true,
  service: true,
  method: true,
  path: true,
  purpose: true,
  basis: true,
  userId: true,
  issue: true,
  subject: true,
  fields: true,
  partial: true,
  hiddenUntil: true,
};
const CONSENT: Record<keyof ConsentFacts, true> = {
  given: true,
  receipt: true,
  status: true,
  trustedNowMs: true,
  deviationMs: true,
};
/** False: only where the receipt or the network gives cause. */
const RECEIPT: Record<keyof ReceiptFacts, boolean> = {
  jti: true,
  purposeHash: true,
  elements: true,
  notBeforeMs: true,
  notAfterMs: true,
  uses: true,
  used: true,
  frequency: false,
  countedApart: false,
};
const FREQUENCY: Record<keyof FrequencyFacts, true> = {
  uses: true,
  days: true,
  untilMs: true,
  used: true,
  againAtMs: true,
};

/**
 * @param archived the bytes that `archiveDecision` made
 * @param decisionHash base64url, as the log's entry and the signed answer state it
 */
export function replayDecision(archived: Uint8Array, decisionHash: string): Replay {
  const isCommitted = sha256(archived) === decisionHash;
  const altered = 'the archived inputs are not the ones that the answer commits to';
  const nothing = { recomputedHash: null, inputs: null, archived: null, decision: null };
  // What was committed to and cannot be read was written by another version; anything else may be rubbish.
  const unread = (reason: string) =>
    isCommitted
      ? { verdict: 'DIFFERENT_VERSION' as const, reason }
      : { verdict: 'DIFFERENT' as const, reason: altered };
  const read = readArchive(archived);
  if (read === null) return { ...unread('the archive is of a form that this version does not read'), ...nothing };
  let replayed: { decision: Decision; hash: string };
  try {
    const decision = decide(read.inputs);
    replayed = { decision, hash: archiveDecision(read.inputs, decision).hash };
  } catch (error) {
    // Members that the rules look at are missing or of another kind.
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    return { ...nothing, ...read, ...unread(`the present rules cannot read these inputs: ${formOf(read)}`) };
  }
  const found = { ...read, recomputedHash: replayed.hash, decision: replayed.decision };
  if (!isCommitted) return { ...found, verdict: 'DIFFERENT', reason: altered };
  if (replayed.hash === decisionHash) return { ...found, verdict: 'SAME', reason: '' };
  const form = formOf(read);
  const isForm = form === '' && sameNames(read.archived, replayed.decision);
  if (!isForm) return { ...found, ...unread(`the form has changed since${form === '' ? '' : `: ${form}`}`) };
  return { ...found, verdict: 'DIFFERENT', reason: difference(read.archived, replayed.decision) };
}

// What every version's archive has, and an auditor is shown; the rest is for `decide` to read.
const MAX_TIME_MS = 8_640_000_000_000_000;
const TextOrNull = Type.Union([Type.String(), Type.Null()]);
const Items = Type.Array(Type.Object({ path: TextOrNull, element: Type.String() }));
const Form = Type.Object({
  inputs: Type.Object({
    v: Type.Integer(),
    nowMs: Type.Integer({ minimum: 0, maximum: MAX_TIME_MS }),
    request: Type.Object({ method: Type.String(), path: Type.String() }),
  }),
  decision: Type.Object({
    allowed: Type.Boolean(),
    code: Type.String(),
    detail: Type.String(),
    rightId: TextOrNull,
    release: Type.Union([Type.Object({ asked: Items, omitted: Items }), Type.Null()]),
  }),
});
const check: (value: unknown) => Static<typeof Form> = compile(Form, 'SCHEMA_MISMATCH');

interface Archive {
  inputs: DecisionInputs;
  archived: Decision;
}

/** Null when the bytes have not even this form. */
function readArchive(bytes: Uint8Array): Archive | null {
  try {
    const { inputs, decision } = check(parseJson(bytes, ARCHIVE_LIMITS));
    return { inputs: inputs as DecisionInputs, archived: decision as Decision };
  } catch (error) {
    if (isAccordError(error)) return null;
    throw error;
  }
}

/** What is missing or unknown in the inputs, in words; empty when nothing is. */
function formOf({ inputs }: Archive): string {
  const version = inputs.v === 1 ? [] : [`version ${String(inputs.v).slice(0, 20)}`];
  const { request, consent } = inputs;
  return [
    ...version,
    ...names(inputs, INPUTS, ''),
    ...names(request, REQUEST, 'request.'),
    ...names(consent, CONSENT, 'consent.'),
    ...names(consent?.receipt, RECEIPT, 'consent.receipt.'),
    ...names(consent?.receipt?.frequency, FREQUENCY, 'consent.receipt.frequency.'),
  ].join(', ');
}

/** Nothing is said of what is not there, or no object. */
function names(value: unknown, form: Readonly<Record<string, boolean>>, where: string): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const missing = Object.keys(form).filter((name) => form[name] && !Object.hasOwn(value, name));
  const unknown = Object.keys(value).filter((name) => !Object.hasOwn(form, name));
  return [
    ...missing.map((name) => `no ${where}${name}`),
    ...unknown.slice(0, 10).map((name) => `unknown ${where}${name.slice(0, 64)}`),
  ];
}

function sameNames(one: object, other: object): boolean {
  return JSON.stringify(Object.keys(one).sort()) === JSON.stringify(Object.keys(other).sort());
}

function difference(archived: Decision, present: Decision): string {
  if (archived.code !== present.code) return `${archived.code} was decided, the present rules give ${present.code}`;
  const members = Object.keys(present) as (keyof Decision)[];
  const others = members.filter((name) => JSON.stringify(archived[name]) !== JSON.stringify(present[name]));
  return others.length === 0 ? 'the archive is spelled otherwise' : `the present rules differ in ${others.join(', ')}`;
}
