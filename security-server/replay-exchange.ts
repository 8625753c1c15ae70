// What an auditor learns of one answered exchange (DESIGN: who may ask for what, `accord audit replay`): whether its
// decision, made again from the archived inputs, is the one that the answer's signed statement commits to, and whether
// those inputs are the request's own and nothing left beyond them. Everything is read from one server's log, so all of it
// is that server's word until `accord log verify` and the other side's log agree.
import { opens, sha256 } from '#certs/commitment.ts';
import { leafHash } from '#certs/merkle.ts';
import type { Unsealed } from '#core/log/read-sealed.ts';
import type { RecordView } from '#core/log/record.ts';
import { defaultsOf } from '#policy/covering.ts';
import type { Decision } from '#policy/decide.ts';
import type { DecisionInputs } from '#policy/decision-inputs.ts';
import { type Replay, type ReplayVerdict, replayDecision } from '#policy/replay.ts';
import { base64url } from '#schemas/base64url.ts';
import {
  type AnswerContext,
  namesNothing,
  parseAnswerContext,
  parseRequestContext,
  type RequestContext,
} from '#schemas/context.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import type { EntryKind } from '#schemas/log-entry.ts';
import { orNull } from '#schemas/problems.ts';
import { isReserved } from '#schemas/service-path.ts';
import { parseStatement, type Statement } from '#schemas/statement.ts';

type Side = 'provider' | 'consumer';

/**
 * Beside the verdicts of a replay. `ERASED`: the inputs were lawfully destroyed. `UNREADABLE`: they do not open with their
 * key. `NO_DECISION`: nothing was decided. `HASH_ONLY`: this side has the hash, and the provider has the inputs.
 */
export type Verdict = ReplayVerdict | 'ERASED' | 'UNREADABLE' | 'NO_DECISION' | 'HASH_ONLY';

/** One exchange in one log: the record of its answer, and of its request where that was found. */
export interface Answered {
  side: Side;
  answer: RecordView;
  request: RecordView | null;
}

export interface Replayed {
  verdict: Verdict;
  reason: string;
  hash: string | null;
  recomputedHash: string | null;
  inputs: DecisionInputs | null;
  /** As it was made; what the present rules make of it is `recomputed`, where that is another. */
  decision: Decision | null;
  recomputed: Decision | null;
  /** What could not be compared, and why. */
  notChecked: string[];
}

const ANSWERS: Record<Side, readonly EntryKind[]> = {
  provider: ['response-sent', 'refusal-sent'],
  consumer: ['response-received', 'refusal-received'],
};
const REQUESTS: Record<Side, EntryKind> = { provider: 'request-received', consumer: 'request-sent' };

/**
 * The answer to an exchange among the records with its id, newest first, on the provider's side where there is one. A
 * message that was sent again was refused as a replay: that is not the answer.
 * @returns one for each other server: ids are unique for their sender only
 */
export function findAnswers(records: readonly RecordView[]): Answered[] {
  const side = (['provider', 'consumer'] as const).find((one) => records.some(({ entry }) => isAnswer(one, entry)));
  if (side === undefined) return [];
  const answers = records.filter(({ entry }) => isAnswer(side, entry)).reverse();
  const peers = [...new Set(answers.map(({ entry }) => entry.peer))];
  return peers.flatMap((peer) => {
    const own = answers.filter(({ entry }) => entry.peer === peer);
    const answer = own.find(({ entry }) => entry.code !== 'MESSAGE_REPLAYED') ?? own[0];
    if (answer === undefined) return [];
    const named = orNull(() => statementOf(answer).request);
    const request = records.find(
      ({ entry }) => entry.kind === REQUESTS[side] && entry.peer === peer && entry.statement === named,
    );
    return [{ side, answer, request: request ?? null }];
  });
}

function isAnswer(side: Side, { kind }: RecordView['entry']): boolean {
  return ANSWERS[side].includes(kind);
}

/**
 * @param kept sealed parts of the answer's and the request's record
 * @param disclosed the provider's archived inputs, handed over by it; null to take those of this log
 */
