// How often receipts were used here (schemas/accesses.ts, ReceiptUses), for the consent service that issued them: it shows
// the citizen "last used" and "uses left". Only requests that were answered count; what counts within the days of a
// frequency is told as it is counted. Receipts of others are left out without
// a word. What came of a request is looked up in the message log once and then kept beside its row.
import { setImmediate } from 'node:timers/promises';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { checkAskedReceiptUses, type ReceiptUses } from '#schemas/accesses.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_QUESTION_BYTES, MAX_RECEIPTS_ASKED } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Statement } from '#schemas/statement.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { outcomeOf } from './access-outcome.ts';

const LIMITS = { maxBytes: MAX_QUESTION_BYTES, maxDepth: 3, maxValues: MAX_RECEIPTS_ASKED + 8 };
const ROWS_PER_TURN = 10;
/** Rows that one question makes this server look up in its log; the rest is counted with the next. */
const MAX_LOOKED_UP = 10_000;
/** Without an answer for so long there will be none: the deadlines of both servers are long over. */
const NEVER_ANSWERED_MS = 86_400_000;

/** @throws NOT_FOUND for anybody but a consent service, SCHEMA_MISMATCH, BODY_TOO_LARGE, JSON_* */
export async function receiptUses(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  { client }: Statement,
  body: Buffer,
): Promise<ReceiptUses> {
  if (snapshot.consentService(client) === undefined) throw new AccordError('NOT_FOUND', 'no consent service');
  const { receipts } = checkAskedReceiptUses(parseJson(body, LIMITS));
  const nowMs = server.clock.nowMs();
  // As it would be judged now (consent.ts).
  const atMs = Math.max(server.status.trustedNowMs().nowMs, server.log.newestMs());
  const uses: ReceiptUses['uses'] = [];
  let left = MAX_LOOKED_UP;
  for (const receipt of receipts) {
    left -= await settle(server, receipt, client, nowMs, left);
    const found = server.accesses.uses(receipt, client, nowMs);
    const usedInWindow = server.state.usedInWindow({ jti: receipt, issuer: client }, atMs);
    if (found === null && usedInWindow === 0) continue;
    const inWindow = usedInWindow === 0 ? {} : { usedInWindow };
    uses.push({ receipt, ...(found ?? { used: 0, lastUsedAtMs: null }), ...inWindow });
  }
  return { v: 1, uses };
}

/** Looks up what came of the uses that were not looked up yet; how many. */
async function settle(
  server: ServerParts,
  receipt: string,
  issuer: string,
  nowMs: number,
  limit: number,
): Promise<number> {
  let seen = 0;
  for (let after = 0; seen < limit; ) {
    const rows = server.accesses.unsettled(receipt, issuer, after, ROWS_PER_TURN);
    const outcomes = rows.flatMap(({ row, peer, exchange, atMs }) => {
      const code = outcomeOf(server, { peer, exchange })?.code;
      if (code !== undefined) return { row, code };
      return nowMs - atMs > NEVER_ANSWERED_MS ? { row, code: '' } : [];
    });
    if (outcomes.length > 0) server.accesses.settle(outcomes);
    seen += rows.length;
    if (rows.length < ROWS_PER_TURN) break;
    after = rows.at(-1)?.row ?? after;
    await setImmediate();
  }
  return seen;
}
