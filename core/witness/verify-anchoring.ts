// Judges an anchoring (schemas/anchoring.ts): is this the log's own signed checkpoint, does the aggregate log hold it
// (RFC 9162 section 2.1.3.2), did enough witnesses cosign (C2SP tlog-cosignature), is every time-stamp over one of the two
// texts. Pure: keys, policy and how a token is verified are arguments. One function for the server that is about to log
// an anchoring, for the log's audit, and for evidence packs. Whoever wrote the anchoring controls all of it.
import { leafHash, sha256Of, verifyInclusion } from '#certs/merkle.ts';
import {
  type Checkpoint,
  type NoteVerifier,
  openNote,
  parseCheckpointText,
  parseNote,
  type SignedNote,
} from '#core/log/signed-note.ts';
import { type Anchoring, parseAnchoring } from '#schemas/anchoring.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { isAccordError, orNull } from '#schemas/problems.ts';
import { type CosignerKey, goodCosignatures } from './cosignature.ts';
import type { Witness, WitnessPolicy } from './policy.ts';

/** Everything that can be found. `wrong`: somebody changed it or lied; `missing`: less than the policy asks for. */
const ANCHORING_FINDINGS = {
  ANCHORING_MALFORMED: 'wrong',
  /** The checkpoint is another log's. */
  CHECKPOINT_ORIGIN_WRONG: 'wrong',
  CHECKPOINT_SIGNATURE_WRONG: 'wrong',
  /** The log has another root at that size, or is not as long. */
  CHECKPOINT_ROOT_WRONG: 'wrong',
  AGGREGATE_ORIGIN_WRONG: 'wrong',
  AGGREGATE_SIGNATURE_WRONG: 'wrong',
  /** The aggregate log does not hold the checkpoint there. */
  INCLUSION_WRONG: 'wrong',
  COSIGNATURE_WRONG: 'wrong',
  /** A signature line of nobody that the policy names. */
  COSIGNATURE_UNKNOWN: 'wrong',
  TOKEN_WRONG: 'wrong',
  AGGREGATE_MISSING: 'missing',
  /** The registry's witness did not cosign the log's checkpoint. */
  COSIGNATURE_MISSING: 'missing',
  QUORUM_MISSING: 'missing',
  TOKEN_MISSING: 'missing',
  /** The certificate below every token was revoked, or is distrusted: as if there was none. */
  TOKEN_REVOKED: 'missing',
} as const satisfies Record<string, 'wrong' | 'missing'>;

export type AnchoringCode = keyof typeof ANCHORING_FINDINGS;

interface AnchoringFinding {
  code: AnchoringCode;
  detail: string;
}

export interface AnchoringRules {
  origin: string;
  /** Whose checkpoints of this size are (key-chain.ts). */
  logKeyAt: (size: number) => NoteVerifier;
  /** The log's root at a size; null where it has none. Absent where the log is not at hand. */
  rootAt?: (size: number) => Buffer | null;
  /** In force when the anchoring was made. Null: neither cosignatures nor the aggregate log's own key are judged. */
  policy: WitnessPolicy | null;
  /** Throws a coded error for a token that is not good for this imprint (SHA-256). Null: tokens are not judged. */
  verifyToken: ((token: Buffer, imprint: Buffer) => { genTimeMs: number; accuracyMs?: number | null }) | null;
}

/** What one key of a cosigner said; `absent` when it said nothing. */
interface JudgedCosignature {
  witness: string;
  over: 'aggregate' | 'checkpoint';
  algorithm: CosignerKey['algorithm'];
  state: 'good' | 'wrong' | 'absent';
  /** When the witness says it signed; null unless good. */
  atMs: number | null;
}

interface JudgedToken {
  over: 'aggregate' | 'checkpoint';
  /** Null when the token is wrong or was not judged. */
  genTimeMs: number | null;
  /** How far off the authority says that it may be; absent or null where it says nothing. */
  accuracyMs?: number | null;
}

export interface AnchoringVerdict {
  /** The log's own checkpoint; null when it is not its own. */
  checkpoint: Checkpoint | null;
  aggregate: Checkpoint | null;
  cosignatures: JudgedCosignature[];
  /** Witnesses with a good Ed25519 cosignature on the aggregate checkpoint, and how many it takes. */
  quorum: { needed: number; good: number };
  tokens: JudgedToken[];
  /** Entries before `checkpoint.size` existed at this time: the earliest good token's; null without one. */
  existedAtMs: number | null;
  findings: AnchoringFinding[];
}

/** `good`, `missing` something, or `wrong`: the worst of the findings. */
export function anchoringState({ findings }: Pick<AnchoringVerdict, 'findings'>): 'good' | 'missing' | 'wrong' {
  if (findings.some(({ code }) => ANCHORING_FINDINGS[code] === 'wrong')) return 'wrong';
  return findings.length > 0 ? 'missing' : 'good';
}