export function replayExchange(
  { side, answer, request }: Answered,
  kept: { answer: Unsealed; request: Unsealed },
  disclosed: Uint8Array | null,
): Replayed {
  const hash = answer.entry.decisionHash;
  const end = (verdict: Verdict, reason: string): Replayed => ({ ...nothing, hash, verdict, reason });
  const fault = recordFault(answer);
  if (fault !== null) return end('DIFFERENT', fault);
  if (hash === null) return end('NO_DECISION', 'nothing was decided in this exchange');
  const archive = disclosed ?? archived(kept.answer);
  if (archive === null && side === 'consumer') return end('HASH_ONLY', 'the provider holds the inputs');
  if (archive === null && kept.answer.state === 'unreadable') {
    return end('UNREADABLE', 'the sealed record does not open: it or its key was changed');
  }
  if (archive === null) {
    const isErased = kept.answer.state === 'erased';
    return isErased
      ? end('ERASED', 'the key of the archived inputs was destroyed')
      : end('UNREADABLE', 'the entry names a decision, and no inputs lie beside it');
  }
  const replay = replayDecision(archive, hash);
  const replayed = { ...shown(replay), hash };
  if (replay.verdict !== 'SAME' || replay.inputs === null || replay.decision === null) return replayed;
  const facts = { inputs: replay.inputs, decision: replay.decision };
  const { faults, notChecked } = compare({ side, answer, request }, kept, facts);
  if (faults.length > 0) return { ...replayed, verdict: 'DIFFERENT', reason: faults.join('; '), notChecked };
  return { ...replayed, notChecked };
}

const nothing = { recomputedHash: null, inputs: null, decision: null, recomputed: null, notChecked: [] };

function shown({ verdict, reason, recomputedHash, inputs, archived, decision }: Replay): Omit<Replayed, 'hash'> {
  const recomputed = verdict === 'SAME' ? null : decision;
  return { verdict, reason, recomputedHash, inputs, decision: archived, recomputed, notChecked: [] };
}

function archived(kept: Unsealed): Buffer | null {
  return kept.state === 'open' ? (kept.parts.decisionInputs ?? null) : null;
}

/** Line, statement and entry say the same; the signature and the tree are the work of `accord log verify`. */
function recordFault({ line, leafHash: leaf, entry, evidence }: RecordView): string | null {
  if (base64url(leafHash(line)) !== leaf) return 'the entry was changed';
  if (evidence === null || sha256(evidence.statement) !== entry.statement) {
    return 'the statement is not the one the entry names';
  }
  const statement = orNull(() => parseStatement(evidence.statement));
  if (statement === null) return 'the statement is malformed';
  if ((statement.decisionHash ?? null) !== entry.decisionHash) return "the entry's hash is not the signed statement's";
  return null;
}

function statementOf({ evidence }: RecordView): Statement {
  return parseStatement(evidence?.statement ?? Buffer.alloc(0));
}

/** What was decided against what was asked before it and what left after it. */
function compare(
  { answer, request }: Answered,
  kept: { answer: Unsealed; request: Unsealed },
  { inputs, decision }: { inputs: DecisionInputs; decision: Decision },
): { faults: string[]; notChecked: string[] } {
  const notChecked: string[] = [];
  const faults: string[] = [];
  if (request === null || recordFault(request) !== null) {
    return { faults: ['the request that was answered is not in this log as it was signed'], notChecked };
  }
  faults.push(...timeFaults(inputs, request, answer));
  const asked = statementOf(request);
  const asking = inputs.request;
  // Where /r1 defaults stood in for what the call did not name, statement and context say that it named nothing.
  const isDefaulted = inputs.defaultsFrom !== null;
  const signed = isDefaulted ? { ...asking, purpose: null, basis: 'open' as const, fields: null } : asking;
  if (isDefaulted) faults.push(...defaultFaults(inputs, decision));
  for (const name of ['client', 'service', 'purpose', 'basis'] as const) {
    if (signed[name] !== asked[name]) faults.push(`${name} was decided for ${signed[name]}, asked was ${asked[name]}`);
  }
  const context = contextOf(kept.request, asked, parseRequestContext);
  if (context === null) notChecked.push('the request (erased, or of another form)');
  // What a consumer would get is asked on a reserved path; the request that was judged is described in the body.
  const isDescribed = context !== null && isReserved(context.path);
  if (context !== null && !isDescribed) faults.push(...contextFaults(signed, context));
  if (context !== null && isDefaulted && !namesNothing(asked, context))
    faults.push('defaults for a call that names its own');
  const left = contextOf(kept.answer, statementOf(answer), parseAnswerContext);
  if (left === null) notChecked.push('the answer (erased, or of another form)');
  else faults.push(...releaseFaults(decision, left));
  if (!isDescribed) faults.push(...outcomeFaults(decision, answer.entry, context === null));
  return { faults, notChecked };
}

