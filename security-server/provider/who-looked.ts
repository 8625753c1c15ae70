// A citizen asks who looked at their data (schemas/accesses.ts, AccessesQuestion). The answer comes from this server's own
// index and log, never from a backend, so that nothing in it tells whether the department knows the person. What the law
// hides for now is not in it, not even as a number. The question is shown as well, from the next one on.
import { setImmediate } from 'node:timers/promises';
import type { ConfigurationSnapshot, ServerEntry } from '#core/configuration/snapshot.ts';
import { type Access, type Accesses, checkAskedAccesses } from '#schemas/accesses.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_ACCESSES, MAX_ACCESSES_BYTES, MAX_DOUBTS_BYTES, MAX_QUESTION_BYTES } from '#schemas/limits.ts';
import { DEFAULT_RETENTION } from '#schemas/retention.ts';
import type { Statement } from '#schemas/statement.ts';
import type { NotedAccess } from '#security-server/accesses.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import { outcomeOf, releaseAt, releasedItems } from './access-outcome.ts';
import { type Citizen, citizenOf, mustBeConsentService } from './citizen-question.ts';
import { statusOf } from './doubt-status.ts';

const QUESTION_LIMITS = { maxBytes: MAX_QUESTION_BYTES, maxDepth: 3, maxValues: 32 };
/** Rows looked up in the log before other work has its turn: about two milliseconds. */
const ROWS_PER_TURN = 10;

/** @throws QUESTION_REFUSED, QUESTION_LIMIT, SCHEMA_MISMATCH, BODY_TOO_LARGE, JSON_*, ANSWER_NOT_LOGGED */
export async function whoLooked(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  peer: ServerEntry,
  statement: Statement,
  body: Buffer,
): Promise<Accesses> {
  mustBeConsentService(snapshot, statement);
  const asked = checkAskedAccesses(parseJson(body, QUESTION_LIMITS));
  const citizen = citizenOf(server, snapshot, statement, asked);
  const { tag, provider, nowMs, subject } = citizen;
  const { fromMs, untilMs } = asked.question;
  const rows = server.accesses.page({ tag, provider, fromMs, untilMs }, nowMs, MAX_ACCESSES + 1);
  await noteOwn(server, peer, statement, citizen, []);
  const accesses: Access[] = [];
  let bytes = 0;
  for (const row of rows.slice(0, MAX_ACCESSES)) {
    if (accesses.length % ROWS_PER_TURN === 0) await setImmediate();
    const access = accessOf(server, row);
    bytes += Buffer.byteLength(JSON.stringify(access));
    if (bytes > MAX_ACCESSES_BYTES) break;
    accesses.push(access);
  }
  const doubts = within(server.doubts.ofCitizen(subject, provider).map(statusOf), MAX_DOUBTS_BYTES);
  return { v: 1, accesses, hasMore: rows.length > accesses.length, doubts };
}

/** The question itself is an exchange about the citizen, made by them. @throws ANSWER_NOT_LOGGED */
export function noteOwn(
  server: ServerParts,
  peer: ServerEntry,
  { id, client, service, purpose, basis }: Statement,
  { tag, provider, nowMs }: Citizen,
  asked: string[],
): Promise<void> {
  const none = { operation: null, issue: null, unit: null, emergency: null, receipt: null, issuer: null };
  const nothing = { ...none, retention: DEFAULT_RETENTION };
  const about = { exchange: id, peer: peer.id, tag, provider, atMs: nowMs, visibleFromMs: nowMs, isOwn: true };
  return server.accesses.note({ ...nothing, ...about, client, service, purpose, basis, asked });
}

function accessOf(server: ServerParts, row: NotedAccess): Access {
  const { exchange, atMs, client, service, operation, purpose, basis, asked, issue, unit, emergency } = row;
  const found = outcomeOf(server, row);
  const release = found?.outcome === 'answered' && !row.isOwn ? releaseAt(server, found.seq) : undefined;
  return {
    exchange,
    atMs,
    client,
    service,
    operation,
    purpose,
    basis,
    outcome: found?.outcome ?? 'under-way',
    code: found?.code ?? null,
    asked,
    // When the record was erased nobody can say any more what of it was released: then all that was asked for.
    items: release === undefined ? [] : release === null ? asked : releasedItems(release),
    issue,
    unit,
    emergency,
    receipt: row.receipt,
    isOwn: row.isOwn,
  };
}

/** As many from the front as fit. */
function within<T>(items: readonly T[], maxBytes: number): T[] {
  let bytes = 0;
  const end = items.findIndex((item) => {
    bytes += Buffer.byteLength(JSON.stringify(item));
    return bytes > maxBytes;
  });
  return items.slice(0, end === -1 ? items.length : end);
}
