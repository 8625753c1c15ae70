// What a key store says of certificates of destruction, for who has the data folder and its storage key: a certificate is
// believed by others, so that a key which still opens a record it covers is the worst that an audit can find. The tree and
// the notes themselves are the work of `accord log verify`; whoever held the disk controls all of it.
import type { KeyObject } from 'node:crypto';
import { MS_PER_DAY } from '#core/log/record-keys.ts';
import { readRecordKeysSqlite } from '#core/log/record-keys-sqlite.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { isAccordError, type ProblemCode } from '#schemas/problems.ts';
import { readDone } from '#schemas/retention.ts';
import { AllLogs, firstSeqAt } from './all-logs.ts';
import { coversEntry, type ReadCertificate, readCertificate } from './certificate.ts';

const PAGE = 500;

interface LoggedCertificate extends ReadCertificate {
  /** The entry `destruction-done`. */
  seq: number;
  /** Of the log that holds it. */
  in: string;
  jws: string;
}

export interface ErasureAudit {
  ok: boolean;
  certificates: number;
  /** Entries whose certificates were compared with the key store. */
  entries: number;
  code: ProblemCode | null;
  origin: string | null;
  seq: number | null;
  detail: string;
}

/** All certificates in the logs of one server, oldest first; what is no certificate is left out. @throws LOG_* */
async function loggedCertificates(logs: AllLogs): Promise<LoggedCertificate[]> {
  const found: LoggedCertificate[] = [];
  for (const origin of logs.origins) {
    const { notes } = await logs.notes(origin, 0);
    for (const { entry, note } of notes) {
      if (entry.kind !== 'destruction-done') continue;
      try {
        const jws = readDone(note).certificate;
        found.push({ ...readCertificate(jws), jws, in: origin, seq: entry.seq });
      } catch (error) {
        if (!isAccordError(error)) throw error; // found by the audit of the log
      }
    }
  }
  return found;
}

/** The certificate by which an entry's key was destroyed; the first one, where several cover it. @throws LOG_* */
export async function certificateOf(
  logs: AllLogs,
  origin: string,
  entry: LogEntry,
  leaf: Uint8Array,
): Promise<LoggedCertificate | null> {
  const all = await loggedCertificates(logs);
  return all.find(({ certificate }) => coversEntry(certificate, origin, entry, leaf)) ?? null;
}

export interface ErasurePlace {
  /** Of the log in use, and its origin. */
  folder: string;
  origin: string;
  keyFolder: string;
  /** 32 bytes. */
  storageKey: Buffer;
  /** Public keys by the hash of their certificate; without them nothing is said of who signed. */
  signers?: ReadonlyMap<string, KeyObject>;
}

/** @throws LOG_*, RECORD_KEYS_WRONG, RECORD_KEYS_LOST; what is found is in the result */
export async function auditErasure({
  folder,
  origin,
  keyFolder,
  storageKey,
  signers,
}: ErasurePlace): Promise<ErasureAudit> {
  const logs = new AllLogs(folder, origin);
  const certificates = await loggedCertificates(logs);
  const result: ErasureAudit = {
    ...{ ok: true, certificates: certificates.length, entries: 0, code: null, origin: null, seq: null, detail: '' },
  };
  for (const one of signers === undefined ? [] : certificates) {
    const key = signers?.get(one.certificateHash);
    if (key !== undefined && one.isSignedBy(key)) continue;
    const code = key === undefined ? 'CERTIFICATE_NOT_REGISTERED' : 'SIGNATURE_WRONG';
    return { ...result, ok: false, code, origin: one.in, seq: one.seq, detail: one.certificate.destruction };
  }
  const keys = readRecordKeysSqlite(keyFolder, storageKey);
  try {
    const there = keys.days();
    for (const { certificate } of certificates) {
      // Where no key of a day is left nothing can open; where some are, each entry is looked at.
      const days = certificate.days.flatMap((row) =>
        there.filter(({ retention, day }) => retention === row.retention && row.firstDay <= day && day <= row.lastDay),
      );
      for (const { origin, folder } of logs.places) {
        const log = openLogAuditSqlite(folder);
        try {
          const places = [
            ...certificate.records.filter((one) => one.origin === origin).map(({ seq }) => [seq, seq + 1] as const),
            ...days.map(
              ({ day }) => [firstSeqAt(log, day * MS_PER_DAY), firstSeqAt(log, (day + 1) * MS_PER_DAY)] as const,
            ),
          ];
          for (const [from, until] of places) {
            for (let at = from; at < until; at += PAGE) {
              for (const { seq, line, leaf } of log.lines(at, Math.min(PAGE, until - at))) {
                if (!coversEntry(certificate, origin, parseLogEntry(line), leaf)) continue;
                result.entries++;
                const keyId = log.sealed(seq)?.keyId;
                if (keyId === undefined || keys.open(keyId) === null) continue;
                const detail = `destruction ${certificate.destruction}`;
                return { ...result, ok: false, code: 'RECORD_KEY_NOT_DESTROYED', origin, seq, detail };
              }
            }
          }
        } finally {
          log.close();
        }
      }
    }
    return result;
  } finally {
    keys.close();
  }
}
