// A process that destroys, and kills itself behind a step of the destruction: `node destroyer.ts FOLDER STEP`. The first run
// in a folder writes records of five days ago; every run then does what a start does. Parts of a server without its ports.
import { createHash, createPrivateKey, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { generateKeys } from '#certs/keys.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import type { Person } from '#schemas/retention.ts';
import { openAccesses } from '#security-server/accesses.ts';
import { openAccessStoreSqlite } from '#security-server/accesses-sqlite.ts';
import type { RetentionPorts } from '#security-server/retention/contract.ts';
import { openRetention } from '#security-server/retention/retention.ts';
import { openRetentionStoreSqlite } from '#security-server/retention/retention-sqlite.ts';
import { openSubjectTag } from '#security-server/subject-tag.ts';
import { dataDir, requestRecords } from '#test/core/log-fixture.ts';

const DAY_MS = 86_400_000;
export const BEGAN_MS = 1_790_000_000_000;
export const ORIGIN = 'accord/DEV/GOV/1001/ss1';
const hash = (text: string) => createHash('sha256').update(text).digest('base64url');

/** One of two persons. */
export function person(name: string, role: Person['role'] = 'administrator', atMs = BEGAN_MS): Person {
  return { name, role, key: hash(name), atMs };
}

/** Keys that every run in a folder has. */
function keptKey(folder: string, name: string, kind: 'Ed25519' | 'P-256') {
  const file = join(folder, `${name}.pem`);
  if (!existsSync(file)) {
    writeFileSync(file, generateKeys(kind).privateKey.export({ format: 'pem', type: 'pkcs8' }));
  }
  return createPrivateKey(readFileSync(file));
}

function kept(folder: string, name: string): Buffer {
  const file = join(folder, name);
  if (!existsSync(file)) writeFileSync(file, randomBytes(32));
  return readFileSync(file);
}

export async function openDestroyer(folder: string, onStep: RetentionPorts['onStep'] = () => {}, origin = ORIGIN) {
  const clock = { atMs: BEGAN_MS, nowMs: () => clock.atMs, monotonicMs: () => clock.atMs };
  const storageKey = kept(folder, 'storage-key');
  const log = await openMessageLog({
    ...dataDir(folder),
    origin,
    checkpointKey: keptKey(folder, 'checkpoint', 'Ed25519'),
    storageKey,
    clock,
    every: () => () => {},
  });
  clock.atMs = Math.max(BEGAN_MS, log.newestMs());
  const accesses = openAccesses(openAccessStoreSqlite(join(folder, 'accesses.db')), storageKey);
  const signing = { alg: 'ES256' as const, key: keptKey(folder, 'signing', 'P-256'), certificateHash: hash('signing') };
  const retention = openRetention({
    ...{ server: 'DEV/GOV/1001/ss1', log, accesses, clock, onStep },
    store: openRetentionStoreSqlite(join(folder, 'retention.db')),
    logFolder: dataDir(folder).folder,
    subjectTag: openSubjectTag(storageKey, 'predicate subjects'),
    signing: () => signing,
    configurationVersion: () => 1,
    logger: pino({ level: 'silent' }),
  });
  const close = async () => {
    await retention.close();
    await log.close();
    accesses.close();
  };
  return { log, accesses, retention, clock, signing, storageKey, close };
}

/** Records of a class that is over, and one of another; each with a row of who looked. */
export async function writeRecords({ log, accesses, retention, clock }: Awaited<ReturnType<typeof openDestroyer>>) {
  const classes = retention.classes;
  const wanted = { name: 'short', title: 'Short', days: 2, legalBasis: 'Archives Act § 9', automatic: false };
  classes.ask(wanted, person('Zhao'));
  classes.approve('short', person('Sun', 'auditor'), wanted);
  const records = [...requestRecords(3, { retention: 'short' }), ...requestRecords(1)];
  for (const record of records) {
    await log.append(record);
    const { id, retention, client, service, purpose, basis } = record;
    const about = { exchange: id, peer: record.peer ?? '', tag: 'tag', provider: 'p', atMs: clock.atMs, retention };
    const nothing = { operation: null, issue: null, unit: null, emergency: null, receipt: null, issuer: null };
    const asked = { client: client ?? '', service: service ?? '', purpose, basis: basis as 'open', asked: [] };
    await accesses.note({ ...nothing, ...about, ...asked, visibleFromMs: clock.atMs, isOwn: false });
  }
  clock.atMs += 5 * DAY_MS;
  return records.map(({ id }) => id);
}

export const DUE = { retention: 'short', throughDay: null, exchanges: [], legalBasis: null, reason: 'it is due' };

if (import.meta.main) {
  const [folder = '', step = ''] = process.argv.slice(2);
  const parts = await openDestroyer(folder, (done) => {
    if (done === step) process.kill(process.pid, 'SIGKILL');
  });
  const isFirst = parts.log.size() === 0;
  if (isFirst) await writeRecords(parts);
  await parts.retention.start();
  if (isFirst) {
    const { id } = await parts.retention.request(DUE, person('Zhao'));
    await parts.retention.approve(id, person('Sun', 'auditor'));
  }
  await parts.close();
}