/** Reads the bytes of a note `anchored` and judges them. Never throws for what they say. */
export function verifyAnchoringNote(bytes: Uint8Array, rules: AnchoringRules): AnchoringVerdict {
  try {
    return verifyAnchoring(parseAnchoring(bytes), rules);
  } catch (error) {
    if (!isAccordError(error)) throw error;
    const verdict = emptyVerdict(rules.policy);
    verdict.findings.push({ code: 'ANCHORING_MALFORMED', detail: error.code });
    return verdict;
  }
}

/** Every check runs whatever the others found. Never throws for what the anchoring says. */
export function verifyAnchoring(anchoring: Anchoring, rules: AnchoringRules): AnchoringVerdict {
  const verdict = emptyVerdict(rules.policy);
  const own = judgeOwn(anchoring, rules, verdict);
  const aggregate = judgeAggregate(anchoring, rules, own, verdict);
  judgeTokens(anchoring, rules, { checkpoint: own?.note ?? null, aggregate }, verdict);
  return verdict;
}

/** What the aggregate log's leaf for a checkpoint is made of: the note with the log's own line only. */
export function checkpointLeafData({ text, signatures }: SignedNote, verifier: NoteVerifier): Buffer {
  const own = signatures.find(({ name, keyId }) => name === verifier.name && keyId.equals(verifier.keyId));
  if (own === undefined) throw new TypeError('a note without the line of this key');
  const encoded = Buffer.concat([own.keyId, own.signature]).toString('base64');
  return Buffer.from(`${text}\n\u2014 ${own.name} ${encoded}\n`, 'utf8');
}

function emptyVerdict(policy: WitnessPolicy | null): AnchoringVerdict {
  const quorum = { needed: policy?.quorum ?? 0, good: 0 };
  return {
    ...{ checkpoint: null, aggregate: null, cosignatures: [], quorum },
    ...{ tokens: [], existedAtMs: null, findings: [] },
  };
}

interface OwnNote {
  note: SignedNote;
  verifier: NoteVerifier;
}

/** The log's own checkpoint with its own signature; null when it is none, and nothing further can be said of it. */
function judgeOwn(anchoring: Anchoring, rules: AnchoringRules, verdict: AnchoringVerdict): OwnNote | null {
  const note = noteOf(anchoring.checkpoint, verdict);
  const checkpoint = note && checkpointOf(note, verdict);
  if (note === null || checkpoint === null) return null;
  if (checkpoint.origin !== rules.origin) return found(verdict, 'CHECKPOINT_ORIGIN_WRONG', checkpoint.origin);
  const verifier = rules.logKeyAt(checkpoint.size);
  if (!isSignedFirstBy(anchoring.checkpoint, note, verifier)) {
    return found(verdict, 'CHECKPOINT_SIGNATURE_WRONG', rules.origin);
  }
  verdict.checkpoint = checkpoint;
  const root = rules.rootAt?.(checkpoint.size);
  if (root !== undefined && (root === null || !root.equals(checkpoint.root))) {
    found(verdict, 'CHECKPOINT_ROOT_WRONG', `at size ${checkpoint.size}`);
  }
  if (rules.policy !== null) {
    const { registryWitness } = rules.policy;
    const asked = registryWitness === null ? [] : [registryWitness];
    const good = judgeCosignatures('checkpoint', anchoring.checkpoint, note, asked, verdict);
    if (registryWitness !== null && good === 0) found(verdict, 'COSIGNATURE_MISSING', registryWitness.name);
  }
  return { note, verifier };
}

/** The aggregate checkpoint that holds the own one; null when there is none that can be believed. */
function judgeAggregate(
  { aggregate }: Anchoring,
  { policy }: AnchoringRules,
  own: OwnNote | null,
  verdict: AnchoringVerdict,
): SignedNote | null {
  if (aggregate === null) {
    return policy === null || policy.aggregate === null
      ? null
      : found(verdict, 'AGGREGATE_MISSING', policy.aggregate.origin);
  }
  const note = noteOf(aggregate.checkpoint, verdict);
  const checkpoint = note && checkpointOf(note, verdict);
  if (note === null || checkpoint === null) return null;
  if (policy !== null) {
    if (policy.aggregate?.origin !== checkpoint.origin)
      return found(verdict, 'AGGREGATE_ORIGIN_WRONG', checkpoint.origin);
    if (!isSignedFirstBy(aggregate.checkpoint, note, policy.aggregate.verifier)) {
      return found(verdict, 'AGGREGATE_SIGNATURE_WRONG', checkpoint.origin);
    }
  }
  verdict.aggregate = checkpoint;
  const path = aggregate.path.map(hashOf);
  const leaf = own && leafHash(checkpointLeafData(own.note, own.verifier));
  if (leaf === null || !verifyInclusion(leaf, aggregate.index, checkpoint.size, path, checkpoint.root)) {
    found(verdict, 'INCLUSION_WRONG', `leaf ${aggregate.index} of ${checkpoint.size}`);
  }
  if (policy === null) return note;
  const good = judgeCosignatures('aggregate', aggregate.checkpoint, note, policy.witnesses, verdict);
  verdict.quorum.good = good;
  if (good < policy.quorum) found(verdict, 'QUORUM_MISSING', `${good} of ${policy.quorum}`);
  return note;
}

