// One signed message of an exchange: its statement, its signature, its entry in the exporter's log, and the context and body
// that it commits to. The pack's maker controls all of it; what a statement says is believed when its signature held.
import { readBatch, standsIn, verifyBatch } from '#certs/batch.ts';
import { opens, sha256 } from '#certs/commitment.ts';
import { certificateHash } from '#certs/path.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import { originNumber } from '#core/log/origin.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { parseStatement, type Statement } from '#schemas/statement.ts';
import { publicKeyOf } from './check-certificate.ts';
import { checked } from './check-configuration.ts';
import { PackFinding, PackGap } from './finding.ts';
import { type MessageName, type PackHead, parsePlace } from './layout.ts';

export type PackFiles = ReadonlyMap<string, Buffer>;

/** @throws PackFinding PACK_FILE_MISSING */
export function needed(files: PackFiles, name: string): Buffer {
  const bytes = files.get(name);
  if (bytes === undefined) throw new PackFinding('PACK_FILE_MISSING', name);
  return bytes;
}

/** @throws PackFinding STATEMENT_MALFORMED, STATEMENT_OTHER */
export function checkRequestStatement(files: PackFiles, head: PackHead): Statement {
  const bytes = needed(files, 'request/statement');
  const statement = checked('STATEMENT_MALFORMED', 'request', () => parseStatement(bytes));
  const own = head.side === 'consumer' ? statement.from : statement.to;
  if (statement.kind !== 'request' || statement.id !== head.exchange || own !== head.server) {
    throw new PackFinding('STATEMENT_OTHER', 'not the request of this exchange');
  }
  return statement;
}

/** @throws PackFinding STATEMENT_MALFORMED, STATEMENT_OTHER; PackGap ANSWER_MISSING */
export function checkAnswerStatement(files: PackFiles, request: Statement): Statement {
  const bytes = files.get('answer/statement');
  if (bytes === undefined) throw new PackGap('ANSWER_MISSING', '');
  const answer = checked('STATEMENT_MALFORMED', 'answer', () => parseStatement(bytes));
  const named = sha256(needed(files, 'request/statement'));
  const isAnswer =
    (answer.kind === 'response' || answer.kind === 'refusal') &&
    answer.request === named &&
    answer.from === request.to &&
    answer.to === request.from &&
    answer.client === request.client &&
    answer.service === request.service &&
    answer.purpose === request.purpose &&
    answer.basis === request.basis;
  if (!isAnswer) throw new PackFinding('STATEMENT_OTHER', 'it does not answer the request');
  return answer;
}

/** The certificate that signed. @throws PackFinding SIGNATURE_WRONG, PACK_* */
export function checkSignature(files: PackFiles, name: MessageName): Buffer {
  const statement = needed(files, `${name}/statement`);
  const certificate = needed(files, `${name}/certificate.der`);
  const jws = needed(files, `${name}/signature`).toString('latin1');
  const { numbers, path } = parsePlace(needed(files, `${name}/place`), 2, `${name}/place`);
  const [index = -1, size = -1] = numbers;
  const claims = checked('SIGNATURE_WRONG', name, () => readBatch(jws));
  if (claims.size !== size || !standsIn(claims, statement, index, path)) {
    throw new PackFinding('SIGNATURE_WRONG', 'the statement does not stand in the signed batch');
  }
  if (claims.certificateHash !== certificateHash(certificate)) {
    throw new PackFinding('SIGNATURE_WRONG', 'the signature names another certificate');
  }
  const isGood = checked('SIGNATURE_WRONG', name, () => verifyBatch(claims, keyOf(certificate)));
  if (!isGood) throw new PackFinding('SIGNATURE_WRONG', name);
  return certificate;
}

function keyOf(certificate: Buffer) {
  try {
    return publicKeyOf(certificate);
  } catch {
    throw new PackFinding('SIGNATURE_WRONG', 'the certificate cannot be read');
  }
}

const KINDS = {
  consumer: { request: ['request-sent'], answer: ['response-received', 'refusal-received'] },
  provider: { request: ['request-received'], answer: ['response-sent', 'refusal-sent'] },
} as const;

/** The entry says what the statement says. @throws PackFinding ENTRY_WRONG, PACK_FILE_MISSING */
export function checkEntry(files: PackFiles, name: MessageName, statement: Statement, head: PackHead): LogEntry {
  const line = needed(files, `${name}/entry`);
  const entry = checked('ENTRY_WRONG', name, () => parseLogEntry(line.toString('utf8')));
  const peer = statement.from === head.server ? statement.to : statement.from;
  const kinds: readonly string[] = KINDS[head.side][name].filter((kind) => kind.startsWith(statement.kind));
  const says =
    kinds.includes(entry.kind) &&
    entry.id === head.exchange &&
    entry.peer === peer &&
    entry.client === statement.client &&
    entry.service === statement.service &&
    entry.purpose === statement.purpose &&
    entry.basis === statement.basis &&
    entry.decisionHash === (statement.decisionHash ?? null) &&
    entry.statement === sha256(needed(files, `${name}/statement`)) &&
    entry.signature === sha256(needed(files, `${name}/signature`)) &&
    Buffer.from(line.toString('utf8')).equals(line);
  if (!says) throw new PackFinding('ENTRY_WRONG', `${name}: it does not say what the statement says`);
  return entry;
}

/**
 * The answer's statement cites the provider's own entry of the request, and the log is in order.
 * @throws PackFinding ENTRY_WRONG
 */
export function checkOrder(
  head: PackHead,
  answer: Statement,
  entries: { request: LogEntry; answer: LogEntry },
  origin: string,
  provider: ServerEntry | undefined,
): void {
  if (entries.answer.seq <= entries.request.seq || entries.answer.t < entries.request.t) {
    throw new PackFinding('ENTRY_WRONG', 'the answer stands before its request');
  }
  const cited = answer.log?.origin ?? '';
  if (provider === undefined || originNumber(cited).base !== originNumber(provider.log.origin).base) {
    throw new PackFinding('ENTRY_WRONG', `the answer cites ${cited}, which is no log of its server`);
  }
  if (head.side === 'consumer') return;
  if (answer.log?.index !== entries.request.seq || cited !== origin) {
    throw new PackFinding('ENTRY_WRONG', 'the answer cites another entry of the request');
  }
}

/** @returns whether it is there. @throws PackFinding COMMITMENT_WRONG */
export function checkPart(files: PackFiles, name: MessageName, part: 'context' | 'body', commitment: string): boolean {
  const [bytes, salt] = [files.get(`${name}/${part}`), files.get(`${name}/${part}.salt`)];
  if (bytes === undefined || salt === undefined) return false;
  if (salt.length !== 32 || !opens(commitment, salt, bytes)) {
    throw new PackFinding('COMMITMENT_WRONG', `${part} of the ${name}`);
  }
  return true;
}
