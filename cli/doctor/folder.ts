// What lies in the data folder: settings, modes, certificates and their keys, the log, the disk. No passphrase is asked
// for, so private keys are looked at from outside only; a running server proves them (/readyz).
import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readKeyHeader } from '#certs/key-file.ts';
import { thumbprint } from '#certs/keys.ts';
import { Frontier, leafHash } from '#certs/merkle.ts';
import { readKeyFile } from '#core/key-store.ts';
import { readCheckpointFile } from '#core/log/checkpoint-file.ts';
import { KeyChain } from '#core/log/key-chain.ts';
import { formatVerifierKey, openCheckpoint, parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { EMERGENCY_REPORT_ALARM_MS, SUBJECT_KEY_LIFETIME_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { emergencyReportsFile } from '#security-server/emergencies.ts';
import { readWaitingReports } from '#security-server/emergency-reports-sqlite.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

const LEAST_NODE = [24, 12] as const;
const DAY_MS = 86_400_000;
const SOON_MS = 14 * DAY_MS;
const ENCRYPTION_KEY_SOON_MS = 23 * DAY_MS;
const ENCRYPTION_KEY_LIFETIME_MS = 30 * DAY_MS;
/** Consents that last a year are sealed to it today. */
const SUBJECT_KEY_SOON_MS = 365 * DAY_MS;
const FULL_BYTES = 100 * 1024 * 1024;
const NEARLY_FULL_BYTES = 1024 * 1024 * 1024;
/** Newest entries whose hashes are computed again; `accord log verify` does all of them. */
const REHASHED_ENTRIES = 1_000;

export function checkNode(version: string): Finding[] {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isEnough = major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1]);
  return [isEnough ? ok('node', version) : fail('node', 'NODE_TOO_OLD', version)];
}

/** Secrets are the owner's alone, and nobody else writes here. */
export function checkModes(folder: string): Finding[] {
  const secret = ['admin.key', 'admin-keys.json', 'server.json', ...keyFiles(folder)].map((name) => join(folder, name));
  const found = secret.filter((file) => existsSync(file));
  const open = found.filter((file) => (statSync(file).mode & 0o077) !== 0);
  const places = ['', 'keys', 'log', 'record-keys', 'configuration', 'certificates'].map((name) => join(folder, name));
  const writable = places.filter((place) => existsSync(place) && (statSync(place).mode & 0o022) !== 0);
  const bad = [...open, ...writable];
  if (bad.length > 0) return bad.map((file) => fail('files', 'KEY_FILE_MODE', file));
  return [ok('files', `${found.length} files, nobody else can read them`)];
}

function keyFiles(folder: string): string[] {
  const keys = join(folder, 'keys');
  if (!existsSync(keys)) return [];
  return readdirSync(keys)
    .filter((name) => name.endsWith('.key.json'))
    .map((name) => join('keys', name));
}

/** A certificate for its key and its time. `hash` is what the registry knows it by. */
export async function checkCertificate(
  folder: string,
  name: 'authentication' | 'signing',
  nowMs: number,
): Promise<{ findings: Finding[]; hash: string }> {
  const file = join(folder, 'certificates', `${name}.pem`);
  const check = `certificate ${name}`;
  if (!existsSync(file)) throw new AccordError('CERTIFICATE_MISSING', file);
  const certificate = new X509Certificate(readFileSync(file));
  const hash = createHash('sha256').update(certificate.raw).digest('base64url');
  const { kid } = readKeyHeader(await readKeyFile(join(folder, 'keys'), name));
  if (thumbprint(certificate.publicKey) !== kid) throw new AccordError('CERTIFICATE_KEY_MISMATCH', file);
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const until = `valid until ${new Date(to).toISOString()}`;
  if (nowMs < from || nowMs > to) return { findings: [fail(check, 'CERTIFICATE_INVALID', until)], hash };
  if (to - nowMs < SOON_MS) return { findings: [warn(check, 'CERTIFICATE_ENDS_SOON', until)], hash };
  return { findings: [ok(check, until)], hash };
}