/** @returns how many of the cosigners have a good Ed25519 cosignature; ML-DSA-44 is judged beside it and counts nothing */
function judgeCosignatures(
  over: 'aggregate' | 'checkpoint',
  input: string,
  note: SignedNote,
  cosigners: readonly Witness[],
  verdict: AnchoringVerdict,
): number {
  let [good, lines] = [0, 1];
  for (const { name: witness, keys } of cosigners) {
    let counts = false;
    for (const key of keys) {
      const { algorithm } = key;
      const { state, atMs, lines: own } = judgeKey(input, note, key);
      verdict.cosignatures.push({ witness, over, algorithm, state, atMs });
      if (state === 'wrong') found(verdict, 'COSIGNATURE_WRONG', `${witness} (${algorithm})`);
      lines += own;
      counts ||= state === 'good' && algorithm === 'ed25519';
    }
    if (counts) good++;
  }
  if (note.signatures.length > lines) found(verdict, 'COSIGNATURE_UNKNOWN', `on the ${over}'s checkpoint`);
  return good;
}

/** Exactly one line of a key: a second, or one that does not verify, is wrong. */
function judgeKey(
  input: string,
  { signatures }: SignedNote,
  key: CosignerKey,
): { state: JudgedCosignature['state']; atMs: number | null; lines: number } {
  const lines = signatures.filter(({ name, keyId }) => name === key.name && keyId.equals(key.keyId)).length;
  if (lines === 0) return { state: 'absent', atMs: null, lines };
  const good = lines === 1 ? goodCosignatures(input, [key])[0] : undefined;
  return { state: good === undefined ? 'wrong' : 'good', atMs: good?.timeMs ?? null, lines };
}

function judgeTokens(
  { tokens, aggregate }: Anchoring,
  { verifyToken }: AnchoringRules,
  notes: { checkpoint: SignedNote | null; aggregate: SignedNote | null },
  verdict: AnchoringVerdict,
): void {
  const revoked: string[] = [];
  if (tokens.length === 0) found(verdict, 'TOKEN_MISSING', '');
  for (const { over, token } of tokens) {
    const note = notes[over];
    const judged: JudgedToken = { over, genTimeMs: null };
    verdict.tokens.push(judged);
    if (over === 'aggregate' && aggregate === null)
      found(verdict, 'TOKEN_WRONG', 'over an aggregate that is not there');
    if (note === null || verifyToken === null) continue;
    try {
      const { genTimeMs, accuracyMs } = verifyToken(fromBase64url(token), sha256Of(note.text));
      judged.genTimeMs = genTimeMs;
      if (accuracyMs !== undefined) judged.accuracyMs = accuracyMs;
    } catch (error) {
      if (!isAccordError(error)) throw error;
      if (error.code === 'TIME_STAMP_REVOKED') revoked.push(error.detail);
      else found(verdict, 'TOKEN_WRONG', error.code);
    }
  }
  const times = verdict.tokens.flatMap(({ genTimeMs }) => genTimeMs ?? []);
  if (revoked.length > 0 && times.length === 0) found(verdict, 'TOKEN_REVOKED', revoked.join(', '));
  // A token over an aggregate says nothing of this log when the aggregate does not hold its checkpoint.
  if (times.length > 0 && anchoringState(verdict) !== 'wrong') verdict.existedAtMs = Math.min(...times);
}

/** The signer's line comes first and only once, so that a note has no two spellings here. */
function isSignedFirstBy(input: string, note: SignedNote, verifier: NoteVerifier): boolean {
  const isOwn = ({ name, keyId }: { name: string; keyId: Buffer }) =>
    name === verifier.name && keyId.equals(verifier.keyId);
  if (note.signatures.findIndex(isOwn) !== 0 || note.signatures.findLastIndex(isOwn) !== 0) return false;
  return orNull(() => openNote(input, verifier)) !== null;
}

function noteOf(input: string, verdict: AnchoringVerdict): SignedNote | null {
  return orNull(() => parseNote(input)) ?? found(verdict, 'ANCHORING_MALFORMED', 'a note');
}

function checkpointOf({ text }: SignedNote, verdict: AnchoringVerdict): Checkpoint | null {
  return orNull(() => parseCheckpointText(text)) ?? found(verdict, 'ANCHORING_MALFORMED', 'not a checkpoint');
}

/** Empty, and so in no tree, for another spelling. */
function hashOf(text: string): Buffer {
  return orNull(() => fromBase64url(text)) ?? Buffer.alloc(0);
}

function found(verdict: AnchoringVerdict, code: AnchoringCode, detail: string): null {
  verdict.findings.push({ code, detail });
  return null;
}
