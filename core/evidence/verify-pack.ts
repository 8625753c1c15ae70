// Verifies an evidence pack (docs/evidence.md): this function is the list of its checks, in order. Pure over bytes: the
// auditor's own anchor and the time are arguments, and nothing is believed that does not follow from that anchor. Whoever
// hands in the pack controls every byte of it. `verify.sh` makes the same checks; a test holds the two together.
import type { ConfigurationAnchor } from '#schemas/configuration.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import type { Statement } from '#schemas/statement.ts';
import { checkAnchoring } from './check-anchoring.ts';
import { checkBefore } from './check-before.ts';
import { checkCertificate, checkStatus, signingPath } from './check-certificate.ts';
import { checkContents, checkParts, checkRoots, type PackConfiguration, tokenVerifier } from './check-configuration.ts';
import { checkDestroyed, type DestroyedMessage } from './check-destroyed.ts';
import { checkDestruction } from './check-destruction.ts';
import { checkCheckpoint, checkInclusion, readCheckpoint } from './check-log.ts';
import {
  checkAnswerStatement,
  checkEntry,
  checkOrder,
  checkPart,
  checkRequestStatement,
  checkSignature,
  needed,
  type PackFiles,
} from './check-message.ts';
import { CheckRun, DESTROYED, type PackVerdict } from './check-run.ts';
import { PackFinding, PackGap } from './finding.ts';
import { type MessageName, type PackHead, parseHead } from './layout.ts';
import { checkManifest, checkSeal } from './seal.ts';

export interface Auditor {
  /** The auditor's own: never one that came with the pack. */
  anchor: ConfigurationAnchor;
  nowMs: number;
}

/** Never throws for what the files say. */
export function verifyPack(files: PackFiles, auditor: Auditor): PackVerdict {
  const run = new CheckRun();
  try {
    checkAll(run, files, auditor);
  } catch (error) {
    if (!(error instanceof PackFinding)) throw error;
  }
  return run.verdict();
}

/** A message whose statement, signature and entry held. */
interface CheckedMessage {
  statement: Statement;
  entry: LogEntry;
  /** Where context or body are gone, the certificate that stands for them. */
  destroyed: DestroyedMessage | null;
}

function checkAll(run: CheckRun, files: PackFiles, { anchor, nowMs }: Auditor): void {
  const head = run.check('files', () => {
    checkManifest(files);
    return parseHead(needed(files, 'pack'));
  });
  if (head === null) return;
  const roots = run.check('roots', () => checkRoots(files, anchor));
  const contents = roots && run.check('configuration', () => checkContents(files, head, roots));
  const configurations =
    contents && run.check('configuration parts', () => checkParts(files, contents, serversIn(files, head)));
  // Without keys that the auditor can trust nothing further can be said.
  if (configurations === null) return;
  const of = (version: number): PackConfiguration => configurations.get(version) ?? unreachable();
  run.check('seal', () => {
    const { certificate, atMs } = checkSeal(files, head.server);
    signingPath(certificate, of(head.answer).trust, atMs);
  });
  const request = run.check('request: statement', () => checkRequestStatement(files, head));
  if (request === null) return;
  const later = of(head.destruction || head.anchoring || head.answer);
  const checkedRequest = checkMessage(run, files, 'request', request, head, of(head.request), later);
  const answer = run.check('answer: statement', () => checkAnswerStatement(files, request));
  const checkedAnswer = answer && checkMessage(run, files, 'answer', answer, head, of(head.answer), later);
  checkLog(run, files, head, { request: checkedRequest, answer: checkedAnswer }, of, nowMs);
}

// Of any length: how long a segment may be says the check of the statement.
const SEGMENT = '[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?';
const SERVER = `(${SEGMENT}(?:/${SEGMENT}){3})`;
const SERVERS = new RegExp(`^\\{"v":1,"id":"[^"]*","kind":"[a-z]*","from":"${SERVER}","to":"${SERVER}",[ -~]*$`);

/**
 * The two servers of the request's statement, read before it is verified: only to know which parts are needed. Where it does not
 * name two, the check of the statement says so.
 */
function serversIn(files: PackFiles, { server }: PackHead): string[] {
  const [, from = server, to = server] = SERVERS.exec(files.get('request/statement')?.toString('latin1') ?? '') ?? [];
  return [...new Set([server, from, to])];
}

function checkMessage(
  run: CheckRun,
  files: PackFiles,
  name: MessageName,
  statement: Statement,
  head: PackHead,
  configuration: PackConfiguration,
  later: PackConfiguration,
): CheckedMessage {
  const certificate = run.check(`${name}: signature`, () => checkSignature(files, name)) ?? unreachable();
  const subsystem = name === 'request' ? statement.client : subsystemOfService(statement.service);
  const path =
    run.check(`${name}: certificate`, () => checkCertificate(certificate, statement, subsystem, configuration)) ??
    unreachable();
  const entry = run.check(`${name}: entry`, () => checkEntry(files, name, statement, head)) ?? unreachable();
  const status = files.get(`${name}/certificate-status.der`);
  run.check(`${name}: certificate status`, () => checkStatus(status, path, entry, configuration, statement.at));
  let destroyed: DestroyedMessage | null = null;
  for (const part of ['context', 'body'] as const) {
    run.check(`${name}: ${part}`, () => {
      if (checkPart(files, name, part, statement[part].commitment)) return '';
      if (!files.has(`destruction/${name}/certificate.jws`))
        throw new PackGap('CONTENT_MISSING', `${part} of the ${name}`);
      destroyed = { name, entry, certificate: checkDestruction(files, name, head, entry, later) };
      return DESTROYED;
    });
  }
  return { statement, entry, destroyed };
}

function checkLog(
  run: CheckRun,
  files: PackFiles,
  head: PackHead,
  { request, answer }: { request: CheckedMessage; answer: CheckedMessage | null },
  of: (version: number) => PackConfiguration,
  nowMs: number,
): void {
  const inLog = run.check('request: in the log', () => {
    const checkpoint = readCheckpoint(files);
    checkInclusion(files, 'request', request.entry, checkpoint);
    return checkpoint;
  });
  if (inLog === null) return;
  if (answer !== null) {
    run.check('answer: in the log', () => {
      checkInclusion(files, 'answer', answer.entry, inLog);
      const entries = { request: request.entry, answer: answer.entry };
      checkOrder(head, answer.statement, entries, inLog.origin, of(head.answer).server(answer.statement.from));
    });
  }
  const configuration = of(head.anchoring > 0 ? head.anchoring : head.answer);
  run.check('checkpoint', () => checkCheckpoint(files, head.server, configuration));
  const last = answer?.entry ?? request.entry;
  const { origin } = inLog;
  const { server } = head;
  checkAnchoring(run, files, { folder: 'log', configuration, origin, lastMs: last.t, nowMs, server });
  run.check('not before', () => checkBefore(files, request.entry, inLog, tokenVerifier(configuration, nowMs)));
  const gone = [request, answer].flatMap((one) => one?.destroyed ?? []);
  const later = head.destruction > 0 ? of(head.destruction) : configuration;
  checkDestroyed(run, files, gone, { origin, server, configuration: later, nowMs });
}

function unreachable(): never {
  throw new TypeError('a check that cannot be missing was');
}

/** The verdict on what cannot even be read as the files of a pack. */
export function refusedPack(finding: PackFinding): PackVerdict {
  const run = new CheckRun();
  try {
    run.check('files', () => {
      throw finding;
    });
  } catch (error) {
    if (error !== finding) throw error;
  }
  return run.verdict();
}
