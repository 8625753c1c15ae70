// A log as a department hands it over to be reconciled: entries with the other server, their statements and signatures,
// without contexts and bodies; of all other entries the leaf hash only, so that whoever reads it can compute the tree and
// hold it against the checkpoint that the log signed, and learns nothing of exchanges with others. One JSON value a line:
//
//   {"v":1,"kind":"accord-log-export","origin":…,"verifierKey":…,"peer":…,
//    "reach":{"fromMs":n,"toMs":n}|null,"checkpoint":"<signed note>"}
//   "<leaf hash, base64url>"                         an entry that is not shown
//   {"jws":"…"}                                      a signature; they are numbered from 0
//   {"line":"…","statement":"…"|null,"jws":n|null,"index":n,"size":n,"path":["<base64url>",…]}
//
// The entries are those before the checkpoint, in their order. Whoever made the file controls all of it but the tree: he can hide
// an entry behind its hash, and then lacks it.
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { readBatch, standsIn } from '#certs/batch.ts';
import { sha256 } from '#certs/commitment.ts';
import { Frontier, HASH_BYTES, leafHash } from '#certs/merkle.ts';
import { requireHere } from '#core/archive/audit-archived.ts';
import { base64url, fromBase64url } from '#schemas/base64url.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_BATCH_PATH, MAX_SIGNATURE_BYTES } from '#schemas/limits.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { AccordError } from '#schemas/problems.ts';
import type { LogSide, SideRow } from './reconcile.ts';
import { type RecordEvidence, viewEvidence } from './record.ts';
import { openCheckpoint, parseVerifierKey } from './signed-note.ts';
import type { LogAuditReader } from './store.ts';
import { rowOfPage } from './stored-page.ts';

const KIND = 'accord-log-export';
const PAGE = 256;
const CHUNK = 1024 * 1024;
const MAX_LINE = 256 * 1024;
/** Signatures that later entries may still name. */
const MAX_SIGNATURES = 4_096;

/** A log's folder as a side; entries are taken as an audit found them: audit the log too. */
export function sideOfLog(log: LogAuditReader): LogSide {
  const origin = log.identity()?.origin ?? '';
  return {
    origin,
    reach: reachOf(log, log.size()),
    *rows(peer) {
      for (const { entry, statement, seq } of rowsOf(log, log.size())) {
        if (entry.peer !== peer) continue;
        requireHere(log, entry, statement);
        yield { entry, statement, evidence: () => viewEvidence(log.evidence(seq)) };
      }
    },
  };
}

function reachOf(log: LogAuditReader, size: number): LogSide['reach'] {
  const [first, last] = [log.lines(0, 1)[0], log.lines(Math.max(0, size - 1), 1)[0]];
  if (first === undefined || last === undefined) return null;
  return { fromMs: parseLogEntry(first.line).t, toMs: parseLogEntry(last.line).t };
}

function* rowsOf(log: LogAuditReader, size: number) {
  for (let at = 0; at < size; ) {
    const page = log.page(at, Math.min(PAGE, size - at));
    if (page.count === 0) throw new AccordError('LOG_GAP', `seq ${at}`);
    for (let row = 0; row < page.count; row++) {
      const { seq, line, leaf, evidence } = rowOfPage(page, row);
      if (seq !== at++) throw new AccordError('LOG_GAP', `seq ${at - 1}`);
      yield { seq, line, leaf, entry: parseLogEntry(line), statement: evidence?.statement ?? null };
    }
  }
}

/**
 * Writes the export of a log for its peer; a file that is there is never overwritten.
 * @throws LOG_CHECKPOINT_MISSING for a log without one, LOG_GAP, RECORD_ARCHIVED
 */
export function writeLogExport(log: LogAuditReader, peer: string, file: string): { size: number; shown: number } {
  const identity = log.identity();
  const checkpoint = log.lastCheckpoint();
  if (identity === null || checkpoint === null)
    throw new AccordError('LOG_CHECKPOINT_MISSING', 'nothing is signed yet');
  const fd = openSync(file, 'wx', 0o600);
  const write = (value: unknown) => writeSync(fd, `${JSON.stringify(value)}\n`);
  const numbers = new Map<string, number>();
  let shown = 0;
  let next = 0;
  try {
    const { origin, verifierKey } = identity;
    const reach = checkpoint.size === 0 ? null : reachOf(log, checkpoint.size);
    write({ v: 1, kind: KIND, origin, verifierKey, peer, reach, checkpoint: checkpoint.note });
    for (const { seq, line, leaf, entry, statement } of rowsOf(log, checkpoint.size)) {
      if (entry.peer !== peer) {
        write(base64url(leaf));
        continue;
      }
      shown++;
      requireHere(log, entry, statement);
      const evidence = statement === null ? null : viewEvidence(log.evidence(seq));
      if (evidence === null) {
        write({ line, statement: null, jws: null, index: 0, size: 0, path: [] });
        continue;
      }
      const { jws, index, size, path } = evidence.signature;
      if (!numbers.has(jws)) {
        if (numbers.size >= MAX_SIGNATURES) numbers.clear();
        numbers.set(jws, next++);
        write({ jws });
      }
      const text = evidence.statement.toString('utf8');
      write({ line, statement: text, jws: numbers.get(jws), index, size, path: path.map(base64url) });
    }
  } finally {
    closeSync(fd);
  }
  return { size: checkpoint.size, shown };
}