/** Defaults come from the one covering right that has them, and are what it says. */
function defaultFaults({ request, groups, rights, defaultsFrom, nowMs }: DecisionInputs, decision: Decision): string[] {
  const held = rights.map(({ right }) => right);
  // Withdrawn between the two looks at it: then nothing can have been allowed by it.
  if (!decision.allowed && !held.some(({ id }) => id === defaultsFrom)) return [];
  const found = defaultsOf(held, { ...request, groups }, nowMs);
  const { purpose, basis, fields } = request;
  const { defaults } = found ?? {};
  const isItsOwn =
    found?.right === defaultsFrom &&
    defaults?.purpose === purpose &&
    defaults?.basis === basis &&
    JSON.stringify(defaults?.fields) === JSON.stringify(fields);
  return isItsOwn ? [] : ['purpose, basis and fields are not the defaults of the one right that has them'];
}

/** Decided between request and answer, as the clocks may differ: a right that had ended cannot be judged at an older time. */
function timeFaults({ nowMs }: DecisionInputs, request: RecordView, answer: RecordView): string[] {
  const fits = nowMs >= request.entry.t - CLOCK_WINDOW_MS && nowMs <= answer.entry.t + CLOCK_WINDOW_MS;
  return fits ? [] : [`decided for ${new Date(nowMs).toISOString()}, which is not when it was asked`];
}

function contextFaults(asking: DecisionInputs['request'], context: RequestContext): string[] {
  const names = ['method', 'path', 'userId', 'issue', 'fields', 'partial'] as const;
  return names
    .filter((name) => JSON.stringify(asking[name]) !== JSON.stringify(context[name]))
    .map((name) => `${name} is not the one that was asked`);
}

function releaseFaults({ release }: Decision, { release: left }: AnswerContext): string[] {
  const paths = new Set(release?.asked.flatMap(({ path }) => path ?? []));
  const predicates = new Set(release?.asked.filter(({ path }) => path === null).map(({ element }) => element));
  const beyond = [
    ...(left?.elements ?? []).map(({ path }) => path).filter((path) => !paths.has(path)),
    ...(left?.predicates ?? []).map(({ predicate }) => predicate).filter((one) => !predicates.has(one)),
  ];
  return beyond.length === 0 ? [] : [`released beyond the decision: ${beyond.slice(0, 10).join(', ')}`];
}

/** Refusals that do not come from the decision, and may stand before it. */
const BEFORE_THE_DECISION = new Set(['PATH_REFUSED', 'MESSAGE_REPLAYED']);

function outcomeFaults(decision: Decision, { kind, code }: RecordView['entry'], maybeDescribed: boolean): string[] {
  if (decision.allowed) return []; // a refusal after it has reasons of its own: no room, no time left, a word taken back
  const isAnswered = kind === 'response-sent' || kind === 'response-received';
  if (isAnswered) return maybeDescribed ? [] : [`answered, though ${decision.code} was decided`];
  if (code === decision.code || BEFORE_THE_DECISION.has(code ?? '')) return [];
  return [`refused with ${code}, though ${decision.code} was decided`];
}

/** A context that was kept, opens the statement's commitment and can be read; or null. */
function contextOf<T>(kept: Unsealed, { context }: Statement, parse: (bytes: Buffer) => T): T | null {
  if (kept.state !== 'open' || kept.parts.context === undefined || kept.parts.contextSalt === undefined) return null;
  const { context: bytes, contextSalt } = kept.parts;
  if (!opens(context.commitment, contextSalt, bytes)) return null;
  return orNull(() => parse(bytes));
}
