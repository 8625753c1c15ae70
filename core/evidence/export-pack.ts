// Makes the files of an evidence pack for one exchange out of a server's data folder, also while the server runs: what the
// log and the configuration of that day say, byte for byte. Nothing is verified here; `verifyPack` does that, and the
// exporter runs it too. The folder's owner controls what is read. The result depends on the exchange, on what had been
// logged of it, and on which time-stamp authorities were revoked since, so that two exports give the same files.
import { readBatch } from '#certs/batch.ts';
import { opens } from '#certs/commitment.ts';
import { inclusionProof } from '#certs/merkle.ts';
import { requireHere } from '#core/archive/audit-archived.ts';
import { readPart } from '#core/configuration/parts.ts';
import { readSealed, type Unsealed } from '#core/log/read-sealed.ts';
import type { RecordView } from '#core/log/record.ts';
import { MAX_SHOWN, viewRecord } from '#core/log/show.ts';
import { parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import type { LogAuditReader } from '#core/log/store.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { AccordError } from '#schemas/problems.ts';
import { parseStatement } from '#schemas/statement.ts';
import { anchoringFiles, type FoundAnchor, findAnchor, findBefore, type StampersOf } from './find-anchoring.ts';
import { addDestructionEntries, addLater, type FoundDestruction, findDestruction } from './find-destruction.ts';
import { type FoundExchange, findExchanges } from './find-exchange.ts';
import { encodeHashes, encodeHead, encodePlace, MESSAGES, type MessageName, type PackHead } from './layout.ts';
import { PastConfiguration } from './past-configuration.ts';
import { openStampStatus, type Stampers } from './stamp-status.ts';

export interface ExportPlace {
  /** INSTANCE/CLASS/MEMBER/SERVER whose folder it is. */
  server: string;
  log: string;
  /** The log in use now, which may be a later one. */
  inUse: { folder: string; origin: string };
  recordKeys: string;
  configuration: string;
  /** The file with what the server knows of time-stamp authorities. */
  stampStatus?: string;
}

export interface ExportOptions {
  exchange: string;
  /** The other security server, where two of them used the same id. */
  peer?: string;
  /** 32 bytes; null leaves out contexts and bodies: then nobody is named in the pack, and its verdict is INCOMPLETE. */
  storageKey: Buffer | null;
  nowMs: number;
  /** Bodies that a server does not keep because they are large, as the department has them. */
  bodies?: Partial<Record<MessageName, Buffer>>;
}

/** @throws EXCHANGE_NOT_FOUND, EXCHANGE_AMBIGUOUS, RECORD_ARCHIVED, CERTIFICATE_NOT_REGISTERED, COMMITMENT_WRONG, RECORD_UNREADABLE, LOG_*, CONFIGURATION_* */
export async function exportPack(place: ExportPlace, options: ExportOptions): Promise<Map<string, Buffer>> {
  const log = openLogAuditSqlite(place.log);
  try {
    const past = new PastConfiguration(place.configuration);
    const stampersIn = openStampStatus(past, place.stampStatus, options.nowMs);
    const stampersOf: StampersOf = ({ configuration, atMs }) => stampersIn(past.nearest(configuration, atMs));
    const records = log.linesOf(options.exchange, MAX_SHOWN).map((row) => viewRecord(log, row));
    for (const { entry, evidence } of records) requireHere(log, entry, evidence);
    const found = oneOf(findExchanges(records), options);
    const files = new Map<string, Buffer>();
    const servers = [place.server, found.peer];
    const request = addMessage(files, 'request', found.request, past, servers);
    const answer = found.answer === null ? request : addMessage(files, 'answer', found.answer, past, servers);
    const anchor = findAnchor(log, (found.answer ?? found.request).seq, stampersOf);
    const { exchange } = options;
    const { server } = place;
    const head: PackHead = { exchange, server, side: found.side, request, answer, anchoring: 0, destruction: 0 };
    if (anchor !== null) {
      head.anchoring = anchor.configuration === 0 ? 0 : past.nearest(anchor.configuration, anchor.atMs);
      addLog(files, log, found, anchor, stampersIn(head.anchoring || head.answer));
    }
    addStatuses(files, log, found);
    if (options.storageKey !== null) {
      const erased = addSealed(files, place, found, options.storageKey);
      for (const name of MESSAGES) addBody(files, name, options.bodies?.[name]);
      const own = { origin: log.identity()?.origin ?? '', size: anchor === null ? 0 : sizeOf(anchor) };
      const later = addDestructions(files, erased, place, own, found, past, servers, stampersOf);
      if (later !== null) {
        head.destruction = past.nearest(later.configuration, later.atMs);
        addLater(files, later, stampersIn(head.destruction));
      }
    }
    files.set('pack', encodeHead(head));
    addConfiguration(files, past, head, servers);
    return files;
  } finally {
    log.close();
  }
}

function oneOf(found: readonly FoundExchange[], { exchange, peer }: ExportOptions): FoundExchange {
  const fitting = found.filter((one) => peer === undefined || one.peer === peer);
  const [first, second] = fitting;
  if (first === undefined) throw new AccordError('EXCHANGE_NOT_FOUND', exchange);
  if (second !== undefined) throw new AccordError('EXCHANGE_AMBIGUOUS', fitting.map((one) => one.peer).join(', '));
  return first;
}

/** @returns the version of the configuration that it is judged under */
function addMessage(
  files: Map<string, Buffer>,
  name: MessageName,
  record: RecordView,
  past: PastConfiguration,
  servers: readonly string[],
): number {
  const { evidence, line } = record;
  if (evidence === null) throw new AccordError('EXCHANGE_NOT_FOUND', `${name} without a statement`);
  const { jws, index, size, path } = evidence.signature;
  const { from, at, configuration } = parseStatement(evidence.statement);
  const wanted = readBatch(jws).certificateHash;
  for (const version of past.versionsNear(configuration.version, at)) {
    const certificate = certificateIn(past, version, servers, from, wanted);
    if (certificate === undefined) continue;
    files.set(`${name}/statement`, evidence.statement);
    files.set(`${name}/signature`, Buffer.from(jws, 'latin1'));
    files.set(`${name}/place`, encodePlace([index, size], path));
    files.set(`${name}/certificate.der`, certificate);
    files.set(`${name}/entry`, Buffer.from(line, 'utf8'));
    return version;
  }
  throw new AccordError('CERTIFICATE_NOT_REGISTERED', `${from}, in the configurations that were kept`);
}

function certificateIn(
  past: PastConfiguration,
  version: number,
  servers: readonly string[],
  server: string,
  hash: string,
): Buffer | undefined {
  const { instance } = past.content(version).document;
  for (const [name, bytes] of past.parts(version, servers)) {
    if (!name.startsWith('members.')) continue;
    for (const one of readPart(name.replace('.', '/'), bytes, instance).servers) {
      const found = one.id === server ? one.signingCertificates.find((each) => each.hash === hash) : undefined;
      if (found !== undefined) return found.der;
    }
  }
  return undefined;
}

function addLog(
  files: Map<string, Buffer>,
  log: LogAuditReader,
  found: FoundExchange,
  anchor: FoundAnchor,
  stampers: Stampers,
): void {
  const size = sizeOf(anchor);
  for (const [name, bytes] of anchoringFiles(anchor.anchoring, stampers)) files.set(name, bytes);
  for (const name of ['request', 'answer'] as const) {
    const record = found[name];
    if (record === null) continue;
    files.set(`${name}/inclusion`, encodeHashes(inclusionProof(record.seq, size, log.subtree)));
  }
  const before = findBefore(log, found.request.seq, anchor.configuration, stampers);
  if (before === null) return;
  files.set('before/entry', Buffer.from(before.line, 'utf8')).set('before/note', before.note);
  files.set('before/inclusion', encodeHashes(inclusionProof(before.seq, size, log.subtree)));
}

function sizeOf({ anchoring }: FoundAnchor): number {
  return parseCheckpointText(parseNote(anchoring.checkpoint).text).size;
}

function addConfiguration(
  files: Map<string, Buffer>,
  past: PastConfiguration,
  { request, answer, anchoring, destruction }: PackHead,
  servers: readonly string[],
): void {
  let lastRoot = 0;
  for (const version of [request, answer, anchoring, destruction]) {
    if (version === 0) continue;
    const { file, document } = past.content(version);
    lastRoot = Math.max(lastRoot, document.root.version);
    files.set(`configuration/${version}/content.jws`, file);
    for (const [name, bytes] of past.parts(version, servers))
      files.set(`configuration/${version}/parts/${name}`, bytes);
  }
  const roots = past.roots(lastRoot);
  for (const [i, root] of roots.entries()) files.set(`configuration/root.${lastRoot - roots.length + 1 + i}.jws`, root);
}

/** The answers about the certificates that the entries name: each is the note of an entry of its own. */
function addStatuses(files: Map<string, Buffer>, log: LogAuditReader, found: FoundExchange): void {
  for (const name of ['request', 'answer'] as const) {
    const hash = found[name]?.entry.ocsp ?? null;
    if (hash === null) continue;
    const [row] = log.linesOf(`ocsp:${hash}`, 1);
    const note = row && log.evidence(row.seq);
    if (note != null) files.set(`${name}/certificate-status.der`, note.statement);
  }
}

/** @returns the messages whose keys were destroyed */
function addSealed(
  files: Map<string, Buffer>,
  place: ExportPlace,
  found: FoundExchange,
  storageKey: Buffer,
): MessageName[] {
  const seqs = found.answer === null ? [found.request.seq] : [found.request.seq, found.answer.seq];
  const unsealed = readSealed({ folder: place.log, keyFolder: place.recordKeys, storageKey }, seqs);
  return MESSAGES.filter((name, i) => addParts(files, name, unsealed[i] ?? { state: 'none' }) === 'erased');
}

function addParts(files: Map<string, Buffer>, name: MessageName, kept: Unsealed): Unsealed['state'] {
  if (kept.state === 'unreadable') throw new AccordError('RECORD_UNREADABLE', name);
  if (kept.state !== 'open') return kept.state;
  const { context, contextSalt, body, bodySalt } = kept.parts;
  if (context !== undefined && contextSalt !== undefined) {
    files.set(`${name}/context`, context).set(`${name}/context.salt`, contextSalt);
  }
  if (bodySalt !== undefined) files.set(`${name}/body.salt`, bodySalt);
  if (body !== undefined) files.set(`${name}/body`, body);
  return kept.state;
}

function addBody(files: Map<string, Buffer>, name: MessageName, body: Buffer | undefined): void {
  if (body === undefined) return;
  const [statement, salt] = [files.get(`${name}/statement`), files.get(`${name}/body.salt`)];
  if (statement === undefined || salt === undefined || !opens(parseStatement(statement).body.commitment, salt, body)) {
    throw new AccordError('COMMITMENT_WRONG', `body of the ${name}`);
  }
  files.set(`${name}/body`, body);
}

/** @returns the later anchoring that covers the entries about it, when the exchange's own does not */
function addDestructions(
  files: Map<string, Buffer>,
  erased: readonly MessageName[],
  place: ExportPlace,
  own: { origin: string; size: number },
  exchange: FoundExchange,
  past: PastConfiguration,
  servers: readonly string[],
  stampersOf: StampersOf,
): FoundAnchor | null {
  const destructions = new Map<MessageName, FoundDestruction>();
  for (const name of erased) {
    const record = exchange[name];
    const found = record && findDestruction(place.inUse, own.origin, record);
    if (found === null) continue;
    destructions.set(name, found);
    files.set(`destruction/${name}/certificate.jws`, Buffer.from(found.jws, 'latin1'));
    files.set(`destruction/${name}/certificate.der`, destroyerOf(found, place.server, past, servers));
  }
  return addDestructionEntries(files, destructions, own, stampersOf);
}

/** The certificate that signed. @throws CERTIFICATE_NOT_REGISTERED */
function destroyerOf(
  { certificateHash }: FoundDestruction,
  server: string,
  past: PastConfiguration,
  servers: readonly string[],
): Buffer {
  for (const version of past.versionsNear(0, Number.MAX_SAFE_INTEGER)) {
    const certificate = certificateIn(past, version, servers, server, certificateHash);
    if (certificate !== undefined) return certificate;
  }
  throw new AccordError('CERTIFICATE_NOT_REGISTERED', 'of the certificate of destruction');
}