/** @throws LOG_EXPORT_MALFORMED, NOTE_*; while its rows are read too, the last time behind the last row */
export function sideOfExport(file: string, verifierKey?: string): LogSide {
  const head = headOf(file);
  if (verifierKey !== undefined && verifierKey !== head.verifierKey) {
    throw new AccordError('LOG_EXPORT_MALFORMED', 'signed by another key');
  }
  const checkpoint = openCheckpoint(head.checkpoint, parseVerifierKey(head.verifierKey));
  if (checkpoint.origin !== head.origin) throw new AccordError('LOG_EXPORT_MALFORMED', 'a checkpoint of another log');
  return {
    origin: head.origin,
    reach: head.reach,
    *rows(peer) {
      if (head.peer !== peer) throw new AccordError('LOG_EXPORT_MALFORMED', `it was made for ${head.peer}`);
      const tree = new Frontier();
      const signatures = new Map<number, string>();
      let jws = 0;
      let isHead = true;
      for (const value of valuesIn(file)) {
        if (isHead) {
          isHead = false;
        } else if (typeof value === 'string') {
          const leaf = fromBase64url(value);
          if (leaf.length !== HASH_BYTES) throw malformed('a leaf hash');
          tree.push(leaf);
        } else if (isObject(value) && value['line'] === undefined) {
          if (signatures.size >= 2 * MAX_SIGNATURES) signatures.delete([...signatures.keys()][0] ?? -1);
          signatures.set(jws++, textOf(value['jws'], MAX_SIGNATURE_BYTES));
        } else {
          const row = rowOfExport(value, tree.size, signatures);
          tree.push(leafHash(row.line));
          if (row.entry.peer === peer) yield row;
        }
      }
      if (tree.size !== checkpoint.size || !tree.root().equals(checkpoint.root)) {
        throw malformed('its entries are not the ones that its checkpoint signs');
      }
    },
  };
}

interface Head {
  origin: string;
  verifierKey: string;
  peer: string;
  reach: LogSide['reach'];
  checkpoint: string;
}

function headOf(file: string): Head {
  for (const value of valuesIn(file)) {
    if (!isObject(value) || value['v'] !== 1 || value['kind'] !== KIND) break;
    const text = (name: string) => textOf(value[name], 65_536);
    return {
      origin: text('origin'),
      verifierKey: text('verifierKey'),
      peer: text('peer'),
      reach: reachIn(value['reach']),
      checkpoint: text('checkpoint'),
    };
  }
  throw malformed('its first line');
}

function rowOfExport(value: unknown, seq: number, signatures: ReadonlyMap<number, string>): SideRow & { line: string } {
  if (!isObject(value)) throw malformed(`entry ${seq}`);
  const line = textOf(value['line'], MAX_LINE);
  const entry: LogEntry = parseLogEntry(line);
  if (entry.seq !== seq) throw malformed(`entry ${seq} in another place`);
  if (value['statement'] === null) {
    if (entry.statement !== null) throw malformed(`entry ${seq} lacks its statement`);
    return { line, entry, statement: null, evidence: () => null };
  }
  const statement = Buffer.from(textOf(value['statement'], MAX_LINE), 'utf8');
  if (sha256(statement) !== entry.statement) throw malformed(`entry ${seq} has another statement`);
  const [index, size, path, number] = [value['index'], value['size'], value['path'], value['jws']];
  const jws = typeof number === 'number' ? signatures.get(number) : undefined;
  const isPath = Array.isArray(path) && path.length <= MAX_BATCH_PATH;
  if (jws === undefined || !isPath || typeof index !== 'number' || typeof size !== 'number') {
    throw malformed(`the signature of entry ${seq}`);
  }
  if (sha256(jws) !== entry.signature) throw malformed(`entry ${seq} has another signature`);
  const hashes = path.map((hash: unknown) => fromBase64url(textOf(hash, 64)));
  const claims = readBatch(jws);
  if (claims.size !== size || !standsIn(claims, statement, index, hashes)) {
    throw malformed(`entry ${seq} does not stand in its signed batch`);
  }
  const evidence: RecordEvidence = { statement, signature: { jws, index, size, path: hashes } };
  return { line, entry, statement, evidence: () => evidence };
}

function reachIn(value: unknown): LogSide['reach'] {
  if (value === null) return null;
  const { fromMs, toMs } = isObject(value) ? value : {};
  if (!Number.isSafeInteger(fromMs) || !Number.isSafeInteger(toMs)) throw malformed('how far it reaches');
  return { fromMs: fromMs as number, toMs: toMs as number };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown, most: number): string {
  if (typeof value !== 'string' || value.length > most) throw malformed('a text');
  return value;
}

function malformed(detail: string): AccordError {
  return new AccordError('LOG_EXPORT_MALFORMED', detail);
}

/** The JSON values of a file's lines. @throws LOG_EXPORT_MALFORMED */
function* valuesIn(file: string): Generator<unknown> {
  const fd = openSync(file, 'r');
  try {
    const chunk = Buffer.alloc(CHUNK);
    let rest: Buffer = Buffer.alloc(0);
    for (let read = readSync(fd, chunk); read > 0; read = readSync(fd, chunk)) {
      const bytes = Buffer.concat([rest, chunk.subarray(0, read)]);
      let from = 0;
      for (let end = bytes.indexOf(10, from); end >= 0; end = bytes.indexOf(10, from)) {
        yield jsonOf(bytes.subarray(from, end));
        from = end + 1;
      }
      rest = Buffer.from(bytes.subarray(from));
      if (rest.length > MAX_LINE) throw malformed('a line is too long');
    }
    if (rest.length > 0) throw malformed('it was cut off');
  } finally {
    closeSync(fd);
  }
}

function jsonOf(line: Buffer): unknown {
  try {
    return parseJson(line, { maxBytes: MAX_LINE, maxDepth: 3, maxValues: 64 });
  } catch {
    throw malformed('a line that is no JSON');
  }
}
