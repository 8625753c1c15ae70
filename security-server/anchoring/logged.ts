// The entries `anchored` of the own log: which there are, what they leave uncovered, and how one is appended. What is read
// here was judged before it was logged.
import { sha256Of } from '#certs/merkle.ts';
import type { MessageLog } from '#core/log/message-log.ts';
import { parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import { type AnchoringFacts, anchoringFacts } from '#core/witness/anchoring-facts.ts';
import { type Anchoring, anchoringText, parseAnchoring } from '#schemas/anchoring.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { isAccordError } from '#schemas/problems.ts';

const ID = 'anchored';
/** Entries looked at for one that is not of this kind: a log with more of them behind one another is at rest. */
const MAX_LOOKED_AT = 1_000;
const FEW = 8;

/** An entry `anchored` of this log. */
export interface Anchored {
  seq: number;
  /** Entries before it are covered. */
  size: number;
  /** When it was logged. */
  atMs: number;
  hasToken: boolean;
  /** A time-stamp of the own checkpoint, without the aggregate log. */
  isDirect: boolean;
}

/** The newest, newest first; each is read when it is asked for. @throws ANCHORING_MALFORMED, NOTE_MALFORMED for a log that was changed */
export function* anchoredEntries(log: MessageLog): Generator<Anchored> {
  for (const record of log.find(null, ID)) {
    if (record.entry.kind !== 'anchored' || record.evidence === null) continue;
    const { seq, entry, evidence } = record;
    yield { ...factsOf(parseAnchoring(evidence.statement)), seq, atMs: entry.t };
  }
}

/** Durable when it resolves. @throws LOG_BUSY, LOG_UNAVAILABLE, ANCHORING_MALFORMED when it is too large */
export async function appendAnchoring(
  log: MessageLog,
  anchoring: Anchoring,
  configurationVersion: number,
): Promise<Anchored> {
  const { seq } = await log.append({
    ...{ kind: 'anchored', id: ID, peer: null, client: null, service: null, purpose: null, basis: null },
    ...{ code: null, decisionHash: null, evidence: null, sealed: null, retention: 'standard' },
    configurationVersion,
    note: anchoringText(anchoring),
  });
  const atMs = log.read(seq, 1)[0]?.entry.t ?? 0;
  return { ...factsOf(anchoring), seq, atMs };
}

/** The first entry from `size` on that is no `anchored` itself; null when the log is at rest. */
export function firstUncovered(log: Pick<MessageLog, 'read'>, size: number): { seq: number; atMs: number } | null {
  // Mostly one of the first is it.
  for (const limit of [FEW, MAX_LOOKED_AT]) {
    const records = log.read(size, limit);
    const found = records.find(({ entry }) => entry.kind !== 'anchored');
    if (found !== undefined) return { seq: found.seq, atMs: found.entry.t };
    if (records.length < limit) return null;
  }
  return null;
}

/** What the entry `anchored` at `seq` says of itself; null when there is none that can be read. */
export function factsAt(log: Pick<MessageLog, 'read'>, seq: number): AnchoringFacts | null {
  const [record] = log.read(seq, 1);
  return record?.evidence ? anchoringFacts(record.evidence.statement) : null;
}

/** Whether every token of an entry `anchored` has ended since: a certificate below it was revoked or is distrusted. */
export function isEnded(
  log: Pick<MessageLog, 'read'>,
  seq: number,
  stamps: { verify(token: Buffer, imprint: Buffer): unknown },
): boolean {
  const [record] = log.read(seq, 1);
  if (record === undefined || record.evidence === null) return false;
  const { checkpoint, aggregate, tokens } = parseAnchoring(record.evidence.statement);
  const isOver = ({ over, token }: Anchoring['tokens'][number]) => {
    const note = over === 'checkpoint' ? checkpoint : (aggregate?.checkpoint ?? '');
    try {
      stamps.verify(fromBase64url(token), sha256Of(parseNote(note).text));
      return false;
    } catch (error) {
      if (!isAccordError(error)) throw error;
      // An authority that was taken out of the configuration gives no new tokens; what it gave was good.
      return error.code === 'TIME_STAMP_REVOKED';
    }
  };
  return tokens.length > 0 && tokens.every(isOver);
}

function factsOf({ checkpoint, aggregate, tokens }: Anchoring): Pick<Anchored, 'size' | 'hasToken' | 'isDirect'> {
  const { size } = parseCheckpointText(parseNote(checkpoint).text);
  return { size, hasToken: tokens.length > 0, isDirect: aggregate === null };
}