/** Other keys by their open part. @returns the kids of the encryption keys */
export async function checkKeys(folder: string, nowMs: number): Promise<{ findings: Finding[]; kids: string[] }> {
  const read = async (name: string) => readKeyHeader(await readKeyFile(join(folder, 'keys'), name));
  for (const name of ['authentication', 'signing', 'checkpoint', 'storage']) await read(name);
  const named = (beginning: string) => {
    const files = keyFiles(folder).filter((file) => file.startsWith(join('keys', beginning)));
    return Promise.all(files.map((file) => read(file.slice('keys/'.length, -'.key.json'.length))));
  };
  const headers = await named('encryption-');
  const subjectMs = Math.max(0, ...(await named('subject-')).map(({ createdAtMs }) => createdAtMs));
  const newestMs = Math.max(...headers.map((header) => header.createdAtMs));
  if (headers.length === 0) throw new AccordError('KEY_UNUSABLE', 'no encryption key');
  const ageMs = nowMs - newestMs;
  const kids = headers.map(({ kid }) => kid);
  const until = `newest encryption key until ${new Date(newestMs + ENCRYPTION_KEY_LIFETIME_MS).toISOString()}`;
  if (ageMs > ENCRYPTION_KEY_LIFETIME_MS) return { findings: [fail('keys', 'KEY_UNUSABLE', until)], kids };
  if (ageMs > ENCRYPTION_KEY_SOON_MS) return { findings: [warn('keys', 'CERTIFICATE_ENDS_SOON', until)], kids };
  if (subjectMs + SUBJECT_KEY_LIFETIME_MS - SUBJECT_KEY_SOON_MS < nowMs) {
    const finding = warn(
      'keys',
      'KEY_UNUSABLE',
      'no subject key lasts another year: new consents name nobody to this server',
    );
    return { findings: [{ ...finding, next: 'Make one with `accord server rotate-subject-key`.' }], kids };
  }
  return { findings: [ok('keys', until)], kids };
}

/** The log against its last signed checkpoint, without reading all of it. @throws LOG_ROLLED_BACK, LOG_TAMPERED, … */
export function checkLog(folder: string): { findings: Finding[]; verifierKey: string | null } {
  const place = join(folder, 'log');
  if (!existsSync(join(place, 'messages.db'))) {
    return { findings: [warn('log', 'LOG_MISSING', 'none yet: the server never ran')], verifierKey: null };
  }
  // The file before the log: while a server writes, the log may only be ahead.
  const note = readCheckpointFile(join(folder, 'checkpoint.txt'));
  const log = openLogAuditSqlite(place);
  try {
    const identity = log.identity();
    if (identity === null) throw new AccordError('LOG_DATABASE_DAMAGED', 'the log has no origin');
    const size = log.size();
    if (note === null && size > 0) throw new AccordError('LOG_CHECKPOINT_MISSING', join(folder, 'checkpoint.txt'));
    const chain = KeyChain.of(log, identity.verifierKey);
    const keptSize = note === null ? 0 : parseCheckpointText(parseNote(note).text).size;
    const kept = note === null ? null : openCheckpoint(note, chain.at(keptSize));
    if (kept !== null && kept.size > size) throw new AccordError('LOG_ROLLED_BACK', `${size} of ${kept.size} entries`);
    if (kept !== null && !Frontier.at(kept.size, log.subtree).root().equals(kept.root)) {
      throw new AccordError('LOG_TAMPERED', `another root at size ${kept.size}`);
    }
    const newest = log.lines(Math.max(0, size - REHASHED_ENTRIES), REHASHED_ENTRIES);
    const changed = newest.find(({ line, leaf }) => !leafHash(line).equals(leaf));
    if (changed !== undefined) throw new AccordError('LOG_TAMPERED', `entry ${changed.seq}`);
    const detail = `${size} entries; the root is that of the last checkpoint (${kept?.size ?? 0} entries)`;
    return { findings: [ok('log', detail)], verifierKey: formatVerifierKey(chain.current) };
  } finally {
    log.close();
  }
}

export function checkDisk(folder: string): Finding[] {
  const { bavail, bsize } = statfsSync(folder);
  const freeBytes = bavail * bsize;
  const free = `${(freeBytes / 1024 ** 3).toFixed(1)} GiB free`;
  if (freeBytes < FULL_BYTES) return [fail('disk', 'DISK_NEARLY_FULL', free)];
  return [freeBytes < NEARLY_FULL_BYTES ? warn('disk', 'DISK_NEARLY_FULL', free) : ok('disk', free)];
}

/** Reports of emergencies that the registry does not have yet; a server that never made the file never answered on one. */
export function checkEmergencyReports(folder: string, nowMs: number): Finding[] {
  const check = 'emergency reports';
  const { count, sinceMs } = readWaitingReports(emergencyReportsFile(folder)) ?? { count: 0, sinceMs: null };
  if (sinceMs === null) return [ok(check, 'none wait for the registry')];
  const detail = `${count} wait, the oldest since ${new Date(sinceMs).toISOString()}`;
  const isLate = nowMs - sinceMs > EMERGENCY_REPORT_ALARM_MS;
  return [isLate ? fail(check, 'EMERGENCY_REPORT_WAITING', detail) : ok(check, detail)];
}
