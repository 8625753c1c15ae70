// The destruction of one record's key, out of the server's logs: the certificate, and the two entries about it with a
// checkpoint that covers them. A later log may hold what became of an entry in an earlier one. The folder's owner
// controls what is read; the pack's checks judge it.
import { inclusionProof } from '#certs/merkle.ts';
import type { RecordView } from '#core/log/record.ts';
import { parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import type { LogAuditReader, StoredNote } from '#core/log/store.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { AllLogs } from '#core/retention/all-logs.ts';
import { coversEntry, readCertificate } from '#core/retention/certificate.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { parseLogEntry } from '#schemas/log-entry.ts';
import { readDone } from '#schemas/retention.ts';
import { anchoringFiles, type FoundAnchor, findAnchor, type StampersOf } from './find-anchoring.ts';
import { encodeHashes, type MessageName } from './layout.ts';
import type { Stampers } from './stamp-status.ts';

const STEP = 20_000;

export interface FoundDestruction {
  jws: string;
  certificateHash: string;
  /** Of the log that holds both entries; null where the intent stands in an earlier one than what was done. */
  entries: { folder: string; origin: string; intended: StoredNote; done: StoredNote } | null;
}

/** @param inUse the log in use now. @param origin of the log that holds the record. @throws LOG_* */
export function findDestruction(
  inUse: { folder: string; origin: string },
  origin: string,
  { entry, leafHash }: RecordView,
): FoundDestruction | null {
  const leaf = fromBase64url(leafHash);
  for (const place of new AllLogs(inUse.folder, inUse.origin).places) {
    const log = openLogAuditSqlite(place.folder);
    try {
      for (const done of notesOf(log, 'destruction-done')) {
        const jws = readDone(done.note).certificate;
        const { certificate, certificateHash } = readCertificate(jws);
        if (!coversEntry(certificate, origin, entry, leaf)) continue;
        const { seq } = certificate.intent;
        const [intended] = certificate.origin === place.origin ? log.notes(seq, seq + 1) : [];
        return { jws, certificateHash, entries: intended === undefined ? null : { ...place, intended, done } };
      }
    } finally {
      log.close();
    }
  }
  return null;
}

function* notesOf(log: LogAuditReader, kind: string): Generator<StoredNote> {
  const size = log.size();
  for (let at = 0; at < size; at += STEP) {
    for (const one of log.notes(at, Math.min(size, at + STEP))) {
      if (one.line.includes(`"kind":"${kind}"`) && parseLogEntry(one.line).kind === kind) yield one;
    }
  }
}

/** The exchange's own checkpoint, where it is in the same log. */
interface OwnCheckpoint {
  origin: string;
  /** 0 without one. */
  size: number;
}

/**
 * Adds the entries about destructions with their proofs: in the tree of the exchange's own checkpoint where it covers them,
 * else in that of the first later one that others vouch for.
 * @returns the anchoring of the later checkpoint; null where there is none, or none is needed
 */
export function addDestructionEntries(
  files: Map<string, Buffer>,
  found: ReadonlyMap<MessageName, FoundDestruction>,
  own: OwnCheckpoint,
  stampersOf: StampersOf,
): FoundAnchor | null {
  const all = [...found].flatMap(([name, { entries }]) => (entries === null ? [] : [{ name, ...entries }]));
  // One checkpoint is for both messages; were their destructions in two logs, the second one's entries are left out.
  const [first] = all;
  if (first === undefined) return null;
  const fitting = all.filter(({ origin }) => origin === first.origin);
  const log = openLogAuditSqlite(first.folder);
  try {
    const last = Math.max(...fitting.map(({ done }) => done.seq));
    const isCovered = own.origin === first.origin && last < own.size;
    const anchor = isCovered ? null : findAnchor(log, last, stampersOf);
    const { size } = isCovered ? own : anchor === null ? { size: 0 } : sizeOf(anchor);
    for (const { name, intended, done } of fitting) {
      for (const [kind, { seq, line, note }] of Object.entries({ intended, done })) {
        const folder = `destruction/${name}/${kind}`;
        files.set(`${folder}/entry`, Buffer.from(line, 'utf8')).set(`${folder}/note`, note);
        if (size > 0) files.set(`${folder}/inclusion`, encodeHashes(inclusionProof(seq, size, log.subtree)));
      }
    }
    return anchor;
  } finally {
    log.close();
  }
}

/** Adds that later checkpoint. @param stampers of its day */
export function addLater(files: Map<string, Buffer>, { anchoring }: FoundAnchor, stampers: Stampers): void {
  for (const [name, bytes] of anchoringFiles(anchoring, stampers)) files.set(`destruction/${name}`, bytes);
}

function sizeOf({ anchoring }: FoundAnchor): { size: number } {
  return parseCheckpointText(parseNote(anchoring.checkpoint).text);
}
